//! Settings of a queue.

use super::cascade;
use super::objects::Objects;
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::spi::{self, Statement, View};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use crate::pg::{demand, xact};
use pgrx::PgSqlErrorCode;

/// `set_queue_config(x_queue_name, x_param_name, x_param_value)`: changes one setting; the parameter is the column's
/// name without `queue_`.
pub fn set_queue_config(call: &Call) -> Result<Value> {
    let (Some(queue), Some(parameter)) = (call.text(0), call.text(1)) else {
        return Err(Error::raised("queue and parameter name must not be NULL"));
    };
    let objects = Objects::find(Some(queue)).ok_or_else(|| Error::no_such_queue(Some(queue)))?;
    let setting = Setting::named(parameter)?;
    let work = || {
        setting.check(call.text(2))?;
        setting.set(queue, call.text(2))?;
        setting.keep_copies_closed(queue)
    };
    xact::isolated(work).map_err(|error| setting.name_it(error))?;
    demand::touch(objects.queue_id);
    Ok(Value::Int(1))
}

struct Setting {
    name: &'static str,
    kind: Kind,
    /// Whether NULL is a value: no limit, nothing to do.
    is_optional: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flag,
    Count,
    Period,
    Names,
}

const SETTINGS: [Setting; 9] = [
    Setting { name: "ticker_max_count", kind: Kind::Count, is_optional: false },
    Setting { name: "ticker_max_lag", kind: Kind::Period, is_optional: false },
    Setting { name: "ticker_idle_period", kind: Kind::Period, is_optional: false },
    Setting { name: "ticker_paused", kind: Kind::Flag, is_optional: false },
    Setting { name: "rotation_period", kind: Kind::Period, is_optional: false },
    Setting { name: "external_ticker", kind: Kind::Flag, is_optional: false },
    Setting { name: "disable_insert", kind: Kind::Flag, is_optional: false },
    Setting { name: "per_tx_limit", kind: Kind::Count, is_optional: true },
    Setting { name: "extra_maint", kind: Kind::Names, is_optional: true },
];

impl Setting {
    fn named(name: Text) -> Result<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.name.as_bytes() == name.0).ok_or_else(|| {
            let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
            Error::raised(format!("cannot change parameter \"{name}\""))
                .hint(format!("Parameters: {}.", names.join(", ")))
        })
    }

    fn check(&self, value: Option<Text>) -> Result<()> {
        let Some(value) = value else {
            return if self.is_optional { Ok(()) } else { Err(self.refuse_null()) };
        };
        let is_negative = match self.kind {
            Kind::Flag | Kind::Names => return Ok(()),
            Kind::Count => &NEGATIVE_COUNT,
            Kind::Period => &NEGATIVE_PERIOD,
        };
        match is_negative.rows(&[value.into()]).first() {
            Some(row) if row.flag(0) => Err(self.refuse_negative(value)),
            _ => Ok(()),
        }
    }

    /// The server reads the text as the column's type, and refuses in its own words what is none.
    fn set(&self, queue: Text, value: Option<Text>) -> Result<()> {
        let sql = format!(
            "UPDATE pgq.queue SET queue_{} = $2::{} WHERE queue_name = $1",
            self.name,
            self.kind.sql_type()
        );
        let arguments = [(Type::Text, queue.into()), (Type::Text, value.into())];
        match spi::run_in(View::Latest, sql.as_bytes(), &arguments).count() {
            0 => Err(Error::no_such_queue(Some(queue))),
            _ => Ok(()),
        }
    }

    /// A branch takes events and ticks from its worker alone: with others it would be no copy any more.
    fn keep_copies_closed(&self, queue: Text) -> Result<()> {
        if !["disable_insert", "external_ticker"].contains(&self.name) || !cascade::is_branch(queue) {
            return Ok(());
        }
        let is_off = format!("SELECT FROM pgq.queue WHERE queue_name = $1 AND NOT queue_{}", self.name);
        match spi::run_in(View::Latest, is_off.as_bytes(), &[(Type::Text, queue.into())]).count() {
            0 => Ok(()),
            _ => Err(Error::new(
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "queue \"{queue}\" is the copy of another node's, parameter \"{}\" must stay on",
                    self.name
                ),
            )
            .detail("It takes events and ticks from its worker alone.")
            .hint("pgq_node.promote_branch() makes this node the root.")),
        }
    }

    /// The server says what is wrong, with a value or with the update, but not of which parameter.
    fn name_it(&self, error: Error) -> Error {
        match error.detail {
            Some(_) => error,
            None => error.detail(format!("The parameter is \"{}\".", self.name)),
        }
    }

    fn refuse_null(&self) -> Error {
        Error::new(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            format!("value of parameter \"{}\" must not be NULL", self.name),
        )
    }

    fn refuse_negative(&self, value: Text) -> Error {
        Error::new(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("value of parameter \"{}\" must not be negative", self.name),
        )
        .detail(format!("The value is {value}."))
        .hint(if self.is_optional {
            "NULL means none."
        } else {
            "The smallest value is 0: at each opportunity."
        })
    }
}

impl Kind {
    fn sql_type(self) -> &'static str {
        match self {
            Kind::Flag => "boolean",
            Kind::Count => "integer",
            Kind::Period => "interval",
            Kind::Names => "text[]",
        }
    }
}

static NEGATIVE_COUNT: Statement = Statement::reading("SELECT $1::integer < 0", &[Type::Text]);
static NEGATIVE_PERIOD: Statement = Statement::reading("SELECT $1::interval < interval '0'", &[Type::Text]);
