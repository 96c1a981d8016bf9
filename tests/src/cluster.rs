//! A throwaway cluster: made in a fraction of a second, reachable by nobody but us, gone with us.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres::NoTls;

use crate::client::{Session, wait_until};
use crate::guard::{Guard, alive, kill_family};
use crate::server::{Error, Server, run, scratch};

/// The only port: every cluster has a socket folder of its own.
const PORT: u16 = 5432;

/// The superuser of every cluster.
const SUPERUSER: &str = "postgres";

/// Crash recovery of a busy cluster on a busy machine takes a while.
const START_LIMIT: Duration = Duration::from_secs(120);

/// How `pg_ctl stop -m` would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Waits for clients to leave.
    Smart,
    /// Disconnects clients; a clean stop.
    Fast,
    /// No shutdown checkpoint: the next start recovers.
    Immediate,
}

/// What a cluster should be like.
#[derive(Clone, Debug)]
pub struct Builder {
    server: Server,
    parent: PathBuf,
    conf: BTreeMap<String, String>,
    single: bool,
}

impl Builder {
    /// A line of `postgresql.conf`; the value is quoted for you.
    #[must_use]
    pub fn conf(mut self, name: &str, value: &str) -> Self {
        self.conf.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With fsync, as in production. Only a power cut would show the difference, but timings do.
    #[must_use]
    pub fn durable(self) -> Self {
        self.conf("fsync", "on")
    }

    /// For a program that wants no second cluster: nothing is kept that would make the next one quicker.
    #[must_use]
    pub const fn single(mut self) -> Self {
        self.single = true;
        self
    }

    /// Puts the cluster's folder there instead of into the common scratch folder.
    #[must_use]
    pub fn under(mut self, parent: &Path) -> Self {
        self.parent = parent.to_owned();
        self
    }

    /// Starts it.
    #[must_use]
    pub fn start(self) -> Cluster {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`start`](Self::start), for programs that report instead of panicking.
    pub fn try_start(self) -> Result<Cluster, Error> {
        let guard = Guard::new(&self.server, &self.parent)?;
        let data = guard.folder().join("data");
        if self.single {
            initdb(&self.server, &data)?;
        } else {
            copy_template(&self.server, &data)?;
        }
        Cluster::launch(self.server, guard, self.conf)
    }
}

/// A running cluster. It stops, and its folder vanishes, when it is dropped or this process ends in whatever way.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    guard: Guard,
    conf: BTreeMap<String, String>,
    postmaster: Option<Pid>,
}

impl Cluster {
    /// A cluster on the server with our extension.
    #[must_use]
    pub fn builder() -> Builder {
        Self::builder_on(&Server::ours())
    }

    /// A cluster on this server.
    #[must_use]
    pub fn builder_on(server: &Server) -> Builder {
        let builder =
            Builder { server: server.clone(), parent: scratch(), conf: BTreeMap::new(), single: false };
        builder
            .conf("fsync", "off")
            .conf("shared_buffers", "64MB")
            .conf("max_prepared_transactions", "50")
            .conf("log_line_prefix", "%m [%p] %q%u@%d ")
            .conf("log_checkpoints", "off")
            .conf("timezone", "UTC")
            .conf("log_timezone", "UTC")
    }

    /// Starts what lies in `guard`'s data folder.
    fn launch(server: Server, guard: Guard, conf: BTreeMap<String, String>) -> Result<Self, Error> {
        let mut cluster = Self { server, guard, conf, postmaster: None };
        cluster.write_conf()?;
        cluster.try_start_again()?;
        Ok(cluster)
    }

    /// The server whose programs this cluster runs.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// The folder of the Unix socket: what a client calls the host.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        self.guard.folder()
    }

    /// The data folder.
    #[must_use]
    pub fn data_folder(&self) -> PathBuf {
        self.guard.folder().join("data")
    }

    /// The port, which names the socket's file.
    #[must_use]
    pub const fn port(&self) -> u16 {
        PORT
    }

    /// How a client reaches a database here.
    #[must_use]
    pub fn config(&self, database: &str, user: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config.host_path(self.socket_folder()).port(PORT).user(user).dbname(database);
        config
    }

    /// The same as a libpq connect string, for other programs.
    #[must_use]
    pub fn conninfo(&self, database: &str) -> String {
        format!("host={} port={PORT} user={SUPERUSER} dbname={database}", self.socket_folder().display())
    }

    /// A session of the superuser.
    #[must_use]
    pub fn connect(&self, database: &str) -> Session {
        self.connect_as(database, SUPERUSER)
    }

    /// A session of any role.
    #[must_use]
    pub fn connect_as(&self, database: &str, user: &str) -> Session {
        self.try_connect_as(database, user)
            .unwrap_or_else(|e| panic!("connect to {database} as {user}: {e:?}"))
    }

    /// A session of the superuser, if the server is up.
    pub fn try_connect(&self, database: &str) -> Result<Session, postgres::Error> {
        self.try_connect_as(database, SUPERUSER)
    }

    /// A session of any role, if the server lets it in.
    pub fn try_connect_as(&self, database: &str, user: &str) -> Result<Session, postgres::Error> {
        Session::connect(&self.config(database, user))
    }

    /// Makes a database.
    pub fn create_database(&self, name: &str) {
        self.connect(SUPERUSER).exec(&format!("create database \"{}\"", name.replace('"', "\"\"")));
    }

    /// Runs `psql` with the text as its input, unaligned, tuples only, stopping at the first error.
    #[must_use]
    pub fn psql(&self, database: &str, sql: &str) -> Output {
        let mut psql = self.client_program("psql", database);
        psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        psql.output().unwrap_or_else(|error| panic!("start psql: {error}"))
    }

    /// A client program of the server's (`pgbench`, `pg_dump`), set to reach this database.
    #[must_use]
    pub fn client_program(&self, program: &str, database: &str) -> std::process::Command {
        let mut command = self.server.command(program);
        command
            .env("PGHOST", self.socket_folder())
            .env("PGPORT", PORT.to_string())
            .env("PGUSER", SUPERUSER)
            .env("PGDATABASE", database);
        command
    }

    /// The postmaster's process id, while it runs.
    #[must_use]
    pub const fn postmaster(&self) -> Option<Pid> {
        self.postmaster
    }

    /// SIGKILL to the postmaster and all its children; returns when they are gone. [`start_again`](Self::start_again)
    /// then goes through crash recovery.
    pub fn kill9(&mut self) {
        let postmaster = self.postmaster.take().expect("a running server to kill");
        kill_family(postmaster);
        self.guard.wait_postmaster();
    }

    /// Stops the server and waits for its end.
    pub fn stop(&mut self, mode: Stop) {
        let postmaster = self.postmaster.take().expect("a running server to stop");
        let signal = match mode {
            Stop::Smart => Signal::SIGTERM,
            Stop::Fast => Signal::SIGINT,
            Stop::Immediate => Signal::SIGQUIT,
        };
        kill(postmaster, signal).expect("signal the postmaster");
        self.guard.wait_postmaster();
    }

    /// Starts the server after [`stop`](Self::stop) or [`kill9`](Self::kill9).
    pub fn start_again(&mut self) {
        self.try_start_again().unwrap_or_else(|error| panic!("{error}"));
    }

    fn try_start_again(&mut self) -> Result<(), Error> {
        assert!(self.postmaster.is_none(), "the server runs already");
        let postmaster = self.guard.start_postmaster();
        let deadline = Instant::now() + START_LIMIT;
        while self.config(SUPERUSER, SUPERUSER).connect(NoTls).is_err() {
            if !alive(postmaster) || Instant::now() > deadline {
                kill_family(postmaster);
                self.guard.wait_postmaster();
                return Err(Error::DidNotStart(tail(&self.log(), 30)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.postmaster = Some(postmaster);
        Ok(())
    }

    /// A fast stop and a start.
    pub fn restart(&mut self) {
        self.stop(Stop::Fast);
        self.start_again();
    }

    /// Changes a setting of `postgresql.conf`, for the next [`reload`](Self::reload) or start.
    pub fn conf_set(&mut self, name: &str, value: &str) {
        self.conf.insert(name.to_owned(), value.to_owned());
        self.write_conf().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Takes a setting out of `postgresql.conf` again.
    pub fn conf_unset(&mut self, name: &str) {
        self.conf.remove(name);
        self.write_conf().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Makes the server read its settings, and returns when new sessions have them.
    pub fn reload(&self) {
        let loaded = || {
            self.connect(SUPERUSER).one::<std::time::SystemTime>("select pg_catalog.pg_conf_load_time()", &[])
        };
        let before = loaded();
        self.connect(SUPERUSER).exec("select pg_catalog.pg_reload_conf()");
        wait_until("the settings to be read again", || loaded() > before);
    }

    /// Tells the postmaster to read its settings, whatever state the server is in, and does not wait.
    pub fn sighup(&self) {
        kill(self.postmaster.expect("a running server"), Signal::SIGHUP).expect("signal the postmaster");
    }

    /// Everything the server has logged since the cluster was made.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.guard.folder().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the text stands in the log.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} in the server log"), || self.log().contains(text));
    }

    /// A hot standby that streams from this cluster, caught up to this moment.
    #[must_use]
    pub fn standby(&self) -> Self {
        let guard = Guard::new(&self.server, self.guard.folder().parent().expect("a folder in a folder"))
            .unwrap_or_else(|error| panic!("{error}"));
        let mut backup = self.client_program("pg_basebackup", SUPERUSER);
        backup.env_remove("PGDATABASE").args(["-R", "-c", "fast", "--no-sync", "-X", "stream", "-D"]);
        backup.arg(guard.folder().join("data"));
        run(&mut backup).unwrap_or_else(|error| panic!("{error}"));
        let standby = Self::launch(self.server.clone(), guard, self.conf.clone())
            .unwrap_or_else(|error| panic!("{error}"));
        standby.catch_up(self);
        standby
    }

    /// Waits until this standby has replayed what `primary` has written so far.
    pub fn catch_up(&self, primary: &Self) {
        let end: String =
            primary.connect(SUPERUSER).one("select pg_catalog.pg_current_wal_insert_lsn()::text", &[]);
        let mut session = self.connect(SUPERUSER);
        let reached =
            format!("select coalesce(pg_catalog.pg_last_wal_replay_lsn() >= '{end}'::pg_lsn, false)");
        wait_until("the standby to catch up", || session.one(&reached, &[]));
    }

    /// Makes a standby a primary.
    pub fn promote(&self) {
        let mut session = self.connect(SUPERUSER);
        assert!(session.one::<bool>("select pg_catalog.pg_promote(true, 60)", &[]), "the standby promotes");
    }

    /// The WAL between two positions (`pg_current_wal_insert_lsn()`), as `pg_waldump` tells it.
    #[must_use]
    pub fn pg_waldump(&self, start: &str, end: &str) -> String {
        let mut dump = self.server.command("pg_waldump");
        dump.arg("-p").arg(self.data_folder().join("pg_wal")).args(["-s", start, "-e", end]);
        let output = run(&mut dump).unwrap_or_else(|error| panic!("{error}"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Our settings are a file of their own, read after the ones initdb wrote: a change rewrites the whole file.
    fn write_conf(&self) -> Result<(), Error> {
        use std::fmt::Write;
        let mut text = format!(
            "listen_addresses = ''\nport = {PORT}\nunix_socket_directories = '{}'\n",
            self.guard.folder().display()
        );
        for (name, value) in &self.conf {
            writeln!(text, "{name} = '{}'", value.replace('\'', "''")).expect("writing to a string");
        }
        let file = self.data_folder().join(KIT_CONF);
        std::fs::write(&file, text).map_err(Error::io(format!("write {}", file.display())))
    }
}

const KIT_CONF: &str = "kit.conf";

/// The last lines of a log.
fn tail(log: &str, lines: usize) -> String {
    let all: Vec<&str> = log.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// `initdb` takes a second or two, copying its result a tenth: so it runs once a process for each server.
fn copy_template(server: &Server, to: &Path) -> Result<(), Error> {
    static TEMPLATES: Mutex<BTreeMap<PathBuf, Guard>> = Mutex::new(BTreeMap::new());
    // A test that failed while holding the lock left either a whole template or none.
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    if !templates.contains_key(server.bindir()) {
        let guard = Guard::new(server, &scratch())?;
        initdb(server, &guard.folder().join("data"))?;
        templates.insert(server.bindir().to_owned(), guard);
    }
    let from = templates[server.bindir()].folder().join("data");
    drop(templates);
    run(server.prepared("cp").args(["-a", "--reflink=auto"]).args([from.as_path(), to])).map(drop)
}

fn initdb(server: &Server, data: &Path) -> Result<(), Error> {
    let mut initdb = server.command("initdb");
    initdb
        .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
        .args(["--username", SUPERUSER, "-D"])
        .arg(data);
    run(&mut initdb)?;
    let conf = data.join("postgresql.conf");
    let text = std::fs::read_to_string(&conf).map_err(Error::io("read postgresql.conf"))?;
    std::fs::write(&conf, format!("{text}\ninclude '{KIT_CONF}'\n"))
        .map_err(Error::io("write postgresql.conf"))
}
