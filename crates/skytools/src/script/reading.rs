//! One section of an INI file, read as a program's keys say; and all that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::script::ini::{DEFAULT, Entry, Ini};
use crate::script::interpolation::{Interpolation, Source, Syntax};
use crate::script::{Key, Presence, value};
use crate::{Error, Result};

/// See the module.
#[derive(Default)]
pub struct Reading {
    /// The values that are not empty, references replaced, by the names of the keys; those of keys that nobody knows as
    /// they are written.
    pub values: BTreeMap<String, String>,
    /// Values that are not what their keys want, and references that lead nowhere.
    pub wrong: Vec<String>,
    /// Required keys that are not set.
    pub missing: Vec<String>,
    /// Keys of the section that nobody knows.
    pub unknown: Vec<String>,
    /// What is allowed, but hardly meant.
    pub warnings: Vec<String>,
}

/// A section, and all that stands behind its keys. What comes first wins: overrides, the section, DEFAULT, the
/// defaults of the keys, what is built in.
pub struct Layers<'a> {
    pub ini: &'a Ini,
    pub section: &'a str,
    pub keys: &'a [Key],
    pub overrides: &'a [(String, String)],
    pub built_in: &'a [(&'static str, String)],
}

/// A key of every section, which says how references are written in it.
const FORMAT: &str = "config_format";

impl Layers<'_> {
    /// Reads all keys.
    pub fn read(&self) -> Result<Reading> {
        let source = Referable { layers: self, syntax: self.syntax()? };
        let interpolation = Interpolation::new(&source);
        let mut reading = Reading { warnings: self.ini.warnings().to_vec(), ..Reading::default() };
        for key in self.keys {
            for name in self.names_set(key) {
                match interpolation.value(self.section, &name).transpose() {
                    Ok(text) => {
                        let text = text.unwrap_or_default();
                        if !text.is_empty() {
                            let wrong = value::check(key.kind, &text).err();
                            reading.wrong.extend(wrong.map(|why| self.told(&name, &why)));
                            reading.values.insert(name, text);
                        } else if key.presence == Presence::Required {
                            reading.missing.push(format!("config parameter not set: {name}"));
                        }
                    }
                    Err(why) => reading.wrong.push(self.told(&name, &why)),
                }
            }
        }
        for (name, value) in self.built_in {
            reading.values.entry((*name).to_owned()).or_insert_with(|| value.clone());
        }
        for name in self.unknown(&interpolation) {
            reading.unknown.push(match self.nearest(name) {
                Some(near) => self.told(name, &format!("is not known; {near} is")),
                None => self.told(name, "is not known"),
            });
            let text = self.set(name).filter(|text| !text.is_empty());
            reading.values.extend(text.map(|text| (name.to_owned(), text)));
        }
        Ok(reading)
    }

    fn syntax(&self) -> Result<Syntax> {
        match self.set(FORMAT).as_deref() {
            None | Some("1") => Ok(Syntax::Percent),
            Some("2") => Ok(Syntax::Dollar),
            Some(other) => Err(Error::usage(format!("{FORMAT} is 1 or 2, not {other:?}"))),
        }
    }

    /// The names whose values a key asks for: its own, or those of the file that its pattern covers.
    fn names_set(&self, key: &Key) -> BTreeSet<String> {
        let own = [key.name.to_owned()];
        if !key.is_pattern() {
            return own.into();
        }
        let overriding = self.overrides.iter().map(|(name, _)| name.as_str());
        let set = self.written().map(|(name, _)| name).chain(overriding);
        set.filter(|name| key.covers(name)).map(str::to_owned).chain(own).collect()
    }

    /// The names of the section that no key has.
    fn unknown(&self, interpolation: &Interpolation<'_>) -> BTreeSet<&str> {
        let own = self.ini.section(self.section).into_iter().flatten().map(|(name, _)| name.as_str());
        let overriding = self.overrides.iter().map(|(name, _)| name.as_str());
        let known = |name: &str| {
            name == FORMAT
                || self.keys.iter().any(|key| key.covers(name))
                || self.built_in.iter().any(|(built_in, _)| *built_in == name)
                || interpolation.refers_to(self.section, name)
        };
        own.chain(overriding).filter(|name| !known(name)).collect()
    }

    /// The known name that may have been meant.
    fn nearest(&self, name: &str) -> Option<&'static str> {
        self.keys
            .iter()
            .flat_map(Key::names)
            .map(|known| (strsim::damerau_levenshtein(known, name), known))
            .min()
            .filter(|(distance, known)| distance * 3 <= known.len())
            .map(|(_, known)| known)
    }

    /// A complaint about a key, with its place.
    fn told(&self, name: &str, what: &str) -> String {
        let names = self.aliases(name);
        let overridden = self.overrides.iter().any(|(set, _)| names.contains(&set.as_str()));
        let place = match self.written().find(|(set, _)| names.contains(set)) {
            Some((_, entry)) if !overridden => format!("{}: ", entry.place),
            _ => String::new(),
        };
        format!("{place}config parameter {name}: {what}")
    }

    /// All names of the key that has this one.
    fn aliases<'n>(&self, name: &'n str) -> Vec<&'n str> {
        let key = self.keys.iter().find(|key| !key.is_pattern() && key.covers(name));
        key.map_or_else(|| vec![name], |key| key.names().collect())
    }

    /// What the file says in this section and in DEFAULT.
    fn written(&self) -> impl Iterator<Item = (&str, &Entry)> {
        [self.section, DEFAULT]
            .into_iter()
            .filter_map(|name| self.ini.section(name))
            .flatten()
            .map(|(name, entry)| (name.as_str(), entry))
    }

    /// The text of a key as somebody has set it, by any of its names.
    fn set(&self, name: &str) -> Option<String> {
        let names = self.aliases(name);
        let written = |section| {
            let entries = self.ini.section(section).into_iter().flatten();
            entries.map(|(name, entry)| (name.as_str(), entry.text.as_str())).collect()
        };
        let overriding: BTreeMap<&str, &str> =
            self.overrides.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        [overriding, written(self.section), written(DEFAULT)].iter().find_map(|layer| {
            let mut set = names.iter().filter_map(|name| layer.get(name).copied());
            let first = set.next()?;
            let text =
                if first.is_empty() { set.find(|text| !text.is_empty()).unwrap_or(first) } else { first };
            // Old files write an empty value so.
            Some(if text == "\"\"" { String::new() } else { text.to_owned() })
        })
    }
}

/// What references of the section can reach.
struct Referable<'a> {
    layers: &'a Layers<'a>,
    syntax: Syntax,
}

impl Source for Referable<'_> {
    fn text(&self, section: &str, key: &str) -> Option<(String, Syntax)> {
        let layers = self.layers;
        if section != layers.section {
            return layers.ini.entry(section, key).map(|entry| (entry.text.clone(), self.syntax));
        }
        let default = || {
            let known = layers.keys.iter().find(|known| known.name == key)?;
            match known.presence {
                Presence::Default(text) => Some((text.to_owned(), Syntax::Percent)),
                Presence::Required | Presence::Optional => None,
            }
        };
        let built_in = || {
            let (_, text) = layers.built_in.iter().find(|(name, _)| *name == key)?;
            Some((text.replace('%', "%%"), Syntax::Percent))
        };
        layers.set(key).map(|text| (text, self.syntax)).or_else(default).or_else(built_in)
    }
}

/// What is built in, for a file or without one.
pub fn built_in(service: &str, file: Option<&Path>) -> Result<Vec<(&'static str, String)>> {
    let host =
        nix::unistd::gethostname().map_err(|errno| Error::io("ask for the host's name")(errno.into()))?;
    let mut values =
        vec![("service_name", service.to_owned()), ("host_name", host.to_string_lossy().into_owned())];
    let Some(file) = file else {
        values.push(("job_name", service.to_owned()));
        return Ok(values);
    };
    let file = std::path::absolute(file).map_err(Error::io(format!("find {}", file.display())))?;
    let text = |path: Option<&std::ffi::OsStr>| path.unwrap_or_default().to_string_lossy().into_owned();
    values.push(("job_name", text(file.file_stem())));
    values.push(("config_dir", text(file.parent().map(Path::as_os_str))));
    values.push(("config_file", text(Some(file.as_os_str()))));
    Ok(values)
}
