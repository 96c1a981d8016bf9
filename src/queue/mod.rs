//! Queue: event tables that are written in turn, their making, settings and upkeep.

mod cascade;
mod config;
mod create;
mod drop;
pub mod family;
mod family_lock;
pub mod maintenance;
mod objects;
mod privileges;
mod rebase;
pub mod rotation;
mod sequences;
pub mod storage;
mod upgrade;

pub use cascade::{cascaded_queues, node_served_by};
pub use config::set_queue_config;
pub use create::create_queue;
pub use drop::drop_queue;
pub use family_lock::lock_name;
pub use maintenance::maint_operations;
pub use privileges::{grant_perms, grant_perms_from};
pub use rebase::rebase_queue;
pub use rotation::{maint_rotate_tables_step1, maint_rotate_tables_step2};
pub use sequences::{seq_getval, seq_setval, sequence_last_value};
pub use storage::tune_storage;
pub use upgrade::upgrade_schema;
