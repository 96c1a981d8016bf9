//! What pgq_node, where it is installed, says of queues that exist on several nodes.

use super::family;
use crate::pg::spi::{Statement, View};
use crate::pg::text::Text;
use crate::pg::value::Type;
use std::collections::BTreeSet;

static HAS_NODES: Statement =
    Statement::reading("SELECT pg_catalog.to_regclass('pgq_node.node_info') IS NOT NULL", &[]);
static HAS_SUBSCRIBERS: Statement =
    Statement::reading("SELECT pg_catalog.to_regclass('pgq_node.subscriber_info') IS NOT NULL", &[]);

fn has(table: &'static Statement) -> bool {
    family::is_there("pgq_node") && table.rows_in(View::Latest, &[]).first().is_some_and(|row| row.flag(0))
}

static CASCADED: Statement = Statement::reading(
    "SELECT q.queue_id FROM pgq.queue q JOIN pgq_node.node_info n ON n.queue_name = q.queue_name",
    &[],
);

/// The queues whose ticks go to other nodes, which wait for them also when they tell nothing new.
pub fn cascaded_queues() -> BTreeSet<i32> {
    if !has(&HAS_NODES) {
        return BTreeSet::new();
    }
    CASCADED.rows_in(View::Latest, &[]).into_iter().filter_map(|row| row.int(0)).collect()
}

static SERVED: Statement = Statement::reading(
    "SELECT s.subscriber_node
       FROM pgq.queue q
       JOIN pgq.consumer c ON c.co_id = $2
       JOIN pgq_node.subscriber_info s
         ON s.queue_name = q.queue_name AND c.co_name IN (s.worker_name, s.watermark_name)
      WHERE q.queue_id = $1
      UNION ALL
     SELECT n.node_name
       FROM pgq.queue q
       JOIN pgq.consumer c ON c.co_id = $2 AND c.co_name = '.global_watermark'
       JOIN pgq_node.node_info n ON n.queue_name = q.queue_name
      WHERE q.queue_id = $1",
    &[Type::Int, Type::Int],
);

/// The node that reads from this queue by way of the consumer, or has its needs kept by it. The node that is here keeps by
/// one of them what all nodes need.
pub fn node_served_by(queue_id: i32, consumer_id: i32) -> Option<Vec<u8>> {
    if !has(&HAS_SUBSCRIBERS) {
        return None;
    }
    let node = SERVED.rows_in(View::Latest, &[queue_id.into(), consumer_id.into()]).first();
    node.and_then(|row| row.text(0).map(|name| name.0.to_vec()))
}

macro_rules! forget {
    ($table:literal) => {
        Statement::changing(
            concat!(
                "DELETE FROM pgq_node.",
                $table,
                " n USING pgq.queue q WHERE q.queue_id = $1 AND n.queue_name = q.queue_name"
            ),
            &[Type::Int],
        )
    };
}
static FORGET: [Statement; 3] = [forget!("subscriber_info"), forget!("local_state"), forget!("node_info")];

/// Forgets that this database is a node of the queue, and who reads from it. The list of all nodes stays.
pub fn forget_node(queue_id: i32) {
    if has(&HAS_SUBSCRIBERS) {
        FORGET.iter().for_each(|table| _ = table.rows_in(View::Latest, &[queue_id.into()]));
    }
}

static IS_BRANCH: Statement = Statement::reading(
    "SELECT FROM pgq_node.node_info n WHERE n.queue_name = $1 AND n.node_type = 'branch'",
    &[Type::Text],
);

/// Whether the queue is the copy of another node's.
pub fn is_branch(queue: Text) -> bool {
    has(&HAS_NODES) && IS_BRANCH.rows_in(View::Latest, &[queue.into()]).count() > 0
}
