//! The keys that say what is logged where.

use crate::script::{Key, Kind};

/// See the module.
pub const LOG_KEYS: &[Key] = &[
    Key::optional("logfile", Kind::File, "Where to log, besides the terminal.")
        .sample("~/log/%(job_name)s.log"),
    Key::with_default(
        "log_size",
        Kind::Bytes,
        "10485760",
        "How large the log may become before a new one is begun.",
    ),
    Key::with_default("log_count", Kind::Integer, "3", "How many old logs to keep: FILE.1 and so on."),
    Key::with_default(
        "use_skylog",
        Kind::Integer,
        "0",
        "Whether skylog.ini says where to log. 0: no; 1: yes, except in the foreground on a terminal; 2: always.",
    ),
    Key::with_default(
        "skylog_locations",
        Kind::List,
        "skylog.ini, ~/.skylog.ini, /etc/skylog.ini",
        "Where skylog.ini may be; the first one that exists is read.",
    ),
    Key::optional(
        "log_handlers",
        Kind::List,
        "Log to these and nowhere else, whatever use_skylog says: console, file (the logfile), syslog[:PATH or \
         :HOST:PORT], journald[:PATH], json[:PATH] (lines of JSON; on standard error without a path).",
    )
    .sample("file, journald"),
    Key::with_default(
        "logfmt_console",
        Kind::Text,
        LINE,
        "Form of a line on the terminal. In it, %%(asctime)s, %%(process)s, %%(levelname)s, %%(name)s and \
         %%(message)s stand for what they say.",
    ),
    Key::with_default("logfmt_file", Kind::Text, LINE, "Form of a line in the log file."),
    Key::optional(
        "logdatefmt_console",
        Kind::Text,
        "Form of the time on the terminal, as strftime has it. When not set: 2024-03-09 12:30:01,123.",
    ),
    Key::optional("logdatefmt_file", Kind::Text, "Form of the time in the log file."),
    Key::optional(
        "logfmt_console_verbose",
        Kind::Text,
        "Form of a line on the terminal with -v; when not set, as without.",
    ),
    Key::optional("logfmt_file_verbose", Kind::Text, "The same in the log file."),
    Key::optional(
        "logdatefmt_console_verbose",
        Kind::Text,
        "Form of the time on the terminal with -v; when not set, as without.",
    ),
    Key::optional("logdatefmt_file_verbose", Kind::Text, "The same in the log file."),
];

const LINE: &str = "%%(asctime)s %%(process)s %%(levelname)s %%(message)s";
