//! An installed PostgreSQL, described by its own `pg_config`.

use crate::command::{Outcome, capture, fail};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The majors of PostgreSQL that one source builds for.
pub const MAJORS: [u32; 4] = [15, 16, 17, 18];

/// Where the parts of a server are, and what the build needs beside them.
#[derive(Debug, Clone)]
pub struct Server {
    /// Asked for everything else.
    pub pg_config: PathBuf,
    /// `PostgreSQL 15.20 (Debian …)`.
    pub version: String,
    /// 15 to 18.
    pub major: u32,
    /// The programs.
    pub bindir: PathBuf,
    /// The loadable modules.
    pub pkglibdir: PathBuf,
    /// What is the same on every machine; `extension/` is in it.
    pub sharedir: PathBuf,
    /// The headers that extensions are built with.
    pub headers: PathBuf,
    /// More folders that the programs find relative to themselves (a wheel's own libraries).
    pub beside: Vec<PathBuf>,
    /// What the build needs in its environment to find and use libclang.
    pub libclang: Vec<(&'static str, String)>,
}

impl Server {
    /// Asks `pg_config`.
    pub fn of(pg_config: &Path) -> Outcome<Server> {
        Self::from_description(pg_config, &capture(&mut Command::new(pg_config))?)
    }

    fn from_description(pg_config: &Path, text: &str) -> Outcome<Server> {
        let said: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once(" = ")).collect();
        let get = |name| match said.get(name) {
            Some(value) => Ok((*value).to_owned()),
            None => fail(format!("{} does not tell {name}; is it a pg_config?", pg_config.display())),
        };
        let version = get("VERSION")?;
        let number = version.trim_start_matches(|c: char| !c.is_ascii_digit());
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        let major = digits.parse().unwrap_or(0);
        if !MAJORS.contains(&major) {
            return fail(format!(
                "{} belongs to {version}; we build for the majors {MAJORS:?}",
                pg_config.display()
            ));
        }
        Ok(Server {
            pg_config: pg_config.to_owned(),
            version,
            major,
            bindir: get("BINDIR")?.into(),
            pkglibdir: get("PKGLIBDIR")?.into(),
            sharedir: get("SHAREDIR")?.into(),
            headers: get("INCLUDEDIR-SERVER")?.into(),
            beside: Vec::new(),
            libclang: Vec::new(),
        })
    }

    /// Whether extensions can be built for it.
    pub fn has_headers(&self) -> bool {
        self.headers.join("postgres.h").is_file()
    }

    /// Whether it can be run, and not only be talked to.
    pub fn has_programs(&self) -> bool {
        ["postgres", "initdb", "psql", "pgbench"].iter().all(|program| self.bindir.join(program).is_file())
    }

    /// The cargo feature of its major.
    pub fn feature(&self) -> String {
        format!("pg{}", self.major)
    }

    /// Tells the user which server it is and how to build by hand.
    pub fn describe(&self) {
        println!("server    {}", self.version);
        println!("pg_config {}", self.pg_config.display());
        println!("headers   {}", self.headers.display());
        let mut line = format!("PGRX_PG_CONFIG_PATH={}", self.pg_config.display());
        for (name, value) in &self.libclang {
            line.push_str(&format!(" {name}={value}"));
        }
        println!("by hand   {line} cargo build --features {0} --target-dir target/{0}", self.feature());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(version: &str) -> Outcome<Server> {
        let text = format!(
            "BINDIR = /usr/lib/postgresql/15/bin\nPKGLIBDIR = /usr/lib/postgresql/15/lib\n\
             SHAREDIR = /usr/share/postgresql/15\nINCLUDEDIR-SERVER = /usr/include/postgresql/15/server\n\
             CONFIGURE =  '--with-x= y'\nVERSION = {version}\n"
        );
        Server::from_description(Path::new("/usr/bin/pg_config"), &text)
    }

    #[test]
    fn folders_and_major_are_read() {
        let server = described("PostgreSQL 15.20 (Debian 15.20-0+deb12u1)").expect("a server");
        assert_eq!((server.major, server.feature().as_str()), (15, "pg15"));
        assert_eq!(server.sharedir, Path::new("/usr/share/postgresql/15"));
    }

    #[test]
    fn beta_versions_have_a_major_and_old_ones_are_refused() {
        assert_eq!(described("PostgreSQL 18beta2").expect("a server").major, 18);
        assert!(described("PostgreSQL 9.6.24").expect_err("too old").to_string().contains("9.6.24"));
    }
}
