//! Sessions as a test wants them: an unexpected error is the test's failure, an expected one is a value.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postgres::types::{FromSqlOwned, ToSql};
use postgres::{Client, NoTls, Row};

/// How long a condition may take to come true: far above anything healthy, below anybody's patience.
pub const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// An error or notice of the server, as the client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DbError {
    /// The severity, untranslated: `ERROR`, `WARNING`, `NOTICE`.
    pub severity: String,
    /// The SQLSTATE.
    pub code: String,
    /// The message.
    pub message: String,
    /// The detail, if any.
    pub detail: Option<String>,
    /// The hint, if any.
    pub hint: Option<String>,
}

impl From<&postgres::error::DbError> for DbError {
    fn from(error: &postgres::error::DbError) -> Self {
        Self {
            severity: error.severity().to_owned(),
            code: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
        }
    }
}

/// A connection. All of `postgres::Client` is there too, for what should return a `Result`.
pub struct Session {
    client: Client,
    pid: i32,
    notices: Arc<Mutex<Vec<DbError>>>,
}

impl Session {
    /// Connects, and keeps notices for [`take_notices`](Self::take_notices).
    pub fn connect(config: &postgres::Config) -> Result<Self, postgres::Error> {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&notices);
        let mut config = config.clone();
        config.notice_callback(move |notice| kept.lock().unwrap().push(DbError::from(&notice)));
        let mut client = config.connect(NoTls)?;
        let pid = client.query_one("select pg_catalog.pg_backend_pid()", &[])?.get(0);
        Ok(Self { client, pid, notices })
    }

    /// The server process behind this session.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Runs statements (in one implicit transaction, as psql's `-c`).
    #[track_caller]
    pub fn exec(&mut self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql) {
            panic!("{sql}: {error:?}");
        }
    }

    /// The one value of the one row.
    #[track_caller]
    pub fn one<T: FromSqlOwned>(&mut self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> T {
        match self.client.query_one(sql, params) {
            Ok(row) => row.get(0),
            Err(error) => panic!("{sql}: {error:?}"),
        }
    }

    /// All rows.
    #[track_caller]
    pub fn rows(&mut self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.client.query(sql, params).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// The first column of all rows.
    #[track_caller]
    pub fn column<T: FromSqlOwned>(&mut self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Vec<T> {
        self.rows(sql, params).iter().map(|row| row.get(0)).collect()
    }

    /// Runs statements that must fail, and says how they did.
    #[track_caller]
    pub fn error(&mut self, sql: &str) -> DbError {
        match self.client.batch_execute(sql) {
            Ok(()) => panic!("{sql}: should have failed"),
            Err(error) => match error.as_db_error() {
                Some(error) => DbError::from(error),
                None => panic!("{sql}: lost the connection: {error:?}"),
            },
        }
    }

    /// The notices and warnings since the last call.
    #[must_use]
    pub fn take_notices(&mut self) -> Vec<DbError> {
        std::mem::take(&mut self.notices.lock().unwrap())
    }

    /// Goes on in a thread of its own: one half of a two-session test.
    pub fn spawn<T: Send + 'static>(
        mut self,
        work: impl FnOnce(&mut Self) -> T + Send + 'static,
    ) -> Background<T> {
        let pid = self.pid;
        let thread = std::thread::spawn(move || {
            let value = work(&mut self);
            (self, value)
        });
        Background { pid, thread }
    }
}

impl Deref for Session {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// A session at work in a thread.
pub struct Background<T> {
    pid: i32,
    thread: JoinHandle<(Session, T)>,
}

impl<T> Background<T> {
    /// The server process behind the session.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether the work is done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the work; a panic in it goes on here.
    pub fn join(self) -> (Session, T) {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// An error with its causes: the client library's own text is no more than "db error".
#[must_use]
pub fn explained(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Whether an error means that the server has gone, is going, or is not there yet; not that it refused something.
#[must_use]
pub fn connection_lost(error: &postgres::Error) -> bool {
    error.as_db_error().is_none_or(|error| {
        let code = error.code().code();
        // 57P01 to 57P03: shut down, crashed, starting up; class 08: the connection.
        code.starts_with("57P0") || code.starts_with("08")
    })
}

/// Waits until the condition holds; panics with `what` after [`WAIT_LIMIT`]. Tests wait like this, never by a
/// sleep of hoped-for length.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {WAIT_LIMIT:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the server process waits for a lock that another one holds.
pub fn blocked(monitor: &mut Session, pid: i32) -> bool {
    monitor.one("select pg_catalog.cardinality(pg_catalog.pg_blocking_pids($1)) > 0", &[&pid])
}

/// Waits until the server process waits for a lock.
#[track_caller]
pub fn wait_until_blocked(monitor: &mut Session, pid: i32) {
    wait_until(&format!("process {pid} to wait for a lock"), || blocked(monitor, pid));
}
