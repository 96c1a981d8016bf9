//! What a configuration is read from, kept so that it can be read again.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::script::{Config, KeyGroup};

/// The sources of a [`Config`]: an INI file, and what overrides it.
#[derive(Clone, Debug)]
pub struct Loader {
    pub(super) file: PathBuf,
    pub(super) sections: Vec<&'static str>,
    pub(super) groups: Vec<KeyGroup>,
    pub(super) overrides: Vec<(String, String)>,
}

impl Loader {
    /// Reads it, now or again.
    pub fn load(&self) -> Result<Config> {
        Config::load(&self.file, &self.sections, &self.groups, &self.overrides)
    }

    /// The INI file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}
