//! Arrays of one dimension as text.

use crate::{Error, Result};

/// Writes an array; `None` is NULL. Everything is quoted that is not obviously safe, and so is a text that reads as
/// NULL.
#[must_use]
pub fn write<T: AsRef<str>>(elements: &[Option<T>]) -> String {
    let mut text = String::from("{");
    for (number, element) in elements.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        match element.as_ref().map(AsRef::as_ref) {
            None => text.push_str("NULL"),
            Some(element) if is_plain(element) => text.push_str(element),
            Some(element) => {
                text.push('"');
                for character in element.chars() {
                    if let '"' | '\\' = character {
                        text.push('\\');
                    }
                    text.push(character);
                }
                text.push('"');
            }
        }
    }
    text.push('}');
    text
}

fn is_plain(element: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z') || b"_.%&=()<>*/+-".contains(&byte);
    !element.is_empty() && element.bytes().all(is_plain) && element != "null"
}

/// Reads an array; `None` is NULL. Bounds before it (`[0:2]=`) count for nothing. Arrays in arrays are refused.
pub fn read(text: &str) -> Result<Vec<Option<String>>> {
    elements(text).ok_or_else(|| Error::bad(format!("not an array of one dimension: {text}")))
}

fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let array = without_bounds(text.trim_matches(BLANK))?;
    let mut rest = array.trim_start_matches(BLANK).strip_prefix('{')?.trim_start_matches(BLANK);
    let mut elements = Vec::new();
    if rest.starts_with('}') {
        return (rest == "}").then_some(elements);
    }
    loop {
        let (element, behind) = element(rest.trim_start_matches(BLANK))?;
        elements.push(element);
        let behind = behind.trim_start_matches(BLANK);
        if behind == "}" {
            return Some(elements);
        }
        rest = behind.strip_prefix(',')?;
    }
}

const BLANK: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];

fn without_bounds(text: &str) -> Option<&str> {
    let Some(bounds) = text.strip_prefix('[') else { return Some(text) };
    let (bounds, array) = bounds.split_once("]=")?;
    let (lower, upper) = bounds.split_once(':')?;
    let (lower, upper): (i32, i32) = (lower.parse().ok()?, upper.parse().ok()?);
    (lower <= upper).then_some(array)
}

/// The element that is here, and what is behind it.
fn element(text: &str) -> Option<(Option<String>, &str)> {
    let is_quoted = text.starts_with('"');
    let mut element = String::new();
    let (mut kept, mut escaped) = (0, false);
    let mut characters = text.char_indices().skip(usize::from(is_quoted));
    loop {
        let (at, character) = characters.next()?;
        match character {
            '\\' => {
                element.push(characters.next()?.1);
                (kept, escaped) = (element.len(), true);
            }
            '"' if is_quoted => return Some((Some(element), &text[at + 1..])),
            ',' | '}' if !is_quoted => {
                let blanks = element[kept..].trim_end_matches(BLANK).len();
                element.truncate(kept + blanks);
                let is_null = !escaped && element.eq_ignore_ascii_case("null");
                return (!element.is_empty()).then_some(((!is_null).then_some(element), &text[at..]));
            }
            '"' | '{' if !is_quoted => return None,
            _ => element.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn some(elements: &[&str]) -> Vec<Option<String>> {
        elements.iter().map(|element| Some((*element).to_owned())).collect()
    }

    #[test]
    fn the_array_of_the_specification() {
        let elements = [Some("x y"), None, Some(""), Some("b")];
        assert_eq!(write(&elements), r#"{"x y",NULL,"",b}"#);
        assert_eq!(read(r#"{"x y",NULL,"",b}"#).unwrap(), elements.map(|e| e.map(str::to_owned)));
        assert_eq!(write::<&str>(&[]), "{}");
        assert_eq!(write(&[Some("0-9a-z_.%&=()<>*/+-")]), "{0-9a-z_.%&=()<>*/+-}");
        assert_eq!(
            write(&[Some("A"), Some("õ"), Some("a\\\"b"), Some("a,b")]),
            r#"{"A","õ","a\\\"b","a,b"}"#
        );
    }

    #[test]
    fn a_text_that_reads_as_null_is_quoted() {
        assert_eq!(write(&[Some("null"), Some("NULL"), Some("nULl")]), r#"{"null","NULL","nULl"}"#);
    }

    #[test]
    fn what_servers_write_is_read() {
        assert_eq!(read("{}").unwrap(), []);
        assert_eq!(read("[0:2]={1,2,3}").unwrap(), some(&["1", "2", "3"]));
        assert_eq!(read("[-1:-1]={a}").unwrap(), some(&["a"]));
        assert_eq!(read(r#"{"a\"b","c\\",õ}"#).unwrap(), some(&["a\"b", "c\\", "õ"]));
        assert_eq!(read("{null,Null,\"null\"}").unwrap(), [None, None, Some("null".into())]);
    }

    #[test]
    fn what_people_write_is_read() {
        assert_eq!(read(" { } ").unwrap(), []);
        assert_eq!(read("{ a b , \"c\" ,d\\ }").unwrap(), some(&["a b", "c", "d "]));
        assert_eq!(read(r"{nul\l,\,}").unwrap(), some(&["null", ","]));
    }

    #[test]
    fn other_texts_are_refused() {
        let texts = [
            "",
            "{",
            "a",
            "{a",
            "{a,}",
            "{,a}",
            "{,}",
            "{a}b",
            "{}a",
            "{{a}}",
            "{a{b}",
            "{\"a\"b}",
            "{\"a}",
            "{a\\}",
            "[0:1]",
            "[x:1]={a}",
            "[2:1]={a}",
            "[1]={a}",
            "{a\"b\"}",
            "[1:1][1:1]={{a}}",
        ];
        for text in texts {
            let refusal = read(text).unwrap_err().to_string();
            assert_eq!(refusal, format!("not an array of one dimension: {text}"));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(elements: Vec<Option<String>>) {
            prop_assert_eq!(read(&write(&elements)).unwrap(), elements);
        }

        #[test]
        fn anything_is_read_or_refused(text in r#"[\[{][a{}\[\]",\\ :=1õ]{0,12}"#) {
            let _ = read(&text);
        }
    }
}
