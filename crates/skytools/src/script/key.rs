//! The keys of an INI file, said once: the getters, `--ini`, `--check-config` and the manual read them here.

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// `1 yes true on` or `0 no false off`.
    Flag,
    /// Items with commas between them.
    List,
    /// Items `key:value` with commas between them.
    Dict,
    /// A path; `~` is the home folder.
    File,
    /// `12`, `3K`, `4 MB`.
    Bytes,
    /// A time span as PostgreSQL reads it.
    Interval,
    /// A libpq connect string.
    Connection,
    /// `PORT` of this machine, or `HOST:PORT`: where to listen.
    Address,
}

/// What holds when a key is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// An error.
    Required,
    /// Nothing: the getters' `Option` is `None`, as for an empty value.
    Optional,
    /// This value, which may refer to others: `%(job_name)s`. A percent sign is written `%%`.
    Default(&'static str),
}

impl Kind {
    /// What to call such a value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::OneOf(_) => "word",
            Self::Integer => "whole number",
            Self::Float => "number",
            Self::Flag => "yes or no",
            Self::List => "list, with commas",
            Self::Dict => "list of key:value, with commas",
            Self::File => "file",
            Self::Bytes => "size",
            Self::Interval => "interval",
            Self::Connection => "connect string",
            Self::Address => "[HOST:]PORT",
        }
    }
}

/// A key of the INI file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name. One with `*` in it stands for many, see [`Config::wildcard`](crate::script::Config::wildcard).
    pub name: &'static str,
    /// Older or shorter names; the first one that is set wins over `name`.
    pub aliases: &'static [&'static str],
    /// What its value must look like.
    pub kind: Kind,
    /// What holds when it is not set.
    pub presence: Presence,
    /// What `--ini` shows as its value.
    pub sample: Option<&'static str>,
    /// What it means, in a sentence or two.
    pub help: &'static str,
}

impl Key {
    /// A key that must be set.
    #[must_use]
    pub const fn required(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, aliases: &[], kind, presence: Presence::Required, sample: None, help }
    }

    /// A key that may be absent.
    #[must_use]
    pub const fn optional(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, aliases: &[], kind, presence: Presence::Optional, sample: None, help }
    }

    /// A key with a default.
    #[must_use]
    pub const fn with_default(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, aliases: &[], kind, presence: Presence::Default(default), sample: None, help }
    }

    /// Other names under which it may be set.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// What `--ini` shows.
    #[must_use]
    pub const fn sample(mut self, sample: &'static str) -> Self {
        self.sample = Some(sample);
        self
    }

    /// Whether a key of the file is this one, or one of the many it stands for.
    pub(super) fn covers(&self, name: &str) -> bool {
        match self.name.split_once('*') {
            None => self.names().any(|known| known == name),
            Some((prefix, behind)) => name.strip_prefix(prefix).is_some_and(|rest| {
                let mut parts: Vec<&str> = behind.split('*').collect();
                let suffix = parts.pop().unwrap_or_default();
                let inner = parts.iter().try_fold(rest, |rest, part| Some(rest.split_once(part)?.1));
                inner.is_some_and(|rest| rest.ends_with(suffix))
            }),
        }
    }

    /// The names under which it may be set, the one that wins first.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.aliases.iter().copied().chain([self.name])
    }

    /// Whether it stands for many.
    pub(super) fn is_pattern(&self) -> bool {
        self.name.contains('*')
    }
}

/// Keys that belong together, under a heading of the sample and the manual.
#[derive(Clone, Copy, Debug)]
pub struct KeyGroup {
    /// "Common to all programs", "Consumer".
    pub title: &'static str,
    /// The keys, in the order to show them.
    pub keys: &'static [Key],
}
