//! What a program is, said once: `--help`, `--ini`, the manual and the shell completions are made of it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use tracing::error;

use crate::Result;
use crate::script::{Config, Job, Key, KeyGroup, Kind, Script};

/// Keys that every program has.
pub const COMMON_KEYS: KeyGroup = KeyGroup {
    title: "Common to all programs",
    keys: &[
        Key::optional("job_name", Kind::Text, "Unique name of this job; the name of the file when not set."),
        Key::optional("pidfile", Kind::File, "Where to write the process id. Also a lock: a job runs once."),
        Key::with_default("loop_delay", Kind::Float, "1.0", "Seconds to sleep when there is nothing to do."),
        Key::with_default("exception_sleep", Kind::Float, "20", "Seconds to sleep after a round has failed."),
    ],
};

/// A program: its names, its keys, its switches.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    about: &'static str,
    sections: Vec<&'static str>,
    groups: Vec<KeyGroup>,
    switches: Vec<Arg>,
}

impl Program {
    /// A program of this name, which is also the section of its INI file.
    #[must_use]
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, sections: vec![name], groups: vec![COMMON_KEYS], switches: Vec::new() }
    }

    /// Another name under which its section may stand.
    #[must_use]
    pub fn section(mut self, name: &'static str) -> Self {
        self.sections.push(name);
        self
    }

    /// Keys of its own, or of a framework that it uses. Shown from the last to the first.
    #[must_use]
    pub fn keys(mut self, title: &'static str, keys: &'static [Key]) -> Self {
        self.groups.push(KeyGroup { title, keys });
        self
    }

    /// A switch of its own.
    #[must_use]
    pub fn switch(mut self, switch: Arg) -> Self {
        self.switches.push(switch);
        self
    }

    /// Reads the command line, and does what it says: mostly, run the job that `job` makes.
    pub fn main<J: Job>(self, job: impl FnOnce(&mut Script) -> Result<J>) -> ExitCode {
        let matches = self.command().get_matches();
        let ended = self.run(&matches, job);
        match ended {
            Ok(status) => ExitCode::from(status),
            Err(failure) => {
                error!("{failure}");
                eprintln!("{}: {failure}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    fn command(&self) -> Command {
        Command::new(self.name)
            .about(self.about)
            .arg(Arg::new("ini").value_name("INI").required(true).value_parser(clap::value_parser!(PathBuf)))
            .arg(
                Arg::new("set")
                    .long("set")
                    .value_name("KEY=VALUE")
                    .action(ArgAction::Append)
                    .help("Override a key of the INI file"),
            )
            .args(&self.switches)
    }

    fn run<J: Job>(
        &self,
        matches: &clap::ArgMatches,
        job: impl FnOnce(&mut Script) -> Result<J>,
    ) -> Result<u8> {
        let file = matches.get_one::<PathBuf>("ini").expect("required");
        let overrides: Vec<(String, String)> = matches
            .get_many::<String>("set")
            .unwrap_or_default()
            .filter_map(|set| set.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
            .collect();
        let config = Config::load(file, &self.sections, &self.groups, &overrides)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(crate::Error::io("start the runtime"))?;
        runtime.block_on(async {
            let mut script = Script::new(config);
            let mut job = job(&mut script)?;
            script.run(&mut job).await
        })
    }
}
