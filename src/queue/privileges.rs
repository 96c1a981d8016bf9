//! Who may read and write a queue's relations.

use super::objects::{Objects, quoted, quoted_list};
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::spi::{self, Statement};
use crate::pg::text::Text;
use crate::pg::value::{Type, Value};

/// `grant_perms(x_queue_name)`: gives a queue's relations the privileges that they are meant to have.
pub fn grant_perms(call: &Call) -> Result<Value> {
    let name = call.text(0);
    let objects = Objects::lock(name).ok_or_else(|| Error::no_such_queue(name))?;
    grant_on_queue(&objects);
    Ok(Value::Int(1))
}

/// The sequences may be looked at by all; the tables get the privileges of `pgq.event_template`.
pub fn grant_on_queue(objects: &Objects) {
    let (event_sequence, tick_sequence) = (quoted(&objects.event_sequence), quoted(&objects.tick_sequence));
    spi::run(
        &[
            b"GRANT SELECT ON SEQUENCE ",
            event_sequence.as_slice(),
            b", ",
            tick_sequence.as_slice(),
            b" TO PUBLIC",
        ]
        .concat(),
        &[],
    );
    spi::run(&[b"GRANT USAGE ON SEQUENCE ", event_sequence.as_slice(), b" TO pgq_admin"].concat(), &[]);
    let tables = std::iter::once(objects.parent.clone()).chain(objects.event_tables());
    grant_as_on(Text(b"pgq"), Text(b"event_template"), &quoted_list(tables));
}

/// `_grant_perms_from(src_schema, src_table, dst_schema, dst_table)`: repeats the privileges of one table on
/// another, with the caller's rights. Nothing is taken away.
pub fn grant_perms_from(call: &Call) -> Result<Value> {
    if let (Some(schema), Some(table), Some(to_schema), Some(to_table)) =
        (call.text(0), call.text(1), call.text(2), call.text(3))
    {
        grant_as_on(schema, table, &[to_schema.quoted(), to_table.quoted()].join(&b'.'));
    }
    Ok(Value::Int(1))
}

static PRIVILEGES: Statement = Statement::reading(
    "SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
            string_agg(DISTINCT a.privilege_type, ', '),
            a.is_grantable OR a.grantee = c.relowner
       FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
      WHERE n.nspname = $1 AND c.relname = $2
      GROUP BY 1, 3
      ORDER BY 1, 3",
    &[Type::Text, Type::Text],
);

fn grant_as_on(schema: Text, table: Text, quoted_targets: &[u8]) {
    for row in PRIVILEGES.rows(&[schema.into(), table.into()]) {
        let (Some(grantee), Some(privileges)) = (row.text(0), row.text(1)) else {
            continue;
        };
        let option: &[u8] = if row.flag(2) { b" WITH GRANT OPTION" } else { b"" };
        spi::run(
            &[b"GRANT ", privileges.0, b" ON TABLE ", quoted_targets, b" TO ", grantee.0, option].concat(),
            &[],
        );
    }
}
