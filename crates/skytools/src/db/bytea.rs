//! Bytes as the text of a bytea, which is then quoted as any other text.

use std::fmt::Write;

/// In the format that every server reads: a backslash is doubled, and what is no printable ASCII is `\ooo`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "\\{byte:03o}").expect("a string takes everything"),
        }
    }
    text
}

/// In the format of servers since 9.0, which is shorter for what is no text: `\x00ff`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    bytes.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string takes everything"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_written() {
        assert_eq!(escape(b"a \\ ~\0\x1f\x7f\xff'"), r"a \\ ~\000\037\177\377'");
        assert_eq!(hex(b"\0a\xff"), r"\x0061ff");
    }
}
