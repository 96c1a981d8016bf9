//! One cluster for all tests that need no more than a database of their own.
//!
//! The harness runs tests as threads of one process; the first to ask makes the cluster. It has our library
//! preloaded, as users should have it, but no ticker at work: a tick comes when the test says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::client::{Session, explained};
use crate::cluster::Cluster;
use crate::server::Server;

const TEMPLATE: &str = "pgq_template";

/// The shared cluster on this server. Leaked on purpose: its guard ends it when the process does.
fn cluster(server: &Server) -> &'static Cluster {
    static CLUSTERS: Mutex<BTreeMap<PathBuf, &'static Cluster>> = Mutex::new(BTreeMap::new());
    // A test that failed to make it left nothing behind; the next one tries again.
    let mut clusters = CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = clusters.get(server.bindir()) {
        return cluster;
    }
    let mut builder = Cluster::builder_on(server).conf("max_connections", "200").conf("autovacuum", "off");
    if server.has_ticker() {
        builder = builder.conf("shared_preload_libraries", "pgq").conf("pgq.ticker", "off");
    }
    let cluster = builder.start();
    // A copy of a database is much quicker than CREATE EXTENSION.
    cluster.create_database(TEMPLATE);
    cluster.connect(TEMPLATE).exec("create extension pgq");
    clusters.entry(server.bindir().to_owned()).or_insert(Box::leak(Box::new(cluster)))
}

/// A fresh database with `CREATE EXTENSION pgq` done; dropped at the end.
#[derive(Debug)]
pub struct Database {
    home: Home,
    name: String,
}

/// Where databases are made.
#[derive(Clone, Debug)]
enum Home {
    /// On a cluster of our own.
    Shared(&'static Cluster),
    /// On a server that somebody runs: `make installcheck`.
    Running(Running),
}

impl Database {
    /// On the server with our extension. The label only makes the name tell something.
    #[must_use]
    pub fn fresh(label: &str) -> Self {
        match Running::wanted() {
            Some(running) => Self::fresh_on_running(running, label),
            None => Self::fresh_on(&Server::ours(), label),
        }
    }

    /// On this server.
    #[must_use]
    pub fn fresh_on(server: &Server, label: &str) -> Self {
        let cluster = cluster(server);
        let name = fresh_name(label);
        cluster.connect("postgres").exec(&format!("create database \"{name}\" template {TEMPLATE}"));
        Self { home: Home::Shared(cluster), name }
    }

    fn fresh_on_running(running: Running, label: &str) -> Self {
        let name = format!("pgq_installcheck_{}_{}", std::process::id(), fresh_name(label));
        running.connect(&running.database).exec(&format!("create database \"{name}\""));
        let database = Self { home: Home::Running(running), name };
        database.connect().exec("create extension pgq");
        database
    }

    /// `CREATE EXTENSION` for each; pgq is there already.
    pub fn create_extensions(&self, names: &[&str]) {
        let mut session = self.connect();
        names.iter().for_each(|name| session.exec(&format!("create extension {name}")));
    }

    /// The cluster it is in, which other tests use at the same time: look, do not stop it.
    #[must_use]
    pub fn cluster(&self) -> &'static Cluster {
        match &self.home {
            Home::Shared(cluster) => cluster,
            Home::Running(running) => panic!("no cluster of ours, but a running server: {running:?}"),
        }
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A session of the superuser.
    #[must_use]
    pub fn connect(&self) -> Session {
        match &self.home {
            Home::Shared(cluster) => cluster.connect(&self.name),
            Home::Running(running) => running.connect(&self.name),
        }
    }

    /// A session of any role.
    #[must_use]
    pub fn connect_as(&self, user: &str) -> Session {
        self.cluster().connect_as(&self.name, user)
    }

    /// A client program of the server's, set to reach this database.
    #[must_use]
    pub fn client_program(&self, program: &str) -> Command {
        match &self.home {
            Home::Shared(cluster) => cluster.client_program(program, &self.name),
            Home::Running(running) => running.client_program(program, &self.name),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Best effort: the cluster goes anyway, and a panic while unwinding would hide the test's own.
        let session = match &self.home {
            Home::Shared(cluster) => cluster.try_connect("postgres").ok(),
            Home::Running(running) => Session::connect(&running.config(&running.database)).ok(),
        };
        if let Some(mut session) = session {
            let _ = session.batch_execute(&format!("drop database \"{}\" with (force)", self.name));
        }
    }
}

fn fresh_name(label: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    format!("{label}_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The server that libpq's variables name.
#[derive(Clone, Debug)]
struct Running {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    /// Where to go for making others.
    database: String,
}

impl Running {
    /// `make installcheck` asks for it by `PGQ_INSTALLCHECK`.
    fn wanted() -> Option<Self> {
        std::env::var_os("PGQ_INSTALLCHECK")?;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let usual_host = || {
            let sockets = "/var/run/postgresql";
            if Path::new(sockets).is_dir() { sockets.to_owned() } else { "localhost".to_owned() }
        };
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok().flatten();
        Some(Self {
            host: variable("PGHOST").unwrap_or_else(usual_host),
            port: variable("PGPORT").map_or(5432, |port| port.parse().expect("PGPORT is a number")),
            user: variable("PGUSER").or_else(|| Some(user?.name)).expect("PGUSER, or a user with a name"),
            password: variable("PGPASSWORD"),
            database: variable("PGDATABASE").unwrap_or_else(|| "postgres".to_owned()),
        })
    }

    fn config(&self, database: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config.host(&self.host).port(self.port).user(&self.user).dbname(database);
        if let Some(password) = &self.password {
            config.password(password);
        }
        config
    }

    fn connect(&self, database: &str) -> Session {
        Session::connect(&self.config(database)).unwrap_or_else(|error| {
            panic!("{}:{}, database {database}: {}", self.host, self.port, explained(&error))
        })
    }

    fn client_program(&self, program: &str, database: &str) -> Command {
        let mut command = Command::new(program);
        command.env("PGHOST", &self.host).env("PGPORT", self.port.to_string());
        command.env("PGUSER", &self.user).env("PGDATABASE", database);
        command
    }
}
