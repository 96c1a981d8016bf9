//! What an older installation lacks.

use crate::error::Result;
use crate::pg::call::Call;
use crate::pg::spi::{self, Statement};
use crate::pg::value::Value;

/// `upgrade_schema()`: brings tables and roles of any PgQ 3 up to date; 0.
pub fn upgrade_schema(_: &Call) -> Result<Value> {
    for lack in &LACKS {
        if lack.is_there() {
            lack.remedies.iter().for_each(|remedy| drop(spi::run(remedy.as_bytes(), &[])));
        }
    }
    Ok(Value::Int(0))
}

struct Lack {
    question: &'static Statement,
    remedies: &'static [&'static str],
}

impl Lack {
    fn is_there(&self) -> bool {
        self.question.rows(&[]).first().is_some_and(|row| row.flag(0))
    }
}

static LACKS: [Lack; 8] = [
    Lack { question: &LACKS_READER, remedies: &["CREATE ROLE pgq_reader NOLOGIN"] },
    Lack { question: &LACKS_WRITER, remedies: &["CREATE ROLE pgq_writer NOLOGIN"] },
    Lack {
        question: &LACKS_ADMIN,
        remedies: &["CREATE ROLE pgq_admin NOLOGIN", "GRANT pgq_reader, pgq_writer TO pgq_admin"],
    },
    // Before there were sub-consumers.
    Lack {
        question: &POSITION_IS_REQUIRED,
        remedies: &["ALTER TABLE pgq.subscription ALTER COLUMN sub_last_tick DROP NOT NULL"],
    },
    Lack {
        question: &LACKS_EXTRA_MAINT,
        remedies: &["ALTER TABLE pgq.queue ADD COLUMN queue_extra_maint text[]"],
    },
    // A dump of PgQ 3.5 left these three sequences out: restored, they would hand out ids that are taken.
    Lack {
        question: &QUEUE_IDS_ARE_BEHIND,
        remedies: &["SELECT setval('pgq.queue_queue_id_seq', max(queue_id)) FROM pgq.queue"],
    },
    Lack {
        question: &CONSUMER_IDS_ARE_BEHIND,
        remedies: &["SELECT setval('pgq.consumer_co_id_seq', max(co_id)) FROM pgq.consumer"],
    },
    Lack {
        question: &SUBSCRIPTION_IDS_ARE_BEHIND,
        remedies: &["SELECT setval('pgq.subscription_sub_id_seq', max(sub_id)) FROM pgq.subscription"],
    },
];

static LACKS_READER: Statement = Statement::reading("SELECT to_regrole('pgq_reader') IS NULL", &[]);
static LACKS_WRITER: Statement = Statement::reading("SELECT to_regrole('pgq_writer') IS NULL", &[]);
static LACKS_ADMIN: Statement = Statement::reading("SELECT to_regrole('pgq_admin') IS NULL", &[]);
static POSITION_IS_REQUIRED: Statement = Statement::reading(
    "SELECT attnotnull FROM pg_attribute
      WHERE attrelid = 'pgq.subscription'::regclass AND attname = 'sub_last_tick'",
    &[],
);
static LACKS_EXTRA_MAINT: Statement = Statement::reading(
    "SELECT NOT EXISTS (SELECT FROM pg_attribute
      WHERE attrelid = 'pgq.queue'::regclass AND attname = 'queue_extra_maint' AND NOT attisdropped)",
    &[],
);
static QUEUE_IDS_ARE_BEHIND: Statement = Statement::reading(
    "SELECT max(queue_id) > coalesce(pg_sequence_last_value('pgq.queue_queue_id_seq'), 0) FROM pgq.queue",
    &[],
);
static CONSUMER_IDS_ARE_BEHIND: Statement = Statement::reading(
    "SELECT max(co_id) > coalesce(pg_sequence_last_value('pgq.consumer_co_id_seq'), 0) FROM pgq.consumer",
    &[],
);
static SUBSCRIPTION_IDS_ARE_BEHIND: Statement = Statement::reading(
    "SELECT max(sub_id) > coalesce(pg_sequence_last_value('pgq.subscription_sub_id_seq'), 0) FROM pgq.subscription",
    &[],
);
