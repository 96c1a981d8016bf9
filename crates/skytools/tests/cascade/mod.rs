//! Cascades of real databases, with workers and consumers of the library in threads of the test.
//!
//! A node is named as its label, its worker `NODE_worker`, the queue `q`. What a handler gets it writes into the node's
//! table `applied`, which refuses nothing: what comes twice is there twice.

mod collecting;
mod consumer;
mod crashes;
mod example;
mod killed;
mod meanwhile;
mod merging;
mod stage;
mod watermarks;
mod worker;
