//! Runs one SQL statement for each event, in a database of its own.

use std::process::ExitCode;

use skytools::Result;
use skytools::consumer::{Batch, Consumer, Event, Handler, Verdict};
use skytools::db::Options;
use skytools::script::{Key, Kind, Program, Script};

const KEYS: &[Key] = &[
    Key::required("src_db", Kind::Connection, "The database with the queue."),
    Key::required("dst_db", Kind::Connection, "The database to run the statement in."),
    Key::required("dst_query", Kind::Text, "The statement."),
];

#[derive(Default)]
struct Runs {
    statement: String,
}

impl Handler for Runs {
    async fn prepare(&mut self, script: &mut Script, batch: &mut Batch) -> Result<()> {
        self.statement = script.config().text("dst_query")?.to_owned();
        batch.set_target(script.db_with("dst_db", Options::autocommit()).await?);
        Ok(())
    }

    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        batch.target()?.execute(&self.statement, &[&event.data()]).await?;
        Ok(Verdict::Done)
    }
}

fn main() -> ExitCode {
    Program::new("simple_consumer", "Run one SQL statement for each event of a queue")
        .section("simple_consumer3")
        .consumer()
        .keys("simple_consumer", KEYS)
        .main(|script, matches| Ok(Consumer::new(script, "src_db", Runs::default())?.asked(matches)))
}
