//! What is told of a program, on every kind of paper: the end of `--help`, man pages, HTML; and shell completions.

mod html;
mod page;
mod roff;

use clap::ValueEnum;
use clap_complete::Shell;

use crate::script::{Program, sample};

/// What can be generated for an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The manual page of the program, section 1.
    Man,
    /// The manual page of its INI file, section 5.
    Man5,
    /// Both, for a browser.
    Html,
    /// Completions for bash.
    Bash,
    /// Completions for zsh.
    Zsh,
    /// Completions for fish.
    Fish,
    /// The other names by which it is installed, one a line.
    Names,
}

/// The text of it.
pub fn generate(program: &Program, form: Form) -> String {
    match form {
        Form::Man => roff::render(program, "1", &page::program(program)),
        Form::Man5 => roff::render(program, "5", &page::file(program)),
        Form::Html => html::render(program, &[page::program(program), page::file(program)]),
        Form::Bash => completions(program, Shell::Bash),
        Form::Zsh => completions(program, Shell::Zsh),
        Form::Fish => completions(program, Shell::Fish),
        Form::Names => names(program),
    }
}

/// As the 2.1 line had it with a suffix, and where the 3.x line had a name of its own, which its section tells.
fn names(program: &Program) -> String {
    let name = program.name;
    let third = format!("{name}3");
    let named_so = program.sections.contains(&third.as_str());
    if named_so { format!("{name}.py\n{third}\n") } else { format!("{name}.py\n") }
}

/// What `--help` says after the switches.
pub fn after_help(program: &Program) -> String {
    let mut text = String::new();
    if !program.commands.is_empty() {
        text.push_str("Commands:\n");
        for command in &program.commands {
            text.push_str(&format!("  {}\n          {}\n", command.usage(), command.help));
        }
        text.push('\n');
    }
    text.push_str(&format!("Keys of the INI file, section [{}]:\n", program.sections[0]));
    for (title, keys) in sample::shown(program) {
        let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
        text.push_str(&format!("  {title}:\n"));
        for line in sample::wrap(&names.join(", "), 88) {
            text.push_str(&format!("          {line}\n"));
        }
    }
    text.push_str("\nExamples:\n");
    for (line, does) in examples(program) {
        text.push_str(&format!("  {line}\n          {does}\n"));
    }
    text.trim_end().to_owned()
}

/// Command lines, and what they do.
fn examples(program: &Program) -> Vec<(String, String)> {
    let name = program.name;
    let mut lines =
        vec![(format!("{name} --ini > my.ini"), "Write a commented INI file to start from".to_owned())];
    if program.commands.is_empty() {
        lines.push((format!("{name} my.ini"), "Run in the foreground".to_owned()));
        lines.push((format!("{name} -d my.ini"), "Run in the background".to_owned()));
        lines.push((format!("{name} -s my.ini"), "End what runs in the background".to_owned()));
    }
    lines.extend(program.examples.iter().map(|(line, does)| (format!("{name} {line}"), (*does).to_owned())));
    lines
}

fn completions(program: &Program, shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program.shown_command_line(), program.name, &mut text);
    String::from_utf8(text).expect("made of text")
}
