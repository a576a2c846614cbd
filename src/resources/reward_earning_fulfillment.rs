//! `reward_earning_fulfillment`: that a patient was given what was earned, or a
//! part of it. An earning is fulfilled once.

use std::collections::HashSet;

use actix_web::http::StatusCode;
use diesel::prelude::*;
use serde::Serialize;

use super::decimal::Decimal;
use super::patient::{Patient, in_groups};
use super::reach::{Reach, Reached};
use super::reward_earning::{self as earning, Earning};
use crate::auth::Scope;
use crate::db::schema::reward_earning_fulfillments as fulfillments;
use crate::db::{Backend, Conn, Page, Sort, Window, insert_all, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::jsonapi::{Filters, Item, Items, Notes, PagingRules, Read, Reference};
use crate::resource::{Create, Fetch, HasOne, List, Resource, Written, by_instant};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = fulfillments, treat_none_as_default_value = false)]
pub struct Fulfillment {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its earning.
    #[serde(skip)]
    pub organization_id: Id,
    /// The group of its earning.
    #[serde(skip)]
    pub group_id: Id,
    /// The patient.
    #[serde(skip)]
    pub patient_id: Id,
    /// The earning.
    #[serde(skip)]
    pub reward_earning_id: Id,
    /// How much of the earning was given.
    pub fulfilled_value: Decimal,
    /// What that is counted in.
    pub fulfilled_unit: String,
    /// When.
    pub fulfilled_at: Instant,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// The client that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The client that last changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
}

/// A fulfillment as a client describes it.
#[derive(Debug)]
pub struct NewFulfillment {
    fulfilled_value: Option<Decimal>,
    fulfilled_at: Option<Instant>,
    earning: Option<Reference>,
    row: Option<Seeded>,
}

impl NewFulfillment {
    fn read(item: &Item<'_, '_>) -> Self {
        let Item { attributes, relationships, .. } = item;
        Self {
            fulfilled_value: attributes.required_with("fulfilled_value", Decimal::not_negative),
            fulfilled_at: attributes.required_with("fulfilled_at", Read::read),
            earning: relationships.required_one("reward_earning", Earning::TYPE, |named| named.required_reference()),
            row: None,
        }
    }

    /// The row, or notes of what stands against it.
    fn row(&self, scope: &Scope, pointer: &str, earning: &earning::Row, notes: &Notes) -> Option<Fulfillment> {
        let fault = |place: &str, detail: String| notes.faults.add(Fault::body(format!("{pointer}/{place}"), detail));
        if self.fulfilled_value.is_some_and(|value| value > earning.earned_value) {
            fault("attributes/fulfilled_value", format!("is more than was earned, {}", earning.earned_value));
        }
        if self.fulfilled_at.is_some_and(|at| at < earning.earned_at) {
            let detail = format!("must not be before the reward was earned, {}", earning.earned_at);
            fault("attributes/fulfilled_at", detail);
        }
        let row = self.row.unwrap_or_else(|| Seeded::now(scope));
        Some(Fulfillment {
            id: row.id,
            organization_id: scope.organization,
            group_id: earning.group_id,
            patient_id: earning.patient_id,
            reward_earning_id: earning.id,
            fulfilled_value: self.fulfilled_value?,
            fulfilled_unit: earning.earned_unit.clone(),
            fulfilled_at: self.fulfilled_at?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        })
    }
}

impl Resource for Fulfillment {
    const TYPE: &'static str = "reward_earning_fulfillment";

    fn id(&self) -> Id {
        self.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |row: &Self| {
            vec![
                Relationship::one("patient", Patient::TYPE, row.patient_id),
                Relationship::one("reward_earning", Earning::TYPE, row.reward_earning_id),
            ]
        };
        Ok(rows.iter().map(of).collect())
    }
}

fn visible<'q>(scope: &Scope) -> fulfillments::BoxedQuery<'q, Backend> {
    let mine = rows_of(fulfillments::table).filter(fulfillments::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => {
            mine.filter(fulfillments::group_id.eq_any(ids.clone())).filter(in_groups(fulfillments::patient_id, ids))
        }
    }
}

impl Fetch for Fulfillment {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(fulfillments::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

impl HasOne<Patient> for Fulfillment {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let fulfillment = Self::fetch(db, scope, id)?;
        Patient::fetch(db, scope, fulfillment.patient_id)
    }
}

impl HasOne<Earning> for Fulfillment {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Earning> {
        let fulfillment = Self::fetch(db, scope, id)?;
        Earning::fetch(db, scope, fulfillment.reward_earning_id)
    }
}

impl List for Fulfillment {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "reward_earning_fulfillments.created_at", |row| row.created_at),
        by_instant("updated_at", "reward_earning_fulfillments.updated_at", |row| row.updated_at),
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = Reach;

    fn filter(filters: &Filters<'_>) -> Reach {
        let filter = Reach { patient: filters.reference("filter[patient]"), ..Reach::default() };
        filters.require_one_of(&["filter[patient]"]);
        filter
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &Reach,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let Reached { patient, .. } = filter.check(db, scope, faults)?;
        faults.check()?;
        load_page::<Self, _, _>(db, window, "reward_earning_fulfillments", || {
            let mut query = visible(scope);
            if let Some(patient) = patient {
                query = query.filter(fulfillments::patient_id.eq(patient));
            }
            query
        })
    }
}

impl Create for Fulfillment {
    const CREATED: StatusCode = StatusCode::OK;

    type New = NewFulfillment;
    type Options = ();

    fn read(item: &Item<'_, '_>) -> NewFulfillment {
        NewFulfillment::read(item)
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<NewFulfillment>,
        (): &(),
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        db.serialize(scope.organization)?;
        let earnings = earning::by_id(db, scope, new.items.iter().filter_map(|(_, new)| new.earning.as_ref()?.id))?;
        let mut fulfilled: HashSet<Id> = earnings
            .values()
            .filter(|earning| earning.state.fulfilled_at.is_some())
            .map(|earning| earning.row.id)
            .collect();
        let mut rows = Vec::with_capacity(new.items.len());
        for (pointer, new) in &new.items {
            let Some(named) = &new.earning else { continue };
            let earning = named.among(&earnings, "reward earning", &notes.faults);
            let Some(Earning { row: earning, state }) = earning else { continue };
            let fault = |detail: &str| notes.faults.add(Fault::named(&named.source, detail));
            if !fulfilled.insert(earning.id) {
                fault("names an earning that is fulfilled already; an earning has only one fulfillment");
            }
            if !state.ready_for_fulfillment {
                fault(
                    "names an earning that is not ready_for_fulfillment: its program pays when the activation is over",
                );
            }
            rows.extend(new.row(scope, pointer, earning, notes));
        }
        notes.check()?;
        insert_all::<_, Fulfillment>(db, fulfillments::table, &rows)?;
        Ok(rows.into_iter().map(Written::Created).collect())
    }
}

impl Seed for Fulfillment {
    const NAME: &'static str = Self::TYPE;

    type New = NewFulfillment;

    fn read_seed(item: &Item<'_, '_>) -> NewFulfillment {
        NewFulfillment { row: Some(Seeded::read(item)), ..NewFulfillment::read(item) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        let those = fulfillments::table.filter(fulfillments::id.eq_any(ids));
        those.select((fulfillments::id, fulfillments::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewFulfillment>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        let own = fulfillments::table.filter(fulfillments::organization_id.eq(organization));
        diesel::delete(own).execute(db).map(drop)
    }
}
