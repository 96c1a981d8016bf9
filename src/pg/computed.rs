//! Columns that are computed when they are read: `GENERATED ALWAYS AS (…) VIRTUAL`, from PostgreSQL 18 on. A row does
//! not have their values.
#![allow(unsafe_code)]

use super::guard::guarded;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

/// The way to such a column's value.
pub struct Computed {
    expression: *mut pg_sys::ExprState,
    context: *mut pg_sys::ExprContext,
}

impl Computed {
    /// Compiles the column's expression, in the current memory context; `None` if rows have its values.
    ///
    /// # Safety
    /// The relation is open, and the attribute one of its own.
    #[cfg(feature = "pg18")]
    pub(super) unsafe fn of(
        relation: pg_sys::Relation,
        attribute: &pg_sys::FormData_pg_attribute,
    ) -> Option<Computed> {
        if attribute.attgenerated as u8 != pg_sys::ATTRIBUTE_GENERATED_VIRTUAL {
            return None;
        }
        // SAFETY: the caller's promise; the expression refers to columns of the row only.
        unsafe {
            let expression = pg_sys::build_generation_expression(relation, attribute.attnum.into());
            let planned = pg_sys::expression_planner(expression.cast());
            Some(Computed {
                expression: pg_sys::ExecInitExpr(planned, std::ptr::null_mut()),
                context: pg_sys::CreateStandaloneExprContext(),
            })
        }
    }

    /// There are none before PostgreSQL 18.
    ///
    /// # Safety
    /// None is needed.
    #[cfg(not(feature = "pg18"))]
    pub(super) unsafe fn of(_: pg_sys::Relation, _: &pg_sys::FormData_pg_attribute) -> Option<Computed> {
        None
    }

    /// The value in a row, in the current memory context; `None` is NULL.
    ///
    /// # Safety
    /// The slot holds a row of the relation for which this was made.
    pub(super) unsafe fn value(&self, row: *mut pg_sys::TupleTableSlot) -> Option<Datum> {
        // SAFETY: expression and context live as long as this; the row is that of the caller's promise.
        unsafe {
            (*self.context).ecxt_scantuple = row;
            let mut is_null = false;
            let evaluate = (*self.expression).evalfunc.expect("a compiled expression can be evaluated");
            let value = guarded(|| evaluate(self.expression, self.context, &mut is_null));
            (!is_null).then_some(value)
        }
    }
}
