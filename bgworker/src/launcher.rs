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

    #[test]
    fn where_there_is_room_for_all_each_keeps_its_ticker() {
        let mut cluster = FakeCluster::with_databases(&[1, 2, 3, 4, 5]);
        (cluster.acts, cluster.empty) = (true, vec![5]);
        cluster.run_for(secs(2));
        assert_eq!(cluster.attended(), [1, 2, 3, 4]);
        cluster.starts.clear();
        cluster.run_for(secs(600));
        // Looks into the fifth come on top.
        assert!(cluster.starts.iter().all(|(_, oid)| *oid == 5), "{:?}", cluster.starts);
        assert!((9..=10).contains(&cluster.starts.len()), "{:?}", cluster.starts);
    }

    #[test]
    fn more_databases_than_places_are_served_in_turns() {
        let mut cluster = FakeCluster::crowded(100);
        cluster.run_for(secs(300));
        assert_eq!(cluster.most, 4);
        for oid in 1..=100 {
            let starts = cluster.starts_of(oid);
            let pauses = starts.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(pauses.into_iter().max().is_some_and(|longest| longest <= 40), "{oid}: {starts:?}");
        }
        // Nothing happens, so nobody comes but for the rounds.
        assert!(cluster.starts.len() <= 100 * (2 + 360 / 30), "{}", cluster.starts.len());
    }

    #[test]
    fn rounds_keep_their_periods_from_visit_to_visit() {
        let mut cluster = FakeCluster::crowded(10);
        for second in 0..240 {
            // Visited twice a second, for the sake of ticks.
            cluster.demands.insert(second % 10 + 1, Demand::Wanted);
            cluster.demands.insert((second + 5) % 10 + 1, Demand::Wanted);
            cluster.run_for(secs(1));
        }
        let mut began: Vec<_> =
            cluster.tickers.iter().map(|ticker| ticker.rounds.maintenance.last()).collect();
        began.sort_unstable();
        began.dedup();
        assert!(began.len() <= 10 * (1 + 300 / 120 + 1), "{}", began.len());
    }

    #[test]
    fn who_is_waited_for_is_visited_at_once() {
        let mut cluster = FakeCluster::crowded(100);
        for oid in [50, 60, 70] {
            let visits = cluster.starts_of(oid).len();
            cluster.demands.insert(oid, Demand::Wanted);
            cluster.run_for(millis(300));
            assert!(cluster.starts_of(oid).len() > visits || cluster.attended().contains(&oid), "{oid}");
        }
    }

    #[test]
    fn events_are_visited_after_the_ticker_period() {
        let mut cluster = FakeCluster::crowded(30);
        let resting = (1..=30).find(|oid| !cluster.attended().contains(oid)).expect("there are four places");
        cluster.demands.insert(resting, Demand::News);
        cluster.run_for(millis(1500));
        assert!(!cluster.demands.contains_key(&resting));
    }

    #[test]
    fn the_busy_do_not_starve_the_idle() {
        let mut cluster = FakeCluster::crowded(20);
        cluster.starts.clear();
        for _ in 0..1000 {
            (1..=10).for_each(|oid| _ = cluster.demands.insert(oid, Demand::Wanted));
            cluster.run_for(millis(100));
        }
        for oid in 11..=20 {
            assert!(cluster.starts_of(oid).len() >= 2, "{oid}: {:?}", cluster.starts_of(oid));
        }
        let visits: Vec<usize> = (1..=10).map(|oid| cluster.starts_of(oid).len()).collect();
        assert!(
            visits.iter().max() <= visits.iter().min().map(|least| least * 2 + 10).as_ref(),
            "{visits:?}"
        );
    }

    #[test]
    fn one_that_leaves_trouble_behind_comes_back_more_slowly() {
        let mut cluster = FakeCluster::with_databases(&[1, 2]);
        cluster.settings.max_workers = 1;
        cluster.run_for(millis(10));
        cluster.say(1, Stage::Troubled, false);
        cluster.demands.insert(1, Demand::Wanted);
        cluster.run_for(millis(10));
        cluster.say(2, Stage::Relieved, false);
        cluster.tickers[1].rounds.retries = Every::since(Some(secs(0)));
        cluster.tickers[1].rounds.maintenance = Every::since(Some(secs(0)));
        // A place that nobody needs is not left empty, though.
        cluster.run_for(millis(10));
        assert_eq!(cluster.starts.iter().map(|(_, oid)| *oid).collect::<Vec<_>>(), [1, 2, 1]);
        cluster.say(1, Stage::Serving, true);
        cluster.demands.insert(2, Demand::Wanted);
        cluster.run_for(millis(10));
        assert_eq!(cluster.room_wanted, 1);
        cluster.say(1, Stage::Troubled, false);
        cluster.run_for(millis(10));
        cluster.say(2, Stage::Serving, true);
        cluster.run_for(millis(900));
        assert_eq!(cluster.room_wanted, 0, "not yet");
        cluster.run_for(millis(200));
        assert_eq!(cluster.room_wanted, 1);
    }

    #[test]
    fn nobody_is_asked_for_room_that_is_not_needed() {
        let mut cluster = FakeCluster::with_databases(&[1, 2, 3]);
        cluster.settings.max_workers = 2;
        for oid in [1, 2] {
            cluster.run_for(millis(10));
            cluster.say(oid, Stage::Serving, true);
        }
        cluster.run_for(millis(10));
        assert_eq!(cluster.room_wanted, 1);
        // On its way out.
        cluster.say(2, Stage::Relieved, true);
        cluster.run_for(millis(10));
        assert_eq!(cluster.room_wanted, 0);
        cluster.say(2, Stage::Relieved, false);
        cluster.run_for(millis(10));
        assert_eq!((cluster.attended(), cluster.room_wanted), (vec![1, 3], 0));
    }

    #[test]
    fn another_number_of_places_holds_at_once() {
        let mut cluster = FakeCluster::crowded(10);
        cluster.settings.max_workers = 2;
        cluster.run_for(secs(2));
        assert_eq!(cluster.attended().len(), 2);
        cluster.settings.max_workers = 6;
        cluster.run_for(secs(2));
        assert_eq!(cluster.attended().len(), 6);
        cluster.settings.max_workers = 20;
        cluster.run_for(secs(2));
        assert_eq!(cluster.attended().len(), 10);
        let starts = cluster.starts.len();
        cluster.run_for(secs(200));
        assert_eq!(cluster.starts.len(), starts);
    }

    #[test]
    fn a_server_with_less_room_than_allowed_is_shared_too() {
        let mut cluster = FakeCluster::with_databases(&(1..=10).collect::<Vec<_>>());
        (cluster.acts, cluster.room) = (true, 2);
        cluster.run_for(secs(100));
        assert!((1..=10).all(|oid| cluster.starts_of(oid).len() >= 2), "{:?}", cluster.starts);
        assert_eq!(cluster.log.len(), 1, "{:?}", cluster.log);
        cluster.room = 4;
        cluster.run_for(secs(12));
        assert_eq!(cluster.attended().len(), 4);
    }

    #[test]
    fn a_database_without_a_ticker_is_left_alone_when_somebody_wants_it() {
        let mut cluster = FakeCluster::crowded(10);
        let resting = (1..=10).find(|oid| !cluster.attended().contains(oid)).expect("there are four places");
        let visits = cluster.starts_of(resting).len();
        cluster.claimed = vec![resting, 99];
        cluster.demands.insert(resting, Demand::Wanted);
        cluster.run_for(millis(4900));
        assert_eq!(cluster.starts_of(resting).len(), visits);
        cluster.run_for(secs(1));
        assert_eq!(cluster.starts_of(resting).len(), visits + 1);
    }

    #[test]
    fn a_ticker_that_comes_while_somebody_wants_the_database_is_sent_away() {
        let mut cluster = FakeCluster::with_databases(&[1]);
        cluster.run_for(millis(10));
        cluster.claimed = vec![1];
        cluster.run_for(millis(10));
        assert!(cluster.attended().is_empty());
    }

    #[test]
    fn a_database_that_is_taken_off_the_list_loses_its_ticker() {
        let mut cluster = FakeCluster::with_databases(&[1, 2]);
        cluster.acts = true;
        cluster.run_for(secs(2));
        assert_eq!(cluster.attended(), [1, 2]);
        cluster.set_databases(&[2]);
        cluster.run_for(secs(2));
        assert_eq!(cluster.attended(), [2]);
        cluster.set_databases(&[1, 2]);
        cluster.run_for(secs(2));
        assert_eq!(cluster.attended(), [1, 2]);
    }
}
