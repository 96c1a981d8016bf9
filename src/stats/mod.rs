//! Statistics: the ticker's process writes down what it does, views and the log tell it.

mod functions;
mod record;

pub use crate::pg::stats::take_counts;
pub use functions::{idle_until, reset, reset_queue, stat_queues, stat_tickers};
pub use record::{
    begin, databases, end, failed, forget_database, is_shown, keep, left_alone, looked, operated, planned,
    retried, rotated, saw, still_rests, ticked,
};
