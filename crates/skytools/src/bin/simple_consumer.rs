//! Runs one SQL statement for each change of a row, at least once.

use std::process::ExitCode;

use skytools::consumer::{Consumer, STATEMENT_KEYS, StatementRunner};
use skytools::db::RETRY_KEYS;
use skytools::script::Program;

fn main() -> ExitCode {
    Program::new("simple_consumer", "Run one SQL statement for each changed row that comes through a queue")
        .section("simple_consumer3")
        .consumer()
        .retries()
        .keys("Statements that are tried again", RETRY_KEYS)
        .keys("simple_consumer", STATEMENT_KEYS)
        .main(|script, matches| {
            let handler = StatementRunner::for_each_change(script)?;
            let consumer =
                Consumer::new(script, "src_db", handler)?.filtered_by(script, "consumer_filter")?;
            Ok(consumer.asked(matches))
        })
}
