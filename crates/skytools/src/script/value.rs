//! What the text of a value means. Errors are the end of a sentence that begins with the text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::unistd::User;

use crate::db::Conninfo;
use crate::script::Kind;

/// The result of reading a value.
pub type Read<T> = Result<T, &'static str>;

/// Whether the text is what the kind wants; if not, why, in half a sentence with the text in it, unless that may have
/// a password in it.
pub fn check(kind: Kind, text: &str) -> Result<(), String> {
    let why = match kind {
        Kind::Integer => integer(text).err(),
        Kind::Float => float(text).err(),
        Kind::Flag => flag(text).err(),
        Kind::Bytes => bytes(text).err(),
        Kind::Address => address(text).err(),
        Kind::OneOf(words) if !words.contains(&text) => {
            return Err(format!("{text:?} is none of {}", words.join(", ")));
        }
        Kind::Connection => {
            let checked = Conninfo::parse(text).and_then(|conninfo| conninfo.check());
            return checked.map_err(|error| error.to_string());
        }
        Kind::Text | Kind::OneOf(_) | Kind::List | Kind::Dict | Kind::File | Kind::Interval => None,
    };
    why.map_or(Ok(()), |why| Err(format!("{text:?} {why}")))
}

/// A whole number.
pub fn integer(text: &str) -> Read<i64> {
    text.parse().map_err(|_| "is no whole number")
}

/// A number.
pub fn float(text: &str) -> Read<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or("is no number")
}

/// A yes or no.
pub fn flag(text: &str) -> Read<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err("is neither yes nor no"),
    }
}

/// A size: `12`, `3K`, `4 MB`.
pub fn bytes(text: &str) -> Read<u64> {
    const WRONG: &str = "is no size, such as 12, 3K or 4 MB";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u128 = number.parse().map_err(|_| WRONG)?;
    let unit = unit.trim_ascii_start().to_ascii_uppercase();
    let power = match unit.strip_suffix('B').unwrap_or(&unit) {
        "" => 0,
        letter => {
            1 + ["K", "M", "G", "T", "P", "E", "Z", "Y"].iter().position(|l| *l == letter).ok_or(WRONG)?
        }
    };
    number
        .checked_mul(1 << (10 * power))
        .and_then(|size| u64::try_from(size).ok())
        .ok_or("is more bytes than there can be")
}

/// Where to listen, as `HOST:PORT`. A port alone is one of the loopback.
pub fn address(text: &str) -> Read<String> {
    const WRONG: &str = "is neither PORT nor HOST:PORT";
    let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
    let port: u16 = port.parse().map_err(|_| WRONG)?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if host.is_empty() || (host.contains(':') && bracketed.is_none()) {
        return Err(WRONG);
    }
    Ok(format!("{host}:{port}"))
}

/// Items with commas between them; a comma too many adds none.
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim_ascii).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Items `key:value` with commas between them; one without a colon is its own value.
pub fn dict(text: &str) -> BTreeMap<String, String> {
    let pair = |item: String| match item.split_once(':') {
        Some((key, value)) => (key.trim_ascii_end().to_owned(), value.trim_ascii_start().to_owned()),
        None => (item.clone(), item),
    };
    list(text).into_iter().map(pair).collect()
}

/// A path whose `~` or `~user` is that home folder. Who has none is left as written.
pub fn expand_home(path: &str) -> PathBuf {
    let expanded = path.strip_prefix('~').and_then(|rest| {
        let (user, below) = rest.split_once('/').unwrap_or((rest, ""));
        Some(home(user)?.join(below.trim_start_matches('/')))
    });
    // Without the last `/` that joining an empty path leaves.
    expanded.map_or_else(|| PathBuf::from(path), |path| path.components().collect())
}

fn home(user: &str) -> Option<PathBuf> {
    if !user.is_empty() {
        return User::from_name(user).ok().flatten().map(|user| user.dir);
    }
    let own = || User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.dir);
    std::env::var_os("HOME").filter(|home| Path::new(home).is_absolute()).map(PathBuf::from).or_else(own)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn yes_and_no_have_many_names() {
        for text in ["1", "yes", "true", "on", "YES", "True", "oN"] {
            assert_eq!(flag(text), Ok(true), "{text}");
        }
        for text in ["0", "no", "false", "off", "No", "FALSE", "Off"] {
            assert_eq!(flag(text), Ok(false), "{text}");
        }
        for text in ["2", "y", "enabled", "-1", ""] {
            assert_eq!(flag(text), Err("is neither yes nor no"), "{text}");
        }
    }

    #[test]
    fn numbers_are_decimal() {
        assert_eq!(integer("-12"), Ok(-12));
        assert_eq!(integer("1.5"), Err("is no whole number"));
        assert_eq!((float("1.5"), float("-1"), float("1e3")), (Ok(1.5), Ok(-1.0), Ok(1000.0)));
        for text in ["", "x", "nan", "inf", "1s"] {
            assert_eq!(float(text), Err("is no number"), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("12", 12),
            ("0", 0),
            ("3K", 3 << 10),
            ("4 MB", 4 << 20),
            ("4mb", 4 << 20),
            ("5 B", 5),
            ("2g", 2 << 30),
            ("1T", 1 << 40),
            ("1 pb", 1 << 50),
            ("15E", 15 << 60),
            ("0Z", 0),
            ("0 YB", 0),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "K", "1.5K", "-1", "1 X", "1 KiB", "3 K B"] {
            assert_eq!(bytes(text), Err("is no size, such as 12, 3K or 4 MB"), "{text}");
        }
        for text in ["16E", "1Z", "1Y", "340282366920938463463374607431768211455Y"] {
            assert_eq!(bytes(text), Err("is more bytes than there can be"), "{text}");
        }
    }

    #[test]
    fn a_port_alone_is_for_this_machine() {
        for (text, expected) in [
            ("9187", "127.0.0.1:9187"),
            ("0", "127.0.0.1:0"),
            ("0.0.0.0:9187", "0.0.0.0:9187"),
            ("db1:9187", "db1:9187"),
            ("[::]:9187", "[::]:9187"),
        ] {
            assert_eq!(address(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "db1", ":9187", "db1:", "65536", "-1", "db1:x", "::1:9187", "http://db1:9187"] {
            assert_eq!(address(text), Err("is neither PORT nor HOST:PORT"), "{text}");
        }
    }

    #[test]
    fn a_word_is_one_of_those_that_are_named() {
        let kind = Kind::OneOf(&["block", "park"]);
        assert_eq!(check(kind, "park"), Ok(()));
        assert_eq!(check(kind, "blok"), Err("\"blok\" is none of block, park".to_owned()));
    }

    #[test]
    fn lists_are_trimmed() {
        assert_eq!(list("a, b ,c\n, d"), ["a", "b", "c", "d"]);
        assert_eq!(list("a,,b,"), ["a", "b"]);
        assert_eq!(list("a"), ["a"]);
        assert!(list("").is_empty() && list("  ").is_empty());
    }

    #[test]
    fn an_item_without_a_colon_is_its_own_value() {
        let found = dict("orders: sales.orders, users, a:b:c");
        let found: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, [("a", "b:c"), ("orders", "sales.orders"), ("users", "users")]);
    }

    #[test]
    fn a_tilde_is_home() {
        let me = User::from_uid(nix::unistd::getuid()).unwrap().unwrap();
        let home = home("").unwrap();
        for (path, expected) in [
            ("~", home.clone()),
            ("~/log/x", home.join("log/x")),
            (&format!("~{}/log", me.name), me.dir.join("log")),
            (&format!("~{}", me.name), me.dir.clone()),
            ("", "".into()),
            ("-", "-".into()),
            ("/x/~/y", "/x/~/y".into()),
            ("log/x", "log/x".into()),
            ("~nobody-of-this-name/x", "~nobody-of-this-name/x".into()),
        ] {
            assert_eq!(expand_home(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn lists_are_read_as_written(items in prop::collection::vec("[a-z.]([a-z. ]{0,8}[a-z.])?", 1..6)) {
            prop_assert_eq!(list(&items.join(", ")), items);
        }

        #[test]
        fn numbers_are_read_as_written(number: i64, measure in -1e12..1e12_f64, size: u64) {
            prop_assert_eq!(integer(&number.to_string()), Ok(number));
            prop_assert_eq!(float(&measure.to_string()), Ok(measure));
            prop_assert_eq!(bytes(&size.to_string()), Ok(size));
        }
    }
}
