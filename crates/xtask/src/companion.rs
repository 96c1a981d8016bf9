//! Installing the programs: each with its other names, manual pages and completions, all told by itself.

use crate::command::{OrSay, Outcome, capture, run};
use crate::extension::cargo;
use crate::place::{Piece, link, place};
use crate::settings::Settings;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a program tells of itself (`--generate FORM`), and where that goes below the prefix.
const PAPERS: [(&str, &str, &str); 6] = [
    ("man", "share/man/man1", "NAME.1"),
    ("man5", "share/man/man5", "NAME.ini.5"),
    ("html", "share/doc/skytools", "NAME.html"),
    ("bash", "share/bash-completion/completions", "NAME"),
    ("zsh", "share/zsh/site-functions", "_NAME"),
    ("fish", "share/fish/vendor_completions.d", "NAME.fish"),
];

/// Installs release builds of all programs.
pub fn install(settings: &Settings) -> Outcome {
    run(cargo(settings, "build").args(["--profile", "programs", "--package", "skytools", "--bins"]))?;
    let below = |folder: &str| settings.under_destdir(&settings.prefix.join(folder));
    for program in programs(settings)? {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&program).or_say(|| format!("read {}", program.display()))?;
        put(&below("bin"), &name, bytes, 0o755)?;
        for other in asked(&program, "names")?.split_whitespace() {
            link(&below("bin"), other, &name)?;
        }
        for (form, folder, file) in PAPERS {
            put(&below(folder), &file.replace("NAME", &name), asked(&program, form)?.into_bytes(), 0o644)?;
        }
    }
    Ok(())
}

/// The built programs: cargo makes one of each file in `src/bin`.
fn programs(settings: &Settings) -> Outcome<Vec<PathBuf>> {
    let sources = settings.repo.join("crates/skytools/src/bin");
    let entries = fs::read_dir(&sources).or_say(|| format!("read {}", sources.display()))?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_owned()));
    let mut programs: Vec<PathBuf> = names.map(|name| settings.target("programs").join(name)).collect();
    programs.sort();
    Ok(programs)
}

fn asked(program: &Path, form: &str) -> Outcome<String> {
    capture(Command::new(program).args(["--generate", form]))
}

fn put(folder: &Path, name: &str, bytes: Vec<u8>, mode: u32) -> Outcome {
    place(&[Piece { name: name.to_owned(), bytes, mode }], folder)?;
    println!("installed {}", folder.join(name).display());
    Ok(())
}
