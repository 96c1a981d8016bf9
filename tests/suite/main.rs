//! The client suite.
