//! Numbers of bytes as people write them.

use crate::{Error, Result};

/// Reads `12`, `3K`, `4 MB`: each of K, M, G, T, P, E, Z, Y is 1024 times the one before it, in either case and with
/// or without B. It is an error if it is anything else, or 16 E and more.
pub fn parse(text: &str) -> Result<u64> {
    bytes(text).ok_or_else(|| Error::usage(format!("not a number of bytes: {text}")))
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_uppercase();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let power = match unit.strip_suffix('B').unwrap_or(unit) {
        "" => 0,
        unit => 1 + ["K", "M", "G", "T", "P", "E", "Z", "Y"].iter().position(|known| *known == unit)?,
    };
    let factor = 1024_u128.pow(u32::try_from(power).ok()?);
    u64::try_from(u128::from(number.parse::<u64>().ok()?).checked_mul(factor)?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::parse;

    #[test]
    fn the_sizes_of_the_specification() {
        let rows = [
            ("12", 12),
            ("3K", 3 << 10),
            ("4 MB", 4 << 20),
            ("1gb", 1 << 30),
            ("2t", 2 << 40),
            ("1P", 1 << 50),
            ("15E", 15 << 60),
            ("7 B", 7),
            (" 0Y ", 0),
        ];
        for (text, bytes) in rows {
            assert_eq!(parse(text).unwrap(), bytes);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "K", "1X", "1 K B", "1KiB", "-1", "1.5K", "16E", "1Z", "1 2"] {
            assert_eq!(parse(text).unwrap_err().to_string(), format!("not a number of bytes: {text}"));
        }
    }
}
