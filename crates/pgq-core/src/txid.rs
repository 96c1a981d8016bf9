//! Transaction ids that never wrap.
//!
//! PostgreSQL stamps rows with 32-bit ids that start over every four billion transactions. Queues outlive
//! that, so PgQ has always worked with the 64-bit form: the upper half counts the wrap-arounds (the *epoch*).
//! `ev_txid` and the switch columns of `pgq.queue` store it as bigint.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A 64-bit transaction id: epoch and 32-bit id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Txid(u64);

/// Why something is not a transaction id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TxidError {
    /// A bigint column held a negative number.
    #[error("transaction id {0} is negative")]
    Negative(i64),
    /// The text is not a decimal number of 64 bits.
    #[error("transaction id is not a decimal number of 64 bits")]
    NotDecimal,
}

impl Txid {
    /// The first id that a transaction can have; the ids below it are reserved by the server.
    pub const FIRST_NORMAL: Txid = Txid(3);

    /// The id with this 64-bit value, the server's `FullTransactionId`.
    pub const fn new(value: u64) -> Txid {
        Txid(value)
    }

    /// Puts the id together from its two halves.
    pub const fn from_parts(epoch: u32, xid: u32) -> Txid {
        Txid((epoch as u64) << 32 | xid as u64)
    }

    /// Reads the bigint form, which `txid_current()` returns and `ev_txid` stores.
    pub const fn from_i64(bigint: i64) -> Result<Txid, TxidError> {
        if bigint < 0 { Err(TxidError::Negative(bigint)) } else { Ok(Txid(bigint as u64)) }
    }

    /// The bigint form. It ends at 2^63 - 1, which a million transactions a second reach in 292 thousand
    /// years; an id above it, which no server can hand out, is held there.
    pub const fn to_i64(self) -> i64 {
        if self.0 > i64::MAX as u64 { i64::MAX } else { self.0 as i64 }
    }

    /// The 64-bit value.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// How often the 32-bit ids had started over.
    pub const fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The 32-bit id, as in `xmin` of a row.
    pub const fn xid32(self) -> u32 {
        self.0 as u32
    }

    /// Whether a transaction can have this id. Every epoch skips its first three.
    pub const fn is_normal(self) -> bool {
        self.xid32() >= Txid::FIRST_NORMAL.xid32()
    }

    /// Gives a 32-bit id the epoch which makes it the newest id not above `next`.
    ///
    /// `next` is the next id to be assigned. Every id found in the server's memory was assigned before it and
    /// less than one turn ago, so it has the epoch of `next`, or the one before when it is the higher number.
    /// Reserved ids belong to no epoch and keep their value; and nothing lies before the first epoch, so an
    /// id is never moved below it.
    pub const fn widen(xid32: u32, next: Txid) -> Txid {
        if xid32 < Txid::FIRST_NORMAL.xid32() {
            return Txid(xid32 as u64);
        }
        let epoch = if xid32 <= next.xid32() { next.epoch() } else { next.epoch().saturating_sub(1) };
        Txid::from_parts(epoch, xid32)
    }
}

impl fmt::Display for Txid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Txid {
    type Err = TxidError;

    fn from_str(text: &str) -> Result<Txid, TxidError> {
        // u64's own parser would let a plus sign pass.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TxidError::NotDecimal);
        }
        text.parse().map(Txid).map_err(|_| TxidError::NotDecimal)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_of_an_id() {
        let txid = Txid::from_parts(2, 7);
        assert_eq!(txid, Txid::new(2 * (1 << 32) + 7));
        assert_eq!((txid.epoch(), txid.xid32()), (2, 7));
    }

    #[test]
    fn each_epoch_has_reserved_ids() {
        assert!(!Txid::new(0).is_normal());
        assert!(!Txid::from_parts(1, 2).is_normal());
        assert!(Txid::FIRST_NORMAL.is_normal());
        assert!(Txid::from_parts(1, 3).is_normal());
    }

    #[test]
    fn negative_bigints_are_refused() {
        assert_eq!(Txid::from_i64(-1), Err(TxidError::Negative(-1)));
        assert_eq!(Txid::from_i64(0), Ok(Txid::new(0)));
        assert_eq!(Txid::new(u64::MAX).to_i64(), i64::MAX);
    }

    #[test]
    fn only_plain_decimal_is_an_id() {
        for text in ["", "+1", "-1", " 1", "1 ", "0x1", "18446744073709551616"] {
            assert_eq!(text.parse::<Txid>(), Err(TxidError::NotDecimal), "{text:?}");
        }
    }

    #[test]
    fn widening_looks_back_at_most_one_turn() {
        let next = Txid::from_parts(5, 100);
        assert_eq!(Txid::widen(99, next), Txid::from_parts(5, 99));
        assert_eq!(Txid::widen(100, next), next);
        assert_eq!(Txid::widen(101, next), Txid::from_parts(4, 101));
        assert_eq!(Txid::widen(u32::MAX, next), Txid::from_parts(4, u32::MAX));
    }

    #[test]
    fn widening_leaves_reserved_ids_and_the_first_epoch_alone() {
        assert_eq!(Txid::widen(2, Txid::from_parts(5, 100)), Txid::new(2));
        assert_eq!(Txid::widen(101, Txid::new(100)), Txid::new(101));
    }

    proptest! {
        #[test]
        fn what_is_printed_can_be_read(value: u64) {
            let txid = Txid::new(value);
            prop_assert_eq!(txid.to_string().parse(), Ok(txid));
            prop_assert_eq!(Txid::from_parts(txid.epoch(), txid.xid32()), txid);
        }

        #[test]
        fn bigint_and_back(value in 0..=i64::MAX) {
            prop_assert_eq!(Txid::from_i64(value).map(Txid::to_i64), Ok(value));
        }

        #[test]
        fn widening_finds_the_id_again(next in 1u64 << 33..1 << 62, age in 0u64..1 << 32) {
            let txid = Txid::new(next - age);
            prop_assume!(txid.is_normal());
            prop_assert_eq!(Txid::widen(txid.xid32(), Txid::new(next)), txid);
        }
    }
}
