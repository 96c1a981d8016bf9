//! Lines for syslog: `<PRI>text`, in UTF-8.

use super::format::Format;
use super::outputs::Handler;
use super::record::Record;
use super::socket::{Datagrams, fitting};
use crate::Result;

/// The facility of messages from users' programs.
pub(super) const USER: u8 = 1;

/// See the module.
pub(super) struct Syslog {
    pub(super) receiver: Datagrams,
    pub(super) facility: u8,
    /// Whether the text begins with the names of host and service.
    pub(super) with_host: bool,
    pub(super) format: Format,
}

impl Syslog {
    fn datagram(&self, record: &Record) -> String {
        let priority = self.facility << 3 | record.level.severity();
        let line = self.format.line(record);
        let text = fitting(&line);
        if self.with_host {
            format!("<{priority}> {} {} {text}", record.origin.host, record.origin.service)
        } else {
            format!("<{priority}>{text}")
        }
    }
}

impl Handler for Syslog {
    fn handle(&mut self, record: &Record) -> Result<()> {
        self.receiver.send(self.datagram(record).as_bytes())
    }

    fn reopen(&mut self) {
        self.receiver.reopen();
    }
}

/// The number of a facility by its name.
pub(super) fn facility(name: &str) -> Option<u8> {
    const NAMES: [&str; 24] = [
        "kern",
        "user",
        "mail",
        "daemon",
        "auth",
        "syslog",
        "lpr",
        "news",
        "uucp",
        "cron",
        "authpriv",
        "ftp",
        "ntp",
        "security",
        "console",
        "solaris-cron",
        "local0",
        "local1",
        "local2",
        "local3",
        "local4",
        "local5",
        "local6",
        "local7",
    ];
    NAMES.iter().position(|known| *known == name).map(|number| number as u8)
}

#[cfg(test)]
mod tests {
    use super::super::record::Level;
    use super::super::socket::Address;
    use super::*;

    fn datagrams(facility: u8, with_host: bool) -> [String; 6] {
        let receiver = Datagrams::to(Address::Unix("/nowhere".into()));
        let syslog = Syslog { receiver, facility, with_host, format: Format::bare() };
        Level::ALL.map(|level| syslog.datagram(&Record::sample(level, "tõrge")))
    }

    #[test]
    fn the_priority_is_facility_and_severity() {
        let golden = ["<15>tõrge", "<15>tõrge", "<14>tõrge", "<12>tõrge", "<11>tõrge", "<10>tõrge"];
        assert_eq!(datagrams(USER, false), golden);
        assert_eq!(datagrams(facility("local7").expect("a facility"), false)[2], "<190>tõrge");
        assert_eq!(datagrams(USER, true)[2], "<14> db1 londiste tõrge");
    }

    #[test]
    fn facilities_have_their_numbers() {
        for (name, number) in
            [("kern", 0), ("user", 1), ("daemon", 3), ("authpriv", 10), ("local0", 16), ("local7", 23)]
        {
            assert_eq!(facility(name), Some(number), "{name}");
        }
        assert_eq!(facility("nosuch"), None);
    }
}
