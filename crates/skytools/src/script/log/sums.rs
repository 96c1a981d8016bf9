//! Statistics lines of many rounds, added up to one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::record::{Level, Record};
use crate::script::stats::{self, Value};

/// How often a line may go out.
const INTERVAL: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sums {
    sums: BTreeMap<String, Value>,
    since: Option<Instant>,
}

impl Sums {
    /// Adds a record's numbers, if it is a statistics line: `{count: 5, duration: 0.0312}`.
    pub(super) fn take(&mut self, record: &Record) -> bool {
        let Some(numbers) = numbers(record) else { return false };
        for (name, number) in numbers {
            let sum = self.sums.get(name).map_or(number, |sum| sum.plus(number));
            self.sums.insert(name.to_owned(), sum);
        }
        self.since.get_or_insert_with(Instant::now);
        true
    }

    /// Whether the oldest number has waited for long enough.
    pub(super) fn are_due(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= INTERVAL)
    }

    /// All numbers as one line; `None` when there are none.
    pub(super) fn line(&self) -> Option<String> {
        stats::line(&self.sums)
    }

    /// Begins again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn numbers(record: &Record) -> Option<Vec<(&str, Value)>> {
    if record.level != Level::Info {
        return None;
    }
    let inside = record.message.strip_prefix('{')?.strip_suffix('}')?;
    inside
        .split(", ")
        .map(|pair| {
            let (name, number) = pair.split_once(": ")?;
            Some((name, Value::read(number)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_add_up_to_one_line_a_minute() {
        let mut sums = Sums::default();
        assert_eq!(sums.line(), None);
        for line in ["{count: 5, duration: 0.0312}", "{count: 7, duration: 1.5, idle: 2}"] {
            assert!(sums.take(&Record::sample(Level::Info, line)), "{line}");
        }
        assert_eq!(sums.line().as_deref(), Some("{count: 12, duration: 1.5312, idle: 2}"));
        assert!(!sums.are_due(Instant::now()));
        assert!(sums.are_due(Instant::now() + INTERVAL));
        sums.clear();
        assert_eq!(sums.line(), None);
        assert!(!sums.are_due(Instant::now() + INTERVAL));
    }

    #[test]
    fn a_count_meets_a_measure() {
        let mut sums = Sums::default();
        sums.take(&Record::sample(Level::Info, "{idle: 1}"));
        sums.take(&Record::sample(Level::Info, "{idle: 0.5}"));
        assert_eq!(sums.line().as_deref(), Some("{idle: 1.5}"));
    }

    #[test]
    fn other_lines_are_no_numbers() {
        for line in ["{}", "{count}", "{count: x}", "count: 5", "{count: 5", "{count: 5, }", "{a: 1} {b: 2}"]
        {
            assert!(!Sums::default().take(&Record::sample(Level::Info, line)), "{line}");
        }
        assert!(!Sums::default().take(&Record::sample(Level::Warning, "{count: 5}")));
    }
}
