//! `id=1&name=Jane+Doe&note`: the rows of logutriga, and the old rows of `backup`.
//!
//! Names and values are percent-encoded. A name without `=` is NULL, with nothing behind `=` it is the empty text.

use super::{Special, escape_into, hex};

/// All but letters, digits, `_`, `.` and `-`.
const SPECIAL: Special = {
    let mut special = [true; 256];
    let mut byte = 0;
    while byte < 128 {
        special[byte as usize] = !(byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    special[b'_' as usize] = false;
    special[b'.' as usize] = false;
    special[b'-' as usize] = false;
    special
};

/// Appends a name or a value, encoded.
#[inline]
pub fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    escape_into(out, bytes, &SPECIAL, |out, byte| match byte {
        b' ' => out.push(b'+'),
        _ => {
            let [high, low] = hex(byte);
            out.extend_from_slice(&[b'%', high, low]);
        }
    });
}

/// Appends a column to the row that `out` holds. Its name is encoded already: it is the same for every row.
#[inline]
pub fn pair(out: &mut Vec<u8>, encoded_name: &[u8], value: Option<&[u8]>) {
    if !out.is_empty() {
        out.push(b'&');
    }
    out.extend_from_slice(encoded_name);
    if let Some(value) = value {
        out.push(b'=');
        encode(out, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_the_specification() {
        let mut row = Vec::new();
        for (name, value) in [
            ("Order Id", Some("1")),
            ("line", Some("2")),
            ("note", Some("a=b&c d\\e'f\t\n%é")),
            ("Qty", Some("1.50")),
        ] {
            let mut encoded_name = Vec::new();
            encode(&mut encoded_name, name.as_bytes());
            pair(&mut row, &encoded_name, value.map(str::as_bytes));
        }
        assert_eq!(
            String::from_utf8_lossy(&row),
            "Order+Id=1&line=2&note=a%3db%26c+d%5ce%27f%09%0a%25%c3%a9&Qty=1.50"
        );
    }

    #[test]
    fn null_is_the_name_alone() {
        let mut row = Vec::new();
        pair(&mut row, b"note", None);
        pair(&mut row, b"Qty", Some(b""));
        assert_eq!(row, b"note&Qty=");
    }
}
