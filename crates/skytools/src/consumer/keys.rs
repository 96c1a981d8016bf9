//! The keys of every consumer.

use crate::script::{Key, Kind};

/// See the module.
pub const CONSUMER_KEYS: &[Key] = &[
    Key::required("queue_name", Kind::Text, "The queue to read.").aliases(&["pgq_queue_name"]),
    Key::with_default(
        "consumer_name",
        Kind::Text,
        "%(job_name)s",
        "The name under which the queue knows this consumer.",
    )
    .aliases(&["pgq_consumer_id"]),
    Key::with_default(
        "pgq_lazy_fetch",
        Kind::Integer,
        "300",
        "How many events to read at a time; 0 reads a batch at once.",
    ),
    Key::with_default(
        "pgq_batch_collect_events",
        Kind::Integer,
        "0",
        "Let batches span so many ticks that they have about this many events.",
    ),
    Key::optional(
        "pgq_batch_collect_interval",
        Kind::Interval,
        "Let batches span so many ticks that they cover this time.",
    ),
    Key::optional("pgq_keep_lag", Kind::Interval, "Take only batches whose end is at least this old."),
];
