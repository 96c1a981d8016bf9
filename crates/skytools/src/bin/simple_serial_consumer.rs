//! Runs one SQL statement for each event, exactly once.

use std::process::ExitCode;

use skytools::consumer::{CONSUMER_KEYS, STATEMENT_KEYS, SerialConsumer, StatementRunner, TARGET_KEYS};
use skytools::script::Program;

fn main() -> ExitCode {
    Program::new("simple_serial_consumer", "Run one SQL statement for each event of a queue, exactly once")
        .keys("Consumer", CONSUMER_KEYS)
        .keys("Position in the target", TARGET_KEYS)
        .keys("simple_serial_consumer", STATEMENT_KEYS)
        .main(|script, _| {
            SerialConsumer::to_target(script, "src_db", "dst_db", StatementRunner::in_batch(script)?)
        })
}
