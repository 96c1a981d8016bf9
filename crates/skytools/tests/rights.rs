//! What a consumer may do, and what others may do to it.

use pgq_tests::client::{Session, wait_until};
use pgq_tests::queue::{self, create, insert, tick_now};
use pgq_tests::shared::Database;

use crate::kit::{Running, Workplace, conninfo};

/// A consumer that runs as a role that may read the queue, parks what fails, and can do nothing else.
struct Scene {
    database: Database,
    workplace: Workplace,
    role: String,
}

impl Scene {
    fn new(role: &str) -> Self {
        let database = Database::fresh("rights");
        let mut session = database.connect();
        let role = format!("{role}_{}", database.name());
        session.exec(&format!("create role {role} login in role pgq_reader"));
        create(&mut session, "orders").unwrap();
        worker().register(&mut session).unwrap();
        let workplace = Workplace::new();
        let source = conninfo(&database);
        let as_role = source.replace("user=postgres", &format!("user={role}"));
        assert_ne!(as_role, source);
        workplace.write(
            "copier.ini",
            &format!(
                "[simple_consumer]\nsrc_db = {as_role}\ndst_db = {as_role}\nqueue_name = orders\n\
                 consumer_name = worker\nloop_delay = 0.02\nexception_sleep = 0.02\nevent_policy = park\n\
                 dst_query = select 1 / length(%%(pgq.ev_data)s)\n"
            ),
        );
        Self { database, workplace, role }
    }

    fn start(&self) -> Running {
        self.workplace.start("copier", env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"])
    }

    /// Runs it with a switch: how that ended, and what it said.
    fn ask(&self, switches: &[&str]) -> (bool, String) {
        let binary = env!("CARGO_BIN_EXE_simple_consumer");
        let output = self.workplace.run(binary, &[&["copier.ini"], switches].concat());
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    fn park_one(&self, session: &mut Session) {
        insert(session, "orders", "I:", "").unwrap();
        let tick = tick_now(session, "orders").unwrap();
        let _program = self.start();
        wait_until("the batch to be done", || worker().position(session).unwrap() == tick);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let role = &self.role;
        self.database.connect().exec(&format!("drop owned by {role} cascade; drop role {role}"));
    }
}

fn worker() -> queue::Consumer {
    queue::Consumer::new("orders", "worker")
}

#[test]
fn who_may_not_make_the_table_of_dead_letters_hears_who_may_and_then_needs_only_to_read_queues() {
    let scene = Scene::new("reader");
    let mut session = scene.database.connect();
    scene.start().wait_for("HINT: pgq_consumer.dead_letter is made by who may create schemas");
    // By the superuser, who starts it once.
    let (ini, role) = (scene.workplace.read("copier.ini"), &scene.role);
    scene.workplace.write("copier.ini", &ini.replace(&format!("user={role}"), "user=postgres"));
    let made = "select to_regclass('pgq_consumer.dead_letter') is not null";
    let program = scene.start();
    wait_until("the table", || session.one(made, &[]));
    drop(program);
    scene.workplace.write("copier.ini", &ini);

    scene.park_one(&mut session);
    scene.park_one(&mut session);
    assert_eq!(scene.ask(&["--dead-letters"]).1.lines().count(), 2);
    assert!(scene.ask(&["--show-dead-letter", "1"]).1.contains("cause: dst_db: division by zero"));
    // What fails leaves the letter where it is.
    let (replayed, said) = scene.ask(&["--replay-dead-letter", "all"]);
    assert!(!replayed && said.contains("permission denied for function event_retry_raw"), "{said}");
    assert_eq!(session.one::<i64>("select count(*) from pgq_consumer.dead_letter", &[]), 2);
    assert!(scene.ask(&["--drop-dead-letter", "1"]).0);
    session.exec(&format!("grant pgq_admin to {role}"));
    assert!(scene.ask(&["--replay-dead-letter", "all"]).0);
    assert_eq!(session.one::<i64>("select count(*) from pgq.retry_queue", &[]), 1);
}

#[test]
fn who_would_make_the_table_of_dead_letters_finds_it_when_another_role_was_quicker() {
    let scene = Scene::new("second");
    let mut session = scene.database.connect();
    session.exec(&format!("grant create on database {} to {}", scene.database.name(), scene.role));
    let mut first = scene.database.connect();
    first.exec(
        "begin;
         select pg_advisory_xact_lock(hashtextextended('pgq_consumer.dead_letter', 0));
         create schema pgq_consumer; create table pgq_consumer.dead_letter (letter_id bigint);
         grant usage on schema pgq_consumer to pgq_reader",
    );
    let program = scene.start();
    wait_until("it to wait", || {
        let waits = "select exists (select from pg_stat_activity \
                     where datname = current_database() and wait_event = 'advisory')";
        session.one(waits, &[])
    });
    first.exec("commit");
    insert(&mut session, "orders", "I:", "x").unwrap();
    let tick = tick_now(&mut session, "orders").unwrap();
    wait_until("the batch to be done", || worker().position(&mut session).unwrap() == tick);
    assert!(!program.said().contains("ERROR"), "{}", program.said());
}

/// Functions of the names, and with the arguments, of those that a consumer calls. They are as close as they can be:
/// in a schema that comes before the server's own.
const TRAPS: &str = "
    create function public.trap() returns text language plpgsql as $$ begin raise 'trapped'; end $$;
    create function public.hashtextextended(text, integer) returns bigint
        language sql as $$ select trap()::bigint $$;
    create function public.pg_advisory_xact_lock(bigint) returns void language sql as $$ select trap() $$;
    create function public.pg_try_advisory_xact_lock(bigint) returns boolean
        language sql as $$ select trap()::boolean $$;
    create function public.to_regclass(text) returns regclass language sql as $$ select trap()::regclass $$;
    create function public.to_regprocedure(text) returns regprocedure
        language sql as $$ select trap()::regprocedure $$;
    create function public.to_regnamespace(text) returns regnamespace
        language sql as $$ select trap()::regnamespace $$;
    create function public.quote_ident(text) returns text language sql as $$ select trap() $$;
    create function public.now() returns timestamptz language sql as $$ select trap()::timestamptz $$;
    create function public.unnest(bigint[]) returns setof bigint language sql as $$ select trap()::bigint $$;
    create function public.unnest(integer[]) returns setof integer language sql as $$ select trap()::integer $$;
";

#[test]
fn nobody_can_put_functions_of_his_in_the_way_of_a_consumer() {
    let scene = Scene::new("careless");
    let (name, role) = (scene.database.name(), &scene.role);
    let mut session = scene.database.connect();
    session.exec(&format!(
        "{TRAPS};
         grant create on database {name} to {role};
         grant pgq_admin to {role};
         alter role {role} set search_path = public, pg_catalog"
    ));
    for policy in ["park", "retry"] {
        let ini = scene.workplace.read("copier.ini");
        scene
            .workplace
            .write("copier.ini", &ini.replace("event_policy = park", &format!("event_policy = {policy}")));
        scene.park_one(&mut session);
    }
    assert_eq!(scene.ask(&["--dead-letters"]).1.lines().count(), 1);
    let (replayed, said) = scene.ask(&["--replay-dead-letter", "all"]);
    assert!(replayed, "{said}");
    assert_eq!(session.one::<i64>("select count(*) from pgq.retry_queue", &[]), 2);

    // A serial consumer, into the same database.
    session.exec(&format!(
        "create extension pgq_ext; grant pgq_writer to {role};
         select pgq.register_consumer('orders', 'serial')"
    ));
    let ini = scene.workplace.read("copier.ini");
    let ini = ini.replace("[simple_consumer]", "[simple_serial_consumer]").replace("= worker", "= serial");
    scene.workplace.write("serial.ini", &ini.replace("event_policy = retry", ""));
    insert(&mut session, "orders", "I:", "x").unwrap();
    let tick = tick_now(&mut session, "orders").unwrap();
    let _serial =
        scene.workplace.start("serial", env!("CARGO_BIN_EXE_simple_serial_consumer"), &["serial.ini"]);
    let serial = queue::Consumer::new("orders", "serial");
    wait_until("the batch to be done", || serial.position(&mut session).unwrap() == tick);
}
