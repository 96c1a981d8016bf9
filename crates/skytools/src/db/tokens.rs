//! SQL cut into tokens, where the server's lexer would cut it.
//!
//! Nothing is lost: the texts of all tokens, one behind the other, are the SQL again.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A name or keyword, also a quoted one (`"Item"`), and a qualified one where [`Dialect::qualified`] is set.
    Identifier,
    /// A constant between single quotes, with its prefix and its continuation on further lines: `E'it\'s'`.
    String,
    /// A constant between dollar quotes: `$tag$it's$tag$`.
    DollarQuoted,
    /// A number: `1.5e3`, `0x1f`.
    Number,
    /// A parameter: `$1`.
    Parameter,
    /// A placeholder for a value: `%(name)s`.
    Placeholder,
    /// A placeholder of the query builder: `{name}` or `{name:type}`.
    Field,
    /// Blanks and comments.
    Blank,
    /// Any other character, and `..`.
    Symbol,
    /// The rest of the text, from a quote or comment that is never closed.
    Error,
}

/// A piece of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// How it is written.
    pub text: &'a str,
    /// The byte it begins at.
    pub start: usize,
}

impl Token<'_> {
    /// The byte behind it.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this word, unquoted and in whichever case.
    #[must_use]
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Identifier && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is this character.
    #[must_use]
    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }
}

/// How SQL is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// A backslash escapes in every string, as with `standard_conforming_strings = off`; otherwise only in `E'…'`.
    pub backslashes: bool,
    /// Names with dots between them (`public."Item"`) are one token.
    pub qualified: bool,
}

/// Cuts SQL into tokens.
pub fn tokens(sql: &str, dialect: Dialect) -> impl Iterator<Item = Token<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = &sql[start..];
        if rest.is_empty() {
            return None;
        }
        let (kind, length) = first(rest, dialect);
        let token = Token { kind, text: &rest[..length], start };
        start += length;
        Some(token)
    })
}

/// The kind and length of the token at the beginning of `sql`, which is not empty.
fn first(sql: &str, dialect: Dialect) -> (Kind, usize) {
    let readers = [blank, string, identifier, dollar, number, placeholder, field];
    let token = readers.into_iter().find_map(|read| read(sql, dialect));
    token.unwrap_or_else(|| (Kind::Symbol, symbol(sql)))
}

/// The length of a character, or of the two dots of a range in PL/pgSQL: behind them a number may begin.
fn symbol(sql: &str) -> usize {
    if sql.starts_with("..") { 2 } else { sql.chars().next().map_or(0, char::len_utf8) }
}

type Found = Option<(Kind, usize)>;

/// A token that needs an end: without one, it takes the rest.
fn closed(kind: Kind, sql: &str, end: Option<usize>) -> Found {
    Some(end.map_or((Kind::Error, sql.len()), |end| (kind, end)))
}

fn blank(sql: &str, _: Dialect) -> Found {
    let mut length = 0;
    loop {
        let rest = &sql[length..];
        length += if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            match comment_end(rest) {
                Some(end) => end,
                None if length == 0 => return Some((Kind::Error, sql.len())),
                None => break,
            }
        } else {
            match rest.bytes().take_while(|byte| is_blank(*byte)).count() {
                0 => break,
                blanks => blanks,
            }
        };
    }
    (length > 0).then_some((Kind::Blank, length))
}

/// Where a comment ends, and those in it have.
fn comment_end(sql: &str) -> Option<usize> {
    let bytes = sql.as_bytes();
    let (mut depth, mut at) = (0, 0);
    loop {
        match bytes.get(at..at + 2)? {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return Some(at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
}

fn string(sql: &str, dialect: Dialect) -> Found {
    let (prefix, backslashes) = match sql.as_bytes() {
        [b'\'', ..] => (0, dialect.backslashes),
        [b'e' | b'E', b'\'', ..] => (1, true),
        [b'n' | b'N', b'\'', ..] => (1, dialect.backslashes),
        [b'b' | b'B' | b'x' | b'X', b'\'', ..] => (1, false),
        [b'u' | b'U', b'&', b'\'', ..] => (2, false),
        _ => return None,
    };
    let mut end = prefix;
    loop {
        let Some(length) = quoted(&sql[end..], b'\'', backslashes) else {
            return Some((Kind::Error, sql.len()));
        };
        end += length;
        match continuation(&sql[end..]) {
            Some(blanks) => end += blanks,
            None => return Some((Kind::String, end)),
        }
    }
}

/// The length of the blanks behind a string that goes on with another quote on a line further down.
fn continuation(sql: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &sql[at..];
        if rest.starts_with("--") {
            at += rest.find('\n')?;
        } else if rest.bytes().next().is_some_and(is_blank) {
            at += 1;
        } else {
            return (rest.starts_with('\'') && sql[..at].contains(['\n', '\r'])).then_some(at);
        }
    }
}

/// The length of a quoted text, from quote to quote, in which a doubled quote stands for one.
fn quoted(text: &str, quote: u8, backslashes: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'\\' if backslashes => at += 2,
            byte if *byte != quote => at += 1,
            _ if bytes.get(at + 1) == Some(&quote) => at += 2,
            _ => return Some(at + 1),
        }
    }
}

fn identifier(sql: &str, dialect: Dialect) -> Found {
    let mut end = name(sql)?;
    while let (true, Some(so_far)) = (dialect.qualified, end) {
        let Some(next) = sql[so_far..].strip_prefix('.').and_then(name) else { break };
        end = next.map(|length| so_far + 1 + length);
    }
    closed(Kind::Identifier, sql, end)
}

/// The length of the name that is here: `Some(None)` if its quote is never closed.
fn name(sql: &str) -> Option<Option<usize>> {
    match sql.as_bytes() {
        [b'"', ..] => Some(quoted(sql, b'"', false)),
        [b'u' | b'U', b'&', b'"', ..] => Some(quoted(&sql[2..], b'"', false).map(|length| length + 2)),
        [first, ..] if begins_name(*first) => {
            Some(Some(sql.bytes().take_while(|byte| in_name(*byte)).count()))
        }
        _ => None,
    }
}

fn dollar(sql: &str, _: Dialect) -> Found {
    let behind = sql.strip_prefix('$')?;
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        return Some((Kind::Parameter, 1 + digits));
    }
    let tag = dollar_tag(sql)?;
    closed(Kind::DollarQuoted, sql, sql[tag.len()..].find(tag).map(|at| at + 2 * tag.len()))
}

/// The quote that begins here, with its dollars: `$$` or `$tag$`.
pub(super) fn dollar_tag(sql: &str) -> Option<&str> {
    let behind = sql.strip_prefix('$')?;
    let tag = &behind[..behind.find('$')?];
    let is_tag = tag.bytes().all(in_name) && tag.bytes().next().is_none_or(begins_name);
    is_tag.then(|| &sql[..tag.len() + 2])
}

fn number(sql: &str, _: Dialect) -> Found {
    let bytes = sql.as_bytes();
    let digits = |from: usize, is_digit: fn(&u8) -> bool| {
        bytes[from..].iter().take_while(|byte| is_digit(byte) || **byte == b'_').count()
    };
    let has_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    if !(has_digit(0) || bytes[0] == b'.' && has_digit(1)) {
        return None;
    }
    if let [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', digit, ..] = bytes
        && digit.is_ascii_hexdigit()
    {
        return Some((Kind::Number, 2 + digits(2, u8::is_ascii_hexdigit)));
    }
    let mut end = digits(0, u8::is_ascii_digit);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1) != Some(&b'.') {
        end += 1 + digits(end + 1, u8::is_ascii_digit);
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if has_digit(end + 1 + sign) {
            end += 1 + sign + digits(end + 1 + sign, u8::is_ascii_digit);
        }
    }
    Some((Kind::Number, end))
}

fn placeholder(sql: &str, _: Dialect) -> Found {
    placeholder_name(sql).map(|name| (Kind::Placeholder, name.len() + "%()s".len()))
}

/// The name in the `%(name)s` that begins here.
pub(super) fn placeholder_name(text: &str) -> Option<&str> {
    let behind = text.strip_prefix("%(")?;
    let end = behind.find(['(', ')'])?;
    (end > 0 && behind[end..].starts_with(")s")).then(|| &behind[..end])
}

fn field(sql: &str, _: Dialect) -> Found {
    let behind = sql.strip_prefix('{')?;
    let inside = &behind[..behind.find(['{', '}'])?];
    let name = inside.split(':').next().unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(|byte| in_name(byte) || byte == b'.');
    (is_name && behind[inside.len()..].starts_with('}')).then_some((Kind::Field, inside.len() + 2))
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

const fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// Whether a name that has begun goes on with it.
pub(super) const fn in_name(byte: u8) -> bool {
    begins_name(byte) || byte.is_ascii_digit() || byte == b'$'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Kind::*;
    use super::*;

    fn cut(sql: &str, dialect: Dialect) -> Vec<(Kind, &str)> {
        tokens(sql, dialect).map(|token| (token.kind, token.text)).collect()
    }

    /// The tokens but blanks.
    fn words(sql: &str) -> Vec<(Kind, &str)> {
        cut(sql, Dialect::default()).into_iter().filter(|(kind, _)| *kind != Blank).collect()
    }

    #[test]
    fn every_kind_is_told() {
        assert_eq!(
            words(r#"x "A b" 'it''s' $q$ $ $$ $q$ 1.5 $1 %(a.b)s {c:int4} ;"#),
            [
                (Identifier, "x"),
                (Identifier, r#""A b""#),
                (String, "'it''s'"),
                (DollarQuoted, "$q$ $ $$ $q$"),
                (Number, "1.5"),
                (Parameter, "$1"),
                (Placeholder, "%(a.b)s"),
                (Field, "{c:int4}"),
                (Symbol, ";"),
            ]
        );
    }

    #[test]
    fn offsets_are_bytes() {
        let offsets: Vec<_> =
            tokens("õ = 'é'", Dialect::default()).map(|token| (token.start, token.end())).collect();
        assert_eq!(offsets, [(0, 2), (2, 3), (3, 4), (4, 5), (5, 9)]);
    }

    #[test]
    fn blanks_and_comments_are_one() {
        assert_eq!(
            cut("a -- b\n /* c /* d */ ' */\te", Dialect::default()),
            [(Identifier, "a"), (Blank, " -- b\n /* c /* d */ ' */\t"), (Identifier, "e")]
        );
        assert_eq!(words("a--b"), [(Identifier, "a")]);
    }

    #[test]
    fn what_is_never_closed_is_an_error() {
        for open in ["'a''", "E'a\\'", "\"a", "$a$ $b$", "/* /* */", "U&'a", "U&\"a", "n'a"] {
            assert_eq!(words(&format!("x {open}")), [(Identifier, "x"), (Error, open)]);
        }
        let qualified = Dialect { qualified: true, ..Dialect::default() };
        assert_eq!(cut("a.\"b", qualified), [(Error, "a.\"b")]);
    }

    #[test]
    fn a_backslash_escapes_where_it_should() {
        let backslashes = Dialect { backslashes: true, ..Dialect::default() };
        assert_eq!(words(r"'\' x"), [(String, r"'\'"), (Identifier, "x")]);
        assert_eq!(cut(r"'\' x'", backslashes), [(String, r"'\' x'")]);
        assert_eq!(words(r"E'\' x'"), [(String, r"E'\' x'")]);
        assert_eq!(words(r"x'\' n'\'"), [(String, r"x'\'"), (String, r"n'\'")]);
    }

    #[test]
    fn a_string_goes_on_further_down() {
        assert_eq!(words("E'a' -- b\n '\\'' 'c'"), [(String, "E'a' -- b\n '\\''"), (String, "'c'")]);
        assert_eq!(words("'a''b'"), [(String, "'a''b'")]);
    }

    #[test]
    fn dollars_in_names_are_no_quotes() {
        assert_eq!(
            words("a$b$c $1$ $"),
            [(Identifier, "a$b$c"), (Parameter, "$1"), (Symbol, "$"), (Symbol, "$")]
        );
        assert_eq!(words("$1a$"), [(Parameter, "$1"), (Identifier, "a$")]);
        assert_eq!(words("$õ$$x$õ$"), [(DollarQuoted, "$õ$$x$õ$")]);
    }

    #[test]
    fn numbers_end_where_they_should() {
        assert_eq!(words("1..2"), [(Number, "1"), (Symbol, ".."), (Number, "2")]);
        assert_eq!(
            words("1e5 1e .5 0x1F 1_000 5."),
            [
                (Number, "1e5"),
                (Number, "1"),
                (Identifier, "e"),
                (Number, ".5"),
                (Number, "0x1F"),
                (Number, "1_000"),
                (Number, "5.")
            ]
        );
    }

    #[test]
    fn what_only_looks_like_a_placeholder_is_symbols() {
        for text in ["%(a)d", "%()s", "%(a", "{}", "{a", "{a b}", "{{a}"] {
            assert_eq!(words(text)[0], (Symbol, &text[..1]));
        }
    }

    #[test]
    fn qualified_names_are_one_where_asked_for() {
        let qualified = Dialect { qualified: true, ..Dialect::default() };
        assert_eq!(
            cut(r#"a."B.c".d.*"#, qualified),
            [(Identifier, r#"a."B.c".d"#), (Symbol, "."), (Symbol, "*")]
        );
        assert_eq!(words("a.b"), [(Identifier, "a"), (Symbol, "."), (Identifier, "b")]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(sql in r#"([a-zE'"$%(){}\\/*\-;:.0-9\n õ]|\PC){0,40}"#, backslashes: bool, qualified: bool) {
            let mut end = 0;
            for token in tokens(&sql, Dialect { backslashes, qualified }) {
                prop_assert!(token.start == end && !token.text.is_empty());
                prop_assert_eq!(&sql[token.start..token.end()], token.text);
                end = token.end();
            }
            prop_assert_eq!(end, sql.len());
        }
    }
}
