//! Writes the time into a table, again and again.

use std::process::ExitCode;

use skytools::Result;
use skytools::script::{Job, Key, Kind, Next, Program, Script};

/// What the INI file says.
pub const KEYS: &[Key] = &[
    Key::required("db", Kind::Connection, "The database to write to.").sample("dbname=app"),
    Key::with_default("beat", Kind::Text, "%(job_name)s", "What to write beside the time."),
];

/// The job.
pub struct Heartbeat;

impl Job for Heartbeat {
    async fn work(&mut self, script: &mut Script) -> Result<Next> {
        let db = script.db("db").await?;
        let beat = script.config().text("beat")?;
        db.execute("insert into heartbeat (beat, at) values ($1, now())", &[&beat]).await?;
        db.commit().await?;
        script.stats.increase("beats", 1);
        Ok(Next::Idle)
    }
}

fn main() -> ExitCode {
    Program::new("heartbeat", "Write the time into a table, again and again")
        .keys("Heartbeat", KEYS)
        .main(|_, _| Ok(Heartbeat))
}
