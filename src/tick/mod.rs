//! Tick: a snapshot of a queue is stored, and ends a batch.

mod channel;
mod external;
mod final_tick;
mod force;
mod queue;
mod rest;
mod rounds;
mod take;
mod thin;
mod ticker;

pub use channel::queue_channel;
pub use external::ticker_external;
pub use final_tick::final_tick;
pub use force::force_tick;
pub use queue::Queue;
pub use rest::Resting;
pub use rounds::{PATIENCE_MS, tick_due, tick_for_rotation, tick_wanted};
pub use take::{Taken, take_first};
pub use thin::Thinning;
pub use ticker::{ticker, ticker_all};
