//! `health_profile`: what a patient is asked, counted. Read-only over the API.
//!
//! Every patient has one, made with it; fixtures may give it another id. Its
//! questions are those whose requirements the patient meets today, so the counts
//! are made on every read.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use serde::Serialize;

use super::health_profile_answer as answer;
use super::health_profile_question::{self as question, Question};
use super::health_question_definition::{self as definition, CATEGORIES};
use super::lookup;
use super::patient::{self, Patient, in_groups, of_groups};
use super::reach::{Reach, Reached};
use crate::auth::Scope;
use crate::db::schema::health_profiles as profiles;
use crate::db::{Backend, Conn, Page, Sort, Window, insert_all, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::PagingRules;
use crate::jsonapi::answer::{Identifier, Linkage, Relationship, Relationships};
use crate::jsonapi::{Filters, Included, Item, Items, Notes, Reference};
use crate::resource::{Fetch, HasOne, List, Resource, by_instant};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row with its counts, and its attributes.
#[derive(Clone, Debug, Insertable, Serialize)]
#[diesel(table_name = profiles, treat_none_as_default_value = false)]
pub struct HealthProfile {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its patient.
    #[serde(skip)]
    pub organization_id: Id,
    /// The patient.
    #[serde(skip)]
    pub patient_id: Id,
    /// The counts: of each category, and over all.
    #[diesel(skip_insertion)]
    pub stats: Vec<Stat>,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// How many questions there are, and how many of them have an answer.
#[derive(Clone, Debug, Serialize)]
pub struct Stat {
    category: &'static str,
    answered: u32,
    total: u32,
}

const OVERALL: &str = "overall";

/// The columns.
type Row = (Id, Id, Id, Instant, Instant);

impl From<Row> for HealthProfile {
    fn from((id, organization_id, patient_id, created_at, updated_at): Row) -> Self {
        Self { id, organization_id, patient_id, stats: Vec::new(), created_at, updated_at }
    }
}

impl Resource for HealthProfile {
    const TYPE: &'static str = "health_profile";
    const INCLUDES: &'static [&'static str] = &["patient", "questions"];

    fn id(&self) -> Id {
        self.id
    }

    fn relationships(db: &mut Conn, scope: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let mut questions: HashMap<Id, Vec<Identifier>> = HashMap::new();
        for question in question::of_patients(db, scope, rows.iter().map(|row| row.patient_id))? {
            questions.entry(question.patient_id).or_default().push(Identifier::new(Question::TYPE, question.id));
        }
        let take = |row: &Self| {
            let questions = questions.remove(&row.patient_id).unwrap_or_default();
            vec![
                Relationship::one("patient", Patient::TYPE, row.patient_id),
                Relationship { name: "questions", data: Linkage::Many(questions) },
            ]
        };
        Ok(rows.iter().map(take).collect())
    }

    fn include(db: &mut Conn, scope: &Scope, rows: &[Self], path: &str, included: &mut Included) -> Result<()> {
        let patients = rows.iter().map(|row| row.patient_id);
        if path == "patient" {
            let patients = patient::load(db, scope, patients)?;
            return included.add_all(db, scope, &patients);
        }
        let questions = question::of_patients(db, scope, patients)?;
        included.add_all(db, scope, &questions)
    }
}

fn visible<'q>(scope: &Scope) -> profiles::BoxedQuery<'q, Backend> {
    let mine = rows_of(profiles::table).filter(profiles::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(in_groups(profiles::patient_id, ids)),
    }
}

/// The profile of this id, without its counts.
///
/// # Errors
/// 404 when there is none within the scope.
pub fn uncounted(db: &mut Conn, scope: &Scope, id: Id) -> Result<HealthProfile> {
    let found: Option<Row> = visible(scope).filter(profiles::id.eq(id)).first(db).optional()?;
    Ok(found.map(HealthProfile::from).ok_or_else(Fault::not_found)?)
}

/// Counts the questions and answers of a page.
fn count(db: &mut Conn, scope: &Scope, rows: &mut [HealthProfile]) -> Result<()> {
    let patients = || rows.iter().map(|row| row.patient_id);
    let definitions = definition::all(db, scope)?;
    let categories: HashMap<Id, &str> =
        definitions.iter().map(|definition| (definition.id, definition.category.as_str())).collect();
    let answers = answer::of_patients(db, scope, patients())?;
    let answered: HashSet<(Id, Id)> = answers.iter().map(|answer| (answer.patient_id, answer.question_id)).collect();

    let mut counts: HashMap<(Id, &str), (u32, u32)> = HashMap::new();
    for Question { patient_id, definition_id, .. } in question::of_patients(db, scope, patients())? {
        let has_answer = answered.contains(&(patient_id, definition_id));
        for category in categories.get(&definition_id).copied().into_iter().chain([OVERALL]) {
            let (answered, total) = counts.entry((patient_id, category)).or_default();
            *answered += u32::from(has_answer);
            *total += 1;
        }
    }
    for row in rows {
        let stat = |category| {
            let (answered, total) = counts.get(&(row.patient_id, category)).copied().unwrap_or_default();
            Stat { category, answered, total }
        };
        row.stats = CATEGORIES.into_iter().chain([OVERALL]).map(stat).collect();
    }
    Ok(())
}

impl Fetch for HealthProfile {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        let mut rows = [uncounted(db, scope, id)?];
        count(db, scope, &mut rows)?;
        let [row] = rows;
        Ok(row)
    }
}

impl HasOne<Patient> for HealthProfile {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let profile = uncounted(db, scope, id)?;
        Patient::fetch(db, scope, profile.patient_id)
    }
}

impl HasOne<HealthProfile> for Question {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<HealthProfile> {
        let question = Self::fetch(db, scope, id)?;
        let of_patient = visible(scope).filter(profiles::patient_id.eq(question.patient_id));
        let profile = of_patient.select(profiles::id).first(db)?;
        HealthProfile::fetch(db, scope, profile)
    }
}

impl List for HealthProfile {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "health_profiles.created_at", |row| row.created_at),
        by_instant("updated_at", "health_profiles.updated_at", |row| row.updated_at),
    ];
    const PAGING: PagingRules = PagingRules::ALWAYS;

    type Filter = Reach;

    fn filter(filters: &Filters<'_>) -> Reach {
        Reach::require(filters)
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &Reach,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let Reached { groups, patient } = filter.check(db, scope, faults)?;
        faults.check()?;
        let mut page = load_page::<Row, _, _>(db, window, "health_profiles", || {
            let mut query = visible(scope);
            if let Some(patient) = patient {
                query = query.filter(profiles::patient_id.eq(patient));
            }
            if let Some(groups) = &groups {
                query = query.filter(profiles::patient_id.eq_any(of_groups(groups.clone())));
            }
            query
        })?;
        count(db, scope, &mut page.rows)?;
        Ok(page)
    }
}

/// The ids of the profiles of these patients, by patient.
///
/// # Errors
/// When the database fails.
pub fn of_patients(db: &mut Conn, scope: &Scope, patients: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Id>> {
    lookup::collect(patients, |ids| {
        visible(scope).filter(profiles::patient_id.eq_any(ids)).select((profiles::patient_id, profiles::id)).load(db)
    })
}

/// The ids of all profiles within the scope, and of their patients.
///
/// # Errors
/// When the database fails.
pub fn all(db: &mut Conn, scope: &Scope) -> Result<Vec<(Id, Id)>> {
    Ok(visible(scope).order(profiles::id).select((profiles::id, profiles::patient_id)).load(db)?)
}

/// Gives new patients their profiles, with all questions.
///
/// # Errors
/// When the database fails.
pub fn add(db: &mut Conn, scope: &Scope, patients: &[Patient]) -> Result<()> {
    let profile = |patient: &Patient| HealthProfile {
        id: Id::new(scope.now),
        organization_id: scope.organization,
        patient_id: patient.id,
        stats: Vec::new(),
        created_at: patient.created_at,
        updated_at: patient.created_at,
    };
    let rows: Vec<_> = patients.iter().map(profile).collect();
    insert_all::<_, HealthProfile>(db, profiles::table, &rows)?;
    let patients: Vec<_> = patients.iter().map(|patient| patient.id).collect();
    let definitions = definition::all(db, scope)?;
    question::add(db, scope, &patients, &definitions)
}

/// What a fixture says of the profile that a patient has already.
#[derive(Debug)]
pub struct Restored {
    row: Seeded,
    patient: Option<Reference>,
}

impl Seed for HealthProfile {
    const NAME: &'static str = Self::TYPE;

    type New = Restored;

    fn read_seed(item: &Item<'_, '_>) -> Restored {
        let patient = item.relationships.required_one("patient", Patient::TYPE, |patient| patient.required_reference());
        Restored { row: Seeded::read(item), patient }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        profiles::table.filter(profiles::id.eq_any(ids)).select((profiles::id, profiles::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<Restored>, notes: &Notes) -> Result<()> {
        let named = new.items.iter().filter_map(|(_, new)| new.patient.as_ref());
        let known = patient::known(db, scope, named.clone().filter_map(|named| named.id))?;
        let mut seen = HashSet::new();
        for named in named {
            match named.id.filter(|id| known.contains(id)) {
                None => notes.faults.add(patient::unknown(named)),
                Some(id) if !seen.insert(id) => {
                    notes.faults.add(Fault::named(&named.source, "has another profile in the fixture"));
                }
                Some(_) => {}
            }
        }
        notes.check()?;
        for (_, Restored { row, patient }) in &new.items {
            let Some(patient) = patient.as_ref().and_then(|patient| patient.id) else { continue };
            let of_patient = profiles::table.filter(profiles::patient_id.eq(patient));
            let changes = (
                profiles::id.eq(row.id),
                profiles::created_at.eq(row.created_at),
                profiles::updated_at.eq(row.updated_at),
            );
            diesel::update(of_patient).set(changes).execute(db)?;
        }
        Ok(())
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(profiles::table.filter(profiles::organization_id.eq(organization))).execute(db).map(drop)
    }
}
