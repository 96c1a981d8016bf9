//! The loop with a scripted job and a clock that jumps: no test sleeps.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::*;
use crate::script::{COMMON_KEYS, Key, KeyGroup, Kind, Loader};

type Step = fn(&mut Script) -> Result<Next>;

const MORE: Step = |_| Ok(Next::More);
const IDLE: Step = |_| Ok(Next::Idle);
const FAIL: Step = |_| Err(Error::bad("odd"));
const STOP: Step = |script| {
    script.stop().after_round();
    Ok(Next::Idle)
};

/// A job that does step after step, and writes down what happens when.
struct Scripted {
    startups: VecDeque<Step>,
    steps: VecDeque<Step>,
    begun: Instant,
    /// When each round began, in seconds.
    rounds: Vec<f64>,
    failures: Vec<u32>,
    reloads: Vec<String>,
    shutdowns: u32,
}

impl Scripted {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            startups: VecDeque::new(),
            steps: steps.into_iter().collect(),
            begun: Instant::now(),
            rounds: Vec::new(),
            failures: Vec::new(),
            reloads: Vec::new(),
            shutdowns: 0,
        }
    }
}

impl Job for Scripted {
    async fn startup(&mut self, script: &mut Script) -> Result<()> {
        self.startups.pop_front().map_or(Ok(()), |step| step(script).map(drop))
    }

    async fn work(&mut self, script: &mut Script) -> Result<Next> {
        self.rounds.push(self.begun.elapsed().as_secs_f64());
        self.steps.pop_front().expect("a step for each round")(script)
    }

    async fn reload(&mut self, script: &mut Script) -> Result<()> {
        let greeting = script.config().text("greeting")?.to_owned();
        if greeting == "refused" {
            return Err(Error::usage("such a greeting cannot be"));
        }
        self.reloads.push(greeting);
        Ok(())
    }

    async fn failed(&mut self, _script: &mut Script, _error: &Error, times: u32) {
        self.failures.push(times);
        assert!(times < 5, "enough is enough");
    }

    async fn shutdown(&mut self, _script: &mut Script) -> Result<()> {
        self.shutdowns += 1;
        Ok(())
    }
}

const KEYS: &[Key] = &[Key::optional("greeting", Kind::Text, "How to greet.")];

fn script(pairs: &[(&str, &str)]) -> Script {
    Script::new(Config::from_pairs("job", &[KEYS], pairs.iter().copied()).unwrap())
}

/// Runs the steps: what happened, and the exit status.
async fn run(script: &mut Script, steps: impl IntoIterator<Item = Step>) -> (Scripted, Result<u8>) {
    let mut job = Scripted::new(steps);
    let status = script.run(&mut job).await;
    assert!(job.steps.is_empty(), "{} steps were left over", job.steps.len());
    (job, status)
}

#[tokio::test(start_paused = true)]
async fn more_work_is_done_at_once_and_idleness_sleeps() {
    let (job, status) = run(&mut script(&[("loop_delay", "2.5")]), [MORE, MORE, IDLE, IDLE, STOP]).await;
    assert_eq!(job.rounds, [0.0, 0.0, 0.0, 2.5, 5.0]);
    assert_eq!((status.unwrap(), job.shutdowns), (0, 1));
    assert_eq!(job.begun.elapsed(), Duration::from_secs(5), "the end does not sleep");
}

#[tokio::test(start_paused = true)]
async fn who_stands_by_sleeps_ten_times_as_long() {
    let standby: Step = |_| Ok(Next::Standby);
    let (job, _) = run(&mut script(&[("loop_delay", "2.5")]), [standby, IDLE, STOP]).await;
    assert_eq!(job.rounds, [0.0, 25.0, 27.5]);
    let (job, status) = run(&mut script(&[("loop_delay", "0")]), [standby]).await;
    assert_eq!((job.rounds, status.unwrap()), (vec![0.0], 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_delay_idleness_is_the_end() {
    let (job, status) = run(&mut script(&[("loop_delay", "0")]), [MORE, FAIL, MORE, IDLE]).await;
    assert_eq!(job.rounds, [0.0, 0.0, 20.0, 20.0]);
    assert_eq!((status.unwrap(), job.shutdowns), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn with_a_negative_delay_one_round_is_all() {
    let pairs = [("loop_delay", "-1")];
    assert_eq!(run(&mut script(&pairs), [MORE]).await.1.unwrap(), 0);
    assert_eq!(run(&mut script(&pairs), [IDLE]).await.1.unwrap(), 0);
    let (job, status) = run(&mut script(&pairs), [FAIL]).await;
    assert_eq!((status.unwrap(), job.shutdowns), (1, 1));
    assert_eq!(job.begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_single_pass_is_one_round_whatever_the_delay() {
    let mut script = script(&[]);
    script.single_pass();
    assert_eq!(run(&mut script, [MORE]).await.1.unwrap(), 0);
    assert_eq!(run(&mut script, [FAIL]).await.1.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_sleeps_and_failures_in_a_row_are_counted() {
    let mut script = script(&[("exception_sleep", "7")]);
    let (job, status) = run(&mut script, [FAIL, FAIL, MORE, FAIL, STOP]).await;
    assert_eq!(job.rounds, [0.0, 7.0, 14.0, 14.0, 21.0]);
    assert_eq!(job.failures, [1, 2, 1]);
    assert_eq!(status.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_sleep_longer_where_a_longest_sleep_is_set() {
    let mut script = script(&[("exception_sleep", "2"), ("exception_sleep_max", "5")]);
    let (job, _) = run(&mut script, [FAIL, FAIL, FAIL, MORE, FAIL, STOP]).await;
    assert_eq!(job.rounds, [0.0, 2.0, 6.0, 11.0, 11.0, 13.0]);
}

#[tokio::test(start_paused = true)]
async fn a_usage_error_is_the_end() {
    let (job, status) = run(&mut script(&[]), [MORE, |_| Err(Error::usage("no such table"))]).await;
    assert_eq!(status.unwrap_err().to_string(), "no such table");
    assert!(job.failures.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_round() {
    let log = Log::capture();
    let (job, status) = run(&mut script(&[]), [|_: &mut Script| panic!("number {}", 7), STOP]).await;
    assert_eq!((job.failures, status.unwrap()), (vec![1], 0));
    assert_eq!(log.lines(Level::ERROR), ["Job job crashed: panic: number 7"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_hook_for_failures_is_told_too() {
    let log = Log::capture();
    let (job, _) = run(&mut script(&[]), [FAIL, FAIL, FAIL, FAIL, FAIL, STOP]).await;
    assert_eq!(job.failures, [1, 2, 3, 4, 5]);
    assert_eq!(log.lines(Level::ERROR).last().unwrap(), "Job job crashed: panic: enough is enough");
}

#[tokio::test(start_paused = true)]
async fn a_startup_that_fails_is_tried_again() {
    let mut job = Scripted::new([STOP]);
    job.startups = [FAIL, |_| panic!("what now"), IDLE].into();
    assert_eq!(script(&[]).run(&mut job).await.unwrap(), 0);
    assert_eq!((job.rounds, job.failures, job.shutdowns), (vec![40.0], vec![1, 2], 1));
}

#[tokio::test(start_paused = true)]
async fn what_never_started_is_not_shut_down() {
    let mut job = Scripted::new([]);
    job.startups = [FAIL].into();
    assert_eq!(script(&[("loop_delay", "-1")]).run(&mut job).await.unwrap(), 1);
    assert_eq!(job.shutdowns, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_interrupts_each_sleep() {
    for last in [IDLE, FAIL] {
        let mut script = script(&[("loop_delay", "20")]);
        let stop = script.stop();
        let later = tokio::spawn(async move {
            sleep(Duration::from_secs(3)).await;
            stop.after_round();
        });
        let (job, status) = run(&mut script, [last]).await;
        assert_eq!((job.begun.elapsed(), status.unwrap()), (Duration::from_secs(3), 0));
        later.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_between_events_gives_the_round_up() {
    let log = Log::capture();
    let step: Step = |script| {
        script.stop().after_round();
        script.stop().check_between_events().unwrap();
        script.stop().between_events();
        script.stop().check_between_events().map(|()| Next::More)
    };
    let (job, status) = run(&mut script(&[]), [step]).await;
    assert_eq!((status.unwrap(), job.failures.len(), job.shutdowns), (0, 0, 1));
    assert!(log.lines(Level::ERROR).is_empty());
}

#[tokio::test(start_paused = true)]
async fn listed_failures_are_warnings_while_the_grace_lasts() {
    let log = Log::capture();
    let mut script = script(&[
        ("exception_quiet", "IntegrityError, Exception"),
        ("exception_sleep", "20"),
        ("exception_grace", "50"),
        ("exception_reset", "70"),
    ]);
    // At 0, 20 and 40 quiet, at 60 loud; the success at 80 forgets, and a new window begins.
    run(&mut script, [FAIL, FAIL, FAIL, |_| Err(Error::bad("at 60")), MORE, FAIL, STOP]).await.1.unwrap();
    assert_eq!(log.lines(Level::ERROR), ["Job job crashed: at 60"]);
    assert_eq!(log.lines(Level::WARN), ["Job job crashed: odd"; 4]);
}

#[tokio::test(start_paused = true)]
async fn numbers_are_told_once_a_round_even_when_it_fails() {
    let log = Log::capture();
    let counted: Step = |script| {
        script.stats.increase("count", 2);
        Ok(Next::More)
    };
    let failed: Step = |script| {
        script.stats.increase("count", 3);
        Err(Error::bad("odd"))
    };
    run(&mut script(&[]), [counted, MORE, failed, STOP]).await.1.unwrap();
    assert_eq!(log.lines(Level::INFO), ["{count: 2}", "{count: 3}"]);
    run(&mut script(&[("loop_delay", "-1")]), [failed]).await.1.unwrap();
    assert_eq!(log.lines(Level::INFO).len(), 3, "also when no round follows");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_of_the_loop_is_a_usage_error() {
    for (key, value) in [("loop_delay", "1e30"), ("exception_sleep", "-1"), ("connection_lifetime", "-5")] {
        let error = run(&mut script(&[(key, value)]), []).await.1.unwrap_err();
        assert!(matches!(&error, Error::Usage(text) if text.contains(key)), "{error}");
    }
}

/// An INI file that changes.
struct IniFile(TempDir);

impl IniFile {
    fn new(text: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("job.ini")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), format!("[job]\n{text}\n")).unwrap();
    }

    fn script(&self) -> Script {
        let groups = [COMMON_KEYS, KeyGroup { title: "Job", keys: KEYS }];
        let loader = Loader::new(self.path(), &["job"], &groups, Vec::new());
        Script::launched(loader.load().unwrap(), loader, None)
    }
}

/// Runs a job with this INI file; a while after its first round the file becomes `then`, and a reload is asked for;
/// the same while later the end.
async fn reloaded(then: &str) -> (Scripted, Script) {
    let file = Arc::new(IniFile::new("loop_delay = 100\ngreeting = hello"));
    let mut script = file.script();
    let (stop, reload) = (script.stop(), script.reload());
    let changed = Arc::clone(&file);
    let then = then.to_owned();
    tokio::spawn(async move {
        sleep(Duration::from_secs(30)).await;
        changed.write(&then);
        reload.ask();
        sleep(Duration::from_secs(30)).await;
        stop.after_round();
    });
    let (job, status) = run(&mut script, [IDLE, IDLE]).await;
    assert_eq!(status.unwrap(), 0);
    assert_eq!(job.rounds, [0.0, 30.0], "a reload interrupts the sleep");
    (job, script)
}

#[tokio::test(start_paused = true)]
async fn a_reload_takes_the_new_values() {
    let (job, script) = reloaded("loop_delay = 200\ngreeting = good day").await;
    assert_eq!(job.reloads, ["good day"]);
    assert_eq!(script.config().text("greeting").unwrap(), "good day");
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_the_pace() {
    let file = IniFile::new("loop_delay = 100\ngreeting = hello");
    let mut script = file.script();
    let reload = script.reload();
    file.write("loop_delay = 10\ngreeting = hello");
    reload.ask();
    let (job, status) = run(&mut script, [IDLE, IDLE, STOP]).await;
    assert_eq!((job.rounds, status.unwrap()), (vec![0.0, 10.0, 20.0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_changes_nothing() {
    for broken in
        ["greeting = %(nothing)s", "loop_delay = soon", "exception_sleep = -1", "loop_delay = 1\n[job]"]
    {
        let log = Log::capture();
        let (job, script) = reloaded(broken).await;
        assert!(job.reloads.is_empty());
        assert_eq!(script.config().text("greeting").unwrap(), "hello");
        let errors = log.lines(Level::ERROR);
        assert!(
            matches!(&errors[..], [line] if line.contains("the old one stays in force")),
            "{broken}: {errors:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_job_refuses_changes_nothing() {
    let log = Log::capture();
    let (job, script) = reloaded("greeting = refused").await;
    assert!(job.reloads.is_empty());
    assert_eq!(script.config().text("greeting").unwrap(), "hello");
    assert!(log.lines(Level::ERROR)[0].ends_with("such a greeting cannot be"));
}

/// What this thread logs, as long as the value lives.
struct Log {
    lines: Arc<Mutex<Vec<(Level, String)>>>,
    _guard: DefaultGuard,
}

impl Log {
    fn capture() -> Self {
        let lines = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Capture(Arc::clone(&lines)));
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    fn lines(&self, level: Level) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|(at, _)| *at == level).map(|(_, line)| line.clone()).collect()
    }
}

struct Capture(Arc<Mutex<Vec<(Level, String)>>>);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push((*event.metadata().level(), message.0));
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
