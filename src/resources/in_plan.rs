//! What actions and bundles have in common: each is in one plan for good, and
//! they refer to each other only within it.

use super::patient_plan_summary::Plan;
use crate::error::{Fault, Faults};
use crate::id::Id;
use crate::jsonapi::{Object, Reference};
use crate::resource::Resource;

/// Which actions or bundles are listed; only the server can ask.
#[derive(Debug)]
pub enum Related {
    /// All that are within the scope.
    All,
    /// Those of this plan.
    OfPlan(Id),
    /// Those that this one of the other type is related to.
    With(Id),
}

/// Reads the plan. It is needed, unless the plan is to stay.
pub fn read_plan(relationships: &Object<'_, '_>, new: bool) -> Option<Reference> {
    let read = |plan: &Object<'_, '_>| plan.required_reference();
    if new {
        relationships.required_one("plan", Plan::TYPE, read)
    } else {
        relationships.kept_one("plan", Plan::TYPE, read)
    }
}

/// The plan that something new is to be in, if it `is_known` within the scope;
/// one that is not is noted.
pub fn resolve_plan(named: Option<&Reference>, is_known: impl Fn(&Id) -> bool, faults: &Faults) -> Option<Id> {
    let named = named?;
    let plan = named.id.filter(is_known);
    if plan.is_none() {
        faults.add(named.unknown("plan summary"));
    }
    plan
}

/// Notes a fault when a change names another plan than the one it is in.
pub fn check_same_plan(named: Option<&Reference>, plan: Id, faults: &Faults) {
    if let Some(named) = named.filter(|named| named.id != Some(plan)) {
        let detail = format!("cannot be moved to another plan; leave it out or name {plan}");
        faults.add(Fault::named(&named.source, detail));
    }
}

/// The ids of what is named, each once. What is unknown or not of this plan is
/// noted; `plan_of` knows the plans of what is visible.
pub fn of_plan<'n>(
    named: impl Iterator<Item = &'n Reference>,
    plan: Id,
    plan_of: impl Fn(&Id) -> Option<Id>,
    what: &str,
    faults: &Faults,
) -> Vec<Id> {
    let mut ids = Vec::new();
    for reference in named {
        match reference.id.and_then(|id| Some((id, plan_of(&id)?))) {
            None => faults.add(reference.unknown(what)),
            Some((id, its)) if its == plan => {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            Some((_, its)) => {
                let detail = format!("this {what} is in the plan {its}; name only those that are in the plan {plan}");
                faults.add(Fault::named(&reference.source, detail));
            }
        }
    }
    ids
}
