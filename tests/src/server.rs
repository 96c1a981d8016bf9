//! Which PostgreSQL a test runs on.
//!
//! PostgreSQL is relocatable: a copied tree finds its libraries and extensions relative to `bin/`. So a tree with
//! our extension staged into it is a whole server of its own, and the system's server is never touched. Two such
//! trees matter: ours, and one with the original PgQ ("peer"), against which behaviour is compared.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::unistd::{Gid, Uid, User};

/// What keeps the kit from having a server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No tree with our extension.
    #[error(
        "no server in {0}: run \"make test\" once, or set PGQ_SERVER to the bin folder of a prepared PostgreSQL"
    )]
    NoServer(PathBuf),
    /// The tree is there, but the account that must run it cannot.
    #[error(
        "{program} does not run as user {account}: {reason} (every folder above it must be open to that user)"
    )]
    Unusable {
        /// The program that was tried.
        program: PathBuf,
        /// Who tried.
        account: String,
        /// What came back.
        reason: String,
    },
    /// A program of the server failed.
    #[error("{command} failed:\n{output}")]
    Program {
        /// The command as started.
        command: String,
        /// What it said.
        output: String,
    },
    /// The postmaster did not come up.
    #[error("the server did not start; end of its log:\n{0}")]
    DidNotStart(String),
    /// A file or a process could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`: an I/O error with what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// The user that runs server programs when the tests run as root, which PostgreSQL refuses.
#[derive(Clone, Debug)]
pub struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// `None` when we are not root: then we run the server ourselves.
    fn needed() -> Option<Self> {
        if !Uid::effective().is_root() {
            return None;
        }
        let user = ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .expect("a user postgres or nobody to run the server as");
        Some(Self { name: user.name, uid: user.uid, gid: user.gid })
    }

    /// Gives a file or folder to the account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        nix::unistd::chown(path, Some(self.uid), Some(self.gid))
            .map_err(|errno| Error::io(format!("give {} to {}", path.display(), self.name))(errno.into()))
    }
}

/// The programs of one PostgreSQL.
#[derive(Clone, Debug)]
pub struct Server {
    bindir: PathBuf,
    major: u32,
    has_ticker: bool,
    account: Option<Account>,
}

impl Server {
    /// The server with our extension: `PGQ_SERVER`, else the tree that `make test` prepares.
    #[must_use]
    pub fn ours() -> Self {
        Self::find_ours().unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`ours`](Self::ours), for programs that report instead of panicking.
    pub fn find_ours() -> Result<Self, Error> {
        let bindir = std::env::var_os("PGQ_SERVER").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/server/15-dev/lib/postgresql/15/bin"),
            PathBuf::from,
        );
        Self::at(&bindir)
    }

    /// The server with the original PgQ, if `PGQ_PEER` names one.
    #[must_use]
    pub fn peer() -> Option<Self> {
        let bindir = std::env::var_os("PGQ_PEER").filter(|value| !value.is_empty())?;
        Some(Self::at(Path::new(&bindir)).unwrap_or_else(|error| panic!("PGQ_PEER: {error}")))
    }

    /// Where the original's Python modules lie, if this is its server: what `PYTHONPATH` has to name.
    #[must_use]
    pub fn python_modules(&self) -> Option<PathBuf> {
        Some(self.bindir.join("python")).filter(|folder| folder.is_dir())
    }

    /// The server whose programs are in `bindir`.
    pub fn at(bindir: &Path) -> Result<Self, Error> {
        if !bindir.join("postgres").is_file() {
            return Err(Error::NoServer(bindir.to_owned()));
        }
        let bindir = bindir.canonicalize().map_err(Error::io(format!("open {}", bindir.display())))?;
        let mut server = Self { bindir, major: 0, has_ticker: false, account: Account::needed() };
        // "postgres (PostgreSQL) 15.20 (Debian …)", "postgres (PostgreSQL) 18beta1"
        let version = server.answer("postgres", "--version")?;
        server.major = version
            .split_whitespace()
            .nth(2)
            .and_then(|number| number.split(|c: char| !c.is_ascii_digit()).next())
            .and_then(|major| major.parse().ok())
            .unwrap_or_else(|| panic!("a version number in {version:?}"));
        // The original ships pgq_lowlevel.so and pgq_triggers.so; only ours can be preloaded.
        server.has_ticker =
            Path::new(server.answer("pg_config", "--pkglibdir")?.trim()).join("pgq.so").is_file();
        Ok(server)
    }

    /// The major version: 15.
    #[must_use]
    pub const fn major(&self) -> u32 {
        self.major
    }

    /// Whether our library is installed, so that `shared_preload_libraries = 'pgq'` works.
    #[must_use]
    pub const fn has_ticker(&self) -> bool {
        self.has_ticker
    }

    /// The folder of the programs.
    #[must_use]
    pub fn bindir(&self) -> &Path {
        &self.bindir
    }

    /// Whether the tree has this program.
    #[must_use]
    pub fn has(&self, program: &str) -> bool {
        self.bindir.join(program).is_file()
    }

    /// The account that owns the server's files, if it is not us.
    pub(crate) const fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// A program of this server, to be run as the right user in a clean environment: no `PG*` variables, no
    /// `RUST_BACKTRACE` (with it in the postmaster's environment every error of a Rust extension carries a
    /// backtrace to the client), one locale.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.prepared(self.bindir.join(program))
    }

    /// Any program, in the environment and as the user of [`command`](Self::command).
    pub(crate) fn prepared(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C.UTF-8").env("TZ", "UTC").current_dir("/");
        for kept in ["PATH", "LD_LIBRARY_PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        if let Some(account) = &self.account {
            command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        }
        command
    }

    fn answer(&self, program: &str, switch: &str) -> Result<String, Error> {
        let unusable = |reason: String| Error::Unusable {
            program: self.bindir.join(program),
            account: self.account.as_ref().map_or_else(|| "(ours)".to_owned(), |a| a.name.clone()),
            reason,
        };
        let output =
            self.command(program).arg(switch).output().map_err(|error| unusable(error.to_string()))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(unusable(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }
}

/// Runs a command to its end; its output is the error when it fails.
pub(crate) fn run(command: &mut Command) -> Result<Output, Error> {
    let output = command.output().map_err(Error::io(format!("start {command:?}")))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(Error::Program {
        command: format!("{command:?}"),
        output: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    })
}

/// Where throwaway clusters lie: `PGQ_SCRATCH`, which the make targets set to a folder under `target/`, else the
/// temporary folder; but never so deep that the path of a Unix socket (107 bytes at most) does not fit.
pub(crate) fn scratch() -> PathBuf {
    let folder = std::env::var_os("PGQ_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
    if folder.as_os_str().len() <= 70 { folder } else { PathBuf::from("/tmp") }
}
