//! `make soak`: campaigns of crashes under load, as long as you like.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pgq_tests::server::Server;
use pgq_tests::soak::Campaign;

/// Crash a loaded server again and again, and check every promise.
///
/// Producers use savepoints, rollbacks, prepared and long transactions and old snapshots; the event tables rotate
/// every second; consumers poll, use cursors, store their position with their results, come late and leave; and now
/// and then the whole server is killed with SIGKILL. After each round of some seconds every committed event must
/// have reached every consumer: once, whole transactions, in order, nothing that was rolled back.
///
/// The server is a throwaway one and goes when this program ends. Exit status: 0 if all promises were kept.
#[derive(Debug, Parser)]
#[command(name = "soak", max_term_width = 110)]
struct Options {
    /// What everything random is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long; the round that is under way then is finished
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Load only
    #[arg(long)]
    no_crashes: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let server = match Server::find_ours() {
        Ok(server) => server,
        Err(error) => {
            eprintln!("soak: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("seed {}, PostgreSQL {}", options.seed, server.major());
    let campaign = Campaign {
        server,
        seed: options.seed,
        duration: Duration::from_secs_f64(options.minutes * 60.0),
        crashes: !options.no_crashes,
    };
    match campaign.run(&mut |line| println!("{line}")) {
        Ok(summary) => {
            println!("KEPT: {summary}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("BROKEN with seed {}: {failure}", options.seed);
            ExitCode::FAILURE
        }
    }
}
