//! Bytes of which somebody says that they are UTF-8.

/// A text, and whether it is what the bytes said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The text.
    pub text: String,
    /// Whether nothing had to be replaced.
    pub is_valid: bool,
}

/// Reads what it can: a text that PostgreSQL can store. Each byte that is bad, or NUL, becomes U+FFFD; the two halves of
/// a surrogate pair, as programs with UTF-16 inside write them, become their character.
#[must_use]
pub fn decode_utf8(bytes: &[u8]) -> Decoded {
    let mut decoded = Decoded { text: String::with_capacity(bytes.len()), is_valid: true };
    let mut rest = bytes;
    loop {
        let good = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).expect("valid up to there"),
        };
        decoded.is_valid &= !good.contains('\0');
        decoded.text.push_str(&good.replace('\0', "\u{fffd}"));
        rest = &rest[good.len()..];
        if rest.is_empty() {
            return decoded;
        }
        if let Some(character) = surrogate_pair(rest) {
            decoded.text.push(character);
            rest = &rest[6..];
        } else {
            decoded.text.push(char::REPLACEMENT_CHARACTER);
            decoded.is_valid = false;
            rest = &rest[1..];
        }
    }
}

fn surrogate_pair(bytes: &[u8]) -> Option<char> {
    let half = |bytes: &[u8]| match bytes {
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf] => {
            Some(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f))
        }
        _ => None,
    };
    let halves = [half(bytes.get(..3)?)?, half(bytes.get(3..6)?)?];
    char::decode_utf16(halves).next()?.ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8]) -> (String, bool) {
        let decoded = decode_utf8(bytes);
        (decoded.text, decoded.is_valid)
    }

    #[test]
    fn good_bytes_are_the_text() {
        assert_eq!(decoded("aõ😀".as_bytes()), ("aõ😀".into(), true));
        assert_eq!(decoded(b""), (String::new(), true));
    }

    #[test]
    fn bad_bytes_are_replaced_one_by_one() {
        assert_eq!(decoded(b"a\xffb\xc3"), ("a\u{fffd}b\u{fffd}".into(), false));
        assert_eq!(decoded(b"\xe2\x82x"), ("\u{fffd}\u{fffd}x".into(), false));
        assert_eq!(decoded(b"a\0b"), ("a\u{fffd}b".into(), false));
    }

    #[test]
    fn surrogate_pairs_are_joined_and_halves_are_bad() {
        assert_eq!(decoded(b"X\xed\xa0\x80\xed\xb0\x89Z"), ("X\u{10009}Z".into(), true));
        assert_eq!(decoded(b"X\xed\xa0\x80Z"), ("X\u{fffd}\u{fffd}\u{fffd}Z".into(), false));
        assert_eq!(decoded(b"\xed\xb0\x89\xed\xa0\x80"), ("\u{fffd}".repeat(6), false));
    }

    proptest! {
        #[test]
        fn a_text_stays_itself(text in "[^\0]*") {
            prop_assert_eq!(decoded(text.as_bytes()), (text, true));
        }

        #[test]
        fn only_utf8_and_pairs_are_valid(bytes: Vec<u8>) {
            let (text, is_valid) = decoded(&bytes);
            prop_assert!(!text.contains('\0'));
            prop_assert!(is_valid || text.contains(char::REPLACEMENT_CHARACTER));
        }
    }
}
