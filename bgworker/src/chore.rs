//! What is to be done for a database besides ticking, a transaction at a time.

use crate::process::Name;
use std::fmt;

/// One row of `pgq.maint_operations()`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Call a function of no or one text argument; an answer that is not zero asks for another call.
    Call {
        /// `schema.name`
        function: Name,
        /// Mostly a queue.
        argument: Option<Name>,
    },
    /// Vacuum a table, which is only asked for where autovacuum is off, or gather its statistics, or both.
    Tend {
        /// What to do.
        verb: Verb,
        /// `schema.name`
        table: Name,
    },
}

/// What is done to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Make room for new versions of rows.
    Vacuum,
    /// The same, and gather statistics.
    VacuumAnalyze,
    /// Gather statistics.
    Analyze,
}

impl Verb {
    /// As the server writes it. A table that somebody has locked is left for the next time.
    pub fn sql(self) -> &'static str {
        match self {
            Verb::Vacuum => "VACUUM (SKIP_LOCKED)",
            Verb::VacuumAnalyze => "VACUUM (SKIP_LOCKED, ANALYZE)",
            Verb::Analyze => "ANALYZE (SKIP_LOCKED)",
        }
    }
}

impl Operation {
    /// Reads a row: `vacuum` and `vacuum analyze`, in any case, are statements, everything else is a function.
    pub fn of_row(name: Name, argument: Option<Name>) -> Operation {
        let words: Vec<Vec<u8>> = name
            .0
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .map(<[u8]>::to_ascii_lowercase)
            .collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match (words.as_slice(), argument) {
            ([b"vacuum"], Some(table)) => Operation::Tend { verb: Verb::Vacuum, table },
            ([b"vacuum", b"analyze"], Some(table)) => Operation::Tend { verb: Verb::VacuumAnalyze, table },
            (_, argument) => Operation::Call { function: name, argument },
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Call { function, argument: None } => write!(f, "{function}()"),
            Operation::Call { function, argument: Some(argument) } => write!(f, "{function}('{argument}')"),
            Operation::Tend { verb, table } => write!(f, "{} {table}", verb.sql()),
        }
    }
}

/// A piece of work that may fail by itself; also the name under which its failures are remembered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// See whether the extension is there.
    Look,
    /// See which queues are due.
    LookForDue,
    /// Ticking queues for consumers that wait.
    TickWanted,
    /// Tick a queue.
    Tick(Name),
    /// Bring back some of the events that somebody wanted again.
    Retry,
    /// See which queues have more ticks than anybody needs.
    LookForCrowded,
    /// Forget such ticks of a queue.
    Thin(Name),
    /// Ask what maintenance there is to do.
    Plan,
    /// Do one thing of that.
    Operation(Operation),
}

impl Work {
    /// The queue that it is about, if it is about one.
    pub fn queue(&self) -> Option<&Name> {
        match self {
            Work::Tick(queue) | Work::Thin(queue) => Some(queue),
            Work::Operation(Operation::Call { argument, .. }) => argument.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Look => f.write_str("look for the extension"),
            Work::LookForDue => f.write_str("look for queues to tick"),
            Work::TickWanted => f.write_str("ticks for consumers that wait"),
            Work::Tick(queue) => write!(f, "tick of queue \"{queue}\""),
            Work::Retry => f.write_str("pgq.maint_retry_events()"),
            Work::LookForCrowded => f.write_str("look for ticks that nobody needs"),
            Work::Thin(queue) => write!(f, "thinning of the ticks of queue \"{queue}\""),
            Work::Plan => f.write_str("pgq.maint_operations()"),
            Work::Operation(operation) => operation.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name(text.as_bytes().to_vec())
    }

    fn shown(function: &str, argument: Option<&str>) -> String {
        Operation::of_row(name(function), argument.map(name)).to_string()
    }

    #[test]
    fn rows_are_calls_or_vacuums() {
        assert_eq!(shown("pgq.maint_rotate_tables_step1", Some("q")), "pgq.maint_rotate_tables_step1('q')");
        assert_eq!(shown("pgq.maint_rotate_tables_step2", None), "pgq.maint_rotate_tables_step2()");
        assert_eq!(shown("vacuum", Some("pgq.tick")), "VACUUM (SKIP_LOCKED) pgq.tick");
        assert_eq!(shown("VACUUM  Analyze", Some("pgq.tick")), "VACUUM (SKIP_LOCKED, ANALYZE) pgq.tick");
        assert_eq!(shown("public.vacuum", Some("q")), "public.vacuum('q')");
    }

    #[test]
    fn a_name_in_another_encoding_is_shown_escaped() {
        assert_eq!(Work::Tick(Name(b"caf\xe9".to_vec())).to_string(), r#"tick of queue "caf\xe9""#);
    }
}
