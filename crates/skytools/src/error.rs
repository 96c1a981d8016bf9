//! What can go wrong, cut by what is to be done about it.

use std::error::Error as _;
use std::{fmt, io};

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::consumer::Event;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Its `Debug` is its text, too: a `main` that returns a [`Result`] prints it for users to read.
#[derive(thiserror::Error)]
pub enum Error {
    /// The user asks for what cannot be: a bad key, a bad argument. One line, exit status 1, no second try.
    #[error("{0}")]
    Usage(String),
    /// A server, or the way to it, failed.
    #[error("{connection}: {}", told(source))]
    Database {
        /// The key or name under which the connection is known.
        connection: String,
        /// The statement that failed, if it was one.
        query: Option<String>,
        /// What the driver says.
        #[source]
        source: tokio_postgres::Error,
    },
    /// No server could be reached, or none that would do.
    #[error("{connection}: {told}")]
    Connect {
        /// The key or name under which the connection is known.
        connection: String,
        /// What was tried, and how it failed: a line for each attempt.
        told: String,
        /// What the driver says of the last attempt, if it got as far as to a server.
        #[source]
        last: Option<tokio_postgres::Error>,
    },
    /// What a switch has asked for instead of the work could not be done. Exit status 1, no second try.
    #[error("{0}")]
    Errand(#[source] Box<Error>),
    /// A server's function has answered that it will not: its notes. Exit status 1, no second try.
    #[error("{0}")]
    Refused(String),
    /// A file or a socket.
    #[error("{what}: {source}")]
    Io {
        /// What was being done: "read /etc/x.ini".
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// An event could not be handled. Of what a server says only the message is told: its detail may show the row.
    #[error("{event}: {}", source.brief())]
    Event {
        /// Which one: number, queue, type and table.
        event: String,
        /// Why.
        source: Box<Error>,
    },
    /// Data or a state that should not be.
    #[error("{0}")]
    Bad(String),
    /// The work was stopped before its end, on request.
    #[error("stopped")]
    Stopped,
    /// Whatever the code of a user of this crate returned.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Error {
    /// A usage error with this message.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// Data or a state that should not be, told in this message.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::Bad(message.into())
    }

    /// For `map_err`: an I/O error with what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Any other error, as `?` on a foreign one wants it: `.map_err(Error::other)`.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Names the event at whose handling it came up, if that matters.
    pub(crate) fn at(self, event: &Event) -> Self {
        if self.ends_program() || self.is_lost_connection() || matches!(self, Self::Stopped) {
            return self;
        }
        Self::Event { event: event.to_string(), source: Box::new(self) }
    }

    /// What it is, whatever it came up with.
    pub(crate) fn root(&self) -> &Self {
        match self {
            Self::Event { source, .. } | Self::Errand(source) => source.root(),
            other => other,
        }
    }

    /// Without what a server tells in its detail: that is often the row.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Database { connection, source, .. } => match source.as_db_error() {
                Some(error) => format!("{connection}: {}", error.message()),
                None => self.to_string(),
            },
            _ => self.to_string(),
        }
    }

    /// The SQLSTATE, when a server raised it.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&SqlState> {
        match self.root() {
            Self::Database { source, .. } => source.code(),
            Self::Connect { last, .. } => last.as_ref()?.code(),
            _ => None,
        }
    }

    /// Whether the way to the server is broken: nothing more can be done over the connection that it came from.
    #[must_use]
    pub fn is_lost_connection(&self) -> bool {
        match self.root() {
            Self::Database { source, .. } => match source.as_db_error() {
                Some(error) => matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
                None => {
                    source.is_closed()
                        || source.source().is_some_and(<dyn std::error::Error>::is::<io::Error>)
                }
            },
            Self::Connect { .. } => true,
            _ => false,
        }
    }

    /// Whether a second try would be in vain: the program ends, with exit status 1.
    #[must_use]
    pub const fn ends_program(&self) -> bool {
        matches!(self, Self::Usage(_) | Self::Refused(_) | Self::Errand(_))
    }
}

/// The server's message with its detail and hint, as psql shows them; the driver's text otherwise.
pub(crate) fn told(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return with_detail(error);
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

/// A message of the server's, with its detail and hint.
pub(crate) fn with_detail(error: &DbError) -> String {
    let mut text = error.message().to_owned();
    for (label, more) in [("DETAIL", error.detail()), ("HINT", error.hint())] {
        if let Some(more) = more {
            text.push_str(&format!("\n{label}: {more}"));
        }
    }
    text
}
