//! `kvvi`: how PgQ 2.1's logtriga is told what a table's columns are, a letter for each in their order.

use thiserror::Error;

/// What a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// `k`: a part of the key.
    Key,
    /// `v`: written into events.
    Value,
    /// `i`: left out of events. So are the columns without a letter.
    Ignore,
}

/// Why letters do not fit a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadKey {
    /// Updates and deletes would not know their row.
    #[error("no column is marked as key")]
    Missing,
    /// The letters are those of a table with more columns.
    #[error("column {position} is marked as key, but the table has {columns} columns")]
    BeyondColumns {
        /// Which letter it is, counted from one.
        position: usize,
        /// How many columns there are.
        columns: usize,
    },
}

/// Reads the letters; `None` if one of them is another.
pub fn parse(types: &[u8]) -> Option<Vec<Letter>> {
    types
        .iter()
        .map(|letter| match letter {
            b'k' => Some(Letter::Key),
            b'v' => Some(Letter::Value),
            b'i' => Some(Letter::Ignore),
            _ => None,
        })
        .collect()
}

/// Whether the letters tell the key of a table with that many columns.
pub fn check_key(letters: &[Letter], columns: usize) -> Result<(), BadKey> {
    match letters.iter().rposition(|&letter| letter == Letter::Key) {
        None => Err(BadKey::Missing),
        Some(last) if last >= columns => Err(BadKey::BeyondColumns { position: last + 1, columns }),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_letters_and_no_other() {
        assert_eq!(parse(b"kvi"), Some(vec![Letter::Key, Letter::Value, Letter::Ignore]));
        assert_eq!(parse(b""), Some(vec![]));
        for types in [&b"K"[..], b"k v", b"kx"] {
            assert_eq!(parse(types), None);
        }
    }

    #[test]
    fn the_key_is_within_the_columns() {
        let check = |types, columns| check_key(&parse(types).expect("letters"), columns);
        assert_eq!(check(b"vkvvv", 2), Ok(()));
        assert_eq!(check(b"k", 9), Ok(()));
        assert_eq!(check(b"vvi", 3), Err(BadKey::Missing));
        assert_eq!(check(b"", 3), Err(BadKey::Missing));
        assert_eq!(check(b"kvkv", 2), Err(BadKey::BeyondColumns { position: 3, columns: 2 }));
    }
}
