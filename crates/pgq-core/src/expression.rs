//! Expressions in a trigger's arguments: `when=price > 100`, `ev_extra2=lower("Owner")`.
//!
//! They are SQL about a row, and the row is in no table: the server gets a query whose parameters are the columns'
//! values. So column names have to be found in the text, which the server's lexer would cut in just these pieces.

use thiserror::Error;

use crate::quoted;

/// A query that computes an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// `select EXPRESSION`, with `$1`, `$2`, … for columns.
    pub sql: Vec<u8>,
    /// Which column is behind `$1`, `$2`, …: its position among those that were given.
    pub columns: Vec<usize>,
}

/// Why a text is no expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Nothing, or only comments.
    #[error("expression is empty")]
    Empty,
    /// Something has no end.
    #[error("unterminated {what} at byte {} of the expression", .at + 1)]
    Unterminated {
        /// What it is.
        what: &'static str,
        /// Where it begins, counted from zero.
        at: usize,
    },
}

/// Makes a query of an expression over a row with these columns.
///
/// A word that is exactly a column's name, or a name in double quotes, stands for the column, unless it is
/// - a part of a qualified name: `t.price`, `price.*`;
/// - a function or a type: `lower(…)`, `date '2024-02-29'`, `…::date`, `cast(… as date)`;
/// - the name of an argument, a collation or an alias: `days => 1`, `collate "C"`, `as price`.
///
/// Keywords are not told apart: a column `day` is found in `extract(day from …)`, too.
pub fn compile(expression: &[u8], columns: &[&[u8]]) -> Result<Expression, Unreadable> {
    let tokens = tokens(expression)?;
    let mut compiled = Expression { sql: b"select ".to_vec(), columns: Vec::new() };
    let mut before = None;
    for (position, token) in tokens.iter().enumerate() {
        if token.is_blank() {
            compiled.sql.extend_from_slice(token.text);
            continue;
        }
        let after = tokens[position + 1..].iter().find(|token| !token.is_blank());
        match token.name().and_then(|name| columns.iter().position(|column| name == *column)) {
            Some(column) if can_be_column(before, after) => compiled.put_parameter(column),
            _ => compiled.sql.extend_from_slice(token.text),
        }
        before = Some(token);
    }
    if before.is_none() {
        return Err(Unreadable::Empty);
    }
    // Else the comment would go on in what is added behind.
    if tokens.last().is_some_and(|token| token.kind == Kind::LineComment) {
        compiled.sql.push(b'\n');
    }
    Ok(compiled)
}

/// Whether a name between these two can be a column's.
fn can_be_column(before: Option<&Token>, after: Option<&Token>) -> bool {
    let is_another_by_what_is_before = before.is_some_and(|token| match token.kind {
        Kind::Word => token.is_word("as") || token.is_word("collate"),
        Kind::Symbol => matches!(token.text, b"." | b"::"),
        _ => false,
    });
    let is_another_by_what_is_after = after.is_some_and(|token| match token.kind {
        Kind::Symbol => matches!(token.text, b"." | b"(" | b"=>" | b":="),
        _ => token.kind == Kind::String,
    });
    !is_another_by_what_is_before && !is_another_by_what_is_after
}

impl Expression {
    fn put_parameter(&mut self, column: usize) {
        let known = self.columns.iter().position(|&known| known == column);
        let index = known.unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        });
        // A name in quotes can touch words on both sides. A parameter cannot.
        self.sql.extend_from_slice(format!(" ${} ", index + 1).as_bytes());
    }
}

/// A piece of SQL text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token<'a> {
    kind: Kind,
    text: &'a [u8],
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Blank,
    LineComment,
    BlockComment,
    /// A name without quotes, or a keyword.
    Word,
    /// A name in quotes, and what it is without them.
    QuotedName(Vec<u8>),
    /// A string constant of any kind.
    String,
    /// A number, or a parameter.
    Number,
    /// An operator's or any other byte; `::`, `=>` and `:=` are one.
    Symbol,
}

impl Token<'_> {
    fn is_blank(&self) -> bool {
        matches!(self.kind, Kind::Blank | Kind::LineComment | Kind::BlockComment)
    }

    fn is_word(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word.as_bytes())
    }

    fn name(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Word => Some(self.text),
            Kind::QuotedName(name) if !name.is_empty() => Some(name),
            _ => None,
        }
    }
}

fn tokens(text: &[u8]) -> Result<Vec<Token<'_>>, Unreadable> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (kind, length) =
            first_token(&text[at..]).map_err(|what| Unreadable::Unterminated { what, at })?;
        tokens.push(Token { kind, text: &text[at..at + length] });
        at += length;
    }
    Ok(tokens)
}

/// The token at the beginning of a text that is not empty, and its length; or what does not end.
fn first_token(text: &[u8]) -> Result<(Kind, usize), &'static str> {
    const STRING: &str = "string constant";
    let string = |end: Option<usize>| end.map(|end| (Kind::String, end)).ok_or(STRING);
    match text {
        [b'-', b'-', ..] => Ok((Kind::LineComment, line_comment_end(text, 0))),
        [b'/', b'*', ..] => Ok((Kind::BlockComment, block_comment_end(text).ok_or("comment")?)),
        [b'\'', ..] => string(string_end(text, 1, Backslash::Plain)),
        [b'e' | b'E', b'\'', ..] => string(string_end(text, 2, Backslash::Escapes)),
        [b'b' | b'B' | b'n' | b'N' | b'x' | b'X', b'\'', ..] => string(string_end(text, 2, Backslash::Plain)),
        [b'u' | b'U', b'&', b'\'', ..] => string(string_end(text, 3, Backslash::Plain)),
        // What its escapes mean is left to the server.
        [b'u' | b'U', b'&', b'"', ..] => Ok((Kind::Symbol, quoted_name(&text[2..])?.1 + 2)),
        [b'"', ..] => quoted_name(text).map(|(name, length)| (Kind::QuotedName(name), length)),
        [b'$', b'0'..=b'9', ..] => Ok((Kind::Number, 1 + run(&text[1..], is_in_word))),
        [b'$', ..] => match dollar_quote(text) {
            Some(delimiter) => string(dollar_quoted_end(text, delimiter)),
            None => Ok((Kind::Symbol, 1)),
        },
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => {
            Ok((Kind::Number, run(text, |byte| is_in_word(byte) || byte == b'.')))
        }
        [b':', b':', ..] | [b'=', b'>', ..] | [b':', b'=', ..] => Ok((Kind::Symbol, 2)),
        [byte, ..] if is_blank(*byte) => Ok((Kind::Blank, run(text, is_blank))),
        [byte, ..] if begins_word(*byte) => Ok((Kind::Word, run(text, is_in_word))),
        _ => Ok((Kind::Symbol, 1)),
    }
}

fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|&byte| !belongs(byte)).unwrap_or(text.len())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn is_in_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn line_comment_end(text: &[u8], at: usize) -> usize {
    at + run(&text[at..], |byte| byte != b'\n' && byte != b'\r')
}

fn block_comment_end(text: &[u8]) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    loop {
        match text.get(at..)? {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return Some(at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Backslash {
    Plain,
    Escapes,
}

/// The end of a string constant, of which `at` is behind the opening quote.
fn string_end(text: &[u8], mut at: usize, backslash: Backslash) -> Option<usize> {
    loop {
        match text.get(at..)? {
            [b'\\', ..] if backslash == Backslash::Escapes => at += 2,
            [b'\'', b'\'', ..] => at += 2,
            [b'\'', ..] => match continuation(text, at + 1) {
                Some(inside) => at = inside,
                None => return Some(at + 1),
            },
            [] => return None,
            _ => at += 1,
        }
    }
}

/// A string constant goes on behind its closing quote, and keeps its kind, if the next one begins on another line.
fn continuation(text: &[u8], closed: usize) -> Option<usize> {
    let mut at = closed;
    loop {
        match text.get(at..)? {
            [b'-', b'-', ..] => at = line_comment_end(text, at),
            [byte, ..] if is_blank(*byte) => at += 1,
            [b'\'', ..] => {
                let is_on_another_line = text[closed..at].iter().any(|byte| matches!(byte, b'\n' | b'\r'));
                return is_on_another_line.then_some(at + 1);
            }
            _ => return None,
        }
    }
}

fn quoted_name(text: &[u8]) -> Result<(Vec<u8>, usize), &'static str> {
    let (name, length) = quoted::read(&text[1..], b'"').ok_or("quoted identifier")?;
    Ok((name, length + 1))
}

/// `$$` or `$tag$`, if the text begins with it.
fn dollar_quote(text: &[u8]) -> Option<&[u8]> {
    let tag = run(&text[1..], |byte| is_in_word(byte) && byte != b'$');
    (text.get(1 + tag) == Some(&b'$')).then(|| &text[..tag + 2])
}

fn dollar_quoted_end(text: &[u8], delimiter: &[u8]) -> Option<usize> {
    let inside = delimiter.len();
    let length = text[inside..].windows(delimiter.len()).position(|window| window == delimiter)?;
    Some(inside + length + delimiter.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const COLUMNS: [&str; 6] = ["id", "Qty", "date", "Order Id", "größe", "lower"];

    fn compiled(expression: &str) -> Result<(String, Vec<usize>), Unreadable> {
        let compiled = compile(expression.as_bytes(), &COLUMNS.map(str::as_bytes))?;
        Ok((String::from_utf8(compiled.sql).expect("UTF-8 stays UTF-8"), compiled.columns))
    }

    fn sql(expression: &str) -> String {
        compiled(expression).expect(expression).0
    }

    #[test]
    fn columns_become_parameters() {
        assert_eq!(
            compiled("Qty>id and größe is null or id=0"),
            Ok(("select  $1 > $2  and  $3  is null or  $2 =0".to_owned(), vec![1, 0, 4]))
        );
        assert_eq!(
            compiled(r#"not"Order Id""Qty""#),
            Ok(("select not\"Order Id\"\"Qty\"".to_owned(), vec![]))
        );
        assert_eq!(compiled(r#"not"Order Id""#), Ok(("select not $1 ".to_owned(), vec![3])));
    }

    #[test]
    fn names_are_compared_exactly() {
        for expression in ["ID", "qty", r#""ID""#, "id2", "id$", "größer", "grö", "xQty", "\"\""] {
            assert_eq!(sql(expression), format!("select {expression}"));
        }
    }

    #[test]
    fn what_only_looks_like_a_column_is_left_alone() {
        for expression in [
            "'id'",
            "'it''s id'",
            r"'\' + 1",
            r"E'\' id'",
            r"e'\\'",
            "B'0'",
            "x'1f'",
            "N'id'",
            r"U&'\0069d'",
            "$$id$$",
            "$a$ id $b$ id $$ $a$",
            "'a'\n'id'",
            "E'a' -- id\n '\\' id'",
            r#"U&"id""#,
            "1 -- id",
            "1 -- id\n",
            "/* id /* id */ id */ 1",
            "t.id",
            "id.x",
            "id . x",
            "t . id",
            "id.*",
            "t. /**/ id",
            "lower('X')",
            "lower ('X')",
            "lower/* */('X')",
            "date '2024-02-29'",
            "date$$2024-02-29$$",
            "'2024-02-29'::date",
            ":: \"date\"",
            "cast('x' as date)",
            "1 AS id",
            "f(id => 1)",
            "f(id := 1)",
            r#"'a' collate "Qty""#,
            "1e5",
            "$1",
            "$1id",
            "0xid",
            "1.5id",
            ".5id",
            r#""lower"('X')"#,
        ] {
            let end = if expression == "1 -- id" { "\n" } else { "" };
            assert_eq!(sql(expression), format!("select {expression}{end}"));
        }
    }

    #[test]
    fn what_is_beside_these_is_found() {
        assert_eq!(sql("lower(lower)"), "select lower( $1 )");
        assert_eq!(sql("date::date"), "select  $1 ::date");
        assert_eq!(sql("'x'||id||'y'"), "select 'x'|| $1 ||'y'");
        assert_eq!(sql("f(id => id)"), "select f(id =>  $1 )");
        assert_eq!(sql("id[1:2]"), "select  $1 [1:2]");
        assert_eq!(sql("id-- id"), "select  $1 -- id\n");
        assert_eq!(sql("1/id*id"), "select 1/ $1 * $1 ");
        assert_eq!(sql("$$ $ $$||id"), "select $$ $ $$|| $1 ");
    }

    #[test]
    fn what_has_no_end_is_told() {
        let unterminated = |what, at| Err(Unreadable::Unterminated { what, at });
        assert_eq!(compiled("id = 'x"), unterminated("string constant", 5));
        assert_eq!(compiled(r"E'\'"), unterminated("string constant", 0));
        assert_eq!(compiled(r"E'\"), unterminated("string constant", 0));
        assert_eq!(compiled("1 $a$ $b$"), unterminated("string constant", 2));
        assert_eq!(compiled("1 /* /* */"), unterminated("comment", 2));
        assert_eq!(compiled("a\"b"), unterminated("quoted identifier", 1));
        assert_eq!(compiled("a u&\""), unterminated("quoted identifier", 2));
        assert_eq!(
            compiled("id = 'x").expect_err("no end").to_string(),
            "unterminated string constant at byte 6 of the expression"
        );
    }

    #[test]
    fn nothing_is_no_expression() {
        for nothing in ["", " \n", "-- id", "/* id */"] {
            assert_eq!(compiled(nothing), Err(Unreadable::Empty));
        }
    }

    /// A piece of an expression, and the column that it stands for.
    fn piece() -> impl Strategy<Value = (String, Option<usize>)> {
        let text = "[ a-z'\"$*/\\n\\\\é-]{0,9}";
        let column = (0..COLUMNS.len()).prop_flat_map(|position| {
            let name = COLUMNS[position];
            let word = if name.contains(' ') { format!("\"{name}\"") } else { name.to_owned() };
            select(vec![(word, Some(position)), (format!("\"{name}\""), Some(position))])
        });
        let name = select(&COLUMNS[..]);
        let other = prop_oneof![
            text.prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
            text.prop_map(|text| format!("E'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))),
            text.prop_map(|text| format!("$x${}$x$", text.replace('x', "$"))),
            text.prop_map(|text| format!("/*{}*/1", text.replace(['*', '/'], "/**/id"))),
            text.prop_map(|text| format!("--{}\n1", text.replace('\n', "id"))),
            text.prop_map(|text| format!("\"{}x\"", text.replace('"', "\"\""))),
            name.clone().prop_map(|name| format!("\"{name}\".\"{name}\"")),
            name.prop_map(|name| format!("\"{name}\" (1)")),
            select(vec!["1.5e3", "now()", "x", "null", "lower('X')", "t.id", "'a'\n'id'"])
                .prop_map(String::from),
        ];
        prop_oneof![column, other.prop_map(|text| (text, None))]
    }

    proptest! {
        #[test]
        fn only_columns_are_replaced(
            pieces in proptest::collection::vec((piece(), select(vec!["+", " < ", ",", "="])), 1..9),
        ) {
            let mut expression = String::new();
            let mut expected = String::from("select ");
            let mut parameters: Vec<usize> = Vec::new();
            for ((text, column), operator) in &pieces {
                expression += text;
                match column {
                    None => expected += text,
                    Some(column) => {
                        if !parameters.contains(column) {
                            parameters.push(*column);
                        }
                        let number = parameters.iter().position(|known| known == column).expect("known") + 1;
                        expected += &format!(" ${number} ");
                    }
                }
                expression += operator;
                expected += operator;
            }
            prop_assert_eq!(compiled(&expression), Ok((expected, parameters)));
        }

        #[test]
        fn without_columns_nothing_changes(
            expression in "([a-z_$0-9 '\"./*:=\\\\é\n-]|'E|/\\*|\\*/|--|\\$x\\$){0,30}",
        ) {
            if let Ok(compiled) = compile(expression.as_bytes(), &[]) {
                let sql = String::from_utf8(compiled.sql).expect("UTF-8 stays UTF-8");
                let unchanged = format!("select {expression}");
                prop_assert!(sql == unchanged || sql == unchanged + "\n");
            }
        }

        #[test]
        fn anything_can_be_compiled_or_refused(expression: Vec<u8>, columns: Vec<Vec<u8>>) {
            let _ = compile(&expression, &columns.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }
}
