//! What is repeated in a copy makes it equal: decode(encode(row)) = row, and partial SQL does what was done.

use super::replay::Copy;
use super::same_bytes::kinds::{self, OWN_TYPES};
use super::same_bytes::table::Table;
use super::{FUNCTIONS, Scene};
use fastrand::Rng;
use pgq_tests::client::Session;
use pgq_tests::queue;

/// A queue for each function, and the copy that is fed from it.
struct Fed {
    function: &'static str,
    copy: Copy,
}

impl Fed {
    fn new(session: &mut Session, table: &str, function: &'static str) -> Self {
        queue::create(session, function).unwrap();
        Self { function, copy: Copy::of(session, table, &format!("copies.{function}")) }
    }

    #[track_caller]
    fn assert_follows(&self, scene: &mut Scene, table: &str) {
        let events = scene.events_of(self.function);
        assert!(!events.is_empty(), "{}: no event", self.function);
        let mut session = scene.database.connect();
        self.copy.follow(&mut session, events.iter().map(|(_, event)| event));
        self.copy.assert_equals(&mut session, table);
    }
}

/// One that is told by letters what the columns are, and three that are told by options.
fn feed(scene: &mut Scene, table: &Table, rng: &mut Rng) -> Vec<Fed> {
    scene.exec("create schema copies");
    let moves = rng.bool();
    // Captured for whole statements; logtriga, which does not move rows, for each row.
    let mut fed: Vec<Fed> = FUNCTIONS
        .iter()
        .map(|function| {
            let options = if moves { "{keyupdate,backup}" } else { "{}" };
            let fed = Fed::new(&mut scene.session, &table.name, function);
            scene.exec(&format!(
                "select pgq.capture('{}', '{function}', '{function}', '{options}')",
                table.name.replace('\'', "''")
            ));
            fed
        })
        .collect();
    if !moves {
        fed.push(Fed::new(&mut scene.session, &table.name, "logtriga"));
        let letters: String =
            table.columns.iter().map(|column| if column.in_key { 'k' } else { 'v' }).collect();
        scene.exec(&format!(
            "create trigger tap after insert or update or delete on {}
                    for each row execute function pgq.logtriga('logtriga', '{letters}')",
            table.name
        ));
    }
    fed
}

/// Several hundred changes of a table; those that the table refuses, or its key does, are none.
fn change(scene: &mut Scene, table: &Table, rng: &mut Rng) -> u32 {
    let mut done = 0;
    let mut attempt =
        |scene: &mut Scene, sql: &str| done += u32::from(scene.session.batch_execute(sql).is_ok());
    for round in 0..60 {
        let number = round * 3;
        attempt(scene, &table.insert(rng, number..number + 3));
        attempt(scene, &table.insert(rng, number..number + 1));
        for _ in 0..3 {
            let number = rng.u32(..=number);
            let one = table.update(rng, number);
            let several = one.replace(&format!("number = {number}"), &format!("number % 7 = {}", number % 7));
            attempt(scene, &one);
            attempt(scene, &several);
        }
        let number = rng.u32(..=number);
        attempt(
            scene,
            &format!("delete from {} where number between {number} and {}", table.name, number + 1),
        );
    }
    done
}

/// Settings that change how values look, none of them what they are.
const SETTINGS: &[&str] = &[
    "set datestyle = German",
    "set datestyle = 'SQL, DMY'; set extra_float_digits = -15",
    "set intervalstyle = iso_8601; set bytea_output = escape",
    "set intervalstyle = postgres_verbose; set timezone = '<far>+11:30'",
    "set timezone = 'America/St_Johns'; set standard_conforming_strings = off; set backslash_quote = on",
    "set search_path = pg_catalog, public; set quote_all_identifiers = on",
];

fn copies_follow(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        eprintln!("seed {seed}");
        let mut rng = Rng::with_seed(seed);
        let mut scene = Scene::ours("apply");
        let kinds = kinds::of_server(&mut scene.session);
        let table = std::iter::repeat_with(|| Table::draw(&mut rng, &kinds))
            .find(|table| table.columns.iter().any(|column| column.in_key))
            .expect("most tables have a key");
        scene.exec(OWN_TYPES);
        scene.exec(&table.create(&mut rng));
        let fed = feed(&mut scene, &table, &mut rng);
        scene.exec(rng.choice(SETTINGS).expect("there are some"));
        let done = change(&mut scene, &table, &mut rng);
        assert!(done > 60, "seed {seed}: {done} statements did something");
        for one in &fed {
            one.assert_follows(&mut scene, &table.name);
        }
    }
}

#[test]
fn of_generated_tables() {
    copies_follow(0..6);
}

#[test]
fn of_more_generated_tables() {
    copies_follow(6..12);
}

/// The statements are repeated in a copy of the table `t`, whichever function captured them.
fn copy_follows(create: &str, options: &str, statements: &[&str]) {
    let mut scene = Scene::ours("apply");
    scene.exec(create);
    scene.exec("create schema copies");
    let mut fed = Vec::new();
    for function in FUNCTIONS {
        fed.push(Fed::new(&mut scene.session, "t", function));
        scene.exec(&format!("select pgq.capture('t', '{function}', '{function}', '{options}')"));
    }
    for sql in statements {
        scene.exec(sql);
    }
    for one in fed {
        one.assert_follows(&mut scene, "t");
    }
}

/// NULL, nothing, and every character that means something to one of the formats; as values and as keys.
#[test]
fn of_texts_that_mean_something_elsewhere() {
    copy_follows(
        r#"create table t ("ke y" text, "Wé'\=&" text, "a""b" text[], n int, primary key ("Wé'\=&", "ke y"))"#,
        "{backup}",
        &[
            r#"insert into t select k, chr(c), array[k, null, chr(c), 'NULL', ''], null
                 from generate_series(1, 300) c, unnest(array['', ' ', '\', '''', '"', 'null', E'\r\n\t\b\f']) k"#,
            r#"update t set "a""b" = null where n is null and "ke y" = ''"#,
            r#"update t set "a""b" = array["ke y" || E'\\x\'"%', ''], n = ascii("Wé'\=&") where "ke y" <> ''"#,
            r#"delete from t where n % 3 = 0"#,
            "update t set n = null",
        ],
    );
}

#[test]
fn of_rows_that_move_between_partitions() {
    copy_follows(
        "create table t (id int, part int, v text, primary key (id, part)) partition by list (part);
         create table one partition of t for values in (1);
         create table two (v text, gone int, part int not null, id int not null);
         alter table two drop gone;
         alter table t attach partition two for values in (2);
         create table more partition of t default partition by range (id);
         create table below partition of more for values from (0) to (50);
         create table above partition of more default",
        "{keyupdate}",
        &[
            "insert into t select n, n % 5, 'v' || n from generate_series(1, 100) n",
            "update t set part = part + 1",
            "update t set v = v || '!' where id % 7 = 0",
            "update t set part = 1, v = 'moved' where part = 2",
            "delete from t where id > 90",
            "delete from below",
            "insert into one values (100, 1)",
            "truncate t",
            "insert into t values (1, 1, 'last')",
        ],
    );
}

#[test]
fn of_keys_that_change() {
    copy_follows(
        "create table t (id int primary key, v text)",
        "{keyupdate}",
        &[
            "insert into t select n, 'v' || n from generate_series(1, 50) n",
            "update t set id = id + 100, v = 'moved' where id % 2 = 0",
            "update t set id = id - 100 where id > 120",
            "insert into t values (1, 'x'), (3, 'y'), (60, 'z')
                on conflict (id) do update set id = excluded.id + 500",
            "delete from t where id > 500",
        ],
    );
}

#[test]
fn of_values_of_every_size() {
    copy_follows(
        "create table t (id int primary key, plain text, compressed text, aside text, n int default 0);
         alter table t alter plain set storage plain, alter aside set storage external",
        "{}",
        &[
            r"insert into t select n, repeat('p', n), repeat(E'é\\''', n * 20000), repeat(md5(n::text), n * 3000)
                from generate_series(1, 12) n",
            "update t set n = 1",
            "update t set aside = aside || id where id % 2 = 0",
            "update t set compressed = null where id % 3 = 0",
            "delete from t where id in (5, 6)",
        ],
    );
}

/// A copy that computes its columns by itself is told the others only.
#[test]
fn of_generated_columns() {
    for function in FUNCTIONS {
        let mut scene = Scene::ours("apply");
        scene.exec(
            "create table t (id int primary key generated by default as identity, n int,
                             twice int generated always as (n * 2) stored);
             create table copy (like t including all)",
        );
        scene.exec(&format!("select pgq.capture('t', 'q', '{function}', '{{nogenerated}}')"));
        scene.exec("insert into t (n) select * from generate_series(1, 10)");
        scene.exec("update t set n = n + 1 where id < 5; update t set n = n; delete from t where id = 7");
        let copy = Copy { name: "copy".to_owned() };
        let events = scene.events();
        copy.follow(&mut scene.session, &events);
        copy.assert_equals(&mut scene.session, "t");
    }
}
