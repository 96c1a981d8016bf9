//! Keeps a node of a queue of orders up, and a log of what was ordered.

use std::process::ExitCode;

use skytools::Result;
use skytools::cascade::{CascadedWorker, WORKER_KEYS};
use skytools::consumer::{Batch, Event, Handler, Verdict};
use skytools::script::{Key, Kind, Program};

/// What the INI file says.
pub const KEYS: &[Key] = &[Key::required("db", Kind::Connection, "The database with the node.")];

/// Logs each order.
pub struct Orders;

impl Handler for Orders {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        let log = "insert into order_log (id, what) values ($1, $2)";
        batch.target()?.execute(log, &[&event.id(), &event.data()]).await?;
        Ok(Verdict::Done)
    }
}

fn main() -> ExitCode {
    Program::new("order_worker", "Keep a node of the queue of orders up, and a log of them")
        .cascaded()
        .keys("Worker", WORKER_KEYS)
        .keys("order_worker", KEYS)
        .main(|script, matches| Ok(CascadedWorker::on_node(script, "db", Orders)?.asked(matches)))
}
