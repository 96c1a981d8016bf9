//! The other extensions of the family, whose tables and functions the ticker uses with more rights than most have.

use crate::pg::spi::{Statement, View};
use crate::pg::value::Type;

/// Who may make schemas must not get into the ticker by a schema of that name.
static IS_THERE: Statement = Statement::reading(
    "SELECT FROM pg_catalog.pg_namespace schema
       JOIN pg_catalog.pg_roles owner ON owner.oid = schema.nspowner
      WHERE schema.nspname = $1
        AND (owner.rolsuper OR schema.nspowner = (
             SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'pgq'))",
    &[Type::Text],
);

/// Whether there is a schema of this name, made by a superuser or by who made `pgq`.
pub fn is_there(schema: &str) -> bool {
    IS_THERE.rows_in(View::Latest, &[schema.into()]).count() > 0
}
