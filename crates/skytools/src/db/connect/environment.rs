//! What of the process's surroundings has a say in connections.

use std::collections::BTreeMap;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

use nix::unistd::{User, geteuid};

/// Variables, and who and where the user is.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    user: Option<String>,
    home: Option<PathBuf>,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        let variables: BTreeMap<_, _> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let user = User::from_uid(geteuid()).ok().flatten();
        let home = match variables.get("HOME") {
            Some(home) if !home.is_empty() => Some(home.into()),
            _ => user.as_ref().map(|user| user.dir.clone()),
        };
        Self { variables, user: user.map(|user| user.name), home }
    }

    /// Without variables and files.
    pub fn of_nobody() -> Self {
        Self { user: Some("nobody".to_owned()), ..Self::default() }
    }

    /// The value of a variable, if it is set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// How the system calls the user.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// A path in the user's home folder.
    pub fn in_home(&self, path: &str) -> Option<PathBuf> {
        Some(self.home.as_deref()?.join(path))
    }

    #[cfg(test)]
    pub fn made_of(variables: &[(&str, &str)], home: &Path) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { variables: variables.collect(), user: Some("joe".into()), home: Some(home.to_owned()) }
    }
}
