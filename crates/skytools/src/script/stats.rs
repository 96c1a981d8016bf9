//! What a round has done, in numbers: one line of the log a round.

use std::collections::BTreeMap;
use std::fmt;

/// A number of a statistics line.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Count(i64),
    Measure(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Measure(measure) => write!(f, "{measure:.4}"),
        }
    }
}

/// Counters by name. Written and cleared once a round; whoever collects logs parses the line, so its form is fixed.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    values: BTreeMap<String, Value>,
}

impl Stats {
    /// Adds to a counter.
    pub fn increase(&mut self, name: &str, by: i64) {
        let value = self.values.entry(name.to_owned()).or_insert(Value::Count(0));
        *value = match *value {
            Value::Count(count) => Value::Count(count + by),
            Value::Measure(measure) => Value::Measure(measure + by as f64),
        };
    }

    /// Sets a counter.
    pub fn set(&mut self, name: &str, count: i64) {
        self.values.insert(name.to_owned(), Value::Count(count));
    }

    /// Sets what is measured: seconds, mostly.
    pub fn measure(&mut self, name: &str, measure: f64) {
        self.values.insert(name.to_owned(), Value::Measure(measure));
    }

    /// The line `{count: 5, duration: 0.0312}`, and nothing left behind; `None` when there is nothing to tell.
    pub fn take_line(&mut self) -> Option<String> {
        if self.values.is_empty() {
            return None;
        }
        let told: Vec<String> =
            std::mem::take(&mut self.values).iter().map(|(name, value)| format!("{name}: {value}")).collect();
        Some(format!("{{{}}}", told.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_all_and_clears() {
        let mut stats = Stats::default();
        assert_eq!(stats.take_line(), None);
        stats.increase("count", 2);
        stats.increase("count", 3);
        stats.measure("duration", 0.031_249);
        stats.set("standby", 1);
        assert_eq!(stats.take_line().as_deref(), Some("{count: 5, duration: 0.0312, standby: 1}"));
        assert_eq!(stats.take_line(), None);
    }
}
