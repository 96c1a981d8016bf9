//! The same statements on both servers write the same events, byte for byte.
//!
//! Every type that the server ships, and types made of them; tables, names, rows, options and settings come from a
//! generator with a seed, which a failure tells. What differs on purpose is in `differences`.

pub(super) mod kinds;

use fastrand::Rng;
use kinds::{KEYS, KINDS, Kind, OWN_TYPES};

use super::{Event, FUNCTIONS, Scene};

/// Both servers, in step.
struct Both {
    ours: Scene,
    original: Scene,
    /// What has been done, for who reads of a difference.
    story: Vec<String>,
}

impl Both {
    /// Both, or nothing to compare with.
    fn new() -> Option<Self> {
        let mut scenes: Vec<Scene> = Scene::on_each("same_bytes").collect();
        let original = scenes.pop().filter(Scene::is_original)?;
        let mut both = Self { ours: scenes.pop()?, original, story: Vec::new() };
        both.do_on_both(OWN_TYPES);
        Some(both)
    }

    fn do_on_both(&mut self, sql: &str) {
        self.ours.exec(sql);
        self.original.exec(sql);
        self.story.push(sql.to_owned());
    }

    /// The statement writes the same events on both.
    #[track_caller]
    fn compare(&mut self, sql: &str) {
        assert!(self.compare_outcomes(sql), "{sql}: fails on both");
    }

    /// The statement has the same outcome on both; whether this is a success.
    #[track_caller]
    fn compare_outcomes(&mut self, sql: &str) -> bool {
        let (ours, original) = (outcome(&mut self.ours, sql), outcome(&mut self.original, sql));
        let agree = match (&ours, &original) {
            // Its own errors have no better state.
            (Err(ours), Err(original)) => ours == original || original == "XX000" && ours != "XX000",
            _ => ours == original,
        };
        assert!(
            agree,
            "{}\n\n{sql}\n\nours:\n{}\nthe original:\n{}",
            self.story.join(";\n"),
            told(&ours),
            told(&original)
        );
        original.is_ok()
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

/// A string constant, or NULL.
fn literal(value: Option<&str>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| format!("'{}'", value.replace('\'', "''")))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
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
#[test]
fn all_types() {
    let Some(mut both) = Both::new() else { return };
    let mut rng = Rng::with_seed(1);
    for kind in KINDS {
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
    for scene in [&mut both.ours, &mut both.original] {
        scene.capture_by_all("t", "'backup'");
    }
    let rows: Vec<String> = values.iter().map(|value| format!("({value})")).collect();
    both.compare(&format!("insert into t (v) values (null), {}", rows.join(", ")));
    for value in values {
        both.compare(&format!("update t set v = {value} where id < 3"));
    }
    both.compare("update t set v = null where id < 3");
    both.compare("delete from t");
    both.do_on_both("drop table t");
    both.story.clear();
}

/// A table as it was drawn.
pub(super) struct Table {
    /// Quoted, with its schema.
    pub name: String,
    pub columns: Vec<Column>,
}

pub(super) struct Column {
    /// Unquoted.
    pub name: String,
    kind: &'static Kind,
    is_array: bool,
    pub in_key: bool,
}

impl Column {
    fn type_name(&self) -> String {
        format!("{}{}", self.kind.name, if self.is_array { "[]" } else { "" })
    }

    fn value(&self, rng: &mut Rng) -> String {
        if !self.in_key && rng.u8(..6) == 0 {
            return "null".to_owned();
        }
        literal(Some(&if self.is_array { self.kind.array(rng) } else { self.kind.value(rng) }))
    }
}

/// Names as nobody should give them.
const NAMES: &[&str] = &[
    "v",
    "Qty",
    "order",
    "user",
    "a b",
    "a.b",
    "é",
    "ключ",
    "a\"b",
    "a'b",
    "a\\b",
    "_x",
    "a$",
    "1st",
    "x%y",
    "x&y=z",
    "x+y",
    "tab\t",
    "new\nline",
    "🐘",
    "-",
    "zone",
    "TABLE",
    "ev_data",
    "_pgq_x",
    "id id",
    "null",
    "a_name_that_is_as_long_as_the_server_lets_any_name_be_63_bytes_",
    "é_that_is_cut_in_no_character",
];

impl Table {
    pub fn draw(rng: &mut Rng) -> Self {
        let schema = *rng.choice(&["public", "Sch ema", "select", "ü", "q\"\\'"]).expect("there are some");
        let table = *rng.choice(NAMES).expect("there are some");
        let mut names = NAMES.to_vec();
        rng.shuffle(&mut names);
        let mut columns: Vec<Column> = (0..rng.usize(1..10))
            .map(|_| {
                let kind = rng.choice(KINDS).expect("there are some");
                let is_array = rng.u8(..4) == 0 && kinds::array_of(kind).is_some();
                let in_key = !is_array && KEYS.contains(&kind.name) && rng.u8(..3) == 0;
                Column { name: names.pop().expect("enough of them").to_owned(), kind, is_array, in_key }
            })
            .collect();
        // By which statements find their rows.
        let has_key = columns.iter().any(|column| column.in_key);
        let number = KINDS.iter().find(|kind| kind.name == "int4").expect("it is there");
        let in_key = !has_key && rng.u8(..8) > 0;
        columns.insert(
            rng.usize(..=columns.len()),
            Column { name: "number".to_owned(), kind: number, is_array: false, in_key },
        );
        Self { name: format!("{}.{}", identifier(schema), identifier(table)), columns }
    }

    /// With columns that are dropped again, and the key in any order.
    pub fn create(&self, rng: &mut Rng) -> String {
        let mut definitions = Vec::new();
        let mut dropped = Vec::new();
        for column in &self.columns {
            if rng.u8(..5) == 0 {
                dropped.push(format!("drop column gone{}", dropped.len()));
                definitions.push(format!("gone{} text default 'gone'", dropped.len() - 1));
            }
            definitions.push(format!("{} {}", identifier(&column.name), column.type_name()));
        }
        let mut key: Vec<String> = self
            .columns
            .iter()
            .filter(|column| column.in_key)
            .map(|column| identifier(&column.name))
            .collect();
        rng.shuffle(&mut key);
        if !key.is_empty() {
            definitions.push(format!("primary key ({})", key.join(", ")));
        }
        let schema = self.name.rsplit_once(".\"").expect("a schema").0;
        let mut sql = format!(
            "create schema if not exists {schema}; create table {} ({})",
            self.name,
            definitions.join(", ")
        );
        if !dropped.is_empty() {
            sql += &format!("; alter table {} {}", self.name, dropped.join(", "));
        }
        sql
    }

    /// Options that name columns only where both read the list in the same way.
    fn options(&self, rng: &mut Rng) -> String {
        let mut names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        names.retain(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
        let mut options = String::new();
        if rng.u8(..3) == 0 {
            options += ", 'backup'";
        }
        for (option, chance) in [("ignore", 3), ("pkey", 6)] {
            if rng.u8(..chance) == 0 {
                rng.shuffle(&mut names);
                options += &format!(", '{option}={}'", names[..rng.usize(1..=names.len().min(3))].join(","));
            }
        }
        options
    }

    pub fn insert(&self, rng: &mut Rng, numbers: std::ops::Range<u32>) -> String {
        let names: Vec<String> = self.columns.iter().map(|column| identifier(&column.name)).collect();
        let row = |number: u32| {
            let value = |column: &Column, rng: &mut Rng| {
                if column.name == "number" { number.to_string() } else { column.value(rng) }
            };
            let values: Vec<String> = self.columns.iter().map(|column| value(column, rng)).collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<String> = numbers.map(row).collect();
        format!("insert into {} ({}) values {}", self.name, names.join(", "), rows.join(", "))
    }

    pub fn update(&self, rng: &mut Rng, number: u32) -> String {
        let mut columns: Vec<&Column> =
            self.columns.iter().filter(|column| column.name != "number").collect();
        rng.shuffle(&mut columns);
        let assignments: Vec<String> = columns[..rng.usize(1..=columns.len().min(3))]
            .iter()
            .map(|column| {
                let name = identifier(&column.name);
                // A key may be told to stay; that it must not change is soon seen.
                let stays = rng.u8(..10) < if column.in_key { 8 } else { 1 };
                format!("{name} = {}", if stays { name.clone() } else { column.value(rng) })
            })
            .collect();
        format!("update {} set {} where number = {number}", self.name, assignments.join(", "))
    }
}

fn compare_generated(seeds: std::ops::Range<u64>) {
    let Some(mut both) = Both::new() else { return };
    for seed in seeds {
        let mut rng = Rng::with_seed(seed);
        let table = Table::draw(&mut rng);
        both.story = vec![format!("-- seed {seed}")];
        both.do_on_both(&table.create(&mut rng));
        let options = table.options(&mut rng);
        let when = if rng.u8(..4) == 0 { "before" } else { "after" };
        for function in FUNCTIONS {
            both.do_on_both(&format!(
                "create trigger tap_{function} {when} insert or update or delete on {}
                        for each row execute function pgq.{function}('q'{options})",
                table.name
            ));
        }
        let zone = *rng.choice(&["UTC", "America/St_Johns", "Asia/Kolkata", "<far>+11:30"]).expect("some");
        let intervals =
            *rng.choice(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]).expect("some");
        let bytes = *rng.choice(&["hex", "escape"]).expect("some");
        both.do_on_both(&format!(
            "set timezone = '{zone}'; set intervalstyle = {intervals}; set bytea_output = {bytes}"
        ));

        let mut successes = 0;
        let mut compare = |sql: &str| successes += u32::from(both.compare_outcomes(sql));
        compare(&table.insert(&mut rng, 0..5));
        for number in 5..12 {
            compare(&table.insert(&mut rng, number..number + 1));
        }
        for _ in 0..15 {
            let number = rng.u32(..12);
            compare(&table.update(&mut rng, number));
        }
        compare(&format!("update {} set number = number", table.name));
        for number in 0..3 {
            compare(&format!("delete from {} where number = {number}", table.name));
        }
        compare(&format!("delete from {}", table.name));
        // Those without a key have no more.
        assert!(successes >= 8, "seed {seed} compares errors: {successes} of 28 statements did something");
        both.do_on_both(&format!("drop table {}", table.name));
    }
}

#[test]
fn generated_tables() {
    compare_generated(0..12);
}

#[test]
fn more_generated_tables() {
    compare_generated(12..24);
}

#[test]
fn huge_values_and_many_columns() {
    let Some(mut both) = Both::new() else { return };
    // Compressed, stored aside, and both; each kept while another column changes.
    both.do_on_both(
        "create table t (id int primary key, short text, plain text, compressed text, aside text);
         alter table t alter plain set storage plain, alter compressed set storage main, alter aside set storage external",
    );
    for scene in [&mut both.ours, &mut both.original] {
        scene.capture_by_all("t", "'backup'");
    }
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
    for scene in [&mut both.ours, &mut both.original] {
        scene.capture_by_all("wide", "'ignore=c7,c8'");
    }
    both.compare("insert into wide (id, c0, c1, c1499) values (1, 5, 'x', true)");
    both.compare("update wide set c1200 = 7, c1 = null");
    both.compare("update wide set c8 = true");
    both.compare("delete from wide");
}
