//! Consumers of every habit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postgres::{Client, Error};

use super::link::{Link, Outcome};
use super::{World, keys};
use crate::checker::{EventKey, Reader, Since};
use crate::queue::{Batch, Consumer, Reading};

/// Between two looks at an empty queue.
const POLL: Duration = Duration::from_millis(10);

/// What a consumer is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Takes batch after batch.
    Poller,
    /// Reads by cursor or by SQL text, and asks for batches of several ticks.
    Cursor,
    /// Stores results and position in one transaction of the same database.
    Applier,
    /// Stores results and position elsewhere (in this process, which no crash here touches), and does not wait for
    /// its own commits to be written: after a crash it may be given again what it has handled. It trusts that a tick it
    /// has seen never comes back with other contents.
    Distant,
    /// Registers, reads for a while, unregisters, comes back.
    Visitor,
}

struct Thread {
    world: Arc<World>,
    link: Link,
    habit: Habit,
    consumer: Consumer,
    reader: Reader,
    rng: fastrand::Rng,
    elsewhere: Elsewhere,
}

/// The store of [`Habit::Distant`].
#[derive(Default)]
struct Elsewhere {
    tick: i64,
    results: HashMap<EventKey, u32>,
}

/// How a look for a batch ended.
enum Step {
    Handled,
    Nothing,
    Broken(String),
}

/// Registers all who must be there before the first event, and lets all run.
pub(super) fn start_all(world: &Arc<World>, rng: &mut fastrand::Rng) -> Vec<JoinHandle<()>> {
    [Habit::Poller, Habit::Cursor, Habit::Applier, Habit::Distant, Habit::Visitor]
        .into_iter()
        .map(|habit| {
            let name = format!("{habit:?}").to_lowercase();
            let since = if habit == Habit::Visitor { Since::Later } else { Since::TheBeginning };
            let setup = if habit == Habit::Distant { "set synchronous_commit = off" } else { "" };
            let mut thread = Thread {
                world: Arc::clone(world),
                link: Link::new(Arc::clone(world), setup),
                habit,
                consumer: Consumer::new(&world.queue, &name),
                reader: world.checker().reader(&name, since),
                rng: rng.fork(),
                elsewhere: Elsewhere::default(),
            };
            if habit == Habit::Visitor {
                return std::thread::spawn(move || thread.visit());
            }
            if let Outcome::Refused(error) = thread.link.run(|client| {
                // Every word of it must survive the first crash, whatever the session's habit.
                client.batch_execute("begin; set local synchronous_commit = on")?;
                thread.consumer.register(client)?;
                client.batch_execute("commit")
            }) {
                world.fail(format!("register {name}: {error:?}"));
            }
            std::thread::spawn(move || {
                thread.work(None);
                thread.tell_results();
            })
        })
        .collect()
}

impl Thread {
    /// Handles batches until the end of the round, or of a visit.
    fn work(&mut self, until: Option<Instant>) {
        while !self.world.failed() {
            if until.is_some_and(|until| Instant::now() > until) {
                return;
            }
            match self.step() {
                Some(Step::Handled) => {}
                Some(Step::Nothing) if self.at_the_end() => return,
                Some(Step::Nothing) => std::thread::sleep(POLL),
                Some(Step::Broken(how)) => self.world.fail(format!("{}: {how}", self.consumer.name)),
                None if self.habit == Habit::Distant => self.world.checker().may_fall_back(self.reader),
                None => {}
            }
        }
    }

    /// One batch; `None` if the server went away.
    fn step(&mut self) -> Option<Step> {
        let reading = match (self.habit, self.rng.u32(0..4)) {
            (Habit::Cursor, 0) => Reading::Sql,
            (Habit::Cursor, 1) => Reading::Cursor(1000),
            (Habit::Cursor, _) => Reading::Cursor(7),
            _ => Reading::Events,
        };
        // At the end of the round ticks may be too few for a wish.
        let ending = self.world.last_tick.load(Ordering::Relaxed) != i64::MAX;
        let span = self.habit == Habit::Cursor && !ending && self.rng.bool();
        let Self { world, link, habit, consumer, reader, elsewhere, .. } = self;
        let outcome = link.run(|client| {
            let batch =
                if span { consumer.next_batch_of(client, "300 ms")? } else { consumer.next_batch(client)? };
            let Some(batch) = batch else { return Ok(Step::Nothing) };
            let events = batch.read(client, reading)?;
            let events = match keys(&events) {
                Ok(events) => events,
                Err(stranger) => return Ok(Step::Broken(stranger)),
            };
            world.checker().delivered(*reader, batch.prev_tick, batch.tick, events.clone());
            match habit {
                Habit::Applier => apply(client, &consumer.name, batch, &events)?,
                Habit::Distant => elsewhere.apply(batch, &events),
                _ => {}
            }
            world.checker().finishing(*reader, batch.tick);
            if !batch.finish(client)? {
                return Ok(Step::Broken(format!("its batch {batch:?} was not open any more")));
            }
            world.checker().finished(*reader, batch.tick);
            Ok(Step::Handled)
        });
        match outcome {
            Outcome::Done(step) => Some(step),
            Outcome::Lost => None,
            Outcome::Refused(error) => Some(Step::Broken(format!("{error:?}"))),
        }
    }

    fn at_the_end(&mut self) -> bool {
        let last = self.world.last_tick.load(Ordering::Relaxed);
        let consumer = &self.consumer;
        last != i64::MAX
            && matches!(self.link.run(|client| consumer.position(client)), Outcome::Done(at) if at >= last)
    }

    /// What is in the store, for the checker.
    fn tell_results(&mut self) {
        let name = &self.consumer.name;
        match self.habit {
            Habit::Distant => {
                let results = std::mem::take(&mut self.elsewhere.results);
                let keys = results.into_iter().flat_map(|(key, times)| (0..times).map(move |_| key));
                self.world.checker().applied(self.reader, keys);
            }
            Habit::Applier => {
                let rows = self
                    .link
                    .run(|client| client.query("select key from soak_result where reader = $1", &[name]));
                match rows {
                    Outcome::Done(rows) => self.world.checker().applied(
                        self.reader,
                        rows.iter().filter_map(|row| row.get::<_, String>(0).parse().ok()),
                    ),
                    _ => self.world.fail("the applier's results cannot be read".to_owned()),
                }
            }
            _ => {}
        }
    }

    /// Visits of some seconds, each a consumer of its own in the checker's eyes.
    fn visit(&mut self) {
        while self.world.producing() {
            std::thread::sleep(Duration::from_millis(self.rng.u64(0..1000)));
            let consumer = &self.consumer;
            match self.link.run(|client| consumer.register(client)) {
                Outcome::Done(_) => {}
                Outcome::Lost => continue,
                Outcome::Refused(error) => return self.world.fail(format!("register a visitor: {error:?}")),
            }
            let stay = Duration::from_millis(self.rng.u64(100..2500));
            self.work(Some(Instant::now() + stay));
            // If the answer gets lost it may still be registered, and the next visit begins where this one ended:
            // right as well.
            let consumer = &self.consumer;
            if let Outcome::Refused(error) = self.link.run(|client| consumer.unregister(client)) {
                return self.world.fail(format!("unregister a visitor: {error:?}"));
            }
            self.reader = self.world.checker().reader("visitor", Since::Later);
        }
    }
}

/// Results and position in one transaction; nothing if the position says that it has been done.
fn apply(client: &mut Client, name: &str, batch: Batch, events: &[(i64, EventKey)]) -> Result<(), Error> {
    let keys: Vec<String> = events.iter().map(|(_, key)| key.to_string()).collect();
    let mut transaction = client.transaction()?;
    let moved = transaction.execute(
        "insert into soak_position values ($1, $2)
         on conflict (reader) do update set tick = excluded.tick where soak_position.tick < excluded.tick",
        &[&name, &batch.tick],
    )?;
    if moved == 1 {
        transaction.execute("insert into soak_result select $1, unnest($2::text[])", &[&name, &keys])?;
    }
    transaction.commit()
}

impl Elsewhere {
    fn apply(&mut self, batch: Batch, events: &[(i64, EventKey)]) {
        if batch.tick <= self.tick {
            return;
        }
        self.tick = batch.tick;
        for (_, key) in events {
            *self.results.entry(*key).or_default() += 1;
        }
    }
}
