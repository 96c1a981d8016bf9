//! JSON objects for a log server, one a datagram.

use serde_json::{Value, json};

use super::outputs::Handler;
use super::record::{Level, Record};
use super::socket::Datagrams;
use crate::Result;

/// How many characters of a message the server takes.
const LONGEST: usize = 1024;

/// See the module.
pub(super) struct LogServer(pub(super) Datagrams);

impl Handler for LogServer {
    fn handle(&mut self, record: &Record) -> Result<()> {
        self.0.send(object(record).to_string().as_bytes())
    }

    fn reopen(&mut self) {
        self.0.reopen();
    }
}

fn object(record: &Record) -> Value {
    let level = match record.level {
        Level::Trace | Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warning => "WARN",
        Level::Error => "ERROR",
        Level::Critical => "FATAL",
    };
    let origin = &record.origin;
    json!({
        "logger": origin.job,
        "timestamp": record.time.as_millisecond(),
        "level": level,
        "thread": null,
        "message": record.text().chars().take(LONGEST).collect::<String>(),
        "properties": {
            "application": origin.job,
            "apptype": origin.service,
            "type": "sys",
            "hostname": origin.host,
            "hostaddr": origin.address(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_an_object() {
        let record = Record::sample(Level::Warning, "lag");
        assert_eq!(
            object(&record),
            json!({
                "logger": "copier", "timestamp": record.time.as_millisecond(), "level": "WARN", "thread": null,
                "message": "lag",
                "properties": {
                    "application": "copier", "apptype": "londiste", "type": "sys", "hostname": "db1",
                    "hostaddr": "10.1.2.3",
                },
            })
        );
    }

    #[test]
    fn levels_have_the_names_of_the_server() {
        let names = Level::ALL.map(|level| object(&Record::sample(level, ""))["level"].clone());
        assert_eq!(names, ["DEBUG", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]);
    }

    #[test]
    fn long_messages_are_cut() {
        let long = object(&Record::sample(Level::Info, &"õ".repeat(2000)));
        assert_eq!(long["message"], "õ".repeat(1024));
    }
}
