//! Records for systemd's journal, in its native protocol: fields of a datagram.

use super::outputs::Handler;
use super::record::Record;
use super::socket::{Datagrams, fitting};
use crate::Result;

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// See the module.
pub(super) struct Journald(pub(super) Datagrams);

impl Handler for Journald {
    fn handle(&mut self, record: &Record) -> Result<()> {
        self.0.send(&datagram(record))
    }

    fn reopen(&mut self) {
        self.0.reopen();
    }
}

fn datagram(record: &Record) -> Vec<u8> {
    let mut datagram = Vec::new();
    let mut put = |name: &str, value: &str| field(&mut datagram, name, fitting(value));
    put("MESSAGE", &record.message);
    put("PRIORITY", &record.level.severity().to_string());
    put("SYSLOG_IDENTIFIER", &record.origin.job);
    put("SYSLOG_PID", &record.origin.process.to_string());
    put("SERVICE_NAME", &record.origin.service);
    put("CODE_FILE", record.place.file);
    put("CODE_LINE", &record.place.line.to_string());
    for (name, value) in &record.fields {
        let told = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        put(&journal_name(name), &told);
    }
    datagram
}

/// `NAME=value`, or with its length where the value has line feeds.
fn field(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend(name.as_bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend((value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend(value.as_bytes());
    datagram.push(b'\n');
}

/// The journal takes capitals, digits and underscores, and none of the latter two in front: `F_` stands there, so that
/// no field is taken for one of the journal's own.
fn journal_name(name: &str) -> String {
    let letters = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' });
    "F_".chars().chain(letters).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::super::record::Level;
    use super::*;

    #[test]
    fn fields_have_names_that_the_journal_takes() {
        assert_eq!(journal_name("rows"), "F_ROWS");
        assert_eq!(journal_name("_a.b-ä"), "F__A_B__");
        assert_eq!(journal_name(&"x".repeat(100)).len(), 64);
    }

    #[test]
    fn a_value_with_line_feeds_has_its_length() {
        let record = Record::sample(Level::Error, "a\nb").with("rows", 17);
        let datagram = datagram(&record);
        assert!(
            datagram.starts_with(b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nPRIORITY=3\nSYSLOG_IDENTIFIER=copier\n")
        );
        assert!(
            datagram.ends_with(
                b"SERVICE_NAME=londiste\nCODE_FILE=src/londiste/copy.rs\nCODE_LINE=42\nF_ROWS=17\n"
            )
        );
    }
}
