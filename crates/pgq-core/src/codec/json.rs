//! `{"id":1,"name":"Jane Doe","note":null}`: the rows of jsontriga, and its event types.

use super::{Special, escape_into, hex};
use crate::change::Operation;

/// Control characters, the quote and the backslash.
const SPECIAL: Special = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 32 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

/// Appends a text as a JSON string, with its quotes.
#[inline]
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    escape_into(out, bytes, &SPECIAL, |out, byte| {
        let letter = match byte {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            b'"' | b'\\' => byte,
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex(byte));
                return;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    });
    out.push(b'"');
}

/// The type of an event: what happened to which table, and the names of its key's columns.
pub fn event_type(operation: Operation, schema: &[u8], table: &[u8], key: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(b"{\"op\":\"");
    out.extend_from_slice(operation.name().as_bytes());
    out.extend_from_slice(b"\",\"table\":");
    strings(&mut out, &[schema, table]);
    out.extend_from_slice(b",\"pkey\":");
    strings(&mut out, key);
    out.push(b'}');
    out
}

fn strings(out: &mut Vec<u8>, texts: &[impl AsRef<[u8]>]) {
    out.push(b'[');
    for (position, text) in texts.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        string(out, text.as_ref());
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string_of(text: &str) -> String {
        let mut out = Vec::new();
        string(&mut out, text.as_bytes());
        String::from_utf8(out).expect("UTF-8 stays UTF-8")
    }

    #[test]
    fn the_text_of_the_specification() {
        assert_eq!(string_of("a=b&c d\\e'f\t\n%é"), r#""a=b&c d\\e'f\t\n%é""#);
    }

    #[test]
    fn control_characters_are_escaped_and_others_are_not() {
        assert_eq!(string_of("\u{8}\u{c}\r\"/\u{1}\u{1f}\u{7f}"), "\"\\b\\f\\r\\\"/\\u0001\\u001f\u{7f}\"");
    }

    #[test]
    fn the_type_of_the_specification() {
        let key = [b"Order Id".to_vec(), b"line".to_vec()];
        assert_eq!(
            String::from_utf8_lossy(&event_type(Operation::Insert, b"Sales", b"Order Line", &key)),
            r#"{"op":"INSERT","table":["Sales","Order Line"],"pkey":["Order Id","line"]}"#
        );
        assert_eq!(
            event_type(Operation::Truncate, b"public", b"t", &[]),
            br#"{"op":"TRUNCATE","table":["public","t"],"pkey":[]}"#
        );
    }
}
