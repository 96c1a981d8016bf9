//! `make demo`: a real workload on a throwaway server, watched live, and proven in the end.

#![allow(clippy::unwrap_used)] // a lock is poisoned only when a thread of ours has panicked already

mod consumer;
mod proof;
mod replica;
mod screen;
mod workload;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use pgq_tests::client::explained;
use pgq_tests::cluster::Cluster;
use pgq_tests::queue;
use pgq_tests::server::Server;

use crate::consumer::{Received, Runner};
use crate::screen::Screen;
use crate::workload::{DATABASE, Pgbench, QUEUE};

/// How long the consumers may take for what is there.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

/// A program that was ended by SIGINT, as the shell counts.
const INTERRUPTED: u8 = 130;

/// Watch PgQ carry a real workload, and see it proven that nothing was lost or doubled.
///
/// The demo starts a PostgreSQL server of its own in a fresh folder, which nobody else can reach and which vanishes
/// at the end. There pgbench makes the tables of its bank, triggers write whatever changes them into a queue, and
/// pgbench, knowing nothing of it, fills the tables and runs its own TPC-B-like transactions. One in ten is rolled
/// back, and its events with it. A ticker inside the server cuts the stream of events into batches, and two consumers
/// read the same queue: one quick, one that pauses after every batch and asks for larger ones instead. Each makes a
/// bank of its own of what it reads, and each event must fit what came before it.
///
/// In the end both consumers must have had exactly the events of what was committed: no one missing, none twice, none
/// of a transaction that was rolled back; and their banks must be equal to the real one, row by row. Exit status: 0
/// proven, 1 not, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "demo", max_term_width = 110)]
struct Options {
    /// How long the producers work
    #[arg(long, default_value_t = 17)]
    seconds: u32,
    /// How many pgbench clients produce at once
    #[arg(long, default_value_t = 4)]
    clients: u32,
    /// The size of the bank: 100,000 accounts each
    #[arg(long, default_value_t = 2)]
    scale: u32,
    /// How long the slow consumer pauses after each batch, in milliseconds
    #[arg(long, default_value_t = 1500)]
    pause: u64,
    /// Do without fsync, as no real server should
    #[arg(long)]
    no_fsync: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        // The second Ctrl-C does not wait for us; the server goes even so.
        let registered = signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(INTERRUPTED),
            Arc::clone(&interrupted),
        )
        .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&interrupted)));
        if let Err(error) = registered {
            eprintln!("demo: no way to be interrupted: {error}");
            return ExitCode::FAILURE;
        }
    }
    match run(&options, &interrupted) {
        // Whatever failed then, failed because of it: Ctrl-C ends pgbench and initdb as well.
        _ if interrupted.load(Ordering::Relaxed) => {
            println!("\nInterrupted; the server and its folder are gone.");
            ExitCode::from(INTERRUPTED)
        }
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {}", explained(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Whether it was proven.
fn run(options: &Options, interrupted: &AtomicBool) -> Result<bool, Box<dyn std::error::Error>> {
    let began = Instant::now();
    let server = Server::find_ours()?;
    let cluster = start(&server, options)?;
    cluster.create_database(DATABASE);
    let mut admin = cluster.connect(DATABASE);
    prepare_queue(&mut admin)?;
    workload::make_bank(&cluster, options.scale)?;
    let config = cluster.config(DATABASE, "postgres");
    let runners = [
        Runner::start("quick", Duration::ZERO, config.clone())?,
        Runner::start("slow", Duration::from_millis(options.pause), config)?,
    ];
    println!(
        "PostgreSQL {} with pgq {}, ready after {:.1} s; Ctrl-C ends it cleanly.",
        server.major(),
        admin.one::<String>("select pgq.version()", &[]),
        began.elapsed().as_secs_f64(),
    );
    println!("Look inside: psql -h {} -U postgres {DATABASE}", cluster.socket_folder().display());
    println!(
        "Triggers capture the four tables of pgbench; of their events each consumer makes a bank of its own."
    );

    let rows = workload::fill_bank(&cluster, options.scale)?;
    let pause = || std::thread::sleep(Duration::from_millis(10));
    wait_for(&runners, interrupted, |received| received.replica.len() >= rows, pause);
    println!(
        "Both consumers have the {} rows that the bank begins with, after {:.1} s. Now {} clients work for {} s.",
        screen::grouped(rows),
        began.elapsed().as_secs_f64(),
        options.clients,
        options.seconds,
    );
    println!(
        "One transaction in ten is rolled back. Each second: transactions committed; transactions got, events of\n\
         the last batch, age of the consumer's position, and median and 99th percentile of the time from the begin\n\
         of a transaction to the consumer.\n"
    );

    let mut pgbench = Pgbench::start(&cluster, options.clients, options.seconds)?;
    let mut screen = Screen::new(&runners, cluster.connect(DATABASE));
    while !pgbench.finished()? && !interrupted.load(Ordering::Relaxed) {
        screen.wait_and_show(&runners);
    }
    if interrupted.load(Ordering::Relaxed) {
        return Ok(false);
    }
    let committed = workload::committed(&mut admin)?;
    println!(
        "The producers have committed {} transactions; the rest is drained.",
        screen::grouped(committed)
    );
    let drained = |received: &Received| received.transactions() >= committed;
    wait_for(&runners, interrupted, drained, || screen.wait_and_show(&runners));
    if interrupted.load(Ordering::Relaxed) {
        return Ok(false);
    }
    // What is still to come can only be too much; the proof wants to see that too.
    let newest_tick = queue::tick_now(&mut admin, QUEUE)?;
    let mut received = Vec::new();
    for runner in runners {
        received.push(runner.finish(&mut admin, newest_tick)?);
    }
    println!("Rotations of the event tables, each a TRUNCATE under load: {}.", screen.rotations());
    proof::show(&mut admin, &received)
}

/// Waits until all consumers have it; in vain if one has given up, the time is up, or somebody interrupts.
fn wait_for(
    runners: &[Runner],
    interrupted: &AtomicBool,
    has_it: impl Fn(&Received) -> bool,
    mut meanwhile: impl FnMut(),
) {
    let deadline = Instant::now() + DRAIN_LIMIT;
    while !runners.iter().all(|runner| has_it(&runner.state())) && Instant::now() < deadline {
        if interrupted.load(Ordering::Relaxed) || runners.iter().any(Runner::broken) {
            break;
        }
        meanwhile();
    }
}

fn start(server: &Server, options: &Options) -> Result<Cluster, Box<dyn std::error::Error>> {
    let mut builder = Cluster::builder_on(server)
        .single()
        .conf("shared_buffers", "128MB")
        .conf("shared_preload_libraries", "pgq")
        .conf("pgq.ticker_period", "100ms")
        .conf("pgq.maint_period", "1s");
    if !options.no_fsync {
        builder = builder.durable();
    }
    Ok(builder.try_start()?)
}

/// A queue whose batches are small and whose tables rotate often, so that a demo of seconds shows both.
fn prepare_queue(admin: &mut postgres::Client) -> Result<(), postgres::Error> {
    admin.batch_execute("create extension pgq")?;
    queue::create(admin, QUEUE)?;
    for (name, value) in [
        ("ticker_max_count", "200"),
        ("ticker_max_lag", "300 ms"),
        ("ticker_idle_period", "1 s"),
        ("rotation_period", "4 s"),
    ] {
        admin.execute("select pgq.set_queue_config($1, $2, $3)", &[&QUEUE, &name, &value])?;
    }
    Ok(())
}
