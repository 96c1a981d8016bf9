//! The pages of the manual, before they are put on any paper.

use crate::script::{Key, Presence, Program, sample};

/// A part of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Begins a section.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// What is explained, what it is made of, and the explanation.
    Item(String, String, String),
    /// Lines as they are.
    Code(String),
}

use Block::{Code, Heading, Item, Text};

/// A page: its name, half a line about it, and the rest.
#[derive(Clone, Debug)]
pub struct Page {
    /// The name under which it is looked up.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// All after the first heading.
    pub blocks: Vec<Block>,
}

/// The page of the program.
pub fn program(program: &Program) -> Page {
    let name = program.name;
    let section = program.sections[0];
    let mut blocks = vec![
        heading("SYNOPSIS"),
        Code(format!(
            "{}\n{name} -r | -s | -k INI\n{name} --check-config INI\n{name} --ini | --version | --help",
            program.usage()
        )),
        heading("DESCRIPTION"),
    ];
    let description = program.description.map_or_else(|| format!("{}.", program.about), str::to_owned);
    blocks.extend(description.split("\n\n").map(|paragraph| Text(words(paragraph))));
    if !program.commands.is_empty() {
        blocks.push(heading("COMMANDS"));
        blocks.extend(program.commands.iter().map(|command| item(command.usage(), command.help)));
    }
    blocks.push(heading("OPTIONS"));
    blocks.extend(switches(program));
    blocks.push(heading("CONFIGURATION"));
    blocks.push(Text(format!(
        "The INI file has a section [{section}]. Its keys, which {name}.ini(5) explains, are:"
    )));
    for (title, keys) in sample::shown(program) {
        let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
        blocks.push(item(title, &names.join(", ")));
    }
    blocks.extend([
        heading("SIGNALS"),
        item("SIGINT", "The round is finished, then the program ends with status 0. A second one within a second ends it at once."),
        item("SIGHUP", "The INI file is read again before the next round, and log files are opened anew. A file with an error changes nothing."),
        item("SIGTERM", "The program ends at once. What was not committed is taken back by the servers."),
        heading("EXIT STATUS"),
        item("0", "What was asked for is done."),
        item("1", "It could not be done; the error says why."),
        item("2", "The command line was not understood."),
        heading("FILES"),
        item("INI", "The configuration of one job."),
        item("pidfile", "The number of the running process, where the key of this name says. What its owner left behind when it died does no harm."),
        item("skylog.ini", "Where to log, if use_skylog says so: in the folder the program runs in, then ~/.skylog.ini, then /etc/skylog.ini."),
        heading("EXAMPLES"),
    ]);
    blocks.extend(
        super::examples(program)
            .into_iter()
            .map(|(line, does)| Item(line, String::new(), format!("{does}."))),
    );
    blocks.extend([heading("SEE ALSO"), Text(format!("{name}.ini(5)"))]);
    Page { name: name.to_owned(), about: program.about.to_owned(), blocks }
}

/// The page of its INI file.
pub fn file(program: &Program) -> Page {
    let section = program.sections[0];
    let mut blocks = vec![
        heading("DESCRIPTION"),
        Text(format!(
            "{} reads the section [{section}] of its INI file. Start from what {} --ini prints.",
            program.name, program.name
        )),
        Text("A line is key = value or key: value; keys are the same in any case. Lines that begin with # or ; are comments, and there are no others: what follows a ; inside a value belongs to it. An indented line continues the value before it.".to_owned()),
        Text("%(key)s in a value stands for the value of another key of the section, or for one of job_name, service_name, host_name, config_dir and config_file. A percent sign is written %%. With config_format = 2 it is ${key} or ${section:key}, and $$ for a dollar sign.".to_owned()),
        Text("The section [DEFAULT] supplies values to all sections. A line %include FILE reads another file at this place; its name is relative to the file that includes it.".to_owned()),
    ];
    for (title, keys) in sample::shown(program) {
        blocks.push(heading(title));
        blocks.extend(keys.into_iter().map(explained));
    }
    let required = |key: &&Key| key.presence == Presence::Required;
    let line = |key: &Key| format!("{} = {}\n", key.name, key.sample.unwrap_or("..."));
    let needed: String = sample::shown(program)
        .iter()
        .flat_map(|(_, keys)| keys)
        .copied()
        .filter(required)
        .map(line)
        .collect();
    blocks.extend([
        heading("EXAMPLE"),
        Code(format!(
            "[{section}]\nlogfile = ~/log/%(job_name)s.log\npidfile = ~/pid/%(job_name)s.pid\n\n{needed}"
        )),
        heading("SEE ALSO"),
        Text(format!("{}(1)", program.name)),
    ]);
    Page {
        name: format!("{}.ini", program.name),
        about: format!("configuration of {}", program.name),
        blocks,
    }
}

fn explained(key: &Key) -> Block {
    let mut facts = vec![key.kind.name().to_owned()];
    match key.presence {
        Presence::Required => facts.push("required".to_owned()),
        Presence::Optional => {}
        Presence::Default(value) => facts.push(format!("default: {value}")),
    }
    if !key.aliases.is_empty() {
        facts.push(format!("also: {}", key.aliases.join(", ")));
    }
    Item(key.name.to_owned(), format!("({})", facts.join("; ")), words(key.help))
}

fn switches(program: &Program) -> Vec<Block> {
    let mut command = program.command_line();
    command.build();
    let shown = command.get_arguments().filter(|switch| !switch.is_positional() && !switch.is_hide_set());
    shown
        .map(|switch| {
            let short = switch.get_short().map(|short| format!("-{short}"));
            let long = switch.get_long().map(|long| format!("--{long}"));
            let value = switch
                .get_value_names()
                .filter(|_| switch.get_action().takes_values())
                .map(|names| names.join(" "))
                .unwrap_or_default();
            let names: Vec<String> = short.into_iter().chain(long).collect();
            let help = switch.get_help().map(ToString::to_string).unwrap_or_default();
            Item(names.join(", "), value, format!("{}.", help.trim_end_matches('.')))
        })
        .collect()
}

fn heading(title: &str) -> Block {
    Heading(title.to_uppercase())
}

fn item(term: impl Into<String>, meaning: &str) -> Block {
    Item(term.into(), String::new(), format!("{}.", meaning.trim_end_matches('.')))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
