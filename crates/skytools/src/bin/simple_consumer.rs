//! Runs one SQL statement for each change of a row, at least once.

use std::process::ExitCode;

use skytools::consumer::{CONSUMER_KEYS, Consumer, STATEMENT_KEYS, StatementRunner};
use skytools::script::Program;

fn main() -> ExitCode {
    Program::new("simple_consumer", "Run one SQL statement for each changed row that comes through a queue")
        .section("simple_consumer3")
        .keys("Consumer", CONSUMER_KEYS)
        .keys("simple_consumer", STATEMENT_KEYS)
        .main(|script, _| Consumer::new(script, "src_db", StatementRunner::for_each_change(script)?))
}
