//! Services: connect strings by name, in a file of the user's or of the system's.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::db::connect::{Conninfo, Environment};
use crate::{Error, Result};

/// Where Debian's libpq looks for the system's file.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// What the files say of a service.
pub fn look_up(service: &str, file: Option<&str>, environment: &Environment) -> Result<Conninfo> {
    let users = match file {
        Some(file) => Some((PathBuf::from(file), true)),
        None => environment.in_home(".pg_service.conf").map(|file| (file, false)),
    };
    let folder = environment.variable("PGSYSCONFDIR").unwrap_or(SYSTEM_FOLDER);
    let systems = (Path::new(folder).join("pg_service.conf"), false);
    for (file, must_exist) in users.into_iter().chain([systems]) {
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                if let Some(found) = section(&text, service, &file)? {
                    return Ok(found);
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !must_exist => {}
            Err(error) => return Err(Error::io(format!("read service file {}", file.display()))(error)),
        }
    }
    Err(Error::usage(format!("definition of service {service:?} not found")))
}

/// The section of this name. The first value of a keyword counts.
fn section(text: &str, service: &str, file: &Path) -> Result<Option<Conninfo>> {
    let mut found = None;
    for (number, line) in text.lines().enumerate() {
        let malformed = |what: &str| {
            Error::usage(format!("service file {}, line {}: {what}", file.display(), number + 1))
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if header.split(']').next() == Some(service) && header.contains(']') {
                found = Some(Conninfo::default());
            }
            continue;
        }
        let Some(conninfo) = &mut found else { continue };
        let (keyword, value) = line.split_once('=').ok_or_else(|| malformed("no \"=\""))?;
        if matches!(keyword, "service" | "servicefile") {
            return Err(malformed("a service cannot refer to a service"));
        }
        if conninfo.get(keyword).is_none() {
            conninfo
                .put(keyword, value.to_owned())
                .ok_or_else(|| malformed("no keyword of connect strings before the \"=\""))?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FILE: &str = "# services\n[other]\nhost=elsewhere\n\n  [shop]  \nhost=db1\n  port=5433 \n# a comment\n\
                        password= with = signs\nport=9\n[shop]\nuser=late\n[bad]\nhots=x\n[worse]\nnonsense\n";

    fn read(service: &str) -> Result<Option<String>> {
        Ok(section(FILE, service, Path::new("pg_service.conf"))?.map(|conninfo| conninfo.to_conninfo()))
    }

    #[test]
    fn the_first_section_of_a_name_counts() {
        assert_eq!(read("shop").unwrap().unwrap(), "host=db1 port=5433 password=' with = signs'");
        assert_eq!(read("sho").unwrap(), None);
        assert_eq!(
            read("bad").unwrap_err().to_string(),
            "service file pg_service.conf, line 14: no keyword of connect strings before the \"=\""
        );
        assert_eq!(read("worse").unwrap_err().to_string(), "service file pg_service.conf, line 16: no \"=\"");
    }

    #[test]
    fn the_users_file_comes_before_the_systems() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let home = folder.join("home");
        std::fs::create_dir(&home).unwrap();
        let environment = Environment::made_of(&[("PGSYSCONFDIR", folder.to_str().unwrap())], &home);
        let found = |service: &str, file: Option<&str>| {
            look_up(service, file, &environment).map(|conninfo| conninfo.to_conninfo())
        };
        assert_eq!(found("a", None).unwrap_err().to_string(), "definition of service \"a\" not found");
        std::fs::write(folder.join("pg_service.conf"), "[a]\nhost=system\n[b]\nhost=system\n").unwrap();
        assert_eq!(found("a", None).unwrap(), "host=system");
        std::fs::write(home.join(".pg_service.conf"), "[a]\nhost=user\n").unwrap();
        assert_eq!(found("a", None).unwrap(), "host=user");
        assert_eq!(found("b", None).unwrap(), "host=system");
        let own = folder.join("own.conf");
        let own = own.to_str().unwrap();
        assert!(found("a", Some(own)).unwrap_err().to_string().starts_with("read service file"));
        std::fs::write(own, "[a]\nhost=own\n").unwrap();
        assert_eq!(found("a", Some(own)).unwrap(), "host=own");
        assert_eq!(found("b", Some(own)).unwrap(), "host=system");
    }
}
