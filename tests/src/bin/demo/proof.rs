//! The proof: what was committed and what each consumer got are the same.

use std::collections::HashSet;
use std::error::Error;

use pgq_core::codec::Row;
use pgq_tests::client::Session;
use postgres::SimpleQueryMessage;

use crate::consumer::Received;
use crate::replica::Replica;
use crate::screen::{grouped, time};
use crate::workload::{self, TABLES};

/// Compares, prints, and says whether all is well.
pub fn show(session: &mut Session, received: &[Received]) -> Result<bool, Box<dyn Error>> {
    let transactions = workload::committed(session)?;
    let tables = TABLES.iter().map(|table| rows(session, table)).collect::<Result<Vec<_>, _>>()?;
    let rows: usize = tables.iter().map(Vec::len).sum();
    // The load: TRUNCATE of each table, and its rows. Then each transaction changes a row of each table; the rows of
    // the history have come that way.
    let events = TABLES.len() + (rows - transactions) + TABLES.len() * transactions;
    println!();
    println!(
        "{:<10} {:>10} {:>8} {:>8} {:>6} {:>10} {:>10}   {:>8} {:>8} {:>8} {:>8}",
        "", "events", "missing", "doubled", "alien", "rows", "different", "batches", "largest", "p50", "p99"
    );
    println!(
        "{:<10} {:>10} {:>8} {:>8} {:>6} {:>10}",
        "committed",
        grouped(events),
        "",
        "",
        "",
        grouped(rows)
    );
    let mut proven = transactions > 0;
    for consumer in received {
        let fitting = consumer.events() - consumer.alien;
        let missing = events.saturating_sub(fitting);
        // Those that did not fit, and more than there should be: of transactions that were rolled back.
        let alien = consumer.alien + fitting.saturating_sub(events);
        let different = different(&tables, &consumer.replica);
        println!(
            "{:<10} {:>10} {:>8} {:>8} {:>6} {:>10} {:>10}   {:>8} {:>8} {:>8} {:>8}",
            consumer.name,
            grouped(consumer.events()),
            grouped(missing),
            grouped(consumer.doubled),
            grouped(alien),
            grouped(consumer.replica.len()),
            grouped(different),
            grouped(consumer.batches),
            grouped(consumer.largest_batch),
            time(consumer.overall.percentile(0.5)),
            time(consumer.overall.percentile(0.99)),
        );
        proven &= missing == 0 && consumer.doubled == 0 && alien == 0 && different == 0;
    }
    println!();
    if proven {
        println!(
            "PROVEN: all events of the load and of {} committed transactions reached both consumers exactly once,\n\
             those of transactions rolled back did not, and both replicas equal the tables, row by row.",
            grouped(transactions)
        );
    } else {
        println!("NOT PROVEN: what was committed and what was consumed differ.");
    }
    Ok(proven)
}

/// The rows of a table, as text.
fn rows(session: &mut Session, table: &str) -> Result<Vec<Row>, postgres::Error> {
    let mut rows = Vec::new();
    for message in session.simple_query(&format!("select * from {table}"))? {
        if let SimpleQueryMessage::Row(row) = message {
            let bytes = |text: &str| text.as_bytes().to_vec();
            let names = row.columns().iter().map(|column| bytes(column.name()));
            let values = (0..row.len()).map(|index| row.get(index).map(bytes));
            rows.push(names.zip(values).collect());
        }
    }
    Ok(rows)
}

/// How many rows are only on one side.
fn different(tables: &[Vec<Row>], replica: &Replica) -> usize {
    let differences = TABLES.iter().zip(tables).map(|(table, rows)| {
        let mut held: HashSet<Row> = replica.rows(table).collect();
        let missing = rows.iter().filter(|row| !held.remove(*row)).count();
        missing + held.len()
    });
    differences.sum()
}
