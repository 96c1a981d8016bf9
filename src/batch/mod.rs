//! Batch: which rows lie between two ticks, and how they are handed out.

mod cursor;
mod description;
mod events;
mod news;
mod sql;

pub use cursor::get_batch_cursor;
pub use description::Batch;
pub use events::{batch_events, get_batch_events};
pub use news::News;
pub use sql::{batch_event_sql, batch_event_tables};
