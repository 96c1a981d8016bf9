//! The plans that a session remembers, by trigger.

use super::definition::{Definition, Format};
use super::plan::Plan;
use crate::error::Result;
use crate::pg::session::Session;
use crate::pg::trigger::Firing;
use pgrx::pg_sys::Oid;
use std::collections::HashMap;
use std::rc::Rc;

/// More than these, and those whose tables are gone are looked for.
const MANY: usize = 1000;

static PLANS: Session<Option<HashMap<Oid, Rc<Plan>>>> = Session::new(None);

/// The trigger's plan. Whoever uses it holds it: an expression may run statements whose triggers come back here.
#[inline]
pub fn plan_of(firing: Firing, format: Format) -> Result<Rc<Plan>> {
    let remembered = PLANS.with(|plans| plans.as_ref()?.get(&firing.oid()).cloned());
    match remembered {
        Some(plan) if plan.is_current(firing, format) => Ok(plan),
        _ => remember(firing, format),
    }
}

#[cold]
fn remember(firing: Firing, format: Format) -> Result<Rc<Plan>> {
    let definition = Definition {
        format,
        timing: firing.timing(),
        operation: firing.operation(),
        arguments: firing.arguments().collect(),
    };
    let plan = Rc::new(Plan::make(firing.table(), &definition, || firing.describe_table())?);
    let replaced = PLANS.with(|plans| {
        let plans = plans.get_or_insert_default();
        if plans.len() > MANY {
            plans.retain(|_, plan| !plan.is_stale());
        }
        plans.insert(firing.oid(), Rc::clone(&plan))
    });
    drop(replaced);
    Ok(plan)
}
