//! From tracing's events to records.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::outputs::Outputs;
use super::record::{Level, Origin, Place, Record};

/// Libraries that talk of their own affairs.
const FOREIGN: [&str; 8] = [
    "h2",
    "hyper",
    "mio",
    "rustls",
    "rustls_native_certs",
    "tokio",
    "tokio_postgres",
    "tokio_postgres_rustls",
];

/// A layer that makes records of what is at least this important, and has them written.
pub(super) fn layer<S>(outputs: Arc<Outputs>, origin: Arc<Origin>, level: Level) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let all = match level {
        Level::Trace => LevelFilter::TRACE,
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warning => LevelFilter::WARN,
        Level::Error | Level::Critical => LevelFilter::ERROR,
    };
    let foreign = if all == LevelFilter::TRACE { LevelFilter::DEBUG } else { all.min(LevelFilter::WARN) };
    let wanted = move |metadata: &Metadata<'_>| {
        let library = metadata.target().split("::").next().unwrap_or_default();
        let limit = if FOREIGN.contains(&library) { foreign } else { all };
        metadata.is_event() && *metadata.level() <= limit
    };
    ToRecords { outputs, origin, level }.with_filter(FilterFn::new(wanted).with_max_level_hint(all))
}

struct ToRecords {
    outputs: Arc<Outputs>,
    origin: Arc<Origin>,
    level: Level,
}

impl<S: Subscriber> Layer<S> for ToRecords {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let metadata = event.metadata();
        // Tracing has no level beyond ERROR: a field of this name makes it one.
        let critical = said.fields.remove("critical").is_some_and(|critical| critical == Value::Bool(true));
        let level = if critical { Level::Critical } else { Level::from(*metadata.level()) };
        if level < self.level {
            return;
        }
        self.outputs.write(Record {
            time: Timestamp::now(),
            level,
            origin: Arc::clone(&self.origin),
            message: said.message,
            fields: said.fields,
            place: Place {
                module: metadata.module_path().unwrap_or_default(),
                file: metadata.file().unwrap_or_default(),
                line: metadata.line().unwrap_or_default(),
            },
        });
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.set(field, format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.set(field, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut told = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            told.push_str(&format!(": {error}"));
            cause = error.source();
        }
        self.set(field, told);
    }
}
