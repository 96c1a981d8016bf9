//! What stands behind a backslash, in `E'…'` as in COPY. (In `E'…'` servers as old as 15 read `\v` as a letter.)

/// The byte that is meant, and how many bytes mean it; `None` at the end of the text. Letters that mean nothing mean
/// themselves.
pub(super) fn escaped(behind: &[u8]) -> Option<(u8, usize)> {
    let digits = |from: usize, most: usize, base: u32| {
        let digits = behind[from..].iter().take(most).map_while(|byte| char::from(*byte).to_digit(base));
        digits.fold((0, from), |(value, length), digit| (value * base + digit, length + 1))
    };
    let (value, length) = match behind.first()? {
        b'b' => (0x08, 1),
        b'f' => (0x0c, 1),
        b'n' => (u32::from(b'\n'), 1),
        b'r' => (u32::from(b'\r'), 1),
        b't' => (u32::from(b'\t'), 1),
        b'v' => (0x0b, 1),
        b'0'..=b'7' => digits(0, 3, 8),
        b'x' if behind.get(1).is_some_and(u8::is_ascii_hexdigit) => digits(1, 2, 16),
        byte => (u32::from(*byte), 1),
    };
    Some(((value & 0xff) as u8, length))
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn numbers_end_where_they_should() {
        assert_eq!(escaped(b"1018"), Some((b'A', 3)));
        assert_eq!(escaped(b"7"), Some((7, 1)));
        assert_eq!(escaped(b"8"), Some((b'8', 1)));
        assert_eq!(escaped(b"777"), Some((0xff, 3)));
        assert_eq!(escaped(b"x414"), Some((b'A', 3)));
        assert_eq!(escaped(b"xg"), Some((b'x', 1)));
        assert_eq!(escaped(b""), None);
    }
}
