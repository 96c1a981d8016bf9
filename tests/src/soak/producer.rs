//! Producers: every kind of transaction that has ever lost an event, or might.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postgres::{Client, Error};

use super::link::{Link, Outcome};
use super::{PRODUCERS, World};
use crate::checker::Txn;

/// How long a transaction may linger, so that rotations pass over it.
const LINGER_MILLIS: u64 = 1500;

/// What a transaction is like.
#[derive(Clone, Copy, Debug)]
enum Style {
    /// Insert, commit.
    Plain,
    /// One statement, no BEGIN.
    Autocommit,
    /// Insert, roll back.
    RolledBack,
    /// Savepoints, some of them rolled back to.
    Savepoints,
    /// Inserts, pauses, inserts.
    Long,
    /// A snapshot first, events and transaction id much later.
    OldSnapshot(&'static str),
    /// PREPARE TRANSACTION; its end comes while the producer does other things.
    Prepared,
}

/// Prepared, and to be ended when it is due.
struct Pending {
    txn: Txn,
    commit: bool,
    due: Instant,
}

struct Producer {
    world: Arc<World>,
    link: Link,
    number: u32,
    rng: fastrand::Rng,
    /// Whether the server has the bulk function, which the original lacks.
    bulk: bool,
    pending: Vec<Pending>,
}

pub(super) fn start(world: &Arc<World>, number: u32, rng: fastrand::Rng) -> JoinHandle<()> {
    let setup = if number == PRODUCERS - 1 { "set synchronous_commit = off" } else { "" };
    let producer = Producer {
        world: Arc::clone(world),
        link: Link::new(Arc::clone(world), setup),
        number,
        rng,
        bulk: false,
        pending: Vec::new(),
    };
    std::thread::spawn(move || producer.run())
}

impl Producer {
    fn run(mut self) {
        let bulk = self.link.run(|client| {
            client.query_one("select count(*) > 0 from pg_proc where proname = 'insert_events'", &[])
        });
        self.bulk = matches!(bulk, Outcome::Done(row) if row.get(0));
        while self.world.producing() {
            let style = self.draw();
            self.transaction(style);
            self.end_pending(false);
            std::thread::sleep(Duration::from_millis(self.rng.u64(0..10)));
        }
        while !self.pending.is_empty() && !self.world.failed() {
            self.end_pending(true);
        }
    }

    fn draw(&mut self) -> Style {
        match self.rng.u32(0..100) {
            0..30 => Style::Plain,
            30..50 => Style::Autocommit,
            50..60 => Style::RolledBack,
            60..80 => Style::Savepoints,
            80..84 => Style::Long,
            84..90 => Style::OldSnapshot("repeatable read"),
            90..93 => Style::OldSnapshot("serializable"),
            _ => Style::Prepared,
        }
    }

    fn transaction(&mut self, style: Style) {
        let txn = self.world.checker().begin(self.number, &format!("{style:?}"));
        let mut writer = Writer { world: &self.world, txn, rng: &mut self.rng, bulk: self.bulk };
        match self.link.run(|client| writer.perform(client, style)) {
            Outcome::Done(End::Committed) => self.world.checker().settle(txn, true),
            Outcome::Done(End::RolledBack) => self.world.checker().settle(txn, false),
            Outcome::Done(End::Prepared) => self.prepared(txn),
            Outcome::Refused(error) => {
                self.world.checker().settle(txn, false);
                self.refused(&format!("{style:?}"), &error);
            }
            Outcome::Lost => match style {
                Style::Prepared => self.prepared(txn),
                _ => self.settle_by_ledger(txn),
            },
        }
    }

    /// It is prepared, or may be.
    fn prepared(&mut self, txn: Txn) {
        let due = Instant::now() + Duration::from_millis(self.rng.u64(0..LINGER_MILLIS));
        self.pending.push(Pending { txn, commit: self.rng.u32(0..10) < 7, due });
    }

    /// Ends the prepared transactions that are due, or all of them.
    fn end_pending(&mut self, all: bool) {
        let now = Instant::now();
        for Pending { txn, commit, due } in std::mem::take(&mut self.pending) {
            if !all && due > now {
                self.pending.push(Pending { txn, commit, due });
                continue;
            }
            let gid = gid(&self.world, txn);
            let world = &self.world;
            let ended = self.link.run(|client| {
                let there = client.query("select from pg_prepared_xacts where gid = $1", &[&gid])?;
                if there.is_empty() {
                    return Ok(None);
                }
                if commit {
                    world.checker().committing(txn);
                }
                let verb = if commit { "commit" } else { "rollback" };
                client.batch_execute(&format!("{verb} prepared '{gid}'"))?;
                Ok(Some(commit))
            });
            match ended {
                Outcome::Done(Some(committed)) => self.world.checker().settle(txn, committed),
                // A crash came between; it never was prepared, or it has been ended.
                Outcome::Done(None) => self.settle_by_ledger(txn),
                Outcome::Lost => self.pending.push(Pending { txn, commit, due }),
                Outcome::Refused(error) => self.world.fail(format!("end {gid}: {error:?}")),
            }
            if self.world.failed() {
                return;
            }
        }
    }

    /// The server died in the middle: what is in the ledger has committed.
    fn settle_by_ledger(&mut self, txn: Txn) {
        loop {
            let looked = self.link.run(|client| {
                client.query(
                    "select from soak_ledger where producer = $1 and number = $2",
                    &[&txn.producer.cast_signed(), &txn.number.cast_signed()],
                )
            });
            match looked {
                Outcome::Done(rows) => return self.world.checker().settle(txn, !rows.is_empty()),
                Outcome::Refused(error) => return self.world.fail(format!("the ledger: {error:?}")),
                Outcome::Lost if self.world.failed() => return,
                Outcome::Lost => {}
            }
        }
    }

    /// Of all refusals only those that isolation levels promise are fine.
    fn refused(&self, style: &str, error: &Error) {
        let code = error.as_db_error().map_or("", |error| error.code().code());
        if code != "40001" {
            self.world.fail(format!("{style}: {error:?}"));
        }
    }
}

fn gid(world: &World, txn: Txn) -> String {
    format!("{} {txn}", world.queue)
}

/// How a transaction ended.
enum End {
    Committed,
    RolledBack,
    Prepared,
}

/// The inside of one transaction.
struct Writer<'a> {
    world: &'a World,
    txn: Txn,
    rng: &'a mut fastrand::Rng,
    bulk: bool,
}

impl Writer<'_> {
    fn perform(&mut self, client: &mut Client, style: Style) -> Result<End, Error> {
        match style {
            Style::Autocommit => return self.autocommit(client),
            Style::OldSnapshot(level) => {
                client.batch_execute(&format!("begin isolation level {level}; select 1 from pgq.queue"))?;
                self.linger();
            }
            _ => client.batch_execute("begin")?,
        }
        match style {
            Style::Savepoints => self.savepoints(client)?,
            Style::Long => {
                self.insert(client)?;
                self.linger();
                self.insert(client)?;
            }
            _ => {
                self.insert(client)?;
            }
        }
        if matches!(style, Style::RolledBack) {
            client.batch_execute("rollback")?;
            return Ok(End::RolledBack);
        }
        // The last deed: written earlier, it would give the transaction its id earlier than the events do.
        client.batch_execute(&self.ledger_entry())?;
        if matches!(style, Style::Prepared) {
            self.world.checker().out_of_turn(self.txn);
            client.batch_execute(&format!("prepare transaction '{}'", gid(self.world, self.txn)))?;
            return Ok(End::Prepared);
        }
        self.world.checker().committing(self.txn);
        client.batch_execute("commit")?;
        Ok(End::Committed)
    }

    fn autocommit(&mut self, client: &mut Client) -> Result<End, Error> {
        let key = self.world.checker().write(self.txn);
        self.world.checker().committing(self.txn);
        let insert = format!("select pgq.insert_event('{}', 'autocommit', '{key}')", self.world.queue);
        client.batch_execute(&format!("{insert}; {}", self.ledger_entry()))?;
        Ok(End::Committed)
    }

    fn savepoints(&mut self, client: &mut Client) -> Result<(), Error> {
        for _ in 0..self.rng.u32(1..6) {
            client.batch_execute("savepoint s")?;
            let first = self.insert(client)?;
            match self.rng.u32(0..3) {
                0 => {
                    client.batch_execute("rollback to s")?;
                    self.world.checker().undo_from(self.txn, first);
                }
                1 => client.batch_execute("release s")?,
                // The next one nests in it.
                _ => {}
            }
        }
        Ok(())
    }

    /// Inserts a few events in one of the ways there are; the number of the first.
    fn insert(&mut self, client: &mut Client) -> Result<u32, Error> {
        let count = if self.rng.u32(0..20) == 0 { self.rng.usize(100..400) } else { self.rng.usize(1..6) };
        let (first, keys) = {
            let mut checker = self.world.checker();
            let keys: Vec<_> = (0..count).map(|_| checker.write(self.txn)).collect();
            (keys[0].seq, keys.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let queue = &self.world.queue;
        match self.rng.u32(0..if self.bulk { 4 } else { 3 }) {
            0 => {
                for key in &keys {
                    client.execute("select pgq.insert_event($1, 'one', $2)", &[queue, key])?;
                }
            }
            1 => {
                client.execute(
                    "select pgq.insert_event($1, 'many', key, 'a', null, '', 'd') from unnest($2::text[]) key",
                    &[queue, &keys],
                )?;
            }
            2 => {
                let table: String = client.query_one("select pgq.current_event_table($1)", &[queue])?.get(0);
                client.execute(
                    &format!(
                        "insert into {table} (ev_time, ev_type, ev_data)
                         select now(), 'table', key from unnest($1::text[]) key"
                    ),
                    &[&keys],
                )?;
                // Rows put there directly are seen by the ticker only if the sequence moves with them, which the
                // column's default does.
            }
            _ => {
                client.execute(
                    "select pgq.insert_events($1, array_fill('bulk'::text, array[cardinality($2::text[])]), $2)",
                    &[queue, &keys],
                )?;
            }
        }
        Ok(first)
    }

    fn linger(&mut self) {
        std::thread::sleep(Duration::from_millis(self.rng.u64(0..LINGER_MILLIS)));
    }

    fn ledger_entry(&self) -> String {
        format!("insert into soak_ledger values ({}, {})", self.txn.producer, self.txn.number)
    }
}
