//! Values and names read from SQL.

use super::backslash::escaped;
use super::tokens::dollar_tag;
use crate::{Error, Result};

/// The name that this is: without quotes, it is in lower case.
pub fn identifier(text: &str) -> Result<String> {
    let (name, rest) = name(text)?;
    if rest.is_empty() { Ok(name) } else { Err(Error::bad(format!("not a name: {text}"))) }
}

/// The name that this is, with dots between its parts, as [`quote::qualified`](super::quote::qualified) takes it. One
/// whose first part has a dot in it is refused, as that could not be told from the dot behind a schema.
pub fn qualified(text: &str) -> Result<String> {
    let refused = || Error::bad(format!("not a qualified name: {text}"));
    let (first, mut rest) = name(text)?;
    if first.contains('.') {
        return Err(refused());
    }
    let mut qualified = first;
    while !rest.is_empty() {
        let (part, behind) = name(rest.strip_prefix('.').ok_or_else(refused)?)?;
        qualified = format!("{qualified}.{part}");
        rest = behind;
    }
    Ok(qualified)
}

/// The first part of a name, and what is behind it.
fn name(text: &str) -> Result<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (name, rest) = text.split_at(text.find(['.', '"']).unwrap_or(text.len()));
        return Ok((name.to_ascii_lowercase(), rest));
    };
    let (name, rest) = until_quote(quoted, '"').ok_or_else(|| Error::bad(format!("not a name: {text}")))?;
    Ok((name.replace("\"\"", "\""), rest))
}

/// What is before the first quote that is not doubled, and what is behind it.
pub(super) fn until_quote(text: &str, quote: char) -> Option<(&str, &str)> {
    let mut end = 0;
    loop {
        end += text[end..].find(quote)?;
        let behind = &text[end + 1..];
        if !behind.starts_with(quote) {
            return Some((&text[..end], behind));
        }
        end += 2;
    }
}

/// The value that a constant is: `'…'`, `E'…'`, `$tag$…$tag$`; any other text is itself, and `null` is none. With
/// `backslashes` they escape in `'…'`, too (`standard_conforming_strings = off`).
pub fn literal(text: &str, backslashes: bool) -> Result<Option<String>> {
    let malformed = || Error::bad(format!("not a constant: {text}"));
    if text.eq_ignore_ascii_case("null") {
        return Ok(None);
    }
    let value = if let Some(quoted) = text.strip_prefix('\'') {
        constant(quoted, backslashes).ok_or_else(malformed)?
    } else if let Some(quoted) = text.strip_prefix("E'").or_else(|| text.strip_prefix("e'")) {
        constant(quoted, true).ok_or_else(malformed)?
    } else if text.starts_with('$') {
        dollar_quoted(text).ok_or_else(malformed)?.to_owned()
    } else {
        text.to_owned()
    };
    Ok(Some(value))
}

/// The value of a constant from behind its first quote.
fn constant(quoted: &str, backslashes: bool) -> Option<String> {
    if !backslashes {
        let (value, rest) = until_quote(quoted, '\'')?;
        return rest.is_empty().then(|| value.replace("''", "'"));
    }
    let mut value = Vec::with_capacity(quoted.len());
    let mut rest = quoted.as_bytes();
    loop {
        match rest {
            [b'\''] => return String::from_utf8(value).ok(),
            [b'\'', b'\'', behind @ ..] => (value.push(b'\''), rest = behind).1,
            [b'\'', ..] | [] => return None,
            [b'\\', b'u', behind @ ..] => rest = unicode(&mut value, behind, 4)?,
            [b'\\', b'U', behind @ ..] => rest = unicode(&mut value, behind, 8)?,
            [b'\\', behind @ ..] => {
                let (byte, length) = escaped(behind)?;
                value.push(byte);
                rest = &behind[length..];
            }
            [byte, behind @ ..] => (value.push(*byte), rest = behind).1,
        }
    }
}

/// Appends the character whose number is next, in so many hexadecimal digits; returns what is behind it.
fn unicode<'a>(value: &mut Vec<u8>, behind: &'a [u8], digits: usize) -> Option<&'a [u8]> {
    let (number, rest) = behind.split_at_checked(digits)?;
    let digits = number.iter().map(|digit| char::from(*digit).to_digit(16));
    let number = digits.into_iter().try_fold(0, |number: u32, digit| Some(number << 4 | digit?))?;
    value.extend_from_slice(char::from_u32(number)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

fn dollar_quoted(text: &str) -> Option<&str> {
    let tag = dollar_tag(text)?;
    let (value, rest) = text[tag.len()..].split_once(tag)?;
    rest.is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::quote;
    use super::*;

    #[test]
    fn names_are_read() {
        for (text, name) in [("Order", "order"), ("\"Order\"", "Order"), ("\"a\"\"b\"", "a\"b"), ("\"\"", "")]
        {
            assert_eq!(identifier(text).unwrap(), name);
        }
        for text in ["a\"b", "a\"", "\"a", "\"a\"b", "\"a\"\"", "a.b"] {
            assert!(identifier(text).unwrap_err().to_string().starts_with("not a name"), "{text}");
        }
    }

    #[test]
    fn qualified_names_are_read() {
        let rows = [
            ("Foo", "foo"),
            ("\"Foo\".\"Bar \"\" z\"", "Foo.Bar \" z"),
            ("Public.\"a.b\"", "public.a.b"),
            ("a.b.C", "a.b.c"),
        ];
        for (text, name) in rows {
            assert_eq!(qualified(text).unwrap(), name);
        }
        for text in ["\"a.b\".c", "\"a.b\"", "a.\"b", "a\"b\".c", "\"a\"b"] {
            assert!(qualified(text).is_err(), "{text}");
        }
    }

    #[test]
    fn constants_are_read() {
        let rows = [
            ("'it''s'", "it's"),
            (r"'C:\tmp'", r"C:\tmp"),
            (r"E'C:\\tmp\tb'", "C:\\tmp\tb"),
            (r"e'\'\101\x41\u00f5\U0001f600\q'", "'AAõ😀q"),
            ("$$it's$$", "it's"),
            ("$a$x$b$$a$", "x$b$"),
            ("5", "5"),
            ("nullable", "nullable"),
            ("", ""),
        ];
        for (text, value) in rows {
            assert_eq!(literal(text, false).unwrap().unwrap(), value);
        }
        assert_eq!(literal(r"'a\'b\\'", true).unwrap().unwrap(), r"a'b\");
        assert_eq!(literal("NULL", false).unwrap(), None);
        assert_eq!(literal("'null'", false).unwrap().unwrap(), "null");
    }

    #[test]
    fn malformed_constants_are_refused() {
        let texts =
            ["'a", "'a'b", "'a''", "'", r"E'\'", "$$a", "$a$x$b$", "$a", "$1$x$1$", "$$a$$b$$", r"E'\u12'"];
        for text in texts {
            assert!(literal(text, false).unwrap_err().to_string().starts_with("not a constant"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_unquoted(value: Option<String>, backslashes: bool) {
            prop_assert_eq!(literal(&quote::literal(value.as_deref()), backslashes).unwrap(), value);
        }

        #[test]
        fn names_that_are_quoted_are_unquoted(schema in "[^.]*", name: String) {
            prop_assert_eq!(&identifier(&quote::identifier(&name)).unwrap(), &name);
            let name = format!("{schema}.{name}");
            prop_assert_eq!(qualified(&quote::qualified(&name)).unwrap(), name);
        }
    }
}
