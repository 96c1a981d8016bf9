//! Exactly once: whoever dies, and whenever, each event takes effect in the other database one time.

use super::target;
use crate::scene;
use pgq_tests::client::{Session, connection_lost};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{self, Batch, Consumer, Event};

/// How the consumer remembers what it has done.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// `set_batch_done` in the transaction of the batch.
    Batch,
    /// `is_batch_done` before it, and `set_batch_done` at its end.
    BatchLast,
    /// `set_event_done`, a transaction an event.
    Event,
    /// `set_event_done` for all in one transaction.
    Events,
    /// `get_last_tick`, and `set_last_tick` in the transaction of the batch.
    Tick,
}

const WAYS: [Way; 5] = [Way::Batch, Way::BatchLast, Way::Event, Way::Events, Way::Tick];

/// The consumer's part is over: its session in the target has gone, or it died itself.
struct Lost;

impl From<postgres::Error> for Lost {
    fn from(error: postgres::Error) -> Self {
        assert!(connection_lost(&error), "{error:?}");
        Self
    }
}

/// What happens after which step.
struct Fate<'a> {
    /// Whether it is after this step.
    comes_after: Box<dyn FnMut(&str) -> bool + 'a>,
    /// What happens to the session in the target.
    blow: Box<dyn FnMut(&Session) + 'a>,
    /// Whether the consumer dies with it.
    is_death: bool,
    has_come: bool,
}

/// A consumer's program, from start to end or death.
struct Program<'a, 'b> {
    way: Way,
    consumer: &'a Consumer,
    /// What it calls itself in the target.
    names: &'a str,
    source: Session,
    target: Session,
    fate: &'a mut Fate<'b>,
}

impl Program<'_, '_> {
    fn step<T>(&mut self, name: &str, done: T) -> Result<T, Lost> {
        if !self.fate.has_come && (self.fate.comes_after)(name) {
            self.fate.has_come = true;
            (self.fate.blow)(&self.target);
            if self.fate.is_death {
                return Err(Lost);
            }
        }
        Ok(done)
    }

    fn run(&mut self, name: &str, sql: &str) -> Result<(), Lost> {
        self.target.batch_execute(sql)?;
        self.step(name, ())
    }

    fn ask<T: postgres::types::FromSqlOwned>(&mut self, function: &str, ids: &str) -> Result<T, Lost> {
        let answer =
            self.target.query_one(&format!("select pgq_ext.{function}({}{ids})", self.names), &[])?.get(0);
        self.step(function, answer)
    }

    fn apply(&mut self, event: &Event) -> Result<(), Lost> {
        self.run("apply", &format!("insert into applied values ({})", event.id))
    }

    fn apply_all(&mut self, events: &[Event]) -> Result<(), Lost> {
        events.iter().try_for_each(|event| self.apply(event))
    }

    fn do_work(&mut self, batch: &Batch, events: &[Event]) -> Result<(), Lost> {
        let id = format!(", {}", batch.id);
        match self.way {
            Way::Batch => {
                self.run("begin", "begin")?;
                if self.ask("set_batch_done", &id)? {
                    self.apply_all(events)?;
                }
                self.run("commit", "commit")
            }
            Way::BatchLast => {
                if self.ask("is_batch_done", &id)? {
                    return Ok(());
                }
                self.run("begin", "begin")?;
                self.apply_all(events)?;
                assert!(self.ask::<bool>("set_batch_done", &id)?);
                self.run("commit", "commit")
            }
            Way::Event => events.iter().try_for_each(|event| {
                self.run("begin", "begin")?;
                if self.ask("set_event_done", &format!("{id}, {}", event.id))? {
                    self.apply(event)?;
                }
                self.run("commit", "commit")
            }),
            Way::Events => {
                self.run("begin", "begin")?;
                for event in events {
                    if self.ask("set_event_done", &format!("{id}, {}", event.id))? {
                        self.apply(event)?;
                    }
                }
                self.run("commit", "commit")
            }
            Way::Tick => {
                let last: Option<i64> = self.ask("get_last_tick", "")?;
                if last == Some(batch.tick) {
                    return Ok(());
                }
                assert!(last.is_none_or(|last| last == batch.prev_tick), "{last:?} {batch:?}");
                self.run("begin", "begin")?;
                self.apply_all(events)?;
                self.ask::<i32>("set_last_tick", &format!(", {}", batch.tick))?;
                self.run("commit", "commit")
            }
        }
    }

    fn consume(&mut self) -> Result<(), Lost> {
        while let Some(batch) = self.consumer.next_batch(&mut self.source).unwrap() {
            self.step("next_batch", ())?;
            let events = batch.events(&mut self.source).unwrap();
            self.step("read", ())?;
            self.do_work(&batch, &events)?;
            assert!(batch.finish(&mut self.source).unwrap());
            self.step("finish", ())?;
        }
        Ok(())
    }
}

/// A queue `q` in one database, with its consumer `c`; what it does goes to another.
struct Scene<'a> {
    source: &'a dyn Fn() -> Session,
    target: &'a dyn Fn() -> Session,
    consumer: &'a Consumer,
    sent: Vec<i64>,
}

impl Scene<'_> {
    /// Sends two batches, which are consumed in the end, whatever comes; and each event once.
    fn all_is_done_once(&mut self, way: Way, names: &str, fate: &mut Fate) {
        let mut producer = (self.source)();
        for count in [2, 1] {
            self.sent.extend((0..count).map(|_| queue::insert(&mut producer, "q", "t", "d").unwrap()));
            queue::tick_now(&mut producer, "q").unwrap();
        }
        loop {
            let (source, target) = ((self.source)(), (self.target)());
            let mut program = Program { way, consumer: self.consumer, names, source, target, fate };
            if program.consume().is_ok() {
                break;
            }
            assert!(program.fate.has_come);
        }
        let applied: Vec<i64> = (self.target)().column("select event from applied order by event", &[]);
        assert_eq!(applied, self.sent, "{way:?}");
    }
}

/// Strikes after every step, one after the other.
fn after_every_step(way: Way, names: &str, is_death: bool) {
    let (source, _session, consumer) = scene::with_consumer("ext");
    let (target, mut monitor) = target("ext");
    monitor.exec("create table applied (event bigint)");
    let (from, to) = (|| source.connect(), || target.connect());
    let mut scene = Scene { source: &from, target: &to, consumer: &consumer, sent: Vec::new() };
    for number in 1.. {
        let mut steps = 0;
        let mut fate = Fate {
            comes_after: Box::new(|_| {
                steps += 1;
                steps == number
            }),
            blow: Box::new(|session| {
                assert!(monitor.one::<bool>("select pg_terminate_backend($1, 60000)", &[&session.pid()]));
            }),
            is_death,
            has_come: false,
        };
        scene.all_is_done_once(way, names, &mut fate);
        if !fate.has_come {
            assert!(number > 10, "{way:?} has {number} steps");
            break;
        }
    }
}

#[test]
fn the_session_in_the_target_ends_between_any_two_steps() {
    for way in WAYS {
        after_every_step(way, "'q', 'c', ''", false);
    }
}

#[test]
fn the_consumer_dies_between_any_two_steps() {
    for way in WAYS {
        after_every_step(way, "'c'", true);
    }
}

#[test]
fn the_target_loses_power_before_or_after_the_commit() {
    let (source, _session, consumer) = scene::with_consumer("ext");
    let mut cluster = Cluster::builder().durable().start();
    let socket = cluster.config("postgres", "postgres");
    let to = || Session::connect(&socket).unwrap();
    to().exec("create extension pgq; create extension pgq_ext; create table applied (event bigint)");
    let from = || source.connect();
    let mut scene = Scene { source: &from, target: &to, consumer: &consumer, sent: Vec::new() };
    for (way, step) in [
        (Way::Batch, "apply"),
        (Way::Batch, "commit"),
        (Way::Event, "set_event_done"),
        (Way::Event, "commit"),
        (Way::Tick, "set_last_tick"),
        (Way::Tick, "commit"),
    ] {
        let mut fate = Fate {
            comes_after: Box::new(|done| done == step),
            blow: Box::new(|_| {
                cluster.kill9();
                cluster.start_again();
            }),
            is_death: true,
            has_come: false,
        };
        // A position of its own for each way: they would know nothing of each other.
        scene.all_is_done_once(way, &format!("'{way:?}'"), &mut fate);
        assert!(fate.has_come, "{way:?}: {step}");
    }
}

#[test]
fn a_consumer_of_two_queues_has_two_positions() {
    let (source, mut session, consumer) = scene::with_consumer("ext");
    queue::create(&mut session, "r").unwrap();
    let other = Consumer::new("r", "c");
    other.register(&mut session).unwrap();
    let (target, mut monitor) = target("ext");
    monitor.exec("create table applied (event bigint)");
    for consumer in [&consumer, &other, &consumer, &other] {
        queue::insert(&mut session, &consumer.queue, "t", "d").unwrap();
        queue::tick_now(&mut session, &consumer.queue).unwrap();
        // The batch is done, and the consumer dies before it is finished.
        let mut fate = Fate {
            comes_after: Box::new(|step| step == "commit"),
            blow: Box::new(|_| ()),
            is_death: true,
            has_come: false,
        };
        let names = format!("'{}', 'c', ''", consumer.queue);
        let mut program = Program {
            way: Way::Tick,
            consumer,
            names: &names,
            source: source.connect(),
            target: target.connect(),
            fate: &mut fate,
        };
        assert!(program.consume().is_err());
        program.source = source.connect();
        assert!(program.consume().is_ok());
    }
    assert_eq!(monitor.one::<i64>("select count(*) from applied", &[]), 4);
}
