//! Records as lines, on a stream or in a file.

use std::io::{self, Write as _};

use super::file::RotatingFile;
use super::format::Format;
use super::json;
use super::outputs::Handler;
use super::record::Record;
use crate::{Error, Result};

/// How a record becomes a line.
pub(super) enum Look {
    Format(Format),
    Json,
}

/// Where lines go.
pub(super) enum Target {
    Stderr,
    Stdout,
    File(RotatingFile),
}

/// See the module.
pub(super) struct Lines {
    pub(super) look: Look,
    pub(super) target: Target,
}

impl Handler for Lines {
    fn handle(&mut self, record: &Record) -> Result<()> {
        let mut line = match &self.look {
            Look::Format(format) => format.line(record),
            Look::Json => json::line(record),
        };
        line.push('\n');
        match &mut self.target {
            Target::Stderr => told(io::stderr().write_all(line.as_bytes()), "write to standard error"),
            Target::Stdout => told(io::stdout().write_all(line.as_bytes()), "write to standard output"),
            Target::File(file) => file.append(&line),
        }
    }

    fn reopen(&mut self) {
        if let Target::File(file) = &mut self.target {
            file.reopen();
        }
    }
}

fn told(written: io::Result<()>, what: &str) -> Result<()> {
    written.map_err(Error::io(what))
}
