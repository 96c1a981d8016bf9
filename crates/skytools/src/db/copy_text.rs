//! Values in the text format of COPY.

use super::backslash::escaped;
use crate::{Error, Result};

/// Appends a value; `None` is NULL.
pub fn write(out: &mut String, value: Option<&str>) {
    let Some(value) = value else { return out.push_str("\\N") };
    let mut rest = value;
    while let Some(run) = rest.find(['\\', '\t', '\n', '\r']) {
        out.push_str(&rest[..run]);
        out.push_str(match rest.as_bytes()[run] {
            b'\t' => "\\t",
            b'\n' => "\\n",
            b'\r' => "\\r",
            _ => "\\\\",
        });
        rest = &rest[run + 1..];
    }
    out.push_str(rest);
}

/// Reads a value; `None` is NULL. A backslash at the end is an error, and so are bytes that are not UTF-8.
///
/// As the server reads it, but that `\a` is the bell.
pub fn read(text: &str) -> Result<Option<String>> {
    if text == "\\N" {
        return Ok(None);
    }
    let mut value = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(run) = rest.iter().position(|byte| *byte == b'\\') {
        value.extend_from_slice(&rest[..run]);
        let behind = &rest[run + 1..];
        let (byte, length) = match behind.first() {
            Some(b'a') => (0x07, 1),
            _ => escaped(behind).ok_or_else(|| Error::bad("COPY value ends with a backslash"))?,
        };
        value.push(byte);
        rest = &behind[length..];
    }
    value.extend_from_slice(rest);
    String::from_utf8(value).map(Some).map_err(|_| Error::bad("COPY value is not UTF-8"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn written(value: Option<&str>) -> String {
        let mut out = String::new();
        write(&mut out, value);
        out
    }

    #[test]
    fn values_are_written() {
        assert_eq!(written(None), "\\N");
        assert_eq!(written(Some("a\tb\nc\rd\\e")), r"a\tb\nc\rd\\e");
        assert_eq!(written(Some("\\N")), r"\\N");
        assert_eq!(written(Some("")), "");
    }

    #[test]
    fn values_are_read() {
        let rows = [
            (r"\a\b\n\r\t\f\v", "\x07\x08\n\r\t\x0c\x0b"),
            (r"\101\7\60z\x41\x4g\q\\", "A\x070zA\x04gq\\"),
            (r"\303\265", "õ"),
            (r"\N ", "N "),
            (r"\\N", "\\N"),
        ];
        for (text, value) in rows {
            assert_eq!(read(text).unwrap().unwrap(), value);
        }
        assert_eq!(read("\\N").unwrap(), None);
        assert_eq!(read("a\\").unwrap_err().to_string(), "COPY value ends with a backslash");
        assert_eq!(read(r"\377").unwrap_err().to_string(), "COPY value is not UTF-8");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: Option<String>) {
            let text = written(value.as_deref());
            prop_assert!(!text.contains(['\t', '\n', '\r']));
            prop_assert_eq!(read(&text).unwrap(), value);
        }
    }
}
