//! References in values to other values: `%(key)s`, or `${key}` and `${section:key}` in files of format 2.

use std::cell::RefCell;
use std::collections::BTreeSet;

/// How references are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `%(key)s`, and `%%` for a percent sign: `config_format = 1`.
    Percent,
    /// `${key}`, `${section:key}`, and `$$` for a dollar sign: `config_format = 2`.
    Dollar,
}

impl Syntax {
    const fn marks(self) -> (char, char, &'static str) {
        match self {
            Self::Percent => ('%', '(', ")s"),
            Self::Dollar => ('$', '{', "}"),
        }
    }
}

/// Where references lead: the text of a key as it is written.
pub trait Source {
    /// The text of `key`, which is in lower case, seen from `section`.
    fn text(&self, section: &str, key: &str) -> Option<(String, Syntax)>;
}

/// Follows references.
pub struct Interpolation<'a> {
    source: &'a dyn Source,
    referred: RefCell<BTreeSet<(String, String)>>,
}

impl<'a> Interpolation<'a> {
    /// Over this source.
    pub fn new(source: &'a dyn Source) -> Self {
        Self { source, referred: RefCell::default() }
    }

    /// The value of a key with all references replaced; `None`: there is no such key. Errors are half a sentence,
    /// to be put after the name of the key.
    pub fn value(&self, section: &str, key: &str) -> Option<Result<String, String>> {
        self.follow(section, key, &mut Vec::new())
    }

    /// Whether a value that was asked for refers to this key.
    pub fn refers_to(&self, section: &str, key: &str) -> bool {
        self.referred.borrow().contains(&(section.to_owned(), key.to_owned()))
    }

    fn follow(
        &self,
        section: &str,
        key: &str,
        way: &mut Vec<(String, String)>,
    ) -> Option<Result<String, String>> {
        let (text, syntax) = self.source.text(section, key)?;
        let step = (section.to_owned(), key.to_owned());
        if way.contains(&step) {
            let names: Vec<&str> = way.iter().map(|(_, key)| key.as_str()).collect();
            return Some(Err(format!("refers to itself: {} -> {key}", names.join(" -> "))));
        }
        way.push(step);
        let expanded = self.expand(section, &text, syntax, way);
        way.pop();
        Some(expanded)
    }

    fn expand(
        &self,
        section: &str,
        text: &str,
        syntax: Syntax,
        way: &mut Vec<(String, String)>,
    ) -> Result<String, String> {
        let (mark, open, close) = syntax.marks();
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(mark) {
            expanded.push_str(before);
            if let Some(literal) = after.strip_prefix(mark) {
                expanded.push(mark);
                rest = literal;
                continue;
            }
            let Some((name, behind)) = after.strip_prefix(open).and_then(|name| name.split_once(close))
            else {
                return Err(format!(
                    "{mark} begins a reference {mark}{open}key{close}; the sign itself is written {mark}{mark}"
                ));
            };
            expanded.push_str(&self.refer(section, name, syntax, way)?);
            rest = behind;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn refer(
        &self,
        section: &str,
        name: &str,
        syntax: Syntax,
        way: &mut Vec<(String, String)>,
    ) -> Result<String, String> {
        let (section, key) = match name.split_once(':') {
            Some(elsewhere) if syntax == Syntax::Dollar => elsewhere,
            _ => (section, name),
        };
        let key = key.to_lowercase();
        self.referred.borrow_mut().insert((section.to_owned(), key.clone()));
        self.follow(section, &key, way).unwrap_or_else(|| {
            let (mark, open, close) = syntax.marks();
            Err(format!(
                "{mark}{open}{name}{close} refers to a key that is not set; what is not meant as a reference is \
                 written {mark}{mark}{open}{name}{close}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Pairs(Syntax, &'static [(&'static str, &'static str)]);

    impl Source for Pairs {
        fn text(&self, section: &str, key: &str) -> Option<(String, Syntax)> {
            let name = if section == "s" { key.to_owned() } else { format!("{section}:{key}") };
            let (_, text) = self.1.iter().find(|(known, _)| *known == name)?;
            Some(((*text).to_owned(), self.0))
        }
    }

    const fn percent(pairs: &'static [(&'static str, &'static str)]) -> Pairs {
        Pairs(Syntax::Percent, pairs)
    }

    fn value(pairs: &Pairs, key: &str) -> Result<String, String> {
        Interpolation::new(pairs).value("s", key).expect("set")
    }

    #[test]
    fn references_are_followed_to_their_ends() {
        let pairs = percent(&[
            ("job_name", "copier"),
            ("logfile", "%(logdir)s/%(JOB_NAME)s.log"),
            ("logdir", "~/log/%(job_name)s"),
            ("query", "select '100%%', %%(id)s, $1, ${x}"),
        ]);
        assert_eq!(value(&pairs, "logfile").as_deref(), Ok("~/log/copier/copier.log"));
        assert_eq!(value(&pairs, "query").as_deref(), Ok("select '100%', %(id)s, $1, ${x}"));
    }

    #[test]
    fn format_two_has_dollars_and_reaches_other_sections() {
        let pairs = Pairs(
            Syntax::Dollar,
            &[("a", "${b}-${other:b} 100% $$1 %(b)s"), ("b", "2"), ("other:b", "<${c}>"), ("other:c", "3")],
        );
        assert_eq!(value(&pairs, "a").as_deref(), Ok("2-<3> 100% $1 %(b)s"));
    }

    #[test]
    fn what_leads_nowhere_is_told() {
        let pairs = percent(&[
            ("query", "values (%(id)s)"),
            ("percent", "like 'x%'"),
            ("open", "%(id"),
            ("a", "%(b)s"),
            ("b", "%(c)s"),
            ("c", "%(a)s"),
        ]);
        let error = |key| value(&pairs, key).expect_err("wrong");
        assert_eq!(
            error("query"),
            "%(id)s refers to a key that is not set; what is not meant as a reference is written %%(id)s"
        );
        assert_eq!(error("percent"), "% begins a reference %(key)s; the sign itself is written %%");
        assert_eq!(error("open"), error("percent"));
        assert_eq!(error("a"), "refers to itself: a -> b -> c -> a");
    }

    #[test]
    fn it_is_known_what_was_referred_to() {
        let pairs = percent(&[("a", "%(b)s"), ("b", "%(c)s"), ("c", ""), ("d", "")]);
        let interpolation = Interpolation::new(&pairs);
        interpolation.value("s", "a").expect("set").expect("right");
        assert!(interpolation.refers_to("s", "b") && interpolation.refers_to("s", "c"));
        assert!(!interpolation.refers_to("s", "a") && !interpolation.refers_to("s", "d"));
    }

    struct One(String);

    impl Source for One {
        fn text(&self, _: &str, _: &str) -> Option<(String, Syntax)> {
            Some((self.0.clone(), Syntax::Percent))
        }
    }

    proptest! {
        #[test]
        fn a_doubled_sign_keeps_any_text(text in "(?s).{0,40}") {
            let written = One(text.replace('%', "%%"));
            prop_assert_eq!(Interpolation::new(&written).value("s", "k"), Some(Ok(text)));
        }
    }
}
