//! What a configuration is read from, kept so that it can be read again.

use std::path::{Path, PathBuf};

use crate::script::ini::Ini;
use crate::script::reading::{Layers, Reading, built_in};
use crate::script::{Config, Key, KeyGroup};
use crate::{Error, Result};

/// The sources of a [`Config`]: an INI file, and what overrides it.
#[derive(Clone, Debug)]
pub struct Loader {
    file: PathBuf,
    sections: Vec<&'static str>,
    keys: Vec<Key>,
    overrides: Vec<(String, String)>,
    pidfile: PidFile,
}

/// Which process file the keys' `pidfile` is to this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PidFile {
    /// As the file says.
    AsSet,
    /// Beside that of the daemon: with `.admin` appended.
    Admin,
    /// None: what only looks may run at any time.
    None,
}

impl Loader {
    /// Of the first of `sections` that `file` has. Of two keys of a name, the one of the later group holds.
    pub(super) fn new(
        file: PathBuf,
        sections: &[&'static str],
        groups: &[KeyGroup],
        overrides: Vec<(String, String)>,
    ) -> Self {
        let keys = most_specific(groups.iter().map(|group| group.keys));
        Self { file, sections: sections.to_vec(), keys, overrides, pidfile: PidFile::AsSet }
    }

    /// For a run with another process file.
    pub(super) const fn with_pidfile(mut self, pidfile: PidFile) -> Self {
        self.pidfile = pidfile;
        self
    }

    /// Reads it, now or again. Every value that is set is what its key wants, or this fails.
    pub fn load(&self) -> Result<Config> {
        let (service, mut reading) = self.read()?;
        if !reading.wrong.is_empty() {
            return Err(Error::usage(reading.wrong.join("; ")));
        }
        if let Some(pidfile) = reading.values.get_mut("pidfile").filter(|pidfile| !pidfile.is_empty()) {
            match self.pidfile {
                PidFile::AsSet => {}
                PidFile::Admin => pidfile.push_str(".admin"),
                PidFile::None => pidfile.clear(),
            }
        }
        Ok(Config::new(service, self.keys.clone(), reading))
    }

    /// Reads it to tell all that is wrong with it.
    pub(super) fn read(&self) -> Result<(String, Reading)> {
        let ini = Ini::read(&self.file)?;
        let service = self.sections.iter().find(|name| ini.section(name).is_some()).ok_or_else(|| {
            let names: Vec<String> = ini.sections().map(|name| format!("[{name}]")).collect();
            let has = if names.is_empty() { "no section".to_owned() } else { names.join(", ") };
            Error::usage(format!(
                "{} has no section [{}]; it has {has}",
                self.file.display(),
                self.sections[0]
            ))
        })?;
        let reading = Layers {
            ini: &ini,
            section: service,
            keys: &self.keys,
            overrides: &self.overrides,
            built_in: &built_in(service, Some(&self.file))?,
        }
        .read()?;
        Ok(((*service).to_owned(), reading))
    }

    /// The INI file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// All keys, those of the last group first; a key that an earlier group has too is the later one's.
pub fn most_specific<'k>(groups: impl DoubleEndedIterator<Item = &'k [Key]>) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for key in groups.rev().flatten() {
        if keys.iter().all(|known| known.name != key.name) {
            keys.push(*key);
        }
    }
    keys
}
