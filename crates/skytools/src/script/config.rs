//! The values of a program's section, as typed as its keys say.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::script::ini::Ini;
use crate::script::loader::most_specific;
use crate::script::log::LOG_KEYS;
use crate::script::reading::{Layers, Reading, built_in};
use crate::script::value::{self, Read};
use crate::script::{COMMON_KEYS, Key};
use crate::{Error, Result};

/// The section of a program, read from its INI file.
///
/// The getters take the names of keys that the program has defined, and defaults are part of the definitions. Every
/// value was looked at when the file was read, so what a getter can still find is that a key is not set.
///
/// # Panics
/// The getters panic on a key that is not among the program's: that is a mistake in the program, not in its file.
#[derive(Clone)]
pub struct Config {
    service_name: String,
    keys: Vec<Key>,
    values: BTreeMap<String, String>,
    unknown: Vec<String>,
    warnings: Vec<String>,
}

/// Without values: some are connect strings with passwords.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("service_name", &self.service_name)
            .field("set", &self.values.keys())
            .finish_non_exhaustive()
    }
}

impl Config {
    pub(super) fn new(service_name: String, keys: Vec<Key>, reading: Reading) -> Self {
        let Reading { values, unknown, warnings, .. } = reading;
        Self { service_name, keys, values, unknown, warnings }
    }

    /// Without a file: for tests, and for those who embed a job. The keys every program has are there. Values are
    /// written as in a file, so `%` is doubled; one that is not what its key wants, and one without a key, is an
    /// error.
    pub fn from_pairs<'a>(
        service_name: &str,
        keys: &[&'static [Key]],
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let keys = most_specific([COMMON_KEYS.keys, LOG_KEYS].into_iter().chain(keys.iter().copied()));
        let overrides: Vec<(String, String)> =
            pairs.into_iter().map(|(key, text)| (key.to_lowercase(), text.to_owned())).collect();
        let reading = Layers {
            ini: &Ini::default(),
            section: service_name,
            keys: &keys,
            overrides: &overrides,
            built_in: &built_in(service_name, None)?,
        }
        .read()?;
        match reading.wrong.iter().chain(&reading.unknown).next() {
            Some(wrong) => Err(Error::usage(wrong)),
            None => Ok(Self::new(service_name.to_owned(), keys, reading)),
        }
    }

    /// The name of the section that was read.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.service_name
    }

    /// The unique name of this job.
    #[must_use]
    pub fn job_name(&self) -> &str {
        self.optional("job_name").unwrap_or(&self.service_name)
    }

    /// Keys of the file that nobody knows, a sentence each.
    #[must_use]
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// What the file says, but hardly means, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What is set for a key that may not be one of the program's: to refuse what it would not heed.
    pub(crate) fn written(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// A value that may be absent or empty. Also for intervals, which the server reads.
    #[must_use]
    #[track_caller]
    pub fn optional(&self, key: &str) -> Option<&str> {
        assert!(self.keys.iter().any(|known| known.name == key), "the program has not defined the key {key}");
        self.values.get(key).map(String::as_str)
    }

    /// A value that must be there: set, or by default.
    #[track_caller]
    pub fn text(&self, key: &str) -> Result<&str> {
        self.optional(key).ok_or_else(|| Error::usage(format!("config parameter not set: {key}")))
    }

    /// A whole number.
    #[track_caller]
    pub fn integer(&self, key: &str) -> Result<i64> {
        read(key, self.text(key)?, value::integer)
    }

    /// A number.
    #[track_caller]
    pub fn float(&self, key: &str) -> Result<f64> {
        read(key, self.text(key)?, value::float)
    }

    /// A yes or no.
    #[track_caller]
    pub fn flag(&self, key: &str) -> Result<bool> {
        read(key, self.text(key)?, value::flag)
    }

    /// A size, in bytes.
    #[track_caller]
    pub fn bytes(&self, key: &str) -> Result<u64> {
        read(key, self.text(key)?, value::bytes)
    }

    /// Items with commas between them; none when not set.
    #[must_use]
    #[track_caller]
    pub fn list(&self, key: &str) -> Vec<String> {
        value::list(self.optional(key).unwrap_or_default())
    }

    /// Items `key:value` with commas between them, an item without a colon being its own value; none when not set.
    #[must_use]
    #[track_caller]
    pub fn dict(&self, key: &str) -> BTreeMap<String, String> {
        value::dict(self.optional(key).unwrap_or_default())
    }

    /// A path; `~` and `~user` are home folders, and `-` is left to the caller. Relative to where the program runs.
    #[track_caller]
    pub fn file(&self, key: &str) -> Result<PathBuf> {
        self.text(key).map(value::expand_home)
    }

    /// The same, when it may be absent.
    #[must_use]
    #[track_caller]
    pub fn optional_file(&self, key: &str) -> Option<PathBuf> {
        self.optional(key).map(value::expand_home)
    }

    /// The value of a key that stands for many, for these names: `a-*-*` with `x` and `y` is the first that is set of
    /// `a-x-y`, `a-x-*` and `a-*-*`, or else the default.
    #[track_caller]
    pub fn wildcard(&self, key: &str, names: &[&str]) -> Result<&str> {
        let mut parts = key.split('*');
        let mut candidate = parts.next().unwrap_or_default().to_owned();
        let stars: Vec<&str> = parts.collect();
        assert_eq!(stars.len(), names.len(), "{key} wants as many names as it has stars");
        let mut candidates = Vec::new();
        for named in (0..=stars.len()).rev() {
            candidate.truncate(key.find('*').unwrap_or(key.len()));
            for (at, part) in stars.iter().enumerate() {
                candidate.push_str(if at < named { names[at] } else { "*" });
                candidate.push_str(part);
            }
            candidates.push(candidate.to_lowercase());
        }
        let set = candidates.iter().find_map(|name| self.values.get(name));
        set.map_or_else(|| self.text(key), |text| Ok(text))
    }
}

fn read<T>(key: &str, text: &str, how: impl FnOnce(&str) -> Read<T>) -> Result<T> {
    how(text).map_err(|why| Error::usage(format!("config parameter {key}: {text:?} {why}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::script::Kind;

    const KEYS: &[Key] = &[
        Key::required("queue_name", Kind::Text, "").aliases(&["pgq_queue_name"]),
        Key::with_default("consumer_name", Kind::Text, "%(job_name)s", "").aliases(&["pgq_consumer_id"]),
        Key::with_default("count", Kind::Integer, "300", ""),
        Key::optional("tables", Kind::List, ""),
        Key::optional("renamed", Kind::Dict, ""),
        Key::optional("state", Kind::File, ""),
        Key::with_default("size", Kind::Bytes, "10 MB", ""),
        Key::with_default("quick", Kind::Flag, "off", ""),
        Key::optional("lag", Kind::Interval, ""),
        Key::optional("db", Kind::Connection, ""),
        Key::with_default("a-*-*", Kind::Text, "nothing", ""),
    ];

    fn config<const N: usize>(pairs: [(&str, &str); N]) -> Result<Config> {
        Config::from_pairs("copier", &[KEYS], pairs)
    }

    fn refused<const N: usize>(pairs: [(&str, &str); N]) -> String {
        config(pairs).unwrap_err().to_string()
    }

    #[test]
    fn values_are_as_typed_as_their_keys() {
        let config = config([
            ("Queue_Name", "orders"),
            ("tables", "public.a, b"),
            ("renamed", "a:b, c"),
            ("state", "/x/%(job_name)s.tick"),
            ("quick", "Yes"),
            ("lag", "3 hours"),
            ("loop_delay", "-1"),
        ])
        .unwrap();
        assert_eq!(config.text("queue_name").unwrap(), "orders");
        assert_eq!(config.list("tables"), ["public.a", "b"]);
        assert_eq!(config.dict("renamed")["a"], "b");
        assert_eq!(config.dict("renamed")["c"], "c");
        assert_eq!(config.file("state").unwrap(), PathBuf::from("/x/copier.tick"));
        assert!(config.flag("quick").unwrap());
        assert_eq!(config.optional("lag"), Some("3 hours"));
        assert_eq!(config.float("loop_delay").unwrap(), -1.0);
    }

    #[test]
    fn what_is_not_set_is_the_default_or_nothing() {
        let config = config([("tables", ""), ("state", "\"\"")]).unwrap();
        assert_eq!(
            config.text("queue_name").unwrap_err().to_string(),
            "config parameter not set: queue_name"
        );
        assert_eq!(config.text("consumer_name").unwrap(), "copier");
        assert_eq!(config.job_name(), "copier");
        assert_eq!(config.integer("count").unwrap(), 300);
        assert_eq!(config.bytes("size").unwrap(), 10 << 20);
        assert!(!config.flag("quick").unwrap());
        assert_eq!(config.optional("lag"), None);
        assert!(config.list("tables").is_empty() && config.dict("renamed").is_empty());
        assert_eq!(config.optional_file("state"), None, "two quotes are an old way to write nothing");
    }

    #[test]
    fn the_older_name_wins_when_it_says_something() {
        let text = |pairs: [(&str, &str); 2]| config(pairs).unwrap().text("queue_name").unwrap().to_owned();
        assert_eq!(text([("queue_name", "new"), ("pgq_queue_name", "old")]), "old");
        assert_eq!(text([("queue_name", "new"), ("pgq_queue_name", "")]), "new");
        assert_eq!(text([("pgq_queue_name", "old"), ("count", "1")]), "old");
    }

    #[test]
    fn what_its_key_does_not_want_is_refused_at_once() {
        assert_eq!(refused([("count", "many")]), "config parameter count: \"many\" is no whole number");
        assert_eq!(refused([("quick", "maybe")]), "config parameter quick: \"maybe\" is neither yes nor no");
        assert_eq!(refused([("cuont", "1")]), "config parameter cuont: is not known; count is");
        assert_eq!(refused([("xyz", "1")]), "config parameter xyz: is not known");
        assert!(
            refused([("lag", "%(none)s")]).starts_with("config parameter lag: %(none)s refers to a key that")
        );
        assert_eq!(refused([("lag", "%(tables)s"), ("tables", "%(lag)s")]).matches("->").count(), 2);
    }

    #[test]
    fn connect_strings_are_looked_at_and_passwords_never_told() {
        assert!(config([("db", "postgresql://me:hunter2@db1/shop?sslmode=require")]).is_ok());
        for wrong in ["password=hunter2 hots=db1", "host=db1 password='hunter2"] {
            let told = refused([("db", wrong)]);
            assert!(told.starts_with("config parameter db: ") && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    #[should_panic(expected = "the program has not defined the key nothing")]
    fn to_ask_for_a_key_that_nobody_defined_is_a_mistake_of_the_program() {
        let _ = config([]).unwrap().optional("nothing");
    }

    #[test]
    fn wildcards_go_from_the_special_to_the_general() {
        let all = [("a-x-y", "1"), ("a-x-*", "2"), ("a-*-*", "3")];
        for (set, expected) in [(0, "1"), (1, "2"), (2, "3"), (3, "nothing")] {
            let config = Config::from_pairs("s", &[KEYS], all[set..].iter().copied()).unwrap();
            assert_eq!(config.wildcard("a-*-*", &["X", "y"]).unwrap(), expected);
        }
        let config = config(all).unwrap();
        assert_eq!(config.wildcard("a-*-*", &["x", "z"]).unwrap(), "2");
        assert_eq!(config.wildcard("a-*-*", &["z", "y"]).unwrap(), "3");
    }

    #[test]
    fn the_later_group_defines_a_key_anew() {
        const OWN: &[Key] = &[Key::with_default("loop_delay", Kind::Float, "-1", "")];
        assert_eq!(Config::from_pairs("s", &[OWN], []).unwrap().float("loop_delay").unwrap(), -1.0);
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was_given(text in "(?s).{1,40}") {
            prop_assume!(text != "\"\"");
            let written = text.replace('%', "%%");
            let config = Config::from_pairs("s", &[KEYS], [("lag", written.as_str())]).unwrap();
            prop_assert_eq!(config.optional("lag"), Some(text.as_str()));
        }
    }
}
