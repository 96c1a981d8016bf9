//! What a node says of a consumer that writes into it.

use indexmap::IndexSet;

use crate::cascade::ask;
use crate::consumer::Subscription;
use crate::db::{Connection, Row, payload};
use crate::{Error, Result};

/// See the module.
#[derive(Clone, Debug)]
pub struct State {
    pub node_type: String,
    pub node_name: String,
    /// The last tick that is done here.
    pub completed: i64,
    /// Where to read on.
    pub provider_location: String,
    pub is_paused: bool,
    /// Whether the consumer has confirmed what administrators have changed.
    pub is_uptodate: bool,
    pub error: Option<String>,
    /// Told to the worker only.
    pub upkeep: Option<NodeState>,
}

/// What a worker has to know of its node besides.
#[derive(Clone, Debug)]
pub struct NodeState {
    pub global_watermark: Option<i64>,
    pub local_watermark: Option<i64>,
    /// The newest tick of the local queue.
    pub top: Option<i64>,
    pub combined_queue: Option<String>,
    pub combined_type: Option<String>,
    /// The nodes that keep a common watermark with this one; none: it heeds the root's.
    pub group: IndexSet<String>,
}

impl State {
    /// Of a consumer beside the worker.
    pub async fn of_consumer(node: &Connection, who: &Subscription) -> Result<Self> {
        Self::from_row(&ask(node, "get_consumer_state($1, $2)", &[&who.queue(), &who.consumer()]).await?, who)
    }

    /// Of the worker.
    pub async fn of_worker(node: &Connection, who: &Subscription) -> Result<Self> {
        let row = ask(node, "get_worker_state($1)", &[&who.queue()]).await?;
        let worker: Option<&str> = row.get("worker_name");
        if worker != Some(who.consumer()) {
            return Err(Error::bad(format!(
                "the worker of this node of queue {} is {}, not {}: consumer_name must be the name that the node was \
                 made with",
                who.queue(),
                worker.unwrap_or("unknown"),
                who.consumer()
            )));
        }
        let mut state = Self::from_row(&row, who)?;
        state.upkeep = Some(NodeState {
            global_watermark: row.get("global_watermark"),
            local_watermark: row.get("local_watermark"),
            top: row.get("local_queue_top"),
            combined_queue: row.get("combined_queue"),
            combined_type: row.get("combined_type"),
            group: match &*state.node_type {
                "branch" => group(node, who, &state.node_name).await?,
                _ => IndexSet::new(),
            },
        });
        Ok(state)
    }

    fn from_row(row: &Row, who: &Subscription) -> Result<Self> {
        let completed: Option<i64> = row.get("completed_tick");
        Ok(Self {
            node_type: row.get("node_type"),
            node_name: row.get("node_name"),
            completed: completed.ok_or_else(|| {
                let (consumer, queue) = (who.consumer(), who.queue());
                Error::bad(format!("consumer {consumer} of queue {queue} has no completed tick"))
            })?,
            provider_location: row.get("provider_location"),
            is_paused: row.get("paused"),
            is_uptodate: row.get("uptodate"),
            error: row.get("cur_error"),
            upkeep: None,
        })
    }

    pub fn is_root(&self) -> bool {
        self.node_type == "root"
    }

    /// Whether this is a branch without the tick of what it has copied: its worker died between the two.
    pub fn lacks_tick(&self) -> bool {
        let top = self.upkeep.as_ref().and_then(|node| node.top);
        self.node_type == "branch" && top.is_some_and(|top| top != self.completed)
    }
}

/// The other members of the group that `sync_watermark` names.
async fn group(node: &Connection, who: &Subscription, me: &str) -> Result<IndexSet<String>> {
    let row = ask(node, "get_node_info($1)", &[&who.queue()]).await?;
    let attributes: Option<&str> = row.get("node_attrs");
    let names = payload::decode(attributes.unwrap_or_default())?.swap_remove("sync_watermark").flatten();
    let names = names.unwrap_or_default();
    Ok(names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != me)
        .map(str::to_owned)
        .collect())
}
