//! The process that finds the databases and gives each of them a ticker.
//!
//! Whether a database has the extension can only be seen from inside, and looking costs a process. So a database
//! that is new is looked into at once, as is one in which an extension has just been made; any other without the
//! extension every `check_period`; and never two at a time.

use crate::counts::Counts;
use crate::process::{Failure, Name, Process, Settings, Stage};
use crate::schedule::{Every, back_off};
use crate::trouble::Troubles;
use std::collections::BTreeMap;
use std::time::Duration;

/// The server, seen from outside its databases.
pub trait Cluster: Process {
    /// A ticker process that was started from here.
    type Ticker;

    /// The databases that can be served: those that allow connections and are not templates.
    fn databases(&mut self) -> Result<Vec<Candidate>, Failure>;

    /// The databases in which an extension was made since the last call, as far as that is known.
    fn newcomers(&mut self) -> Vec<u32>;

    /// Starts a ticker there; `None` when the server has no room for one more process.
    fn start(&mut self, candidate: &Candidate) -> Option<Self::Ticker>;

    /// What the ticker has said last, and whether it is alive.
    fn stage(&mut self, ticker: &Self::Ticker) -> (Stage, bool);

    /// What all tickers have done since the last call.
    fn take_counts(&mut self) -> Counts;
}

/// A database that may have the extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its identity, which a rename does not change.
    pub oid: u32,
    /// Its name, to show.
    pub name: Name,
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
const AFTER_DEATH: Duration = Duration::from_secs(1);
const AFTER_SENDING_AWAY: Duration = Duration::from_secs(5);
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
}

#[derive(Debug)]
struct Known<T> {
    candidate: Candidate,
    state: State<T>,
    /// Tickers in a row that ended before they found out anything.
    failures: u32,
    /// An extension was made since the last ticker was started, so a look is worth while.
    news: bool,
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
    NoRoom,
}

impl<T> Default for Launcher<T> {
    fn default() -> Self {
        Launcher {
            databases: BTreeMap::new(),
            list: Every::default(),
            troubles: Troubles::default(),
            complaints: Every::default(),
            statistics: Every::default(),
        }
    }
}

impl<T> Launcher<T> {
    /// Brings the known in line with the real, starts at most one ticker, and says when to come back.
    pub(crate) fn step(&mut self, cluster: &mut impl Cluster<Ticker = T>) -> Duration {
        let settings = cluster.settings();
        let now = cluster.now();
        if self.list.begins(now, LIST_PERIOD) && self.troubles.allow(&LIST, now) {
            let line = match cluster.databases() {
                Ok(found) => {
                    self.update(found, now);
                    self.troubles.succeeded(&LIST)
                }
                Err(failure) => self.troubles.failed(LIST, now, failure),
            };
            line.inspect(|line| cluster.log(line));
        }
        self.tell_statistics(cluster, now, settings.stats_period);
        self.databases.values_mut().for_each(|known| known.follow(cluster, now));
        for oid in cluster.newcomers() {
            self.databases.entry(oid).and_modify(|known| known.news = true);
        }
        if settings.ticker && !self.is_looking(now) {
            self.start_one(cluster, now, &settings);
        }
        self.pause(now, &settings)
    }

    fn update(&mut self, found: Vec<Candidate>, now: Duration) {
        self.databases.retain(|oid, _| found.iter().any(|candidate| candidate.oid == *oid));
        for candidate in found {
            let state = State::Resting { since: now, reason: Rest::New };
            let name = candidate.name.clone();
            let known = self.databases.entry(candidate.oid);
            known.or_insert(Known { candidate, state, failures: 0, news: false }).candidate.name = name;
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

    fn start_one(&mut self, cluster: &mut impl Cluster<Ticker = T>, now: Duration, settings: &Settings) {
        let due = self.databases.values_mut().filter_map(|known| Some((known.wake_at(settings)?, known)));
        let Some((wake_at, known)) = due.min_by_key(|(wake_at, _)| *wake_at) else { return };
        if wake_at > now {
            return;
        }
        known.news = false;
        match cluster.start(&known.candidate) {
            Some(ticker) => {
                known.state = State::Attended { ticker, since: now, stage: Stage::Looking };
            }
            None => {
                known.state = State::Resting { since: now, reason: Rest::NoRoom };
                if self.complaints.begins(now, COMPLAIN_EVERY) {
                    cluster.log(&format!(
                        "no background worker is free for database \"{}\": raise max_worker_processes",
                        known.candidate.name
                    ));
                }
            }
        }
    }

    /// Until the next database may have a ticker, and at most until databases are listed again.
    fn pause(&self, now: Duration, settings: &Settings) -> Duration {
        let list = self.list.next(LIST_PERIOD);
        let next = match settings.ticker && !self.is_looking(now) {
            true => self.databases.values().filter_map(|known| known.wake_at(settings)).min(),
            false => None,
        };
        /// Several are due at once: a breath between them, in which the one just started may answer.
        const LEAST: Duration = Duration::from_millis(1);
        next.map_or(list, |next| next.min(list)).saturating_sub(now).max(LEAST)
    }
}

impl<T> Known<T> {
    /// Takes over what has become of the ticker.
    fn follow(&mut self, cluster: &mut impl Cluster<Ticker = T>, now: Duration) {
        let State::Attended { ticker, stage, .. } = &mut self.state else { return };
        let (said, alive) = cluster.stage(ticker);
        *stage = said;
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
        };
        self.state = State::Resting { since: now, reason };
    }

    /// When this database may have a ticker; `None` when it has one.
    fn wake_at(&self, settings: &Settings) -> Option<Duration> {
        let State::Resting { since, reason } = self.state else { return None };
        let pause = match reason {
            Rest::New | Rest::SwitchedOff => Duration::ZERO,
            Rest::NoExtension if self.news => Duration::ZERO,
            Rest::NoExtension => settings.check_period,
            Rest::SentAway => AFTER_SENDING_AWAY,
            Rest::Died => back_off(self.failures, AFTER_DEATH, settings.check_period.max(AFTER_DEATH)),
            Rest::NoRoom => AFTER_NO_ROOM,
        };
        Some(since.saturating_add(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{FakeCluster, millis, secs};

    #[test]
    fn every_database_is_looked_into_one_at_a_time() {
        let mut cluster = FakeCluster::with_databases(&[1, 2, 3]);
        cluster.run_for(millis(100));
        assert_eq!(cluster.starts.len(), 1);
        cluster.say(1, Stage::Serving, true);
        cluster.run_for(secs(1));
        cluster.say(2, Stage::NoExtension, false);
        cluster.run_for(secs(1));
        assert_eq!(cluster.starts, [(0, 1), (0, 2), (1, 3)]);
    }

    #[test]
    fn a_new_database_is_found_within_a_second() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        cluster.run_for(millis(500));
        cluster.say(1, Stage::Serving, true);
        cluster.run_for(secs(10));
        cluster.set_databases(&[1, 2]);
        cluster.run_for(secs(1));
        assert_eq!(cluster.starts_of(2), [11]);
    }

    #[test]
    fn a_database_without_the_extension_is_looked_into_every_check_period() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        for _ in 0..3 {
            cluster.run_for(millis(100));
            cluster.say(1, Stage::NoExtension, false);
            cluster.run_for(millis(60_900));
        }
        let starts = cluster.starts_of(1);
        assert_eq!(starts[0], 0);
        assert!(starts.windows(2).all(|pair| (60..=62).contains(&(pair[1] - pair[0]))), "{starts:?}");
    }

    #[test]
    fn create_extension_is_noticed_at_once() {
        let mut cluster = FakeCluster::with_databases(&[1, 2]);
        cluster.run_for(millis(100));
        cluster.say(1, Stage::NoExtension, false);
        cluster.run_for(secs(2));
        cluster.say(2, Stage::NoExtension, false);
        cluster.run_for(secs(10));
        cluster.newcomers = vec![2, 99];
        cluster.run_for(secs(1));
        assert_eq!(cluster.starts_of(1).len(), 1);
        assert_eq!(cluster.starts_of(2).len(), 2);
    }

    #[test]
    fn create_extension_is_noticed_by_the_next_look_if_one_is_under_way() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        cluster.run_for(millis(100));
        cluster.newcomers = vec![1];
        cluster.run_for(secs(1));
        cluster.say(1, Stage::NoExtension, false);
        cluster.run_for(secs(2));
        assert_eq!(cluster.starts_of(1).len(), 2);
    }

    #[test]
    fn a_shorter_check_period_holds_at_once() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        cluster.run_for(millis(100));
        cluster.say(1, Stage::NoExtension, false);
        cluster.run_for(secs(10));
        cluster.settings.check_period = secs(1);
        cluster.run_for(secs(1));
        assert_eq!(cluster.starts.len(), 2);
    }

    #[test]
    fn a_terminated_ticker_is_back_after_a_second_every_time() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        for _ in 0..5 {
            cluster.run_for(millis(1500));
            cluster.say(1, Stage::Serving, true);
            cluster.run_for(millis(500));
            cluster.say(1, Stage::Serving, false);
        }
        cluster.run_for(secs(2));
        assert_eq!(cluster.starts.len(), 6);
    }

    #[test]
    fn tickers_that_fail_to_start_come_ever_more_slowly() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        for _ in 0..200 {
            cluster.run_for(secs(1));
            cluster.say(1, Stage::Looking, false);
        }
        let starts = cluster.starts_of(1);
        assert!((7..=10).contains(&starts.len()), "{starts:?}");
    }

    #[test]
    fn one_that_hangs_at_the_start_does_not_hold_up_the_others() {
        let mut cluster = FakeCluster::with_databases(&[1, 2]);
        cluster.run_for(secs(7));
        assert_eq!(cluster.starts.len(), 2);
    }

    #[test]
    fn a_database_that_sent_its_ticker_away_is_left_alone_for_a_while() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        cluster.run_for(millis(100));
        cluster.say(1, Stage::SentAway, false);
        cluster.run_for(secs(4));
        assert_eq!(cluster.starts.len(), 1);
        cluster.run_for(secs(3));
        assert_eq!(cluster.starts.len(), 2);
    }

    #[test]
    fn nothing_is_started_while_it_is_switched_off() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        cluster.settings.ticker = false;
        cluster.run_for(secs(100));
        assert!(cluster.starts.is_empty());
        cluster.settings.ticker = true;
        cluster.run_for(secs(2));
        assert_eq!(cluster.starts.len(), 1);
        cluster.settings.ticker = false;
        cluster.say(1, Stage::SwitchedOff, false);
        cluster.run_for(secs(100));
        assert_eq!(cluster.starts.len(), 1);
    }

    #[test]
    fn without_room_it_complains_once_and_tries_again() {
        let mut cluster = FakeCluster::with_databases(&[1, 2]);
        cluster.room = 1;
        cluster.run_for(millis(100));
        cluster.say(1, Stage::Serving, true);
        cluster.run_for(secs(60));
        assert_eq!(cluster.log.len(), 1, "{:?}", cluster.log);
        cluster.room = 2;
        cluster.run_for(secs(11));
        assert_eq!(cluster.starts_of(2).len(), 1);
    }

    #[test]
    fn statistics_are_told_each_period_if_there_is_anything_to_tell() {
        let mut cluster = FakeCluster::with_databases(&[]);
        cluster.run_for(secs(10));
        let counts = Counts { ticks: 7, rounds: 2, retries: 1, errors: 0 };
        cluster.counts = counts;
        cluster.run_for(secs(280));
        assert!(cluster.log.is_empty(), "{:?}", cluster.log);
        cluster.run_for(secs(20));
        assert_eq!(cluster.log, ["{ticks: 7, maint: 2, retry: 1}"]);
        cluster.run_for(secs(1000));
        assert_eq!(cluster.log.len(), 1);
        cluster.settings.stats_period = secs(30);
        cluster.counts = counts;
        cluster.run_for(secs(35));
        assert_eq!(cluster.log.len(), 2);
        cluster.settings.stats_period = Duration::ZERO;
        cluster.counts = counts;
        cluster.run_for(secs(1000));
        assert_eq!(cluster.log.len(), 2);
    }

    #[test]
    fn a_dropped_database_is_forgotten() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        cluster.run_for(secs(1));
        cluster.say(1, Stage::Looking, false);
        cluster.set_databases(&[]);
        cluster.run_for(secs(100));
        assert_eq!(cluster.starts.len(), 1);
    }

    #[test]
    fn a_failed_listing_changes_nothing() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        cluster.run_for(secs(1));
        cluster.say(1, Stage::Serving, true);
        cluster.broken = Some(Failure("out of memory".to_owned()));
        cluster.run_for(secs(60));
        cluster.broken = None;
        cluster.run_for(secs(60));
        assert_eq!(cluster.starts.len(), 1);
        assert_eq!(cluster.log.len(), 2, "{:?}", cluster.log);
    }
}
