//! The process that finds the databases and gives each of them a ticker, or if there are too many, each in its turn.
//!
//! Whether a database has the extension can only be seen from inside, and looking costs a process. So a database
//! that is new is looked into at once, as is one in which an extension has just been made; any other without the
//! extension every `check_period`; and never two at a time.
//!
//! While there is a place for each database that has the extension, each keeps its ticker. When there is not, tickers
//! come for visits: whoever is due asks for a place, and one that has nothing to do leaves. Those who are due come in
//! the order in which they became so, whatever the reason; thus none is forgotten.

use crate::counts::Counts;
use crate::process::{Failure, Name, Process, Rounds, Settings, Stage};
use crate::schedule::{Every, back_off};
use crate::trouble::Troubles;
use std::collections::BTreeMap;
use std::time::Duration;

/// The server, seen from outside its databases.
pub trait Cluster: Process {
    /// A ticker process that was started from here.
    type Ticker;

    /// The databases that are to be served: those that allow connections, are not templates, and are on the list
    /// `pgq.databases` if there is one.
    fn databases(&mut self) -> Result<Vec<Candidate>, Failure>;

    /// The databases in which an extension was made since the last call, as far as that is known.
    fn newcomers(&mut self) -> Vec<u32>;

    /// The databases that somebody has wanted for himself since the last call.
    fn claimed(&mut self) -> Vec<u32>;

    /// What is known of the queues of a database that has no ticker.
    fn demand(&mut self, database: u32) -> Demand;

    /// Starts a ticker there, which goes on with these rounds; `None` when the server has no room for one more process.
    fn start(&mut self, candidate: &Candidate, rounds: Rounds) -> Option<Self::Ticker>;

    /// What the ticker has said last, and whether it is alive.
    fn stage(&mut self, ticker: &Self::Ticker) -> (Stage, bool);

    /// What all tickers have done since the last call.
    fn take_counts(&mut self) -> Counts;

    /// What a ticker that has left for others has left to the next one.
    fn rounds(&mut self, ticker: &Self::Ticker) -> Rounds;

    /// Has the ticker of this database leave at once, whatever it does.
    fn send_away(&mut self, database: u32);

    /// So many tickers should make room for others when they have nothing to do.
    fn want_room(&mut self, tickers: usize);
}

/// A database that may have the extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its identity, which a rename does not change.
    pub oid: u32,
    /// Its name, to show.
    pub name: Name,
}

/// What can be told of a database from outside, by the marks that commits and consumers leave in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing has happened.
    Nothing,
    /// There are events.
    News,
    /// There are events, and a consumer waits for them.
    Wanted,
}

/// What fails when it fails.
const LIST: &str = "list of the databases";

/// That there is no room for a process is said this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(600);

/// A new database is found within this time.
const LIST_PERIOD: Duration = Duration::from_secs(1);

/// A ticker that has not found out after this time (somebody holds a lock on the database) keeps nobody waiting.
const LOOKING_LIMIT: Duration = Duration::from_secs(5);

/// Pauses before a database gets a ticker again, by the reason why it has none.
const AFTER_DEATH: Duration = Duration::from_millis(500);
const AFTER_TROUBLE: Duration = Duration::from_secs(1);
const AFTER_SENDING_AWAY: Duration = Duration::from_secs(5);

/// So long after the server had no room for one more process it is not asked again.
const AFTER_NO_ROOM: Duration = Duration::from_secs(10);

/// Launches tickers for ever.
pub fn launch(cluster: &mut impl Cluster) -> ! {
    let mut launcher = Launcher::default();
    loop {
        let pause = launcher.step(cluster);
        cluster.wait(pause);
    }
}

/// What the launcher knows. It is lost with the process: that takes its tickers along, and the next one begins anew.
#[derive(Debug)]
pub(crate) struct Launcher<T> {
    databases: BTreeMap<u32, Known<T>>,
    list: Every,
    troubles: Troubles<&'static str>,
    complaints: Every,
    statistics: Every,
    /// With how many tickers the server was full, and when that was.
    full: Option<(usize, Duration)>,
}

#[derive(Debug)]
struct Known<T> {
    candidate: Candidate,
    state: State<T>,
    /// Tickers in a row that ended before they found out anything.
    failures: u32,
    /// An extension was made since the last ticker was started, so a look is worth while.
    news: bool,
    /// Whether the last ticker that looked has found the extension.
    has_extension: bool,
}

#[derive(Debug)]
enum State<T> {
    /// There is a ticker.
    Attended { ticker: T, since: Duration, stage: Stage },
    /// There is none, and for a while there will be none.
    Resting { since: Duration, reason: Rest },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    New,
    NoExtension,
    SwitchedOff,
    SentAway,
    Died,
    Relieved { rounds: Rounds, demand: Demand, is_troubled: bool },
}

/// How many tickers there are, and may be.
struct Places {
    limit: usize,
    taken: usize,
    /// Of those taken, the ones whose tickers are on their way out.
    leaving: usize,
    /// Whether there are more databases to be served than places.
    are_too_few: bool,
}

impl<T> Default for Launcher<T> {
    fn default() -> Self {
        Launcher {
            databases: BTreeMap::new(),
            list: Every::default(),
            troubles: Troubles::default(),
            complaints: Every::default(),
            statistics: Every::default(),
            full: None,
        }
    }
}

impl<T> Launcher<T> {
    /// Brings the known in line with the real, starts at most one ticker, and says when to come back.
    pub(crate) fn step(&mut self, cluster: &mut impl Cluster<Ticker = T>) -> Duration {
        let settings = cluster.settings();
        let now = cluster.now();
        self.databases.values_mut().for_each(|known| known.follow(cluster, now));
        if self.list.begins(now, LIST_PERIOD) && self.troubles.allow(&LIST, now) {
            let line = match cluster.databases() {
                Ok(found) => {
                    self.update(cluster, found, now);
                    self.troubles.succeeded(&LIST)
                }
                Err(failure) => self.troubles.failed(LIST, now, failure),
            };
            line.inspect(|line| cluster.log(line));
        }
        self.tell_statistics(cluster, now, settings.stats_period);
        for oid in cluster.claimed() {
            self.databases.entry(oid).and_modify(|known| known.make_way(cluster, now));
        }
        for oid in cluster.newcomers() {
            self.databases.entry(oid).and_modify(|known| known.news = true);
        }
        if settings.ticker && !self.is_looking(now) {
            self.start_one(cluster, now, &settings);
        }
        let (room, next) = match settings.ticker && !self.is_looking(now) {
            true => (self.room_wanted(now, &settings), self.next_move(now, &settings)),
            false => (0, None),
        };
        cluster.want_room(room);
        let list = self.list.next(LIST_PERIOD);
        /// Several are due at once: a breath between them, in which the one just started may answer.
        const LEAST: Duration = Duration::from_millis(1);
        next.map_or(list, |next| next.min(list)).saturating_sub(now).max(LEAST)
    }

    fn update(&mut self, cluster: &mut impl Cluster<Ticker = T>, found: Vec<Candidate>, now: Duration) {
        self.databases.retain(|oid, known| {
            let is_found = found.iter().any(|candidate| candidate.oid == *oid);
            if !is_found && known.is_attended() {
                // It must not be forgotten before its ticker has gone.
                cluster.send_away(*oid);
            }
            is_found || known.is_attended()
        });
        for candidate in found {
            let state = State::Resting { since: now, reason: Rest::New };
            let name = candidate.name.clone();
            let unknown = Known { candidate, state, failures: 0, news: false, has_extension: false };
            self.databases.entry(unknown.candidate.oid).or_insert(unknown).candidate.name = name;
        }
    }

    /// A line in the log, when the tickers have done anything.
    fn tell_statistics(&mut self, cluster: &mut impl Cluster<Ticker = T>, now: Duration, period: Duration) {
        if !period.is_zero() && self.statistics.begins(now, period) {
            let counts = cluster.take_counts();
            if !counts.are_none() {
                cluster.log(&counts.to_string());
            }
        }
    }

    fn is_looking(&self, now: Duration) -> bool {
        self.databases.values().any(|known| match known.state {
            State::Attended { since, stage, .. } => {
                stage == Stage::Looking && now < since.saturating_add(LOOKING_LIMIT)
            }
            State::Resting { .. } => false,
        })
    }

    fn places(&self, now: Duration, settings: &Settings) -> Places {
        let full = self.full.filter(|(_, since)| now < since.saturating_add(AFTER_NO_ROOM));
        let limit = full.map_or(settings.max_workers, |(tickers, _)| tickers.min(settings.max_workers));
        let count =
            |such: &dyn Fn(&Known<T>) -> bool| self.databases.values().filter(|known| such(known)).count();
        Places {
            limit,
            taken: count(&|known| known.is_attended()),
            leaving: count(
                &|known| matches!(known.state, State::Attended { stage, .. } if !stage.is_at_work()),
            ),
            are_too_few: count(&|known| known.has_extension) > limit,
        }
    }

    fn start_one(&mut self, cluster: &mut impl Cluster<Ticker = T>, now: Duration, settings: &Settings) {
        let places = self.places(now, settings);
        let startable = self.databases.values_mut().filter_map(|known| {
            let due = known.due_at(settings)?;
            known.can_start(due, &places, now).then_some((due, known))
        });
        let Some((_, known)) = startable.min_by_key(|(due, _)| *due) else { return };
        if let Some(ticker) = cluster.start(&known.candidate, known.rounds()) {
            known.news = false;
            known.state = State::Attended { ticker, since: now, stage: Stage::Looking };
            return;
        }
        if !places.are_free() {
            // It was to come on top of the others, so nobody misses it.
            known.state = State::Resting { since: now, reason: Rest::NoExtension };
            return;
        }
        self.full = Some((places.taken, now));
        if self.complaints.begins(now, COMPLAIN_EVERY) {
            cluster.log(&format!(
                "no background worker is free for database \"{}\" beside the {} of pgq.max_workers = {} that there \
                 are: raise max_worker_processes",
                known.candidate.name, places.taken, settings.max_workers
            ));
        }
    }

    /// How many tickers should leave, so that every database that is due gets one and there are no more than there
    /// may be.
    fn room_wanted(&self, now: Duration, settings: &Settings) -> usize {
        let places = self.places(now, settings);
        let is_due = |known: &&Known<T>| {
            known.due_at(settings).is_some_and(|due| due <= now)
                && (places.are_too_few || !known.is_repeated_look())
        };
        let due = self.databases.values().filter(is_due).count();
        (places.taken + due).saturating_sub(places.limit + places.leaving).min(places.taken - places.leaving)
    }

    /// When a ticker can be started, or has to be asked for a place.
    fn next_move(&self, now: Duration, settings: &Settings) -> Option<Duration> {
        let places = self.places(now, settings);
        let moves = self.databases.values().filter_map(|known| {
            let due = known.due_at(settings)?;
            match known.can_start(due, &places, now) {
                true => Some(now),
                false => (due > now).then_some(due),
            }
        });
        moves.min()
    }
}

impl Places {
    fn are_free(&self) -> bool {
        self.taken < self.limit
    }

    /// While each database keeps its ticker, a look into another one must not take a place from them.
    fn allow_a_look(&self) -> bool {
        self.taken == self.limit && !self.are_too_few
    }
}

impl<T> Known<T> {
    /// Takes over what has become of the ticker, or of the queues that have none.
    fn follow(&mut self, cluster: &mut impl Cluster<Ticker = T>, now: Duration) {
        let (ticker, stage) = match &mut self.state {
            State::Attended { ticker, stage, .. } => (ticker, stage),
            State::Resting { reason: Rest::Relieved { demand, .. }, .. } => {
                *demand = cluster.demand(self.candidate.oid);
                return;
            }
            State::Resting { .. } => return,
        };
        let (said, alive) = cluster.stage(ticker);
        *stage = said;
        match said {
            Stage::Serving => self.has_extension = true,
            Stage::NoExtension => self.has_extension = false,
            _ => {}
        }
        if said != Stage::Looking {
            self.failures = 0;
        }
        if alive {
            return;
        }
        let reason = match said {
            Stage::Looking => {
                self.failures = self.failures.saturating_add(1);
                Rest::Died
            }
            Stage::Serving => Rest::Died,
            Stage::NoExtension => Rest::NoExtension,
            Stage::SwitchedOff => Rest::SwitchedOff,
            Stage::SentAway => Rest::SentAway,
            Stage::Relieved | Stage::Troubled => {
                self.has_extension = true;
                Rest::Relieved {
                    rounds: cluster.rounds(ticker),
                    demand: cluster.demand(self.candidate.oid),
                    is_troubled: said == Stage::Troubled,
                }
            }
        };
        self.state = State::Resting { since: now, reason };
    }

    /// Somebody wants the database for himself.
    fn make_way(&mut self, cluster: &mut impl Cluster<Ticker = T>, now: Duration) {
        let reason = if self.is_repeated_look() { Rest::NoExtension } else { Rest::SentAway };
        match self.state {
            State::Attended { .. } => cluster.send_away(self.candidate.oid),
            State::Resting { .. } => self.state = State::Resting { since: now, reason },
        }
    }

    fn is_attended(&self) -> bool {
        matches!(self.state, State::Attended { .. })
    }

    /// Whether it rests only to make room for others.
    fn is_relieved(&self) -> bool {
        matches!(self.state, State::Resting { reason: Rest::Relieved { .. }, .. })
    }

    /// Whether a ticker would most likely find no extension, as the one before.
    fn is_repeated_look(&self) -> bool {
        matches!(self.state, State::Resting { reason: Rest::NoExtension, .. }) && !self.news
    }

    /// When the rounds were done last, if the last ticker has left with everything done.
    fn rounds(&self) -> Rounds {
        match self.state {
            State::Resting { reason: Rest::Relieved { rounds, .. }, .. } => rounds,
            _ => Rounds::default(),
        }
    }

    /// When this database should have a ticker; `None` when it has one.
    fn due_at(&self, settings: &Settings) -> Option<Duration> {
        let State::Resting { since, reason } = self.state else { return None };
        let pause = match reason {
            Rest::New | Rest::SwitchedOff => Duration::ZERO,
            Rest::NoExtension if self.news => Duration::ZERO,
            Rest::NoExtension => settings.check_period,
            Rest::SentAway => AFTER_SENDING_AWAY,
            Rest::Died => back_off(self.failures, AFTER_DEATH, settings.check_period.max(AFTER_DEATH)),
            Rest::Relieved { rounds, demand, is_troubled } => {
                let until_rounds = rounds.next(settings).saturating_sub(since);
                let until_ticks = match demand {
                    Demand::Nothing => Duration::MAX,
                    Demand::News => settings.ticker_period,
                    Demand::Wanted => settings.tick_interval,
                };
                until_rounds.min(until_ticks).max(if is_troubled { AFTER_TROUBLE } else { Duration::ZERO })
            }
        };
        Some(since.saturating_add(pause))
    }

    /// Whether it can have a ticker now, being due then. A place that nobody needs goes to those who made room.
    fn can_start(&self, due: Duration, places: &Places, now: Duration) -> bool {
        if places.are_free() {
            return due <= now || self.is_relieved();
        }
        due <= now && self.is_repeated_look() && places.allow_a_look()
    }
}

#[cfg(test)]
mod tests;
