//! What others receive: syslog, log servers, the journal.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use pgq_tests::client::wait_until;
use serde_json::Value;
use skytools::script::Verbosity;
use tracing::{error, info, warn};

use super::{lines, open, skylog, text, try_open, with};
use crate::kit::Workplace;

/// A receiver on the loopback that gives up after a while.
fn udp() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn received(socket: &UdpSocket) -> String {
    let mut buffer = vec![0; 65536];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn unix(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket
}

fn received_at(socket: &UnixDatagram) -> String {
    let mut buffer = vec![0; 65536];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn syslog_gets_datagrams_over_udp() {
    let workplace = Workplace::new();
    let (socket, port) = udp();
    let log = skylog(
        &workplace,
        "h, host",
        &format!(
            "[handler_h]\nclass = skylog.SysLogHandler\nargs = (('localhost', {port}),)\nformatter = short\n\
             level = WARNING\n\
             [handler_host]\nclass = skylog.SysLogHostnameHandler\nargs = (('127.0.0.1', {port}), 'local0')\n\
             level = ERROR\n"
        ),
    );
    with(&log, || {
        info!("one");
        warn!("tõrge");
    });
    assert_eq!(received(&socket), "<12>WARNING copier tõrge");
    with(&log, || error!("two"));
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let mut both = [received(&socket), received(&socket)];
    both.sort();
    assert_eq!(both, ["<11>ERROR copier two".to_owned(), format!("<131> {host} londiste two")]);
}

#[test]
fn syslog_gets_datagrams_at_a_path_also_when_it_was_started_again() {
    let workplace = Workplace::new();
    let path = workplace.path("log");
    let socket = unix(&path);
    let handler = format!("[handler_h]\nclass = skylog.SysLogHandler\nargs = ('{}',)\n", text(&path));
    let log = skylog(&workplace, "h", &handler);
    with(&log, || info!("one"));
    assert_eq!(received_at(&socket), "<14>one");
    drop(socket);
    std::fs::remove_file(&path).unwrap();
    with(&log, || info!("lost"));
    let socket = unix(&path);
    let mut heard = String::new();
    wait_until("syslog to be found again", || {
        with(&log, || info!("two"));
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut buffer = [0; 1000];
        socket.recv(&mut buffer).is_ok_and(|length| {
            heard = String::from_utf8_lossy(&buffer[..length]).into_owned();
            true
        })
    });
    assert!(
        heard.starts_with("<12>log h: ") && heard.ends_with("records could not be written and are lost"),
        "{heard}"
    );
}

#[test]
fn a_log_server_gets_objects() {
    let workplace = Workplace::new();
    let (socket, port) = udp();
    let handler = format!("[handler_h]\nclass = skylog.UdpLogServerHandler\nargs = ('127.0.0.1', {port})\n");
    let log = skylog(&workplace, "h", &handler);
    let before = jiff::Timestamp::now().as_millisecond();
    with(&log, || error!(critical = true, "the end"));
    let object: Value = serde_json::from_str(&received(&socket)).unwrap();
    assert_eq!(object["logger"], "copier");
    assert_eq!(object["level"], "FATAL");
    assert_eq!(object["message"], "the end");
    assert_eq!(object["thread"], Value::Null);
    let time = object["timestamp"].as_i64().unwrap();
    assert!((before..=jiff::Timestamp::now().as_millisecond()).contains(&time), "{time}");
    let properties = &object["properties"];
    assert_eq!(properties["application"], "copier");
    assert_eq!(properties["apptype"], "londiste");
    assert_eq!(properties["type"], "sys");
    assert_eq!(properties["hostname"], nix::unistd::gethostname().unwrap().to_str().unwrap());
    assert!(properties["hostaddr"].as_str().unwrap().parse::<std::net::IpAddr>().is_ok());
}

#[test]
fn tagged_netstrings_go_over_udp() {
    let workplace = Workplace::new();
    let (socket, port) = udp();
    let handler =
        format!("[handler_h]\nclass = skylog.UdpTNetStringsHandler\nargs = ('127.0.0.1', {port})\n");
    let log = skylog(&workplace, "h", &handler);
    with(&log, || info!("tõrge"));
    let datagram = received(&socket);
    let (length, rest) = datagram.split_once(':').unwrap();
    assert_eq!(rest.len(), length.parse::<usize>().unwrap() + 1);
    assert!(rest.ends_with('}'), "{rest}");
    for part in ["9:levelname,4:INFO,", "7:levelno,2:20#", "7:message,6:tõrge,", "8:job_name,6:copier,"] {
        assert!(rest.contains(part), "{part} in {rest}");
    }
}

#[test]
fn the_journal_gets_fields() {
    let workplace = Workplace::new();
    let path = workplace.path("journal");
    let socket = unix(&path);
    let log = open(&[("log_handlers", &format!("journald:{}", text(&path)))]);
    with(&log, || warn!(rows = 17, "two\nlines"));
    let fields = received_at(&socket);
    assert!(
        fields.starts_with("MESSAGE\n\u{9}\0\0\0\0\0\0\0two\nlines\nPRIORITY=4\nSYSLOG_IDENTIFIER=copier\n")
    );
    assert!(fields.contains(&format!("SYSLOG_PID={}\nSERVICE_NAME=londiste\n", std::process::id())));
    assert!(fields.contains("CODE_FILE=") && fields.ends_with("F_ROWS=17\n"), "{fields}");
}

#[test]
fn log_handlers_are_all_there_is() {
    let workplace = Workplace::new();
    let (file, json, socket) = (workplace.path("x.log"), workplace.path("x.json"), workplace.path("dev-log"));
    let (syslog, (server, port)) = (unix(&socket), udp());
    let log = open(&[
        ("log_handlers", &format!("json:{}, syslog:{}, syslog:127.0.0.1:{port}", text(&json), text(&socket))),
        ("logfile", &text(&file)),
        ("use_skylog", "2"),
        ("skylog_locations", "/nonexistent"),
    ]);
    with(&log, || info!(rows = 17, "copied"));
    assert!(!file.exists());
    let line = format!("<14>copier[{}]: copied rows=17", std::process::id());
    assert_eq!(received_at(&syslog), line);
    assert_eq!(received(&server), line);
    let object: Value = serde_json::from_str(&lines(&json)[0]).unwrap();
    assert_eq!(object["message"], "copied");
    assert_eq!(object["fields"]["rows"], 17);
    assert!(object["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
}

#[test]
fn unknown_log_handlers_are_told() {
    for (items, told) in [
        (
            "console, nosuch",
            "config parameter log_handlers: \"nosuch\" is none of console, file, syslog[:PATH or :HOST:PORT], \
             journald[:PATH], json[:PATH]",
        ),
        ("file", "config parameter log_handlers: file needs the key logfile"),
        ("syslog:nowhere", "config parameter log_handlers: syslog:nowhere is neither a path nor HOST:PORT"),
    ] {
        assert_eq!(try_open(&[("log_handlers", items)], Verbosity::Normal).unwrap_err().to_string(), told);
    }
}
