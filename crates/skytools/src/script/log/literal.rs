//! The tuple literals of python in which a skylog.ini has the arguments of its handlers:
//! `('~/log/%(job_name)s.log', 100*1024*1024, 3)`. They are read, never evaluated.

use std::iter::Peekable;
use std::str::Chars;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    None,
    Text(String),
    Number(i64),
    Stderr,
    Stdout,
    Tuple(Vec<Self>),
}

/// Reads a tuple. Errors tell what is wrong where, and never show the text: it may hold a password.
pub(super) fn tuple(text: &str) -> Result<Vec<Literal>, String> {
    let mut reader = Reader { rest: text.chars().peekable() };
    let value = reader.product().map_err(|what| {
        format!("{what} at character {}", text.chars().count() - reader.rest.clone().count() + 1)
    })?;
    match value {
        Literal::Tuple(_) if reader.peek().is_some() => Err("there is something behind the tuple".to_owned()),
        Literal::Tuple(items) => Ok(items),
        _ => Err("this is no tuple: one of a single value is written (value,)".to_owned()),
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    /// The next character that is no blank.
    fn peek(&mut self) -> Option<char> {
        while self.rest.next_if(char::is_ascii_whitespace).is_some() {}
        self.rest.peek().copied()
    }

    fn next_if(&mut self, wanted: char) -> bool {
        self.peek() == Some(wanted) && self.rest.next().is_some()
    }

    fn product(&mut self) -> Result<Literal, String> {
        let mut product = self.value()?;
        while self.next_if('*') {
            product = match (product, self.value()?) {
                (Literal::Number(one), Literal::Number(two)) => {
                    Literal::Number(one.checked_mul(two).ok_or("a product that is too large")?)
                }
                _ => return Err("a product of what are no numbers".to_owned()),
            };
        }
        Ok(product)
    }

    fn value(&mut self) -> Result<Literal, String> {
        match self.peek() {
            Some('(') => self.parenthesis(),
            Some('\'' | '"') => self.text(),
            Some(digit) if digit.is_ascii_digit() => {
                let digits = self.word(|letter| letter.is_ascii_digit());
                digits.parse().map(Literal::Number).map_err(|_| "a number that is too large".to_owned())
            }
            Some(letter) if letter.is_ascii_alphabetic() => {
                match self
                    .word(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_'))
                    .as_str()
                {
                    "None" => Ok(Literal::None),
                    "sys.stderr" => Ok(Literal::Stderr),
                    "sys.stdout" => Ok(Literal::Stdout),
                    _ => Err("an unknown name: only sys.stderr, sys.stdout and None may be used".to_owned()),
                }
            }
            Some(_) => Err("neither text, number nor tuple".to_owned()),
            None => Err("a value is missing".to_owned()),
        }
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> String {
        std::iter::from_fn(|| self.rest.next_if(|letter| belongs(*letter))).collect()
    }

    /// A tuple, or a value in parentheses.
    fn parenthesis(&mut self) -> Result<Literal, String> {
        self.rest.next();
        let mut items = Vec::new();
        let mut has_comma = false;
        while !self.next_if(')') {
            if !items.is_empty() && !has_comma {
                return Err("neither a comma nor the end of the tuple".to_owned());
            }
            items.push(self.product()?);
            has_comma = self.next_if(',');
        }
        match items.as_slice() {
            [single] if !has_comma => Ok(single.clone()),
            _ => Ok(Literal::Tuple(items)),
        }
    }

    fn text(&mut self) -> Result<Literal, String> {
        let quote = self.rest.next();
        let mut text = String::new();
        loop {
            match self.rest.next() {
                end if end.is_some() && end == quote => return Ok(Literal::Text(text)),
                Some('\\') => match self.rest.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some(sign @ ('\\' | '\'' | '"')) => text.push(sign),
                    Some(other) => text.extend(['\\', other]),
                    None => {}
                },
                Some(letter) => text.push(letter),
                None => return Err("a text without an end".to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::Literal::{Number, Stderr, Text, Tuple};
    use super::*;

    fn text(text: &str) -> Literal {
        Text(text.to_owned())
    }

    #[test]
    fn the_arguments_of_handlers_are_read() {
        for (written, read) in [
            ("()", vec![]),
            ("(sys.stderr,)", vec![Stderr]),
            ("( sys.stdout , )", vec![Literal::Stdout]),
            ("('/dev/log',)", vec![text("/dev/log")]),
            ("(('localhost', 514),)", vec![Tuple(vec![text("localhost"), Number(514)])]),
            ("(\"a'b\", 100*1024*1024, (3))", vec![text("a'b"), Number(104_857_600), Number(3)]),
            (r"('it\'s', 'c:\\x', '\d', 'é')", vec![text("it's"), text(r"c:\x"), text(r"\d"), text("é")]),
            ("('x',\n  None\n)", vec![text("x"), Literal::None]),
        ] {
            assert_eq!(tuple(written).unwrap(), read, "{written}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for (written, why) in [
            ("", "a value is missing at character 1"),
            ("('x')", "this is no tuple: one of a single value is written (value,)"),
            ("'x'", "this is no tuple: one of a single value is written (value,)"),
            ("('x' 'y')", "neither a comma nor the end of the tuple at character 6"),
            ("('x', ", "a value is missing at character 7"),
            ("(1,) + (2,)", "there is something behind the tuple"),
            (
                "(os.environ,)",
                "an unknown name: only sys.stderr, sys.stdout and None may be used at character 12",
            ),
            ("('x*", "a text without an end at character 5"),
            ("('x'*3,)", "a product of what are no numbers at character 7"),
            ("(9999999999*9999999999,)", "a product that is too large at character 23"),
            ("(99999999999999999999,)", "a number that is too large at character 22"),
            ("(,)", "neither text, number nor tuple at character 2"),
        ] {
            assert_eq!(tuple(written).unwrap_err(), why, "{written}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_python_would_write_it(parts in prop::collection::vec("\\PC{0,20}", 0..4)) {
            let quoted = parts.iter().map(|part| format!("'{}',", part.replace('\\', r"\\").replace('\'', r"\'")));
            let written = format!("({})", quoted.collect::<String>());
            let read: Vec<Literal> = parts.iter().map(|part| text(part)).collect();
            if !parts.is_empty() {
                prop_assert_eq!(tuple(&written).unwrap(), read);
            }
        }

        #[test]
        fn no_text_does_harm(written in "[()'\",*0-9sx. \\\\]{0,40}") {
            let _ = tuple(&written);
        }
    }
}
