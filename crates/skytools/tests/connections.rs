//! Connections: transactions, connections by name, notifications, answers of server functions, retries.

use std::net::TcpListener;
use std::time::Duration;

use pgq_tests::client::wait_until;
use pgq_tests::shared::Database;
use skytools::db::{Connection, Connections, Isolation, Options, RETRY_KEYS, Retry};
use skytools::script::log::Log;
use skytools::script::{Config, Stop, Verbosity};
use skytools::{Error, Result};
use tracing_subscriber::layer::SubscriberExt;

use crate::kit::{Workplace, config, conninfo, wait};

fn open(conninfo: &str) -> Result<Connection> {
    wait(Connection::open("db", conninfo, Options::default()))
}

fn text(connection: &Connection, sql: &str) -> String {
    wait(connection.query_one(sql, &[])).unwrap().get(0)
}

fn count(database: &Database) -> i64 {
    database.connect().one("select count(*) from t", &[])
}

#[test]
fn the_first_statement_begins_and_commit_ends() {
    let database = Database::fresh("begin");
    database.connect().exec("create table t (id int)");
    let db = open(&conninfo(&database)).unwrap();
    assert!(!db.is_in_transaction());
    wait(db.execute("insert into t values ($1)", &[&1])).unwrap();
    assert!(db.is_in_transaction());
    assert_eq!(text(&db, "show transaction_isolation"), "read committed");
    assert_eq!(count(&database), 0);
    wait(db.commit()).unwrap();
    assert!(!db.is_in_transaction());
    assert_eq!(count(&database), 1);

    wait(db.batch("insert into t values (2); insert into t values (3)")).unwrap();
    wait(db.rollback()).unwrap();
    assert_eq!(count(&database), 1);

    let serializable = Options { isolation: Isolation::Serializable, ..Options::default() };
    let strict = wait(Connection::open("db", &conninfo(&database), serializable)).unwrap();
    assert_eq!(text(&strict, "show transaction_isolation"), "serializable");

    let free = wait(Connection::open("db", &conninfo(&database), Options::autocommit())).unwrap();
    wait(free.execute("insert into t values (4)", &[])).unwrap();
    assert!(!free.is_in_transaction());
    assert_eq!(count(&database), 2);
}

#[test]
fn a_commit_that_would_be_a_rollback_is_an_error() {
    let database = Database::fresh("commit");
    database.connect().exec("create table t (id int unique deferrable initially deferred)");
    let db = open(&conninfo(&database)).unwrap();
    wait(db.execute("insert into t values (1)", &[])).unwrap();
    let failure = wait(db.query("select 1/0", &[])).unwrap_err();
    assert_eq!(failure.sqlstate().unwrap().code(), "22012");
    assert!(!failure.is_lost_connection());
    assert!(db.is_in_transaction());
    assert_eq!(wait(db.commit()).unwrap_err().sqlstate().unwrap().code(), "25P02");
    assert!(!db.is_in_transaction());
    assert_eq!(count(&database), 0);

    // What fails at the end itself.
    wait(db.batch("insert into t values (1), (1)")).unwrap();
    assert_eq!(wait(db.commit()).unwrap_err().sqlstate().unwrap().code(), "23505");
    // The session is as good as new.
    wait(db.batch("insert into t values (1)")).unwrap();
    wait(db.commit()).unwrap();
    assert_eq!(count(&database), 1);
}

#[test]
fn a_lost_connection_is_told_from_a_failed_statement() {
    let database = Database::fresh("lost");
    let db = open(&conninfo(&database)).unwrap();
    let wrong_type = wait(db.query("select $1::int", &[&"text"])).unwrap_err();
    assert!(!wrong_type.is_lost_connection(), "{wrong_type}");
    let no_row = wait(db.query_one("select 1 where false", &[])).unwrap_err();
    assert!(!no_row.is_lost_connection(), "{no_row}");
    let ended = wait(db.query("select pg_terminate_backend(pg_backend_pid())", &[])).unwrap_err();
    assert!(ended.is_lost_connection(), "{ended}");
    let gone = wait(db.rollback().or_query(&db)).unwrap_err();
    assert!(gone.is_lost_connection(), "{gone}");
    assert!(db.is_closed());
}

/// A rollback of what is gone, then a statement.
trait OrQuery {
    async fn or_query(self, db: &Connection) -> Result<()>;
}

impl<F: Future<Output = Result<()>>> OrQuery for F {
    async fn or_query(self, db: &Connection) -> Result<()> {
        self.await?;
        db.batch("select 1").await
    }
}

#[test]
fn connections_are_known_by_name() {
    let database = Database::fresh("names");
    let conninfo = conninfo(&database);
    let mut connections = Connections::of("the_job");
    let pid = |connection: &Connection| text(connection, "select pg_backend_pid()::text");
    let first = wait(connections.get("src_db", &conninfo)).unwrap();
    assert_eq!(text(&first, "show application_name"), "the_job");
    assert_eq!(pid(&wait(connections.get("src_db", &conninfo)).unwrap()), pid(&first));

    let refused = wait(connections.get_with("src_db", &conninfo, Options::autocommit())).unwrap_err();
    assert!(matches!(refused, Error::Usage(_)), "{refused}");

    connections.set_default("dst_db", Options::autocommit());
    let free = wait(connections.get("dst_db", &conninfo)).unwrap();
    assert!(free.options().autocommit);
    assert_ne!(pid(&free), pid(&first));

    let other = format!("{conninfo} application_name=other");
    let changed = wait(connections.get("src_db", &other)).unwrap();
    assert_eq!(text(&changed, "show application_name"), "other");
    assert!(wait(first.query("select 1", &[])).is_err(), "the old one is closed");

    connections.close_older(Duration::ZERO);
    connections.close_older(Duration::from_secs(3600));
    assert!(!changed.is_closed());
    connections.close_older(Duration::from_nanos(1));
    wait_until("the connection to be closed", || changed.is_closed() && free.is_closed());
    assert_ne!(pid(&wait(connections.get("src_db", &other)).unwrap()), "");
}

#[test]
fn what_is_open_is_rolled_back_when_all_are_closed() {
    let database = Database::fresh("closed");
    database.connect().exec("create table t (id int)");
    let mut connections = Connections::default();
    let kept = wait(connections.get("db", &conninfo(&database))).unwrap();
    wait(kept.batch("lock table t")).unwrap();
    connections.close_all();
    // A clone that somebody has forgotten does not keep the lock.
    let mut session = database.connect();
    wait_until("the lock to be gone", || {
        session.batch_execute("begin; lock table t nowait; commit").is_ok() || {
            session.batch_execute("rollback").unwrap();
            false
        }
    });
    drop(kept);
}

#[test]
fn notifications_wake_who_waits() {
    let database = Database::fresh("notified");
    let conninfo = conninfo(&database);
    let mut session = database.connect();
    let mut connections = Connections::default();
    let within = |connections: &Connections, limit| {
        let notified = connections.notified();
        wait(async { tokio::time::timeout(Duration::from_millis(limit), notified).await.is_ok() })
    };
    connections.listen("db", "Odd \"channel");
    connections.listen("db", "plain");
    let db = wait(connections.get("db", &conninfo)).unwrap();
    session.exec("notify \"Odd \"\"channel\"");
    assert!(within(&connections, 60_000));
    assert!(!within(&connections, 50), "one notification wakes once");

    // What came before the wait counts.
    session.exec("notify plain");
    wait(db.batch("select 1")).unwrap();
    wait(db.commit()).unwrap();
    assert!(within(&connections, 60_000));

    // So it does after a reconnect, and not within a transaction.
    connections.close_all();
    let db = wait(connections.get("db", &conninfo)).unwrap();
    session.exec("notify plain");
    assert!(within(&connections, 60_000));
    connections.unlisten("db", Some("plain"));
    wait(db.batch("select 1")).unwrap();
    wait(connections.get("db", &conninfo)).unwrap();
    let channels = |db: &Connection| -> Vec<String> {
        let rows = wait(db.query("select pg_listening_channels() as name order by 1", &[])).unwrap();
        rows.iter().map(|row| row.get("name")).collect()
    };
    assert_eq!(channels(&db), ["Odd \"channel", "plain"]);
    wait(db.commit()).unwrap();
    wait(connections.get("db", &conninfo)).unwrap();
    assert_eq!(channels(&db), ["Odd \"channel"]);
    wait(db.commit()).unwrap();
    connections.unlisten("db", None);
    wait(connections.get("db", &conninfo)).unwrap();
    assert_eq!(channels(&db), [""; 0]);
}

#[test]
fn answers_of_functions_decide() {
    let database = Database::fresh("answer");
    database.connect().exec(
        "create table t (id int);
         create function answer(a_code int, note text, out ret_code int, out ret_note text)
         returns setof record language plpgsql as $$
         begin
             insert into t values (a_code);
             ret_code := a_code; ret_note := note; return next;
             ret_code := 200; ret_note := null; return next;
         end $$;",
    );
    let db = open(&conninfo(&database)).unwrap();
    let call = "select * from answer($1, $2)";
    for code in [100, 199, 200, 201, 301, 399] {
        assert_eq!(wait(db.command(call).run(&[&code, &"fine"])).unwrap().len(), 2);
        assert!(!db.is_in_transaction());
    }
    assert_eq!(count(&database), 6);
    for code in [400, 404, 500, 0, -1] {
        let refused = wait(db.command(call).prefix("node1").run(&[&code, &"no such thing"])).unwrap_err();
        assert!(matches!(refused, Error::Refused(_)) && refused.ends_program());
        assert_eq!(refused.to_string(), "[node1] no such thing");
        assert!(!db.is_in_transaction());
    }
    assert_eq!(count(&database), 6);

    let each = "select * from answer($1, $2)";
    assert_eq!(wait(db.command(each).quiet().run_for_each(&[&200], &["a", "b"])).unwrap().len(), 4);
    let refused = wait(db.command(each).run_for_each(&[&404], &["a", "b"])).unwrap_err();
    assert_eq!(refused.to_string(), "a\nb");
    assert_eq!(count(&database), 8);

    wait(db.command(call).uncommitted().run(&[&200, &"fine"])).unwrap();
    assert!(db.is_in_transaction());
    wait(db.rollback()).unwrap();

    let lacking = wait(db.command("select 200 as ret_code").run(&[])).unwrap_err();
    assert!(lacking.ends_program(), "{lacking}");
    let broken = wait(db.command("select * from answer($1, 1/0::text)").run(&[&200])).unwrap_err();
    assert!(!broken.ends_program() && !db.is_in_transaction(), "{broken}");
}

/// What is logged meanwhile, however little it matters.
fn logged(work: impl Future<Output = Result<()>>) -> Vec<String> {
    let workplace = Workplace::new();
    let path = workplace.path("log");
    let keys = [
        ("log_handlers", "file"),
        ("logfile", path.to_str().unwrap()),
        ("logfmt_file", "%%(levelname)s %%(message)s"),
    ];
    let config = Config::from_pairs("job", &[], keys).unwrap();
    let log = Log::open(&config, Verbosity::Verbose, false).unwrap();
    // One thread: what the connection does behind the work is logged here, too.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(log.layer()), || {
        runtime.block_on(work).unwrap();
    });
    workplace.read("log").lines().map(str::to_owned).collect()
}

#[test]
fn what_servers_say_is_logged_at_its_level() {
    let database = Database::fresh("told");
    let conninfo =
        format!("{} options='-c client_min_messages=debug1' password=hunter2", conninfo(&database));
    let lines = logged(async {
        let db = Connection::open("src_db", &conninfo, Options::default()).await?;
        let call = "select $1::int as ret_code, 'note' as ret_note";
        for code in [100, 200, 300] {
            db.command(call).run(&[&code]).await?;
        }
        db.command(call).quiet().run(&[&200]).await?;
        db.command(call).prefix("node1").run(&[&200]).await?;
        for level in ["debug", "log", "info", "notice", "warning"] {
            db.batch(&format!("do $$ begin raise {level} '{level}'; end $$")).await?;
        }
        db.commit().await
    });
    let (connect, said) = lines.split_first().unwrap();
    assert!(
        connect.starts_with("DEBUG Connect 'src_db' to 'host=") && !connect.contains("hunter2"),
        "{connect}"
    );
    let expected = [
        "DEBUG note",
        "INFO note",
        "WARNING note",
        "DEBUG note",
        "INFO [node1] note",
        "DEBUG src_db: debug",
        "DEBUG src_db: log",
        "INFO src_db: info",
        "INFO src_db: notice",
        "WARNING src_db: warning",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_statement_is_tried_again_over_a_new_connection() {
    let database = Database::fresh("again");
    database.connect().exec(
        "create sequence tries;
         create function third_time() returns int language plpgsql as $$
         begin
             if nextval('tries') < 3 then raise 'not yet' using errcode = 'P0042'; end if;
             return pg_backend_pid();
         end $$;",
    );
    let rule = |keys: &[(&str, &str)]| {
        let pairs = [("sql_retry_formula_a", "0.01"), ("sql_retry_formula_b", "0")];
        let pairs = pairs.iter().chain(keys).copied();
        Retry::from_config(&Config::from_pairs("test", &[RETRY_KEYS], pairs).unwrap(), Stop::default())
            .unwrap()
    };
    let mut connections = Connections::default();
    let conninfo = conninfo(&database);
    let not_yet = |error: &Error| error.sqlstate().is_some_and(|state| state.code() == "P0042");
    let sql = "select third_time()";

    let off = wait(connections.execute_with_retry("db", &conninfo, sql, &[], &rule(&[]), not_yet));
    assert_eq!(off.unwrap_err().sqlstate().unwrap().code(), "P0042");
    database.connect().exec("alter sequence tries restart");
    let on = rule(&[("sql_retry", "1")]);
    let other =
        wait(connections.execute_with_retry("db", &conninfo, sql, &[], &on, Error::is_lost_connection));
    assert!(other.is_err());
    database.connect().exec("alter sequence tries restart");
    let done = wait(connections.execute_with_retry("db", &conninfo, sql, &[], &on, not_yet)).unwrap();
    assert_eq!((done.retries, done.rows.len()), (2, 1));

    // Never within a transaction.
    wait(connections.get("other", &conninfo)).unwrap();
    let refused = wait(connections.execute_with_retry("other", &conninfo, sql, &[], &on, not_yet));
    assert!(matches!(refused.unwrap_err(), Error::Usage(_)));
}

#[test]
fn the_first_host_that_will_do_is_taken() {
    let database = Database::fresh("hosts");
    let cluster = database.cluster();
    let folder = cluster.socket_folder().display().to_string();
    let hosts = format!("host=/nonexistent,{folder} user=postgres dbname={}", database.name());
    assert_eq!(text(&open(&hosts).unwrap(), "select current_database()::text"), database.name());
    for (wanted, options, expected) in [
        ("any", "", None),
        ("read-write", "", None),
        ("primary", "", None),
        ("prefer-standby", "", None),
        ("read-only", "", Some("session is not read-only")),
        ("standby", "", Some("server is not in hot standby mode")),
        ("read-only", "-c default_transaction_read_only=on", None),
        ("read-write", "-c default_transaction_read_only=on", Some("session is read-only")),
    ] {
        let found = open(&format!("{hosts} target_session_attrs={wanted} options='{options}'"));
        match (found, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected) && error.contains("/nonexistent"), "{wanted}: {error}");
            }
            (found, _) => panic!("{wanted} {options}: {found:?}"),
        }
    }
}

#[test]
fn a_server_that_says_no_is_asked_once() {
    let database = Database::fresh("no");
    let folder = database.cluster().socket_folder().display().to_string();
    let error = open(&format!("host={folder},{folder} user=postgres dbname=nonexistent")).unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "3D000");
    assert_eq!(
        error.to_string(),
        format!(
            "db: connection to server on socket \"{folder}/.s.PGSQL.5432\" failed: database \"nonexistent\" does not exist"
        )
    );
    assert!(error.is_lost_connection() && !error.ends_program());
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = open(&format!("host=127.0.0.1 port={port} user=x connect_timeout=1")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("db: connection to server at \"127.0.0.1\", port {port} failed: no answer in 1 s")
    );
}

#[test]
fn the_owner_of_a_socket_can_be_demanded() {
    let database = Database::fresh("peer");
    let conninfo = conninfo(&database);
    let error = open(&format!("{conninfo} requirepeer=nobody_at_all")).unwrap_err().to_string();
    assert!(
        error.contains("requirepeer specifies \"nobody_at_all\", but actual peer user name is"),
        "{error}"
    );
    let owner = error.rsplit('"').nth(1).unwrap().to_owned();
    open(&format!("{conninfo} requirepeer={owner}")).unwrap();
}

#[test]
fn programs_honour_services_and_variables() {
    let database = Database::fresh("service");
    let mut session = database.connect();
    session.exec("create table t (data text)");
    pgq_tests::queue::create(&mut session, "orders").unwrap();
    pgq_tests::queue::Consumer::new("orders", "copier").register(&mut session).unwrap();
    pgq_tests::queue::insert(&mut session, "orders", "I:id", "id=1&data=payload").unwrap();
    pgq_tests::queue::tick_now(&mut session, "orders").unwrap();
    let workplace = Workplace::new();
    let cluster = database.cluster();
    workplace.write(
        ".pg_service.conf",
        &format!("[shop]\nhost={}\ndbname={}\n", cluster.socket_folder().display(), database.name()),
    );
    workplace.write(
        "copier.ini",
        "[simple_consumer]\nsrc_db = service=shop\n\
         dst_db = service=shop application_name=writer\nqueue_name = orders\n\
         loop_delay = -1\ndst_query = insert into t values (%%(data)s || current_setting('application_name'))\n",
    );
    let mut copier = workplace.program(env!("CARGO_BIN_EXE_simple_consumer"), &["copier.ini"]);
    let output = copier.env("PGUSER", "postgres").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(session.column::<String>("select data from t", &[]), ["payloadwriter"]);
}

#[test]
fn nothing_that_is_shown_for_debugging_has_a_password() {
    let database = Database::fresh("debug");
    let conninfo = format!("{} password=hunter2", conninfo(&database));
    let config = config(&conninfo, &[]);
    let mut connections = Connections::default();
    let connection = wait(connections.get("src_db", &conninfo)).unwrap();
    let refused = open(&format!("{conninfo} port=1 application_name=hunter2")).unwrap_err();
    let mut script = skytools::script::Script::new(config.clone());
    wait(script.db("src_db")).unwrap();
    for shown in [
        format!("{connections:?}"),
        format!("{connection:?}"),
        format!("{config:?}"),
        format!("{script:?}"),
        format!("{refused:?} {refused}"),
        format!("{:?}", skytools::db::Conninfo::parse(&conninfo)),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!shown.is_empty());
    }

    let folder = Workplace::new();
    let file = folder.write("job.ini", "[job]\nsrc_db = dbname=a password=hunter2\n");
    let ini = skytools::script::Ini::read(&file).unwrap();
    assert!(format!("{ini:?}").contains("src_db"));
    assert!(!format!("{ini:?}").contains("hunter2"));
}

#[test]
fn a_connect_string_that_cannot_be_ends_no_loop_but_is_refused_in_a_file() {
    let error = open("host=a password=my secret").unwrap_err().to_string();
    assert_eq!(error, "db: missing \"=\" after a word behind a secret in connect string");
    for conninfo in ["host=a sslmode=maybe", "host=a port=x", "nonsense", "service=none_of_them"] {
        let refused = open(conninfo).unwrap_err();
        assert!(!refused.ends_program() && refused.to_string().starts_with("db: "), "{refused}");
    }
    let key = [skytools::script::Key::required("src_db", skytools::script::Kind::Connection, "A database.")];
    let keys: &'static [_] = Box::leak(Box::new(key));
    let read = |conninfo| Config::from_pairs("test", &[keys], [("src_db", conninfo)]);
    for conninfo in ["host=a sslmode=maybe", "host=a port=x", "nonsense"] {
        assert!(matches!(read(conninfo), Err(Error::Usage(_))), "{conninfo}");
    }
    assert!(read("service=none_of_them").is_ok());
}
