//! A record as a line of JSON.

use serde_json::json;

use super::record::Record;

/// The object, without the line's end.
pub(super) fn line(record: &Record) -> String {
    let mut object = json!({
        "time": record.time.to_string(),
        "level": record.level.name(),
        "job": record.origin.job,
        "service": record.origin.service,
        "host": record.origin.host,
        "process": record.origin.process,
        "module": record.place.module,
        "message": record.message,
    });
    if !record.fields.is_empty() {
        object["fields"] = record.fields.clone().into();
    }
    object.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::record::Level;
    use super::*;

    #[test]
    fn a_record_is_one_line() {
        let record = Record::sample(Level::Info, "two\nlines").with("rows", 17);
        let head =
            r#"{"fields":{"rows":17},"host":"db1","job":"copier","level":"INFO","message":"two\nlines","#;
        let tail = r#""module":"londiste::copy","process":4711,"service":"londiste","time":"#;
        assert_eq!(line(&record), format!("{head}{tail}\"{}\"}}", record.time));
    }
}
