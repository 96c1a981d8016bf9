//! Values and names written as SQL.

use std::borrow::Cow;

use pgq_core::codec::partial_sql;

use super::keywords;

/// A constant of unknown type, as the server's `quote_nullable` writes it: `null`, `'it''s'`, `E'C:\\tmp'`.
#[must_use]
pub fn literal(value: Option<&str>) -> String {
    let Some(value) = value else { return "null".to_owned() };
    let mut quoted = Vec::with_capacity(value.len() + 2);
    partial_sql::literal(&mut quoted, value.as_bytes());
    String::from_utf8(quoted).expect("quoting adds ASCII characters only")
}

/// A name, quoted if it must be.
#[must_use]
pub fn identifier(name: &str) -> Cow<'_, str> {
    if is_plain(name) { name.into() } else { format!("\"{}\"", name.replace('"', "\"\"")).into() }
}

fn is_plain(name: &str) -> bool {
    let first_is_plain = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    first_is_plain && name.bytes().all(is_plain) && !keywords::is_reserved(name)
}

/// A name with its schema, which is what is before the first dot, `public` without one.
#[must_use]
pub fn qualified(name: &str) -> String {
    let (schema, name) = name.split_once('.').unwrap_or(("public", name));
    format!("{}.{}", identifier(schema), identifier(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literals_of_the_specification() {
        assert_eq!(literal(None), "null");
        assert_eq!(literal(Some("it's")), "'it''s'");
        assert_eq!(literal(Some(r"C:\tmp")), r"E'C:\\tmp'");
        assert_eq!(literal(Some(&5.to_string())), "'5'");
        assert_eq!(literal(Some(&true.to_string())), "'true'");
        assert_eq!(literal(Some("")), "''");
    }

    #[test]
    fn the_names_of_the_specification() {
        let names = [
            ("", "\"\""),
            ("order", "\"order\""),
            ("Item", "\"Item\""),
            ("9a", "\"9a\""),
            ("_x1", "_x1"),
            ("a\"b", "\"a\"\"b\""),
            ("õ", "\"õ\""),
            ("a$", "\"a$\""),
            ("left", "\"left\""),
            ("between", "\"between\""),
            ("system_user", "\"system_user\""),
            ("name", "name"),
        ];
        for (name, quoted) in names {
            assert_eq!(identifier(name), quoted);
        }
    }

    #[test]
    fn the_qualified_names_of_the_specification() {
        assert_eq!(qualified("x"), "public.x");
        assert_eq!(qualified("My.Tab.le"), r#""My"."Tab.le""#);
        assert_eq!(qualified("a.order"), r#"a."order""#);
        assert_eq!(qualified("a."), r#"a."""#);
    }
}
