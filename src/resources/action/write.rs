//! How actions come to be and change.

use std::collections::HashSet;

use actix_web::http::StatusCode;
use diesel::prelude::*;
use serde::Serialize;

use super::parts::{Identifier, Metric, Part, Window};
use super::{Action, Row};
use crate::auth::{self, Scope};
use crate::db::schema::{actions, bundle_actions};
use crate::db::{Conn, Json, insert_all};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::jsonapi::document::ClientId;
use crate::jsonapi::{Item, Items, Node, Notes, Patch, Read, Reference};
use crate::resource::{Create, Resource, Update, Written};
use crate::resources::bundle::{self, Bundle, Member};
use crate::resources::in_plan::{check_same_plan, of_plan, read_plan, resolve_plan};
use crate::resources::patient_plan_summary::{self as plan, FrequencyGoal, Weeks};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// An action as a client describes it, new or changed.
#[derive(Debug)]
pub struct Changes {
    kind: Option<String>,
    title: Option<String>,
    effective_from: Option<Instant>,
    effective_to: Patch<Instant>,
    tracking: Patch<bool>,
    thread: Patch<String>,
    frequency_goal: Patch<Json>,
    identifiers: Patch<Vec<Part<Identifier>>>,
    details: Patch<Json>,
    intake: Patch<Json>,
    metric_required: Patch<bool>,
    metrics: Patch<Vec<Part<Metric>>>,
    windows: Patch<Vec<Part<Window>>>,
    plan: Option<Reference>,
    bundles: Option<Vec<Reference>>,
    /// What only fixtures say.
    restored: Option<(Seeded, Option<String>)>,
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
            tracking: attributes.patch("tracking"),
            thread: attributes.patch_with("_thread", |node| node.short()),
            frequency_goal: attributes.patch_with("frequency_goal", frequency_goal),
            identifiers: attributes.patch("identifiers"),
            details: attributes.patch_with("details", |node| node.free_object()),
            intake: attributes.patch_with("intake", |node| node.free_object()),
            metric_required: attributes.patch("metric_required"),
            metrics: attributes.patch("metrics"),
            windows: attributes.patch("windows"),
            plan: read_plan(relationships, new),
            bundles: relationships.to_many("bundles", Bundle::TYPE, |bundle| bundle.required_reference()),
            restored: None,
        }
    }

    fn apply(&self, row: &mut Row, now: Instant) {
        row.kind = self.kind.clone().unwrap_or_else(|| row.kind.clone());
        row.title = self.title.clone().unwrap_or_else(|| row.title.clone());
        row.effective_from = self.effective_from.unwrap_or(row.effective_from);
        self.effective_to.apply(&mut row.effective_to);
        self.tracking.apply_or(&mut row.tracking, true);
        self.thread.apply_or(&mut row.thread, String::new());
        if row.thread.is_empty() {
            row.thread = default_thread(row);
        }
        self.frequency_goal.apply(&mut row.frequency_goal);
        self.metric_required.apply_or(&mut row.metric_required, false);
        self.details.apply(&mut row.details);
        self.intake.apply(&mut row.intake);
        apply_parts(&self.identifiers, &mut row.identifiers, now);
        apply_parts(&self.metrics, &mut row.metrics, now);
        apply_parts(&self.windows, &mut row.windows, now);
    }

    fn row(&self, scope: &Scope, plan: Id) -> Row {
        let (seeded, static_title) = self.restored.clone().unwrap_or_else(|| (Seeded::now(scope), None));
        let mut row = Row {
            id: seeded.id,
            organization_id: scope.organization,
            plan_id: plan,
            kind: String::new(),
            title: String::new(),
            static_title,
            effective_from: Instant::default(),
            effective_to: None,
            tracking: true,
            thread: String::new(),
            frequency_goal: None,
            identifiers: Json::empty_list(),
            details: None,
            intake: None,
            metric_required: false,
            metrics: Json::empty_list(),
            windows: Json::empty_list(),
            created_at: seeded.created_at,
            updated_at: seeded.updated_at,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        };
        self.apply(&mut row, scope.now);
        row
    }
}

/// Results of measurements carry their type as their thread. What else there is
/// to do has one type for all of it, so the title tells it apart.
fn default_thread(row: &Row) -> String {
    match row.kind.as_str() {
        "other_lifestyle" => auth::hash(&format!("{} {}", row.plan_id, row.title)),
        kind => kind.to_owned(),
    }
}

fn apply_parts<T: Clone>(parts: &Patch<Vec<Part<T>>>, attribute: &mut Json, now: Instant)
where
    Part<T>: Serialize,
{
    match parts {
        Patch::Value(parts) => *attribute = Json::of(&Part::with_ids(parts, now)),
        Patch::Null => *attribute = Json::empty_list(),
        Patch::Absent => {}
    }
}

fn frequency_goal(node: &Node<'_, '_>) -> Option<Json> {
    node.object(|goal| {
        let days = goal.optional_with("weeks", |weeks| {
            weeks.object(|weeks| weeks.optional_with("days", |days| days.list(day_of_week)))
        });
        Json::of(&FrequencyGoal { weeks: days.flatten().map(|days| Weeks { days }) })
    })
}

fn day_of_week(node: &Node<'_, '_>) -> Option<u32> {
    let day = i64::read(node)?;
    let known = u32::try_from(day).ok().filter(|day| *day < 7);
    if known.is_none() {
        node.fault(format!("{day} is not a day of the week, from 0 for Sunday to 6 for Saturday"));
    }
    known
}

impl Create for Action {
    const CREATED: StatusCode = StatusCode::CREATED;
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
        let known = bundle::known(db, scope, all().flat_map(|changes| changes.bundles.iter().flatten()))?;
        let is_plan = |id: &Id| plans.contains(id);
        let plan_of = |bundle: &Id| known.get(bundle).copied();
        let (mut rows, mut members) = (Vec::new(), Vec::new());
        for changes in all() {
            let Some(plan) = resolve_plan(changes.plan.as_ref(), is_plan, &notes.faults) else { continue };
            let row = changes.row(scope, plan);
            let bundles = of_plan(changes.bundles.iter().flatten(), plan, plan_of, "bundle", &notes.faults);
            members.extend(bundles.into_iter().map(|bundle| (bundle, row.id)));
            rows.push(row);
        }
        notes.check()?;
        insert_all::<_, Row>(db, actions::table, &rows)?;
        Member::append(db, members)?;
        Ok(Self::measured(db, scope, rows)?.into_iter().map(Written::Created).collect())
    }
}

impl Update for Action {
    type Changes = Changes;

    fn changes(item: &Item<'_, '_>) -> Changes {
        Changes::read(item, false)
    }

    fn update(db: &mut Conn, scope: &Scope, action: Self, changes: &Changes, notes: &Notes) -> Result<Self> {
        let Row { id, plan_id, .. } = action.row;
        check_same_plan(changes.plan.as_ref(), plan_id, &notes.faults);
        let known = bundle::known(db, scope, changes.bundles.iter().flatten())?;
        let plan_of = |bundle: &Id| known.get(bundle).copied();
        let bundles = of_plan(changes.bundles.iter().flatten(), plan_id, plan_of, "bundle", &notes.faults);
        notes.check()?;
        let mut row = action.row;
        changes.apply(&mut row, scope.now);
        row.updated_at = scope.now;
        row.updated_by = Some(scope.client.clone());
        diesel::update(actions::table.find(id)).set(&row).execute(db)?;
        if changes.bundles.is_some() {
            let memberships = || bundle_actions::table.filter(bundle_actions::action_id.eq(id));
            let stays: Vec<Id> = memberships().select(bundle_actions::bundle_id).load(db)?;
            diesel::delete(memberships().filter(bundle_actions::bundle_id.ne_all(&bundles))).execute(db)?;
            let joined: HashSet<Id> = stays.into_iter().collect();
            let new = bundles.into_iter().filter(|bundle| !joined.contains(bundle));
            Member::append(db, new.map(|bundle| (bundle, id)).collect())?;
        }
        Self::measured(db, scope, vec![row])?
            .pop()
            .ok_or_else(|| Error::Internal("an action was lost on the way".into()))
    }
}

impl Seed for Action {
    const NAME: &'static str = Self::TYPE;

    type New = Changes;

    fn read_seed(item: &Item<'_, '_>) -> Changes {
        let restored = (Seeded::read(item), item.attributes.optional("static_title"));
        Changes { restored: Some(restored), ..Changes::read(item, true) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        actions::table.filter(actions::id.eq_any(ids)).select((actions::id, actions::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<Changes>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(actions::table.filter(actions::organization_id.eq(organization))).execute(db).map(drop)
    }
}
