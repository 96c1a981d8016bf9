//! Runs one SQL statement for each change of a row, and remembers in a file how far it is.

use std::process::ExitCode;

use skytools::consumer::{LOCAL_KEYS, LocalConsumer, STATEMENT_KEYS, StatementRunner};
use skytools::db::RETRY_KEYS;
use skytools::script::Program;

fn main() -> ExitCode {
    Program::new(
        "simple_local_consumer",
        "Run one SQL statement for each changed row, with the position in a file",
    )
    .section("simple_local_consumer3")
    .consumer()
    .moves()
    .keys("Position in a file", LOCAL_KEYS)
    .keys("Statements that are tried again", RETRY_KEYS)
    .keys("simple_local_consumer", STATEMENT_KEYS)
    .main(|script, matches| {
        let handler = StatementRunner::for_each_change(script)?;
        let consumer = LocalConsumer::with_file(script, "src_db", handler)?;
        Ok(consumer.filtered_by(script, "consumer_filter")?.asked(matches))
    })
}
