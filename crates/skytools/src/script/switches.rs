//! The switches that every program has, and what they ask for.

use std::path::PathBuf;

use clap::builder::EnumValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, ValueHint, value_parser};

use crate::Result;
use crate::script::launch::{Action, Control, Verbosity};
use crate::script::manual::{self, Form};
use crate::script::program::print;
use crate::script::{Loader, Program, check, sample};

/// What the command line asks for.
pub enum Asked {
    /// It has been answered; the exit status.
    Answered(u8),
    /// To work, or to signal who works.
    Work(Loader, Action),
}

/// Switches that need no INI file; the last one is hidden.
const WITHOUT_FILE: [&str; 3] = ["version", "sample", "generate"];

impl Program {
    /// The switches, the arguments, and the help.
    pub(super) fn command_line(&self) -> Command {
        let generate = Arg::new("generate").long("generate").value_name("FORM").hide(true);
        self.line(&WITHOUT_FILE).arg(generate.value_parser(EnumValueParser::<Form>::new()))
    }

    /// What of it is for people. Shell completions would show what is hidden, too.
    pub(super) fn shown_command_line(&self) -> Command {
        self.line(&WITHOUT_FILE[..2])
    }

    /// Wants an INI file, unless one of these switches is there.
    fn line(&self, without_file: &[&'static str]) -> Command {
        let positions = if self.commands.is_empty() {
            Vec::new()
        } else {
            vec![
                Arg::new("command").value_name("COMMAND").help("What to do, see below"),
                Arg::new("arguments").value_name("ARGUMENT").num_args(0..).help("What the command needs"),
            ]
        };
        Command::new(self.name)
            .about(self.about)
            .override_usage(self.usage())
            .disable_version_flag(true)
            .disable_help_subcommand(true)
            .arg(
                Arg::new("ini")
                    .value_name("INI")
                    .required_unless_present_any(without_file)
                    .value_parser(value_parser!(PathBuf))
                    .help("The INI file of this job"),
            )
            .args(positions)
            .args(&self.switches)
            .args([
                flag("quiet", "Log warnings and errors only").short('q'),
                flag("verbose", "Log how things are done; -vv: everything")
                    .short('v')
                    .action(ArgAction::Count),
                flag("daemon", "Go to the background; needs pidfile in the INI file").short('d'),
                flag("version", "Print version").short('V'),
            ])
            .next_help_heading("INI file")
            .args([
                flag("sample", "Print a commented INI file to start from").long("ini"),
                Arg::new("set")
                    .long("set")
                    .value_name("KEY=VALUE")
                    .value_hint(ValueHint::Other)
                    .action(ArgAction::Append)
                    .value_parser(override_of)
                    .help("Override a key of the INI file; may be repeated"),
                flag("check-config", "Read the INI file, tell all that is wrong with it, and end"),
            ])
            .next_help_heading("Running process (its number is in the pidfile)")
            .args([
                flag("reload", "Let it read its INI file again (SIGHUP)").short('r'),
                flag("stop", "Let it end when its round is done (SIGINT)").short('s'),
                flag("kill", "Let it end at once (SIGTERM)").short('k'),
                flag("must-run", "With these, exit with status 1 when no process is running")
                    .requires("signal"),
            ])
            .group(ArgGroup::new("signal").args(["reload", "stop", "kill"]).conflicts_with("daemon"))
            .after_help(manual::after_help(self))
    }

    /// The command line in short.
    pub(super) fn usage(&self) -> String {
        let own = self.switches.iter().filter(|switch| switch.is_positional());
        let own = own.map(|argument| format!(" {}", argument.get_id().as_str().to_uppercase()));
        let commands = if self.commands.is_empty() { "" } else { " COMMAND [ARGUMENT]..." };
        format!("{} [OPTIONS] INI{commands}{}", self.name, own.collect::<String>())
    }

    /// Answers what only asks; tells what else is to be done.
    pub(super) fn asked(&self, matches: &ArgMatches) -> Result<Asked> {
        let overrides: Vec<(String, String)> = matches.get_many("set").unwrap_or_default().cloned().collect();
        let answer = if matches.get_flag("version") {
            let own = self.version.map(|version| format!(" version {version}")).unwrap_or_default();
            format!("{}{own}, Skytools version {}\n", self.name, env!("CARGO_PKG_VERSION"))
        } else if matches.get_flag("sample") {
            sample::of(self, &overrides)
        } else if let Some(form) = matches.get_one::<Form>("generate") {
            manual::generate(self, *form)
        } else {
            let file =
                matches.get_one::<PathBuf>("ini").expect("required where nothing else is asked").clone();
            let loader = Loader::new(file, &self.sections, &self.groups, overrides);
            if !matches.get_flag("check-config") {
                return Ok(Asked::Work(loader, action(matches)));
            }
            let (told, status) = check::report(&loader)?;
            print(&told)?;
            return Ok(Asked::Answered(status));
        };
        print(&answer)?;
        Ok(Asked::Answered(0))
    }
}

/// The exit status of a command line that clap has answered or refused. What is missing is an error like others,
/// what is not understood is not.
pub fn exit_status(wrong: &clap::Error) -> u8 {
    match wrong.kind() {
        ErrorKind::DisplayHelp => 0,
        ErrorKind::MissingRequiredArgument => 1,
        _ => 2,
    }
}

/// How much shall be logged.
pub fn verbosity(matches: &ArgMatches) -> Verbosity {
    match (matches.get_flag("quiet"), matches.get_count("verbose")) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::Trace,
    }
}

fn action(matches: &ArgMatches) -> Action {
    let must_run = matches.get_flag("must-run");
    [("reload", Control::Reload), ("stop", Control::Stop), ("kill", Control::Kill)]
        .into_iter()
        .find(|(switch, _)| matches.get_flag(switch))
        .map_or(Action::Run { daemon: matches.get_flag("daemon") }, |(_, control)| Action::Signal {
            control,
            must_run,
        })
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn override_of(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("it is written KEY=VALUE")?;
    Ok((key.trim().to_lowercase(), value.trim().to_owned()))
}
