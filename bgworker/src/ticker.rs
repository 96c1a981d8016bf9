//! The process that serves one database: ticks, retries, maintenance.
//!
//! It goes by steps. A step looks whether the extension is (still) there, ticks the queues that are due if it is
//! time to look at them, and does one chore. So a long round of maintenance delays a tick by one chore, and a long
//! round of ticks delays maintenance, but neither ever keeps the other from its turn.

use crate::chore::{Operation, Work};
use crate::pace::Pace;
use crate::process::{Failure, Name, Process, Rounds, Settings, Stage};
use crate::schedule::Every;
use crate::stay::Stay;
use crate::trouble::Troubles;
use crate::version;
use std::collections::VecDeque;
use std::time::Duration;

/// One database. Every function that can fail is a transaction of its own: it is committed when it answers, and
/// rolled back when it fails.
pub trait Database: Process {
    /// The version of the extension that is installed here; `None`: it is not. Changes nothing.
    fn extension(&mut self) -> Result<Option<String>, Failure>;

    /// The queues that the tick rule wants ticked now. Changes nothing and assigns no transaction id, so that an
    /// idle database stays idle. What it remembers from look to look spares it most of the work; `afresh` makes it
    /// forget that.
    fn due_queues(&mut self, afresh: bool) -> Result<Vec<Name>, Failure>;

    /// Ticks a queue if that is still due.
    fn tick(&mut self, queues: &[Name]) -> Result<Vec<(Name, Failure)>, Failure>;

    /// Whether a consumer waits at the end of a queue that may have news. Asks shared memory only.
    fn is_wanted(&mut self) -> bool;

    /// Ticks the queues that have news for somebody who waits, however young their newest ticks are, but for those
    /// to be spared; says which could not be ticked. One transaction for all, so that they share the wait for the
    /// disk, in which each stands for itself. Who waits has to say so again after that.
    fn tick_wanted(&mut self, spared: &dyn Fn(&Name) -> bool) -> Result<Wanted, Failure>;

    /// Brings back some events that a consumer wanted again; says how many.
    fn retry(&mut self) -> Result<i64, Failure>;

    /// What maintenance there is to do, in order.
    fn operations(&mut self) -> Result<Vec<Operation>, Failure>;

    /// Does one thing of that; an answer that is not zero asks for another call.
    fn perform(&mut self, operation: &Operation) -> Result<i64, Failure>;

    /// The queues with more ticks than anybody needs. Changes nothing.
    fn crowded_queues(&mut self) -> Result<Vec<Name>, Failure>;

    /// Forgets some such ticks of a queue; whether there may be more.
    fn thin(&mut self, queue: &Name) -> Result<bool, Failure>;

    /// Whether somebody needs the database for himself.
    fn is_sent_away(&mut self) -> bool;

    /// Whether other databases wait for a place.
    fn is_room_wanted(&mut self) -> bool;

    /// Takes it upon itself to make a place; false: others have done so.
    fn makes_room(&mut self) -> bool;

    /// Leaves to the next ticker of this database when the rounds were done. To be called before the last report.
    fn hand_over(&mut self, rounds: Rounds);

    /// Tells the launcher how far this process has come.
    fn report(&mut self, stage: Stage);

    /// Writes a failure down for the statistics, each time; the log hears of it less often.
    fn note_failure(&mut self, work: &Work, failure: &Failure);
}

/// So many queues share a transaction: their events are late by the time that it takes.
const AT_ONCE: usize = 50;

/// What is found by marks in memory is looked for without them this often.
const FRESH_LOOK_PERIOD: Duration = Duration::from_secs(60);

/// How often ticks are looked through that nobody needs any more.
const THINNING_PERIOD: Duration = Duration::from_secs(10);

/// A chore that asks for another call is called so often before the others get their turn.
const CALLS_IN_A_ROW: u32 = 1000;

/// Serves the database, where the rounds were done last at these times, until there is a reason to leave, and tells it
/// to the launcher.
pub fn serve(database: &mut impl Database, rounds: Rounds) {
    let mut ticker = Ticker::new(rounds, database.now());
    loop {
        match ticker.step(database) {
            Next::Wait(pause) => database.wait(pause),
            Next::Leave(stage) => return database.report(stage),
        }
    }
}

/// What came of ticks that consumers waited for.
#[derive(Debug, Default)]
pub struct Wanted {
    /// How many events they brought.
    pub events: u64,
    /// The queues that could not be ticked, and why.
    pub failed: Vec<(Name, Failure)>,
}

/// What a step wants to happen before the next one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Wait(Duration),
    Leave(Stage),
}

/// What this process remembers. All of it may be lost: whoever comes next begins with a full round.
#[derive(Debug, Default)]
pub(crate) struct Ticker {
    stay: Stay,
    looks: Every,
    ticks: Every,
    fresh_looks: Every,
    pace: Pace,
    rounds: Rounds,
    chores: VecDeque<Chore>,
    troubles: Troubles<Work>,
    /// The installed version that has been found to be none of ours.
    foreign: Option<String>,
    serving: bool,
}

#[derive(Debug)]
struct Chore {
    work: Work,
    calls: u32,
}

/// Of each kind there is one round at a time.
#[derive(PartialEq, Eq)]
enum Kind {
    Retry,
    Thinning,
    Maintenance,
}

impl Kind {
    fn of(chore: &Work) -> Kind {
        match chore {
            Work::Retry => Kind::Retry,
            Work::LookForCrowded | Work::Thin(_) => Kind::Thinning,
            _ => Kind::Maintenance,
        }
    }
}

impl Ticker {
    pub(crate) fn new(rounds: Rounds, now: Duration) -> Self {
        Ticker { rounds, stay: Stay::from(now), ..Ticker::default() }
    }

    pub(crate) fn step(&mut self, database: &mut impl Database) -> Next {
        match self.work(database) {
            Next::Wait(pause) if self.chores.is_empty() && database.is_room_wanted() => {
                self.yield_place(database, pause)
            }
            next => {
                self.stay.may_last();
                next
            }
        }
    }

    fn work(&mut self, database: &mut impl Database) -> Next {
        if database.is_sent_away() {
            return Next::Leave(Stage::SentAway);
        }
        let settings = database.settings();
        if !settings.ticker {
            return Next::Leave(Stage::SwitchedOff);
        }
        let is_uncertain = !self.serving || self.foreign.is_some();
        if (self.looks.begins(database.now(), settings.ticker_period) || is_uncertain)
            && let Some(next) = self.look(database, &settings)
        {
            return next;
        }
        if database.is_wanted() && self.pace.next(settings.tick_interval) <= database.now() {
            self.tick_wanted_queues(database);
        }
        if self.ticks.begins(database.now(), settings.ticker_period) {
            self.tick_due_queues(database);
        }
        self.plan_chores(database.now(), &settings);
        if let Some(chore) = self.chores.pop_front() {
            self.do_chore(database, chore);
        }
        let pause = self.pause(database.now(), &settings);
        match database.is_wanted() && self.troubles.allow(&Work::TickWanted, database.now()) {
            true => {
                Next::Wait(pause.min(self.pace.next(settings.tick_interval).saturating_sub(database.now())))
            }
            false => Next::Wait(pause),
        }
    }

    /// Everything that is due has been done, and others wait for a place.
    fn yield_place(&mut self, database: &mut impl Database, pause: Duration) -> Next {
        let now = database.now();
        let end = self.stay.ends_at(now);
        if end > now {
            return Next::Wait(pause.min(end - now));
        }
        if !database.makes_room() {
            return Next::Wait(pause);
        }
        if self.foreign.is_some() {
            return Next::Leave(Stage::NoExtension);
        }
        database.hand_over(self.rounds);
        Next::Leave(if self.troubles.are_none() { Stage::Relieved } else { Stage::Troubled })
    }

    /// Sees whether the extension is here and ours to serve; if not, says what to do instead.
    fn look(&mut self, database: &mut impl Database, settings: &Settings) -> Option<Next> {
        match database.extension() {
            Err(failure) => {
                self.failed(database, Work::Look, failure);
                return Some(Next::Wait(settings.check_period.min(Duration::from_secs(10))));
            }
            Ok(None) => return Some(Next::Leave(Stage::NoExtension)),
            Ok(Some(version)) if !version::understands(version::LIBRARY, &version) => {
                self.announce(database);
                if self.foreign.as_ref() != Some(&version) {
                    database.log(&format!(
                        "extension pgq {version} is not served by this library of version {}: after an update \
                         of either, ALTER EXTENSION pgq UPDATE or a restart of the server brings them together",
                        version::LIBRARY
                    ));
                    self.foreign = Some(version);
                }
                return Some(Next::Wait(settings.check_period));
            }
            Ok(Some(_)) => {}
        }
        self.well(database, &Work::Look);
        self.foreign = None;
        self.announce(database);
        None
    }

    fn announce(&mut self, database: &mut impl Database) {
        if !self.serving {
            self.serving = true;
            database.report(Stage::Serving);
        }
    }

    fn tick_due_queues(&mut self, database: &mut impl Database) {
        let afresh = self.fresh_looks.begins(database.now(), FRESH_LOOK_PERIOD);
        let due = self.attempt(database, Work::LookForDue, |database| database.due_queues(afresh));
        let Some(due) = due else { return };
        let now = database.now();
        let due = due.into_iter().filter(|queue| self.troubles.allow(&Work::Tick(queue.clone()), now));
        for queues in due.collect::<Vec<_>>().chunks(AT_ONCE) {
            match database.tick(queues) {
                Ok(failed) => self.take_note(database, queues, failed),
                // What spoils the commit may be the fault of one.
                Err(_) => queues.iter().for_each(|queue| {
                    let alone = std::slice::from_ref(queue);
                    let failed =
                        database.tick(alone).unwrap_or_else(|failure| vec![(queue.clone(), failure)]);
                    self.take_note(database, alone, failed);
                }),
            }
        }
    }

    /// These queues were to be ticked, and some of them failed.
    fn take_note(&mut self, database: &mut impl Database, queues: &[Name], failed: Vec<(Name, Failure)>) {
        for queue in queues.iter().filter(|queue| failed.iter().all(|(name, _)| name != *queue)) {
            self.well(database, &Work::Tick(queue.clone()));
        }
        for (queue, failure) in failed {
            self.went_wrong(database, Work::Tick(queue), failure);
        }
    }

    fn tick_wanted_queues(&mut self, database: &mut impl Database) {
        let now = database.now();
        let troubles = &self.troubles;
        let spared = |queue: &Name| !troubles.allow(&Work::Tick(queue.clone()), now);
        let outcome = match self.troubles.allow(&Work::TickWanted, now) {
            true => database.tick_wanted(&spared),
            false => return,
        };
        self.stay.was_busy(now);
        let since = self.pace.begin(now);
        match outcome {
            Ok(Wanted { events, failed }) => {
                self.pace.brought(events, since);
                self.well(database, &Work::TickWanted);
                self.take_note(database, &[], failed);
            }
            Err(failure) => self.went_wrong(database, Work::TickWanted, failure),
        }
    }

    fn plan_chores(&mut self, now: Duration, settings: &Settings) {
        let is_at_work = |kind: Kind| self.chores.iter().any(|chore| kind == Kind::of(&chore.work));
        let plans = [
            (Kind::Retry, Work::Retry, &mut self.rounds.retries, settings.retry_period),
            (Kind::Thinning, Work::LookForCrowded, &mut self.rounds.thinning, THINNING_PERIOD),
            (Kind::Maintenance, Work::Plan, &mut self.rounds.maintenance, settings.maint_period),
        ];
        let planned = plans.map(|(kind, first, every, period)| {
            (!is_at_work(kind) && every.begins(now, period)).then_some(Chore { work: first, calls: 0 })
        });
        self.chores.extend(planned.into_iter().flatten());
    }

    fn do_chore(&mut self, database: &mut impl Database, chore: Chore) {
        let Chore { work, calls } = chore;
        let answer = match &work {
            Work::Plan => {
                let operations = self.attempt(database, Work::Plan, Database::operations);
                let works = operations.into_iter().flatten().map(Work::Operation);
                self.chores.extend(works.map(|work| Chore { work, calls: 0 }));
                return;
            }
            Work::LookForCrowded => {
                let queues = self.attempt(database, Work::LookForCrowded, Database::crowded_queues);
                let works = queues.into_iter().flatten().map(Work::Thin);
                self.chores.extend(works.map(|work| Chore { work, calls: 0 }));
                return;
            }
            Work::Thin(queue) => {
                self.attempt(database, work.clone(), |database| database.thin(queue)).map(i64::from)
            }
            Work::Retry => self.attempt(database, Work::Retry, Database::retry),
            Work::Operation(operation) => {
                self.attempt(database, work.clone(), |database| database.perform(operation))
            }
            Work::Look | Work::LookForDue | Work::TickWanted | Work::Tick(_) => {
                unreachable!("not a chore: {work}")
            }
        };
        let again = answer.is_some_and(|answer| answer != 0);
        if again && calls + 1 < CALLS_IN_A_ROW {
            self.chores.push_front(Chore { work, calls: calls + 1 });
        } else if again && work == Work::Retry {
            self.chores.push_back(Chore { work, calls: 0 });
        }
    }

    /// Does work unless it is pausing after failures.
    fn attempt<D: Database, T>(
        &mut self,
        database: &mut D,
        work: Work,
        action: impl FnOnce(&mut D) -> Result<T, Failure>,
    ) -> Option<T> {
        if !self.troubles.allow(&work, database.now()) {
            return None;
        }
        match action(database) {
            Ok(answer) => {
                self.well(database, &work);
                Some(answer)
            }
            Err(failure) => {
                self.went_wrong(database, work, failure);
                None
            }
        }
    }

    fn well(&mut self, database: &mut impl Database, work: &Work) {
        self.troubles.succeeded(work).inspect(|line| database.log(line));
    }

    /// A failure is remembered and logged, and concerns nothing else; only when the extension has gone meanwhile it is no
    /// failure, the next step will see to that.
    fn went_wrong(&mut self, database: &mut impl Database, work: Work, failure: Failure) {
        if database.extension() != Ok(None) {
            self.failed(database, work, failure);
        }
    }

    fn failed(&mut self, database: &mut impl Database, work: Work, failure: Failure) {
        database.note_failure(&work, &failure);
        let now = database.now();
        self.troubles.failed(work, now, failure).inspect(|line| database.log(line));
    }

    fn pause(&self, now: Duration, settings: &Settings) -> Duration {
        if !self.chores.is_empty() {
            return Duration::ZERO;
        }
        self.ticks
            .next(settings.ticker_period)
            .min(self.rounds.next(settings).min(self.rounds.thinning.next(THINNING_PERIOD)))
            .saturating_sub(now)
    }
}

#[cfg(test)]
mod tests;
