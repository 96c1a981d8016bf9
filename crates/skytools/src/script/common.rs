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
        Key::with_default(
            "loop_delay",
            Kind::Float,
            "1.0",
            "Seconds to sleep when there is nothing to do. 0: end then; below 0: end after one round.",
        ),
        Key::optional(
            "metrics_listen",
            Kind::Address,
            "Where Prometheus may ask for the figures of the job, at /metrics: PORT of this machine, for this machine \
             alone, or HOST:PORT. There is no password, so think before you name an address that others reach.",
        )
        .sample("9187"),
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
