//! The text format of Prometheus, read by the letter: what is not as the format says is a failed test.

use std::collections::{BTreeMap, BTreeSet};

/// What a page of figures says.
pub struct Exposition(BTreeMap<String, Family>);

struct Family {
    kind: String,
    samples: Vec<Sample>,
}

struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Exposition {
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut helped: Option<&str> = None;
        let mut current: Option<&str> = None;
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(!help.is_empty() && is_name(name), "{line}");
                helped = Some(name);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(helped.take(), Some(name), "HELP is before TYPE: {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(
                    kind == "counter",
                    name.ends_with("_total"),
                    "counters, and no others, are totals: {line}"
                );
                let family = Family { kind: kind.to_owned(), samples: Vec::new() };
                assert!(families.insert(name.to_owned(), family).is_none(), "twice: {line}");
                current = Some(name);
            } else {
                let family = current.unwrap_or_else(|| panic!("nothing is known of {line}"));
                let sample = Sample::parse(line);
                let families = families.get_mut(family).unwrap();
                let ending = sample.name.strip_prefix(family).unwrap_or_else(|| panic!("{line} in {family}"));
                let endings =
                    if families.kind == "histogram" { &["_bucket", "_sum", "_count"][..] } else { &[""] };
                assert!(endings.contains(&ending), "{line} in {family}");
                assert_eq!(sample.labels.contains_key("le"), ending == "_bucket", "{line}");
                families.samples.push(sample);
            }
        }
        let all: Vec<_> = families.values().flat_map(|family| &family.samples).collect();
        let different: BTreeSet<_> = all.iter().map(|sample| (&sample.name, &sample.labels)).collect();
        assert_eq!(different.len(), all.len(), "a sample comes twice: {text}");
        for (name, family) in families.iter().filter(|(_, family)| family.kind == "histogram") {
            family.check_buckets(name);
        }
        for family in families.values().filter(|family| family.kind == "counter") {
            assert!(family.samples.iter().all(|sample| sample.value >= 0.0), "{text}");
        }
        Self(families)
    }

    /// The value of the sample that has these labels, and perhaps others.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.0.values().flat_map(|family| &family.samples).filter(|sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(name, value)| sample.labels.get(*name).is_some_and(|label| label == value))
        });
        let first = found.next()?.value;
        assert!(found.next().is_none(), "{name} with {labels:?} is not one sample");
        Some(first)
    }

    /// The values of this label in all samples.
    pub fn labels(&self, label: &str) -> BTreeSet<Option<&str>> {
        let samples = self.0.values().flat_map(|family| &family.samples);
        samples.map(|sample| sample.labels.get(label).map(String::as_str)).collect()
    }
}

impl Family {
    /// Each bucket holds what the smaller ones hold, and the last one all.
    fn check_buckets(&self, name: &str) {
        let of = |ending: &str| {
            let name = format!("{name}{ending}");
            self.samples.iter().filter(move |sample| sample.name == name)
        };
        let buckets: Vec<(f64, f64)> =
            of("_bucket").map(|sample| (number(&sample.labels["le"]), sample.value)).collect();
        assert!(buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{buckets:?}");
        let (last, count) = (buckets.last().unwrap(), of("_count").next().unwrap().value);
        assert_eq!(*last, (f64::INFINITY, count));
        assert_eq!(of("_sum").count(), 1);
    }
}

impl Sample {
    /// `name{label="value",…} 1.5`.
    fn parse(line: &str) -> Self {
        let (name, mut rest) = line.split_once('{').unwrap_or_else(|| panic!("no labels: {line}"));
        assert!(is_name(name), "{line}");
        let mut labels = BTreeMap::new();
        let value = loop {
            let (label, behind) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label) && !label.contains(':') && !label.starts_with("__"), "{line}");
            let (value, behind) = unescaped(behind);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            match behind.strip_prefix(',') {
                Some(more) => rest = more,
                None => break behind.strip_prefix("} ").unwrap_or_else(|| panic!("{line}")),
            }
        };
        Self { name: name.to_owned(), labels, value: number(value) }
    }
}

/// The text up to the quote that ends it, and what is behind.
fn unescaped(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next().expect("a quote at the end") {
            (at, '"') => return (value, &text[at + 1..]),
            (_, '\\') => value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, literal @ ('\\' | '"'))) => literal,
                other => panic!("an escape of its own: {other:?} in {text}"),
            }),
            (_, plain) => value.push(plain),
        }
    }
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        other => {
            assert!(other.starts_with(|c: char| c.is_ascii_digit() || c == '-'), "{other}");
            other.parse().unwrap()
        }
    }
}
