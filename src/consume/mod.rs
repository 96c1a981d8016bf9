//! Consume: a consumer's position moves from tick to tick, batch by batch.

mod finish;
mod keep_commit;
mod next_batch;
mod register;
mod retry;
mod retry_due;
mod unregister;
mod window;

pub use finish::finish_batch;
pub use keep_commit::keep_commit;
pub use next_batch::next_batch_custom;
pub use register::register_consumer_at;
pub use retry::{batch_retry, event_retry_at, event_retry_in, event_retry_raw};
pub use retry_due::maint_retry_events;
pub use unregister::unregister_consumer;
pub use window::find_tick_helper;

/// Whether the subscription `s` is that of a cooperating sub-consumer: it shares the `sub_id` of a consumer whose
/// name, with a dot behind it, begins its own. The state of the row does not tell: a main consumer with an open
/// batch looks like a sub-consumer with one.
macro_rules! is_subconsumer {
    () => {
        "EXISTS (
            SELECT FROM pgq.subscription main
              JOIN pgq.consumer main_name ON main_name.co_id = main.sub_consumer
              JOIN pgq.consumer own_name ON own_name.co_id = s.sub_consumer
             WHERE main.sub_queue = s.sub_queue AND main.sub_id = s.sub_id AND main.sub_consumer <> s.sub_consumer
               AND pg_catalog.starts_with(own_name.co_name, main_name.co_name || '.'))"
    };
}
use is_subconsumer;
