//! The INI file as it is written: sections, keys, lines that go on, other files that are included.
//!
//! What a value means is told elsewhere: references in it by [`interpolation`](super::interpolation), its type by
//! [`value`](super::value).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::script::value;
use crate::{Error, Result};

/// The section whose keys every other section has too.
pub const DEFAULT: &str = "DEFAULT";

/// The text of an INI file and of those that it includes, cut into sections and keys.
#[derive(Clone, Debug, Default)]
pub struct Ini {
    sections: BTreeMap<String, Section>,
    warnings: Vec<String>,
}

/// The keys of a section, in lower case.
pub type Section = BTreeMap<String, Entry>;

/// A value as it was written, continuation lines included, and where.
#[derive(Clone)]
pub struct Entry {
    /// The text, before interpolation.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// Without the text, which may be a password.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({})", self.place)
    }
}

/// A line of a file.
#[derive(Clone, Debug)]
pub struct Place {
    file: Arc<str>,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Ini {
    /// Reads a file. Errors tell file and line.
    pub fn read(file: &Path) -> Result<Self> {
        let mut reader = Reader::default();
        reader.file(file).map_err(|failure| match failure {
            Failure::Unreadable(why) | Failure::Wrong(why) => Error::Usage(why),
        })?;
        Ok(reader.ini)
    }

    /// The names of the sections, without DEFAULT.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str).filter(|name| *name != DEFAULT)
    }

    /// The keys that stand in a section itself.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.get(name)
    }

    /// A value of a section, or of DEFAULT. The key is in lower case.
    #[must_use]
    pub fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        [section, DEFAULT].into_iter().find_map(|name| self.sections.get(name)?.get(key))
    }

    /// What is allowed, but hardly meant.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Why a file could not be read: an including file tells its line only when the included one told none.
enum Failure {
    Unreadable(String),
    Wrong(String),
}

#[derive(Default)]
struct Reader {
    ini: Ini,
    section: Option<String>,
    /// The files that are being read: each includes the next.
    open: Vec<PathBuf>,
}

impl Reader {
    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let unreadable =
            |why: &dyn fmt::Display| Failure::Unreadable(format!("read {}: {why}", path.display()));
        let identity = path.canonicalize().map_err(|error| unreadable(&error))?;
        if self.open.contains(&identity) {
            return Err(unreadable(&"it includes itself"));
        }
        let text = std::fs::read(path).map_err(|error| unreadable(&error))?;
        let text = String::from_utf8(text).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
            Failure::Wrong(format!("{}:{line}: not UTF-8", path.display()))
        })?;
        self.open.push(identity);
        self.text(path, &text)?;
        self.open.pop();
        Ok(())
    }

    fn text(&mut self, path: &Path, text: &str) -> Result<(), Failure> {
        let file: Arc<str> = path.to_string_lossy().into();
        // The key whose value may go on, and how far that key is indented.
        let mut going_on: Option<(String, usize)> = None;
        for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
            let content = line.trim_ascii();
            if content.is_empty() || content.starts_with(['#', ';']) {
                continue;
            }
            let place = Place { file: Arc::clone(&file), line: index + 1 };
            let indentation = line.len() - line.trim_ascii_start().len();
            if let Some((key, _)) = going_on.as_ref().filter(|(_, of_key)| indentation > *of_key) {
                self.go_on(key, content);
                continue;
            }
            going_on = None;
            if let Some(directive) = content.strip_prefix('%') {
                self.include(path, directive, &place)?;
            } else if content.starts_with('[') {
                self.section = Some(section_name(content, &place)?);
                self.keys();
            } else {
                going_on = Some((self.key(content, place)?, indentation));
            }
        }
        Ok(())
    }

    fn key(&mut self, line: &str, place: Place) -> Result<String, Failure> {
        let Some((key, text)) = line.split_once(['=', ':']).filter(|(key, _)| !key.trim_ascii().is_empty())
        else {
            return Err(wrong(&place, "neither [section] nor key = value nor # comment"));
        };
        if self.section.is_none() {
            return Err(wrong(&place, "a key before the first [section]"));
        }
        let (key, text) = (key.trim_ascii().to_lowercase(), text.trim_ascii().to_owned());
        if looks_commented(&text) {
            self.ini
                .warnings
                .push(format!("{place}: what follows ; is part of the value of {key}, no comment"));
        }
        let entry = Entry { text, place: place.clone() };
        if let Some(earlier) = self.keys().insert(key.clone(), entry)
            && earlier.place.file == place.file
        {
            self.ini
                .warnings
                .push(format!("{place}: {key} replaces its value of line {}", earlier.place.line));
        }
        Ok(key)
    }

    fn go_on(&mut self, key: &str, line: &str) {
        let text = &mut self.keys().get_mut(key).expect("it was inserted before").text;
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }

    /// The included file begins in the section of the line, and the lines after go on in it.
    fn include(&mut self, path: &Path, directive: &str, place: &Place) -> Result<(), Failure> {
        let file = directive
            .strip_prefix("include")
            .filter(|rest| rest.starts_with([' ', '\t']))
            .map(str::trim_ascii)
            .ok_or_else(|| wrong(place, "only %include FILE may begin with %"))?;
        let section = self.section.clone();
        let included = path.parent().unwrap_or(Path::new("")).join(value::expand_home(file));
        self.file(&included).map_err(|failure| match failure {
            Failure::Unreadable(why) => wrong(place, &why),
            Failure::Wrong(_) => failure,
        })?;
        self.section = section;
        Ok(())
    }

    /// The keys of the section that is being read.
    fn keys(&mut self) -> &mut Section {
        self.ini.sections.entry(self.section.clone().unwrap_or_default()).or_default()
    }
}

fn section_name(line: &str, place: &Place) -> Result<String, Failure> {
    let name = line[1..]
        .split_once(']')
        .filter(|(_, rest)| matches!(rest.trim_ascii_start().chars().next(), None | Some('#' | ';')))
        .map(|(name, _)| name.trim_ascii())
        .filter(|name| !name.is_empty());
    name.map(str::to_owned).ok_or_else(|| wrong(place, "a section is written [name]"))
}

fn wrong(place: &Place, why: &str) -> Failure {
    Failure::Wrong(format!("{place}: {why}"))
}

/// Once ` ;` began a comment. It no longer does, for SQL is full of it.
fn looks_commented(text: &str) -> bool {
    text.match_indices(';')
        .any(|(at, _)| text[..at].ends_with([' ', '\t']) && !text[at + 1..].trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Ini, String> {
        let mut reader = Reader::default();
        match reader.text(Path::new("x.ini"), text) {
            Ok(()) => Ok(reader.ini),
            Err(Failure::Wrong(why) | Failure::Unreadable(why)) => Err(why),
        }
    }

    fn value(text: &str, section: &str, key: &str) -> Option<String> {
        read(text).unwrap().entry(section, key).map(|entry| entry.text.clone())
    }

    #[test]
    fn keys_and_values_as_people_write_them() {
        for (line, key, expected) in [
            ("a = 1", "a", "1"),
            ("a: 1", "a", "1"),
            ("a=1", "a", "1"),
            ("Loop_Delay =  0.5  ", "loop_delay", "0.5"),
            ("db = host=x port=5", "db", "host=x port=5"),
            ("map = a:b, c:d", "map", "a:b, c:d"),
            ("db: host=x", "db", "host=x"),
            ("q = a ; b", "q", "a ; b"),
            ("q = # no comment", "q", "# no comment"),
            ("empty =", "empty", ""),
            ("name = T\u{f5}rva", "name", "T\u{f5}rva"),
        ] {
            assert_eq!(value(&format!("[s]\n{line}\n"), "s", key).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn comments_and_blank_lines_are_nothing() {
        let ini = read("# one\n; two\n\n[s]\n# three\na = 1\n;b = 2\n").unwrap();
        assert_eq!(ini.section("s").unwrap().keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn indented_lines_go_on() {
        let text = "[s]\npart_template =\n    create table _DEST ();\n\n# not in it\n      -- but this\n  ; nor this\n\t# or this\n\tgrant all;\nnext = 1\n";
        assert_eq!(
            value(text, "s", "part_template").as_deref(),
            Some("create table _DEST ();\n-- but this\ngrant all;")
        );
        assert_eq!(value(text, "s", "next").as_deref(), Some("1"));
        assert_eq!(value("[s]\na = b\n  c = d\n", "s", "a").as_deref(), Some("b\nc = d"));
        assert_eq!(value("[s]\na = b\n  [t]\n", "s", "a").as_deref(), Some("b\n[t]"));
    }

    #[test]
    fn keys_that_are_all_indented_are_keys() {
        let text = "[s]\n  a = 1\n  b = 2\n    more\n";
        assert_eq!(value(text, "s", "a").as_deref(), Some("1"));
        assert_eq!(value(text, "s", "b").as_deref(), Some("2\nmore"));
    }

    #[test]
    fn default_supplies_all_sections() {
        let text = "[DEFAULT]\na = 1\nb = 2\n[s]\nb = 3\n[t]\n";
        assert_eq!(value(text, "s", "a").as_deref(), Some("1"));
        assert_eq!(value(text, "s", "b").as_deref(), Some("3"));
        assert_eq!(value(text, "t", "b").as_deref(), Some("2"));
        assert_eq!(read(text).unwrap().sections().collect::<Vec<_>>(), ["s", "t"]);
    }

    #[test]
    fn files_from_other_systems_read_the_same() {
        assert_eq!(value("\u{feff}[s]\r\na = 1\r\n  2\r\n", "s", "a").as_deref(), Some("1\n2"));
    }

    #[test]
    fn of_two_values_the_later_holds_and_two_sections_of_a_name_are_one() {
        let ini = read("[s]\na = 1\na = 2\n[t]\n[s]\nb = 3 ; maybe\n").unwrap();
        assert_eq!(ini.entry("s", "a").unwrap().text, "2");
        assert_eq!(ini.entry("s", "b").unwrap().text, "3 ; maybe");
        assert_eq!(
            ini.warnings(),
            [
                "x.ini:3: a replaces its value of line 2",
                "x.ini:6: what follows ; is part of the value of b, no comment"
            ]
        );
        assert!(read("[s]\nq = select 1;\nr = select ';'\n").unwrap().warnings().is_empty());
    }

    #[test]
    fn errors_tell_the_line() {
        for (text, expected) in [
            ("[s]\nno value\n", "x.ini:2: neither [section] nor key = value nor # comment"),
            ("[s]\n= 1\n", "x.ini:2: neither [section] nor key = value nor # comment"),
            ("a = 1\n", "x.ini:1: a key before the first [section]"),
            ("[s\n", "x.ini:1: a section is written [name]"),
            ("[]\n", "x.ini:1: a section is written [name]"),
            ("[s] x\n", "x.ini:1: a section is written [name]"),
            ("[s]\n\n%exclude x\n", "x.ini:3: only %include FILE may begin with %"),
        ] {
            assert_eq!(read(text).unwrap_err(), expected, "{text:?}");
        }
        assert!(read("[s] ; comment\n[t]# comment\n").is_ok());
    }

    #[test]
    fn included_files_stand_where_they_are_included() {
        let guard = tempfile::tempdir().unwrap();
        let folder = guard.path();
        std::fs::create_dir_all(folder.join("parts")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("main.ini", "[s]\na = 1\nb = 2\n%include parts/one.ini\nc = 3\n");
        write("parts/one.ini", "b = 20\n[other]\nx = 9\n%include two.ini\n");
        write("parts/two.ini", "y = 8\n");
        let ini = Ini::read(&folder.join("main.ini")).unwrap();
        let text = |section, key| ini.entry(section, key).unwrap().text.as_str();
        assert_eq!((text("s", "b"), text("s", "c")), ("20", "3"));
        assert_eq!((text("other", "x"), text("other", "y")), ("9", "8"));
        assert!(ini.warnings().is_empty(), "to replace another file's value is what includes are for");

        write("parts/two.ini", "%include ../main.ini\n");
        let error = Ini::read(&folder.join("main.ini")).unwrap_err().to_string();
        assert!(error.contains("two.ini:1: read ") && error.ends_with("it includes itself"), "{error}");
        write("parts/two.ini", "\n%include none.ini\n");
        let error = Ini::read(&folder.join("main.ini")).unwrap_err().to_string();
        assert!(error.contains("two.ini:2: read ") && error.contains("none.ini: No such file"), "{error}");
        std::fs::write(folder.join("main.ini"), b"[s]\na = \xff\n").unwrap();
        let error = Ini::read(&folder.join("main.ini")).unwrap_err().to_string();
        assert!(error.ends_with("main.ini:2: not UTF-8"), "{error}");
    }

    /// Lines that keep their blanks and are no comments.
    fn line() -> impl Strategy<Value = String> {
        "[^\n\r]{1,20}"
            .prop_map(|line| line.trim_ascii().to_owned())
            .prop_filter("a line of its own", |line| !line.is_empty() && !line.starts_with(['#', ';']))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            entries in prop::collection::btree_map("[a-z][a-z0-9_*-]{0,9}", prop::collection::vec(line(), 0..4), 1..5),
        ) {
            let mut text = String::from("[s]\n");
            for (key, lines) in &entries {
                text.push_str(&format!("{key} = {}\n", lines.join("\n  ")));
            }
            let ini = read(&text).unwrap();
            for (key, lines) in &entries {
                prop_assert_eq!(&ini.entry("s", key).unwrap().text, &lines.join("\n"));
            }
        }

        #[test]
        fn no_text_is_too_strange_to_be_read_or_refused(text in "(?s).{0,200}") {
            let _ = read(&text);
        }
    }
}
