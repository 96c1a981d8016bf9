//! The producers: pgbench.

use std::error::Error;
use std::io::Write;
use std::process::{Child, Stdio};

use pgq_tests::cluster::Cluster;

/// The database of the bank.
pub const DATABASE: &str = "bank";

/// The queue.
pub const QUEUE: &str = "demo";

/// pgbench's own TPC-B-like transaction, with an event inserted and its id kept in the history. The time of insertion
/// travels with the event, in microseconds since 1970.
const TRANSACTION: &str = r"
\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, event_id)
VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP,
        pgq.insert_event('demo', 'tpcb',
            'aid=' || :aid::int || '&tid=' || :tid::int || '&bid=' || :bid::int || '&delta=' || :delta::int,
            (extract(epoch from clock_timestamp()) * 1000000)::bigint::text, NULL, NULL, NULL));
";

/// Makes the bank, with a column for the event's id in its history.
pub fn initialise(cluster: &Cluster, scale: u32) -> Result<(), Box<dyn Error>> {
    let mut pgbench = cluster.client_program("pgbench", DATABASE);
    let output = pgbench.args(["-i", "-q", "-s", &scale.to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("pgbench -i: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    cluster.connect(DATABASE).batch_execute("alter table pgbench_history add column event_id bigint")?;
    Ok(())
}

/// pgbench at work; killed when dropped.
#[derive(Debug)]
pub struct Pgbench {
    child: Child,
}

impl Pgbench {
    /// Starts it. One transaction in ten ends with a rollback.
    pub fn start(cluster: &Cluster, clients: u32, seconds: u32) -> Result<Self, Box<dyn Error>> {
        let mut pgbench = cluster.client_program("pgbench", DATABASE);
        pgbench.args(["--no-vacuum", "--protocol", "prepared", "--client", &clients.to_string()]);
        pgbench.args(["--jobs", "2", "--time", &seconds.to_string()]);
        for (name, end, weight) in [("commit.sql", "COMMIT;", 9), ("rollback.sql", "ROLLBACK;", 1)] {
            let path = cluster.socket_folder().join(name);
            writeln!(std::fs::File::create(&path)?, "{TRANSACTION}{end}")?;
            pgbench.arg("--file").arg(format!("{}@{weight}", path.display()));
        }
        pgbench.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(Self { child: pgbench.spawn()? })
    }

    /// Whether it has ended; an error if it failed.
    pub fn finished(&mut self) -> Result<bool, Box<dyn Error>> {
        let Some(status) = self.child.try_wait()? else { return Ok(false) };
        if status.success() {
            return Ok(true);
        }
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            std::io::Read::read_to_string(stderr, &mut said)?;
        }
        Err(format!("pgbench failed: {said}").into())
    }
}

impl Drop for Pgbench {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
