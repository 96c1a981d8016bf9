//! What stands between the parentheses of `EXECUTE FUNCTION pgq.logutriga('queue', 'ignore=a,b', 'backup')`.

use thiserror::Error;

use crate::quoted;

/// The arguments of logutriga, sqltriga or jsontriga.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// The first argument: the queue that gets the events.
    pub queue: Vec<u8>,
    /// `SKIP`: the event is written and the operation is not done.
    pub skip: bool,
    /// `deny`: the operation is an error.
    pub deny: bool,
    /// `backup`: the event of an update holds the old row, too.
    pub backup: bool,
    /// `keyupdate`: an update of the key is a delete and an insert, instead of an error.
    pub key_update: bool,
    /// `nogenerated`: generated columns are left out.
    pub no_generated: bool,
    /// `ignore=a,b`: columns that are left out.
    pub ignore: Vec<Vec<u8>>,
    /// `pkey=a,b`: the key, instead of the table's primary key.
    pub key: Option<Vec<Vec<u8>>>,
    /// `when=EXPRESSION`: events are written only where it is true.
    pub when: Option<Vec<u8>>,
    /// `ev_type=EXPRESSION` to `ev_extra4=EXPRESSION`, in the order of [`FIELDS`].
    pub fields: [Option<Vec<u8>>; 6],
}

/// The fields of an event that an expression can replace.
pub const FIELDS: [&str; 6] = ["ev_type", "ev_data", "ev_extra1", "ev_extra2", "ev_extra3", "ev_extra4"];

/// Why arguments are refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadArgument {
    /// There is no first argument.
    #[error("queue name is missing")]
    NoQueue,
    /// No option is called so.
    #[error("unknown option \"{}\"", String::from_utf8_lossy(.0))]
    UnknownOption(Vec<u8>),
    /// In the list of this option a quoted name does not end, or there is something behind it that is no comma.
    #[error("unreadable column list in option \"{}\"", String::from_utf8_lossy(.0))]
    UnreadableList(Vec<u8>),
}

impl BadArgument {
    /// What can be done about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            BadArgument::NoQueue => "The trigger's first argument is the queue's name.",
            BadArgument::UnknownOption(_) => {
                "Options are SKIP, backup, deny, keyupdate, nogenerated, ignore=COLUMNS, pkey=COLUMNS, \
                 when=EXPRESSION, and ev_type, ev_data, ev_extra1 to ev_extra4=EXPRESSION."
            }
            BadArgument::UnreadableList(_) => {
                "Columns are separated by commas. In a name between double quotes each double quote is doubled."
            }
        }
    }
}

/// Reads the arguments. Of a list given twice the last counts, of an expression the first, as in PgQ 3.5.
pub fn parse(arguments: &[&[u8]]) -> Result<Arguments, BadArgument> {
    let (queue, options) = arguments.split_first().ok_or(BadArgument::NoQueue)?;
    let mut parsed = Arguments { queue: queue.to_vec(), ..Arguments::default() };
    for option in options {
        parsed.add(option)?;
    }
    Ok(parsed)
}

impl Arguments {
    fn add(&mut self, option: &[u8]) -> Result<(), BadArgument> {
        match split_once(option, b'=') {
            None => *self.flag(option).ok_or_else(|| BadArgument::UnknownOption(option.to_vec()))? = true,
            Some((b"ignore", list)) => self.ignore = columns(option, list)?,
            Some((b"pkey", list)) => self.key = Some(columns(option, list)?),
            Some((name, expression)) => {
                self.expression(name)
                    .ok_or_else(|| BadArgument::UnknownOption(option.to_vec()))?
                    .get_or_insert_with(|| expression.to_vec());
            }
        }
        Ok(())
    }

    fn flag(&mut self, name: &[u8]) -> Option<&mut bool> {
        Some(match name {
            b"SKIP" => &mut self.skip,
            b"deny" => &mut self.deny,
            b"backup" => &mut self.backup,
            b"keyupdate" => &mut self.key_update,
            b"nogenerated" => &mut self.no_generated,
            _ => return None,
        })
    }

    fn expression(&mut self, name: &[u8]) -> Option<&mut Option<Vec<u8>>> {
        if name == b"when" {
            return Some(&mut self.when);
        }
        let field = FIELDS.iter().position(|field| field.as_bytes() == name)?;
        Some(&mut self.fields[field])
    }
}

fn columns(option: &[u8], list: &[u8]) -> Result<Vec<Vec<u8>>, BadArgument> {
    names(list).ok_or_else(|| BadArgument::UnreadableList(option.to_vec()))
}

/// The names in a list. One between double quotes may hold anything; any other is taken as it stands, up to the next
/// comma and without the blanks around it. Nothing between two commas is no name.
fn names(list: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    let mut rest = list.trim_ascii_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let (name, length) = quoted::read(quoted, b'"')?;
            names.push(name);
            let behind = quoted[length..].trim_ascii_start();
            rest = if behind.is_empty() { behind } else { behind.strip_prefix(b",")? };
        } else {
            let (name, behind) = split_once(rest, b',').unwrap_or((rest, b""));
            if !name.trim_ascii().is_empty() {
                names.push(name.trim_ascii().to_vec());
            }
            rest = behind;
        }
        rest = rest.trim_ascii_start();
    }
    Some(names)
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == separator)?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Arguments, BadArgument> {
        parse(&arguments.iter().map(|argument| argument.as_bytes()).collect::<Vec<_>>())
    }

    fn names_in(list: &str) -> Option<Vec<String>> {
        let names = names(list.as_bytes())?;
        Some(names.into_iter().map(|name| String::from_utf8(name).expect("UTF-8 stays UTF-8")).collect())
    }

    #[test]
    fn a_queue_is_enough_and_must_be_there() {
        assert_eq!(parsed(&["q"]), Ok(Arguments { queue: b"q".to_vec(), ..Arguments::default() }));
        assert_eq!(parsed(&[]), Err(BadArgument::NoQueue));
    }

    #[test]
    fn every_option() {
        let arguments = parsed(&[
            "q",
            "SKIP",
            "deny",
            "backup",
            "keyupdate",
            "nogenerated",
            "ignore=a,b",
            "pkey=c",
            "when=a=1",
            "ev_type='x'",
            "ev_data=b",
            "ev_extra1=1",
            "ev_extra2=2",
            "ev_extra3=3",
            "ev_extra4=",
        ]);
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(
            arguments,
            Ok(Arguments {
                queue: b"q".to_vec(),
                skip: true,
                deny: true,
                backup: true,
                key_update: true,
                no_generated: true,
                ignore: vec![b"a".to_vec(), b"b".to_vec()],
                key: Some(vec![b"c".to_vec()]),
                when: some("a=1"),
                fields: [some("'x'"), some("b"), some("1"), some("2"), some("3"), some("")],
            })
        );
    }

    #[test]
    fn of_lists_the_last_counts_and_of_expressions_the_first() {
        let arguments = parsed(&[
            "q",
            "ignore=a",
            "pkey=a",
            "when=1",
            "ev_type=1",
            "ignore=b",
            "pkey=",
            "when=2",
            "ev_type=2",
        ])
        .expect("good arguments");
        assert_eq!(arguments.ignore, [b"b"]);
        assert_eq!(arguments.key, Some(vec![]));
        assert_eq!(arguments.when, Some(b"1".to_vec()));
        assert_eq!(arguments.fields[0], Some(b"1".to_vec()));
    }

    #[test]
    fn options_are_spelled_exactly() {
        for option in
            ["skip", "Backup", " deny", "deny=1", "", "ignore", "when", "ev_extra5=1", "=", "IGNORE=a"]
        {
            let refused = parsed(&["q", option]).expect_err(option);
            assert_eq!(refused, BadArgument::UnknownOption(option.as_bytes().to_vec()));
            assert_eq!(refused.to_string(), format!("unknown option {option:?}"));
        }
    }

    #[test]
    fn names_are_trimmed_and_may_be_quoted() {
        let names = |list| names_in(list).expect("a readable list");
        assert_eq!(names("b, c"), ["b", "c"]);
        assert_eq!(names(" Order Id ,Qty"), ["Order Id", "Qty"]);
        assert_eq!(names(r#"" a,b ", "say ""hi""" ,c"#), [" a,b ", "say \"hi\"", "c"]);
        assert_eq!(names(r#"a"b"#), ["a\"b"]);
        assert_eq!(names(",a,, b,"), ["a", "b"]);
        assert_eq!(names("  "), [""; 0]);
    }

    #[test]
    fn quotes_end_before_a_comma() {
        for list in [r#"a,"b"#, r#""a"b"#, r#"""a"#, "\""] {
            assert_eq!(names_in(list), None, "{list}");
        }
        assert_eq!(parsed(&["q", "pkey=\"a"]), Err(BadArgument::UnreadableList(b"pkey=\"a".to_vec())));
    }

    proptest! {
        #[test]
        fn anything_can_be_read_or_refused(arguments: Vec<Vec<u8>>) {
            let _ = parse(&arguments.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }

        #[test]
        fn any_name_can_be_written_in_quotes(columns: Vec<Vec<u8>>) {
            let list = columns.iter().map(|name| quote(name)).collect::<Vec<_>>().join(&b", "[..]);
            prop_assert_eq!(names(&list), Some(columns));
        }
    }

    fn quote(name: &[u8]) -> Vec<u8> {
        let mut quoted = vec![b'"'];
        for &byte in name {
            quoted.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 }));
        }
        quoted.push(b'"');
        quoted
    }
}
