//! Settings under which definitions mean the same wherever they are written and read: all names qualified, dates and
//! intervals unambiguous, floats exact, backslashes plain.

use serde::de::DeserializeOwned;
use tokio_postgres::SimpleQueryMessage;

use crate::db::Connection;
use crate::{Error, Result};

const SETTINGS: [(&str, &str); 6] = [
    ("search_path", "pg_catalog"),
    ("datestyle", "iso"),
    ("intervalstyle", "postgres"),
    ("extra_float_digits", "3"),
    ("standard_conforming_strings", "on"),
    ("quote_all_identifiers", "off"),
];

/// The statements under neutral settings, between two statements in front and one behind. All must go in one message:
/// it is one transaction, so that the settings end with it, come what may, or with the transaction around it; and for
/// what comes later in that one they are put back.
pub(super) fn neutral(statements: &str) -> String {
    let set = |name: &str, value: &str| format!("pg_catalog.set_config('{name}', {value}, true)");
    let copy = |from: &str, to: &str, name: &str| {
        set(&format!("{to}{name}"), &format!("current_setting('{from}{name}')"))
    };
    let keep = SETTINGS.map(|(name, _)| copy("", "skytools.", name)).join(", ");
    let change = SETTINGS.map(|(name, value)| set(name, &format!("'{value}'"))).join(", ");
    let restore = SETTINGS.map(|(name, _)| copy("skytools.", "", name)).join(", ");
    format!("select {keep};\nselect {change};\n{statements};\nselect {restore}")
}

/// Asks for one JSON value.
pub(super) async fn read<T: DeserializeOwned>(connection: &Connection, sql: &str) -> Result<Option<T>> {
    let text = neutral(sql);
    let messages = connection.client().await?.simple_query(&text).await.map_err(connection.failed(sql))?;
    let is_end = |message: &SimpleQueryMessage| matches!(message, SimpleQueryMessage::CommandComplete(_));
    let json = messages.split(is_end).nth(2).and_then(|answer| {
        answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
    });
    json.map(|json| serde_json::from_str(json).map_err(Error::other)).transpose()
}
