//! Capture: a producer's transaction appends rows to the queue's current event table.

mod attach;
mod bulk;
mod insert_event;
mod trigger;
mod writer;

pub use attach::{capture, trigger_arguments, uncapture};
pub use bulk::insert_events;
pub use insert_event::{current_event_table, insert_event, insert_event_raw};
pub use trigger::{jsontriga, logtriga, logutriga, sqltriga};
