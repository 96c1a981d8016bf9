//! What stands between a queue and a handler.

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::Result;
use crate::consumer::Event;

/// Sees the events of a batch first. See the module.
pub trait Sieve: Debug + Send {
    /// Takes notice of an event. Each comes once, also those that the handler does not ask for.
    fn take<'a>(&'a mut self, event: &'a Event) -> BoxFuture<'a, Result<()>>;

    /// Whether the handler gets it.
    fn lets_through(&self, event: &Event) -> bool;

    /// After the last event, and before the position is stored.
    fn end(&mut self) -> BoxFuture<'_, Result<()>>;
}
