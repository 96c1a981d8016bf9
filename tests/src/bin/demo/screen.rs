//! One line a second.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use pgq_tests::client::Session;

use crate::consumer::Runner;
use crate::workload::{self, QUEUE};

/// What a line needs to know of the line before.
pub struct Screen {
    session: Session,
    began: Instant,
    lines: u64,
    committed: usize,
    received: Vec<usize>,
    switches: BTreeSet<SystemTime>,
}

impl Screen {
    /// Prints the headings.
    pub fn new(runners: &[Runner], session: Session) -> Self {
        print!("{:>6} {:>11}", "time", "committed/s");
        for runner in runners {
            print!(
                " | {:<5} {:>6} {:>6} {:>5} {:>5} {:>5}",
                runner.name(),
                "got/s",
                "batch",
                "lag",
                "p50",
                "p99"
            );
        }
        println!();
        Self {
            session,
            began: Instant::now(),
            lines: 0,
            committed: 0,
            received: vec![0; runners.len()],
            switches: BTreeSet::new(),
        }
    }

    /// How often the event tables were seen to rotate.
    pub fn rotations(&self) -> usize {
        self.switches.len().saturating_sub(1)
    }

    /// Waits for the next full second and prints its line. The session may have ended with the server; then there
    /// is nothing to print.
    pub fn wait_and_show(&mut self, runners: &[Runner]) {
        self.lines += 1;
        let due = self.began + Duration::from_secs(self.lines);
        // In small steps, so that an interruption shows its effect at once.
        let left = due.saturating_duration_since(Instant::now());
        if left > Duration::from_millis(100) {
            self.lines -= 1;
            std::thread::sleep(Duration::from_millis(100));
            return;
        }
        std::thread::sleep(left);
        if let Ok(line) = self.line(runners) {
            println!("{line}");
        }
    }

    fn line(&mut self, runners: &[Runner]) -> Result<String, postgres::Error> {
        use std::fmt::Write;
        let switched = "select queue_switch_time from pgq.queue where queue_name = $1";
        self.switches.insert(self.session.query_one(switched, &[&QUEUE])?.get(0));
        let committed = workload::committed(&mut self.session)?;
        let mut line = format!("{:>4} s {:>11}", self.lines, grouped(committed - self.committed));
        self.committed = committed;
        for (runner, before) in runners.iter().zip(&mut self.received) {
            let lag: Option<f64> = self
                .session
                .query_one(
                    "select extract(epoch from lag)::float8 from pgq.get_consumer_info($1, $2)",
                    &[&QUEUE, &runner.name()],
                )?
                .get(0);
            let mut state = runner.state();
            let received = state.transactions();
            let recent = std::mem::take(&mut state.recent);
            write!(
                line,
                " | {:<5} {:>6} {:>6} {:>5} {:>5} {:>5}",
                "",
                grouped(received - *before),
                if received > *before { grouped(state.last_batch) } else { "-".to_owned() },
                time(Duration::from_secs_f64(lag.unwrap_or_default().max(0.0))),
                time(recent.percentile(0.5)),
                time(recent.percentile(0.99)),
            )
            .expect("writing to a string");
            *before = received;
        }
        Ok(line)
    }
}

/// `-12,345`
pub fn grouped(number: impl ToString) -> String {
    let text = number.to_string();
    let (sign, digits) = text.split_at(usize::from(text.starts_with('-')));
    let mut grouped = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `850us`, `12ms`, `1.5s`; a dash for no time at all.
pub fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        0.0 => "-".to_owned(),
        seconds if seconds < 0.001 => format!("{:.0}us", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.0}ms", seconds * 1e3),
        seconds => format!("{seconds:.1}s"),
    }
}
