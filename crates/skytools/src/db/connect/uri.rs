//! The URI form: `postgresql://user:password@host1:port,host2/dbname?keyword=value`.

use crate::db::connect::{Conninfo, keyword};
use crate::{Error, Result};

/// What is behind `postgresql://` or `postgres://`; `None`: it is no URI.
pub fn after_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
}

/// Reads what is behind the scheme.
pub fn parse(rest: &str) -> Result<Conninfo> {
    let (user, password, rest) = credentials(rest);
    let (hosts, ports, rest) = hosts(rest)?;
    let (dbname, parameters) = match rest.strip_prefix('/') {
        Some(path) => path.split_once('?').unwrap_or((path, "")),
        None => ("", rest.strip_prefix('?').unwrap_or("")),
    };
    let mut conninfo = Conninfo::default();
    for (keyword, part, text) in [
        ("host", "host", hosts.as_str()),
        ("port", "port", &ports),
        ("dbname", "database name", dbname),
        ("user", "user", user),
        ("password", "password", password),
    ] {
        if !text.is_empty() {
            conninfo.set(keyword, decoded(part, text)?)?;
        }
    }
    let parameters = parameters.strip_suffix('&').unwrap_or(parameters);
    // Behind a password with an unescaped "&", anything may be the rest of it.
    let mut secret = false;
    for parameter in parameters.split('&').filter(|_| !parameters.is_empty()) {
        let (keyword, value) = pair(parameter, secret)?;
        let (keyword, value) = match (&*keyword, &*value) {
            ("ssl", "true") => ("sslmode".to_owned(), "require".to_owned()),
            _ => (keyword, value),
        };
        conninfo.put(&keyword, value).ok_or_else(|| {
            Error::usage(format!("invalid URI query parameter: {}", shown(&keyword, secret)))
        })?;
        secret |= keyword::is_secret(&keyword);
    }
    Ok(conninfo)
}

/// `user:password@`, and what follows.
fn credentials(text: &str) -> (&str, &str, &str) {
    let Some(end) = text.find(['@', '/']).filter(|end| text[*end..].starts_with('@')) else {
        return ("", "", text);
    };
    let (user, password) = text[..end].split_once(':').unwrap_or((&text[..end], ""));
    (user, password, &text[end + 1..])
}

/// `host:port,host:port` as two lists, and what follows.
fn hosts(mut rest: &str) -> Result<(String, String, &str)> {
    let (mut hosts, mut ports) = (String::new(), String::new());
    loop {
        rest = if let Some(bracketed) = rest.strip_prefix('[') {
            let (address, behind) = bracketed
                .split_once(']')
                .ok_or_else(|| Error::usage("a \"[\" in the host of the URI has no \"]\""))?;
            if address.is_empty() {
                return Err(Error::usage("the IPv6 address in the URI is empty"));
            }
            if !behind.is_empty() && !behind.starts_with([':', '/', '?', ',']) {
                return Err(Error::usage("in the URI, \":\" or \"/\" must follow \"]\""));
            }
            hosts.push_str(address);
            behind
        } else {
            let end = rest.find([':', '/', '?', ',']).unwrap_or(rest.len());
            hosts.push_str(&rest[..end]);
            &rest[end..]
        };
        if let Some(port) = rest.strip_prefix(':') {
            let end = port.find(['/', '?', ',']).unwrap_or(port.len());
            ports.push_str(&port[..end]);
            rest = &port[end..];
        }
        let Some(next) = rest.strip_prefix(',') else { break };
        hosts.push(',');
        ports.push(',');
        rest = next;
    }
    // One comma is a list of two; where no host has a port, there is none to tell.
    if ports.chars().all(|c| c == ',') {
        ports.clear();
    }
    Ok((hosts, ports, rest))
}

/// `keyword=value` of the query part. What is shown in errors is never a value.
fn pair(parameter: &str, secret: bool) -> Result<(String, String)> {
    let (keyword, value) =
        parameter.split_once('=').ok_or_else(|| Error::usage("a parameter of the URI has no \"=\""))?;
    let keyword = decoded("name of a parameter", keyword)?;
    let shown = shown(&keyword, secret);
    if value.contains('=') {
        return Err(Error::usage(format!("the URI's parameter {shown} has a second \"=\"")));
    }
    let value = decoded(&format!("value of parameter {shown}"), value)?;
    Ok((keyword, value))
}

fn shown(keyword: &str, secret: bool) -> String {
    if secret { "behind a secret".to_owned() } else { format!("{keyword:?}") }
}

/// Resolves `%xx`. A plus is a plus.
fn decoded(part: &str, text: &str) -> Result<String> {
    let malformed = |what: &str| Error::usage(format!("the {part} in the URI {what}"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(malformed("has a \"%\" that two hexadecimal digits do not follow"));
        };
        match u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte") {
            0 => return Err(malformed("has a forbidden %00")),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| malformed("is no UTF-8"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn shown(uri: &str) -> String {
        Conninfo::parse(uri).unwrap_or_else(|error| panic!("{uri}: {error}")).to_conninfo()
    }

    fn error(uri: &str) -> String {
        Conninfo::parse(uri).unwrap_err().to_string()
    }

    #[test]
    fn uris_are_read_as_libpq_does() {
        for (uri, expected) in [
            ("postgresql://", ""),
            ("postgres://localhost", "host=localhost"),
            ("postgresql://localhost:5433", "host=localhost port=5433"),
            ("postgresql://localhost/mydb", "host=localhost dbname=mydb"),
            ("postgresql://user@localhost", "host=localhost user=user"),
            ("postgresql://user:secret@localhost", "host=localhost user=user password=secret"),
            ("postgresql://user:s?c&r=t@h", "host=h user=user password=s?c&r=t"),
            ("postgresql://user@", "user=user"),
            ("postgresql://user:@h/", "host=h user=user"),
            ("postgresql:///mydb?host=localhost&port=5433", "dbname=mydb host=localhost port=5433"),
            ("postgresql://h1:1,h2,h3:3/db", "host=h1,h2,h3 port=1,,3 dbname=db"),
            ("postgresql://h1,h2/db", "host=h1,h2 dbname=db"),
            ("postgresql://[2001:db8::1]/db", "host=2001:db8::1 dbname=db"),
            ("postgresql://[::1]:5433,[::2]", "host=::1,::2 port=5433,"),
            ("postgresql://%2Fvar%2Frun/db%20x", "host=/var/run dbname='db x'"),
            ("postgresql://h?user=a+b", "host=h user=a+b"),
            ("postgresql://h/?ssl=true", "host=h sslmode=require"),
            ("postgresql://h/?", "host=h"),
            ("postgresql://h/?port=1&", "host=h port=1"),
            (
                "postgresql://other@localhost/otherdb?connect_timeout=10&options=-c%20geqo%3Doff",
                "host=localhost dbname=otherdb user=other connect_timeout=10 options='-c geqo=off'",
            ),
        ] {
            assert_eq!(shown(uri), expected, "{uri}");
        }
    }

    #[test]
    fn malformed_uris_are_errors() {
        for (uri, expected) in [
            ("postgresql://[::1", "a \"[\" in the host of the URI has no \"]\""),
            ("postgresql://[]", "the IPv6 address in the URI is empty"),
            ("postgresql://[::1]x", "in the URI, \":\" or \"/\" must follow \"]\""),
            ("postgresql://h?port", "a parameter of the URI has no \"=\""),
            ("postgresql://h?port=1&&", "a parameter of the URI has no \"=\""),
            ("postgresql://h?password=se&cret=x", "invalid URI query parameter: behind a secret"),
            ("postgresql://h?port=1=2", "the URI's parameter \"port\" has a second \"=\""),
            ("postgresql://h?hots=1", "invalid URI query parameter: \"hots\""),
            (
                "postgresql://u:se%zzcret@h",
                "the password in the URI has a \"%\" that two hexadecimal digits do not follow",
            ),
            ("postgresql://h/%00", "the database name in the URI has a forbidden %00"),
            ("postgresql://h/%ff", "the database name in the URI is no UTF-8"),
        ] {
            assert_eq!(error(uri), expected, "{uri}");
        }
    }

    fn encoded(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(
            user in "[^\0]{1,9}", password in "[^\0]{1,9}", dbname in "[^\0]{1,9}", host in "[^\0]{1,9}",
            options in "[^\0]{0,9}",
        ) {
            let uri = format!(
                "postgresql://{}:{}@{}/{}?options={}",
                encoded(&user), encoded(&password), encoded(&host), encoded(&dbname), encoded(&options),
            );
            let conninfo = Conninfo::parse(&uri).unwrap();
            let all = ["user", "password", "host", "dbname", "options"].map(|keyword| conninfo.get(keyword).unwrap());
            prop_assert_eq!(all, [&*user, &*password, &*host, &*dbname, &*options]);
        }
    }
}
