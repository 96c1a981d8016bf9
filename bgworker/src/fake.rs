//! A server and a clock for tests: waiting moves the clock, every call is written down.

use crate::chore::{Operation, Work};
use crate::counts::Counts;
use crate::launcher::{Candidate, Cluster, Demand, Launcher};
use crate::process::{Failure, Name, Process, Rounds, Settings, Stage};
use crate::ticker::{Database, Next, Ticker, Wanted};
use std::collections::BTreeMap;
use std::time::Duration;

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn name(text: &str) -> Name {
    Name(text.as_bytes().to_vec())
}

const DEFAULTS: Settings = Settings {
    ticker: true,
    ticker_period: secs(1),
    tick_interval: millis(1),
    retry_period: secs(30),
    maint_period: secs(120),
    check_period: secs(60),
    stats_period: secs(300),
    max_workers: 4,
};

/// A database in which every queue is always due.
pub struct FakeDatabase {
    ticker: Ticker,
    now: Duration,
    left: bool,
    queues: Vec<Name>,
    /// Queues with news for which somebody waits.
    pub wanted: Vec<&'static str>,
    /// Queues with many ticks.
    pub crowded: Vec<Name>,
    pub settings: Settings,
    pub version: Option<String>,
    /// When the extension is dropped.
    pub gone_at: Option<Duration>,
    pub operations: Vec<Operation>,
    /// Calls that fail, and why.
    pub broken: BTreeMap<String, String>,
    /// Calls that ask so often for another one.
    pub answers: BTreeMap<String, usize>,
    /// How long calls take whose first word is this.
    pub takes: BTreeMap<String, Duration>,
    pub calls: Vec<String>,
    pub log: Vec<String>,
    pub reports: Vec<Stage>,
    pub failures: Vec<String>,
    pub sent_away: bool,
    /// How many tickers are wanted to make room.
    pub room_wanted: usize,
    pub handed_over: Option<Rounds>,
}

impl FakeDatabase {
    pub fn with_queues(queues: &[&str]) -> Self {
        FakeDatabase {
            ticker: Ticker::default(),
            now: Duration::ZERO,
            left: false,
            queues: queues.iter().copied().map(name).collect(),
            wanted: Vec::new(),
            crowded: Vec::new(),
            settings: DEFAULTS,
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            gone_at: None,
            operations: Vec::new(),
            broken: BTreeMap::new(),
            answers: BTreeMap::new(),
            takes: BTreeMap::new(),
            calls: Vec::new(),
            log: Vec::new(),
            reports: Vec::new(),
            failures: Vec::new(),
            sent_away: false,
            room_wanted: 0,
            handed_over: None,
        }
    }

    /// The ticker comes at this time, after another one that has left this.
    pub fn enter(&mut self, now: Duration, rounds: Rounds) {
        self.now = now;
        self.ticker = Ticker::new(rounds, now);
    }

    /// Serves, until the time is over or the ticker leaves.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        let mut ticker = std::mem::take(&mut self.ticker);
        while self.now < end && !self.left {
            match ticker.step(self) {
                Next::Wait(pause) => self.wait(pause.min(end.saturating_sub(self.now))),
                Next::Leave(stage) => {
                    self.left = true;
                    self.report(stage);
                }
            }
        }
        self.ticker = ticker;
    }

    pub fn count(&self, call: &str) -> usize {
        self.calls.iter().filter(|made| *made == call).count()
    }

    pub fn calls_after(&self, call: &str) -> Vec<&str> {
        self.calls.iter().skip_while(|made| *made != call).skip(1).map(String::as_str).collect()
    }

    fn tick_each(&mut self, queues: Vec<Name>) -> Vec<(Name, Failure)> {
        let outcomes = queues.into_iter().map(|queue| (self.called(format!("tick {queue}")), queue));
        outcomes.filter_map(|(outcome, queue)| Some((queue, outcome.err()?))).collect()
    }

    fn called(&mut self, call: String) -> Result<i64, Failure> {
        let first_word = call.split(' ').next().unwrap_or_default();
        self.now += self.takes.get(first_word).copied().unwrap_or_default();
        let broken = self.broken.get(&call).cloned();
        let again = self.answers.get_mut(&call).is_some_and(|left| {
            let again = *left > 0;
            *left = left.saturating_sub(1);
            again
        });
        self.calls.push(call);
        broken.map_or(Ok(i64::from(again)), |reason| Err(Failure(reason)))
    }
}

impl Process for FakeDatabase {
    fn now(&mut self) -> Duration {
        self.now
    }
    fn settings(&mut self) -> Settings {
        self.settings
    }
    fn wait(&mut self, at_most: Duration) {
        self.now += at_most;
    }
    fn log(&mut self, line: &str) {
        self.log.push(line.to_owned());
    }
}

impl Database for FakeDatabase {
    fn is_wanted(&mut self) -> bool {
        !self.wanted.is_empty()
    }
    fn tick_wanted(&mut self, spared: &dyn Fn(&Name) -> bool) -> Result<Wanted, Failure> {
        self.called("wanted".to_owned())?;
        let wanted = self.wanted.drain(..).map(name).filter(|queue| !spared(queue)).collect();
        Ok(Wanted { events: 1, failed: self.tick_each(wanted) })
    }
    fn extension(&mut self) -> Result<Option<String>, Failure> {
        match self.broken.get("extension") {
            Some(reason) => Err(Failure(reason.clone())),
            None if self.gone_at.is_some_and(|gone| gone <= self.now) => Ok(None),
            None => Ok(self.version.clone()),
        }
    }
    fn due_queues(&mut self, _afresh: bool) -> Result<Vec<Name>, Failure> {
        self.called("due".to_owned()).map(|_| self.queues.clone())
    }
    fn tick(&mut self, queues: &[Name]) -> Result<Vec<(Name, Failure)>, Failure> {
        if queues.len() > 1 && self.broken.contains_key("commit") {
            return Err(Failure("commit".to_owned()));
        }
        Ok(self.tick_each(queues.to_vec()))
    }
    fn retry(&mut self) -> Result<i64, Failure> {
        self.called("retry".to_owned())
    }
    fn operations(&mut self) -> Result<Vec<Operation>, Failure> {
        self.called("plan".to_owned()).map(|_| self.operations.clone())
    }
    fn perform(&mut self, operation: &Operation) -> Result<i64, Failure> {
        self.called(format!("do {operation}"))
    }
    fn crowded_queues(&mut self) -> Result<Vec<Name>, Failure> {
        Ok(std::mem::take(&mut self.crowded))
    }
    fn thin(&mut self, queue: &Name) -> Result<bool, Failure> {
        self.called(format!("thin {queue}")).map(|again| again != 0)
    }
    fn is_sent_away(&mut self) -> bool {
        self.sent_away
    }
    fn is_room_wanted(&mut self) -> bool {
        self.room_wanted > 0
    }
    fn makes_room(&mut self) -> bool {
        let is_wanted = self.room_wanted > 0;
        self.room_wanted = self.room_wanted.saturating_sub(1);
        is_wanted
    }
    fn hand_over(&mut self, rounds: Rounds) {
        self.handed_over = Some(rounds);
    }
    fn report(&mut self, stage: Stage) {
        self.reports.push(stage);
    }
    fn note_failure(&mut self, work: &Work, failure: &Failure) {
        self.failures.push(format!("{work}: {failure}"));
    }
}

/// A server whose tickers do what a test lets them.
pub struct FakeCluster {
    launcher: Launcher<usize>,
    now: Duration,
    databases: Vec<Candidate>,
    pub settings: Settings,
    pub broken: Option<Failure>,
    /// Databases in which an extension was made.
    pub newcomers: Vec<u32>,
    /// Databases that somebody wants for himself.
    pub claimed: Vec<u32>,
    /// What happens in databases without a ticker.
    pub demands: BTreeMap<u32, Demand>,
    /// Processes that may run at once.
    pub room: usize,
    /// Whether tickers act by themselves: they find the extension, do their rounds, and make room, once they have
    /// been there for 100 ms, when they are asked to.
    pub acts: bool,
    /// Databases in which such tickers find no extension.
    pub empty: Vec<u32>,
    /// Every ticker that was ever started.
    pub tickers: Vec<FakeTicker>,
    /// When each was started, and for which database.
    pub starts: Vec<(u64, u32)>,
    /// What the tickers have done that nobody has asked for yet.
    pub counts: Counts,
    /// The most that were alive at the same time.
    pub most: usize,
    /// How many tickers are wanted to make room.
    pub room_wanted: usize,
    pub log: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct FakeTicker {
    database: u32,
    stage: Stage,
    pub alive: bool,
    since: Duration,
    pub rounds: Rounds,
}

impl FakeCluster {
    pub fn with_databases(oids: &[u32]) -> Self {
        let mut cluster = FakeCluster {
            launcher: Launcher::default(),
            now: Duration::ZERO,
            databases: Vec::new(),
            settings: DEFAULTS,
            broken: None,
            newcomers: Vec::new(),
            claimed: Vec::new(),
            demands: BTreeMap::new(),
            room: 100,
            acts: false,
            empty: Vec::new(),
            tickers: Vec::new(),
            starts: Vec::new(),
            counts: Counts::default(),
            most: 0,
            room_wanted: 0,
            log: Vec::new(),
        };
        cluster.set_databases(oids);
        cluster
    }

    /// So many databases with the extension, and tickers that act by themselves, after a while.
    pub fn crowded(databases: u32) -> Self {
        let mut cluster = Self::with_databases(&(1..=databases).collect::<Vec<_>>());
        cluster.acts = true;
        cluster.run_for(secs(60));
        cluster
    }

    pub fn set_databases(&mut self, oids: &[u32]) {
        self.databases =
            oids.iter().map(|oid| Candidate { oid: *oid, name: name(&format!("db{oid}")) }).collect();
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        let mut launcher = std::mem::take(&mut self.launcher);
        while self.now < end {
            let pause = launcher.step(self);
            assert!(pause > Duration::ZERO, "the launcher must not spin");
            self.wait(pause.min(end.saturating_sub(self.now)));
        }
        self.launcher = launcher;
    }

    /// The ticker of this database says that it has come so far, or its last word.
    pub fn say(&mut self, oid: u32, stage: Stage, alive: bool) {
        let ticker =
            self.tickers.iter_mut().rev().find(|ticker| ticker.database == oid).expect("was started");
        (ticker.stage, ticker.alive) = (stage, alive);
    }

    /// The seconds at which the database got a ticker.
    pub fn starts_of(&self, oid: u32) -> Vec<u64> {
        self.starts.iter().filter(|(_, of)| *of == oid).map(|(at, _)| *at).collect()
    }

    /// The databases that have a ticker.
    pub fn attended(&self) -> Vec<u32> {
        let mut attended: Vec<u32> = self.alive().map(|ticker| ticker.database).collect();
        attended.sort_unstable();
        attended
    }

    fn alive(&self) -> impl Iterator<Item = &FakeTicker> {
        self.tickers.iter().filter(|ticker| ticker.alive)
    }

    /// Lets the tickers act; whether one did something that wakes the launcher.
    fn act(&mut self) -> bool {
        let mut woken = false;
        for ticker in self.tickers.iter_mut().filter(|ticker| ticker.alive) {
            ticker.rounds.retries.begins(self.now, self.settings.retry_period);
            ticker.rounds.maintenance.begins(self.now, self.settings.maint_period);
            self.demands.remove(&ticker.database);
            if ticker.stage == Stage::Looking {
                let is_empty = self.empty.contains(&ticker.database);
                ticker.stage = if is_empty { Stage::NoExtension } else { Stage::Serving };
                ticker.alive = !is_empty;
                woken = true;
            } else if self.room_wanted > 0 && self.now >= ticker.since + millis(100) {
                self.room_wanted -= 1;
                (ticker.stage, ticker.alive) = (Stage::Relieved, false);
                woken = true;
            }
        }
        woken
    }
}

impl Process for FakeCluster {
    fn now(&mut self) -> Duration {
        self.now
    }
    fn settings(&mut self) -> Settings {
        self.settings
    }
    fn wait(&mut self, at_most: Duration) {
        let end = self.now + at_most;
        while self.now < end {
            self.now = end.min(self.now + if self.acts { millis(10) } else { at_most });
            if self.acts && self.act() {
                break;
            }
        }
    }
    fn log(&mut self, line: &str) {
        self.log.push(line.to_owned());
    }
}

impl Cluster for FakeCluster {
    type Ticker = usize;

    fn databases(&mut self) -> Result<Vec<Candidate>, Failure> {
        self.broken.clone().map_or_else(|| Ok(self.databases.clone()), Err)
    }
    fn newcomers(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.newcomers)
    }
    fn claimed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.claimed)
    }
    fn demand(&mut self, database: u32) -> Demand {
        self.demands.get(&database).copied().unwrap_or(Demand::Nothing)
    }
    fn start(&mut self, candidate: &Candidate, rounds: Rounds) -> Option<usize> {
        if self.alive().count() >= self.room {
            return None;
        }
        let (database, since) = (candidate.oid, self.now);
        self.tickers.push(FakeTicker { database, stage: Stage::Looking, alive: true, since, rounds });
        self.starts.push((self.now.as_secs(), database));
        self.most = self.most.max(self.alive().count());
        Some(self.tickers.len() - 1)
    }
    fn stage(&mut self, ticker: &usize) -> (Stage, bool) {
        let ticker = &self.tickers[*ticker];
        (ticker.stage, ticker.alive)
    }
    fn rounds(&mut self, ticker: &usize) -> Rounds {
        self.tickers[*ticker].rounds
    }
    fn send_away(&mut self, database: u32) {
        self.say(database, Stage::SentAway, false);
    }
    fn want_room(&mut self, tickers: usize) {
        self.room_wanted = tickers;
    }
    fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }
}
