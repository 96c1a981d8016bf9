//! Small things that names, values and tables need.

mod dedent;
mod hashtext;
pub mod json;
mod natural;
pub mod size;
pub mod table;
pub mod timestamp;
mod utf8;

pub use dedent::dedent;
pub use hashtext::{hashtext, hashtext_until_8_3};
pub use natural::Natural;
pub use utf8::{Decoded, decode_utf8};
