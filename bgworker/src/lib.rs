//! The ticker.
