//! What a worker does, by what its node is.

use crate::cascade::follower::Follower;
use crate::cascade::state::State;
use crate::consumer::{BatchInfo, Look};
use crate::{Error, Result};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Events and ticks begin here.
    Root,
    /// Keeps a copy.
    Branch,
    /// Keeps none.
    Leaf,
    /// A leaf that feeds this combined queue.
    MergeLeaf(String),
    /// A leaf whose events come by way of the combined queue, from another node.
    MergeLeafBehind,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// All that the role does.
    All,
    /// Its data came by way of the combined queue: system events only.
    SystemEvents,
    /// It was done before a crash.
    None,
    /// It stays open until the combined queue has brought its data.
    Later,
}

impl Role {
    pub fn of(state: &State) -> Result<Self> {
        let node = state.upkeep.as_ref();
        let combined = node.and_then(|node| node.combined_queue.as_deref());
        let combined_type = node.and_then(|node| node.combined_type.as_deref());
        match (&*state.node_type, combined, combined_type) {
            ("root", None, _) => Ok(Self::Root),
            ("branch", None, _) => Ok(Self::Branch),
            ("leaf", None, _) => Ok(Self::Leaf),
            ("leaf", Some(queue), Some("root")) => Ok(Self::MergeLeaf(queue.to_owned())),
            ("leaf", Some(_), Some("branch")) => Ok(Self::MergeLeafBehind),
            (node_type, combined, combined_type) => Err(Error::bad(format!(
                "node {} is a {node_type} with the combined queue {combined:?}, which is a {combined_type:?} here: \
                 only leaves have one, and it has to be a root or a branch",
                state.node_name
            ))),
        }
    }

    /// Whether it reads from a provider.
    pub const fn reads(&self) -> bool {
        !matches!(self, Self::Root)
    }

    /// Whether the handler gets the data.
    pub const fn applies(&self) -> bool {
        matches!(self, Self::Branch | Self::Leaf | Self::MergeLeaf(_))
    }

    /// Whether its queue is a copy with the same events and ticks.
    pub const fn keeps_copy(&self) -> bool {
        matches!(self, Self::Branch)
    }

    /// The queue that it feeds.
    pub fn feeds(&self) -> Option<&str> {
        match self {
            Self::MergeLeaf(queue) => Some(queue),
            _ => None,
        }
    }

    /// What the completed tick says of a batch.
    pub fn work(&self, completed: i64, batch: &BatchInfo) -> Result<Work> {
        match self {
            Self::MergeLeaf(_) | Self::MergeLeafBehind if batch.tick_id <= completed => {
                Ok(Work::SystemEvents)
            }
            Self::MergeLeafBehind => Ok(Work::Later),
            _ => match Follower::look(completed, batch)? {
                Look::Handle => Ok(Work::All),
                Look::AlreadyDone | Look::NotYet => Ok(Work::None),
            },
        }
    }
}
