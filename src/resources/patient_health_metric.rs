//! `patient_health_metric`: a measurement of a patient, such as a weight or a
//! lab result.
//!
//! Imported in bulk and never changed. `value`, `unit` and `code` are kept and
//! answered to the letter: `"121"`, `121` and `121.0` are three values.

use std::collections::{HashMap, HashSet};

use actix_web::http::StatusCode;
use diesel::prelude::*;
use serde::Serialize;

use super::patient::{self, Patient};
use super::{group, loinc};
use crate::auth::Scope;
use crate::db::schema::{patient_groups, patient_health_metrics as metrics};
use crate::db::{Backend, Conn, Json, KeyValue, Page, Sort, Window, chunks, insert_all, load_page};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Identifier, Linkage, Relationship, Relationships};
use crate::jsonapi::document::ClientId;
use crate::jsonapi::query::PagingRules;
use crate::jsonapi::{Filters, Item, Items, Node, Notes, Object, Read, Reference};
use crate::resource::{Create, Fetch, HasOne, List, Resource, Written};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = metrics, treat_none_as_default_value = false)]
pub struct Metric {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its patient.
    #[serde(skip)]
    pub organization_id: Id,
    /// The patient.
    #[serde(skip)]
    pub patient_id: Id,
    /// What was measured: one of [`loinc`]'s types.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same as a code, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Json>,
    /// The value, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// The systolic blood pressure, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systolic: Option<Json>,
    /// The diastolic blood pressure, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diastolic: Option<Json>,
    /// The unit, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Json>,
    /// When it was measured.
    pub occurred_at: Instant,
    /// When it was stored.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// The client that stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The client that last changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
}

/// A measurement as a client describes it.
#[derive(Debug)]
pub struct NewMetric {
    kind: &'static str,
    code: Option<Json>,
    value: Option<Json>,
    systolic: Option<Json>,
    diastolic: Option<Json>,
    unit: Option<Json>,
    occurred_at: Instant,
    patient: Option<patient::Target>,
    row: Option<Seeded>,
}

impl Resource for Metric {
    const TYPE: &'static str = "patient_health_metric";

    fn id(&self) -> Id {
        self.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let patient = |row: &Self| Linkage::One(Identifier::new(Patient::TYPE, row.patient_id));
        Ok(rows.iter().map(|row| vec![Relationship { name: "patient", data: patient(row) }]).collect())
    }
}

fn visible<'q>(scope: &Scope) -> metrics::BoxedQuery<'q, Backend> {
    let mine = metrics::table.filter(metrics::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(metrics::patient_id.eq_any(of_groups(ids.clone()))),
    }
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of_groups(ids: Vec<Id>) -> _ {
    patient_groups::table.filter(patient_groups::group_id.eq_any(ids)).select(patient_groups::patient_id)
}

impl Fetch for Metric {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(metrics::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

impl HasOne<Patient> for Metric {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let metric = Self::fetch(db, scope, id)?;
        Patient::fetch(db, scope, metric.patient_id)
    }
}

/// What a list of measurements is filtered by.
#[derive(Debug)]
pub struct MetricFilter {
    patient: Option<Reference>,
    groups: Option<Vec<Reference>>,
    organization: Option<Reference>,
}

impl List for Metric {
    const SORTS: &'static [Sort<Self>] = &[
        Sort {
            name: "created_at",
            column: "patient_health_metrics.created_at",
            value: |row| KeyValue::Instant(row.created_at),
        },
        Sort {
            name: "updated_at",
            column: "patient_health_metrics.updated_at",
            value: |row| KeyValue::Instant(row.updated_at),
        },
        Sort {
            name: "occurred_at",
            column: "patient_health_metrics.occurred_at",
            value: |row| KeyValue::Instant(row.occurred_at),
        },
    ];
    const PAGING: PagingRules = PagingRules::ALWAYS;

    type Filter = MetricFilter;

    fn filter(filters: &Filters<'_>) -> MetricFilter {
        let filter = MetricFilter {
            patient: filters.reference("filter[patient]"),
            groups: filters.groups(),
            organization: filters.reference("filter[organization]"),
        };
        filters.require_one_of(&["filter[patient]", "filter[groups]", "filter[organization]"]);
        filter
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &MetricFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        if let Some(organization) = &filter.organization {
            scope.check_organization(organization, faults);
        }
        let groups = filter.groups.as_deref().map(|named| group::check(db, scope, named, faults)).transpose()?;
        if let Some(patient) = &filter.patient
            && patient::known(db, scope, patient.id)?.is_empty()
        {
            faults.add(patient::unknown(patient));
        }
        faults.check()?;
        let patient = filter.patient.as_ref().and_then(|patient| patient.id);
        load_page(db, window, "patient_health_metrics", || {
            let mut query = visible(scope);
            if let Some(patient) = patient {
                query = query.filter(metrics::patient_id.eq(patient));
            }
            if let Some(groups) = &groups {
                query = query.filter(metrics::patient_id.eq_any(of_groups(groups.clone())));
            }
            query
        })
    }
}

impl NewMetric {
    fn read(item: &Item<'_, '_>) -> Self {
        let attributes = item.attributes;
        let code = attributes.optional_with("code", Code::read);
        let kind = read_type(attributes, code.as_ref());
        let read_number = |name| attributes.optional_with(name, number);
        let metric = Self {
            kind: kind.unwrap_or_default(),
            code: code.map(|code| code.sent),
            value: attributes.optional("value"),
            systolic: read_number("systolic"),
            diastolic: read_number("diastolic"),
            unit: attributes.optional("unit"),
            occurred_at: attributes.required("occurred_at"),
            patient: item.relationships.to_one("patient", Patient::TYPE, patient::Target::read),
            row: None,
        };
        let needed: &[&str] = match kind {
            None => &[],
            Some("blood_pressure") => &["systolic", "diastolic"],
            Some(_) => &["value"],
        };
        for name in needed.iter().filter(|name| !attributes.has(name)) {
            attributes.fault(name, format!("is required of the type {:?}", metric.kind));
        }
        if metric.patient.is_none() && !item.relationships.is_faulty("patient") {
            item.relationships.missing("patient");
        }
        metric
    }
}

/// A code, and its exact text.
struct Code {
    system: String,
    value: String,
    sent: Json,
}

impl Code {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        let sent = Json::read(node)?;
        node.object(|code| {
            code.skip(&["display", "label", "version"]);
            Some(Self { system: code.filled("system")?, value: code.filled("value")?, sent })
        })
        .flatten()
    }
}

/// The type that is named, or else the one that the code stands for. Where the
/// two contradict each other the type holds and the code is warned about.
fn read_type(attributes: &Object<'_, '_>, code: Option<&Code>) -> Option<&'static str> {
    let of_code = code.and_then(|code| loinc::type_of_code(&code.system, &code.value));
    let named = attributes.optional_with("type", |node| {
        let name = String::read(node)?;
        let known = loinc::type_named(&name);
        if known.is_none() {
            node.fault(format!("{name:?} is not a type of health metric; those are {}", loinc::type_names()));
        }
        known
    });
    match (named, of_code) {
        (Some(named), Some(of_code)) if named != of_code => {
            let detail = format!("this code stands for {of_code}, but the type is {named}; both were stored as sent");
            attributes.warn("code", detail);
            Some(named)
        }
        (Some(known), _) | (None, Some(known)) if !attributes.is_faulty("type") => Some(known),
        _ => {
            if !attributes.is_faulty("type") && !attributes.is_faulty("code") {
                attributes.fault("type", "is required, or a code of the system LOINC that is known here");
            }
            None
        }
    }
}

fn number(node: &Node<'_, '_>) -> Option<Json> {
    if node.raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Json::read(node);
    }
    node.fault("must be a number");
    None
}

/// What a client says of a whole request.
#[derive(Debug, Default)]
pub struct Options {
    ignore_duplicates: bool,
}

impl Create for Metric {
    const CREATED: StatusCode = StatusCode::OK;
    // The schema lists id as required, so clients send one.
    const CLIENT_ID: ClientId<'static> = ClientId::Ignored;

    type New = NewMetric;
    type Options = Options;

    fn options(meta: &Object<'_, '_>) -> Options {
        Options { ignore_duplicates: meta.optional("ignore_duplicates").unwrap_or(false) }
    }

    fn read(item: &Item<'_, '_>) -> NewMetric {
        NewMetric::read(item)
    }

    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<NewMetric>,
        options: &Options,
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>> {
        if options.ignore_duplicates {
            db.serialize(scope.organization)?;
        }
        let targets = new.items.iter().filter_map(|(_, metric)| metric.patient.as_ref());
        let patients = patient::Targets::look_up(db, scope, targets)?;
        let resolved: Vec<Option<Id>> = new
            .items
            .iter()
            .map(|(_, metric)| patients.resolve(scope, metric.patient.as_ref()?, &notes.faults))
            .collect();
        notes.check()?;

        let rows =
            new.items.iter().zip(resolved).filter_map(|((_, metric), patient)| Some(metric.row(scope, patient?)));
        if !options.ignore_duplicates {
            let rows: Vec<_> = rows.collect();
            insert_all::<_, Metric>(db, metrics::table, &rows)?;
            return Ok(rows.into_iter().map(Written::Created).collect());
        }
        let rows: Vec<_> = rows.collect();
        let mut known = Existing::look_up(db, &rows)?;
        let mut fresh = Vec::new();
        let mut written = Vec::with_capacity(rows.len());
        for row in rows {
            written.push(match known.add(&row) {
                None => {
                    fresh.push(row.clone());
                    Written::Created(row)
                }
                Some(earlier) if !new.many => Written::Skipped(Some(Self::fetch(db, scope, earlier)?)),
                Some(_) => Written::Skipped(None),
            });
        }
        insert_all::<_, Metric>(db, metrics::table, &fresh)?;
        Ok(written)
    }
}

impl NewMetric {
    fn row(&self, scope: &Scope, patient: Id) -> Metric {
        let row = self.row.unwrap_or_else(|| Seeded::now(scope));
        Metric {
            id: row.id,
            organization_id: scope.organization,
            patient_id: patient,
            kind: self.kind.to_owned(),
            code: self.code.clone(),
            value: self.value.clone(),
            systolic: self.systolic.clone(),
            diastolic: self.diastolic.clone(),
            unit: self.unit.clone(),
            occurred_at: self.occurred_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        }
    }
}

/// The measurements that others would be duplicates of: same patient, same
/// type, same instant.
#[derive(Default)]
struct Existing(HashMap<(Id, String, Instant), Id>);

impl Existing {
    fn look_up(db: &mut Conn, rows: &[Metric]) -> Result<Self> {
        let mut instants: HashMap<Id, HashSet<Instant>> = HashMap::new();
        for row in rows {
            instants.entry(row.patient_id).or_default().insert(row.occurred_at);
        }
        let mut known = Self::default();
        for (patient, instants) in instants {
            for chunk in chunks(instants) {
                let found: Vec<(Id, String, Instant)> = metrics::table
                    .filter(metrics::patient_id.eq(patient))
                    .filter(metrics::occurred_at.eq_any(chunk))
                    .select((metrics::id, metrics::kind, metrics::occurred_at))
                    .order(metrics::id.desc())
                    .load(db)?;
                known.0.extend(found.into_iter().map(|(id, kind, at)| ((patient, kind, at), id)));
            }
        }
        Ok(known)
    }

    /// The one that this is a duplicate of; where there is none, this becomes
    /// one that others are duplicates of.
    fn add(&mut self, row: &Metric) -> Option<Id> {
        let key = (row.patient_id, row.kind.clone(), row.occurred_at);
        let earlier = self.0.get(&key).copied();
        if earlier.is_none() {
            self.0.insert(key, row.id);
        }
        earlier
    }
}

impl Seed for Metric {
    fn read_seed(item: &Item<'_, '_>, row: Seeded) -> NewMetric {
        NewMetric { row: Some(row), ..NewMetric::read(item) }
    }
}
