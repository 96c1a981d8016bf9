//! Triggers for each statement write the events that triggers for each row write.

use std::collections::BTreeMap;

use super::replay::Copy;
use super::{FUNCTIONS, Scene};
use fastrand::Rng;
use pgq_tests::queue;
use std::io::Write;

/// A table with triggers of both kinds, which write into the queues `rows` and `statements`; several such pairs.
struct Twins {
    scene: Scene,
    pairs: u32,
    /// What was done in which transaction.
    story: BTreeMap<i64, String>,
}

impl Twins {
    fn new(create: &str) -> Self {
        let mut scene = Scene::ours("statements");
        scene.exec(create);
        Self { scene, pairs: 0, story: BTreeMap::new() }
    }

    /// Captures the table `t` in both ways.
    fn capture(&mut self, function: &str, options: &str) {
        let comma = if options.is_empty() { "" } else { ", " };
        let pair = self.pairs;
        let (rows, statements) = (format!("rows{pair}"), format!("statements{pair}"));
        for name in [&rows, &statements] {
            queue::create(&mut self.scene.session, name).unwrap();
        }
        self.scene.exec(&format!(
            "create trigger {rows} after insert or update or delete on t
                    for each row execute function pgq.{function}('{rows}'{comma}{options})"
        ));
        for (operation, referencing) in [
            ("insert", "new table as new_rows"),
            ("update", "old table as old_rows new table as new_rows"),
            ("delete", "old table as old_rows"),
        ] {
            self.scene.exec(&format!(
                "create trigger {statements}_{operation} after {operation} on t referencing {referencing}
                        for each statement execute function pgq.{function}('{statements}'{comma}{options})"
            ));
        }
        self.pairs += 1;
    }

    /// Does that in a transaction of its own; if it fails, nothing.
    fn attempt(&mut self, sql: &str) -> bool {
        self.scene.exec("begin");
        if self.scene.session.batch_execute(sql).is_err() {
            self.scene.exec("rollback");
            return false;
        }
        self.close(sql);
        true
    }

    fn close(&mut self, what: &str) {
        let id: Option<i64> = self.scene.session.one("select txid_current_if_assigned()", &[]);
        self.story.extend(id.map(|id| (id, what.to_owned())));
        self.scene.exec("commit");
    }

    #[track_caller]
    fn do_all(&mut self, statements: &[&str]) {
        for sql in statements {
            assert!(self.attempt(sql), "{sql}");
        }
    }

    /// Each transaction has written the same events in both ways; and so that who follows them gets the same table,
    /// if the pair tells everything. How many events that were.
    #[track_caller]
    fn compare(&mut self, pair: u32, tells_all: bool) -> usize {
        let mut by_transaction = [(); 2].map(|()| BTreeMap::<i64, Vec<String>>::new());
        let mut count = 0;
        for (kind, events) in ["rows", "statements"].into_iter().zip(&mut by_transaction) {
            let queue = format!("{kind}{pair}");
            let taken = self.scene.events_of(&queue);
            if tells_all {
                let copy = Copy::of(&mut self.scene.session, "t", &format!("copy_{queue}"));
                copy.follow(&mut self.scene.session, taken.iter().map(|(_, event)| event));
                copy.assert_equals(&mut self.scene.session, "t");
            }
            count = taken.len();
            for (id, event) in taken {
                events.entry(id).or_default().push(event.to_string());
            }
            events.values_mut().for_each(|of_one| of_one.sort());
        }
        let [rows, statements] = by_transaction;
        for id in rows.keys().chain(statements.keys()) {
            assert_eq!(statements.get(id), rows.get(id), "pair {pair}: {}", self.story[id]);
        }
        count
    }
}

/// A table whose rows depend on those of another one; with a column that is gone, one that is computed, and a trigger
/// that changes what comes.
const FAMILY: &str = "
    create table p (id int primary key, name text);
    insert into p select n, 'p' || n from generate_series(1, 40) n;
    create table t (
        gone text default 'gone', id int primary key, p int references p on delete cascade on update cascade,
        n int not null default 0, v text, twice int generated always as (n * 2) stored,
        boss int, head int, changes int);
    alter table t drop gone;
    create function count_changes() returns trigger language plpgsql as
        $$ begin new.changes := coalesce(new.changes, 0) + 1; return new; end $$;
    create trigger count_changes before insert or update on t for each row execute function count_changes()";

/// A statement of any kind, over rows with numbers around `at`.
fn statement(rng: &mut Rng) -> String {
    let (at, few) = (rng.u32(..60), rng.u32(1..9));
    let to = at + few;
    match rng.u8(..17) {
        0..=2 => format!(
            "insert into t (id, p, n, v, boss, head)
             select g, (select min(id) from p), g % 7, 'v' || g,
                    case when g % 4 = 0 then (select max(id) from t where id < g) end,
                    case when g % 9 = 0 then (select max(id) from t where id < g) end
               from generate_series({at}, {to}) g on conflict do nothing"
        ),
        3 => format!("insert into t (id, n) select g, {few} from generate_series({at}, {to}) g"),
        4 | 5 => format!(
            "insert into t (id, n, v) select g, {few}, 'new' from generate_series({at}, {to}) g
             on conflict (id) do update set n = t.n + 1, v = excluded.v || '!' where t.n <> 3"
        ),
        6 => format!("update t set n = n + 1, v = case when id % 2 = 0 then v end where id % {few} = 0"),
        7 => format!("update t set v = v where id < {at}"),
        8 => format!("delete from t where id % 11 = {few}"),
        9 | 10 => format!(
            "merge into t using (select g as id, g % 4 as kind from generate_series({at}, {to}) g) s on t.id = s.id
              when matched and s.kind = 0 then delete
              when matched and s.kind = 1 then do nothing
              when matched then update set n = s.id, v = 'merged'
              when not matched and s.kind < 3 then insert (id, n, v) values (s.id, s.kind, 'merged')"
        ),
        11 => format!(
            "with gone as (delete from t where id between {at} and {to} returning *)
             insert into t (id, p, n, v) select id, p, n + 1, 'again' from gone"
        ),
        12 => format!(
            "with gone as (delete from t where id between {at} and {to} returning id),
                  new as (insert into t (id, n) select id + 100, 5 from gone on conflict do nothing returning id)
             update t set n = n - 1 where id > {to} and id % {few} = 0"
        ),
        13 => format!(
            "with changed as (update t set n = n + 5 where id % {few} = 1 returning id)
             delete from t where id = {at} and id not in (select id from changed)"
        ),
        14 => "delete from p where id = (select min(id) from p)".to_owned(),
        15 => format!("update p set id = id + 100 where id % 10 = {few}"),
        _ => format!(
            "with changed as (update t set v = 'x' where id = {at} returning p)
             delete from p where id in (select p from changed)"
        ),
    }
}

/// Several statements, some of them undone.
fn transaction(rng: &mut Rng, statement: fn(&mut Rng) -> String) -> String {
    let mut parts = vec![statement(rng)];
    match rng.u8(..6) {
        0 => parts.push(statement(rng)),
        1 => parts.extend([
            "savepoint s".to_owned(),
            statement(rng),
            "rollback to s".to_owned(),
            statement(rng),
        ]),
        2 => parts.insert(0, "set constraints all deferred".to_owned()),
        _ => {}
    }
    parts.join(";\n")
}

/// Makes random changes; most of them do something.
fn change(twins: &mut Twins, seed: u64, statement: fn(&mut Rng) -> String) {
    let mut rng = Rng::with_seed(seed);
    let mut done = 0;
    for number in 0..150 {
        done += u32::from(twins.attempt(&transaction(&mut rng, statement)));
        if number % 25 == 0 {
            copy_in(twins, 1000 + number * 10);
        }
        if number == 75 {
            // What was there before does not store it.
            twins.scene.exec("alter table t add column late text default 'late'");
            twins.do_all(&["update t set late = 'later'"]);
        }
    }
    assert!(done > 100, "{done} of 150 transactions did something");
}

fn copy_in(twins: &mut Twins, at: u32) {
    twins.scene.exec("begin");
    let mut writer = twins.scene.session.copy_in("copy t (id, v) from stdin").unwrap();
    for id in at..at + 5 {
        writeln!(writer, "{id}\tcopied").unwrap();
    }
    writer.finish().unwrap();
    twins.close("copy");
}

#[test]
fn any_statements_write_the_same_events() {
    let mut twins = Twins::new(FAMILY);
    for function in FUNCTIONS {
        twins.capture(function, "");
    }
    twins.capture("logtriga", "'kvvvvvvvv'");
    for (function, options) in [
        ("jsontriga", "'backup', 'nogenerated'"),
        ("logutriga", "'ignore=v,twice,changes'"),
        ("sqltriga", "'ignore=n,twice,changes', 'backup'"),
        ("logutriga", "'when=n % 2 = 0', 'ev_type=''kind '' || id', 'ev_extra3=upper(v)', 'ev_data=null'"),
        ("sqltriga", "'pkey=id,n', 'keyupdate'"),
    ] {
        twins.capture(function, options);
    }
    change(&mut twins, 1, statement);
    for pair in 0..9 {
        let count = twins.compare(pair, pair < 4);
        assert!(count > 300, "pair {pair}: {count} events");
    }
}

/// A statement that gives rows other keys.
fn moving_statement(rng: &mut Rng) -> String {
    let (at, few) = (rng.u32(..60), rng.u32(1..9));
    let to = at + few;
    match rng.u8(..12) {
        0 => format!("update t set id = id + 100 where id between {at} and {to}"),
        1 => format!("update t set id = id - 100, n = n + 1 where id between {at} + 100 and {to} + 100"),
        2 => format!(
            "insert into t (id, n, v) select g, {few}, 'new' from generate_series({at}, {to}) g
             on conflict (id) do update set id = t.id + 200"
        ),
        3 => format!(
            "merge into t using (select g as id, g % 4 as kind from generate_series({at}, {to}) g) s on t.id = s.id
              when matched and s.kind = 0 then delete
              when matched and s.kind = 1 then update set id = t.id + 300, v = 'merged'
              when matched then update set n = 7
              when not matched then insert (id, n) values (s.id, s.kind)"
        ),
        _ => statement(rng),
    }
}

#[test]
fn and_so_do_those_that_change_keys() {
    let mut twins = Twins::new(FAMILY);
    for function in FUNCTIONS {
        twins.capture(function, "'keyupdate'");
        twins.capture(function, "'keyupdate', 'backup', 'when=n < 5'");
    }
    change(&mut twins, 2, moving_statement);
    for pair in 0..6 {
        let count = twins.compare(pair, pair % 2 == 0);
        assert!(count > 150, "pair {pair}: {count} events");
    }
}

/// Where rows are removed and changed because others are, both tell the same; only in which order a statement did it all
/// is lost, so `pgq.capture` does not do it in this way.
#[test]
fn and_so_do_those_whose_rows_depend_on_each_other() {
    let mut twins = Twins::new(FAMILY);
    twins.scene.exec(
        "alter table t add foreign key (boss) references t on delete set null on update cascade,
                       add foreign key (head) references t on delete cascade on update cascade",
    );
    for function in FUNCTIONS {
        twins.capture(function, "'keyupdate'");
    }
    change(&mut twins, 3, moving_statement);
    for pair in 0..3 {
        let count = twins.compare(pair, false);
        assert!(count > 300, "pair {pair}: {count} events");
    }
}

#[test]
fn columns_that_override_fields_do_so_for_each_row() {
    let mut twins = Twins::new(
        "create table t (id int primary key, v text, _pgq_ev_type text, _pgq_ev_data text, _pgq_ev_extra1 text,
                         _pgq_ev_extra4 text)",
    );
    for function in FUNCTIONS {
        twins.capture(function, "");
        twins.capture(function, "'ev_extra1=v', 'backup'");
    }
    twins.do_all(&[
        "insert into t select n, 'v' || n, 'type ' || n, case n % 2 when 0 then 'data' end, n, null
           from generate_series(1, 20) n",
        "update t set v = v || '!', _pgq_ev_extra4 = 'x' where id > 5",
        "update t set _pgq_ev_data = 'y' where id < 5",
        "delete from t where id % 2 = 0",
    ]);
    for pair in 0..6 {
        assert!(twins.compare(pair, false) > 40);
    }
}

/// A thousand are written together, and those that take much room sooner.
#[test]
fn many_rows_and_large_ones() {
    let mut twins = Twins::new("create table t (id int primary key, n int, v text, aside text)");
    for function in FUNCTIONS {
        twins.capture(function, "");
    }
    // What a statement has changed is kept in a file, too.
    twins.scene.exec("alter table t alter aside set storage external; set work_mem = '64kB'");
    twins.do_all(&[
        "insert into t select n, n, repeat('v', n % 50) from generate_series(1, 3500) n",
        "update t set n = n + 1",
        "update t set n = n + 1 where id between 1001 and 2000",
        "delete from t where id > 1000",
        "insert into t select -n, n, repeat('v', 3000000), repeat(md5(n::text), 60000) from generate_series(1, 4) n",
        "update t set n = n + 1, aside = case when id % 2 = 0 then aside || 'x' else aside end where id < 0",
        "update t set n = 0",
        "delete from t where id < -2",
    ]);
    for pair in 0..3 {
        assert_eq!(twins.compare(pair, true), 3500 + 3500 + 1000 + 2500 + 4 + 4 + 1004 + 2);
    }
}
