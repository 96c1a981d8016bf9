//! The same statements write the same events, byte for byte: on the original's server as on ours, and by triggers for
//! each statement as by those for each row.
//!
//! Every type that the server ships, and types made of them; tables, names, rows, options and settings come from a
//! generator with a seed, which a failure tells. What differs on purpose is in `differences`.

pub(super) mod kinds;
pub(super) mod table;

use std::ops::Range;

use fastrand::Rng;
use kinds::{KINDS, Kind, OWN_TYPES};
use table::{Table, literal};

use super::{Event, FUNCTIONS, Scene};

/// Two databases, in step.
struct Both {
    ours: Scene,
    other: Scene,
    /// Whether ours has triggers for each statement.
    by_statement: bool,
    /// The types that both have: one may be built without XML.
    kinds: Vec<&'static Kind>,
    /// What has been done, for who reads of a difference.
    story: Vec<String>,
}

impl Both {
    /// On both servers, or nothing to compare with.
    fn servers() -> Option<Self> {
        let mut scenes: Vec<Scene> = Scene::on_each("same_bytes").collect();
        let other = scenes.pop().filter(Scene::is_original)?;
        Some(Self::new(scenes.pop()?, other, false))
    }

    /// By both kinds of triggers, on our server.
    fn ways() -> Self {
        Self::new(Scene::ours("by_statement"), Scene::ours("by_row"), true)
    }

    fn new(ours: Scene, other: Scene, by_statement: bool) -> Self {
        let mut both = Self { ours, other, by_statement, kinds: Vec::new(), story: Vec::new() };
        both.do_on_both(OWN_TYPES);
        both.kinds = kinds::of_server(&mut both.ours.session);
        let others = kinds::of_server(&mut both.other.session);
        both.kinds.retain(|kind| others.iter().any(|other| other.name == kind.name));
        both
    }

    fn do_on_both(&mut self, sql: &str) {
        self.ours.exec(sql);
        self.other.exec(sql);
        self.story.push(sql.to_owned());
    }

    /// Triggers of all functions on a table.
    fn capture(&mut self, table: &str, options: &str) {
        self.other.capture_by_all(table, options);
        if self.by_statement {
            capture_statements(&mut self.ours, table, options);
        } else {
            self.ours.capture_by_all(table, options);
        }
        self.story.push(format!("-- captured with the options: {options}"));
    }

    /// The statement writes the same events on both, and so many.
    #[track_caller]
    fn compare(&mut self, sql: &str) -> usize {
        self.compare_outcomes(sql).unwrap_or_else(|| panic!("{sql}: fails on both"))
    }

    /// The statement has the same outcome on both: so many events, or none if it fails.
    #[track_caller]
    fn compare_outcomes(&mut self, sql: &str) -> Option<usize> {
        let (ours, other) = (outcome(&mut self.ours, sql), outcome(&mut self.other, sql));
        let agree = match (&ours, &other) {
            // The original's own errors have no better state.
            (Err(ours), Err(other)) => ours == other || other == "XX000" && ours != "XX000",
            _ => ours == other,
        };
        assert!(
            agree,
            "{}\n\n{sql}\n\nours:\n{}\nthe other:\n{}",
            self.story.join(";\n"),
            told(&ours),
            told(&other)
        );
        other.ok().map(|events| events.len())
    }
}

fn capture_statements(scene: &mut Scene, table: &str, options: &str) {
    let comma = if options.is_empty() { "" } else { ", " };
    for function in FUNCTIONS {
        for (event, rows) in [
            ("insert", "new table as new_rows"),
            ("update", "old table as old_rows new table as new_rows"),
            ("delete", "old table as old_rows"),
        ] {
            scene.exec(&format!(
                "create trigger tap_{function}_{event} after {event} on {table} referencing {rows}
                        for each statement execute function pgq.{function}('q'{comma}{options})"
            ));
        }
    }
}

/// The events that the statement writes, in an order of their own (that of a statement's rows is the server's choice),
/// or the state of its error.
fn outcome(scene: &mut Scene, sql: &str) -> Result<Vec<Event>, String> {
    let result = scene.session.batch_execute(sql);
    let mut events = scene.events();
    events.sort_by_key(Event::to_string);
    match result {
        Ok(()) => Ok(events),
        Err(error) => Err(error.code().unwrap_or_else(|| panic!("{sql}: {error:?}")).code().to_owned()),
    }
}

fn told(outcome: &Result<Vec<Event>, String>) -> String {
    match outcome {
        Ok(events) => events.iter().map(|event| format!("{event}\n")).collect(),
        Err(state) => format!("error {state}\n"),
    }
}

#[test]
fn every_type_of_the_server_is_among_those_compared() {
    let mut scene = Scene::ours("same_bytes");
    scene.exec(OWN_TYPES);
    // Of these nobody can write a value, or no column can be.
    let unwritable = "gtsvector pg_node_tree pg_ndistinct pg_dependencies pg_mcv_list pg_brin_bloom_summary
                      pg_brin_minmax_multi_summary";
    let shipped: Vec<String> = scene.session.column(
        "select format_type(oid, null) from pg_type
          where typtype in ('b', 'r', 'm') and typcategory <> 'A' and typnamespace = 'pg_catalog'::regnamespace
            and typname <> all (regexp_split_to_array($1, '\\s+'))",
        &[&unwritable],
    );
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let compared: Vec<String> =
        scene.session.column("select format_type(n::regtype, null) from unnest($1::text[]) n", &[&names]);
    for name in shipped {
        assert!(compared.contains(&name), "{name}");
    }
}

/// Each type and the arrays of it: each value comes, becomes the next, and goes.
fn compare_types(mut both: Both) {
    let mut rng = Rng::with_seed(1);
    for kind in both.kinds.clone() {
        let values: Vec<String> = kind.values().iter().map(|value| literal(Some(value))).collect();
        compare_values(&mut both, kind.name, &values);
        if let Some(array) = kinds::array_of(kind) {
            let arrays: Vec<String> =
                (0..values.len()).map(|_| literal(Some(&kind.array(&mut rng)))).collect();
            compare_values(&mut both, &array, &arrays);
        }
    }
}

fn compare_values(both: &mut Both, of: &str, values: &[String]) {
    both.do_on_both(&format!("create table t (id serial primary key, v {of})"));
    both.capture("t", "'backup'");
    let rows: Vec<String> = values.iter().map(|value| format!("({value})")).collect();
    let written = both.compare(&format!("insert into t (v) values (null), {}", rows.join(", ")));
    assert_eq!(written, (1 + rows.len()) * FUNCTIONS.len());
    for value in values {
        both.compare(&format!("update t set v = {value} where id < 3"));
    }
    both.compare("update t set v = null where id < 3");
    both.compare("delete from t");
    both.do_on_both("drop table t");
    both.story.clear();
}

fn compare_generated(mut both: Both, seeds: Range<u64>) {
    for seed in seeds {
        let mut rng = Rng::with_seed(seed);
        let table = Table::draw(&mut rng, &both.kinds);
        both.story = vec![format!("-- seed {seed}")];
        both.do_on_both(&table.create(&mut rng));
        let mut options = table.options(&mut rng);
        if both.by_statement {
            options.extend(table.more_options(&mut rng));
        }
        both.capture(&table.name, &options.join(", "));
        let zone = *rng.choice(&["UTC", "America/St_Johns", "Asia/Kolkata", "<far>+11:30"]).expect("some");
        let intervals =
            // Not sql_standard: see `settings`.
            *rng.choice(&["postgres", "postgres_verbose", "iso_8601"]).expect("some");
        let bytes = *rng.choice(&["hex", "escape"]).expect("some");
        both.do_on_both(&format!(
            "set timezone = '{zone}'; set intervalstyle = {intervals}; set bytea_output = {bytes}"
        ));

        let mut successes = 0;
        let mut compare = |sql: &str| successes += usize::from(both.compare_outcomes(sql).is_some());
        compare(&table.insert(&mut rng, 0..5));
        for number in 5..12 {
            compare(&table.insert(&mut rng, number..number + 1));
        }
        for _ in 0..15 {
            let number = rng.u32(..12);
            compare(&table.update(&mut rng, number));
        }
        compare(&format!("update {} set number = number", table.name));
        compare(&format!("update {} set number = number + 100 where number > 9", table.name));
        for number in 0..3 {
            compare(&format!("delete from {} where number = {number}", table.name));
        }
        compare(&format!("delete from {}", table.name));
        // Those without a key have no more.
        assert!(successes >= 8, "seed {seed} compares errors: {successes} of 29 statements did something");
        both.do_on_both(&format!("drop table {}", table.name));
    }
}

fn compare_huge_values_and_many_columns(mut both: Both) {
    // Compressed, stored aside, and both; each kept while another column changes.
    both.do_on_both(
        "create table t (id int primary key, short text, plain text, compressed text, aside text);
         alter table t alter plain set storage plain, alter compressed set storage main, alter aside set storage external",
    );
    both.capture("t", "'backup'");
    both.compare(
        "insert into t select 1, 'x', repeat('p', 5000), repeat(E'é''\\\\', 300000), string_agg(md5(n::text), '')
           from generate_series(1, 20000) n",
    );
    both.compare("update t set short = 'y'");
    both.compare("update t set compressed = compressed || '!', aside = aside || ''");
    both.compare("update t set aside = null");
    both.compare("delete from t");

    let columns: Vec<String> =
        (0..1500).map(|n| format!("c{n} {}", ["int", "text", "bool"][n % 3])).collect();
    both.do_on_both(&format!("create table wide (id int primary key, {})", columns.join(", ")));
    both.capture("wide", "'ignore=c7,c8'");
    both.compare("insert into wide (id, c0, c1, c1499) values (1, 5, 'x', true)");
    both.compare("update wide set c1200 = 7, c1 = null");
    both.compare("update wide set c8 = true");
    both.compare("delete from wide");
}

mod on_both_servers {
    use super::*;

    #[test]
    fn all_types() {
        if let Some(both) = Both::servers() {
            compare_types(both);
        }
    }

    #[test]
    fn generated_tables() {
        if let Some(both) = Both::servers() {
            compare_generated(both, 0..12);
        }
    }

    #[test]
    fn more_generated_tables() {
        if let Some(both) = Both::servers() {
            compare_generated(both, 12..24);
        }
    }

    #[test]
    fn huge_values_and_many_columns() {
        if let Some(both) = Both::servers() {
            compare_huge_values_and_many_columns(both);
        }
    }
}

mod in_both_ways {
    use super::*;

    #[test]
    fn all_types() {
        compare_types(Both::ways());
    }

    #[test]
    fn generated_tables() {
        compare_generated(Both::ways(), 24..48);
    }

    #[test]
    fn huge_values_and_many_columns() {
        compare_huge_values_and_many_columns(Both::ways());
    }
}
