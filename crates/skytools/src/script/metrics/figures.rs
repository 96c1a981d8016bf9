//! The figures of a job, as Prometheus reads them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounterVec, Opts, Registry, TextEncoder,
};

use crate::script::Stats;
use crate::{Error, Result};

/// From rounds that find nothing to those that make somebody look, in seconds.
const ROUNDS: [f64; 7] = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0];

/// See the module. All that is counted is counted from when this was made.
#[derive(Debug)]
pub struct Figures {
    registry: Registry,
    stats: CounterVec,
    rounds: IntCounterVec,
    round: Histogram,
    last_success: Gauge,
    /// Without labels, and there only once it is known: not every job has batches.
    batch_lag: GaugeVec,
}

impl Figures {
    /// Of this job, which has done nothing yet.
    pub fn new(job_name: &str, service_name: &str) -> Self {
        let labels = [("job_name", job_name), ("service", service_name)];
        let labels: HashMap<_, _> = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let registry = Registry::new_custom(None, Some(labels)).expect("a registry needs no prefix");
        let began = gauge("process_start_time_seconds", "When the process began, in seconds since 1970.");
        began.set(now());
        let figures = Self {
            stats: made(CounterVec::new(
                Opts::new("skytools_stats_total", "What the statistics lines of the log add up to."),
                &["name"],
            )),
            rounds: made(IntCounterVec::new(
                Opts::new("skytools_rounds_total", "Rounds of work."),
                &["outcome"],
            )),
            round: made(Histogram::with_opts(
                HistogramOpts::new("skytools_round_duration_seconds", "How long a round of work took.")
                    .buckets(ROUNDS.to_vec()),
            )),
            last_success: gauge(
                "skytools_last_success_timestamp_seconds",
                "When the last round that succeeded was over, in seconds since 1970; 0: none has.",
            ),
            batch_lag: made(GaugeVec::new(
                Opts::new(
                    "skytools_batch_lag_seconds",
                    "How old the end of the last batch was when the batch was finished.",
                ),
                &[],
            )),
            registry,
        };
        // Who adds up rates wants to see the zero before the one.
        for outcome in ["done", "failed"] {
            figures.rounds.with_label_values(&[outcome]);
        }
        let all: [Box<dyn Collector>; 6] = [
            Box::new(began),
            Box::new(figures.stats.clone()),
            Box::new(figures.rounds.clone()),
            Box::new(figures.round.clone()),
            Box::new(figures.last_success.clone()),
            Box::new(figures.batch_lag.clone()),
        ];
        for collector in all {
            figures.registry.register(collector).expect("their names are different");
        }
        figures
    }

    /// Adds the numbers of a round. What is below zero cannot be part of a counter.
    pub fn add(&self, stats: &Stats) {
        for (name, value) in stats.values() {
            let value = value.float();
            if value.is_finite() && value >= 0.0 {
                self.stats.with_label_values(&[name]).inc_by(value);
            }
        }
    }

    /// A round took so long. Neither done nor failed is one that was given up, on request.
    pub fn round<T>(&self, took: Duration, result: &Result<T>) {
        let outcome = match result {
            Ok(_) => "done",
            Err(Error::Stopped) => return,
            Err(_) => "failed",
        };
        self.rounds.with_label_values(&[outcome]).inc();
        self.round.observe(took.as_secs_f64());
        if result.is_ok() {
            self.last_success.set(now());
        }
    }

    /// A batch is finished whose last tick was taken at this time, by the clock of its server.
    pub fn batch(&self, end: Timestamp) {
        let lag = Timestamp::now().duration_since(end).as_secs_f64();
        self.batch_lag.with_label_values(&[] as &[&str]).set(lag.max(0.0));
    }

    /// All of them in the text format of Prometheus.
    pub fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn gauge(name: &str, help: &str) -> Gauge {
    made(Gauge::new(name, help))
}

fn made<T>(metric: prometheus::Result<T>) -> T {
    metric.expect("names and helps are as Prometheus wants them")
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The samples of this name: labels, but for those of the job, and value.
    fn told(figures: &Figures, name: &str) -> Vec<String> {
        let text = figures.text().unwrap();
        let samples =
            text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
        let of_job = |label: &&str| *label == "job_name=\"j\"" || *label == "service=\"s\"";
        let told = samples.map(|(labels, value)| {
            assert_eq!(labels.split(',').filter(of_job).count(), 2, "{labels}");
            let others = labels.split(',').filter(|label| !of_job(label));
            others.chain([value]).collect::<Vec<_>>().join(" ")
        });
        told.collect()
    }

    #[test]
    fn numbers_add_up_by_name() {
        let figures = Figures::new("j", "s");
        let mut stats = Stats::default();
        stats.increase("count", 5);
        stats.measure("duration", 0.25);
        stats.set("odd", -1);
        stats.measure("none", f64::NAN);
        figures.add(&stats);
        figures.add(&stats);
        assert_eq!(told(&figures, "skytools_stats_total"), ["name=\"count\" 10", "name=\"duration\" 0.5"]);
    }

    #[test]
    fn rounds_are_counted_by_their_outcome() {
        let figures = Figures::new("j", "s");
        assert_eq!(told(&figures, "skytools_last_success_timestamp_seconds"), ["0"]);
        let before = now();
        for result in [Ok(()), Err(Error::bad("odd")), Ok(()), Err(Error::Stopped)] {
            figures.round(Duration::from_millis(20), &result);
        }
        assert_eq!(told(&figures, "skytools_rounds_total"), ["outcome=\"done\" 2", "outcome=\"failed\" 1"]);
        assert_eq!(told(&figures, "skytools_round_duration_seconds_count"), ["3"]);
        let success: f64 = told(&figures, "skytools_last_success_timestamp_seconds")[0].parse().unwrap();
        assert!((before..=now()).contains(&success), "{success}");
    }

    #[test]
    fn a_lag_is_told_once_it_is_known_and_never_below_zero() {
        let figures = Figures::new("j", "s");
        let lag = |figures: &Figures| -> Option<f64> {
            told(figures, "skytools_batch_lag_seconds").first().map(|value| value.parse().unwrap())
        };
        assert_eq!(lag(&figures), None);
        figures.batch(Timestamp::now() - Duration::from_secs(100));
        assert!((100.0..110.0).contains(&lag(&figures).unwrap()));
        figures.batch(Timestamp::now() + Duration::from_secs(100));
        assert_eq!(lag(&figures), Some(0.0));
    }
}
