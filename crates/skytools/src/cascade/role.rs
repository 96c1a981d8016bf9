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

    /// Whether several ticks may become one batch: no other node, and no other queue, ever looks for those in between.
    pub const fn collects(&self) -> bool {
        matches!(self, Self::Leaf)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use jiff::Timestamp;

    use super::*;
    use crate::cascade::state::NodeState;

    fn state(node_type: &str, combined: Option<&str>) -> State {
        State {
            node_type: node_type.to_owned(),
            node_name: "n".to_owned(),
            completed: 20,
            provider_location: String::new(),
            is_paused: false,
            is_uptodate: true,
            error: None,
            upkeep: Some(NodeState {
                global_watermark: None,
                local_watermark: None,
                top: None,
                combined_queue: combined.map(|_| "all".to_owned()),
                combined_type: combined.map(str::to_owned),
                group: indexmap::IndexSet::new(),
            }),
        }
    }

    fn role(node_type: &str, combined: Option<&str>) -> Role {
        Role::of(&state(node_type, combined)).unwrap()
    }

    #[test]
    fn who_does_what() {
        for (node_type, combined, reads, applies, keeps_copy, collects, feeds) in [
            ("root", None, false, false, false, false, None),
            ("branch", None, true, true, true, false, None),
            ("leaf", None, true, true, false, true, None),
            ("leaf", Some("root"), true, true, false, false, Some("all")),
            ("leaf", Some("branch"), true, false, false, false, None),
        ] {
            let role = role(node_type, combined);
            let does = (role.reads(), role.applies(), role.keeps_copy(), role.collects(), role.feeds());
            assert_eq!(does, (reads, applies, keeps_copy, collects, feeds), "{node_type}, {combined:?}");
        }
    }

    #[test]
    fn only_a_leaf_feeds_a_combined_queue_and_that_begins_or_is_copied_here() {
        for (node_type, combined) in [("root", "root"), ("branch", "branch"), ("leaf", "leaf")] {
            let refusal = Role::of(&state(node_type, Some(combined))).unwrap_err().to_string();
            assert!(
                refusal.starts_with(&format!("node n is a {node_type} with the combined queue")),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_batch_is_next_done_lost_or_brought_by_the_combined_queue() {
        let work = |role: Role, start, end| {
            let time = Timestamp::UNIX_EPOCH;
            let batch = BatchInfo {
                batch_id: 1,
                tick_id: end,
                prev_tick_id: start,
                batch_start: time,
                batch_end: time,
                seq_start: 1,
                seq_end: 1,
            };
            role.work(20, &batch).ok()
        };
        let feeds = || role("leaf", Some("root"));
        for (start, end, plain, feeding, behind) in [
            (5, 10, None, Some(Work::SystemEvents), Work::SystemEvents),
            (10, 20, Some(Work::None), Some(Work::SystemEvents), Work::SystemEvents),
            (20, 30, Some(Work::All), Some(Work::All), Work::Later),
            (10, 30, None, None, Work::Later),
            (30, 40, None, None, Work::Later),
        ] {
            for node_type in ["branch", "leaf"] {
                assert_eq!(work(role(node_type, None), start, end), plain, "{node_type} {start}..{end}");
            }
            assert_eq!(work(feeds(), start, end), feeding, "feeding {start}..{end}");
            assert_eq!(work(role("leaf", Some("branch")), start, end), Some(behind), "behind {start}..{end}");
        }
    }
}
