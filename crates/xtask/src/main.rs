//! Everything behind the Makefile: getting a server, building, installing, testing.
//!
//! Users and tests never need more than Rust, a C compiler and either Debian's packages or pip. So this crate
//! has no dependencies and builds in a second, gets what is missing, and keeps it all under `target/`.
//!
//! ```text
//! settings ──► prepare ──► extension ──► tree ──► suite, programs
//! PG, …        debian,     cargo build,  private  cargo test, demo, soak, bench
//!              wheels,     one SQL file  server
//!              libclang
//! ```

mod check;
mod command;
mod companion;
mod debian;
mod extension;
mod libclang;
mod peers;
mod place;
mod prepare;
mod programs;
mod server;
mod settings;
mod tree;
mod wheels;

use command::{Outcome, fail};
use settings::{Profile, Settings};
use std::process::ExitCode;

const HELP: &str = "\
Builds, installs and tests PgQ. Usually called by make: `make test PG=18` is `cargo run -q -p xtask -- test PG=18`.

USAGE: cargo run -q -p xtask -- VERB [NAME=value ...]

VERBS
  build         the release library, for the chosen server
  prepare       get a PostgreSQL with headers, and libclang; change nothing when they are there
  stage         build and install into the private server trees' dev tree (PROFILE=release: the release tree)
  install       release build: extensions into the server of PG_CONFIG, programs under PREFIX
                (DESTDIR is put before every path)
  installcheck  the SQL surface tests against a running server (PGHOST, PGPORT, PGUSER, PGDATABASE, ...)
  reference     write docs/reference.md anew from the comments in the database
  test          format, lints, unit and property tests, then the client suite on private servers
  soak          a long campaign of crashes under load (SEED, MINUTES)
  demo          a real workload on a throwaway server, watched live
  bench         ratios, measured side by side
  bench-peers   get the original PgQ 3.5 and pgqd, unpacked aside, never installed
  help          this text

NAMES, as arguments or in the environment
  PG=15..18        major version of the server; 15 when not said
  PG_CONFIG=path   the pg_config of the server to build for; decides alone, PG is not needed then
  SUBSET=filter    test: only the client tests whose names contain it (several: put spaces between)
  SEED=number      soak: what the campaign is drawn from (1 when not said)
  MINUTES=number   soak: how long (10 when not said)
  DESTDIR=folder   install: put before every path
  PREFIX=folder    install: where bin, share/man and so on get the programs (/usr/local when not said)
  PROFILE=dev      stage: dev (with failpoints) or release

WHERE A SERVER COMES FROM
  PG_CONFIG when given. Else Debian's own of the wanted major. When it or its headers are missing: as root on
  Debian by apt-get (without starting a server on the machine), else, and always for PG=18, Python wheels
  unpacked into target/wheels. Without root and without PG, when the machine has none, PostgreSQL 18.

WHAT TESTS, DEMO, SOAK AND BENCH FIND IN THEIR ENVIRONMENT
  PGQ_SERVER   the programs of a private copy of the server, our extension in it
  PGQ_PEER     the same with the original PgQ 3.5 and pgqd; absent when they could not be had
  PGQ_SCRATCH  a folder for throwaway clusters that the unprivileged user can reach
  PGQ_REPO     this source tree
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match obey(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn obey(arguments: &[String]) -> Outcome {
    let Some((verb, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    if matches!(verb.as_str(), "help" | "-h" | "--help") || rest.iter().any(|a| a == "--help" || a == "-h") {
        print!("{HELP}");
        return Ok(());
    }
    let settings = Settings::read(rest)?;
    match verb.as_str() {
        "build" => {
            let server = prepare::server(&settings)?;
            let library = extension::build(&settings, &server, Profile::Release)?;
            println!("built {} for {}", library.display(), server.version);
            Ok(())
        }
        "prepare" => prepare::server(&settings).map(|server| server.describe()),
        "stage" => {
            let server = prepare::server(&settings)?;
            let tree = extension::stage(&settings, &server, settings.profile)?;
            println!("staged into {}", tree.root.display());
            Ok(())
        }
        "install" => extension::install(&settings).and_then(|()| companion::install(&settings)),
        "installcheck" => check::installed(&settings),
        "reference" => check::write_reference(&settings),
        "test" => check::everything(&settings),
        "soak" => programs::soak(&settings),
        "demo" => programs::demo(&settings),
        "bench" => programs::bench(&settings),
        "bench-peers" => {
            peers::fetch(&settings).map(|tree| println!("the original is in {}", tree.root.display()))
        }
        unknown => fail(format!("no verb {unknown:?}; `cargo run -q -p xtask -- help` lists them")),
    }
}
