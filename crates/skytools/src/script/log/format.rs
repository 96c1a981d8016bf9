//! Lines in the form that python's logging describes: `%(asctime)s %(process)s %(levelname)-8s %(message)s`.

use jiff::Zoned;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::record::Record;
use crate::{Error, Result};

/// A format, read.
#[derive(Clone, Debug)]
pub(super) struct Format {
    pieces: Vec<Piece>,
    dates: Option<String>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Field { field: Field, form: Form },
}

/// How a field is written: `-8s`, `03d`, `.2f`.
#[derive(Clone, Copy, Debug, Default)]
struct Form {
    left: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    number: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    AscTime,
    Created,
    FileName,
    HostAddr,
    HostName,
    JobName,
    LevelName,
    LevelNo,
    LineNo,
    Message,
    Module,
    Msecs,
    PathName,
    Process,
    ServiceName,
}

impl Field {
    const fn is_number(self) -> bool {
        matches!(self, Self::Created | Self::LevelNo | Self::LineNo | Self::Msecs | Self::Process)
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "asctime" => Self::AscTime,
            "created" => Self::Created,
            "filename" => Self::FileName,
            "hostaddr" => Self::HostAddr,
            "hostname" => Self::HostName,
            "job_name" | "name" => Self::JobName,
            "levelname" => Self::LevelName,
            "levelno" => Self::LevelNo,
            "lineno" => Self::LineNo,
            "message" => Self::Message,
            "module" => Self::Module,
            "msecs" => Self::Msecs,
            "pathname" => Self::PathName,
            "process" => Self::Process,
            "service_name" => Self::ServiceName,
            _ => return None,
        })
    }
}

impl Format {
    /// Reads a format, and one for its times as strftime has it; `key` is how an error calls it.
    pub(super) fn new(key: &str, format: &str, dates: Option<&str>) -> Result<Self> {
        let wrong = |what: String| Error::usage(format!("{key}: {what} in the format {format:?}"));
        let mut pieces = Vec::new();
        let mut rest = format;
        while let Some((text, after)) = rest.split_once('%') {
            pieces.push(Piece::Text(text.to_owned()));
            if let Some(after) = after.strip_prefix('%') {
                pieces.push(Piece::Text("%".to_owned()));
                rest = after;
                continue;
            }
            let (name, after) = after
                .strip_prefix('(')
                .and_then(|after| after.split_once(')'))
                .ok_or_else(|| wrong("a % that is neither %% nor %(name)s".to_owned()))?;
            let field = Field::named(name).ok_or_else(|| wrong(format!("the unknown field {name:?}")))?;
            let (form, after) =
                Form::read(after).ok_or_else(|| wrong(format!("no s, d or f behind %({name})")))?;
            if form.number && !field.is_number() {
                return Err(wrong(format!("a number asked of %({name})")));
            }
            pieces.push(Piece::Field { field, form });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        if let Some(dates) = dates {
            strtime::format(dates, &Zoned::now())
                .map_err(|reason| Error::usage(format!("{key}: the date format {dates:?}: {reason}")))?;
        }
        Ok(Self { pieces, dates: dates.map(str::to_owned) })
    }

    /// Message alone: what a handler of a skylog.ini writes that names no formatter.
    pub(super) fn bare() -> Self {
        let message = Piece::Field { field: Field::Message, form: Form::default() };
        Self { pieces: vec![message], dates: None }
    }

    /// The record as a line, without its end.
    pub(super) fn line(&self, record: &Record) -> String {
        let mut line = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Field { field, form } => line.push_str(&form.write(&self.value(*field, record))),
            }
        }
        line
    }

    fn value(&self, field: Field, record: &Record) -> Value {
        let (created, milliseconds) = record.created();
        Value::Text(match field {
            Field::Created => return Value::Number(created),
            Field::LevelNo => return Value::Number(record.level.number().into()),
            Field::LineNo => return Value::Number(record.place.line.into()),
            Field::Msecs => return Value::Number(milliseconds.into()),
            Field::Process => return Value::Number(record.origin.process.into()),
            Field::AscTime => self.time(record),
            Field::FileName => record.place.file.rsplit('/').next().unwrap_or_default().to_owned(),
            Field::HostAddr => record.origin.address().to_owned(),
            Field::HostName => record.origin.host.clone(),
            Field::JobName => record.origin.job.clone(),
            Field::LevelName => record.level.name().to_owned(),
            Field::Message => record.text(),
            Field::Module => record.place.module.to_owned(),
            Field::PathName => record.place.file.to_owned(),
            Field::ServiceName => record.origin.service.clone(),
        })
    }

    fn time(&self, record: &Record) -> String {
        let local = record.time.to_zoned(TimeZone::system());
        let plain = || format!("{},{:03}", local.strftime("%Y-%m-%d %H:%M:%S"), record.created().1);
        // What was tried when the format was read works for any time.
        self.dates
            .as_ref()
            .map_or_else(plain, |dates| strtime::format(dates, &local).unwrap_or_else(|_| plain()))
    }
}

enum Value {
    Text(String),
    Number(f64),
}

impl Form {
    /// Reads what stands behind `%(name)`, and tells what follows.
    fn read(text: &str) -> Option<(Self, &str)> {
        let mut form = Self::default();
        let flags = text.trim_start_matches(['-', '0', '+', ' ', '#']);
        for flag in text[..text.len() - flags.len()].chars() {
            form.left |= flag == '-';
            form.zeros |= flag == '0';
        }
        let (width, mut rest) = digits(flags);
        form.width = width.parse().unwrap_or(0);
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = digits(after);
            form.precision = Some(precision.parse().unwrap_or(0));
            rest = after;
        }
        let mut letters = rest.chars();
        match letters.next()? {
            's' | 'r' => {}
            'd' | 'i' => {
                form.number = true;
                form.precision = Some(0);
            }
            'f' => {
                form.number = true;
                form.precision = form.precision.or(Some(6));
            }
            _ => return None,
        }
        // A line of a terabyte is nobody's wish.
        (form.width <= 1000 && form.precision.is_none_or(|digits| digits <= 1000))
            .then_some((form, letters.as_str()))
    }

    fn write(self, value: &Value) -> String {
        let text = match (value, self.number) {
            (Value::Number(number), true) if self.precision == Some(0) => format!("{}", number.trunc()),
            (Value::Number(number), true) => format!("{number:.*}", self.precision.unwrap_or(6)),
            (Value::Number(number), false) => number.to_string(),
            (Value::Text(text), _) => text.chars().take(self.precision.unwrap_or(usize::MAX)).collect(),
        };
        match self {
            Self { left: true, width, .. } => format!("{text:<width$}"),
            Self { zeros: true, number: true, width, .. } => format!("{text:0>width$}"),
            Self { width, .. } => format!("{text:>width$}"),
        }
    }
}

/// The digits that a text begins with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::record::Level;
    use super::*;

    fn line(format: &str, dates: Option<&str>) -> String {
        Format::new("logfmt", format, dates).unwrap().line(&Record::sample(Level::Warning, "lag is 5s"))
    }

    #[test]
    fn lines_look_as_python_writes_them() {
        for (format, golden) in [
            (
                "%(asctime)s %(process)s %(levelname)s %(message)s",
                "2024-03-09 12:30:01,123 4711 WARNING lag is 5s",
            ),
            ("%(asctime)s %(name)s: %(message)s", "2024-03-09 12:30:01,123 copier: lag is 5s"),
            ("%(levelname)-8s|%(levelname)8s|%(levelname).4s|%(levelno)d", "WARNING | WARNING|WARN|30"),
            ("%(job_name)s %(service_name)s %(hostname)s %(hostaddr)s", "copier londiste db1 10.1.2.3"),
            ("%(process)06d|%(process)-6d|%(process)s|%(levelno).1f", "004711|4711  |4711|30.0"),
            ("%(msecs)03d %(filename)s:%(lineno)d %(module)s", "123 copy.rs:42 londiste::copy"),
            ("%(pathname)s", "src/londiste/copy.rs"),
            ("100%% %(message)s%%", "100% lag is 5s%"),
            ("", ""),
        ] {
            assert_eq!(line(format, None), golden, "{format}");
        }
    }

    #[test]
    fn times_look_as_strftime_writes_them() {
        assert_eq!(line("%(asctime)s", Some("%d.%m.%y %H:%M")), "09.03.24 12:30");
        assert_eq!(line("%(asctime)-12s|", Some("%H:%M:%S")), "12:30:01    |");
    }

    #[test]
    fn fields_stand_behind_the_message() {
        let record = Record::sample(Level::Info, "copied").with("rows", 17).with("table", "public.a b");
        assert_eq!(Format::bare().line(&record), "copied rows=17 table=public.a b");
        assert_eq!(Format::bare().line(&Record::sample(Level::Info, "").with("rows", 17)), "rows=17");
    }

    #[test]
    fn a_wrong_format_is_told() {
        for (format, dates, why) in [
            ("%(nosuch)s", None, "logfmt: the unknown field \"nosuch\" in the format \"%(nosuch)s\""),
            ("%s", None, "logfmt: a % that is neither %% nor %(name)s in the format \"%s\""),
            ("%(message", None, "logfmt: a % that is neither %% nor %(name)s in the format \"%(message\""),
            ("%(message)d", None, "logfmt: a number asked of %(message) in the format \"%(message)d\""),
            ("%(message)", None, "logfmt: no s, d or f behind %(message) in the format \"%(message)\""),
            (
                "%(process)99999s",
                None,
                "logfmt: no s, d or f behind %(process) in the format \"%(process)99999s\"",
            ),
        ] {
            assert_eq!(Format::new("logfmt", format, dates).unwrap_err().to_string(), why);
        }
        let wrong = Format::new("logfmt", "%(asctime)s", Some("%!")).unwrap_err().to_string();
        assert!(wrong.starts_with("logfmt: the date format \"%!\": "), "{wrong}");
    }
}
