//! The producers: pgbench.

use std::error::Error;
use std::process::{Child, Stdio};

use pgq_tests::cluster::Cluster;
use postgres::Client;

/// The database of the bank.
pub const DATABASE: &str = "bank";

/// The queue.
pub const QUEUE: &str = "demo";

/// pgbench's tables.
pub const TABLES: [&str; 4] =
    ["public.pgbench_accounts", "public.pgbench_tellers", "public.pgbench_branches", HISTORY];

/// Where each transaction leaves a row.
pub const HISTORY: &str = "public.pgbench_history";

/// pgbench's own TPC-B-like transaction, taken back.
const ROLLED_BACK: &str = r"
\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
ROLLBACK;
";

/// Makes the bank's tables, empty, and has them captured, old rows included. The history is given the key it lacks.
pub fn make_bank(cluster: &Cluster, scale: u32) -> Result<(), Box<dyn Error>> {
    initialise(cluster, "dtp", scale)?;
    let mut admin = cluster.connect(DATABASE);
    admin.batch_execute("alter table pgbench_history add column hid bigserial primary key")?;
    for table in TABLES {
        let capture = "select from pgq.capture($1::text::regclass, $2, i_options => '{backup}')";
        admin.execute(capture, &[&table, &QUEUE])?;
    }
    Ok(())
}

/// Fills the tables, in one transaction that is captured as any other; how many rows there are then.
pub fn fill_bank(cluster: &Cluster, scale: u32) -> Result<usize, Box<dyn Error>> {
    initialise(cluster, "g", scale)?;
    let (branches, tellers, accounts) = (1, 10, 100_000);
    Ok((branches + tellers + accounts) * scale as usize)
}

/// These steps of pgbench's.
fn initialise(cluster: &Cluster, steps: &str, scale: u32) -> Result<(), Box<dyn Error>> {
    let mut pgbench = cluster.client_program("pgbench", DATABASE);
    let output = pgbench.args(["-i", "-q", "-I", steps, "-s", &scale.to_string()]).output()?;
    if !output.status.success() {
        return Err(format!("pgbench -i: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}

/// How many transactions of the producers have committed.
pub fn committed(client: &mut Client) -> Result<usize, postgres::Error> {
    let rows: i64 = client.query_one(&format!("select count(*) from {HISTORY}"), &[])?.get(0);
    Ok(usize::try_from(rows).expect("a count"))
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
        let rolled_back = cluster.socket_folder().join("rolled_back.sql");
        std::fs::write(&rolled_back, ROLLED_BACK)?;
        pgbench.args(["--builtin", "tpcb-like@9", "--file", &format!("{}@1", rolled_back.display())]);
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
