//! The log: what comes where in which form. Receivers are sockets, files and a server of ours.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pgq_tests::client::wait_until;
use pgq_tests::shared::Database;
use serde_json::Value;
use skytools::script::log::Log;
use skytools::script::{Config, Verbosity};
use tracing::{debug, error, info, trace, warn};
use tracing_subscriber::layer::SubscriberExt;

use crate::kit::{Workplace, conninfo};

/// The log of the job `copier` with these keys.
fn try_open(pairs: &[(&str, &str)], verbosity: Verbosity) -> skytools::Result<Log> {
    let pairs = pairs.iter().copied().chain([("job_name", "copier")]);
    Log::open(&Config::from_pairs("londiste", &[], pairs)?, verbosity, false)
}

fn open(pairs: &[(&str, &str)]) -> Log {
    try_open(pairs, Verbosity::Normal).unwrap()
}

/// The log in this file alone, of messages alone, with more keys.
fn try_file(path: &Path, more: &[(&str, &str)], verbosity: Verbosity) -> skytools::Result<Log> {
    let keys =
        [("log_handlers", "file"), ("logfile", path.to_str().unwrap()), ("logfmt_file", "%%(message)s")];
    // Of a key twice, the later one holds.
    try_open(&[&keys, more].concat(), verbosity)
}

fn file(path: &Path, more: &[(&str, &str)]) -> Log {
    try_file(path, more, Verbosity::Normal).unwrap()
}

/// Runs a piece of code whose events are for this log.
fn with(log: &Log, code: impl FnOnce()) {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(log.layer()), code);
}

/// The log of a skylog.ini with the loggers and handlers that follow these lists.
fn skylog(workplace: &Workplace, handlers: &str, rest: &str) -> Log {
    try_skylog(workplace, handlers, rest).unwrap()
}

fn try_skylog(workplace: &Workplace, handlers: &str, rest: &str) -> skytools::Result<Log> {
    let path = workplace.write(
        "skylog.ini",
        &format!(
            "[loggers]\nkeys = root\n[handlers]\nkeys = {handlers}\n[formatters]\nkeys = short\n\
             [logger_root]\nhandlers = {handlers}\n\
             [formatter_short]\nformat = %(levelname)s %(name)s %(message)s\n{rest}"
        ),
    );
    try_open(&[("use_skylog", "2"), ("skylog_locations", path.to_str().unwrap())], Verbosity::Normal)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

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
fn a_line_has_time_process_level_and_text() {
    let workplace = Workplace::new();
    let path = workplace.path("x.log");
    let log = open(&[("log_handlers", "file"), ("logfile", &text(&path))]);
    with(&log, || info!(rows = 17, "copied {}", "orders"));
    let lines = lines(&path);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let shape: String = line.chars().take(23).map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "9999-99-99 99:99:99,999");
    assert_eq!(line[23..], format!(" {} INFO copied orders rows=17", std::process::id()));
}

#[test]
fn switches_say_from_which_level_on_is_logged() {
    let all = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
    for (verbosity, first) in
        [(Verbosity::Quiet, 3), (Verbosity::Normal, 2), (Verbosity::Verbose, 1), (Verbosity::Trace, 0)]
    {
        let workplace = Workplace::new();
        let path = workplace.path("x.log");
        let log = try_file(&path, &[("logfmt_file", "%%(levelname)s")], verbosity).unwrap();
        with(&log, || {
            trace!("x");
            debug!("x");
            info!("x");
            warn!("x");
            error!("x");
            error!(critical = true, "x");
        });
        assert_eq!(lines(&path), all[first..], "{verbosity:?}");
    }
}

#[test]
fn libraries_are_heard_when_they_warn() {
    let workplace = Workplace::new();
    let path = workplace.path("x.log");
    with(&try_file(&path, &[], Verbosity::Verbose).unwrap(), || {
        debug!(target: "rustls::client", "one");
        info!(target: "tokio_postgres", "two");
        warn!(target: "rustls::client", "three");
        debug!(target: "tokio_tools", "four");
    });
    assert_eq!(lines(&path), ["three", "four"]);
    with(&try_file(&path, &[], Verbosity::Trace).unwrap(), || {
        trace!(target: "rustls::client", "five");
        debug!(target: "rustls::client", "six");
    });
    assert_eq!(lines(&path), ["three", "four", "six"]);
}

#[test]
fn verbose_forms_hold_below_info() {
    let workplace = Workplace::new();
    for (name, verbosity, golden) in [
        ("normal", Verbosity::Normal, "plain x"),
        ("verbose", Verbosity::Verbose, "much x"),
        ("quiet", Verbosity::Quiet, "plain x"),
    ] {
        let path = workplace.path(name);
        let keys = [
            ("logfmt_file", "%%(asctime)s %%(message)s"),
            ("logdatefmt_file", "plain"),
            ("logdatefmt_file_verbose", "much"),
        ];
        with(&try_file(&path, &keys, verbosity).unwrap(), || error!("x"));
        assert_eq!(lines(&path), [golden], "{name}");
    }
}

#[test]
fn an_error_tells_its_causes() {
    let workplace = Workplace::new();
    let path = workplace.path("x.log");
    let failure = skytools::Error::io("read x.ini")(std::io::Error::other("no luck"));
    with(&file(&path, &[]), || {
        error!(error = &failure as &dyn std::error::Error, "crashed");
    });
    assert_eq!(lines(&path), ["crashed error=read x.ini: no luck: no luck"]);
}

#[test]
fn a_file_is_put_aside_before_it_gets_too_large() {
    let workplace = Workplace::new();
    let path = workplace.path("x.log");
    let keys = [("log_size", "100"), ("log_count", "2")];
    with(&file(&path, &keys), || (0..95).for_each(|number| info!("line {number:04}")));
    // Ten bytes a line, ten lines a file: 0 to 69 are gone.
    assert_eq!(lines(&path), numbered(90..95));
    assert_eq!(lines(&workplace.path("x.log.1")), numbered(80..90));
    assert_eq!(lines(&workplace.path("x.log.2")), numbered(70..80));
    assert!(!workplace.path("x.log.3").exists());
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("line {number:04}")).collect()
}

#[test]
fn nothing_is_put_aside_when_nothing_shall_be_kept() {
    let workplace = Workplace::new();
    for (size, count) in [("0", "3"), ("100", "0")] {
        let path = workplace.path(&format!("{size}.log"));
        let keys = [("log_size", size), ("log_count", count)];
        with(&file(&path, &keys), || (0..95).for_each(|number| info!("line {number:04}")));
        assert_eq!(lines(&path).len(), 95);
    }
}

#[test]
fn several_processes_share_a_file_and_lose_no_line() {
    let workplace = Workplace::new();
    let path = workplace.path("x.log");
    let keys = [("log_size", "500"), ("log_count", "99")];
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let log = file(&path, &keys);
            scope.spawn(move || {
                with(&log, || (0..100).for_each(|number| info!("writer {writer} line {number:03}")))
            });
        }
    });
    let files = (1..100).rev().map(|number| workplace.path(&format!("x.log.{number}"))).chain([path.clone()]);
    let written: Vec<String> = files.flat_map(|file| lines(&file)).collect();
    for writer in 0..4 {
        let own: Vec<&String> =
            written.iter().filter(|line| line.starts_with(&format!("writer {writer} "))).collect();
        assert_eq!(own.len(), 100, "writer {writer}");
    }
    assert!(written.iter().all(|line| line.len() == "writer 0 line 000".len()), "a line is torn");
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let workplace = Workplace::new();
    let path = workplace.path("x.log");
    let log = file(&path, &[]);
    with(&log, || info!("one"));
    std::fs::rename(&path, workplace.path("old.log")).unwrap();
    with(&log, || info!("two"));
    std::fs::rename(&path, workplace.path("older.log")).unwrap();
    log.reopen();
    with(&log, || info!("three"));
    assert_eq!(lines(&workplace.path("old.log")), ["one"]);
    assert_eq!(lines(&workplace.path("older.log")), ["two"]);
    assert_eq!(lines(&path), ["three"]);
}

#[test]
fn a_log_file_that_cannot_be_opened_is_told_at_once() {
    let told = try_open(&[("logfile", "/nonexistent/x.log")], Verbosity::Normal).unwrap_err().to_string();
    assert!(told.starts_with("open the log file /nonexistent/x.log: "), "{told}");
}

/// A file system of 64 KiB, gone with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: PathBuf) -> Result<Self, String> {
        std::fs::create_dir(&folder).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&folder).output();
        let mount = mount.map_err(|error| error.to_string())?;
        if mount.status.success() {
            Ok(Self(folder))
        } else {
            Err(String::from_utf8_lossy(&mount.stderr).into_owned())
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_costs_lines_and_not_the_job() {
    let workplace = Workplace::new();
    let disk = match SmallDisk::mount(workplace.path("disk")) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("skipped: mounting a small tmpfs is not permitted: {why}");
            return;
        }
    };
    let path = disk.0.join("x.log");
    let log = file(&path, &[]);
    let filler = disk.0.join("filler");
    with(&log, || info!("before"));
    while std::fs::write(&filler, vec![0; 60 * 1024]).is_err() {}
    with(&log, || (0..1000).for_each(|number| info!("{number:0100}")));
    let kept = lines(&path).iter().filter(|line| line.len() == 100).count();
    assert!(kept < 1000, "the disk was not full");
    std::fs::remove_file(&filler).unwrap();
    with(&log, || info!("after"));
    with(&log, || info!("later"));
    drop(log);
    let lines = lines(&path);
    let told = format!("log file: {} records could not be written and are lost", 1000 - kept);
    assert_eq!(lines[lines.len() - 3..], [told, "after".to_owned(), "later".to_owned()]);
    assert_eq!(lines[0], "before");
}

#[test]
fn a_skylog_ini_says_where_all_jobs_log() {
    let workplace = Workplace::new();
    let folder = text(workplace.folder());
    let path = workplace.write(
        "skylog.ini",
        &format!(
            "[loggers]\nkeys = root, mine, other\n[handlers]\nkeys = all, own, err, others\n[formatters]\nkeys = long\n\
             [logger_root]\nlevel = ERROR\nhandlers = all, err\n\
             [logger_mine]\nqualname = copier\nlevel = DEBUG\nhandlers = own\n\
             [logger_other]\nqualname = mover\nhandlers = others\n\
             [handler_all]\nclass = skylog.EasyRotatingFileHandler\nargs = ('{folder}/%(service_name)s.log', 10*1024, 2)\n\
             level = NOTSET\nformatter = long\n\
             [handler_own]\nclass = skytools.skylog.EasyRotatingFileHandler\nargs = ('{folder}/%(job_name)s.log',)\n\
             [handler_err]\nclass = skylog.EasyRotatingFileHandler\nargs = (\"{folder}/err.log\",)\nlevel = ERROR\n\
             [handler_others]\nclass = skylog.EasyRotatingFileHandler\nargs = ('/nonexistent/x.log',)\n\
             [formatter_long]\nformat = %(asctime)s %(job_name)s %(service_name)s %(levelno)d %(message)s\ndatefmt = at\n"
        ),
    );
    let extra = workplace.path("extra.log");
    let log = open(&[
        ("use_skylog", "2"),
        ("skylog_locations", &format!("/nonexistent/skylog.ini, {}", text(&path))),
        ("logfile", &text(&extra)),
        ("logfmt_file", "%%(message)s"),
    ]);
    with(&log, || {
        trace!("one");
        debug!("two");
        error!("three");
    });
    let file = |name: &str| lines(&workplace.path(name));
    assert_eq!(file("londiste.log"), ["at copier londiste 10 two", "at copier londiste 40 three"]);
    assert_eq!(file("copier.log"), ["two", "three"]);
    assert_eq!(file("err.log"), ["three"]);
    assert_eq!(file("extra.log"), ["two", "three"]);
}

#[test]
fn the_root_of_a_skylog_ini_makes_nobody_louder_or_quieter() {
    for level in ["DEBUG", "CRITICAL"] {
        let workplace = Workplace::new();
        let folder = text(workplace.folder());
        let path = workplace.write(
            "skylog.ini",
            &format!(
                "[loggers]\nkeys = root\n[handlers]\nkeys = all\n[formatters]\nkeys =\n\
                 [logger_root]\nlevel = {level}\nhandlers = all\n\
                 [handler_all]\nclass = logging.FileHandler\nargs = ('{folder}/%(job_name)s.log', 'a')\n"
            ),
        );
        with(&open(&[("use_skylog", "2"), ("skylog_locations", &text(&path))]), || {
            debug!("one");
            info!("two");
        });
        assert_eq!(lines(&workplace.path("copier.log")), ["two"], "{level}");
    }
}

#[test]
fn a_logger_may_keep_its_records_from_the_root() {
    for (propagate, golden) in [("1", &["x"][..]), ("0", &[])] {
        let workplace = Workplace::new();
        let folder = text(workplace.folder());
        let path = workplace.write(
            "skylog.ini",
            &format!(
                "[loggers]\nkeys = root, mine\n[handlers]\nkeys = all, own\n[formatters]\nkeys =\n\
                 [logger_root]\nhandlers = all\n\
                 [logger_mine]\nqualname = copier\nhandlers = own\npropagate = {propagate}\n\
                 [handler_all]\nclass = skylog.EasyRotatingFileHandler\nargs = ('{folder}/all.log',)\n\
                 [handler_own]\nclass = skylog.EasyRotatingFileHandler\nargs = ('{folder}/own.log',)\n"
            ),
        );
        with(&open(&[("use_skylog", "2"), ("skylog_locations", &text(&path))]), || info!("x"));
        assert_eq!(lines(&workplace.path("own.log")), ["x"]);
        assert_eq!(lines(&workplace.path("all.log")), golden, "propagate = {propagate}");
    }
}

#[test]
fn no_skylog_ini_is_an_error() {
    let keys = [("use_skylog", "1"), ("skylog_locations", "/nonexistent/a.ini, /nonexistent/b.ini")];
    assert_eq!(
        try_open(&keys, Verbosity::Normal).unwrap_err().to_string(),
        "use_skylog is set, but there is no skylog.ini: looked for /nonexistent/a.ini, /nonexistent/b.ini"
    );
}

#[test]
fn a_wrong_skylog_ini_is_told_without_its_secrets() {
    for (wrong, told) in [
        ("class = nosuch.Handler", "[handler_h] class and args: the class \"nosuch.Handler\" is unknown"),
        ("args = ()", "[handler_h] class: it is not set"),
        (
            "class = skylog.LogDBHandler\nargs = (open('secret'),)",
            "[handler_h] args: an unknown name: only sys.stderr, sys.stdout and None may be used at character 6",
        ),
        (
            "class = skylog.LogDBHandler\nargs = ('password=secret', 1)",
            "[handler_h] class and args: the argument is a connect string",
        ),
        (
            "class = skylog.UdpLogServerHandler\nargs = ('secret', 70000)",
            "[handler_h] class and args: there is no port 70000",
        ),
        ("class = FileHandler\nargs = ('secret', 'w')", "[handler_h] class and args: the argument is a path"),
        ("class = StreamHandler\nlevel = LOUD", "[handler_h] level: the level \"LOUD\" is unknown"),
        (
            "class = StreamHandler\nformatter = long",
            "[handler_h] formatter: \"long\" is not listed in [formatters]",
        ),
        (
            "class = StreamHandler\nargs = ('%(nosuch)s',)",
            "[handler_h] args: %(nosuch)s refers to a key that is not set",
        ),
    ] {
        let workplace = Workplace::new();
        let error = try_skylog(&workplace, "h", &format!("[handler_h]\n{wrong}\n")).unwrap_err().to_string();
        let path = text(&workplace.path("skylog.ini"));
        assert!(error.starts_with(&format!("{path}: {told}")), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
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

/// The log of a job that logs to this database.
fn log_database(workplace: &Workplace, conninfo: &str) -> Log {
    let quoted = conninfo.replace('\\', r"\\").replace('\'', r"\'").replace('%', "%%");
    skylog(workplace, "db", &format!("[handler_db]\nclass = skylog.LogDBHandler\nargs = ('{quoted}',)\n"))
}

const COLLECTOR: &str =
    "create schema log; create table log.lines (id serial, level text, job text, message text);
    create function log.add(text, text, text) returns void language sql
    as $$ insert into log.lines (level, job, message) values ($1, $2, $3) $$";

#[test]
fn a_database_collects_records_and_sums() {
    let database = Database::fresh("logs");
    let mut session = database.connect();
    session.exec(COLLECTOR);
    let workplace = Workplace::new();
    let log = log_database(&workplace, &conninfo(&database));
    with(&log, || {
        debug!("not for the database");
        info!("{{count: 5, duration: 0.0312}}");
        warn!("first line\nsecond line");
        info!("{{count: 7, duration: 0.5}}");
    });
    let mut told = || {
        session.column::<String>("select concat_ws(' ', level, job, message) from log.lines order by id", &[])
    };
    wait_until("the warning", || !told().is_empty());
    drop(log);
    assert_eq!(told(), ["WARNING copier first line", "INFO copier {count: 12, duration: 0.5312}"]);
}

#[test]
fn a_database_that_was_away_is_found_again() {
    let database = Database::fresh("logs");
    let mut session = database.connect();
    session.exec(COLLECTOR);
    let workplace = Workplace::new();
    let log = log_database(&workplace, &conninfo(&database));
    let mut has = |message: &str| {
        session.one::<bool>("select exists (select from log.lines where message = $1)", &[&message])
    };
    with(&log, || info!("one"));
    wait_until("the first record", || has("one"));
    let mut killer = database.connect();
    killer.exec(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity
         where query like '%log.add%' and pid <> pg_backend_pid() and datname = current_database()",
    );
    with(&log, || info!("two"));
    wait_until("the second record", || has("two"));
}

#[test]
fn a_database_that_does_not_answer_holds_nobody_up() {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let workplace = Workplace::new();
    let log =
        log_database(&workplace, &format!("host=127.0.0.1 port={port} user=x password=secret dbname=x"));
    let began = Instant::now();
    with(&log, || (0..10_000).for_each(|number| info!("line {number}")));
    drop(log);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// The INI file of a program that fails in every round, which it logs.
fn failing(workplace: &Workplace, keys: &str) {
    let nowhere = text(workplace.folder());
    workplace.write(
        "copier.ini",
        &format!(
            "[simple_consumer]\nsrc_db = host={nowhere} dbname=x\ndst_db = host={nowhere} dbname=x\nqueue_name = orders\n\
             dst_query = select 1\nexception_sleep = 0.02\n{keys}\n"
        ),
    );
}

#[test]
fn a_program_logs_to_standard_error_and_to_its_file() {
    let workplace = Workplace::new();
    failing(&workplace, "logfile = ~/%(job_name)s.log\nlogfmt_console = on %%(hostname)s: %%(message)s");
    let copier = workplace.start("copier", env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    copier.wait_for(&format!("on {host}: Job copier crashed: "));
    let line = format!(" {} ERROR Job copier crashed: ", copier.pid());
    wait_until("the file to tell it", || workplace.read("copier.log").contains(&line));
}

#[test]
fn a_program_without_its_skylog_ini_ends() {
    let workplace = Workplace::new();
    failing(&workplace, "use_skylog = 1");
    let ended = workplace.run(env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    assert_eq!(ended.status.code(), Some(1));
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(
        told.contains("use_skylog is set, but there is no skylog.ini: looked for skylog.ini, "),
        "{told}"
    );
}

#[test]
fn why_a_program_ends_is_told_on_standard_error_too() {
    let workplace = Workplace::new();
    failing(&workplace, "log_handlers = file\nlogfile = copier.log");
    let program = env!("CARGO_BIN_EXE_simple_consumer");
    let ended = workplace.run(program, &["copier.ini", "--set", "queue_name="]);
    assert_eq!(ended.status.code(), Some(1));
    let told = "config parameter not set: queue_name\n";
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), told);
    assert!(workplace.read("copier.log").ends_with(told));
}

#[test]
fn standard_error_hears_of_a_failing_handler_once_in_a_while() {
    let workplace = Workplace::new();
    failing(&workplace, "log_handlers = syslog:/nonexistent, json:log.json");
    let copier = workplace.start("copier", env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    let complaint = "copier: log syslog: send to /nonexistent: ";
    copier.wait_for(complaint);
    wait_until("many records", || workplace.read("log.json").lines().count() > 20);
    assert_eq!(copier.said().matches(complaint).count(), 1, "{}", copier.said());
}
