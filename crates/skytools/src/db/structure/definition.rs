//! A definition that the catalog has written, and the names in it.
//!
//! Up to the table's name such a text consists of keywords in capitals and of names, and a name that looks like a
//! keyword in capitals is quoted. So a word that is `ON` can be nothing but the keyword.

use std::ops::Range;

use crate::{Error, Result};

/// `CREATE INDEX name ON table …` with other names: the word after `kind` is the name, the one after `before_table`
/// (or after the `ONLY` that follows it) the table.
pub(super) fn renamed(
    definition: &str,
    (kind, name): (&str, &str),
    (before_table, table): (&str, &str),
) -> Result<String> {
    let unexpected = || Error::bad(format!("no names found in the catalog's definition: {definition}"));
    let mut words = words(definition);
    let mut after = |keyword: &str| {
        words.find(|word| &definition[word.clone()] == keyword)?;
        let word = words.next()?;
        if &definition[word.clone()] == "ONLY" { words.next() } else { Some(word) }
    };
    let old_name = after(kind).ok_or_else(unexpected)?;
    let old_table = after(before_table).ok_or_else(unexpected)?;
    Ok([
        &definition[..old_name.start],
        name,
        &definition[old_name.end..old_table.start],
        table,
        &definition[old_table.end..],
    ]
    .concat())
}

/// The words between blanks; what stands in double quotes is one with what touches it.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(|c: char| !c.is_ascii_whitespace())?;
        let mut quoted = false;
        let length = text[start..].find(|c: char| {
            quoted ^= c == '"';
            !quoted && c.is_ascii_whitespace()
        });
        rest = length.map_or(text.len(), |length| start + length);
        Some(start..rest)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::renamed;

    #[track_caller]
    fn check(definition: &str, kind: &str, before_table: &str, expected: &str) {
        assert_eq!(renamed(definition, (kind, "N"), (before_table, "S.T")).unwrap(), expected);
    }

    #[test]
    fn names_are_found_whatever_they_contain() {
        check(
            r#"CREATE UNIQUE INDEX "a ON b" ON ONLY "s . x"."ON ""t" USING btree (a)"#,
            "INDEX",
            "ON",
            "CREATE UNIQUE INDEX N ON ONLY S.T USING btree (a)",
        );
        check(
            r#"CREATE CONSTRAINT TRIGGER "INDEX ON" AFTER UPDATE OF "x ON y", z ON s.t FROM s.o FOR EACH ROW"#,
            "TRIGGER",
            "ON",
            r#"CREATE CONSTRAINT TRIGGER N AFTER UPDATE OF "x ON y", z ON S.T FROM s.o FOR EACH ROW"#,
        );
        check(
            "CREATE RULE \" TO \" AS\n    ON INSERT TO s.\"a b\" DO INSTEAD NOTHING;",
            "RULE",
            "TO",
            "CREATE RULE N AS\n    ON INSERT TO S.T DO INSTEAD NOTHING;",
        );
    }

    #[test]
    fn what_is_no_definition_is_an_error() {
        assert!(renamed("SELECT 1", ("INDEX", "n"), ("ON", "t")).is_err());
    }
}
