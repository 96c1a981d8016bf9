//! What each program tells of itself for `make install`.

use crate::kit::Workplace;

/// Each program, and the other names that it had in SkyTools 2.1 and 3.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("simple_consumer", env!("CARGO_BIN_EXE_simple_consumer"), "simple_consumer.py\nsimple_consumer3\n"),
    (
        "simple_local_consumer",
        env!("CARGO_BIN_EXE_simple_local_consumer"),
        "simple_local_consumer.py\nsimple_local_consumer3\n",
    ),
    ("simple_serial_consumer", env!("CARGO_BIN_EXE_simple_serial_consumer"), "simple_serial_consumer.py\n"),
];

fn told(workplace: &Workplace, binary: &str, arguments: &[&str]) -> String {
    let output = workplace.run(binary, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn each_program_knows_its_other_names() {
    let workplace = Workplace::new();
    for (_, binary, names) in PROGRAMS {
        assert_eq!(told(&workplace, binary, &["--generate", "names"]), names);
    }
}

#[test]
fn each_switch_and_key_stands_on_every_paper() {
    let workplace = Workplace::new();
    for (name, binary, _) in PROGRAMS {
        let help = told(&workplace, binary, &["--help"]);
        let words = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let switches: Vec<&str> = words.filter(|word| word.starts_with("--")).collect();
        assert!(switches.contains(&"--register") && switches.contains(&"--daemon"), "{help}");
        for form in ["man", "html", "bash", "zsh", "fish"] {
            // man writes a hyphen as \-, fish a switch without its hyphens.
            let paper = told(&workplace, binary, &["--generate", form]).replace("\\-", "-");
            assert!(paper.contains(name), "{form} of {name}");
            assert!(!paper.contains("--generate ") && !paper.contains("-l generate"), "{form} of {name}");
            for switch in &switches {
                assert!(paper.contains(switch.trim_start_matches('-')), "{switch} in {form} of {name}");
            }
        }
        let sample = told(&workplace, binary, &["--ini"]);
        let keys: Vec<&str> = sample
            .lines()
            .filter_map(|line| line.trim_start_matches(['#', ' ']).split_once(" =").map(|(key, _)| key))
            .filter(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            .collect();
        assert!(keys.contains(&"queue_name") && keys.contains(&"loop_delay"), "{sample}");
        for form in ["man5", "html"] {
            let paper = told(&workplace, binary, &["--generate", form]).replace("\\-", "-");
            for key in &keys {
                assert!(paper.contains(key), "{key} in {form} of {name}");
            }
        }
    }
}

/// A shell, which may not be there.
fn shell(workplace: &Workplace, name: &str, arguments: &[&str]) -> Option<String> {
    match workplace.program(name, arguments).env("PATH", std::env::var_os("PATH").unwrap()).output() {
        Ok(output) => {
            assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) => {
            eprintln!("skipped: {name} cannot be run: {error}");
            None
        }
    }
}

/// What the program has for `--re`, for `--set`, and what is left of `--gen`.
const COMPLETED: [(&str, &[&str]); 3] =
    [("--re", &["--register", "--reload", "--replay-dead-letter"]), ("--set ", &[]), ("--gen", &[])];

#[test]
fn bash_completes_switches() {
    let workplace = Workplace::new();
    let (name, binary, _) = PROGRAMS[0];
    workplace.write("complete", &told(&workplace, binary, &["--generate", "bash"]));
    for (line, expected) in COMPLETED {
        let words: Vec<&str> = [name].into_iter().chain(line.split(' ')).collect();
        let [.., before, last] = words.as_slice() else { unreachable!("the program is before it") };
        let script = format!(
            "compopt() {{ :; }}; source complete; COMP_WORDS=({}); COMP_CWORD={}; _{name} {name} '{last}' '{before}'; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.join(" "),
            words.len() - 1
        );
        let Some(completed) = shell(&workplace, "bash", &["-c", &script]) else { return };
        let mut completed: Vec<&str> = completed.split_whitespace().collect();
        completed.sort_unstable();
        assert_eq!(completed, expected, "{line}");
    }
}

#[test]
fn fish_completes_switches() {
    let workplace = Workplace::new();
    let (name, binary, _) = PROGRAMS[0];
    workplace.write("complete", &told(&workplace, binary, &["--generate", "fish"]));
    for (line, expected) in COMPLETED {
        let script = format!("source complete; complete -C'{name} {line}'");
        let Some(completed) = shell(&workplace, "fish", &["--no-config", "-c", &script]) else { return };
        let completed: Vec<&str> =
            completed.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(completed, expected, "{line}");
    }
}

#[test]
fn zsh_reads_its_completions() {
    let workplace = Workplace::new();
    let (name, binary, _) = PROGRAMS[0];
    workplace.write("complete", &told(&workplace, binary, &["--generate", "zsh"]));
    let script = format!(
        "autoload -U compinit; compinit -u -D; source ./complete; print -r -- $_comps[{name}]; whence -w _{name}"
    );
    let Some(known) = shell(&workplace, "zsh", &["-f", "-c", &script]) else { return };
    assert_eq!(known, format!("_{name}\n_{name}: function\n"));
}
