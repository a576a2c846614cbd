//! `health_profile_answer`: what a patient last answered to a question, and what
//! before. Read-only over the API.
//!
//! `question_id` is the number of the definition, not the id of the
//! `health_profile_question`, as in the vendor's examples.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use serde::Serialize;

use super::coach;
use super::health_profile_question::Question;
use super::health_question_definition as definition;
use super::lookup;
use super::patient::{self, Patient, in_groups, of_groups};
use super::reach::{Reach, Reached};
use crate::auth::Scope;
use crate::db::schema::health_profile_answers as answers;
use crate::db::{Backend, Conn, Json, Page, Sort, Window, insert_all, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::PagingRules;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::jsonapi::{Filters, Included, Item, Items, Node, Notes, Read, Reference};
use crate::resource::{Fetch, HasOne, List, Resource, by_instant};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = answers, treat_none_as_default_value = false)]
pub struct Answer {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its patient.
    #[serde(skip)]
    pub organization_id: Id,
    /// The patient.
    #[serde(skip)]
    pub patient_id: Id,
    /// The definition of the question.
    pub question_id: Id,
    /// What was answered last, when and by whom.
    pub latest: Json,
    /// The same of the answers before it.
    pub history: Json,
    /// When it was first given.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// An answer at a time.
#[derive(Debug, Serialize)]
struct Entry {
    answered_at: Instant,
    value: String,
    #[serde(rename = "_created_by", skip_serializing_if = "Option::is_none")]
    created_by: Option<Id>,
    #[serde(rename = "_id", skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
}

impl Resource for Answer {
    const TYPE: &'static str = "health_profile_answer";
    const INCLUDES: &'static [&'static str] = &["patient"];

    fn id(&self) -> Id {
        self.id
    }

    fn relationships(_: &mut Conn, _: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let of = |row: &Self| vec![Relationship::one("patient", Patient::TYPE, row.patient_id)];
        Ok(rows.iter().map(of).collect())
    }

    fn include(db: &mut Conn, scope: &Scope, rows: &[Self], _: &str, included: &mut Included) -> Result<()> {
        let patients = patient::load(db, scope, rows.iter().map(|row| row.patient_id))?;
        included.add_all(db, scope, &patients)
    }
}

fn visible<'q>(scope: &Scope) -> answers::BoxedQuery<'q, Backend> {
    let mine = rows_of(answers::table).filter(answers::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(in_groups(answers::patient_id, ids)),
    }
}

impl Fetch for Answer {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(answers::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

impl HasOne<Patient> for Answer {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let answer = Self::fetch(db, scope, id)?;
        Patient::fetch(db, scope, answer.patient_id)
    }
}

impl HasOne<Answer> for Question {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Answer> {
        let question = Self::fetch(db, scope, id)?;
        let of_patient = visible(scope).filter(answers::patient_id.eq(question.patient_id));
        let found = of_patient.filter(answers::question_id.eq(question.definition_id)).first(db).optional()?;
        found.ok_or_else(|| Fault::not_found().into())
    }
}

impl List for Answer {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "health_profile_answers.created_at", |row| row.created_at),
        by_instant("updated_at", "health_profile_answers.updated_at", |row| row.updated_at),
    ];
    const PAGING: PagingRules = PagingRules { always: true, size: (50, 100) };

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
        load_page::<Self, _, _>(db, window, "health_profile_answers", || {
            let mut query = visible(scope);
            if let Some(patient) = patient {
                query = query.filter(answers::patient_id.eq(patient));
            }
            if let Some(groups) = &groups {
                query = query.filter(answers::patient_id.eq_any(of_groups(groups.clone())));
            }
            query
        })
    }
}

/// What these patients have answered.
///
/// # Errors
/// When the database fails.
pub fn of_patients(db: &mut Conn, scope: &Scope, patients: impl IntoIterator<Item = Id>) -> Result<Vec<Answer>> {
    let mut found: Vec<Answer> =
        lookup::collect(patients, |ids| visible(scope).filter(answers::patient_id.eq_any(ids)).load(db))?;
    // Sorted here: for an order by id SQLite would read the answers of everybody.
    found.sort_by_key(|answer| answer.id);
    Ok(found)
}

/// An answer to be, as a fixture describes it.
#[derive(Debug)]
pub struct NewAnswer {
    row: Seeded,
    patient: Option<Reference>,
    question: Option<Reference>,
    latest: Option<NewEntry>,
    history: Vec<NewEntry>,
}

/// An entry to be.
#[derive(Debug)]
struct NewEntry {
    answered_at: Instant,
    value: String,
    created_by: Option<Reference>,
    id: Option<Id>,
}

impl Read for NewEntry {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|entry| Self {
            answered_at: entry.required("answered_at"),
            value: entry.required("value"),
            created_by: entry.optional("_created_by"),
            id: entry.optional::<Reference>("_id").and_then(|reference| reference.id),
        })
    }
}

impl NewEntry {
    fn entry(&self, id: Option<Id>) -> Entry {
        let created_by = self.created_by.as_ref().and_then(|person| person.id);
        Entry { answered_at: self.answered_at, value: self.value.clone(), created_by, id }
    }
}

impl NewAnswer {
    fn people(&self) -> impl Iterator<Item = &Reference> {
        self.latest.iter().chain(&self.history).filter_map(|entry| entry.created_by.as_ref())
    }

    fn row(&self, scope: &Scope, patient_id: Id, question_id: Id, latest: &NewEntry) -> Answer {
        let before = |entry: &NewEntry| entry.entry(Some(entry.id.unwrap_or_else(|| Id::new(scope.now))));
        Answer {
            id: self.row.id,
            organization_id: scope.organization,
            patient_id,
            question_id,
            latest: Json::of(&latest.entry(None)),
            history: Json::of(&self.history.iter().map(before).collect::<Vec<_>>()),
            created_at: self.row.created_at,
            updated_at: self.row.updated_at,
        }
    }
}

impl Seed for Answer {
    const NAME: &'static str = Self::TYPE;

    type New = NewAnswer;

    fn read_seed(item: &Item<'_, '_>) -> NewAnswer {
        let patient = item.relationships.required_one("patient", Patient::TYPE, |patient| patient.required_reference());
        NewAnswer {
            row: Seeded::read(item),
            patient,
            question: item.attributes.required_with("question_id", Reference::read),
            latest: item.attributes.required_with("latest", NewEntry::read),
            history: item.attributes.optional("history").unwrap_or_default(),
        }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        answers::table.filter(answers::id.eq_any(ids)).select((answers::id, answers::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewAnswer>, notes: &Notes) -> Result<()> {
        let all = || new.items.iter().map(|(_, answer)| answer);
        let named = all().filter_map(|answer| answer.patient.as_ref()?.id);
        let people = || all().flat_map(NewAnswer::people);
        let patients = patient::known(db, scope, named.chain(people().filter_map(|person| person.id)))?;
        let coaches = coach::known(db, scope, people())?;
        let definitions: HashSet<Id> = definition::all(db, scope)?.iter().map(|definition| definition.id).collect();
        let mut taken: HashMap<(Id, Id), Id> = of_patients(db, scope, patients.iter().copied())?
            .into_iter()
            .map(|answer| ((answer.patient_id, answer.question_id), answer.id))
            .collect();

        let mut rows = Vec::with_capacity(new.items.len());
        for answer in all() {
            for person in answer.people() {
                if !person.id.is_some_and(|id| patients.contains(&id) || coaches.contains(&id)) {
                    let detail = "there is no patient and no coach of this id in the organization";
                    notes.faults.add(Fault::named(&person.source, detail));
                }
            }
            let (Some(patient), Some(question), Some(latest)) = (&answer.patient, &answer.question, &answer.latest)
            else {
                continue;
            };
            let (of, to) =
                (patient.id.filter(|id| patients.contains(id)), question.id.filter(|id| definitions.contains(id)));
            if of.is_none() {
                notes.faults.add(patient::unknown(patient));
            }
            if to.is_none() {
                let detail = "there is no health question definition of this id in the organization";
                notes.faults.add(Fault::named(&question.source, detail));
            }
            let (Some(of), Some(to)) = (of, to) else { continue };
            if let Some(other) = taken.insert((of, to), answer.row.id) {
                let detail = format!("has been answered by the patient already, in {other}");
                notes.faults.add(Fault::named(&question.source, detail));
            }
            rows.push(answer.row(scope, of, to, latest));
        }
        notes.check()?;
        Ok(insert_all::<_, Answer>(db, answers::table, &rows)?)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(answers::table.filter(answers::organization_id.eq(organization))).execute(db).map(drop)
    }
}
