//! `"Qty"='7.00' where id='1'`: the statements of sqltriga and logtriga, without their heads.
//!
//! | operation | implied head | tail |
//! |---|---|---|
//! | insert | `insert into T ` | `(c1,c2) values ('v1',null)` |
//! | update | `update T set ` | `c='v',d=NULL where k1='x' and k2='y'` |
//! | delete | `delete from T where ` | `k1='x' and k2='y'` |

use super::{Special, escape_into};

/// The bytes that are doubled in a literal.
const DOUBLED: Special = {
    let mut special = [false; 256];
    special[b'\'' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

/// Appends a text as the server's `quote_literal` writes it: with a backslash in it, it says `E'…'`, and so means the
/// same whatever `standard_conforming_strings` is.
#[inline]
pub fn literal(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.contains(&b'\\') {
        out.push(b'E');
    }
    out.push(b'\'');
    escape_into(out, bytes, &DOUBLED, |out, byte| out.extend_from_slice(&[byte, byte]));
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal_of(text: &str) -> String {
        let mut out = Vec::new();
        literal(&mut out, text.as_bytes());
        String::from_utf8(out).expect("UTF-8 stays UTF-8")
    }

    #[test]
    fn literals_are_those_of_quote_literal() {
        assert_eq!(literal_of("7.00"), "'7.00'");
        assert_eq!(literal_of(""), "''");
        assert_eq!(literal_of("it's\n"), "'it''s\n'");
        assert_eq!(literal_of(r"it's \o/"), r"E'it''s \\o/'");
    }
}
