//! The values of a program's section, as typed as its keys say.

use std::collections::BTreeMap;
use std::path::Path;

use crate::script::key::{Key, KeyGroup, Presence};
use crate::{Error, Result};

/// The section of a program, read from its INI file.
#[derive(Clone, Debug)]
pub struct Config {
    service_name: String,
    job_name: String,
    values: BTreeMap<String, String>,
    groups: Vec<KeyGroup>,
}

impl Config {
    /// Reads the first of `sections` that the file has.
    pub fn load(
        file: &Path,
        sections: &[&str],
        groups: &[KeyGroup],
        overrides: &[(String, String)],
    ) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(Error::io(format!("read {}", file.display())))?;
        let mut values = BTreeMap::new();
        let mut inside = false;
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                inside = sections.contains(&name);
            } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
                values.insert(key.trim().to_lowercase(), value.trim().to_owned());
            }
        }
        values.extend(overrides.iter().cloned());
        let job_name = values
            .get("job_name")
            .cloned()
            .unwrap_or_else(|| file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        Ok(Self { service_name: sections[0].to_owned(), job_name, values, groups: groups.to_vec() })
    }

    /// The name of the section that was read.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.service_name
    }

    /// The unique name of this job.
    #[must_use]
    pub fn job_name(&self) -> &str {
        &self.job_name
    }

    /// A value that must be there: set, or by default.
    pub fn text(&self, key: &str) -> Result<&str> {
        self.optional(key).ok_or_else(|| Error::usage(format!("config parameter not set: {key}")))
    }

    /// A value that may be absent or empty.
    #[must_use]
    pub fn optional(&self, key: &str) -> Option<&str> {
        let known = self.key(key);
        let aliases = known.map_or(&[][..], |known| known.aliases);
        let set = aliases.iter().chain([&key]).find_map(|name| self.values.get(*name));
        let default = match known.map(|known| known.presence) {
            Some(Presence::Default(value)) => Some(value),
            _ => None,
        };
        set.map(String::as_str).or(default).filter(|value| !value.is_empty())
    }

    /// A whole number.
    pub fn integer(&self, key: &str) -> Result<i64> {
        let value = self.text(key)?;
        value
            .parse()
            .map_err(|_| Error::usage(format!("config parameter {key}: {value:?} is no whole number")))
    }

    /// A number.
    pub fn float(&self, key: &str) -> Result<f64> {
        let value = self.text(key)?;
        value.parse().map_err(|_| Error::usage(format!("config parameter {key}: {value:?} is no number")))
    }

    /// A yes or no.
    pub fn flag(&self, key: &str) -> Result<bool> {
        let value = self.text(key)?;
        match value.to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Ok(true),
            "0" | "no" | "false" | "off" => Ok(false),
            _ => Err(Error::usage(format!("config parameter {key}: {value:?} is neither yes nor no"))),
        }
    }

    /// Items with commas between them; none when not set.
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<String> {
        let value = self.optional(key).unwrap_or_default();
        value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn key(&self, name: &str) -> Option<&Key> {
        self.groups.iter().flat_map(|group| group.keys).find(|key| key.name == name)
    }
}
