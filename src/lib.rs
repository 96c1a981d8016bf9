//! PgQ.
::pgrx::pg_module_magic!(name = c"pgq", version = c"4.0.0");
