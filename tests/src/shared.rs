//! One cluster for all tests that need no more than a database of their own.
//!
//! The harness runs tests as threads of one process; the first to ask makes the cluster. It has our library
//! preloaded, as users should have it, but no ticker at work: a tick comes when the test says so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::client::Session;
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
    cluster: &'static Cluster,
    name: String,
}

impl Database {
    /// On the server with our extension. The label only makes the name tell something.
    #[must_use]
    pub fn fresh(label: &str) -> Self {
        Self::fresh_on(&Server::ours(), label)
    }

    /// On this server.
    #[must_use]
    pub fn fresh_on(server: &Server, label: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("{label}_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let cluster = cluster(server);
        cluster.connect("postgres").exec(&format!("create database \"{name}\" template {TEMPLATE}"));
        Self { cluster, name }
    }

    /// The cluster it is in, which other tests use at the same time: look, do not stop it.
    #[must_use]
    pub const fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A session of the superuser.
    #[must_use]
    pub fn connect(&self) -> Session {
        self.cluster.connect(&self.name)
    }

    /// A session of any role.
    #[must_use]
    pub fn connect_as(&self, user: &str) -> Session {
        self.cluster.connect_as(&self.name, user)
    }

    /// A client program of the server's, set to reach this database.
    #[must_use]
    pub fn client_program(&self, program: &str) -> std::process::Command {
        self.cluster.client_program(program, &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Best effort: the cluster goes anyway, and a panic while unwinding would hide the test's own.
        if let Ok(mut session) = self.cluster.try_connect("postgres") {
            let _ = session.batch_execute(&format!("drop database \"{}\" with (force)", self.name));
        }
    }
}
