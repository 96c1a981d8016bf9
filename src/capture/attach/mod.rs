//! `pgq.capture` and `pgq.uncapture`: the triggers that a table needs, made and removed in one call.
//!
//! A plain table gets triggers for each statement, which see all its changed rows at once. That is not possible where
//! rows are also changed through another table's name; and it is not right where other triggers, or foreign keys of
//! the table to itself, go on changing rows: what a statement removed could then come after what it inserted in the
//! same place. There it is a trigger for each row. The server itself copies such a trigger of a partitioned table to
//! its partitions, also to those to come. A trigger for TRUNCATE it does not copy, so each table of the tree gets its
//! own.

mod order;
mod tree;

use super::trigger::definition::{Definition, Format};
use super::trigger::plan::Plan;
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::lock;
use crate::pg::privilege::{self, TableRight};
use crate::pg::settings::{FIXED_SEARCH_PATH, Overrides, PLAIN_QUOTING, PLAIN_STRINGS};
use crate::pg::spi::{self, Statement};
use crate::pg::table::Table;
use crate::pg::text::Text;
use crate::pg::trigger::Timing;
use crate::pg::tuplestore::RowSink;
use crate::pg::value::{Type, Value};
use order::{Order, Wanted};
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys;
use std::ffi::CStr;
use tree::{Existing, Maker, Member};

/// `capture(i_table, i_queue, i_function, i_options, i_operations)`: makes the triggers, in the place of those that an
/// earlier call has made for this queue. A row for each trigger that was created, kept or dropped.
pub fn capture(call: &Call) -> Result<Value> {
    let order = Order::of_call(call)?;
    let mut report = call.rows()?;
    let members = lock_tree(&order)?;
    require_queue(&order.queue)?;
    for member in members.iter().filter(|member| member.holds_rows() || members.len() == 1) {
        check(&order, member)?;
    }
    warn_of_writers(&members);
    let mut missing = Vec::new();
    for member in &members {
        missing.push((member, discard(&order, member, &mut report)?));
    }
    // Not before all are through: copies for a partition must not meet a trigger that it had of its own.
    for (member, triggers) in missing {
        create(member, &triggers, &mut report);
    }
    Ok(Value::Null)
}

/// `uncapture(i_table, i_queue)`: removes what `capture` has made. A row for each trigger that was dropped.
pub fn uncapture(call: &Call) -> Result<Value> {
    let order = Order::nothing(call)?;
    let mut report = call.rows()?;
    for member in &lock_tree(&order)? {
        discard(&order, member, &mut report)?;
    }
    Ok(Value::Null)
}

/// The tables, locked as CREATE TRIGGER would, or DROP TRIGGER where one has to go: at once as strongly as needed, since who
/// has read the table and wants to write to it would be in the way of a stronger lock later, and we in his.
fn lock_tree(order: &Order) -> Result<Vec<Member>> {
    let _settings = Overrides::begin(&PLAIN_NAMES);
    let mut locked = Vec::new();
    loop {
        let members = tree::members(order.table)?;
        let new: Vec<&Member> = members.iter().filter(|member| !locked.contains(&member.oid)).collect();
        if new.is_empty() {
            return Ok(members);
        }
        for member in new {
            // Who may not do it must not hold up others by trying.
            if drops_triggers(order, member) {
                privilege::require_owner(member.oid);
                lock::lock_table(member.oid, pg_sys::AccessExclusiveLock);
            } else {
                privilege::require(member.oid, TableRight::Trigger);
                lock::lock_table(member.oid, pg_sys::ShareRowExclusiveLock);
            }
            locked.push(member.oid);
        }
    }
}

fn drops_triggers(order: &Order, member: &Member) -> bool {
    let wanted = order.triggers_for(member);
    let triggers = tree::triggers(member, &order.queue);
    triggers.iter().any(|trigger| trigger.maker == Maker::Capture && trigger.place_among(&wanted).is_none())
}

fn require_queue(queue: &[u8]) -> Result<()> {
    static QUEUE: Statement =
        Statement::reading("SELECT true FROM pgq.queue WHERE queue_name = $1", &[Type::Text]);
    let _settings = Overrides::begin(&PLAIN_NAMES);
    match QUEUE.rows(&[queue.to_vec().into()]).first() {
        Some(_) => Ok(()),
        None => Err(Error::no_such_queue(Some(Text(queue)))),
    }
}

/// `_trigger_arguments(tgargs)`: the arguments of a trigger as the catalog stores them, each ended by a zero byte.
pub fn trigger_arguments(call: &Call) -> Result<Value> {
    let Some(stored) = call.text(0) else { return Ok(Value::Null) };
    let mut arguments: Vec<Vec<u8>> = stored.0.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    arguments.pop();
    arguments.iter().for_each(|argument| Text(argument).require_valid());
    Ok(Value::TextArray(arguments))
}

/// Everything that the triggers would refuse only when they fire.
fn check(order: &Order, member: &Member) -> Result<()> {
    for operation in &order.operations {
        let options = order.options_for(*operation);
        let arguments = std::iter::once(&order.queue).chain(options).map(Vec::as_slice).collect();
        let definition =
            Definition { format: order.format, timing: Timing::After, operation: *operation, arguments };
        let plan = Plan::make(member.oid, &definition, || Table::of_oid(member.oid))?;
        if !order.denies() && member.holds_rows() {
            plan.require_allowed(*operation)?;
        }
    }
    Ok(())
}

/// Tells who may change the tables, but could then not write events.
fn warn_of_writers(members: &[Member]) {
    static WRITERS: Statement = Statement::reading(
        "SELECT string_agg(coalesce(quote_ident(r.rolname), 'PUBLIC'), ', ' ORDER BY r.rolname)
           FROM (SELECT DISTINCT x.grantee
                   FROM (SELECT coalesce(relacl, acldefault('r', relowner)) FROM pg_class WHERE oid = $1::oid
                         UNION ALL
                         SELECT attacl FROM pg_attribute WHERE attrelid = $1::oid) r (acl),
                        aclexplode(r.acl) x
                  WHERE x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')) a
           LEFT JOIN pg_roles r ON r.oid = a.grantee
          WHERE NOT has_function_privilege(coalesce(r.rolname, 'public'), 'pgq.insert_event(text,text,text,text,text,text,text)', 'EXECUTE')",
        &[Type::Big],
    );
    let _settings = Overrides::begin(&PLAIN_NAMES);
    for member in members {
        let Some(row) = WRITERS.rows(&[member.id()]).first() else { continue };
        if let Some(roles) = row.text(0) {
            Error::new(
                PgSqlErrorCode::ERRCODE_WARNING,
                format!("roles that may change table {} may not write events: {roles}", Text(&member.name)),
            )
            .hint("GRANT pgq_writer TO them, or their changes will be refused.")
            .warn();
        }
    }
}

/// Drops triggers of a table that the order does not want, and tells those that it wants and that are missing.
fn discard(order: &Order, member: &Member, report: &mut RowSink) -> Result<Vec<Wanted>> {
    let _settings = Overrides::begin(&PLAIN_NAMES);
    let mut wanted = order.triggers_for(member);
    for trigger in tree::triggers(member, &order.queue) {
        if trigger.maker != Maker::Capture {
            if wanted.is_empty() {
                continue;
            }
            return Err(captured_already(member, &order.queue, &trigger));
        }
        let action = match trigger.place_among(&wanted) {
            Some(place) => {
                wanted.remove(place);
                "kept"
            }
            None => {
                let name = Text(&trigger.name).quoted();
                spi::run(&[b"DROP TRIGGER ".as_slice(), &name, b" ON ", &member.name].concat(), &[]);
                "dropped"
            }
        };
        put(report, action, member, &trigger.name, &trigger.definition);
    }
    Ok(wanted)
}

fn create(member: &Member, triggers: &[Wanted], report: &mut RowSink) {
    let _settings = Overrides::begin(&PLAIN_NAMES);
    for (name, definition) in triggers {
        spi::run(definition, &[]);
        put(report, "created", member, name, definition);
    }
}

fn put(report: &mut RowSink, action: &str, member: &Member, trigger: &[u8], definition: &[u8]) {
    let texts = [trigger.to_vec().into(), definition.to_vec().into()];
    let [trigger, definition] = texts;
    report.put(&[action.into(), Value::Oid(member.oid), trigger, definition]);
}

fn captured_already(member: &Member, queue: &[u8], trigger: &Existing) -> Error {
    let origin = match trigger.maker {
        Maker::Server => "which the table that it is a partition of has given to it",
        _ => "which was not made by pgq.capture()",
    };
    Error::new(
        PgSqlErrorCode::ERRCODE_DUPLICATE_OBJECT,
        format!("table {} is captured into queue \"{}\" already", Text(&member.name), Text(queue)),
    )
    .detail(format!("Trigger \"{}\" does it, {origin}.", Text(&trigger.name)))
    .hint("DROP TRIGGER first, or each change would be written twice.")
}

impl Existing {
    /// Which of the wanted triggers it is, if it is as it should be.
    fn place_among(&self, wanted: &[Wanted]) -> Option<usize> {
        wanted.iter().position(|(_, definition)| self.is_enabled && *definition == self.definition)
    }
}

impl Format {
    /// The function of this name whose options are words.
    fn of_function(name: &[u8]) -> Option<Format> {
        [Format::Urlencoded, Format::Json, Format::PartialSql]
            .into_iter()
            .find(|format| format.function().as_bytes() == name)
    }
}

/// Under which our statements mean what they say, and the catalog shows definitions as we write them.
const PLAIN_NAMES: [(&CStr, &CStr); 3] = [FIXED_SEARCH_PATH, PLAIN_QUOTING, PLAIN_STRINGS];
