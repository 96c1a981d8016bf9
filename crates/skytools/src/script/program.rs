//! What a program is, said once: `--help`, `--ini`, the manual and the shell completions are made of it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use tracing::error;

use crate::Result;
use crate::script::launch::{Action, Control, Verbosity, launch};
use crate::script::{COMMON_KEYS, Job, Key, KeyGroup, Loader, Script};

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
    pub fn main<J: Job>(self, job: impl FnOnce(&mut Script, &ArgMatches) -> Result<J>) -> ExitCode {
        let matches = self.command().get_matches();
        let ended = self.run(&matches, async |script| {
            let mut job = job(script, &matches)?;
            script.run(&mut job).await
        });
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
            .disable_version_flag(true)
            .args([
                Arg::new("ini").value_name("INI").required(true).value_parser(clap::value_parser!(PathBuf)),
                flag("quiet", 'q', "Log warnings and errors only"),
                flag("verbose", 'v', "Log more; twice: everything").action(ArgAction::Count),
                flag("daemon", 'd', "Go to the background"),
                flag("reload", 'r', "Let the running process read its configuration again (SIGHUP)"),
                flag("stop", 's', "Let the running process end when its round is done (SIGINT)"),
                flag("kill", 'k', "Let the running process end at once (SIGTERM)"),
                Arg::new("set")
                    .long("set")
                    .value_name("KEY=VALUE")
                    .action(ArgAction::Append)
                    .help("Override a key of the INI file"),
            ])
            .args(&self.switches)
    }

    fn run(&self, matches: &ArgMatches, work: impl AsyncFnOnce(&mut Script) -> Result<u8>) -> Result<u8> {
        let overrides = matches
            .get_many::<String>("set")
            .unwrap_or_default()
            .filter_map(|set| set.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
            .collect();
        let file = matches.get_one::<PathBuf>("ini").expect("required").clone();
        let loader = Loader::new(file, &self.sections, &self.groups, overrides);
        launch(&loader, action(matches), verbosity(matches), work)
    }
}

fn flag(name: &'static str, short: char, help: &'static str) -> Arg {
    Arg::new(name).long(name).short(short).action(ArgAction::SetTrue).help(help)
}

fn action(matches: &ArgMatches) -> Action {
    [("reload", Control::Reload), ("stop", Control::Stop), ("kill", Control::Kill)]
        .into_iter()
        .find(|(switch, _)| matches.get_flag(switch))
        .map_or(Action::Run { daemon: matches.get_flag("daemon") }, |(_, control)| Action::Signal(control))
}

fn verbosity(matches: &ArgMatches) -> Verbosity {
    match (matches.get_flag("quiet"), matches.get_count("verbose")) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Trace,
    }
}
