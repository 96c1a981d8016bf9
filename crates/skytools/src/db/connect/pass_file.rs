//! The password file: `host:port:database:user:password`, a line each.

use std::iter::Peekable;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::Chars;

use tracing::warn;

/// The password of the first line that fits. A file that others could read is left alone, with a warning.
pub fn look_up(file: &Path, host: &str, port: u16, dbname: &str, user: &str) -> Option<String> {
    let about = std::fs::metadata(file).ok()?;
    if !about.is_file() {
        warn!("password file \"{}\" is not a plain file", file.display());
        return None;
    }
    if about.mode() & 0o077 != 0 {
        warn!(
            "password file \"{}\" has group or world access; permissions should be u=rw (0600) or less",
            file.display()
        );
        return None;
    }
    // As bytes first: a foreign encoding in a comment does no harm.
    let text = std::fs::read(file).ok()?;
    String::from_utf8_lossy(&text)
        .lines()
        .find_map(|line| password(line, &[host, &port.to_string(), dbname, user]))
}

/// The password of a line that fits.
fn password(line: &str, wanted: &[&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line.chars().peekable();
    for wanted in wanted {
        let (field, is_plain) = field(&mut rest, Some(':'));
        rest.next_if_eq(&':')?;
        if field != *wanted && !(is_plain && field == "*") {
            return None;
        }
    }
    Some(field(&mut rest, None).0)
}

/// A field up to `end`, with its escapes resolved, and whether there were none.
fn field(rest: &mut Peekable<Chars<'_>>, end: Option<char>) -> (String, bool) {
    let (mut field, mut is_plain) = (String::new(), true);
    while let Some(c) = rest.next_if(|c| Some(*c) != end) {
        if c == '\\' {
            is_plain = false;
            field.extend(rest.next());
        } else {
            field.push(c);
        }
    }
    (field, is_plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_line_fits_as_in_libpq() {
        let password = |line| password(line, &["db1", "5432", "shop", "joe"]);
        for (line, expected) in [
            ("db1:5432:shop:joe:secret", Some("secret")),
            ("*:*:*:*:secret", Some("secret")),
            (r"d\b1:5432:shop:joe:se\:cr\\et", Some(r"se:cr\et")),
            ("db1:5432:shop:joe:a:b", Some("a:b")),
            ("db1:5432:shop:joe:", Some("")),
            (r"\*:5432:shop:joe:secret", None),
            ("db*:5432:shop:joe:secret", None),
            ("db2:5432:shop:joe:secret", None),
            ("db1:5432:shop:joe", None),
            ("#db1:5432:shop:joe:secret", None),
            ("", None),
        ] {
            assert_eq!(password(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let file = folder.join("pgpass");
        std::fs::write(&file, "*:*:*:*:first\r\n*:*:*:*:second\n").unwrap();
        for (mode, expected) in [(0o640, None), (0o604, None), (0o600, Some("first")), (0o400, Some("first"))]
        {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(look_up(&file, "h", 1, "d", "u").as_deref(), expected, "{mode:o}");
        }
        assert_eq!(look_up(folder, "h", 1, "d", "u"), None);
        assert_eq!(look_up(&folder.join("none"), "h", 1, "d", "u"), None);
    }
}
