//! The view `pgq.captured_tables`: what is captured, and what is wrong with it.

use super::Scene;
use pgq_tests::cluster::Cluster;
use pgq_tests::queue;

/// The rows of the view, in the order of tables and queues: `t q logutriga statement {insert} {}`.
#[track_caller]
fn shown(scene: &mut Scene) -> Vec<String> {
    scene.session.column(
        "select concat_ws(' ', table_name, coalesce(queue_name, 'no-queue'), function_name, level, operations,
                          options)
           from pgq.captured_tables order by table_name::text, queue_name",
        &[],
    )
}

/// The problem of the one table of this name.
#[track_caller]
fn problem(scene: &mut Scene, table: &str) -> Option<String> {
    scene
        .session
        .one("select problem from pgq.captured_tables where table_name = $1::text::regclass", &[&table])
}

const ALL: &str = "{insert,update,delete,truncate}";

#[test]
fn what_is_captured_is_shown() {
    let mut scene = Scene::ours("shown");
    scene.exec(
        r#"create table t (id int primary key, v text); create table "T t" (like t including all);
           create table tree (like t including all) partition by range (id);
           create table leaf partition of tree default partition by range (id);
           create table low partition of leaf default;
           create table parent (like t including all); create table child (primary key (id)) inherits (parent);
           create table a (like t including all); create table b (like t including all)"#,
    );
    queue::create(&mut scene.session, "A queue").unwrap();
    scene.exec(
        r#"select pgq.capture('t', 'q');
           select pgq.capture('t', 'A queue', 'jsontriga', '{backup,ignore=v}', '{insert}');
           select pgq.capture('"T t"', 'q', 'sqltriga', '{deny}');
           select pgq.capture('tree', 'q'); select pgq.capture('parent', 'q', i_operations => '{update,delete}');
           create trigger tap after insert on a for each row execute function pgq.logtriga('q', 'kv');
           create trigger tap after insert or delete on b for each row
                  execute function pgq.logtriga('kv', 'select $1, $2')"#,
    );
    assert_eq!(
        shown(&mut scene),
        [
            &format!("\"T t\" q sqltriga statement {ALL} {{deny}}"),
            "a q logtriga row {insert} {kv}",
            "b no-queue logtriga row {insert,delete} {\"select $1, $2\"}",
            "child q logutriga row {update,delete} {}",
            "parent q logutriga row {update,delete} {}",
            "t A queue jsontriga statement {insert} {backup,ignore=v}",
            &format!("t q logutriga statement {ALL} {{}}"),
            &format!("tree q logutriga row {ALL} {{}}"),
        ]
    );
    let problems: i64 = scene
        .session
        .one("select count(problem) from pgq.captured_tables where table_name <> 'b'::regclass", &[]);
    assert_eq!(problems, 0);
    let names: Vec<String> = scene.session.one(
        "select trigger_names from pgq.captured_tables where table_name = 't'::regclass and queue_name = 'q'",
        &[],
    );
    let expected = ["delete", "insert", "truncate", "update"].map(|which| format!("_pgq_capture_q_{which}"));
    assert_eq!(names, expected);
    // Anybody may look.
    let role = format!("{}_anybody", scene.database.name());
    scene.exec(&format!("create role {role}; set role {role}"));
    assert_eq!(shown(&mut scene).len(), 8);
    scene.exec(&format!("reset role; drop role {role}"));
}

#[test]
fn a_queue_that_is_gone() {
    let mut scene = Scene::ours("shown");
    scene.exec(
        "create table t (id int primary key); select pgq.capture('t', 'q'); select pgq.drop_queue('q')",
    );
    assert_eq!(problem(&mut scene, "t").as_deref(), Some("there is no such queue"));
    queue::create(&mut scene.session, "q").unwrap();
    assert_eq!(problem(&mut scene, "t"), None);
    // A statement of one's own needs none.
    scene.exec(
        "select pgq.uncapture('t', 'q');
         create trigger tap after insert on t for each row execute function pgq.logtriga('k', 'select $1, $2')",
    );
    assert_eq!(problem(&mut scene, "t"), None);
}

#[test]
fn a_trigger_that_is_disabled() {
    let mut scene = Scene::ours("shown");
    scene.exec("create table t (id int primary key); select pgq.capture('t', 'q')");
    scene.exec("alter table t disable trigger _pgq_capture_q_update");
    assert_eq!(problem(&mut scene, "t").as_deref(), Some("a trigger is disabled"));
    scene.exec("select pgq.capture('t', 'q')");
    assert_eq!(problem(&mut scene, "t"), None);
    scene.exec("alter table t disable trigger all");
    assert_eq!(problem(&mut scene, "t").as_deref(), Some("a trigger is disabled"));
    scene.exec("select pgq.capture('t', 'q')");
    // What fires for replicas only is disabled for everybody else; what always fires is not.
    scene.exec("alter table t enable always trigger _pgq_capture_q_insert");
    assert_eq!(problem(&mut scene, "t"), None);
    scene.exec("alter table t enable replica trigger _pgq_capture_q_insert");
    assert_eq!(problem(&mut scene, "t").as_deref(), Some("a trigger is disabled"));
    scene.exec("select pgq.capture('t', 'q')");
    assert_eq!(problem(&mut scene, "t"), None);
    scene.writes("insert into t values (1)", &["I:id | id=1 | public.t"]);
}

#[test]
fn a_copy_that_is_disabled_in_a_partition() {
    let mut scene = Scene::ours("shown");
    scene.exec(
        "create table t (id int primary key) partition by range (id);
         create table high partition of t default partition by range (id);
         create table far partition of high default; select pgq.capture('t', 'q')",
    );
    for disable in ["disable trigger user", "enable replica trigger _pgq_capture_q_row"] {
        scene.exec(&format!("alter table far {disable}"));
        assert_eq!(problem(&mut scene, "t").as_deref(), Some("a trigger is disabled"));
        scene.writes("insert into t values (1)", &[]);
        scene.exec("select pgq.capture('t', 'q'); truncate t");
        assert_eq!(problem(&mut scene, "t"), None);
        scene.events();
        scene.writes("insert into t values (1)", &["I:id | id=1 | public.far"]);
        scene.exec("truncate t");
        scene.events();
    }
}

#[test]
fn a_foreign_key_to_itself_that_came_later() {
    let mut scene = Scene::ours("shown");
    scene.exec(
        "create table t (id int primary key, p int references t, boss int); select pgq.capture('t', 'q')",
    );
    assert_eq!(problem(&mut scene, "t"), None);
    scene.exec("alter table t add foreign key (boss) references t on delete set null");
    assert_eq!(
        problem(&mut scene, "t").as_deref(),
        Some("what a foreign key of the table to itself changes may be written too late")
    );
    scene.exec("select pgq.capture('t', 'q')");
    assert_eq!(problem(&mut scene, "t"), None);
}

#[test]
fn a_table_that_has_joined_a_family() {
    const UNSEEN: Option<&str> = Some("changes through another table of its tree are not seen");
    let mut scene = Scene::ours("shown");
    scene.exec(
        "create table t (id int primary key, v text); select pgq.capture('t', 'q');
         create table child () inherits (t)",
    );
    assert_eq!(problem(&mut scene, "t").as_deref(), UNSEEN);
    scene.exec("alter table child add primary key (id); select pgq.capture('t', 'q')");
    assert_eq!((problem(&mut scene, "t"), problem(&mut scene, "child")), (None, None));
    // Another child comes without triggers.
    scene.exec("create table second (primary key (id)) inherits (child)");
    assert_eq!(problem(&mut scene, "child").as_deref(), Some("a child table is not captured"));
    assert_eq!(problem(&mut scene, "t"), None);
    scene.exec("select pgq.capture('t', 'q')");
    assert_eq!((problem(&mut scene, "child"), problem(&mut scene, "second")), (None, None));

    scene.exec(
        "create table part (id int primary key, v text); select pgq.capture('part', 'q');
         create table whole (like part including all) partition by range (id);
         alter table whole attach partition part default",
    );
    assert_eq!(problem(&mut scene, "part").as_deref(), UNSEEN);
    scene.exec("select pgq.capture('whole', 'q')");
    assert_eq!(problem(&mut scene, "whole"), None);
    let shown = shown(&mut scene);
    assert!(shown.iter().all(|line| !line.starts_with("part ")), "{shown:?}");
}

#[test]
fn a_key_that_is_gone() {
    let mut scene = Scene::ours("shown");
    scene.exec("create table t (id int primary key); select pgq.capture('t', 'q')");
    scene.exec("alter table t drop constraint t_pkey");
    assert_eq!(
        problem(&mut scene, "t").as_deref(),
        Some("updates and deletes are refused, since there is no key")
    );
    scene.exec("select pgq.capture('t', 'q', i_operations => '{insert,truncate}')");
    assert_eq!(problem(&mut scene, "t"), None);
    scene.exec("select pgq.capture('t', 'q', i_options => '{pkey=id}')");
    assert_eq!(problem(&mut scene, "t"), None);
}

#[test]
fn a_partition_that_came_later() {
    let mut scene = Scene::ours("shown");
    scene.exec(
        "create table t (id int primary key) partition by range (id);
         create table low partition of t for values from (0) to (10); select pgq.capture('t', 'q')",
    );
    assert_eq!(problem(&mut scene, "t"), None);
    scene.exec(
        "create table high partition of t default partition by range (id);
         create table far partition of high default",
    );
    assert_eq!(problem(&mut scene, "t").as_deref(), Some("a partition has no trigger for TRUNCATE"));
    scene.exec("select pgq.capture('t', 'q')");
    assert_eq!(problem(&mut scene, "t"), None);
}

#[test]
fn a_trigger_that_goes_on_changing_rows() {
    let mut scene = Scene::ours("shown");
    scene.exec(
        "create table t (id int primary key); select pgq.capture('t', 'q');
         create function f() returns trigger language plpgsql as 'begin return null; end';
         create trigger before before insert on t for each row execute function f();
         create trigger truncated after truncate on t execute function f();
         create trigger tap after insert on t for each row execute function pgq.logutriga('other', 'when=false')",
    );
    let of_q = "select problem from pgq.captured_tables where queue_name = 'q'";
    assert_eq!(scene.session.one::<Option<String>>(of_q, &[]), None);
    scene.exec("create trigger more after insert on t execute function f()");
    assert_eq!(
        scene.session.one::<Option<String>>(of_q, &[]).as_deref(),
        Some("what another trigger changes is written before the change that made it fire")
    );
    scene.exec("select pgq.capture('t', 'q')");
    assert_eq!(scene.session.one::<Option<String>>(of_q, &[]), None);
}

/// Dumped and restored, everything is captured as it was.
#[test]
fn triggers_come_back_from_a_dump() {
    let cluster = Cluster::builder().start();
    let mut session = cluster.connect("postgres");
    session.exec(
        r#"create extension pgq; select pgq.create_queue('q'); select pgq.create_queue('the "other"''s\');
           create table t (id int primary key, v text);
           create table "Tree" (id int primary key, v text) partition by range (id);
           create table low partition of "Tree" for values from (0) to (10);
           create table high partition of "Tree" default partition by range (id);
           create table below partition of high default;
           create table parent (id int primary key); create table child (primary key (id)) inherits (parent);
           insert into t values (1, 'x')"#,
    );
    let calls = r#"select * from pgq.capture('t', 'q')
        union all
        select * from pgq.capture('t', 'the "other"''s\', 'jsontriga', array['ev_extra3=''\n''||v', 'backup'])
        union all select * from pgq.capture('"Tree"', 'q', 'sqltriga', '{keyupdate}')
        union all select * from pgq.capture('parent', 'q')"#;
    session.exec(calls);
    let view = "select t::text from pgq.captured_tables t order by 1";
    let shown: Vec<String> = session.column(view, &[]);

    let dump = cluster.client_program("pg_dump", "postgres").output().unwrap();
    assert!(dump.status.success());
    cluster.create_database("copy");
    let file = cluster.socket_folder().join("dump.sql");
    std::fs::write(&file, dump.stdout).unwrap();
    let mut psql = cluster.client_program("psql", "copy");
    let restored = psql
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"])
        .stdin(std::fs::File::open(&file).unwrap());
    let restored = restored.output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));

    let mut session = cluster.connect("copy");
    assert_eq!(session.column::<String>(view, &[]), shown);
    let anew: Vec<String> =
        session.column(&format!("select definition from ({calls}) c where action <> 'kept'"), &[]);
    assert!(anew.is_empty(), "{anew:?}");
    let written = "select count(*) from pgq.event_template";
    assert_eq!(session.one::<i64>(written, &[]), 0);
    session
        .exec(r#"update t set v = 'y'; insert into "Tree" values (5), (50); insert into child values (1)"#);
    assert_eq!(session.one::<i64>(written, &[]), 2 + 2 + 1);
}
