//! Which events come, and how many at a time.

use crate::db::quote;
use crate::script::Config;
use crate::{Error, Result};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Events that the cursor reads at a time; 0: the whole batch at once.
    pub lazy_fetch: usize,
    /// Let each statement in the source be a transaction. A cursor cannot live so.
    pub autocommit: bool,
    /// Let a batch have about so many events at least.
    pub min_count: Option<i32>,
    /// Let a batch cover at least this interval.
    pub min_interval: Option<String>,
    /// Take only batches whose end is at least this old.
    pub min_lag: Option<String>,
    /// Take only events of these tables (`ev_extra1`), as `schema.name`; all if there are none.
    pub tables: Vec<String>,
    /// And only those that meet this condition over the ev_ columns. SQL, so from trusted people only.
    pub condition: Option<String>,
}

impl Selection {
    /// What the [keys](crate::consumer::CONSUMER_KEYS) say. No key sets the condition.
    pub fn from_config(config: &Config) -> Result<Self> {
        let positive = |key| {
            usize::try_from(config.integer(key)?)
                .map_err(|_| Error::usage(format!("config parameter {key} is below zero")))
        };
        let interval = |key| config.optional(key).map(str::to_owned);
        let min_count = positive("pgq_batch_collect_events")?;
        let selection = Self {
            lazy_fetch: positive("pgq_lazy_fetch")?,
            autocommit: config.flag("pgq_autocommit")?,
            min_count: (min_count > 0).then(|| i32::try_from(min_count).unwrap_or(i32::MAX)),
            min_interval: interval("pgq_batch_collect_interval"),
            min_lag: interval("pgq_keep_lag"),
            tables: config.list("table_filter").iter().map(|name| with_schema(name)).collect(),
            condition: None,
        };
        if selection.autocommit && selection.lazy_fetch > 0 {
            return Err(Error::usage(
                "pgq_autocommit = 1 needs pgq_lazy_fetch = 0: a cursor lives in a transaction",
            ));
        }
        Ok(selection)
    }

    /// Whether several ticks may become one batch.
    pub(crate) const fn collects(&self) -> bool {
        self.min_count.is_some() || self.min_interval.is_some()
    }

    /// The condition that the database shall judge events by.
    pub(super) fn filter(&self) -> Option<String> {
        let names: Vec<String> = self.tables.iter().map(|name| quote::literal(Some(name))).collect();
        let tables = (!names.is_empty()).then(|| format!("ev_extra1 in ({})", names.join(", ")));
        // The condition may end with a comment.
        let condition = self.condition.as_ref().map(|condition| format!("({condition}\n)"));
        let parts: Vec<String> = tables.into_iter().chain(condition).collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }
}

fn with_schema(table: &str) -> String {
    if table.contains('.') { table.to_owned() } else { format!("public.{table}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_a_condition_become_one_filter() {
        let mut selection = Selection::default();
        assert_eq!(selection.filter(), None);
        selection.condition = Some("ev_type = 'a' or ev_type = 'b'".to_owned());
        assert_eq!(selection.filter().as_deref(), Some("(ev_type = 'a' or ev_type = 'b'\n)"));
        selection.tables = ["orders", "s.it's", r"a.b\c"].map(with_schema).to_vec();
        assert_eq!(
            selection.filter().as_deref(),
            Some(
                "ev_extra1 in ('public.orders', 's.it''s', E'a.b\\\\c') and (ev_type = 'a' or ev_type = 'b'\n)"
            )
        );
    }
}
