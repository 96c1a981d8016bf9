//! Programs with commands: `prog INI command arguments`.
//!
//! ```text
//! Subcommand::new      does something      holds PIDFILE.admin meanwhile, so that two do not meet
//! Subcommand::query    only looks          needs no pid file
//! Subcommand::job      the daemon          holds PIDFILE; -d, -r, -s and -k are for it
//! ```

use std::fmt;
use std::pin::Pin;
use std::process::ExitCode;

use clap::ArgMatches;

use crate::script::launch::{Action, launch};
use crate::script::loader::PidFile;
use crate::script::program::log_findings;
use crate::script::switches::{self, Asked};
use crate::script::{Job, Program, Script};
use crate::{Error, Result};

/// A command of a program.
pub struct Subcommand {
    name: &'static str,
    parameters: Vec<Parameter>,
    pub(super) help: &'static str,
    pidfile: PidFile,
    run: Box<dyn Run>,
}

impl Subcommand {
    /// A command that does something. `arguments` are named as the help shows them: `"QUEUE CONSUMER"`; one that may
    /// be left out is `[QUEUE]`, and the last may come again and again: `TABLE...` or `[TABLE...]`. In names, `-`
    /// and `_` are the same.
    pub fn new(
        name: &'static str,
        arguments: &'static str,
        help: &'static str,
        run: impl AsyncFn(&mut Script, &Arguments) -> Result<()> + 'static,
    ) -> Self {
        Self {
            name,
            parameters: arguments.split_whitespace().map(Parameter::new).collect(),
            help,
            pidfile: PidFile::Admin,
            run: Box::new(Once(run)),
        }
    }

    /// A command that only looks, and so may run at any time.
    pub fn query(
        name: &'static str,
        arguments: &'static str,
        help: &'static str,
        run: impl AsyncFn(&mut Script, &Arguments) -> Result<()> + 'static,
    ) -> Self {
        Self { pidfile: PidFile::None, ..Self::new(name, arguments, help, run) }
    }

    /// The command that runs a job.
    pub fn job<J: Job>(
        name: &'static str,
        arguments: &'static str,
        help: &'static str,
        job: impl Fn(&mut Script, &Arguments) -> Result<J> + 'static,
    ) -> Self {
        Self {
            name,
            parameters: arguments.split_whitespace().map(Parameter::new).collect(),
            help,
            pidfile: PidFile::AsSet,
            run: Box::new(Loop(job)),
        }
    }

    /// Its name and arguments.
    pub(super) fn usage(&self) -> String {
        let arguments: Vec<&str> = self.parameters.iter().map(|parameter| parameter.shown).collect();
        [vec![self.name], arguments].concat().join(" ")
    }

    /// How many of the words are its name; `None`: they name another command.
    fn matches(&self, words: &[String]) -> Option<usize> {
        let name: Vec<&str> = self.name.split(' ').collect();
        let said = words.get(..name.len())?;
        said.iter()
            .zip(&name)
            .all(|(said, name)| said.replace('_', "-") == name.replace('_', "-"))
            .then_some(name.len())
    }

    fn check(&self, given: &[String]) -> Result<()> {
        let least = self.parameters.iter().filter(|parameter| !parameter.optional).count();
        let endless = self.parameters.iter().any(|parameter| parameter.repeated);
        let most = self.parameters.len();
        if given.len() >= least && (endless || given.len() <= most) {
            return Ok(());
        }
        let expected = match (endless, least == most) {
            (true, _) => format!("{least} or more"),
            (false, true) => least.to_string(),
            (false, false) => format!("{least} to {most}"),
        };
        let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.shown).collect();
        let names = if names.is_empty() { String::new() } else { format!(": {}", names.join(" ")) };
        Err(Error::usage(format!(
            "command '{}' got {} args, but expects {expected}{names}",
            self.name,
            given.len()
        )))
    }
}

impl fmt::Debug for Subcommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subcommand").field(&self.usage()).finish()
    }
}

/// What a command was given.
pub struct Arguments {
    parameters: Vec<Parameter>,
    given: Vec<String>,
    switches: ArgMatches,
}

impl Arguments {
    /// The argument of this name, for one that must be there.
    ///
    /// # Panics
    /// When the command has no such argument, or it may be left out.
    #[must_use]
    #[track_caller]
    pub fn get(&self, name: &str) -> &str {
        assert!(!self.parameter(name).1.optional, "{name} may be left out");
        self.optional(name).expect("the count was checked")
    }

    /// The argument of this name, for one that may be left out.
    ///
    /// # Panics
    /// When the command has no such argument.
    #[must_use]
    #[track_caller]
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.given.get(self.parameter(name).0).map(String::as_str)
    }

    /// All arguments of this name, for one that may come again and again.
    ///
    /// # Panics
    /// When the command has no such argument.
    #[must_use]
    #[track_caller]
    pub fn all(&self, name: &str) -> &[String] {
        self.given.get(self.parameter(name).0..).unwrap_or_default()
    }

    /// The program's own switches.
    #[must_use]
    pub const fn switches(&self) -> &ArgMatches {
        &self.switches
    }

    #[track_caller]
    fn parameter(&self, name: &str) -> (usize, &Parameter) {
        let found = self.parameters.iter().enumerate().find(|(_, parameter)| parameter.name == name);
        found.unwrap_or_else(|| panic!("the command has no argument {name}"))
    }
}

/// An argument of a command, as its definition names it.
#[derive(Clone, Debug)]
struct Parameter {
    shown: &'static str,
    name: &'static str,
    optional: bool,
    repeated: bool,
}

impl Parameter {
    fn new(shown: &'static str) -> Self {
        let bare = shown.strip_prefix('[').and_then(|bare| bare.strip_suffix(']')).unwrap_or(shown);
        let name = bare.strip_suffix("...").unwrap_or(bare);
        Self { shown, name, optional: bare != shown, repeated: name != bare }
    }
}

/// What a command does; gives the exit status.
trait Run {
    fn run<'a>(&'a self, script: &'a mut Script, arguments: &'a Arguments) -> Running<'a>;
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<u8>> + 'a>>;

struct Once<F>(F);

impl<F: AsyncFn(&mut Script, &Arguments) -> Result<()>> Run for Once<F> {
    fn run<'a>(&'a self, script: &'a mut Script, arguments: &'a Arguments) -> Running<'a> {
        Box::pin(async move { self.0(script, arguments).await.map(|()| 0) })
    }
}

struct Loop<F>(F);

impl<J: Job, F: Fn(&mut Script, &Arguments) -> Result<J>> Run for Loop<F> {
    fn run<'a>(&'a self, script: &'a mut Script, arguments: &'a Arguments) -> Running<'a> {
        Box::pin(async move {
            let mut job = self.0(script, arguments)?;
            script.run(&mut job).await
        })
    }
}

impl Program {
    /// A command. A program that has some is run by [`administer`](Self::administer).
    #[must_use]
    pub fn command(mut self, command: Subcommand) -> Self {
        self.commands.push(command);
        self
    }

    /// Reads the command line, and does what it says: mostly, run the command that it names.
    pub fn administer(self) -> ExitCode {
        self.end(|matches| {
            let (loader, action) = match self.asked(matches)? {
                Asked::Answered(status) => return Ok(status),
                Asked::Work(loader, action) => (loader, action),
            };
            let verbosity = switches::verbosity(matches);
            if let Action::Signal { .. } = action {
                return launch(&loader, action, verbosity, async |_| Ok(0));
            }
            let (command, arguments) = self.choose(matches)?;
            if action == (Action::Run { daemon: true }) && command.pidfile != PidFile::AsSet {
                return Err(Error::usage(format!(
                    "command '{}' does not run in the background",
                    command.name
                )));
            }
            launch(&loader.with_pidfile(command.pidfile), action, verbosity, async |script| {
                log_findings(script);
                command.run.run(script, &arguments).await
            })
        })
    }

    fn choose(&self, matches: &ArgMatches) -> Result<(&Subcommand, Arguments)> {
        let words = [matches.get_many::<String>("command"), matches.get_many("arguments")];
        let mut words: Vec<String> = words.into_iter().flatten().flatten().cloned().collect();
        if words.is_empty() {
            return Err(Error::usage("need command, see --help for usage"));
        }
        let named = self.commands.iter().filter_map(|command| Some((command.matches(&words)?, command)));
        let (length, command) = named
            .max_by_key(|(length, _)| *length)
            .ok_or_else(|| Error::usage("bad subcommand, see --help for usage"))?;
        let given = words.split_off(length);
        command.check(&given)?;
        Ok((command, Arguments { parameters: command.parameters.clone(), given, switches: matches.clone() }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn program() -> Program {
        let nothing = async |_: &mut Script, _: &Arguments| Ok(());
        Program::new("queue_admin", "Look after queues")
            .command(Subcommand::new("register", "QUEUE CONSUMER", "Register", nothing))
            .command(Subcommand::new("add-table", "TABLE...", "Add tables", nothing))
            .command(Subcommand::query("config", "[QUEUE] [VAR=VAL...]", "Show or set", nothing))
            .command(Subcommand::query("status", "", "Show", nothing))
            .command(Subcommand::new("provider add", "[TABLE...]", "Add tables", nothing))
            .command(Subcommand::query("find", "A [B]", "Find", nothing))
    }

    fn choose(words: &str) -> Result<(String, Arguments), String> {
        let program = program();
        let line = ["queue_admin", "x.ini"].into_iter().chain(words.split_whitespace());
        let matches = program.command_line().try_get_matches_from(line).unwrap();
        let (command, arguments) = program.choose(&matches).map_err(|error| error.to_string())?;
        Ok((command.name.to_owned(), arguments))
    }

    #[test]
    fn commands_get_their_arguments_by_name() {
        let (name, arguments) = choose("register orders -v copier").unwrap();
        assert_eq!(
            (name.as_str(), arguments.get("QUEUE"), arguments.get("CONSUMER")),
            ("register", "orders", "copier")
        );
        assert_eq!(arguments.switches().get_count("verbose"), 1);
        assert_eq!(choose("add_table a b c").unwrap().1.all("TABLE"), ["a", "b", "c"]);
        let (_, arguments) = choose("config").unwrap();
        assert_eq!((arguments.optional("QUEUE"), arguments.all("VAR=VAL").len()), (None, 0));
        let (_, arguments) = choose("config q a=1 b=2").unwrap();
        assert_eq!((arguments.optional("QUEUE"), arguments.all("VAR=VAL").len()), (Some("q"), 2));
        assert_eq!(choose("provider add t").unwrap().1.all("TABLE"), ["t"]);
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        for (words, expected) in [
            ("", "need command, see --help for usage"),
            ("regster", "bad subcommand, see --help for usage"),
            ("provider remove", "bad subcommand, see --help for usage"),
            ("register q", "command 'register' got 1 args, but expects 2: QUEUE CONSUMER"),
            ("register q c x", "command 'register' got 3 args, but expects 2: QUEUE CONSUMER"),
            ("status x", "command 'status' got 1 args, but expects 0"),
            ("add-table", "command 'add-table' got 0 args, but expects 1 or more: TABLE..."),
            ("find", "command 'find' got 0 args, but expects 1 to 2: A [B]"),
        ] {
            assert_eq!(choose(words).map(drop).unwrap_err(), expected, "{words}");
        }
    }

    #[test]
    fn help_and_manual_list_the_commands() {
        let program = program();
        let help = program.command_line().render_help().to_string();
        assert!(help.contains("\nUsage: queue_admin [OPTIONS] INI COMMAND [ARGUMENT]...\n"), "{help}");
        assert!(help.contains("\n  config [QUEUE] [VAR=VAL...]\n          Show or set\n"), "{help}");
        let page = crate::script::manual::generate(&program, crate::script::manual::Form::Html);
        assert!(
            page.contains("<dt><code>register QUEUE CONSUMER</code> </dt>\n<dd>Register.</dd>"),
            "{page}"
        );
    }

    #[test]
    #[should_panic(expected = "the command has no argument NODE")]
    fn to_ask_for_an_argument_that_nobody_defined_is_a_mistake_of_the_program() {
        let _ = choose("register q c").unwrap().1.get("NODE");
    }
}
