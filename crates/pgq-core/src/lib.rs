//! The rules of PgQ.
