//! Tick: a snapshot of a queue is stored, and ends a batch.

mod channel;
mod due;
mod external;
mod force;
mod queue;
mod take;
mod ticker;

pub use channel::queue_channel;
pub use due::{due_queues, tick_queue, tick_wanted};
pub use external::ticker_external;
pub use force::force_tick;
pub use take::take_first;
pub use ticker::{ticker, ticker_all};
