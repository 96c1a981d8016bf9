//! A script cut into statements.

use super::tokens::{Dialect, Kind, Token, tokens};
use crate::{Error, Result};

/// The statements of a script, each with the semicolon at its end, and without blanks and comments around it. What has
/// nothing before its semicolon is left out.
///
/// Semicolons in parentheses, quotes, comments and in the bodies of SQL functions (`begin atomic … end`) end nothing.
/// `backslashes` is that of [`Dialect`]. It is an error if something is never closed or was never opened, and if data
/// would follow (`copy … from stdin`).
pub fn statements(sql: &str, backslashes: bool) -> Result<Vec<&str>> {
    let mut statements = Vec::new();
    let mut reading = Reading::default();
    for token in tokens(sql, Dialect { backslashes, qualified: false }) {
        let refused = |why| Error::bad(format!("line {}: {why}", line(sql, token.start)));
        match token.kind {
            Kind::Blank => continue,
            Kind::Error => return Err(refused("a quote or comment is never closed".to_owned())),
            _ => reading.take(token).map_err(refused)?,
        }
        if token.is_symbol(";") && reading.is_whole() {
            statements.extend(reading.text(sql).filter(|text| *text != ";"));
            reading = Reading::default();
        }
    }
    if !reading.is_whole() {
        let start = reading.bounds.map_or(0, |(start, _)| start);
        let what = if reading.parentheses > 0 { "a parenthesis" } else { "begin atomic" };
        return Err(Error::bad(format!(
            "line {}: {what} is never closed in this statement",
            line(sql, start)
        )));
    }
    statements.extend(reading.text(sql));
    Ok(statements)
}

fn line(sql: &str, at: usize) -> usize {
    1 + sql[..at].matches('\n').count()
}

/// What has been seen of a statement.
#[derive(Default)]
struct Reading<'a> {
    /// Where it begins, and where its last token ends.
    bounds: Option<(usize, usize)>,
    parentheses: usize,
    /// How many `end` are to come: of `begin atomic`, and of each `case` in it.
    ends: usize,
    is_copy: bool,
    last: Option<Token<'a>>,
}

impl<'a> Reading<'a> {
    fn take(&mut self, token: Token<'a>) -> Result<(), String> {
        let begins = self.bounds.is_none();
        self.bounds = Some((self.bounds.map_or(token.start, |(start, _)| start), token.end()));
        if token.is_symbol("(") {
            self.parentheses += 1;
        } else if token.is_symbol(")") {
            self.parentheses = self.parentheses.checked_sub(1).ok_or("a parenthesis was never opened")?;
        }
        self.is_copy |= begins && token.is_word("copy");
        let follows = |word| self.last.is_some_and(|last| last.is_word(word));
        if self.is_copy && self.parentheses == 0 && follows("from") && token.is_word("stdin") {
            return Err("copy from stdin has no place in a script".to_owned());
        }
        let is_name = follows("as") || self.last.is_some_and(|last| last.is_symbol("."));
        if token.is_word("atomic") && follows("begin") || self.ends > 0 && token.is_word("case") && !is_name {
            self.ends += 1;
        } else if token.is_word("end") && !is_name {
            self.ends = self.ends.saturating_sub(1);
        }
        self.last = Some(token);
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.parentheses == 0 && self.ends == 0
    }

    fn text(&self, sql: &'a str) -> Option<&'a str> {
        self.bounds.map(|(start, end)| &sql[start..end])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn cut(sql: &str) -> Vec<&str> {
        statements(sql, false).unwrap()
    }

    fn refusal(sql: &str) -> String {
        statements(sql, false).unwrap_err().to_string()
    }

    #[test]
    fn a_script_is_cut_at_its_semicolons() {
        assert_eq!(cut("-- a\n select 1 ; /* b */ select 2"), ["select 1 ;", "select 2"]);
        assert_eq!(cut("select 1; -- b\n"), ["select 1;"]);
        assert_eq!(cut("select 1 -- b;"), ["select 1"]);
        assert_eq!(cut(";; ;\n"), [""; 0]);
        assert_eq!(cut(""), [""; 0]);
    }

    #[test]
    fn what_is_inside_of_something_ends_nothing() {
        for statement in [
            "create rule r as on insert to t do (select 1; select 2);",
            "select ';', E'\\';', \";\", $a$ ; $$ ; $a$ -- ;\n;",
            "select /* ; /* ; */ ; */ 1;",
            "select 'a'\n';';",
        ] {
            assert_eq!(cut(&format!("{statement}\n{statement}")), [statement; 2]);
        }
        assert_eq!(statements(r"select '\';'; x", true).unwrap(), [r"select '\';';", "x"]);
    }

    #[test]
    fn bodies_of_sql_functions_are_whole() {
        let function = "create function f(a int) returns int\nBegin /* ; */ Atomic\n select 1;\n \
                        select case a when 1 then case when true then 2 end else 3 end;\n\
                        select 1 as case, 2 as end, t.end from t;\n END;";
        assert_eq!(
            cut(&format!("{function} begin; end; select case 1 when 1 then 2 end;")),
            [function, "begin;", "end;", "select case 1 when 1 then 2 end;"]
        );
        assert_eq!(cut("begin; select 'atomic'; end"), ["begin;", "select 'atomic';", "end"]);
    }

    #[test]
    fn data_is_refused() {
        assert_eq!(
            refusal("select 1;\ncopy t (a) from stdin;\n1\n"),
            "line 2: copy from stdin has no place in a script"
        );
        assert_eq!(cut("copy t from '/x'; copy t to stdout; select a from stdin;").len(), 3);
        assert_eq!(cut("copy (select a from stdin) to '/x';").len(), 1);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(
            refusal("select 1;\nselect (1;\n"),
            "line 2: a parenthesis is never closed in this statement"
        );
        assert_eq!(refusal("select (1));"), "line 1: a parenthesis was never opened");
        assert_eq!(refusal("\nselect 'a"), "line 2: a quote or comment is never closed");
        assert_eq!(refusal("select 1; /*"), "line 1: a quote or comment is never closed");
        assert_eq!(refusal("create function f() begin atomic select 1;"), {
            "line 1: begin atomic is never closed in this statement"
        });
    }

    proptest! {
        #[test]
        fn anything_is_cut_or_refused(sql in r#"([a;()'"$ \n/*-]|begin atomic |case |end |\PC){0,40}"#) {
            if let Ok(cut) = statements(&sql, false) {
                let mut rest = sql.as_str();
                for statement in cut {
                    prop_assert!(!statement.trim_start_matches(' ').is_empty());
                    rest = &rest[rest.find(statement).unwrap() + statement.len()..];
                }
                prop_assert!(!rest.contains('a') || rest.contains("--") || rest.contains("/*"), "{}", rest);
            }
        }
    }
}
