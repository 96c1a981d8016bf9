//! What a function of ours answers when it cannot do what it was asked.
//!
//! Functions return [`Error`] as a value; it becomes a PostgreSQL error in one place, at the edge
//! (`pg::call`), after every Rust value of the call is gone. The conditions and, where clients of PgQ 3.5 may
//! look at them, the SQLSTATEs are those of PgQ 3.5: `P0001` from what was SQL there. What was `XX000` there has
//! a state of its own here, listed in `docs/errors.md`.

use pgrx::pg_sys::errcodes::PgSqlErrorCode;

/// The result of everything that can be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error report in the making: state, message, and optionally detail and hint.
#[derive(Debug)]
pub struct Error {
    pub(crate) state: PgSqlErrorCode,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
}

impl Error {
    /// An error with a SQLSTATE and a message in PostgreSQL's style (no capital, no full stop).
    pub fn new(state: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Error { state, message: message.into(), detail: None, hint: None }
    }

    /// `P0001`, which PgQ 3.5 raises from everything that is SQL there.
    pub fn raised(message: impl Into<String>) -> Self {
        Self::new(PgSqlErrorCode::ERRCODE_RAISE_EXCEPTION, message)
    }

    /// Adds what is known about this occurrence.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a sentence behind what is known already: where it happened.
    pub fn at(mut self, place: String) -> Self {
        self.detail = Some(match self.detail {
            Some(detail) => format!("{detail} {place}"),
            None => place,
        });
        self
    }

    /// Adds what the user can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A queue that does not exist, for everything but event insertion.
    pub fn no_such_queue(name: Option<impl std::fmt::Display>) -> Self {
        let Some(name) = name else {
            return Self::raised("queue name is NULL");
        };
        Self::raised(format!("queue \"{name}\" does not exist"))
            .hint("The table pgq.queue lists the queues of this database; pgq.create_queue() makes one.")
    }
}

/// The name of a thing that may be NULL, for messages.
pub fn or_null(name: Option<impl std::fmt::Display>) -> String {
    name.map_or_else(|| "NULL".to_owned(), |name| name.to_string())
}
