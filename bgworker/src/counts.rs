//! What is done in all databases, as a line of the log.

use std::fmt;

/// What all tickers together have done in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ticks taken.
    pub ticks: u64,
    /// Rounds of maintenance.
    pub rounds: u64,
    /// Events put back into their queues.
    pub retries: u64,
    /// Pieces of work that failed.
    pub errors: u64,
}

impl Counts {
    /// Whether there is nothing to tell.
    pub fn are_none(&self) -> bool {
        *self == Counts::default()
    }
}

impl fmt::Display for Counts {
    /// As pgqd writes it, for those who read logs by machine.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ticks: {}, maint: {}, retry: {}", self.ticks, self.rounds, self.retries)?;
        if self.errors > 0 {
            write!(f, ", errors: {}", self.errors)?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_when_there_are_any() {
        let counts = Counts { ticks: 3, rounds: 2, retries: 1, errors: 0 };
        assert_eq!(counts.to_string(), "{ticks: 3, maint: 2, retry: 1}");
        let counts = Counts { errors: 4, ..counts };
        assert_eq!(counts.to_string(), "{ticks: 3, maint: 2, retry: 1, errors: 4}");
    }
}
