//! Consumers that keep a position, and everything that can die: at each step, and at any time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pgq_tests::client::{Session, wait_until};
use pgq_tests::cluster::Cluster;
use pgq_tests::queue::{create, tick_now};
use pgq_tests::server::Server;
use pgq_tests::shared::Database;
use skytools::Result;
use skytools::consumer::{
    Batch, CONSUMER_KEYS, Event, FAILED_EVENT_KEYS, Handler, LOCAL_KEYS, LocalConsumer, RemoteConsumer,
    STATEMENT_KEYS, SerialConsumer, StatementRunner, TARGET_KEYS, Verdict,
};
use skytools::script::{Config, Script};

use crate::kit::{Break, Breaker, Proxy, Running, Side, Worker, Workplace, conninfo};

const EVENTS_OF_A_BATCH: i64 = 5;

/// Where the position is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Remote,
    Serial,
    Local,
}

impl Class {
    fn section(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Serial => "simple_serial_consumer",
            Self::Local => "simple_local_consumer",
        }
    }
}

/// A consumer that writes down which events it got.
struct Job {
    class: Class,
    workplace: Workplace,
}

impl Job {
    fn new(class: Class, workplace: Workplace, source: &str, target: &str) -> Self {
        let ini = format!(
            "[{}]\njob_name = copier\nsrc_db = {source}\ndst_db = {target}\nqueue_name = orders\n\
             consumer_name = copier\nloop_delay = 0.1\nexception_sleep = 0.05\npgq_lazy_fetch = 2\n\
             dst_query = insert into result values (%%(pgq.ev_id)s)\n",
            class.section()
        );
        let file = if class == Class::Local { "local_tracking_file = copier.tick\n" } else { "" };
        workplace.write("copier.ini", &(ini + file));
        Self { class, workplace }
    }

    fn start(&self) -> Running {
        let start = |binary: &str, arguments: &[&str]| self.workplace.start("copier", binary, arguments);
        match self.class {
            Class::Serial => start(env!("CARGO_BIN_EXE_simple_serial_consumer"), &["copier.ini"]),
            Class::Local => start(env!("CARGO_BIN_EXE_simple_local_consumer"), &["copier.ini"]),
            Class::Remote => {
                let me = std::env::current_exe().unwrap();
                start(me.to_str().unwrap(), &["--exact", REMOTE_PROGRAM, "--ignored", "--nocapture"])
            }
        }
    }
}

const REMOTE_PROGRAM: &str = "crashes::remote_consumer_as_a_program";

#[test]
#[ignore = "is started by the tests here, in a folder with its INI file: no shipped program is of this class"]
fn remote_consumer_as_a_program() {
    let ini = std::fs::read_to_string("copier.ini").unwrap();
    let pairs = ini.lines().filter_map(|line| line.split_once(" = "));
    let config =
        Config::from_pairs("remote", &[CONSUMER_KEYS, FAILED_EVENT_KEYS, TARGET_KEYS, STATEMENT_KEYS], pairs)
            .unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut script = Script::new(config);
        let handler = StatementRunner::in_batch(&script).unwrap();
        let mut job = RemoteConsumer::to_target(&script, "src_db", "dst_db", handler).unwrap();
        script.run(&mut job).await.unwrap();
    });
}

fn produce(source: &mut Session) -> i64 {
    source.exec(&format!(
        "select pgq.insert_event('orders', 'I:id', 'id=' || i) from generate_series(1, {EVENTS_OF_A_BATCH}) i"
    ));
    tick_now(source, "orders").unwrap()
}

fn position(source: &mut Session) -> Option<i64> {
    source.column("select last_tick from pgq.get_consumer_info('orders', 'copier')", &[]).first().copied()
}

/// How many events were written down, and how many different ones.
fn results(target: &mut Session) -> (i64, i64) {
    let row = &target.rows("select count(*), count(distinct id) from result", &[])[0];
    (row.get(0), row.get(1))
}

fn prepare(source: &mut Session, target: &mut Session) {
    create(source, "orders").unwrap();
    target.exec(
        "create extension if not exists pgq; create extension pgq_ext; create table result (id bigint)",
    );
}

fn registered(job: &Job, source: &mut Session) {
    if job.class == Class::Local {
        let _registers_itself = job.start();
        wait_until("the consumer to register", || position(source).is_some());
        wait_until("its file", || job.workplace.path("copier.tick").exists());
    } else {
        source.exec("select pgq.register_consumer('orders', 'copier')");
    }
}

/// Runs a batch for each step that the consumer takes to do one, and breaks that step.
fn each_step_may_break(class: Class, what: Break) {
    each_step_may_break_on(&Server::ours(), class, what);
}

fn each_step_may_break_on(server: &Server, class: Class, what: Break) {
    let (source, target) = (Database::fresh_on(server, "crash_source"), Database::fresh("crash_target"));
    let (mut at_source, mut at_target) = (source.connect(), target.connect());
    prepare(&mut at_source, &mut at_target);
    let (workplace, breaker) = (Workplace::new(), Breaker::default());
    let source = Proxy::to(&source, &workplace.path("source"), &breaker);
    let target = Proxy::to(&target, &workplace.path("target"), &breaker);
    let job = Job::new(class, workplace, &source.conninfo(), &target.conninfo());
    registered(&job, &mut at_source);

    let mut inserted = 0;
    for side in [Side::Before, Side::After] {
        let mut steps = 0;
        loop {
            steps += 1;
            let tick = produce(&mut at_source);
            inserted += EVENTS_OF_A_BATCH;
            breaker.arm(steps, side, what);
            let mut program = job.start();
            let mut is_done = || position(&mut at_source) == Some(tick);
            wait_until("the batch to be done, or the step to break", || {
                is_done() || what == Break::Kill && breaker.has_broken()
            });
            if what == Break::Kill && breaker.has_broken() {
                program.end();
                program = job.start();
                wait_until("the batch to be done by another start", is_done);
            }
            drop(program);
            let (count, different) = results(&mut at_target);
            assert_eq!(different, inserted, "{side:?} step {steps}: nothing is lost");
            if class != Class::Local {
                assert_eq!(count, inserted, "{side:?} step {steps}: nothing is done twice");
            }
            if breaker.disarm() {
                break;
            }
        }
        assert!(steps > 15, "a batch has more than {steps} steps");
        let (count, different) = results(&mut at_target);
        let repeated = i64::from(steps) * EVENTS_OF_A_BATCH;
        assert!(
            count - different <= repeated,
            "{count} results of {different} events: at most the batch again"
        );
    }
}

/// Every second event cannot be handled until the gate is open.
const GATE: &str = "
    create table gate (is_open boolean);
    insert into gate values (false);
    create function pass(id bigint) returns bigint language plpgsql as $$
    begin
        if id % 2 = 1 and not (select is_open from gate) then
            raise exception 'event % does not pass', id;
        end if;
        return id;
    end $$";

#[test]
fn what_a_remote_consumer_has_sent_back_is_not_lost_at_any_step() {
    let (source, target) = (Database::fresh("retry_source"), Database::fresh("retry_target"));
    let (mut at_source, mut at_target) = (source.connect(), target.connect());
    prepare(&mut at_source, &mut at_target);
    at_target.exec(GATE);
    let (workplace, breaker) = (Workplace::new(), Breaker::default());
    let source = Proxy::to(&source, &workplace.path("source"), &breaker);
    let target = Proxy::to(&target, &workplace.path("target"), &breaker);
    let job = Job::new(Class::Remote, workplace, &source.conninfo(), &target.conninfo());
    let ini = job.workplace.read("copier.ini").replace("%%(pgq.ev_id)s", "pass(%%(pgq.ev_id)s)");
    job.workplace.write("copier.ini", &(ini + "event_policy = retry\nretry_delay = 0\n"));
    registered(&job, &mut at_source);

    let mut inserted = 0;
    for side in [Side::Before, Side::After] {
        for step in 1.. {
            at_target.exec("update gate set is_open = false");
            let tick = produce(&mut at_source);
            inserted += EVENTS_OF_A_BATCH;
            breaker.arm(step, side, Break::Kill);
            let mut program = job.start();
            let mut is_done = || position(&mut at_source) == Some(tick);
            wait_until("the batch to be done, or the step to break", || is_done() || breaker.has_broken());
            if breaker.has_broken() {
                program.end();
                program = job.start();
                wait_until("the batch to be done by another start", is_done);
            }
            drop(program);
            let is_over = breaker.disarm();

            at_target.exec("update gate set is_open = true");
            at_source.exec("select pgq.maint_retry_events()");
            let tick = tick_now(&mut at_source, "orders").unwrap();
            let _program = job.start();
            wait_until("the rest to be done", || position(&mut at_source) == Some(tick));
            let (_, different) = results(&mut at_target);
            assert_eq!(different, inserted, "{side:?} step {step}: nothing is lost");
            if is_over {
                assert!(step > 15, "a batch has more than {step} steps");
                break;
            }
        }
    }
}

#[test]
fn a_remote_consumer_is_killed_at_each_step_and_does_each_event_once() {
    each_step_may_break(Class::Remote, Break::Kill);
}

#[test]
fn a_remote_consumer_loses_its_connection_at_each_step_and_does_each_event_once() {
    each_step_may_break(Class::Remote, Break::Cut);
}

#[test]
fn consumers_of_the_originals_queue_lose_their_connection_at_each_step_and_do_each_event_once() {
    let Some(peer) = Server::peer() else { return eprintln!("skipped: PGQ_PEER names no original") };
    for class in [Class::Remote, Class::Serial] {
        each_step_may_break_on(&peer, class, Break::Cut);
    }
}

/// A remote consumer beside its two databases, with nothing done yet.
fn remote_on(server: &Server, more: &str) -> (Job, Session, Session) {
    let (source, target) = (Database::fresh_on(server, "remote_source"), Database::fresh("remote_target"));
    let (mut at_source, mut at_target) = (source.connect(), target.connect());
    prepare(&mut at_source, &mut at_target);
    let job = Job::new(Class::Remote, Workplace::new(), &conninfo(&source), &conninfo(&target));
    let ini = job.workplace.read("copier.ini");
    job.workplace.write("copier.ini", &(ini + more));
    // They are dropped with the shared server.
    std::mem::forget((source, target));
    (job, at_source, at_target)
}

fn run_to(job: &Job, source: &mut Session, tick: i64) {
    let _program = job.start();
    wait_until("the batch to be done", || position(source) == Some(tick));
}

#[test]
fn registering_anew_forgets_the_batch_in_the_target() {
    for server in crate::kit::servers() {
        let (job, mut source, mut target) = remote_on(&server, "auto_register = 1\n");
        let program = job.start();
        wait_until("the consumer to register", || position(&mut source).is_some());
        let tick = produce(&mut source);
        wait_until("the batch to be done", || position(&mut source) == Some(tick));
        drop(program);
        // A source that was made anew counts its batches anew.
        source.exec(
            "select pgq.unregister_consumer('orders', 'copier');
             select setval('pgq.batch_id_seq', last_value, false) from pgq.batch_id_seq",
        );
        let program = job.start();
        wait_until("the consumer to register", || position(&mut source).is_some());
        drop(program);
        let tick = produce(&mut source);
        run_to(&job, &mut source, tick);
        assert_eq!(results(&mut target), (2 * EVENTS_OF_A_BATCH, 2 * EVENTS_OF_A_BATCH));
    }
}

#[test]
fn a_batch_of_another_database_with_the_same_number_is_not_taken_for_done() {
    let (job, mut source, mut target) = remote_on(&Server::ours(), "");
    source.exec("select pgq.register_consumer('orders', 'copier')");
    let tick = produce(&mut source);
    run_to(&job, &mut source, tick);
    // As if the mark were that of another queue: its tick was taken a second later.
    target.exec(
        "update pgq_ext.completed_tick set last_tick_id = last_tick_id + 1000000 where subconsumer_id = '#time';
         update pgq_ext.completed_tick set last_tick_id = last_tick_id + 1 where subconsumer_id = '#number';
         update pgq_ext.completed_batch set last_batch_id = last_batch_id + 1",
    );
    let tick = produce(&mut source);
    let ini = job.workplace.read("copier.ini");
    job.workplace.write("copier.ini", &ini.replace("loop_delay = 0.1", "loop_delay = -1"));
    job.start().end();
    assert_ne!(position(&mut source), Some(tick), "it is not skipped");
    // Its own mark lets it be skipped.
    let time = "select (extract(epoch from tick_time) * 1000000)::bigint from pgq.tick where tick_id = $1";
    let time: i64 = source.one(time, &[&tick]);
    target.exec(&format!(
        "update pgq_ext.completed_tick set last_tick_id = {time} where subconsumer_id = '#time'"
    ));
    job.start().end();
    assert_eq!(position(&mut source), Some(tick));
    assert_eq!(results(&mut target).0, EVENTS_OF_A_BATCH);
}

/// Marks its events itself, each in a transaction of its own beside that of the batch.
struct MarksItsEvents {
    target: Arc<Database>,
}

impl Handler for MarksItsEvents {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        let (target, batch, event) = (Arc::clone(&self.target), batch.info().batch_id, event.id());
        let mark = move || {
            let mut session = target.connect();
            session.exec("set lock_timeout = '5s'");
            let once =
                "insert into result select $2 where pgq_ext.set_event_done('orders', 'copier', '', $1, $2)";
            session.execute(once, &[&batch, &event]).map(drop).map_err(|error| error.to_string())
        };
        std::thread::spawn(mark).join().unwrap().map(|()| Verdict::Done).map_err(skytools::Error::bad)
    }
}

#[test]
fn a_handler_can_mark_its_events_under_the_same_names() {
    for class in [Class::Remote, Class::Serial] {
        let (source, target) = (Database::fresh("marks_source"), Arc::new(Database::fresh("marks_target")));
        let (mut at_source, mut at_target) = (source.connect(), target.connect());
        prepare(&mut at_source, &mut at_target);
        at_source.exec("select pgq.register_consumer('orders', 'copier')");
        let (from, to) = (conninfo(&source), conninfo(&target));
        let pairs = [
            ("src_db", from.as_str()),
            ("dst_db", &to),
            ("dst_query", "select"),
            ("queue_name", "orders"),
            ("consumer_name", "copier"),
            ("loop_delay", "0.02"),
        ];
        let config = Config::from_pairs(
            "copier",
            &[CONSUMER_KEYS, FAILED_EVENT_KEYS, TARGET_KEYS, STATEMENT_KEYS],
            pairs,
        )
        .unwrap();
        let handler = MarksItsEvents { target: Arc::clone(&target) };
        let (from, to) = ("src_db", "dst_db");
        let _worker = if class == Class::Remote {
            Worker::start(config, move |script| RemoteConsumer::to_target(script, from, to, handler))
        } else {
            Worker::start(config, move |script| SerialConsumer::to_target(script, from, to, handler))
        };
        for round in 1..=3 {
            let tick = produce(&mut at_source);
            wait_until("the batch to be done", || position(&mut at_source) == Some(tick));
            assert_eq!(results(&mut at_target), (round * EVENTS_OF_A_BATCH, round * EVENTS_OF_A_BATCH));
            let marked: i64 = at_target.one("select count(*) from pgq_ext.completed_event", &[]);
            assert_eq!(marked, EVENTS_OF_A_BATCH, "{class:?}: those of its batch");
        }
    }
}

#[test]
fn a_batch_that_was_marked_without_the_queue_is_taken_over_once() {
    for server in crate::kit::servers() {
        let (job, mut source, mut target) = remote_on(&server, "");
        registered(&job, &mut source);
        let done = produce(&mut source);
        let batch: i64 = source.one("select pgq.next_batch('orders', 'copier')", &[]);
        let mark = format!("select pgq_ext.set_batch_done('copier', {batch})");
        target.exec(&mark);
        run_to(&job, &mut source, done);
        assert_eq!(results(&mut target), (0, 0), "it was done before the upgrade");
        let next = produce(&mut source);
        run_to(&job, &mut source, next);
        assert_eq!(results(&mut target).0, EVENTS_OF_A_BATCH);
    }
}

#[test]
fn a_mark_without_the_queue_is_nothing_to_those_who_have_one_with_it() {
    let (job, mut source, mut target) = remote_on(&Server::ours(), "");
    registered(&job, &mut source);
    let first = produce(&mut source);
    run_to(&job, &mut source, first);
    produce(&mut source);
    let batch: i64 = source.one("select pgq.next_batch('orders', 'copier')", &[]);
    target.exec(&format!("select pgq_ext.set_batch_done('copier', {batch})"));
    let last = produce(&mut source);
    run_to(&job, &mut source, last);
    assert_eq!(results(&mut target).0, 3 * EVENTS_OF_A_BATCH);
}

/// Writes where the queue is, though the position is elsewhere.
struct WritesAtTheSource;

impl Handler for WritesAtTheSource {
    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        batch.source()?.execute("insert into result values ($1)", &[&event.id()]).await?;
        Ok(Verdict::Done)
    }
}

#[test]
fn what_is_written_at_the_source_is_not_lost_when_the_position_is_elsewhere() {
    for class in [Class::Remote, Class::Serial, Class::Local] {
        let (source, target) = (Database::fresh("beside_source"), Database::fresh("beside_target"));
        let mut session = source.connect();
        prepare(&mut session, &mut target.connect());
        session.exec("create table result (id bigint)");
        let (workplace, breaker) = (Workplace::new(), Breaker::default());
        let from = Proxy::to(&source, &workplace.path("source"), &breaker).conninfo();
        let (to, file) = (conninfo(&target), workplace.path("copier.tick"));
        let start = || {
            let pairs = [
                ("src_db", from.as_str()),
                ("dst_db", &to),
                ("dst_query", "select"),
                ("queue_name", "orders"),
                ("consumer_name", "copier"),
                ("loop_delay", "0.02"),
                ("exception_sleep", "0.02"),
                ("local_tracking_file", file.to_str().unwrap()),
            ];
            let keys = [CONSUMER_KEYS, FAILED_EVENT_KEYS, TARGET_KEYS, STATEMENT_KEYS, LOCAL_KEYS];
            let config = Config::from_pairs("copier", &keys, pairs).unwrap();
            let (source, target, handler) = ("src_db", "dst_db", WritesAtTheSource);
            match class {
                Class::Remote => Worker::start(config, move |script| {
                    RemoteConsumer::to_target(script, source, target, handler)
                }),
                Class::Serial => Worker::start(config, move |script| {
                    SerialConsumer::to_target(script, source, target, handler)
                }),
                Class::Local => {
                    Worker::start(config, move |script| LocalConsumer::with_file(script, source, handler))
                }
            }
        };
        session.exec("select pgq.register_consumer('orders', 'copier')");
        for side in [Side::Before, Side::After] {
            for step in 1.. {
                let tick = produce(&mut session);
                breaker.arm(step, side, Break::Cut);
                let worker = start();
                wait_until("the batch to be done", || position(&mut session) == Some(tick));
                let is_over = breaker.disarm();
                drop(worker);
                let missing: i64 = session.one(
                    "select count(*) from pgq.event_template e where not exists (select from result r where r.id = e.ev_id)",
                    &[],
                );
                assert_eq!(missing, 0, "{class:?}, {side:?} step {step}");
                if is_over {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_serial_consumer_is_killed_at_each_step_and_does_each_event_once() {
    each_step_may_break(Class::Serial, Break::Kill);
}

#[test]
fn a_serial_consumer_loses_its_connection_at_each_step_and_does_each_event_once() {
    each_step_may_break(Class::Serial, Break::Cut);
}

#[test]
fn a_local_consumer_is_killed_at_each_step_and_loses_nothing() {
    each_step_may_break(Class::Local, Break::Kill);
}

#[test]
fn a_local_consumer_loses_its_connection_at_each_step_and_loses_nothing() {
    each_step_may_break(Class::Local, Break::Cut);
}

/// Up to so many milliseconds.
fn a_moment(limit: u64) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Duration::from_millis(u64::from(now.subsec_nanos()) / 1000 % limit)
}

/// Produces batches while `disturb` does its worst, and then lets the consumer come to the end.
fn any_time(
    class: Class,
    rounds: usize,
    mut disturb: impl FnMut(&mut Option<Running>, &Job, &mut Session, &mut Session),
) {
    let (source, target) = (Database::fresh("chaos_source"), Database::fresh("chaos_target"));
    let (mut at_source, mut at_target) = (source.connect(), target.connect());
    prepare(&mut at_source, &mut at_target);
    let job = Job::new(class, Workplace::new(), &conninfo(&source), &conninfo(&target));
    registered(&job, &mut at_source);
    let (mut inserted, mut program) = (0, None);
    for _ in 0..rounds {
        for _ in 0..10 {
            produce(&mut at_source);
            inserted += EVENTS_OF_A_BATCH;
        }
        std::thread::sleep(a_moment(100));
        disturb(&mut program, &job, &mut at_source, &mut at_target);
    }
    let last = produce(&mut at_source);
    inserted += EVENTS_OF_A_BATCH;
    let _program = program.unwrap_or_else(|| job.start());
    wait_until("all batches to be done", || position(&mut at_source) == Some(last));
    let (count, different) = results(&mut at_target);
    assert_eq!(different, inserted, "nothing is lost");
    assert!(class == Class::Local || count == inserted, "{count} results of {inserted} events");
}

fn killed_at_any_time(class: Class) {
    any_time(class, 30, |program, job, _, _| {
        // Dropped is killed.
        *program = None;
        *program = Some(job.start());
    });
}

#[test]
fn a_remote_consumer_is_killed_at_any_time() {
    killed_at_any_time(Class::Remote);
}

#[test]
fn a_serial_consumer_is_killed_at_any_time() {
    killed_at_any_time(Class::Serial);
}

#[test]
fn a_local_consumer_is_killed_at_any_time() {
    killed_at_any_time(Class::Local);
}

#[test]
fn sessions_of_a_serial_consumer_are_terminated_at_any_time() {
    any_time(Class::Serial, 30, |program, job, source, target| {
        program.get_or_insert_with(|| job.start());
        for session in [source, target] {
            session.exec(
                "select pg_terminate_backend(pid) from pg_stat_activity
                  where datname = current_database() and pid <> pg_backend_pid()",
            );
        }
    });
}

/// The servers of queue and results die in turn while batches go through.
fn servers_die(class: Class) {
    let server =
        || Cluster::builder().conf("shared_preload_libraries", "pgq").conf("pgq.ticker", "off").start();
    let (mut source, mut target) = (server(), server());
    let mut at_source = source.connect("postgres");
    at_source.exec("create extension pgq");
    prepare(&mut at_source, &mut target.connect("postgres"));
    let job = Job::new(class, Workplace::new(), &source.conninfo("postgres"), &target.conninfo("postgres"));
    registered(&job, &mut at_source);
    let program = job.start();
    let mut inserted = 0;
    for round in 0..6 {
        let mut at_source = source.connect("postgres");
        for _ in 0..20 {
            produce(&mut at_source);
            inserted += EVENTS_OF_A_BATCH;
        }
        std::thread::sleep(a_moment(100));
        let dies = if round % 2 == 0 { &mut source } else { &mut target };
        dies.kill9();
        dies.start_again();
    }
    let mut at_source = source.connect("postgres");
    let last = produce(&mut at_source);
    inserted += EVENTS_OF_A_BATCH;
    wait_until("all batches to be done", || position(&mut at_source) == Some(last));
    let (count, different) = results(&mut target.connect("postgres"));
    assert_eq!(different, inserted, "nothing is lost: {}", program.said());
    assert!(class == Class::Local || count == inserted, "{count} results of {inserted} events");
}

#[test]
fn servers_of_a_remote_consumer_die() {
    servers_die(Class::Remote);
}

#[test]
fn servers_of_a_serial_consumer_die() {
    servers_die(Class::Serial);
}

#[test]
fn servers_of_a_local_consumer_die() {
    servers_die(Class::Local);
}
