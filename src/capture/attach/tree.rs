//! The tables that an order is about, and the triggers that they have.

use crate::error::{Error, Result};
use crate::pg::compat::FOREIGN_TRUNCATE_TRIGGERS;
use crate::pg::spi::{Row, Statement};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::Oid;

/// A table of a tree of partitions or children; a plain one is a tree by itself.
pub struct Member {
    pub oid: Oid,
    /// `schema.table`, quoted where needed.
    pub name: Vec<u8>,
    is_partitioned: bool,
    /// It is a partition of another of the tree, whose row triggers the server copies.
    gets_copies: bool,
    /// Fires for each row, here or in the partitions.
    pub gets_row_trigger: bool,
    /// Fires for each statement.
    pub gets_statement_triggers: bool,
    /// Fires for TRUNCATE.
    pub gets_truncate_trigger: bool,
}

impl Member {
    /// Whether rows lie in it, and not in its partitions only.
    pub fn holds_rows(&self) -> bool {
        !self.is_partitioned
    }

    /// As parameter of a statement.
    pub fn id(&self) -> Value {
        Value::Big(i64::from(self.oid.to_u32()))
    }

    fn of_row(row: &Row) -> Result<Member> {
        let name = row.text(1).expect("a table has a name").0.to_vec();
        let kind = row.text(2).expect("a table has a kind").0;
        if !matches!(kind, b"r" | b"p" | b"f") {
            let error =
                Error::new(PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE, format!("{} is no table", Text(&name)));
            return Err(match kind {
                b"v" => error.hint("A view is captured by an INSTEAD OF trigger with option pkey=."),
                _ => error,
            });
        }
        let (gets_statement_triggers, gets_copies) = (row.flag(3), row.flag(4));
        Ok(Member {
            oid: Oid::from(row.big(0).expect("a table has an OID") as u32),
            name,
            is_partitioned: kind == b"p",
            gets_copies,
            gets_statement_triggers,
            gets_truncate_trigger: kind != b"f" || FOREIGN_TRUNCATE_TRIGGERS,
            gets_row_trigger: !gets_statement_triggers && !gets_copies,
        })
    }
}

/// The table and what is below it, each once, parents before children.
pub fn members(table: Oid) -> Result<Vec<Member>> {
    static MEMBERS: Statement = Statement::reading(
        "WITH RECURSIVE tree (oid, depth, gets_copies) AS (
             SELECT $1::oid, 0, false
             UNION ALL
             SELECT i.inhrelid, t.depth + 1, p.relkind = 'p'
               FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class p ON p.oid = i.inhparent)
         SELECT c.oid::bigint,
                CASE WHEN n.oid = pg_my_temp_schema() THEN 'pg_temp' ELSE quote_ident(n.nspname) END
                || '.' || quote_ident(c.relname),
                c.relkind::text,
                c.relkind = 'r'
                AND NOT EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
                -- Replication fires no triggers for its statements, whatever they are set to.
                AND NOT EXISTS (SELECT FROM pg_subscription_rel r WHERE r.srrelid = c.oid)
                AND NOT EXISTS (
                    SELECT FROM pg_constraint k
                     WHERE k.conrelid = c.oid AND k.confrelid = c.oid
                       AND concat(k.confdeltype, k.confupdtype) ~ '[cnd]')
                AND NOT EXISTS (
                    SELECT FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
                     WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
                       AND g.tgtype & 66 = 0 /* AFTER */ AND g.tgtype & 28 <> 0 /* of rows */
                       AND NOT (f.pronamespace = 'pgq'::regnamespace AND f.proname LIKE '%triga')),
                bool_or(t.gets_copies)
           FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
          GROUP BY c.oid, c.relname, c.relkind, n.oid, n.nspname
          ORDER BY max(t.depth), c.oid",
        &[Type::Big],
    );
    let rows = MEMBERS.rows(&[Value::Big(i64::from(table.to_u32()))]);
    let members: Vec<Member> = rows.into_iter().map(|row| Member::of_row(&row)).collect::<Result<_>>()?;
    if members.is_empty() {
        return Err(Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE,
            format!("there is no table with OID {}", table.to_u32()),
        ));
    }
    Ok(members)
}

/// What the names of triggers begin with. They fire in the order of their names, and this comes before lower-case letters:
/// what other triggers change in turn should come after what made them fire.
pub const PREFIX: &[u8] = b"_pgq_capture_";

/// A trigger that writes into the queue.
pub struct Existing {
    pub name: Vec<u8>,
    pub definition: Vec<u8>,
    /// It fires in ordinary sessions, and so do its copies.
    pub is_enabled: bool,
    pub maker: Maker,
}

/// Who has made a trigger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// `pgq.capture()`, by the trigger's name.
    Capture,
    /// Somebody by hand.
    Hand,
    /// The server, which has copied it from a table above those of the order.
    Server,
}

/// The triggers of a table that write into this queue. What the server has copied within the tree is left out: it
/// comes and goes with the parent's.
pub fn triggers(member: &Member, queue: &[u8]) -> Vec<Existing> {
    static TRIGGERS: Statement = Statement::reading(
        "SELECT g.tgname::text, pg_get_triggerdef(g.oid),
                g.tgenabled NOT IN ('D', 'R')
                AND NOT EXISTS (
                    SELECT FROM pg_partition_tree(g.tgrelid) p JOIN pg_trigger c ON c.tgrelid = p.relid
                     WHERE c.tgname = g.tgname AND c.tgparentid <> 0 AND c.tgenabled IN ('D', 'R')),
                g.tgparentid <> 0
           FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
          WHERE g.tgrelid = $1::oid AND NOT g.tgisinternal AND (g.tgparentid = 0 OR $3)
            AND f.pronamespace = 'pgq'::regnamespace AND f.proname LIKE '%triga'
            AND (pgq._trigger_arguments(g.tgargs))[1] = $2
          ORDER BY g.tgname",
        &[Type::Big, Type::Text, Type::Bool],
    );
    let existing = |row: Row| {
        let name = row.text(0).expect("a trigger has a name").0.to_vec();
        Existing {
            maker: match row.flag(3) {
                true => Maker::Server,
                false if name.starts_with(PREFIX) => Maker::Capture,
                false => Maker::Hand,
            },
            name,
            definition: row.text(1).expect("a trigger has a definition").0.to_vec(),
            is_enabled: row.flag(2),
        }
    };
    TRIGGERS
        .rows(&[member.id(), queue.to_vec().into(), Value::Bool(!member.gets_copies)])
        .into_iter()
        .map(existing)
        .collect()
}
