//! Stock producers and consumers of the original's Python framework, on our server.

use std::process::Command;

use nix::sys::signal::Signal;
use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{create, insert, tick_now};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;

use crate::kit::{Workplace, conninfo};

const QUEUE: &str = "orders";

const SEEN: &str = "create table seen (consumer text, ev_id bigint, ev_type text, ev_data text, ev_extra1 text, ev_retry int)";

/// The interpreter with the original's modules, or why there is none.
fn python(workplace: &Workplace, script: &str, arguments: &[&str]) -> Command {
    let script = format!("{}/tests/python/{script}", env!("CARGO_MANIFEST_DIR"));
    let arguments: Vec<&str> =
        ["-W", "ignore", &script].into_iter().chain(arguments.iter().copied()).collect();
    let mut python = workplace.program("python3", &arguments);
    if let Some(modules) = Server::peer().and_then(|peer| peer.python_modules()) {
        python.env("PYTHONPATH", modules);
    }
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

fn has_no_python() -> bool {
    let workplace = Workplace::new();
    let mut python = python(&workplace, "producer.py", &[]);
    // Without arguments the script fails behind its imports.
    let said =
        python.output().map_or_else(|e| e.to_string(), |o| String::from_utf8_lossy(&o.stderr).into_owned());
    let missing = !said.contains("IndexError");
    if missing {
        eprintln!(
            "skipped: no python3 with the original's modules: {}",
            said.lines().last().unwrap_or_default()
        );
    }
    missing
}

/// What the four events of the producer look like in the table.
fn seen(session: &mut Session, consumer: &str) -> Vec<String> {
    session.column(
        "select concat_ws('|', ev_type, coalesce(ev_data, '-'), coalesce(ev_extra1, '-'), coalesce(ev_retry, 0)) \
         from seen where consumer = $1 order by 1",
        &[&consumer],
    )
}

/// Registers a consumer of this class, lets it run, and feeds it until it has seen all.
fn consumes(class: &str, more_keys: &str, expected: &[&str]) {
    let database = Database::fresh("python");
    database.create_extensions(&["pgq_coop", "pgq_ext"]);
    let mut session = database.connect();
    session.exec(SEEN);
    create(&mut session, QUEUE).unwrap();
    let workplace = Workplace::new();
    let conninfo = conninfo(&database);
    workplace.write(
        "job.ini",
        &format!(
            "[tried]\njob_name = {class}\nsrc_db = {conninfo}\ndst_db = {conninfo}\nqueue_name = {QUEUE}\n\
             loop_delay = 0.1\npidfile = job.pid\nuse_skylog = 0\n{more_keys}"
        ),
    );
    // A local one registers itself, at the newest tick: it has to be there before the events are.
    if class != "local" {
        register(&workplace, class, "job.ini");
    }
    let _running = workplace.start_command(class, python(&workplace, "consumer.py", &[class, "job.ini"]));
    wait_until("the consumer to be registered", || {
        session.one("select exists (select from pgq.get_consumer_info())", &[])
    });
    let produced = python(&workplace, "producer.py", &[&conninfo, QUEUE]).output().unwrap();
    assert!(produced.status.success(), "{produced:?}");
    wait_until("all events to be seen", || {
        tick_now(&mut session, QUEUE).unwrap();
        session.exec("select pgq.maint_retry_events()");
        seen(&mut session, class) == expected
    });
}

fn register(workplace: &Workplace, class: &str, file: &str) {
    let registered = python(workplace, "consumer.py", &[class, file, "--register"]).output().unwrap();
    assert!(registered.status.success(), "{registered:?}");
}

#[test]
fn each_class_of_consumer_works_and_the_plain_one_retries() {
    if has_no_python() {
        return;
    }
    let once = ["later|-|-|0", "many|a\tb\\c\n|-|0", "many||y|0", "one|däta|x1|0"];
    let retried = ["later|-|-|1", once[1], once[2], once[3]];
    for (class, more_keys, expected) in [
        ("plain", "", retried),
        ("coop", "subconsumer_name = one\n", once),
        ("local", "local_tracking_file = ./job.tick\n", once),
        ("remote", "", once),
        ("serial", "", once),
    ] {
        consumes(class, more_keys, &expected);
    }
}

#[test]
fn a_job_in_python_and_one_of_ours_take_turns_with_one_ini_file() {
    if has_no_python() {
        return;
    }
    let database = Database::fresh("python");
    let mut session = database.connect();
    session.exec(SEEN);
    create(&mut session, QUEUE).unwrap();
    let workplace = Workplace::new();
    let conninfo = conninfo(&database);
    workplace.write(
        "turns.ini",
        &format!(
            "[simple_consumer3]\nsrc_db = {conninfo}\ndst_db = {conninfo}\nqueue_name = {QUEUE}\nloop_delay = 0.1\n\
             use_skylog = 0\npidfile = %(job_name)s.pid\n\
             dst_query = insert into seen (consumer, ev_data) values ('turns', %%(pgq.ev_data)s)\n"
        ),
    );
    register(&workplace, "turns", "turns.ini");
    let mut expected = Vec::new();
    for turn in 0..4 {
        let command = if turn % 2 == 0 {
            python(&workplace, "consumer.py", &["turns", "turns.ini"])
        } else {
            workplace.program(env!("CARGO_BIN_EXE_simple_consumer"), &["turns.ini"])
        };
        let mut running = workplace.start_command("turns", command);
        insert(&mut session, QUEUE, "I:id", &format!("id={turn}")).unwrap();
        tick_now(&mut session, QUEUE).unwrap();
        expected.push(format!("id={turn}"));
        wait_until("the event of this turn", || {
            session.column::<String>("select ev_data from seen order by ev_data", &[]) == expected
        });
        running.signal(Signal::SIGINT);
        running.end();
    }
}
