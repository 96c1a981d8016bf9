//! The keys that every program has.

use crate::script::{Key, KeyGroup, Kind};

/// See the module.
pub const COMMON_KEYS: KeyGroup = KeyGroup {
    title: "Common to all programs",
    keys: &[
        Key::optional(
            "job_name",
            Kind::Text,
            "Unique name of this job: in the log, and as the default name of a consumer. When not set, it is the name \
             of the INI file without folder and extension.",
        ),
        Key::optional(
            "pidfile",
            Kind::File,
            "Where the number of the running process is kept. It is a lock, too: a job runs once. Needed for -d, -r, \
             -s and -k.",
        )
        .sample("~/pid/%(job_name)s.pid"),
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
            "loop_delay",
            Kind::Float,
            "1.0",
            "Seconds to sleep when there is nothing to do. 0: end then; below 0: end after one round.",
        ),
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
            "Form of a line on the terminal when its level is below INFO; when not set, as the others.",
        ),
        Key::optional("logfmt_file_verbose", Kind::Text, "The same in the log file."),
        Key::optional(
            "logdatefmt_console_verbose",
            Kind::Text,
            "Form of the time on the terminal when the level is below INFO; when not set, as for the others.",
        ),
        Key::optional("logdatefmt_file_verbose", Kind::Text, "The same in the log file."),
        Key::with_default("exception_sleep", Kind::Float, "20", "Seconds to sleep after a round has failed."),
        Key::optional(
            "exception_sleep_max",
            Kind::Float,
            "When set, each further failure in a row doubles exception_sleep, up to so many seconds.",
        ),
        Key::optional(
            "exception_quiet",
            Kind::List,
            "Kinds of errors that are logged as warnings at first: names such as OperationalError, classes of \
             SQLSTATE such as 08, or ALL.",
        ),
        Key::with_default(
            "exception_grace",
            Kind::Float,
            "300",
            "Seconds after the first failure during which exception_quiet holds.",
        ),
        Key::with_default(
            "exception_reset",
            Kind::Float,
            "900",
            "A success so many seconds after the first failure forgets it.",
        ),
        Key::with_default(
            "connection_lifetime",
            Kind::Float,
            "1200",
            "Seconds after which a connection is closed between two rounds, and opened anew; 0: never.",
        ),
        Key::optional(
            "remote_extra_connstr",
            Kind::Connection,
            "Appended to the connect strings of other nodes of a cascade: a user, an sslmode.",
        )
        .sample("user=replicator sslmode=verify-full"),
    ],
};

const LINE: &str = "%%(asctime)s %%(process)s %%(levelname)s %%(message)s";
