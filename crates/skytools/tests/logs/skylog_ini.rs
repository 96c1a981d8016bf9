//! What a skylog.ini says.

use skytools::script::Verbosity;
use tracing::{debug, error, info, trace};

use super::{lines, open, text, try_open, try_skylog, with};
use crate::kit::Workplace;

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
