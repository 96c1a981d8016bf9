//! What a program is, said once: its switches, `--help`, `--ini`, the manual and the shell completions are made of it.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Id};
use tracing::{debug, warn};

use crate::script::launch::{Action, launch};
use crate::script::loader::PidFile;
use crate::script::log::LOG_KEYS;
use crate::script::switches::{self, Asked};
use crate::script::{COMMON_KEYS, Job, Key, KeyGroup, Script, Subcommand};
use crate::{Error, Result};

/// A program: its names, its keys, its switches.
#[derive(Debug)]
pub struct Program {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) description: Option<&'static str>,
    pub(super) version: Option<&'static str>,
    pub(super) sections: Vec<&'static str>,
    pub(super) groups: Vec<KeyGroup>,
    pub(super) switches: Vec<Arg>,
    beside: Vec<Id>,
    pub(super) examples: Vec<(&'static str, &'static str)>,
    pub(super) commands: Vec<Subcommand>,
}

impl Program {
    /// A program of this name, which is also the section of its INI file. `about` is what it does, in half a line.
    #[must_use]
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            description: None,
            version: None,
            sections: vec![name],
            groups: vec![KeyGroup { title: "Log", keys: LOG_KEYS }, COMMON_KEYS],
            switches: Vec::new(),
            beside: Vec::new(),
            examples: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// What the manual says of it: paragraphs with blank lines between them.
    #[must_use]
    pub const fn description(mut self, text: &'static str) -> Self {
        self.description = Some(text);
        self
    }

    /// A version of its own, besides that of this suite.
    #[must_use]
    pub const fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    /// Another name under which its section may stand.
    #[must_use]
    pub fn section(mut self, name: &'static str) -> Self {
        self.sections.push(name);
        self
    }

    /// Keys of its own, or of a framework that it uses. Shown from the last to the first; a key that is there already
    /// is defined anew.
    #[must_use]
    pub fn keys(mut self, title: &'static str, keys: &'static [Key]) -> Self {
        self.groups.push(KeyGroup { title, keys });
        self
    }

    /// A switch of its own, or an argument after the INI file.
    #[must_use]
    pub fn switch(mut self, switch: Arg) -> Self {
        self.switches.push(switch);
        self
    }

    /// A switch with which it does something beside the job that runs: without the pid file.
    pub(crate) fn switch_beside(mut self, switch: Arg) -> Self {
        self.beside.push(switch.get_id().clone());
        self.switch(switch)
    }

    /// A command line for the help to show, without the name of the program, and what it does.
    #[must_use]
    pub fn example(mut self, line: &'static str, does: &'static str) -> Self {
        self.examples.push((line, does));
        self
    }

    /// Reads the command line, and does what it says: mostly, run the job that `job` makes of the configuration and
    /// the switches.
    pub fn main<J: Job>(self, job: impl FnOnce(&mut Script, &ArgMatches) -> Result<J>) -> ExitCode {
        self.end(|matches| match self.asked(matches)? {
            Asked::Answered(status) => Ok(status),
            Asked::Work(mut loader, action) => {
                let given =
                    |switch: &Id| matches.value_source(switch.as_str()) == Some(ValueSource::CommandLine);
                if matches!(action, Action::Run { .. }) && self.beside.iter().any(given) {
                    loader = loader.with_pidfile(PidFile::None);
                }
                launch(&loader, action, switches::verbosity(matches), async |script| {
                    log_findings(script);
                    let mut job = job(script, matches)?;
                    script.run(&mut job).await
                })
            }
        })
    }

    /// Reads the command line, has it worked off, and tells how that went.
    pub(super) fn end(&self, work: impl FnOnce(&ArgMatches) -> Result<u8>) -> ExitCode {
        let matches = match self.command_line().try_get_matches() {
            Ok(matches) => matches,
            Err(wrong) => {
                // Nothing is left to be done when the terminal is gone.
                let _ = wrong.print();
                return ExitCode::from(switches::exit_status(&wrong));
            }
        };
        match work(&matches) {
            Ok(status) => ExitCode::from(status),
            Err(failure) => {
                eprintln!("{}: {failure}", self.name);
                ExitCode::FAILURE
            }
        }
    }
}

/// What was found odd in the file. Keys that nobody knows are told to those who want to know it all: a file may serve
/// several programs.
pub(super) fn log_findings(script: &Script) {
    for warning in script.config().warnings() {
        warn!("{warning}");
    }
    for unknown in script.config().unknown() {
        debug!("{unknown}");
    }
}

/// Prints for those who read it, or pipe it to who reads only the beginning.
pub(crate) fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::io("print")(error)),
        _ => Ok(()),
    }
}
