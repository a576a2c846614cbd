//! A list of results: its filters and sorts.

use diesel::prelude::*;

use super::{HealthResult, Query, Row, visible};
use crate::auth::Scope;
use crate::db::schema::results;
use crate::db::views::all_results;
use crate::db::{Conn, Page, Sort, Window, Within, load_rows};
use crate::error::{Faults, Result};
use crate::id::Id;
use crate::jsonapi::{Filters, Instants, PagingRules, Reference};
use crate::resource::{List, by_instant};
use crate::resources::reach::Reached;
use crate::resources::{action, counts, patient, patient_plan_summary as plan};
use crate::time::Instant;

/// What a list of results is filtered by.
#[derive(Debug, Default)]
pub struct ResultFilter {
    patient: Option<Reference>,
    /// The same, where a plan has led to it.
    owner: Option<Id>,
    actions: Option<Vec<Reference>>,
    threads: Option<Vec<String>>,
    after: Option<Instant>,
    before: Option<Instant>,
    created_at: Option<Instants>,
    updated_at: Option<Instants>,
    /// Only these.
    ids: Option<Vec<Id>>,
}

impl List for HealthResult {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "all_results.created_at", |result| result.row.created_at),
        by_instant("updated_at", "all_results.updated_at", |result| result.row.updated_at),
        by_instant("occurred_at", "all_results.occurred_at", |result| result.row.occurred_at),
    ];
    const PAGING: PagingRules = PagingRules::ALWAYS;

    type Filter = ResultFilter;

    fn filter(filters: &Filters<'_>) -> ResultFilter {
        let filter = ResultFilter {
            patient: filters.reference("filter[patient]"),
            owner: None,
            actions: filters.references("filter[actions]"),
            threads: filters.texts("filter[threads]"),
            after: filters.instant("filter[start_at]"),
            before: filters.instant("filter[end_at]"),
            created_at: filters.instants("filter[created_at]"),
            updated_at: filters.instants("filter[updated_at]"),
            ids: None,
        };
        filters.require_one_of(&["filter[patient]"]);
        filter
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &ResultFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let patient = filter.owner.or(filter.patient.as_ref().and_then(|patient| patient.id));
        if let Some(named) = &filter.patient
            && patient::known(db, scope, patient)?.is_empty()
        {
            faults.add(named.unknown("patient"));
        }
        let of_actions = match &filter.actions {
            None => None,
            Some(named) => Some(threads_of(db, scope, named, patient, faults)?),
        };
        faults.check()?;
        let matching = || filter.apply(visible(scope), patient, of_actions.as_ref());
        let count = if filter.leaves_all_of_patient() {
            let others: i64 =
                results::table.filter(results::patient_id.nullable().eq(patient)).count().get_result(db)?;
            others + counts::metrics(db, scope, &Reached { patient, groups: None })?.unwrap_or_default()
        } else {
            matching().count().get_result(db)?
        };
        load_rows::<Row, _, Self>(db, window, "all_results", count, matching())
    }
}

impl ResultFilter {
    /// These of a patient.
    pub(super) fn only(patient: Id, ids: Vec<Id>) -> Self {
        Self { owner: Some(patient), ids: Some(ids), ..Self::default() }
    }

    /// Whether nothing is filtered by but the patient, so that kept counts will do.
    fn leaves_all_of_patient(&self) -> bool {
        matches!(
            self,
            Self {
                actions: None,
                threads: None,
                after: None,
                before: None,
                created_at: None,
                updated_at: None,
                ids: None,
                ..
            }
        )
    }

    fn apply<'q>(&self, mut query: Query<'q>, patient: Option<Id>, of_actions: Option<&Vec<String>>) -> Query<'q> {
        if let Some(patient) = patient {
            query = query.filter(all_results::patient_id.eq(patient));
        }
        for threads in self.threads.iter().chain(of_actions) {
            query = query.filter(all_results::thread.eq_any(threads.clone()));
        }
        if let Some(after) = self.after {
            query = query.filter(all_results::occurred_at.gt(after));
        }
        if let Some(before) = self.before {
            query = query.filter(all_results::occurred_at.lt(before));
        }
        let ranges = [("all_results.created_at", self.created_at), ("all_results.updated_at", self.updated_at)];
        for (column, range) in ranges {
            if let Some(Instants { start, end }) = range {
                query = query.filter(Within { column, start, end });
            }
        }
        if let Some(ids) = &self.ids {
            query = query.filter(all_results::id.eq_any(ids.clone()));
        }
        query
    }
}

/// The threads of those of these actions that are in the patient's plan; what
/// is unknown is noted.
fn threads_of(
    db: &mut Conn,
    scope: &Scope,
    named: &[Reference],
    patient: Option<Id>,
    faults: &Faults,
) -> Result<Vec<String>> {
    let known = action::known(db, scope, named)?;
    let plan = patient.map(|patient| plan::of_patient(db, patient)).transpose()?.flatten();
    let mut threads = Vec::new();
    for reference in named {
        match reference.id.and_then(|id| known.get(&id)) {
            None => faults.add(reference.unknown("action")),
            Some((its, thread)) if Some(*its) == plan => threads.push(thread.clone()),
            Some(_) => {}
        }
    }
    Ok(threads)
}
