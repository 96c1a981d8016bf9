//! Any file is read as INI or refused, and so is any reference in its values.

#![no_main]

use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use skytools::script::{Config, Ini};

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("skytools-fuzz-{}.ini", std::process::id())));

fuzz_target!(|text: &[u8]| {
    // What it would include is none of its business.
    if text.windows(8).any(|word| word == b"%include") {
        return;
    }
    let mut file = std::fs::File::create(&*FILE).expect("a file in the temporary folder");
    file.write_all(text).expect("a small file");
    let Ok(ini) = Ini::read(&FILE) else { return };
    for section in ini.sections() {
        let keys = ini.section(section).into_iter().flatten();
        let pairs = keys.map(|(key, entry)| (key.as_str(), entry.text.as_str()));
        let _ = Config::from_pairs(section, &[], pairs);
    }
});
