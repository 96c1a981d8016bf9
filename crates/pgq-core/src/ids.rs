//! Ids that must not be mixed up.
//!
//! All of them are numbers in the tables of schema `pgq`, and several meet in one function: a batch of a
//! subscription of a queue lies between two ticks. The compiler keeps them apart.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($number:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($number);

        impl $name {
            /// The number as the tables store it.
            pub const fn get(self) -> $number {
                self.0
            }
        }

        impl From<$number> for $name {
            fn from(number: $number) -> Self {
                Self(number)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// `pgq.queue.queue_id`.
    QueueId(i32)
}

id! {
    /// `pgq.tick.tick_id`: counted per queue, later ticks have higher ids.
    TickId(i64)
}

id! {
    /// `pgq.subscription.sub_batch`: one sequence serves all queues of the database.
    BatchId(i64)
}

id! {
    /// `pgq.subscription.sub_id`, which is also the `ev_owner` of retried events. Cooperative consumers share
    /// one.
    SubscriptionId(i32)
}
