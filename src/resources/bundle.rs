//! `bundle`: actions of a plan that belong together.

use std::collections::{HashMap, HashSet};

use actix_web::http::StatusCode;
use diesel::dsl::max;
use diesel::prelude::*;
use serde::Serialize;

use super::action::{self, Action, check_same_plan, read_plan};
use super::patient_plan_summary::{self as plan, Plan};
use crate::auth::Scope;
use crate::db::schema::{bundle_actions, bundles};
use crate::db::{Backend, Conn, Page, Sort, SortValue, Window, chunks, insert_all, load_page};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Linkage, Relationship, Relationships};
use crate::jsonapi::document::ClientId;
use crate::jsonapi::{Filters, Identifier, Item, Items, Notes, PagingRules, Patch, Reference};
use crate::resource::{Create, Fetch, HasMany, HasOne, List, Resource, Update, Written};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row, with its actions: its attributes.
#[derive(Clone, Debug, Serialize)]
pub struct Bundle {
    #[serde(flatten)]
    row: Row,
    #[serde(rename = "_actions")]
    actions: Vec<Id>,
}

/// A row.
#[derive(Clone, Debug, Queryable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = bundles, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Row {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its patient.
    #[serde(skip)]
    pub organization_id: Id,
    /// The plan.
    #[serde(skip)]
    pub plan_id: Id,
    /// What kind of bundle it is; any text.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is called.
    pub title: String,
    /// When it begins.
    pub effective_from: Instant,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_to: Option<Instant>,
    /// What the results of its actions have in common.
    #[serde(rename = "_thread")]
    pub thread: String,
    /// When it was made.
    #[serde(skip)]
    pub created_at: Instant,
    /// When it was last changed.
    #[serde(skip)]
    pub updated_at: Instant,
    /// The client that made it.
    #[serde(skip)]
    pub created_by: Option<String>,
    /// The client that last changed it.
    #[serde(skip)]
    pub updated_by: Option<String>,
}

impl From<Row> for Bundle {
    fn from(row: Row) -> Self {
        Self { row, actions: Vec::new() }
    }
}

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

impl Resource for Bundle {
    const TYPE: &'static str = "bundle";
    const INCLUDED: bool = true;

    fn id(&self) -> Id {
        self.row.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |bundle: &Self| {
            let actions = bundle.actions.iter().map(|id| Identifier::new(Action::TYPE, *id)).collect();
            vec![
                Relationship::one("plan", Plan::TYPE, bundle.row.plan_id),
                Relationship { name: "actions", data: Linkage::Many(actions) },
            ]
        };
        Ok(rows.iter().map(of).collect())
    }
}

fn visible<'q>(scope: &Scope) -> bundles::BoxedQuery<'q, Backend> {
    let mine = bundles::table.filter(bundles::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(bundles::plan_id.eq_any(plan::ids_of_groups(ids.clone()))),
    }
}

impl Bundle {
    /// Rows, with their actions.
    fn filled(db: &mut Conn, rows: Vec<Row>) -> Result<Vec<Self>> {
        let mut actions: HashMap<Id, Vec<Id>> = HashMap::new();
        for chunk in chunks(rows.iter().map(|row| row.id)) {
            let query = bundle_actions::table
                .filter(bundle_actions::bundle_id.eq_any(chunk))
                .select((bundle_actions::bundle_id, bundle_actions::action_id))
                .order((bundle_actions::bundle_id, bundle_actions::position));
            for (bundle, action) in query.load::<(Id, Id)>(db)? {
                actions.entry(bundle).or_default().push(action);
            }
        }
        let mut take = |row: Row| Self { actions: actions.remove(&row.id).unwrap_or_default(), row };
        Ok(rows.into_iter().map(&mut take).collect())
    }
}

impl Fetch for Bundle {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        let row = visible(scope).filter(bundles::id.eq(id)).first(db).optional()?.ok_or_else(Fault::not_found)?;
        Self::filled(db, vec![row])?.pop().ok_or_else(|| Fault::not_found().into())
    }
}

/// What a list of bundles is filtered by: only the server can ask for one.
#[derive(Debug, Default)]
pub struct BundleFilter {
    plan: Option<Id>,
    action: Option<Id>,
}

impl List for Bundle {
    const SORTS: &'static [Sort<Self>] = &[
        Sort {
            name: "created_at",
            column: "bundles.created_at",
            value: SortValue::Instant(|bundle| bundle.row.created_at),
        },
        Sort {
            name: "updated_at",
            column: "bundles.updated_at",
            value: SortValue::Instant(|bundle| bundle.row.updated_at),
        },
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = BundleFilter;

    fn filter(_: &Filters<'_>) -> BundleFilter {
        BundleFilter::default()
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &BundleFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        faults.check()?;
        let Page { rows, count, more } = load_page::<Row, _, Self>(db, window, "bundles", || {
            let mut query = visible(scope);
            if let Some(plan) = filter.plan {
                query = query.filter(bundles::plan_id.eq(plan));
            }
            if let Some(action) = filter.action {
                let related = bundle_actions::table.filter(bundle_actions::action_id.eq(action));
                query = query.filter(bundles::id.eq_any(related.select(bundle_actions::bundle_id)));
            }
            query
        })?;
        let rows = Self::filled(db, rows.into_iter().map(|bundle| bundle.row).collect())?;
        Ok(Page { rows, count, more })
    }
}

impl HasMany<Bundle> for Plan {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<BundleFilter> {
        plan::patient_of(db, scope, id)?;
        Ok(BundleFilter { plan: Some(id), ..BundleFilter::default() })
    }
}

impl HasMany<Bundle> for Action {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<BundleFilter> {
        Self::fetch(db, scope, id)?;
        Ok(BundleFilter { action: Some(id), ..BundleFilter::default() })
    }
}

impl HasOne<Plan> for Bundle {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Plan> {
        let bundle = Self::fetch(db, scope, id)?;
        Plan::fetch(db, scope, bundle.row.plan_id)
    }
}

/// The bundles of plans.
///
/// # Errors
/// When the database fails.
pub fn of_plans(db: &mut Conn, plans: &[Id]) -> Result<Vec<Bundle>> {
    let mut rows = Vec::new();
    for chunk in chunks(plans.iter().copied()) {
        rows.extend(bundles::table.filter(bundles::plan_id.eq_any(chunk)).order(bundles::id).load::<Row>(db)?);
    }
    Bundle::filled(db, rows)
}

/// The ids of the bundles of plans.
///
/// # Errors
/// When the database fails.
pub fn ids_by_plan(db: &mut Conn, plans: &[Id]) -> Result<HashMap<Id, Vec<Id>>> {
    let mut found: HashMap<Id, Vec<Id>> = HashMap::new();
    for chunk in chunks(plans.iter().copied()) {
        let query = bundles::table.filter(bundles::plan_id.eq_any(chunk)).order(bundles::id);
        for (plan, bundle) in query.select((bundles::plan_id, bundles::id)).load::<(Id, Id)>(db)? {
            found.entry(plan).or_default().push(bundle);
        }
    }
    Ok(found)
}

/// Those of these bundles that are within the scope, with their plans.
///
/// # Errors
/// When the database fails.
pub fn known<'n>(
    db: &mut Conn,
    scope: &Scope,
    named: impl IntoIterator<Item = &'n Reference>,
) -> Result<HashMap<Id, Id>> {
    let ids: HashSet<Id> = named.into_iter().filter_map(|reference| reference.id).collect();
    let mut known = HashMap::new();
    for chunk in chunks(ids) {
        let query = visible(scope).filter(bundles::id.eq_any(chunk)).select((bundles::id, bundles::plan_id));
        known.extend(query.load::<(Id, Id)>(db)?);
    }
    Ok(known)
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
                faults.add(Fault::body("", detail).at(reference.source.clone()));
            }
        }
    }
    ids
}

/// An action's place in a bundle.
#[derive(Insertable)]
#[diesel(table_name = bundle_actions)]
pub struct Member {
    bundle_id: Id,
    action_id: Id,
    position: i32,
}

impl Member {
    fn of(bundle_id: Id, actions: &[Id]) -> impl Iterator<Item = Self> {
        (0..).zip(actions).map(move |(position, action_id)| Self { bundle_id, action_id: *action_id, position })
    }

    /// Puts actions at the end of bundles.
    ///
    /// # Errors
    /// When the database fails.
    pub fn append(db: &mut Conn, pairs: Vec<(Id, Id)>) -> Result<()> {
        let mut ends: HashMap<Id, i32> = HashMap::new();
        for chunk in chunks(pairs.iter().map(|(bundle, _)| *bundle).collect::<HashSet<_>>()) {
            let query = bundle_actions::table
                .filter(bundle_actions::bundle_id.eq_any(chunk))
                .group_by(bundle_actions::bundle_id)
                .select((bundle_actions::bundle_id, max(bundle_actions::position)));
            let found = query.load::<(Id, Option<i32>)>(db)?;
            ends.extend(found.into_iter().filter_map(|(bundle, last)| Some((bundle, last? + 1))));
        }
        let mut place = |(bundle_id, action_id)| {
            let end = ends.entry(bundle_id).or_default();
            *end += 1;
            Self { bundle_id, action_id, position: *end - 1 }
        };
        let members: Vec<_> = pairs.into_iter().map(&mut place).collect();
        Ok(insert_all::<_, Self>(db, bundle_actions::table, &members)?)
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
        let plan_of = |action: &Id| known.get(action).map(|(plan, _)| *plan);
        let (mut rows, mut members, mut written) = (Vec::new(), Vec::new(), Vec::new());
        for changes in all() {
            let Some(named) = &changes.plan else { continue };
            let Some(plan) = named.id.filter(|id| plans.contains(id)) else {
                notes.faults.add(named.unknown("plan summary"));
                continue;
            };
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
