//! A handler that needs no code: one SQL statement for each event.

use std::fmt;

use jiff::Timestamp;
use tracing::debug;

use crate::consumer::{Batch, Event, Handler, Verdict};
use crate::db::payload::{self, Record};
use crate::db::types::{FromSql, Type};
use crate::db::{Bound, Connection, Options, Retry, Row, Template};
use crate::script::{Key, Kind, Script, names};
use crate::{Error, Result};

/// Keys of programs that run a statement for each event of `src_db` in `dst_db`.
pub const STATEMENT_KEYS: &[Key] = &[
    Key::required("src_db", Kind::Connection, "The database with the queue.")
        .sample("host=src.example dbname=shop user=copier"),
    Key::required("dst_db", Kind::Connection, "The database to run the statement in.")
        .sample("host=dst.example dbname=report user=copier"),
    Key::required(
        "dst_query",
        Kind::Text,
        "The statement. %%(column)s is a value of the changed row; %%(pgq.ev_data)s and the like one of the event: \
         pgq.tick_id, pgq.ev_id, pgq.ev_time, pgq.ev_type, pgq.ev_data, pgq.ev_extra1 to pgq.ev_extra4. Values are \
         bound, so write no quotes around them. What has no value is an error, and the batch comes again.",
    )
    .sample("select log_order(%%(id)s, %%(note)s, %%(pgq.ev_time)s)"),
    Key::optional(
        "consumer_filter",
        Kind::Text,
        "A condition in SQL over ev_id, ev_time, ev_type, ev_data and ev_extra1 to ev_extra4: other events do not come. \
         Overrides table_filter.",
    )
    .sample("ev_extra1 in ('public.orders', 'public.returns')"),
];

/// Runs the statement of [`STATEMENT_KEYS`] for each event.
pub struct StatementRunner {
    text: String,
    statement: Template,
    scope: Scope,
    tick_id: i64,
}

/// For which events, and in which transaction.
enum Scope {
    /// Changes of rows, each in a transaction of its own, which can be tried again.
    EachChange { conninfo: String, retry: Retry },
    /// All events of a batch in one, which the consumer's position makes.
    Batch,
}

impl Scope {
    fn each_change(script: &Script) -> Result<Self> {
        let conninfo = script.config().text(TARGET)?.to_owned();
        Ok(Self::EachChange { conninfo, retry: Retry::from_config(script.config(), script.stop())? })
    }
}

const TARGET: &str = "dst_db";

/// Reads the statement of the INI file; if it cannot be, why.
fn parse(text: &str) -> std::result::Result<Template, String> {
    Template::parse(text).map_err(|error| format!("config parameter dst_query: {error}"))
}

impl StatementRunner {
    /// For changes of rows (types `I:`, `U:`, `D:`), each in a transaction of its own. Its keys are also [`RETRY_KEYS`](crate::db::RETRY_KEYS).
    pub fn for_each_change(script: &Script) -> Result<Self> {
        Self::new(script, Scope::each_change(script)?)
    }

    /// For all events, in the transaction of a consumer that keeps its position in the target.
    pub fn in_batch(script: &Script) -> Result<Self> {
        Self::new(script, Scope::Batch)
    }

    fn new(script: &Script, scope: Scope) -> Result<Self> {
        let text = script.config().text("dst_query")?.to_owned();
        let statement = parse(&text).map_err(Error::usage)?;
        Ok(Self { statement, text, scope, tick_id: 0 })
    }

    /// The rows that the statement gives.
    async fn run(&self, bound: &Bound, batch: &mut Batch) -> Result<Vec<Row>> {
        let Scope::EachChange { conninfo, retry } = &self.scope else {
            return batch.target()?.query(&bound.sql, &bound.params()).await;
        };
        let is_operational = |failure: &Error| names(failure).contains(&"OperationalError");
        let attempt = async || {
            if batch.target()?.is_closed() {
                batch.set_target(Connection::open(TARGET, conninfo, Options::autocommit()).await?);
            }
            batch.target()?.query(&bound.sql, &bound.params()).await
        };
        Ok(retry.run(is_operational, attempt).await?.0)
    }

    /// The value of a placeholder.
    fn value(&self, event: &Event, columns: &Record, name: &str) -> Result<Option<String>> {
        let text = |text: Option<&str>| Ok(text.map(str::to_owned));
        match name {
            "pgq.tick_id" => Ok(Some(self.tick_id.to_string())),
            "pgq.ev_id" => Ok(Some(event.id().to_string())),
            "pgq.ev_time" => Ok(Some(event.time().to_string())),
            "pgq.ev_type" => text(event.kind()),
            "pgq.ev_data" => text(event.data()),
            "pgq.ev_extra1" => text(event.extra1()),
            "pgq.ev_extra2" => text(event.extra2()),
            "pgq.ev_extra3" => text(event.extra3()),
            "pgq.ev_extra4" => text(event.extra4()),
            _ => columns
                .get(name)
                .cloned()
                .ok_or_else(|| Error::bad(format!("the event has no value for %({name})s of dst_query"))),
        }
    }
}

impl Handler for StatementRunner {
    async fn prepare(&mut self, script: &mut Script, batch: &mut Batch) -> Result<()> {
        let text = script.config().text("dst_query")?;
        if self.text != text {
            // Read again while it runs, it is no reason to end: another reload brings a better one.
            self.statement = parse(text).map_err(Error::bad)?;
            self.text = text.to_owned();
        }
        self.tick_id = batch.info().tick_id;
        if let Scope::EachChange { .. } = self.scope {
            self.scope = Scope::each_change(script)?;
            batch.set_target(script.db_with(TARGET, Options::autocommit()).await?);
        }
        Ok(())
    }

    async fn event(&mut self, event: &Event, batch: &mut Batch) -> Result<Verdict> {
        if matches!(self.scope, Scope::EachChange { .. }) && !is_change(event) {
            return Ok(Verdict::Done);
        }
        // Data that are no row are still good for %(pgq.ev_data)s.
        let wants_columns = self.statement.names().iter().any(|name| !name.starts_with("pgq."));
        let columns = match event.data() {
            Some(data) if wants_columns => payload::decode(data)
                .map_err(|why| Error::bad(format!("the event's data are no row: {why}")))?,
            _ => Record::default(),
        };
        let bound = self.statement.bind(|name| self.value(event, &columns, name))?;
        for row in self.run(&bound, batch).await? {
            debug!("event {}: {}", event.id(), Shown(&row));
        }
        Ok(Verdict::Done)
    }
}

fn is_change(event: &Event) -> bool {
    matches!(event.kind().unwrap_or_default().as_bytes(), [b'I' | b'U' | b'D', b':', ..])
}

/// A row of the result, for the log.
struct Shown<'a>(&'a Row);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, column) in self.0.columns().iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match self.0.try_get::<_, Option<Value>>(index) {
                Ok(Some(Value(value))) => write!(f, "{separator}{} = {value}", column.name())?,
                Ok(None) => write!(f, "{separator}{} is null", column.name())?,
                Err(_) => write!(f, "{separator}{} is a {}", column.name(), column.type_())?,
            }
        }
        Ok(())
    }
}

/// A value of a type that is easily shown.
struct Value(String);

impl<'a> FromSql<'a> for Value {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(match *of {
            Type::BOOL => bool::from_sql(of, raw)?.to_string(),
            Type::INT2 => i16::from_sql(of, raw)?.to_string(),
            Type::INT4 => i32::from_sql(of, raw)?.to_string(),
            Type::INT8 => i64::from_sql(of, raw)?.to_string(),
            Type::FLOAT4 => f32::from_sql(of, raw)?.to_string(),
            Type::FLOAT8 => f64::from_sql(of, raw)?.to_string(),
            Type::TIMESTAMPTZ => Timestamp::from_sql(of, raw)?.to_string(),
            Type::JSON | Type::JSONB => serde_json::Value::from_sql(of, raw)?.to_string(),
            _ => format!("{:?}", <&str>::from_sql(of, raw)?),
        }))
    }

    fn accepts(of: &Type) -> bool {
        [Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8].contains(of)
            || [Type::TIMESTAMPTZ, Type::JSON, Type::JSONB].contains(of)
            || <&str>::accepts(of)
    }
}
