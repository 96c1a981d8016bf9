//! Connect strings: what libpq reads, and what may be shown of it.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use crate::db::connect::{keyword, settings, uri};
use crate::{Error, Result};

/// A connect string, taken apart: keywords, each once, and their values. Shown (`{}` and `{:?}`), it ends before its
/// first secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Conninfo(Vec<(&'static str, String)>);

impl Conninfo {
    /// Reads `host=db1 dbname=shop` or `postgresql://db1/shop`, as libpq does. An error tells what is wrong, but
    /// nothing that may be part of a password.
    pub fn parse(text: &str) -> Result<Self> {
        match uri::after_scheme(text) {
            Some(rest) => uri::parse(rest),
            None => parse_pairs(text),
        }
    }

    /// Whether every value is one that its keyword can have. What services, variables and files add is not looked at:
    /// they may be others when it comes to connecting.
    pub fn check(&self) -> Result<()> {
        settings::check(self)
    }

    /// The value of a keyword.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == keyword).map(|(_, value)| &**value)
    }

    /// Gives a keyword a value, in place of the one it had. An error if libpq knows no such keyword.
    pub fn set(&mut self, keyword: &str, value: impl Into<String>) -> Result<()> {
        let unknown = || Error::usage(format!("invalid connection option {keyword:?}"));
        self.put(keyword, value.into()).ok_or_else(unknown)
    }

    /// As [`set`](Self::set); `None` for a keyword that nobody knows.
    pub(super) fn put(&mut self, keyword: &str, value: String) -> Option<()> {
        let (keyword, value) = match keyword {
            "requiressl" => ("sslmode", if value.starts_with('1') { "require" } else { "prefer" }.to_owned()),
            _ => (keyword, value),
        };
        let keyword = keyword::known(keyword)?.name;
        match self.0.iter_mut().find(|(known, _)| *known == keyword) {
            Some((_, old)) => *old = value,
            None => self.0.push((keyword, value)),
        }
        Some(())
    }

    pub(super) fn remove(&mut self, keyword: &str) {
        self.0.retain(|(known, _)| *known != keyword);
    }

    /// Takes over what `extra` says, also in place of what was there.
    pub fn merge(&mut self, extra: &Self) {
        for (keyword, value) in &extra.0 {
            self.put(keyword, value.clone());
        }
    }

    /// All of it, secrets too, in the form `keyword=value`.
    #[must_use]
    pub fn to_conninfo(&self) -> String {
        let pairs: Vec<String> =
            self.0.iter().map(|(keyword, value)| format!("{keyword}={}", quoted(value))).collect();
        pairs.join(" ")
    }
}

impl fmt::Display for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (keyword, value)) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            if keyword::is_secret(keyword) {
                return f.write_str("[...]");
            }
            write!(f, "{keyword}={}", quoted(value))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Conninfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conninfo({self})")
    }
}

/// A value as it stands in a connect string: in quotes where it would be misread without.
fn quoted(value: &str) -> String {
    if !value.is_empty() && !value.contains(|c: char| is_space(c) || matches!(c, '\'' | '\\')) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

/// `isspace` of C.
const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

fn parse_pairs(text: &str) -> Result<Conninfo> {
    let mut conninfo = Conninfo::default();
    let mut rest = text.chars().peekable();
    // Behind a password that should have been quoted, anything may be the rest of it.
    let mut secret = false;
    loop {
        skip_spaces(&mut rest);
        if rest.peek().is_none() {
            return Ok(conninfo);
        }
        let mut keyword = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && !is_space(*c)) {
            keyword.push(c);
        }
        skip_spaces(&mut rest);
        let shown = if secret { "a word behind a secret".to_owned() } else { format!("{keyword:?}") };
        if rest.next() != Some('=') {
            return Err(Error::usage(format!("missing \"=\" after {shown} in connect string")));
        }
        skip_spaces(&mut rest);
        let value = parse_value(&mut rest)?;
        secret |= keyword::is_secret(&keyword);
        conninfo
            .put(&keyword, value)
            .ok_or_else(|| Error::usage(format!("invalid connection option: {shown}")))?;
    }
}

fn skip_spaces(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| is_space(*c)).is_some() {}
}

fn parse_value(rest: &mut Peekable<Chars<'_>>) -> Result<String> {
    let in_quotes = rest.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match rest.next_if(|c| in_quotes || !is_space(*c)) {
            Some('\\') => value.extend(rest.next()),
            Some('\'') if in_quotes => return Ok(value),
            Some(c) => value.push(c),
            None if in_quotes => return Err(Error::usage("unterminated quoted string in connect string")),
            None => return Ok(value),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::db::connect::keyword::KEYWORDS;

    fn pairs(text: &str) -> Vec<(&'static str, String)> {
        Conninfo::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).0
    }

    fn error(text: &str) -> String {
        Conninfo::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn keywords_and_values_are_read_as_libpq_does() {
        for (text, expected) in [
            ("", &[][..]),
            (" host = db1\tport=5433 ", &[("host", "db1"), ("port", "5433")]),
            ("host='db 1' user='it\\'s'", &[("host", "db 1"), ("user", "it's")]),
            ("host='a'user=b", &[("host", "a"), ("user", "b")]),
            (r"password=a\ b\'c\\d", &[("password", r"a b'c\d")]),
            (r"user=a\", &[("user", "a")]),
            ("user=a'b", &[("user", "a'b")]),
            ("dbname= user=x", &[("dbname", "user=x")]),
            ("dbname='' user=x", &[("dbname", ""), ("user", "x")]),
            ("host=a host=b", &[("host", "b")]),
            ("requiressl=1", &[("sslmode", "require")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
            assert_eq!(pairs(text), expected, "{text}");
        }
    }

    #[test]
    fn malformed_strings_are_told_without_passwords() {
        assert_eq!(error("host=a b"), "missing \"=\" after \"b\" in connect string");
        assert_eq!(error("=x"), "invalid connection option: \"\"");
        assert_eq!(error("hots=x"), "invalid connection option: \"hots\"");
        assert_eq!(error("host='a"), "unterminated quoted string in connect string");
        for text in
            ["password=my secret", "password=my secret=1", "host=a password='my secret", "password=secret x"]
        {
            assert!(!error(text).contains("secret=") && !error(text).contains("\"secret"), "{}", error(text));
        }
    }

    #[test]
    fn what_is_shown_ends_before_the_first_secret() {
        let shown = |text| Conninfo::parse(text).unwrap().to_string();
        assert_eq!(shown("host=a password=secret user=b"), "host=a [...]");
        assert_eq!(shown("host=a sslpassword='s e c' user=b"), "host=a [...]");
        assert_eq!(
            shown("postgresql://u:secret@a:1/db?connect_timeout=3"),
            "host=a port=1 dbname=db user=u [...]"
        );
        assert_eq!(shown("postgresql://a/?p%61ssword=secret"), "host=a [...]");
        assert_eq!(format!("{:?}", Conninfo::parse("password=secret").unwrap()), "Conninfo([...])");
    }

    #[test]
    fn what_is_merged_wins() {
        let mut conninfo = Conninfo::parse("host=a user=joe").unwrap();
        conninfo.merge(&Conninfo::parse("user='j o' password=it\\'s dbname=''").unwrap());
        assert_eq!(conninfo.to_conninfo(), r"host=a user='j o' password='it\'s' dbname=''");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(values in prop::collection::vec((0..KEYWORDS.len(), any::<String>()), 0..8)) {
            let mut conninfo = Conninfo::default();
            for (keyword, value) in values {
                conninfo.set(KEYWORDS[keyword].name, value).unwrap();
            }
            prop_assert_eq!(Conninfo::parse(&conninfo.to_conninfo()).unwrap(), conninfo);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[a-z]{0,6}(=|'|\\\\| |:|/|@|%|\\?|&|,|\\[|\\]|\\PC){0,20}") {
            let _ = Conninfo::parse(&text);
            let _ = Conninfo::parse(&format!("postgresql://{text}"));
        }
    }
}
