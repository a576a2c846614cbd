//! How bundles come to be and change.

use actix_web::http::StatusCode;
use diesel::prelude::*;

use super::{Bundle, Member, Row};
use crate::auth::Scope;
use crate::db::schema::{bundle_actions, bundles};
use crate::db::{Conn, insert_all};
use crate::error::Result;
use crate::id::Id;
use crate::jsonapi::document::ClientId;
use crate::jsonapi::{Item, Items, Notes, Patch, Reference};
use crate::resource::{Create, Resource, Update, Written};
use crate::resources::action::{self, Action};
use crate::resources::in_plan::{check_same_plan, of_plan, read_plan, resolve_plan};
use crate::resources::patient_plan_summary as plan;
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A bundle as a client describes it, new or changed.
#[derive(Debug)]
pub struct Changes {
    kind: Option<String>,
    title: Option<String>,
    effective_from: Option<Instant>,
    effective_to: Patch<Instant>,
    thread: Patch<String>,
    plan: Option<Reference>,
    actions: Option<Vec<Reference>>,
    row: Option<Seeded>,
}

impl Changes {
    fn read(item: &Item<'_, '_>, new: bool) -> Self {
        let Item { attributes, relationships, .. } = item;
        let said = |name| new || attributes.member(name).is_some();
        Self {
            kind: said("type").then(|| attributes.filled("type")).flatten(),
            title: said("title").then(|| attributes.filled("title")).flatten(),
            effective_from: said("effective_from").then(|| attributes.required("effective_from")),
            effective_to: attributes.patch("effective_to"),
            thread: attributes.patch_with("_thread", |node| node.short()),
            plan: read_plan(relationships, new),
            // Quirk: the schema wants one action, the vendor's example shows an array of them.
            actions: relationships.to_many("actions", Action::TYPE, |action| action.required_reference()),
            row: None,
        }
    }

    fn apply(&self, row: &mut Row) {
        row.kind = self.kind.clone().unwrap_or_else(|| row.kind.clone());
        row.title = self.title.clone().unwrap_or_else(|| row.title.clone());
        row.effective_from = self.effective_from.unwrap_or(row.effective_from);
        self.effective_to.apply(&mut row.effective_to);
        self.thread.apply_or(&mut row.thread, String::new());
        if row.thread.is_empty() {
            row.thread.clone_from(&row.kind);
        }
    }

    fn row(&self, scope: &Scope, plan: Id) -> Row {
        let seeded = self.row.unwrap_or_else(|| Seeded::now(scope));
        let mut row = Row {
            id: seeded.id,
            organization_id: scope.organization,
            plan_id: plan,
            kind: String::new(),
            title: String::new(),
            effective_from: Instant::default(),
            effective_to: None,
            thread: String::new(),
            created_at: seeded.created_at,
            updated_at: seeded.updated_at,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        };
        self.apply(&mut row);
        row
    }
}

impl Create for Bundle {
    const CREATED: StatusCode = StatusCode::OK;
    // The schema lists id as required, so clients send one.
    const CLIENT_ID: ClientId<'static> = ClientId::Ignored;

    type New = Changes;
    type Options = ();

    fn read(item: &Item<'_, '_>) -> Changes {
        Changes::read(item, true)
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<Changes>,
        (): &(),
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        db.serialize(scope.organization)?;
        let all = || new.items.iter().map(|(_, changes)| changes);
        let plans = plan::known(db, scope, all().filter_map(|changes| changes.plan.as_ref()))?;
        let known = action::known(db, scope, all().flat_map(|changes| changes.actions.iter().flatten()))?;
        let is_plan = |id: &Id| plans.contains(id);
        let plan_of = |action: &Id| known.get(action).map(|(plan, _)| *plan);
        let (mut rows, mut members, mut written) = (Vec::new(), Vec::new(), Vec::new());
        for changes in all() {
            let Some(plan) = resolve_plan(changes.plan.as_ref(), is_plan, &notes.faults) else { continue };
            let row = changes.row(scope, plan);
            let actions = of_plan(changes.actions.iter().flatten(), plan, plan_of, "action", &notes.faults);
            members.extend(Member::of(row.id, &actions));
            rows.push(row.clone());
            written.push(Written::Created(Self { row, actions }));
        }
        notes.check()?;
        insert_all::<_, Row>(db, bundles::table, &rows)?;
        insert_all::<_, Member>(db, bundle_actions::table, &members)?;
        Ok(written)
    }
}

impl Update for Bundle {
    type Changes = Changes;

    fn changes(item: &Item<'_, '_>) -> Changes {
        Changes::read(item, false)
    }

    fn update(db: &mut Conn, scope: &Scope, mut bundle: Self, changes: &Changes, notes: &Notes) -> Result<Self> {
        let Row { id, plan_id, .. } = bundle.row;
        check_same_plan(changes.plan.as_ref(), plan_id, &notes.faults);
        let known = action::known(db, scope, changes.actions.iter().flatten())?;
        let plan_of = |action: &Id| known.get(action).map(|(plan, _)| *plan);
        let actions = of_plan(changes.actions.iter().flatten(), plan_id, plan_of, "action", &notes.faults);
        notes.check()?;
        changes.apply(&mut bundle.row);
        bundle.row.updated_at = scope.now;
        bundle.row.updated_by = Some(scope.client.clone());
        diesel::update(bundles::table.find(id)).set(&bundle.row).execute(db)?;
        if changes.actions.is_some() {
            diesel::delete(bundle_actions::table.filter(bundle_actions::bundle_id.eq(id))).execute(db)?;
            let members: Vec<_> = Member::of(id, &actions).collect();
            insert_all::<_, Member>(db, bundle_actions::table, &members)?;
            bundle.actions = actions;
        }
        Ok(bundle)
    }
}

impl Seed for Bundle {
    const NAME: &'static str = Self::TYPE;

    type New = Changes;

    fn read_seed(item: &Item<'_, '_>) -> Changes {
        Changes { row: Some(Seeded::read(item)), ..Changes::read(item, true) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        bundles::table.filter(bundles::id.eq_any(ids)).select((bundles::id, bundles::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<Changes>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        let own = bundles::table.filter(bundles::organization_id.eq(organization)).select(bundles::id);
        diesel::delete(bundle_actions::table.filter(bundle_actions::bundle_id.eq_any(own))).execute(db)?;
        diesel::delete(bundles::table.filter(bundles::organization_id.eq(organization))).execute(db).map(drop)
    }
}
