//! Keeps the total of each customer's orders, in the database of the queue: each event counts once.

use std::process::ExitCode;

use serde::Deserialize;
use skytools::Result;
use skytools::consumer::{Batch, Consumer, Event, Handler, Verdict};
use skytools::script::{Key, Kind, Program};

/// What the INI file says, beside the keys of every consumer.
pub const KEYS: &[Key] = &[Key::required("db", Kind::Connection, "The database.").sample("dbname=shop")];

/// A row of the table `orders`, as a trigger has written it into an event.
#[derive(Deserialize)]
struct Order {
    customer: i64,
    amount: i64,
    note: Option<String>,
}

/// What happens to an event.
pub struct Totals;

impl Handler for Totals {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        if !event.kind().is_some_and(|kind| kind.starts_with("I:")) {
            return Ok(Verdict::Done);
        }
        let order: Order = event.payload()?;
        if order.note.as_deref() == Some("draft") {
            return Ok(Verdict::Park("a draft is no order".into()));
        }
        batch
            .source()?
            .execute(
                "insert into total (customer, amount) values ($1, $2) \
                 on conflict (customer) do update set amount = total.amount + excluded.amount",
                &[&order.customer, &order.amount],
            )
            .await?;
        Ok(Verdict::Done)
    }
}

fn main() -> ExitCode {
    Program::new("totals", "Keep the total of each customer's orders")
        .consumer()
        .retries()
        .keys("Totals", KEYS)
        .main(|script, matches| Ok(Consumer::new(script, "db", Totals)?.asked(matches)))
}
