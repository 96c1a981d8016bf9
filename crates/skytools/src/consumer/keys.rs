//! The keys of consumers.

use crate::script::{Key, Kind};

/// Those of every consumer.
pub const CONSUMER_KEYS: &[Key] = &[
    Key::required("queue_name", Kind::Text, "The queue to read.")
        .aliases(&["pgq_queue_name"])
        .sample("orders"),
    Key::with_default(
        "consumer_name",
        Kind::Text,
        "%(job_name)s",
        "The name under which the queue knows this consumer.",
    )
    .aliases(&["pgq_consumer_id"]),
    Key::with_default(
        "auto_register",
        Kind::Flag,
        "0",
        "Register the consumer at the start if it is not registered, as programs of SkyTools 2.1 did.",
    ),
    Key::with_default(
        "pgq_lazy_fetch",
        Kind::Integer,
        "300",
        "How many events to read at a time; 0 reads a batch at once.",
    ),
    Key::with_default(
        "pgq_autocommit",
        Kind::Flag,
        "0",
        "Let each statement in the queue's database be a transaction. Needs pgq_lazy_fetch = 0.",
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
    Key::optional(
        "table_filter",
        Kind::List,
        "Take only events of these tables; without a schema: of public. All events when not set.",
    ),
    Key::with_default(
        "keepalive_stats",
        Kind::Float,
        "300",
        "Write a line of statistics after so many seconds without events; 0: never.",
    ),
    Key::with_default(
        "strict_tags",
        Kind::Flag,
        "0",
        "Refuse events of which the handler does not say that they are done.",
    ),
];

/// Those of consumers whose events can come again, or be parked.
pub const FAILED_EVENT_KEYS: &[Key] = &[
    Key::with_default(
        "event_policy",
        Kind::OneOf(&["block", "retry", "park"]),
        "block",
        "What to do when an event cannot be handled. block: try the whole batch again, until it succeeds. \
         retry: let the event come again, retry_limit times, then park it. \
         park: put it aside, with the cause, among the dead letters.",
    ),
    Key::with_default(
        "retry_delay",
        Kind::Float,
        "60",
        "Seconds until an event first comes again; twice as many each time.",
    ),
    Key::with_default("retry_delay_max", Kind::Float, "3600", "The most seconds until an event comes again."),
    Key::with_default(
        "retry_limit",
        Kind::Integer,
        "10",
        "How often an event comes again before it is parked; 0: without end.",
    ),
    Key::with_default(
        "event_savepoint",
        Kind::Flag,
        "0",
        "Take back what a handler has written for an event that it wants to see again or to have parked. \
         Always so when event_policy is not block.",
    ),
];
