//! The command line of a program, and what it answers without a server.

use std::process::{Output, Stdio};

use crate::kit::Workplace;

const BINARY: &str = env!("CARGO_BIN_EXE_simple_consumer");

const GOOD: &str = "[simple_consumer]\nsrc_db = dbname=a\ndst_db = dbname=b\nqueue_name = orders\n\
                    dst_query = insert into result values (%%(id)s)\n";

fn run(workplace: &Workplace, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = workplace.run(BINARY, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn the_version_names_program_and_suite() {
    for switch in ["-V", "--version"] {
        let version = format!("simple_consumer, Skytools version {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(run(&Workplace::new(), &[switch]), (0, version, String::new()));
    }
}

#[test]
fn help_teaches_switches_keys_and_examples() {
    let (status, help, errors) = run(&Workplace::new(), &["-h"]);
    assert_eq!((status, errors.as_str()), (0, ""));
    assert_eq!(run(&Workplace::new(), &["--help"]).1, help);
    for taught in [
        "-q, --quiet",
        "-v, --verbose",
        "-d, --daemon",
        "-V, --version",
        "--ini",
        "--set <KEY=VALUE>",
        "--check-config",
        "-r, --reload",
        "-s, --stop",
        "-k, --kill",
        "section [simple_consumer]",
        "dst_query",
        "loop_delay",
        "simple_consumer --ini > my.ini",
    ] {
        assert!(help.contains(taught), "{taught}: {help}");
    }
    assert!(!help.contains("--generate"), "{help}");
}

#[test]
fn without_a_file_there_is_nothing_to_do() {
    for arguments in [&[][..], &["-v"], &["-s"], &["--check-config"]] {
        let (status, output, errors) = run(&Workplace::new(), arguments);
        assert_eq!((status, output.as_str()), (1, ""), "{arguments:?}");
        assert!(errors.contains("INI"), "{errors}");
    }
}

#[test]
fn what_is_not_understood_is_refused_with_status_2() {
    for arguments in [
        &["--nonsense", "x.ini"][..],
        &["x.ini", "-X"],
        &["--set", "novalue", "x.ini"],
        &["-s", "-r", "x.ini"],
        &["-s", "-d", "x.ini"],
        &["--register", "--unregister", "x.ini"],
        &["--dead-letters", "--drop-dead-letter", "all", "x.ini"],
    ] {
        let (status, output, errors) = run(&Workplace::new(), arguments);
        assert_eq!((status, output.as_str()), (2, ""), "{arguments:?}");
        assert!(errors.starts_with("error: "), "{errors}");
    }
}

#[test]
fn to_ask_that_something_runs_takes_something_to_tell_it() {
    for arguments in [&["x.ini", "--must-run"][..], &["x.ini", "--must-run", "-d"]] {
        let (status, _, errors) = run(&Workplace::new(), arguments);
        assert_eq!(status, 1);
        assert!(errors.contains("<--reload|--stop|--kill>"), "{errors}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_one_line_and_status_1() {
    let workplace = Workplace::new();
    workplace.write("other.ini", "[other]\na = 1\n");
    for (file, expected) in [
        ("none.ini", "simple_consumer: read none.ini: No such file or directory (os error 2)\n"),
        ("other.ini", "simple_consumer: other.ini has no section [simple_consumer]; it has [other]\n"),
    ] {
        assert_eq!(run(&workplace, &[file]), (1, String::new(), expected.to_owned()));
    }
}

#[test]
fn the_sample_is_a_file_to_start_from() {
    let workplace = Workplace::new();
    let (status, sample, _) = run(
        &workplace,
        &[
            "--ini",
            "--set",
            "src_db=dbname=a",
            "--set=dst_db=dbname=b",
            "--set",
            "pgq_queue_name = q",
            "--set",
            "dst_query=select 1",
        ],
    );
    assert_eq!(status, 0);
    assert!(sample.starts_with("[simple_consumer]\n"), "{sample}");
    let at = |text: &str| sample.find(text).unwrap_or_else(|| panic!("{text}: {sample}"));
    let order = [
        "\nsrc_db = dbname=a\n",
        "\npgq_queue_name = q\n",
        "\n#consumer_name = %(job_name)s\n",
        "\n#loop_delay = 1.0\n",
    ];
    assert!(order.map(at).is_sorted(), "{sample}");
    workplace.write("sample.ini", &sample);
    let fine = "sample.ini: section [simple_consumer] is fine\n";
    assert_eq!(run(&workplace, &["--check-config", "sample.ini"]), (0, fine.to_owned(), String::new()));
}

#[test]
fn check_config_tells_all_that_is_wrong_at_once() {
    let workplace = Workplace::new();
    workplace.write("good.ini", GOOD);
    assert_eq!(
        run(&workplace, &["good.ini", "--check-config"]).0,
        0,
        "switches and arguments are mixed freely"
    );
    workplace.write(
        "bad.ini",
        "[simple_consumer]\nsrc_db = dbname=a\nlop_delay = 1\nloop_delay = soon\nnote = x\n\
         dst_query = insert into result values (%(id)s)\nexception_sleep = 1 ; second\n",
    );
    let (status, told, errors) = run(&workplace, &["--check-config", "bad.ini"]);
    assert_eq!((status, errors.as_str()), (1, ""));
    for expected in [
        "warning: bad.ini:7: what follows ; is part of the value of exception_sleep, no comment\n",
        "error: bad.ini:4: config parameter loop_delay: \"soon\" is no number\n",
        "error: bad.ini:6: config parameter dst_query: %(id)s refers to a key that is not set",
        "error: bad.ini:7: config parameter exception_sleep: \"1 ; second\" is no number\n",
        "error: config parameter not set: dst_db\n",
        "error: config parameter not set: queue_name\n",
        "error: bad.ini:3: config parameter lop_delay: is not known; loop_delay is\n",
        "error: bad.ini:5: config parameter note: is not known\n",
    ] {
        assert!(told.contains(expected), "{expected}{told}");
    }
    assert!(!told.contains("not set: dst_query"), "{told}");
    let set = ["--check-config", "good.ini", "--set", "loop_delay=never"];
    assert_eq!(run(&workplace, &set).1, "error: config parameter loop_delay: \"never\" is no number\n");
}

#[test]
fn pages_and_completions_know_every_key_and_switch() {
    let generated = |form| {
        let (status, text, errors) = run(&Workplace::new(), &["--generate", form]);
        assert_eq!((status, errors.as_str()), (0, ""), "{form}");
        text
    };
    let unescaped = |form| generated(form).replace("\\-", "-").replace("\\*(Aq", "'");
    for (form, known) in [
        ("man", ["--check-config", "SIGHUP", "EXIT STATUS", "loop_delay", "simple_consumer --ini > my.ini"]),
        ("man5", ["dst_query", "pgq_queue_name", "default: 1.0", "%include FILE", "[simple_consumer]"]),
        (
            "html",
            ["--check-config", "pgq_queue_name", "SIGHUP", "<dt><code>loop_delay</code>", "&gt; my.ini"],
        ),
        ("bash", ["--quiet", "--set", "--check-config", "--reload", "complete -F"]),
        ("zsh", ["--quiet", "--set", "--check-config", "--reload", "#compdef simple_consumer"]),
        ("fish", ["quiet", "set", "check-config", "reload", "complete -c simple_consumer"]),
    ] {
        let text = unescaped(form);
        for word in known {
            assert!(text.contains(word), "{word} in {form}: {text}");
        }
    }
    assert_eq!(run(&Workplace::new(), &["--generate", "papyrus"]).0, 2);

    let workplace = Workplace::new();
    let mut dated = workplace.program(BINARY, &["--generate", "man"]);
    let page = dated.env("SOURCE_DATE_EPOCH", "86400").output().unwrap().stdout;
    assert!(String::from_utf8(page).unwrap().contains(".TH SIMPLE_CONSUMER 1 1970-01-02 "));
}

#[test]
fn the_pages_for_a_browser_close_what_they_open() {
    let (_, html, _) = run(&Workplace::new(), &["--generate", "html"]);
    let mut open = Vec::new();
    for tag in html.split('<').skip(1).map(|rest| rest.split(['>', ' ']).next().unwrap()) {
        match tag.strip_prefix('/') {
            Some(tag) => assert_eq!(open.pop(), Some(tag), "{html}"),
            None if ["!DOCTYPE", "meta"].contains(&tag) => {}
            None => open.push(tag),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let workplace = Workplace::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let Output { status, stderr, .. } = workplace
        .program(BINARY, &["--ini"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap().as_str()), (Some(0), ""));
}
