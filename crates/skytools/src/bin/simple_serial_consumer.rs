//! Runs one SQL statement for each event, exactly once.

use std::process::ExitCode;

use skytools::consumer::{STATEMENT_KEYS, SerialConsumer, StatementRunner, TARGET_KEYS};
use skytools::script::Program;

fn main() -> ExitCode {
    Program::new("simple_serial_consumer", "Run one SQL statement for each event of a queue, exactly once")
        .consumer()
        .moves()
        .keys("Position in the target", TARGET_KEYS)
        .keys("simple_serial_consumer", STATEMENT_KEYS)
        .main(|script, matches| {
            let handler = StatementRunner::in_batch(script)?;
            let consumer = SerialConsumer::to_target(script, "src_db", "dst_db", handler)?;
            Ok(consumer.filtered_by(script, "consumer_filter")?.asked(matches))
        })
}
