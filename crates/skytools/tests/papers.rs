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
