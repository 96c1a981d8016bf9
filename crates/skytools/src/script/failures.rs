//! Rounds that failed: how loudly each is told, and how long to wait before the next.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::told;
use crate::script::Config;
use crate::{Error, Result};

/// What the `exception_` keys say.
#[derive(Clone, Debug)]
pub struct Tolerance {
    sleep: Duration,
    longest_sleep: Duration,
    quiet: Vec<String>,
    grace: Duration,
    reset: Duration,
}

impl Tolerance {
    /// Reads the keys.
    pub fn from_config(config: &Config) -> Result<Self> {
        let sleep = seconds(config, "exception_sleep")?;
        let longest_sleep = match config.optional("exception_sleep_max") {
            Some(_) => seconds(config, "exception_sleep_max")?.max(sleep),
            None => sleep,
        };
        Ok(Self {
            sleep,
            longest_sleep,
            quiet: config.list("exception_quiet"),
            grace: seconds(config, "exception_grace")?,
            reset: seconds(config, "exception_reset")?,
        })
    }
}

/// A key that says how many seconds.
pub fn seconds(config: &Config, key: &str) -> Result<Duration> {
    let value = config.float(key)?;
    Duration::try_from_secs_f64(value)
        .map_err(|_| Error::usage(format!("config parameter {key}: {value} is no number of seconds")))
}

/// See the module.
#[derive(Debug)]
pub struct Failures {
    tolerance: Tolerance,
    first: Option<Instant>,
    in_a_row: u32,
}

impl Failures {
    /// None so far.
    pub const fn new(tolerance: Tolerance) -> Self {
        Self { tolerance, first: None, in_a_row: 0 }
    }

    /// The keys may say something else now; what has happened, has happened.
    pub fn set_tolerance(&mut self, tolerance: Tolerance) {
        self.tolerance = tolerance;
    }

    /// A round has gone well. Long enough after the first failure, that one is forgotten.
    pub fn succeeded(&mut self) {
        self.in_a_row = 0;
        self.first = self.first.filter(|first| first.elapsed() < self.tolerance.reset);
    }

    /// A round has failed. Gives how many have, in a row.
    pub fn failed(&mut self) -> u32 {
        self.first.get_or_insert_with(Instant::now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.in_a_row
    }

    /// Whether the failure just counted is one to warn of only: of a kind that is expected now and then, and not for
    /// too long already.
    pub fn is_quiet(&self, error: &Error) -> bool {
        let listed = |name: &String| {
            name.eq_ignore_ascii_case("ALL")
                || names(error).iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        self.first.is_some_and(|first| first.elapsed() < self.tolerance.grace)
            && self.tolerance.quiet.iter().any(listed)
    }

    /// How long to wait before the next round: after each failure twice as long, where a longest time is set.
    pub fn sleep(&self) -> Duration {
        let doublings = self.in_a_row.saturating_sub(1);
        let doubled = 2u32.checked_pow(doublings).and_then(|times| self.tolerance.sleep.checked_mul(times));
        doubled.unwrap_or(Duration::MAX).min(self.tolerance.longest_sleep)
    }
}

/// How a failed round is told in the log.
pub fn crash(job_name: &str, error: &Error) -> String {
    match error.root() {
        Error::Database { connection, query, source } => {
            let failure = match error {
                // The detail is often the row: with an event, that is for those who debug.
                Error::Event { event, .. } => {
                    let message = source.as_db_error().map(|error| error.message().to_owned());
                    format!("{event}: {}", message.unwrap_or_else(|| told(source)))
                }
                _ => told(source),
            };
            let mut line = format!("Job {job_name} got error on connection '{connection}': {failure}");
            if let Some(query) = query {
                line.push_str(&format!(".   Query: {}", shortened(query)));
            }
            if let Some(error) = source.as_db_error() {
                // What the server knows of the way there stands for the trace of a program that is interpreted.
                line.push_str(&format!("\nSQLSTATE: {}", error.code().code()));
                // That of COPY is a row, too.
                let context = error.where_().filter(|context| !context.starts_with("COPY "));
                line.extend(context.map(|context| format!("\nCONTEXT: {context}")));
            }
            line
        }
        Error::Other(root) => {
            let causes = std::iter::successors(root.source(), |cause| cause.source());
            let causes: String = causes.map(|cause| format!(": {cause}")).collect();
            format!("Job {job_name} crashed: {error}{causes}")
        }
        _ => format!("Job {job_name} crashed: {error}"),
    }
}

fn shortened(query: &str) -> String {
    const LONG: usize = 200;
    const SHORT: usize = 60;
    if query.chars().count() > LONG {
        query.chars().take(SHORT).chain("...".chars()).collect()
    } else {
        query.to_owned()
    }
}

/// What a kind of error may be called in `exception_quiet`: the SQLSTATE, its class, and the names that Python's
/// database interface has for it, from the narrowest to the widest.
pub(crate) fn names(error: &Error) -> Vec<&str> {
    let mut names = match error.root() {
        Error::Database { .. } | Error::Connect { .. } => match error.sqlstate() {
            Some(state) => sqlstate_names(state.code()),
            None => vec!["OperationalError", "InterfaceError", "DatabaseError", "Error"],
        },
        Error::Io { .. } => vec!["OSError", "IOError", "EnvironmentError"],
        Error::Usage(_) => vec!["UsageError"],
        Error::Refused(_)
        | Error::Bad(_)
        | Error::Stopped
        | Error::Other(_)
        | Error::Event { .. }
        | Error::Errand(_) => vec![],
    };
    names.push("Exception");
    names
}

fn sqlstate_names(state: &str) -> Vec<&str> {
    let class = state.get(..2).unwrap_or_default();
    let mut names = vec![state, class];
    match (class, state) {
        ("40", _) => names.push("TransactionRollbackError"),
        (_, "57014") => names.push("QueryCanceledError"),
        _ => {}
    }
    names.extend(match class {
        "0A" => Some("NotSupportedError"),
        "22" => Some("DataError"),
        "23" => Some("IntegrityError"),
        "20" | "21" | "3D" | "3F" | "42" | "44" => Some("ProgrammingError"),
        "24" | "25" | "2B" | "2D" | "2F" | "38" | "39" | "3B" | "F0" | "P0" | "XX" => Some("InternalError"),
        "08" | "26" | "27" | "28" | "34" | "40" | "53" | "54" | "55" | "57" | "58" | "HV" => {
            Some("OperationalError")
        }
        _ => None,
    });
    names.extend(["DatabaseError", "Error"]);
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::time::advance;

    use super::*;

    const GRACE: Duration = Duration::from_secs(300);
    const RESET: Duration = Duration::from_secs(900);
    const SECOND: Duration = Duration::from_secs(1);

    fn failures(quiet: &[&str]) -> Failures {
        Failures::new(Tolerance {
            sleep: 20 * SECOND,
            longest_sleep: 20 * SECOND,
            quiet: quiet.iter().map(|&name| name.to_owned()).collect(),
            grace: GRACE,
            reset: RESET,
        })
    }

    fn odd() -> Error {
        Error::bad("odd")
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_listed_is_loud() {
        let mut failures = failures(&["OperationalError"]);
        failures.failed();
        assert!(!failures.is_quiet(&odd()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_listed_is_quiet_until_the_grace_is_over() {
        let mut failures = failures(&["ALL"]);
        failures.failed();
        assert!(failures.is_quiet(&odd()));
        advance(GRACE - SECOND).await;
        failures.failed();
        assert!(failures.is_quiet(&odd()));
        advance(SECOND).await;
        failures.failed();
        assert!(!failures.is_quiet(&odd()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_success_does_not_forget_the_first_failure() {
        let mut failures = failures(&["ALL"]);
        failures.failed();
        advance(RESET - SECOND).await;
        failures.succeeded();
        failures.failed();
        assert!(!failures.is_quiet(&odd()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_success_forgets_the_first_failure() {
        let mut failures = failures(&["ALL"]);
        failures.failed();
        advance(RESET).await;
        failures.succeeded();
        failures.failed();
        assert!(failures.is_quiet(&odd()));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_counted_while_nothing_succeeds() {
        let mut failures = failures(&[]);
        assert_eq!([failures.failed(), failures.failed(), failures.failed()], [1, 2, 3]);
        failures.succeeded();
        assert_eq!(failures.failed(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_sleep_is_always_the_same_or_doubles_up_to_a_longest() {
        let mut failures = failures(&[]);
        let mut sleeps = |longest: u64| {
            failures.succeeded();
            failures.tolerance.longest_sleep = Duration::from_secs(longest);
            let mut sleep = || {
                failures.failed();
                failures.sleep().as_secs()
            };
            let first = [sleep(), sleep(), sleep(), sleep()];
            (first, (0..100).map(|_| sleep()).max())
        };
        assert_eq!(sleeps(20), ([20, 20, 20, 20], Some(20)));
        assert_eq!(sleeps(100), ([20, 40, 80, 100], Some(100)));
    }

    #[test]
    fn a_state_is_known_by_itself_its_class_and_the_names_of_python() {
        for (state, expected) in [
            ("23505", &["23505", "23", "IntegrityError", "DatabaseError", "Error"][..]),
            (
                "40P01",
                &["40P01", "40", "TransactionRollbackError", "OperationalError", "DatabaseError", "Error"],
            ),
            ("57014", &["57014", "57", "QueryCanceledError", "OperationalError", "DatabaseError", "Error"]),
            ("42P01", &["42P01", "42", "ProgrammingError", "DatabaseError", "Error"]),
            ("22012", &["22012", "22", "DataError", "DatabaseError", "Error"]),
            ("25006", &["25006", "25", "InternalError", "DatabaseError", "Error"]),
            ("P0001", &["P0001", "P0", "InternalError", "DatabaseError", "Error"]),
            ("0A000", &["0A000", "0A", "NotSupportedError", "DatabaseError", "Error"]),
            ("ZZ001", &["ZZ001", "ZZ", "DatabaseError", "Error"]),
        ] {
            assert_eq!(sqlstate_names(state), expected);
        }
    }

    #[test]
    fn an_event_does_not_hide_what_went_wrong() {
        let file = std::fs::File::open("/nonexistent").map_err(Error::io("read a file")).unwrap_err();
        let known: Vec<String> = names(&file).iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(known[0], "OSError");
        let at = |source| Error::Event { event: "event 1".to_owned(), source: Box::new(source) };
        let once = at(file);
        assert_eq!(names(&once), known);
        assert_eq!(names(&at(once)), known);
    }

    #[test]
    fn what_happened_is_told_with_its_causes() {
        assert_eq!(crash("copier", &odd()), "Job copier crashed: odd");
        let file = std::fs::File::open("/nonexistent").map_err(Error::io("read a file")).unwrap_err();
        let told = crash("copier", &file);
        assert_eq!(told, "Job copier crashed: read a file: No such file or directory (os error 2)");
        let other = crash("copier", &Error::other(file));
        assert!(other.starts_with(&told), "{other}");
    }

    #[test]
    fn a_long_query_is_shortened() {
        assert_eq!(shortened(&"x".repeat(200)), "x".repeat(200));
        assert_eq!(shortened(&"ü".repeat(201)), format!("{}...", "ü".repeat(60)));
    }
}
