//! What may be forgotten: told upwards from node to node, and down again by the root.

use std::time::Instant;

use tracing::{debug, warn};

use crate::cascade::ask;
use crate::cascade::follower::visit;
use crate::cascade::passage::Heard;
use crate::cascade::state::{NodeState, State};
use crate::consumer::Subscription;
use crate::db::Connection;
use crate::script::{Config, Script, seconds};
use crate::{Error, Result};

/// See the module.
#[derive(Debug, Default)]
pub struct Watermarks {
    /// When it was last done.
    published: Option<Instant>,
    reported: Option<Instant>,
    pub heard: Heard,
}

fn is_due(last: Option<Instant>, config: &Config, period: &str) -> Result<bool> {
    let period = seconds(config, period)?;
    Ok(last.is_none_or(|last| last.elapsed() >= period))
}

impl Watermarks {
    /// At a root: lets all nodes forget what none of them needs.
    pub async fn publish(
        &mut self,
        config: &Config,
        who: &Subscription,
        node: &Connection,
        state: &NodeState,
    ) -> Result<()> {
        if !is_due(self.published, config, "global_wm_publish_period")? {
            return Ok(());
        }
        // Who stands still is told of once.
        if state.local_watermark > state.global_watermark {
            ask(node, "set_global_watermark($1, null)", &[&who.queue()]).await?;
            node.commit().await?;
        }
        self.published = Some(Instant::now());
        Ok(())
    }

    /// Whether it is time to report.
    pub fn is_report_due(&self, config: &Config) -> Result<bool> {
        is_due(self.reported, config, "local_wm_publish_period")
    }

    /// Tells the provider what is needed at this node and below it.
    pub async fn report(
        &mut self,
        who: &Subscription,
        provider: &Connection,
        state: &State,
        node: &NodeState,
    ) -> Result<()> {
        // The provider need not have ticks beyond this one.
        let Some(position) = who.tick(provider).await? else { return Ok(()) };
        // A group keeps for its members what they need: above, it stands in nobody's way.
        let needed = if node.group.is_empty() { node.local_watermark.unwrap_or(position) } else { position };
        let call = "select ret_code, ret_note from pgq_node.set_subscriber_watermark($1, $2, $3)";
        let tick = needed.min(position);
        let row = provider.query_one(call, &[&who.queue(), &state.node_name, &tick]).await?;
        let (code, note): (i32, Option<String>) = (row.get(0), row.get(1));
        let note = note.unwrap_or_default();
        match code {
            // A node that is new below this one begins at the global watermark, which no node has gone beyond.
            405 => debug!("{note}"),
            300.. => {
                provider.rollback().await?;
                return Err(Error::bad(format!("{}: {note}", provider.name())));
            }
            _ => {}
        }
        provider.commit().await?;
        self.reported = Some(Instant::now());
        Ok(())
    }

    /// In a group: lets this node forget what neither the group nor the root needs.
    pub async fn share(
        &self,
        script: &mut Script,
        who: &Subscription,
        node: &Connection,
        state: &NodeState,
    ) -> Result<()> {
        let heard = *self.heard.lock().expect("no panic while it is held");
        let (Some(heard), Some(own)) = (heard, state.local_watermark) else { return Ok(()) };
        let lowest = match lowest_of_group(script, who, node, state).await {
            Ok(Some(lowest)) => lowest.min(heard).min(own),
            Ok(None) => return Ok(()),
            Err(error) => {
                warn!("the common watermark of {} stays: {error}", who.queue());
                return Ok(());
            }
        };
        if Some(lowest) > state.global_watermark {
            ask(node, "set_global_watermark($1, $2)", &[&who.queue(), &lowest]).await?;
        }
        node.commit().await
    }
}

/// The lowest tick that another member of the group needs; `None`: one of them is not there yet.
async fn lowest_of_group(
    script: &mut Script,
    who: &Subscription,
    node: &Connection,
    state: &NodeState,
) -> Result<Option<i64>> {
    let locations = "select node_name, node_location, dead from pgq_node.get_queue_locations($1)";
    let rows = node.query(locations, &[&who.queue()]).await?;
    node.commit().await?;
    let mut lowest = i64::MAX;
    for name in &state.group {
        let Some(row) = rows.iter().find(|row| row.get::<_, &str>(0) == name) else {
            debug!("node {name} is not there yet: the common watermark of {} stays", who.queue());
            return Ok(None);
        };
        if row.get(2) {
            continue;
        }
        let member = visit(script, &format!("node {name}"), row.get(1)).await?;
        let answer = ask(&member, "get_node_info($1)", &[&who.queue()]).await?;
        member.commit().await?;
        let Some(needed) = answer.get::<_, Option<i64>>("local_watermark") else { return Ok(None) };
        lowest = lowest.min(needed);
    }
    Ok(Some(lowest))
}
