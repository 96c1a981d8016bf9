//! The original's daemon, beside or in place of the ticker in the server.

use std::process::{Child, Stdio};

use crate::cluster::Cluster;
use crate::server::Server;

/// A running `pgqd`, until it is dropped.
#[derive(Debug)]
pub struct Pgqd(Child);

impl Pgqd {
    /// Starts it for the database `postgres`, with its default settings but for these lines of its configuration.
    /// `None`, saying so, where there is none.
    ///
    /// # Panics
    /// If it is there and does not start.
    #[must_use]
    pub fn start(cluster: &Cluster, settings: &str) -> Option<Self> {
        let Some(peer) = Server::peer().filter(|peer| peer.has("pgqd")) else {
            eprintln!("skipped: no pgqd in PGQ_PEER");
            return None;
        };
        let folder = cluster.socket_folder().display();
        let configuration = cluster.socket_folder().join("pgqd.ini");
        let text = format!(
            "[pgqd]\nbase_connstr = host={folder} port={} user=postgres\ninitial_database = postgres\n\
             database_list = postgres\nlogfile = {folder}/pgqd.log\npidfile = {folder}/pgqd.pid\nsyslog = 0\n\
             {settings}\n",
            cluster.port(),
        );
        std::fs::write(&configuration, text).expect("the cluster's folder is ours");
        let mut command = peer.command("pgqd");
        command.arg(&configuration).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Some(Self(command.spawn().expect("it is there")))
    }
}

impl Drop for Pgqd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
