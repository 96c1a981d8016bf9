//! The figures for Prometheus: a real program is asked over real sockets, by those who mean well and those who do not.

mod exposition;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exposition::Exposition;
use nix::sys::signal::Signal;
use pgq_tests::client::wait_until;

use crate::kit::{Copier, told};

const WHERE: &str = "figures for Prometheus are at http://";

/// A copier that offers its figures, also under a name that takes escapes.
fn copier(label: &str, other: &[(&str, &str)]) -> Copier {
    let copier = Copier::new(label);
    copier.configure(&[&[("metrics_listen", "0")], other].concat());
    copier
}

/// Where it says, last, that they are.
fn address(copier: &Copier) -> SocketAddr {
    copier.wait_for_log(WHERE);
    let log = copier.log();
    let (_, address) = log.rsplit_once(WHERE).unwrap();
    address.split_once("/metrics\n").unwrap().0.parse().unwrap()
}

/// A port of the loopback that nobody has.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks, and gives the head and the body of the answer.
fn ask(address: SocketAddr, request: &str) -> std::io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "{request} HTTP/1.1\r\nHost: here\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    Ok((head.to_owned(), body.to_owned()))
}

fn scrape(address: SocketAddr) -> Exposition {
    let (head, body) = ask(address, "GET /metrics").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4\r\n"), "{head}");
    Exposition::parse(&body)
}

/// What the statistics lines of a log add up to, and how many lines have each.
fn sums(log: &str) -> BTreeMap<String, (f64, u32)> {
    let mut sums: BTreeMap<String, (f64, u32)> = BTreeMap::new();
    let lines = log.lines().filter_map(|line| line.split_once(" INFO {")?.1.strip_suffix('}'));
    for (name, number) in lines.flat_map(|line| line.split(", ")).map(|pair| pair.split_once(": ").unwrap()) {
        let (sum, lines) = sums.entry(name.to_owned()).or_default();
        *sum += number.parse::<f64>().unwrap();
        *lines += 1;
    }
    sums
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn figures_are_what_the_statistics_lines_add_up_to() {
    let began = now();
    let mut copier = copier("figures", &[("job_name", "co\"pi\\er"), ("consumer_name", "copier")]);
    let _daemon = copier.start_daemon();
    let address = address(&copier);
    assert!(address.ip().is_loopback());
    for numbers in [&[1, 2][..], &[3], &[]] {
        copier.put(numbers);
    }
    wait_until("all batches in the log", || {
        sums(&copier.log()).get("count").is_some_and(|count| count.1 == 3)
    });
    let (figures, sums) = (scrape(address), sums(&copier.log()));
    assert_eq!(sums["count"], (3.0, 3));
    for (name, (sum, lines)) in &sums {
        let figure = figures.get("skytools_stats_total", &[("name", name)]).unwrap();
        // The lines are rounded to four decimals.
        assert!((figure - sum).abs() <= 0.00005 * f64::from(*lines) + 1e-9, "{name}: {figure}, not {sum}");
    }
    assert_eq!(figures.labels("job_name"), [Some("co\"pi\\er")].into());
    assert_eq!(figures.labels("service"), [Some("simple_consumer")].into());
    let rounds = figures.get("skytools_rounds_total", &[("outcome", "done")]).unwrap();
    assert!(rounds >= 3.0, "{rounds}");
    assert_eq!(figures.get("skytools_rounds_total", &[("outcome", "failed")]), Some(0.0));
    assert_eq!(figures.get("skytools_round_duration_seconds_count", &[]), Some(rounds));
    let taken = figures.get("skytools_round_duration_seconds_sum", &[]).unwrap();
    let working = figures.get("skytools_stats_total", &[("name", "duration")]).unwrap();
    assert!(working <= taken && taken < now() - began, "{working} {taken}");
    let started = figures.get("process_start_time_seconds", &[]).unwrap();
    let success = figures.get("skytools_last_success_timestamp_seconds", &[]).unwrap();
    assert!(began <= started && started <= success && success <= now(), "{began} {started} {success}");
    let lag = figures.get("skytools_batch_lag_seconds", &[]).unwrap();
    assert!((0.0..now() - began).contains(&lag), "{lag}");
}

#[test]
fn failed_rounds_are_counted_and_no_success_is_told() {
    let copier = copier("failing", &[("src_db", "host=/nowhere")]);
    let _daemon = copier.start_daemon();
    let address = address(&copier);
    let failed =
        |figures: &Exposition| figures.get("skytools_rounds_total", &[("outcome", "failed")]).unwrap();
    wait_until("two failures", || failed(&scrape(address)) >= 2.0);
    let figures = scrape(address);
    assert_eq!(figures.get("skytools_rounds_total", &[("outcome", "done")]), Some(0.0));
    assert_eq!(figures.get("skytools_last_success_timestamp_seconds", &[]), Some(0.0));
    assert_eq!(figures.get("skytools_batch_lag_seconds", &[]), None);
}

#[test]
fn a_job_that_is_stuck_can_be_asked() {
    let mut copier = copier("busy", &[]);
    copier.session.exec(crate::kit::GATE);
    copier.put(&[1]);
    let _daemon = copier.start_daemon();
    copier.wait_at_gate();
    scrape(address(&copier));
}

#[test]
fn other_questions_are_answered_as_http_has_it() {
    let copier = copier("questions", &[]);
    let _daemon = copier.start_daemon();
    let address = address(&copier);
    let status = |request: &str| {
        let (head, body) = ask(address, request).unwrap();
        (head.split(' ').nth(1).unwrap().parse::<u16>().unwrap(), body)
    };
    assert_eq!(status("HEAD /metrics"), (200, String::new()));
    assert_eq!(status("GET /metrics?name=x").0, 200);
    assert_eq!(status("POST /metrics"), (405, String::new()));
    assert_eq!(status("GET /"), (404, "the figures are at /metrics\n".to_owned()));
    assert_eq!(status("nonsense").0, 400);
}

#[test]
fn a_port_that_is_taken_is_one_clear_error_at_the_start() {
    let copier = copier("taken", &[]);
    let _daemon = copier.start_daemon();
    let port = address(&copier).port();
    let listen = format!("metrics_listen={port}");
    let second = ["-d", "copier.ini", "--set", "pidfile=second.pid", "--set", &listen];
    for arguments in [&second[..], &second[1..]] {
        let refused = copier.run(&[arguments, &["--set", "logfile="]].concat());
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let told = told(&refused);
        let errors = told.lines().filter(|line| line.contains(" ERROR ")).count();
        let error =
            format!("metrics_listen: listen at 127.0.0.1:{port}: Address already in use (os error 98)\n");
        assert!(told.ends_with(&error) && errors == 1, "{told}");
    }
    let once = copier.run(&[&second[1..], &["--set", "loop_delay=-1"]].concat());
    assert!(once.status.success(), "a single pass offers no figures: {once:?}");
    for switch in ["--dead-letters", "--register"] {
        let errand = copier.run(&[&second[1..], &[switch]].concat());
        assert!(errand.status.success(), "neither does an errand: {errand:?}");
    }
    scrape(address(&copier));
}

#[test]
fn a_reload_moves_the_figures_or_leaves_them_where_they_are() {
    let copier = copier("moved", &[("metrics_listen", "")]);
    let running = copier.started();
    let reload = |listen: &str, told: &str| {
        let before = copier.log().matches(told).count();
        copier.configure(&[("metrics_listen", listen)]);
        running.signal(Signal::SIGHUP);
        wait_until(told, || copier.log().matches(told).count() > before);
    };
    let (first, second) = (free_port(), free_port());
    reload(&first.to_string(), "Config reloaded");
    assert_eq!(address(&copier).port(), first);
    scrape(address(&copier));
    // The same port under another name.
    reload(&format!("0.0.0.0:{first}"), "Config reloaded");
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    scrape(at(first));
    reload(&second.to_string(), "Config reloaded");
    scrape(at(second));
    assert_eq!(TcpStream::connect(at(first)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let taken = TcpListener::bind(at(first)).unwrap();
    reload(&first.to_string(), "Config not reloaded");
    let figures = scrape(at(second));
    assert!(
        figures.get("skytools_rounds_total", &[("outcome", "done")]).unwrap() > 1.0,
        "they are not begun anew"
    );
    drop(taken);
    reload("nowhere", "Config not reloaded");
    scrape(at(second));
    reload("", "Config reloaded");
    assert_eq!(TcpStream::connect(at(second)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn nobody_keeps_the_endpoint_or_the_job_from_its_work() {
    let mut copier = copier("hostile", &[]);
    let daemon = copier.start_daemon();
    let address = address(&copier);
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", daemon.0)).unwrap().count();
    let before = descriptors();
    let mut crowd = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream
            .write_all([&b""[..], b"GET /metr", b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: "][number % 3]);
        crowd.push(stream);
    }
    scrape(address);
    wait_until("most of the crowd to be sent away", || descriptors() <= before + 40);
    copier.put(&[1]);
    copier.wait_for(&[1]);
    drop(crowd);

    let mut endless = TcpStream::connect(address).unwrap();
    endless.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let _ = endless.write_all(b"GET /metrics HTTP/1.1\r\nX-Long: ");
    let mut sent = 0;
    while sent < 100_000_000 && endless.write_all(&[b'x'; 1000]).is_ok() {
        sent += 1000;
    }
    assert!(sent < 100_000_000, "a header without end is read without end");

    let mut silent = TcpStream::connect(address).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let asked = Instant::now();
    silent.write_all(b"GET /metrics").unwrap();
    let _ = silent.read(&mut [0]);
    assert!(asked.elapsed() < Duration::from_secs(20), "who does not end the question is waited for");
    scrape(address);
}
