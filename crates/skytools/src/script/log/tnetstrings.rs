//! Tagged netstrings, one dictionary a datagram: `5:hello,`, `2:17#`, `0:~`, and a dictionary of these ends with `}`.

use std::fmt::Display;

use super::outputs::Handler;
use super::record::Record;
use super::socket::{Datagrams, fitting};
use crate::Result;

/// See the module.
pub(super) struct TNetStrings(pub(super) Datagrams);

impl Handler for TNetStrings {
    fn handle(&mut self, record: &Record) -> Result<()> {
        self.0.send(dictionary(record).as_bytes())
    }

    fn reopen(&mut self) {
        self.0.reopen();
    }
}

fn dictionary(record: &Record) -> String {
    let (created, milliseconds) = record.created();
    let origin = &record.origin;
    let failure = record.fields.get("error").and_then(|error| error.as_str());
    let items = [
        ("created", tagged(format!("{created:.3}"), '^')),
        ("exc_text", failure.map_or_else(|| tagged("", '~'), |error| tagged(fitting(error), ','))),
        ("levelname", tagged(record.level.name(), ',')),
        ("levelno", tagged(record.level.number(), '#')),
        ("message", tagged(fitting(&record.text()), ',')),
        ("msecs", tagged(format!("{milliseconds}.0"), '^')),
        ("name", tagged(&origin.job, ',')),
        ("hostaddr", tagged(origin.address(), ',')),
        ("hostname", tagged(&origin.host, ',')),
        ("job_name", tagged(&origin.job, ',')),
        ("service_name", tagged(&origin.service, ',')),
    ];
    let inside: String = items.map(|(key, value)| tagged(key, ',') + &value).concat();
    tagged(inside, '}')
}

fn tagged(payload: impl Display, tag: char) -> String {
    let payload = payload.to_string();
    format!("{}:{payload}{tag}", payload.len())
}

#[cfg(test)]
mod tests {
    use super::super::record::Level;
    use super::*;

    #[test]
    fn a_record_is_a_dictionary() {
        let record = Record::sample(Level::Error, "tõrge");
        let created = format!("{:.3}", record.created().0);
        assert_eq!(
            dictionary(&record),
            format!(
                "214:7:created,14:{created}^8:exc_text,0:~9:levelname,5:ERROR,7:levelno,2:40#7:message,6:tõrge,\
                 5:msecs,5:123.0^4:name,6:copier,8:hostaddr,8:10.1.2.3,8:hostname,3:db1,8:job_name,6:copier,\
                 12:service_name,8:londiste,}}"
            )
        );
    }

    #[test]
    fn an_error_is_the_exception() {
        let record = Record::sample(Level::Error, "crashed").with("error", "disk: full");
        assert!(dictionary(&record).contains("8:exc_text,10:disk: full,"));
    }
}
