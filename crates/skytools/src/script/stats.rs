//! What a round has done, in numbers: one line of the log a round.

use std::collections::BTreeMap;
use std::fmt;

/// A number of a statistics line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Count(i64),
    Measure(f64),
}

impl Value {
    /// Reads what [`Display`](fmt::Display) has written.
    pub(super) fn read(text: &str) -> Option<Self> {
        text.parse().map(Self::Count).ok().or_else(|| text.parse().map(Self::Measure).ok())
    }

    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Count(one), Self::Count(two)) => Self::Count(one.saturating_add(two)),
            (one, two) => Self::Measure(one.float() + two.float()),
        }
    }

    pub(super) const fn float(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Measure(measure) => measure,
        }
    }
}

impl fmt::Display for Value {
    /// A measure has at most four decimals, and at least one: who reads it knows that it is no count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Measure(measure) => {
                let padded = format!("{measure:.4}");
                let plain = padded.trim_end_matches('0');
                write!(f, "{plain}{}", if plain.ends_with('.') { "0" } else { "" })
            }
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
        *value = value.plus(Value::Count(by));
    }

    /// Sets a counter.
    pub fn set(&mut self, name: &str, count: i64) {
        self.values.insert(name.to_owned(), Value::Count(count));
    }

    /// Sets what is measured: seconds, mostly.
    pub fn measure(&mut self, name: &str, measure: f64) {
        self.values.insert(name.to_owned(), Value::Measure(measure));
    }

    /// The numbers so far, by name.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The line `{count: 5, duration: 0.0312}`, and nothing left behind; `None` when there is nothing to tell.
    pub fn take_line(&mut self) -> Option<String> {
        line(&std::mem::take(&mut self.values))
    }
}

/// Numbers as a line; `None` when there are none.
pub(super) fn line(values: &BTreeMap<String, Value>) -> Option<String> {
    let told: Vec<String> = values.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    (!told.is_empty()).then(|| format!("{{{}}}", told.join(", ")))
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

    #[test]
    fn measures_are_plain_decimals() {
        for (measure, told) in [
            (0.011, "0.011"),
            (0.031_249, "0.0312"),
            (0.000_04, "0.0"),
            (0.000_05, "0.0001"),
            (2.0, "2.0"),
            (0.999_99, "1.0"),
            (100.0, "100.0"),
            (-1.5, "-1.5"),
            (1e17, "100000000000000000.0"),
        ] {
            assert_eq!(Value::Measure(measure).to_string(), told);
            assert!(matches!(Value::read(told), Some(Value::Measure(_))), "{told}");
        }
        assert_eq!(Value::read("100"), Some(Value::Count(100)));
    }
}
