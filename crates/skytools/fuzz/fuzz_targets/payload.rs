//! Any text is read as a row or refused, and a row that was read is written so that it is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skytools::db::payload::{Change, Operation, decode, encode};

fuzz_target!(|text: &str| {
    for operation in Operation::ALL {
        let _ = Change::from_sql(operation, text);
    }
    if let Ok(mut record) = decode(text) {
        // NULL without a name is no text at all.
        record.retain(|name, value| !name.is_empty() || value.is_some());
        assert_eq!(decode(&encode(record.clone())).expect("what was written"), record);
    }
});
