//! The programs that run on a staged server: client suite, soak, demo, bench.
//!
//! The last three take our place (exec), so that Ctrl-C and exit status are theirs alone: each of them stops
//! the servers it started.

use crate::command::{Outcome, become_it};
use crate::extension::{cargo, stage};
use crate::settings::{Profile, Settings};
use crate::tree::Tree;
use crate::{peers, prepare, tree};
use std::env;
use std::process::Command;

/// A long campaign of crashes under load.
pub fn soak(settings: &Settings) -> Outcome {
    let staged = stage(settings, &prepare::server(settings)?, Profile::Dev)?;
    let mut soak = cargo(settings, "run");
    soak.args(["--quiet", "--package", "pgq-tests", "--bin", "soak", "--"]);
    soak.args(["--seed", &settings.seed.to_string(), "--minutes", &settings.minutes.to_string()]);
    on_server(settings, &mut soak, &staged)?;
    become_it(soak)
}

/// A real workload, watched live.
pub fn demo(settings: &Settings) -> Outcome {
    let staged = stage(settings, &prepare::server(settings)?, Profile::Release)?;
    let mut demo = cargo(settings, "run");
    demo.args(["--quiet", "--package", "pgq-tests", "--bin", "demo"]);
    on_server(settings, &mut demo, &staged)?;
    become_it(demo)
}

/// Ratios, measured side by side.
pub fn bench(settings: &Settings) -> Outcome {
    let staged = stage(settings, &prepare::server(settings)?, Profile::Release)?;
    let mut bench = cargo(settings, "run");
    bench.args(["--quiet", "--release", "--package", "pgq-benches", "--bin", "bench"]);
    on_server(settings, &mut bench, &staged)?;
    become_it(bench)
}

/// Tells a program which private servers it may start, and hides the user's own from it.
pub fn on_server(settings: &Settings, program: &mut Command, staged: &Tree) -> Outcome {
    forget_other_servers(program);
    program.env("PGQ_SERVER", &staged.bindir).env("PGQ_REPO", &settings.repo);
    program.env("PGQ_SCRATCH", tree::scratch(settings)?);
    match peers::present(settings) {
        Some(peer) => program.env("PGQ_PEER", peer.bindir),
        None => program.env_remove("PGQ_PEER"),
    };
    Ok(())
}

/// libpq's variables would point clients elsewhere. RUST_BACKTRACE would reach the servers, where pgrx appends
/// backtraces to the detail of errors.
fn forget_other_servers(program: &mut Command) {
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if (name.starts_with("PG") && !name.starts_with("PGQ_")) || name == "RUST_BACKTRACE" {
            program.env_remove(name);
        }
    }
}
