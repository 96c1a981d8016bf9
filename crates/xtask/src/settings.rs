//! What the user chose: make's variables, given as arguments or in the environment.

use crate::command::{OrSay, Outcome, fail};
use crate::server::MAJORS;
use std::env;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The two kinds of build, which differ in what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For tests: quick to link, with failpoints.
    Dev,
    /// What people install.
    Release,
}

impl Profile {
    /// As trees are named.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Dev => "dev",
            Profile::Release => "release",
        }
    }

    /// Where cargo puts it.
    pub fn folder(self) -> &'static str {
        match self {
            Profile::Dev => "debug",
            Profile::Release => "release",
        }
    }
}

/// The choices of one run.
#[derive(Debug)]
pub struct Settings {
    /// Root of the source tree.
    pub repo: PathBuf,
    /// The wanted major, when said.
    pub major: Option<u32>,
    /// The wanted server's `pg_config`, when said.
    pub pg_config: Option<PathBuf>,
    /// Filters of client tests; empty for all.
    pub subset: Vec<String>,
    /// What a soak is drawn from.
    pub seed: u64,
    /// How long a soak runs.
    pub minutes: f64,
    /// Put before every path that is installed.
    pub destdir: Option<PathBuf>,
    /// Where programs are installed: its bin, share/man and so on.
    pub prefix: PathBuf,
    /// What `stage` builds.
    pub profile: Profile,
}

impl Settings {
    /// Reads `NAME=value` arguments, and the environment for names that are not among them.
    pub fn read(arguments: &[String]) -> Outcome<Settings> {
        const NAMES: [&str; 8] =
            ["PG", "PG_CONFIG", "SUBSET", "SEED", "MINUTES", "DESTDIR", "PREFIX", "PROFILE"];
        for argument in arguments {
            match argument.split_once('=') {
                Some((name, _)) if NAMES.contains(&name) => (),
                _ => {
                    return fail(format!(
                        "{argument:?} is not NAME=value with NAME one of {}",
                        NAMES.join(", ")
                    ));
                }
            }
        }
        let value = |name: &str| {
            let given = arguments.iter().rev().find_map(|a| a.strip_prefix(name)?.strip_prefix('='));
            given.map(str::to_owned).or_else(|| env::var(name).ok()).filter(|value| !value.is_empty())
        };
        Ok(Settings {
            repo: repository()?,
            major: value("PG").map(|text| major(&text)).transpose()?,
            pg_config: value("PG_CONFIG").map(|text| program(&text)).transpose()?,
            subset: value("SUBSET").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            seed: number("SEED", value("SEED"), 1)?,
            minutes: number("MINUTES", value("MINUTES"), 10.0)?,
            destdir: value("DESTDIR").map(PathBuf::from),
            prefix: value("PREFIX").map_or_else(|| PathBuf::from("/usr/local"), PathBuf::from),
            profile: match value("PROFILE").as_deref() {
                None | Some("dev") => Profile::Dev,
                Some("release") => Profile::Release,
                Some(other) => return fail(format!("PROFILE={other}: it is dev or release")),
            },
        })
    }

    /// Where what belongs into this folder is put: packagers collect it elsewhere.
    pub fn under_destdir(&self, folder: &Path) -> PathBuf {
        match &self.destdir {
            Some(destdir) => destdir.join(folder.strip_prefix("/").unwrap_or(folder)),
            None => folder.to_owned(),
        }
    }

    /// A path under the folder of everything that is made and may be thrown away.
    pub fn target(&self, below: impl AsRef<Path>) -> PathBuf {
        self.repo.join("target").join(below)
    }
}

fn repository() -> Outcome<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    here.canonicalize().or_say(|| format!("find the source tree at {}", here.display()))
}

fn major(text: &str) -> Outcome<u32> {
    match text.parse() {
        Ok(major) if MAJORS.contains(&major) => Ok(major),
        _ => fail(format!("PG={text}: it is a major version of PostgreSQL, one of {MAJORS:?}")),
    }
}

fn number<N: FromStr>(name: &str, value: Option<String>, unsaid: N) -> Outcome<N> {
    let Some(text) = value else { return Ok(unsaid) };
    text.parse().or_else(|_| fail(format!("{name}={text}: it is a number")))
}

/// A program named by its path, or by its bare name on the PATH.
fn program(text: &str) -> Outcome<PathBuf> {
    let candidates = if text.contains('/') {
        vec![PathBuf::from(text)]
    } else {
        env::split_paths(&env::var_os("PATH").unwrap_or_default()).map(|folder| folder.join(text)).collect()
    };
    match candidates.iter().find(|path| path.is_file()) {
        Some(path) => std::path::absolute(path).or_say(|| format!("find {}", path.display())),
        None => fail(format!("PG_CONFIG={text}: there is no such program")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Outcome<Settings> {
        Settings::read(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_are_names_with_values_and_the_last_one_counts() {
        let settings = read(&["PG=16", "PG=18", "SUBSET=surface:: crash", "SEED=7"]).expect("good arguments");
        assert_eq!(settings.major, Some(18));
        assert_eq!(settings.subset, ["surface::", "crash"]);
        assert_eq!(settings.seed, 7);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (argument, hint) in [
            ("PG=14", "[15, 16, 17, 18]"),
            ("SEED=x", "a number"),
            ("SPEED=1", "NAME=value"),
            ("PROFILE=test", "dev or release"),
        ] {
            let failure = read(&[argument]).expect_err(argument).to_string();
            assert!(failure.contains(hint), "{failure}");
        }
    }
}
