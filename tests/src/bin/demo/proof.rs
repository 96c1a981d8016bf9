//! The proof: what was committed and what each consumer got are the same set.

use std::collections::HashMap;
use std::error::Error;

use pgq_tests::client::Session;
use pgq_tests::queue::Event;

use crate::consumer::Received;
use crate::screen::{grouped, time};

/// What a transaction did, as its history row and its event both tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Booking {
    aid: i32,
    tid: i32,
    bid: i32,
    delta: i32,
}

impl Booking {
    /// Reads `aid=1&tid=2&bid=3&delta=4`. What is not there is 0, which no row of the history has as an account.
    pub fn from_event(event: &Event) -> Self {
        let mut booking = Self::default();
        for pair in event.data.as_deref().unwrap_or_default().split('&') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.parse().unwrap_or_default();
            match name {
                "aid" => booking.aid = value,
                "tid" => booking.tid = value,
                "bid" => booking.bid = value,
                "delta" => booking.delta = value,
                _ => {}
            }
        }
        booking
    }
}

fn sum<'a>(bookings: impl IntoIterator<Item = &'a Booking>) -> i64 {
    bookings.into_iter().map(|booking| i64::from(booking.delta)).sum()
}

/// Every committed transaction, by its event's id.
pub fn committed(session: &mut Session) -> Result<HashMap<i64, Booking>, Box<dyn Error>> {
    let rows = session.query("select event_id, aid, tid, bid, delta from pgbench_history", &[])?;
    let bookings: HashMap<i64, Booking> = rows
        .iter()
        .map(|row| {
            (row.get(0), Booking { aid: row.get(1), tid: row.get(2), bid: row.get(3), delta: row.get(4) })
        })
        .collect();
    if bookings.len() != rows.len() {
        return Err("two transactions were given the same event id".into());
    }
    Ok(bookings)
}

/// Compares, prints, and says whether all is well.
pub fn show(
    session: &mut Session,
    committed: &HashMap<i64, Booking>,
    received: &[Received],
) -> Result<bool, Box<dyn Error>> {
    let money: i64 = session.query_one("select sum(abalance) from pgbench_accounts", &[])?.get(0);
    println!();
    println!(
        "{:<10} {:>10} {:>8} {:>8} {:>6} {:>14}   {:>8} {:>8} {:>8} {:>8}",
        "", "events", "missing", "doubled", "alien", "sum of money", "batches", "largest", "p50", "p99"
    );
    println!(
        "{:<10} {:>10} {:>8} {:>8} {:>6} {:>14}",
        "committed",
        grouped(committed.len()),
        "",
        "",
        "",
        grouped(money)
    );
    let mut proven = !committed.is_empty() && sum(committed.values()) == money;
    for consumer in received {
        let missing = committed.keys().filter(|id| !consumer.bookings.contains_key(id)).count();
        // Of a transaction that was rolled back, or with another's contents.
        let alien =
            consumer.bookings.iter().filter(|(id, booking)| committed.get(id) != Some(booking)).count();
        let total = sum(consumer.bookings.values());
        println!(
            "{:<10} {:>10} {:>8} {:>8} {:>6} {:>14}   {:>8} {:>8} {:>8} {:>8}",
            consumer.name,
            grouped(consumer.bookings.len()),
            missing,
            consumer.doubled,
            alien,
            grouped(total),
            grouped(consumer.batches),
            grouped(consumer.largest_batch),
            time(consumer.overall.percentile(0.5)),
            time(consumer.overall.percentile(0.99)),
        );
        proven &= missing == 0 && consumer.doubled == 0 && alien == 0 && total == money;
    }
    println!();
    if proven {
        println!(
            "PROVEN: each of the {} committed transactions reached both consumers exactly once; nothing that was \
             rolled back did.",
            grouped(committed.len())
        );
    } else {
        println!("NOT PROVEN: what was committed and what was consumed differ.");
    }
    Ok(proven)
}
