//! Lines: their form, and which are written.

use skytools::script::Verbosity;
use tracing::{debug, error, info, trace, warn};

use super::{file, lines, open, text, try_file, with};
use crate::kit::Workplace;

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
