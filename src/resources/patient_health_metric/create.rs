//! How measurements come in: one or many, checked, and told from duplicates.

use std::collections::{HashMap, HashSet};

use actix_web::http::StatusCode;
use diesel::prelude::*;

use super::Metric;
use super::insert::insert;
use crate::auth::Scope;
use crate::db::schema::patient_health_metrics as metrics;
use crate::db::{Conn, Json, chunks};
use crate::error::Result;
use crate::id::Id;
use crate::jsonapi::document::ClientId;
use crate::jsonapi::{Item, Items, Node, Notes, Object, Read};
use crate::resource::{Create, Fetch, Resource, Written};
use crate::resources::counts;
use crate::resources::loinc;
use crate::resources::patient::{self, Patient};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

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
            patient: item.relationships.required_one("patient", Patient::TYPE, patient::Target::read),
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
            code.skip_rest();
            let (system, value) = (code.filled("system"), code.filled("value"));
            Some(Self { system: system?, value: value?, sent })
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
    if node.text().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
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
        let rows: Vec<_> = rows.collect();
        if !options.ignore_duplicates {
            insert(db, &rows)?;
            return Ok(rows.into_iter().map(Written::Created).collect());
        }
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
        insert(db, &fresh)?;
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
    const NAME: &'static str = Self::TYPE;

    type New = NewMetric;

    fn read_seed(item: &Item<'_, '_>) -> NewMetric {
        NewMetric { row: Some(Seeded::read(item)), ..NewMetric::read(item) }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        metrics::table.filter(metrics::id.eq_any(ids)).select((metrics::id, metrics::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewMetric>, notes: &Notes) -> Result<()> {
        Self::create(db, scope, new, &Options::default(), notes).map(drop)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        counts::forget_metrics(db, organization)?;
        diesel::delete(metrics::table.filter(metrics::organization_id.eq(organization))).execute(db).map(drop)
    }
}
