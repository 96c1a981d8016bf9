//! The processes of the ticker, as the server sees them: `pgq_bgworker` decides, here its wishes become
//! transactions.

use crate::error::{Error, Result};
use crate::pg::children::{self, Child};
use crate::pg::databases;
use crate::pg::demand::{self, Queues};
use crate::pg::failpoint;
use crate::pg::memory;
use crate::pg::newcomer;
use crate::pg::process;
use crate::pg::seat::{self, Seat};
use crate::pg::spi::{Row, Statement, View};
use crate::pg::text::Text;
use crate::pg::utility;
use crate::pg::vacuum;
use crate::pg::xact;
use crate::queue::rotation::{self, Prospect};
use crate::queue::{maintenance, storage};
use crate::tick::{self, Queue, Resting, Thinning};
use crate::{guc, pg, stats};
use pgq_bgworker::{
    Candidate, Cluster, Counts, Database, Demand, Failure, Name, Operation, Process, Rounds, Settings, Stage,
    Verb, Wanted, Work,
};
use pgrx::pg_sys::Oid;
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The processes' kinds, as `pg_stat_activity.backend_type` shows them.
const LAUNCHER: &CStr = c"pgq launcher";
const TICKER: &CStr = c"pgq ticker";

/// Adds the launcher to what the server starts. Only while libraries are being preloaded.
pub fn register() {
    // Before there are other processes, so that they share it.
    LazyLock::force(&START);
    memory::request();
    utility::watch();
    newcomer::watch();
    children::register_launcher(c"pgq_launcher_main", LAUNCHER);
}

/// The launcher's life.
pub fn launcher() -> ! {
    process::begin(None);
    seat::wake_me();
    children::end_them_with_me();
    pgq_bgworker::launch(&mut Server::default())
}

/// The life of the ticker of a database.
pub fn ticker(database: Oid, seat: Seat) {
    seat.sit_down();
    process::begin(Some(database));
    let mut served = Served { seat, resting: Resting::default(), thinning: Thinning::default() };
    pgq_bgworker::serve(&mut served, seat.rounds());
}

/// The server, from the launcher's place.
#[derive(Default)]
struct Server {
    /// What `pgq.databases` names that does not exist, as the log was told.
    unknown: Vec<Vec<u8>>,
}

/// A database, from its ticker's place.
struct Served {
    seat: Seat,
    resting: Resting,
    thinning: Thinning,
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

macro_rules! process {
    ($($kind:ty),*) => { $(
        impl Process for $kind {
            fn now(&mut self) -> Duration {
                START.elapsed()
            }

            fn settings(&mut self) -> Settings {
                process::reload_if_asked();
                guc::settings()
            }

            fn wait(&mut self, at_most: Duration) {
                process::wait(at_most);
            }

            fn log(&mut self, line: &str) {
                pg::call::log(format!("{}: {}", Text(&process::name()), Text(line.as_bytes())));
            }
        }
    )* };
}
process!(Server, Served);

impl Server {
    /// Tells the log once what `pgq.databases` names in vain.
    fn tell_unknown(&mut self, unknown: Vec<Vec<u8>>) {
        if unknown != self.unknown {
            for name in &unknown {
                self.log(&format!("pgq.databases: there is no database \"{}\"", Text(name)));
            }
            self.unknown = unknown;
        }
    }
}

impl Cluster for Server {
    type Ticker = Child;

    fn databases(&mut self) -> Result<Vec<Candidate>, Failure> {
        // In this order: one that comes between the two is not taken for gone.
        let (known, known_to_stats) = (demand::databases(), stats::databases());
        let (rows, chosen) = work("list databases", || Ok((databases::list(), guc::databases())))?;
        let all: BTreeSet<u32> = rows.iter().map(|row| row.oid.to_u32()).collect();
        known.into_iter().filter(|oid| !all.contains(oid)).for_each(demand::forget);
        self.tell_unknown(
            chosen.iter().filter(|name| rows.iter().all(|row| row.name != **name)).cloned().collect(),
        );
        let is_chosen = |row: &databases::Row| chosen.is_empty() || chosen.contains(&row.name);
        let served: Vec<_> = rows.into_iter().filter(|row| row.can_be_served && is_chosen(row)).collect();
        let served_oids: BTreeSet<u32> = served.iter().map(|row| row.oid.to_u32()).collect();
        known_to_stats.into_iter().filter(|oid| !served_oids.contains(oid)).for_each(stats::forget_database);
        Ok(served.into_iter().map(|row| Candidate { oid: row.oid.to_u32(), name: Name(row.name) }).collect())
    }

    fn newcomers(&mut self) -> Vec<u32> {
        seat::newcomers()
    }

    fn claimed(&mut self) -> Vec<u32> {
        seat::claimed()
    }

    fn demand(&mut self, database: u32) -> Demand {
        demand::in_database(database)
    }

    fn start(&mut self, candidate: &Candidate, rounds: Rounds) -> Option<Child> {
        Child::start(c"pgq_ticker_main", TICKER, Oid::from(candidate.oid), &candidate.name.0, rounds)
    }

    fn stage(&mut self, ticker: &Child) -> (Stage, bool) {
        // In this order: what is said before the end is heard.
        let alive = ticker.is_alive();
        (ticker.seat.stage(), alive)
    }

    fn take_counts(&mut self) -> Counts {
        stats::take_counts()
    }

    fn rounds(&mut self, ticker: &Child) -> Rounds {
        ticker.seat.rounds()
    }

    fn send_away(&mut self, database: u32) {
        seat::send_away(Oid::from(database));
    }

    fn want_room(&mut self, tickers: usize) {
        seat::want_room(tickers);
    }
}

impl Served {
    /// Has a queue switch to its next table, or takes the tick without which it cannot: then it is to be called again.
    fn rotate(&mut self, function: Text, queue: Text) -> Result<i64, Failure> {
        let (answer, taken, switched) =
            work(&format!("{function}('{queue}')"), || match rotation::prospect(queue) {
                Prospect::Pointless => Ok((0, None, None)),
                Prospect::NeedsTick => {
                    let taken = tick::tick_for_rotation(queue)?;
                    Ok((taken.is_some().into(), taken, None))
                }
                Prospect::Possible => {
                    let answer = maintenance::call(function, Some(queue))?;
                    Ok((answer, None, rotation::switched_here(queue)))
                }
            })?;
        stats::ticked(taken.as_slice(), false);
        // It goes on resting at this tick, which the next look finds out.
        if let Some(tick) = &taken {
            let mut queues = Queues::default();
            queues.add(tick.queue_id);
            self.resting.wake(&queues);
        }
        switched.into_iter().for_each(stats::rotated);
        Ok(answer)
    }
}

impl Database for Served {
    fn extension(&mut self) -> Result<Option<String>, Failure> {
        static VERSION: Statement = Statement::reading(
            "SELECT extversion FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'pgq'",
            &[],
        );
        work("look for the extension", || {
            let row = VERSION.rows_in(View::Latest, &[]).first();
            Ok(row.and_then(|row| Some(row.text(0)?.to_string())))
        })
    }

    fn due_queues(&mut self, afresh: bool) -> Result<Vec<Name>, Failure> {
        if afresh {
            self.resting.forget();
        }
        if !self.resting.needs_a_look() {
            stats::still_rests();
            return Ok(Vec::new());
        }
        let due = work("look for queues to tick", || Ok(self.resting.due_queues()));
        match due {
            Ok(_) => stats::looked(),
            Err(_) => self.resting.forget(),
        }
        Ok(due?.into_iter().map(Name).collect())
    }

    fn tick(&mut self, queues: &[Name]) -> Result<Vec<(Name, Failure)>, Failure> {
        let names: Vec<Text> = queues.iter().map(|queue| Text(&queue.0)).collect();
        let outcome = work("tick queues that are due", || Ok(tick::tick_due(&names)))?;
        failpoint::hit(failpoint::TICK_COMMITTED);
        stats::ticked(&outcome.taken, false);
        Ok(named(outcome.failed))
    }

    fn is_wanted(&mut self) -> bool {
        demand::is_wanted()
    }

    fn tick_wanted(&mut self, spared: &dyn Fn(&Name) -> bool) -> Result<Wanted, Failure> {
        let marks = demand::take_wanted();
        self.resting.wake(&marks);
        let outcome = work("tick queues for consumers that wait", || {
            Ok(tick::tick_wanted(&marks, |name| spared(&Name(name.0.to_vec()))))
        });
        failpoint::hit(failpoint::TICK_COMMITTED);
        let mut ticked = Queues::default();
        outcome.iter().flat_map(|outcome| &outcome.taken).for_each(|tick| ticked.add(tick.queue_id));
        let missed = marks.without(&ticked);
        demand::put_down(&missed);
        if !missed.are_none() {
            self.resting.doubt_marks();
        }
        let outcome = outcome?;
        stats::ticked(&outcome.taken, true);
        let events = outcome.taken.iter().map(|ticks| ticks.events.max(0).cast_unsigned()).sum();
        Ok(Wanted { events, failed: named(outcome.failed) })
    }

    fn retry(&mut self) -> Result<i64, Failure> {
        static RETRY: Statement = Statement::changing("SELECT pgq.maint_retry_events()", &[]);
        work("pgq.maint_retry_events()", || {
            xact::limit_lock_waits(tick::PATIENCE_MS);
            let moved = maintenance::as_admin(|| RETRY.rows(&[]))?.first().and_then(|row| row.int(0));
            Ok(moved.map_or(0, i64::from))
        })
        .inspect(|events| stats::retried(*events))
    }

    fn operations(&mut self) -> Result<Vec<Operation>, Failure> {
        static OPERATIONS: Statement =
            Statement::reading("SELECT func_name, func_arg FROM pgq.maint_operations()", &[]);
        work("pgq.maint_operations()", || {
            let rows = OPERATIONS.rows(&[]).into_iter();
            let listed = rows.filter_map(|row| Some(Operation::of_row(name(&row, 0)?, name(&row, 1))));
            let grown = storage::tables_without_statistics().into_iter();
            let analyze = |table| Operation::Tend { verb: Verb::Analyze, table: Name(table) };
            Ok(listed.chain(grown.map(analyze)).collect())
        })
        .inspect(|_: &Vec<Operation>| stats::planned())
    }

    fn perform(&mut self, operation: &Operation) -> Result<i64, Failure> {
        let answer = match operation {
            Operation::Tend { verb, table } => work(&operation.to_string(), || {
                vacuum::run(verb.sql(), Text(&table.0));
                Ok(0)
            }),
            Operation::Call { function, argument: Some(queue) } if function.0 == ROTATION => {
                self.rotate(Text(&function.0), Text(&queue.0))
            }
            Operation::Call { function, argument } => work(&operation.to_string(), || {
                if function.0 == b"pgq.maint_rotate_tables_step2" {
                    failpoint::hit(failpoint::ROTATE_BETWEEN_STEPS);
                }
                maintenance::call(Text(&function.0), argument.as_ref().map(|argument| Text(&argument.0)))
            }),
        };
        answer.inspect(|_| stats::operated())
    }

    fn crowded_queues(&mut self) -> Result<Vec<Name>, Failure> {
        if !std::mem::take(&mut self.resting.was_disturbed) {
            return Ok(Vec::new());
        }
        work("look for ticks that nobody needs", || {
            Ok(self.thinning.crowded_queues().into_iter().map(Name).collect())
        })
    }

    fn thin(&mut self, queue: &Name) -> Result<bool, Failure> {
        let queue = Text(&queue.0);
        work(&format!("thin the ticks of queue \"{queue}\""), || self.thinning.thin(queue))
    }

    fn is_sent_away(&mut self) -> bool {
        self.seat.stage() == Stage::SentAway
    }

    fn is_room_wanted(&mut self) -> bool {
        seat::is_room_wanted()
    }

    fn makes_room(&mut self) -> bool {
        seat::make_room()
    }

    fn hand_over(&mut self, rounds: Rounds) {
        self.seat.hand_over(rounds);
    }

    fn report(&mut self, stage: Stage) {
        match stage {
            Stage::Serving => {
                demand::wake_me();
                stats::begin();
            }
            Stage::NoExtension => stats::end(),
            _ => (),
        }
        self.seat.say(stage);
    }

    fn note_failure(&mut self, what: &Work, failure: &Failure) {
        let number_of = |name: &Name| {
            work("look for the queue that failed", || Ok(Queue::id_of(Text(&name.0)))).ok().flatten()
        };
        stats::failed(what.queue().and_then(number_of), &format!("{what}: {failure}"));
    }
}

/// The function by which a queue switches to its next event table.
const ROTATION: &[u8] = b"pgq.maint_rotate_tables_step1";

fn name(row: &Row, column: usize) -> Option<Name> {
    row.text(column).map(|text| Name(text.0.to_vec()))
}

fn work<T>(activity: &str, work: impl FnOnce() -> Result<T>) -> Result<T, Failure> {
    process::transaction(activity, work).map_err(told)
}

fn named(failed: Vec<(Vec<u8>, Error)>) -> Vec<(Name, Failure)> {
    failed.into_iter().map(|(name, error)| (Name(name), told(error))).collect()
}

/// An error as one line of the log.
fn told(error: Error) -> Failure {
    match error.detail {
        Some(detail) => Failure(format!("{} ({detail})", error.message)),
        None => Failure(error.message),
    }
}
