//! `--ini`: an INI file to start from, with every key explained.

use crate::script::{Key, KeyGroup, Presence, Program};

/// The keys of a program, most specific group first; those set on the command line with their values.
pub fn of(program: &Program, overrides: &[(String, String)]) -> String {
    let mut text = format!("[{}]\n", program.sections[0]);
    for group in shown(program) {
        text.push_str(&format!("\n## {} ##\n", group.0));
        for key in group.1 {
            text.push('\n');
            for line in wrap(key.help, 76) {
                text.push_str(&format!("# {line}\n"));
            }
            text.push_str(&setting(key, overrides));
        }
    }
    let known = |name: &str| program.groups.iter().flat_map(|group| group.keys).any(|key| key.covers(name));
    let unknown = overrides.iter().filter(|(name, _)| !known(name));
    for (at, (name, value)) in unknown.enumerate() {
        text.push_str(if at == 0 { "\n## Set on the command line ##\n\n" } else { "" });
        text.push_str(&line(name, value));
    }
    text
}

/// The groups and their keys in the order to show them, each key where it is defined last.
pub fn shown(program: &Program) -> Vec<(&'static str, Vec<&'static Key>)> {
    let mut groups: Vec<(&str, Vec<&Key>)> = Vec::new();
    for KeyGroup { title, keys } in program.groups.iter().rev() {
        let seen = |key: &&Key| groups.iter().flat_map(|(_, keys)| keys).any(|known| known.name == key.name);
        let fresh: Vec<&Key> = keys.iter().filter(|key| !seen(key)).collect();
        if !fresh.is_empty() {
            groups.push((title, fresh));
        }
    }
    groups
}

/// The key as a line of the file: set when somebody has set it or must; otherwise a comment with what holds anyway.
fn setting(key: &Key, overrides: &[(String, String)]) -> String {
    let set: Vec<String> = overrides
        .iter()
        .filter(|(name, _)| key.covers(name))
        .map(|(name, value)| line(name, value))
        .collect();
    if !set.is_empty() {
        return set.concat();
    }
    match key.presence {
        Presence::Required => line(key.name, key.sample.unwrap_or_default()),
        Presence::Optional => comment(&line(key.name, key.sample.unwrap_or_default())),
        Presence::Default(value) => comment(&line(key.name, key.sample.unwrap_or(value))),
    }
}

fn line(name: &str, value: &str) -> String {
    format!("{}\n", format!("{name} = {}", value.replace('\n', "\n    ")).trim_end())
}

fn comment(lines: &str) -> String {
    lines.lines().map(|line| format!("#{line}\n")).collect()
}

/// Text in lines of at most so many characters, words kept whole.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Kind;

    #[test]
    fn the_most_specific_keys_come_first_and_what_is_set_appears() {
        const BASE: &[Key] = &[
            Key::required("queue_name", Kind::Text, "The queue.").aliases(&["pgq_queue_name"]),
            Key::with_default("lazy", Kind::Integer, "300", "How many at a time."),
        ];
        const OWN: &[Key] = &[
            Key::required("query", Kind::Text, "The statement.").sample("insert\ninto"),
            Key::with_default("lazy", Kind::Integer, "0", "None at a time."),
            Key::optional("filter", Kind::List, "Tables.").sample("a, b"),
        ];
        let program = Program::new("copier", "Copy").keys("Consumer", BASE).keys("Copier", OWN);
        let set = [("pgq_queue_name", "q"), ("other", "1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let text = of(&program, &set);
        assert!(
            text.starts_with(
                "[copier]\n\n## Copier ##\n\n# The statement.\nquery = insert\n    into\n\n# None at a time.\n#lazy = 0\n\n\
                 # Tables.\n#filter = a, b\n\n## Consumer ##\n\n# The queue.\npgq_queue_name = q\n\n\
                 ## Common to all programs ##\n\n# Unique name"
            ),
            "{text}"
        );
        assert!(text.ends_with("\n## Set on the command line ##\n\nother = 1\n"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}
