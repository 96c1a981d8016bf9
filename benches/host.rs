//! A server with a queue and a plain table of the same shape.

use pgq_tests::client::Session;
use pgq_tests::cluster::Cluster;
use pgq_tests::server::Server;
use std::process::Stdio;

/// A cluster for measuring: settings of a small production server, fsync on.
pub struct Host {
    /// The running cluster.
    pub cluster: Cluster,
}

/// 60 bytes, as in all figures of this project.
pub const PAYLOAD: &str = "sixty bytes of payload, which is about what a small row takes";

impl Host {
    /// Starts a cluster with the extension, the queue `bench` and the table `plain`.
    pub fn start(server: &Server) -> Host {
        Host::preloading(server, "")
    }

    /// The same with these `shared_preload_libraries`.
    pub fn preloading(server: &Server, libraries: &str) -> Host {
        let cluster = Cluster::builder_on(server)
            .durable()
            .conf("shared_preload_libraries", libraries)
            .conf("shared_buffers", "1GB")
            .conf("max_wal_size", "16GB")
            // Making a new segment takes half a second; a server that is in use has spare ones.
            .conf("min_wal_size", "4GB")
            .conf("checkpoint_timeout", "1h")
            .conf("autovacuum", "off")
            .conf("jit", "on")
            .start();
        let mut session = cluster.connect("postgres");
        session.exec("CREATE EXTENSION pgq");
        session.exec("SELECT pgq.create_queue('bench')");
        session.exec(
            "CREATE TABLE plain (LIKE pgq.event_template INCLUDING DEFAULTS)
               WITH (fillfactor = 100, autovacuum_enabled = off);
             CREATE INDEX plain_txid_idx ON plain (ev_txid);
             CREATE SEQUENCE plain_id_seq",
        );
        Host { cluster }
    }

    /// A session on the bench database.
    pub fn connect(&self) -> Session {
        self.cluster.connect("postgres")
    }

    /// Changes a setting of the running server.
    pub fn set(&self, name: &str, value: &str) {
        let mut session = self.connect();
        session.exec(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        session.exec("SELECT pg_reload_conf()");
    }

    /// No tick is ever overdue: one that is would cut what came meanwhile into several batches.
    pub fn one_tick_one_batch(&self) {
        self.connect().exec("SELECT pgq.set_queue_config('bench', 'ticker_max_lag', '1 day')");
    }

    /// The server's version.
    pub fn version(&self) -> String {
        self.connect().one("SELECT split_part(version(), ' on ', 1)", &[])
    }

    /// The extension's version.
    pub fn pgq_version(&self) -> String {
        self.connect().one("SELECT pgq.version()", &[])
    }

    /// Empties the queue's tables and the plain one, outside of what is measured.
    pub fn clear(&self) {
        self.empty();
        self.connect().exec("CHECKPOINT");
    }

    /// The same without a checkpoint, after which each page's first change costs a whole page of WAL.
    pub fn empty(&self) {
        self.connect().exec("TRUNCATE pgq.event_1_0, pgq.event_1_1, pgq.event_1_2, plain");
    }

    /// Transactions a second of 8 clients: pgbench with these arguments.
    pub fn rate(&self, synchronous_commit: &str, arguments: &[&str]) -> f64 {
        let mut pgbench = self.cluster.client_program("pgbench", "postgres");
        pgbench
            .env("PGOPTIONS", format!("-c synchronous_commit={synchronous_commit}"))
            .args(["-n", "-M", "prepared", "-c", "8", "-j", "2"])
            .args(arguments)
            .stderr(Stdio::null());
        let output = String::from_utf8(pgbench.output().unwrap().stdout).unwrap();
        let tps =
            output.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.unwrap_or_else(|| panic!("pgbench printed no rate:\n{output}"))
    }
}
