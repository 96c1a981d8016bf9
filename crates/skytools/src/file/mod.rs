//! Files that are whole or not there.

mod atomic;
mod gzip;

pub use atomic::write_atomically;
pub use gzip::append_gzip;
