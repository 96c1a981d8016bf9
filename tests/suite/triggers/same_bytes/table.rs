//! Tables as nobody would make them, and statements that change them.

use std::ops::Range;

use fastrand::Rng;

use super::kinds::{KEYS, KINDS, Kind, array_of};

/// A table as it was drawn.
pub struct Table {
    /// Quoted, with its schema.
    pub name: String,
    pub columns: Vec<Column>,
}

pub struct Column {
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
    /// Any table with columns of these types.
    pub fn draw(rng: &mut Rng, kinds: &[&'static Kind]) -> Self {
        let schema = *rng.choice(&["public", "Sch ema", "select", "ü", "q\"\\'"]).expect("there are some");
        let table = *rng.choice(NAMES).expect("there are some");
        let mut names = NAMES.to_vec();
        rng.shuffle(&mut names);
        let mut columns: Vec<Column> = (0..rng.usize(1..10))
            .map(|_| {
                let kind = *rng.choice(kinds).expect("there are some");
                let is_array = rng.u8(..4) == 0 && array_of(kind).is_some();
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

    /// Options that both servers read in the same way.
    pub fn options(&self, rng: &mut Rng) -> Vec<String> {
        let mut names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        names.retain(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
        let mut options = Vec::new();
        if rng.u8(..3) == 0 {
            options.push("'backup'".to_owned());
        }
        for (option, chance) in [("ignore", 3), ("pkey", 6)] {
            if rng.u8(..chance) == 0 {
                rng.shuffle(&mut names);
                options.push(format!("'{option}={}'", names[..rng.usize(1..=names.len().min(3))].join(",")));
            }
        }
        options
    }

    /// Options that only our server reads, or that cost too much everywhere.
    pub fn more_options(&self, rng: &mut Rng) -> Vec<String> {
        let mut options =
            ["'keyupdate'", "'nogenerated'", "'when=number % 3 > 0'", "'ev_extra3=number + 1'"].to_vec();
        rng.shuffle(&mut options);
        options[..rng.usize(..3)].iter().map(|option| (*option).to_owned()).collect()
    }

    /// Rows with these numbers.
    pub fn insert(&self, rng: &mut Rng, numbers: Range<u32>) -> String {
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

    /// A few columns of the row with this number.
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

/// A string constant, or NULL.
pub fn literal(value: Option<&str>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| format!("'{}'", value.replace('\'', "''")))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
