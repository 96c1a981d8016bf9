//! `make bench`: one table of ratios, measured side by side in one run. The method is in `README.md` beside this.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A bench that meets an error has nothing better to do than stop.

mod capture;
mod companion;
mod host;
mod latency;
mod measure;
mod memory;
mod reading;
mod ticking;
mod triggers;

use host::Host;
use measure::Pairs;
use pgq_tests::server::Server;

/// A line of the table.
struct Row {
    work: String,
    pairs: Pairs,
    unit: &'static str,
    target: Option<Target>,
}

/// What the ratio ours / other should be.
#[derive(Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Row {
    fn new(work: &str, unit: &'static str, target: Option<Target>, pairs: Pairs) -> Row {
        let row = Row { work: work.to_owned(), pairs, unit, target };
        row.print();
        row
    }

    fn is_met(&self) -> bool {
        let ratio = self.pairs.ratio[0];
        match self.target {
            None => true,
            Some(Target::AtMost(limit)) => ratio <= limit,
            Some(Target::AtLeast(limit)) => ratio >= limit,
        }
    }

    fn print(&self) {
        let target = match self.target {
            None => String::from("–"),
            Some(Target::AtMost(limit)) => format!("≤ {limit:.2}"),
            Some(Target::AtLeast(limit)) => format!("≥ {limit:.2}"),
        };
        let Pairs { ours, other, ratio: [median, least, greatest] } = self.pairs;
        let (work, unit) = (&self.work, self.unit);
        let verdict = if self.is_met() { "" } else { " **missed**" };
        println!(
            "| {work} | {ours:.3} {unit} | {other:.3} {unit} | {median:.2} ({least:.2} – {greatest:.2}) | {target}{verdict} |"
        );
    }
}

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));

    let ours = Host::start(&Server::ours());
    let peer = Server::peer().map(|server| Host::start(&server));
    println!("{}", ours.version());
    match &peer {
        Some(peer) => println!("beside it: PgQ {} on {}", peer.pgq_version(), peer.version()),
        None => println!("without the original: `make bench-peers` gets it"),
    }
    println!("\n| work | PgQ here | compared with | ratio: median (least – greatest) | target |");
    println!("|---|---|---|---|---|");
    let mut rows = Vec::new();
    if runs("capture") {
        rows.extend(capture::single_transaction(&ours, peer.as_ref()));
        rows.extend(capture::bulk(&ours));
        rows.extend(capture::wal(&ours));
    }
    if runs("commit") {
        rows.extend(capture::one_event_a_transaction(&ours, peer.as_ref()));
    }
    if runs("triggers") {
        rows.extend(triggers::statements(&ours, peer.as_ref()));
    }
    if runs("bank") {
        rows.extend(triggers::bank(&ours, peer.as_ref()));
    }
    if runs("reading") {
        rows.extend(reading::two_million(&ours, peer.as_ref()));
        rows.extend(reading::put_off(&ours, peer.as_ref()));
    }
    if runs("companion") {
        rows.extend(companion::consumer());
        rows.extend(companion::producer(&ours));
    }
    if runs("ticks") {
        rows.extend(ticking::thousand_queues(&Server::ours(), Server::peer().as_ref()));
    }
    if runs("producers") {
        rows.extend(ticking::producers(&Server::ours()));
    }
    if runs("memory") {
        println!();
        reading::ten_million(&ours);
        companion::ten_million();
    }
    if runs("idle") {
        println!();
        ticking::idle(&Server::ours());
    }
    if runs("latency") {
        println!();
        latency::table(&Server::ours(), Server::peer().as_ref());
    }
    let missed = rows.iter().filter(|row| !row.is_met()).count();
    println!("\n{} rows, {missed} missed their target", rows.len());
}
