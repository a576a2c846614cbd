//! `health_profile_question`: what ties a patient to a definition, and to the
//! answer. Read-only over the API.
//!
//! There is a row for each patient and definition, and so an id that lasts; what
//! is seen are those whose requirements the patient meets today.

use std::collections::{HashMap, HashSet};

use diesel::dsl::{InnerJoin, IntoBoxed, Select};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::Serialize;

use super::health_profile::{self, HealthProfile};
use super::health_profile_answer::{self as answer, Answer};
use super::health_question_definition::{self as definition, Audience, Definition};
use super::lookup;
use super::patient::{in_groups, of_groups};
use super::reach::{Reach, Reached};
use crate::auth::Scope;
use crate::db::schema::{health_profile_questions as questions, patients};
use crate::db::{Backend, Conn, Page, Sort, Window, insert_all, load_page};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::PagingRules;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::jsonapi::{Filters, Included, Item, Items, Notes, Reference};
use crate::resource::{Fetch, HasMany, HasOne, List, Resource, by_instant};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row. It has no attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = questions, treat_none_as_default_value = false)]
pub struct Question {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its patient.
    #[serde(skip)]
    pub organization_id: Id,
    /// The patient.
    #[serde(skip)]
    pub patient_id: Id,
    /// The definition.
    #[serde(skip)]
    pub definition_id: Id,
    /// When it was made. It never changes.
    #[serde(skip)]
    pub created_at: Instant,
}

impl Resource for Question {
    const TYPE: &'static str = "health_profile_question";
    const INCLUDES: &'static [&'static str] = &["question_definition", "answer"];

    fn id(&self) -> Id {
        self.id
    }

    fn relationships(db: &mut Conn, scope: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let patients = || rows.iter().map(|row| row.patient_id);
        let profiles = health_profile::of_patients(db, scope, patients())?;
        let answers: HashMap<(Id, Id), Id> = answer::of_patients(db, scope, patients())?
            .into_iter()
            .map(|answer| ((answer.patient_id, answer.question_id), answer.id))
            .collect();
        let relationships = |row: &Self| {
            let answer = answers.get(&(row.patient_id, row.definition_id));
            let profile = profiles.get(&row.patient_id);
            // Without an answer there is no relationship, because its link would lead nowhere.
            let answer = answer.map(|id| Relationship::one("answer", Answer::TYPE, *id));
            let profile = profile.map(|id| Relationship::one("profile", HealthProfile::TYPE, *id));
            let definition = Relationship::one("question_definition", Definition::TYPE, row.definition_id);
            answer.into_iter().chain(profile).chain([definition]).collect()
        };
        Ok(rows.iter().map(relationships).collect())
    }

    fn include(db: &mut Conn, scope: &Scope, rows: &[Self], path: &str, included: &mut Included) -> Result<()> {
        if path == "question_definition" {
            let asked: HashSet<Id> = rows.iter().map(|row| row.definition_id).collect();
            let mut definitions = definition::all(db, scope)?;
            definitions.retain(|definition| asked.contains(&definition.id));
            return included.add_all(db, scope, &definitions);
        }
        let asked: HashSet<(Id, Id)> = rows.iter().map(|row| (row.patient_id, row.definition_id)).collect();
        let mut answers = answer::of_patients(db, scope, rows.iter().map(|row| row.patient_id))?;
        answers.retain(|answer| asked.contains(&(answer.patient_id, answer.question_id)));
        included.add_all(db, scope, &answers)
    }
}

/// Questions, with their patients at hand.
type Query<'q> = IntoBoxed<
    'q,
    Select<InnerJoin<questions::table, patients::table>, <questions::table as Table>::AllColumns>,
    Backend,
>;

fn visible<'q>(scope: &Scope, audiences: &[Audience]) -> Query<'q> {
    let mut query = questions::table.inner_join(patients::table).select(questions::all_columns).into_boxed();
    for Audience { definition, born_after, born_until, genders } in audiences {
        let anybody = |requirement: bool| (!requirement).into_sql::<Bool>();
        let asked = questions::definition_id
            .eq(*definition)
            .and(anybody(born_after.is_some()).or(patients::birth_date.gt(*born_after)))
            .and(anybody(born_until.is_some()).or(patients::birth_date.le(*born_until)))
            .and(anybody(genders.is_some()).or(patients::gender.eq_any(genders.clone().unwrap_or_default())));
        query = query.or_filter(asked);
    }
    // What is filtered from here on narrows all of the above. The organization is the patient's: by that of the
    // questions SQLite would read all of them for the sake of a few.
    query = query.filter(patients::organization_id.eq(scope.organization));
    match &scope.groups {
        None => query,
        Some(ids) => query.filter(in_groups(questions::patient_id, ids)),
    }
}

impl Fetch for Question {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        let audiences = definition::audiences(db, scope)?;
        let found = visible(scope, &audiences).filter(questions::id.eq(id)).first(db).optional()?;
        found.ok_or_else(|| Fault::not_found().into())
    }
}

impl HasOne<Definition> for Question {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Definition> {
        let question = Self::fetch(db, scope, id)?;
        Definition::fetch(db, scope, question.definition_id)
    }
}

/// What a list of questions is filtered by.
#[derive(Debug, Default)]
pub struct QuestionFilter {
    reach: Reach,
    patient: Option<Id>,
}

impl List for Question {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "health_profile_questions.created_at", |row| row.created_at),
        by_instant("updated_at", "health_profile_questions.created_at", |row| row.created_at),
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = QuestionFilter;

    fn filter(filters: &Filters<'_>) -> QuestionFilter {
        QuestionFilter { reach: Reach::require(filters), patient: None }
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &QuestionFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let Reached { groups, patient } = filter.reach.check(db, scope, faults)?;
        faults.check()?;
        let audiences = definition::audiences(db, scope)?;
        load_page::<Self, _, _>(db, window, "health_profile_questions", || {
            let mut query = visible(scope, &audiences);
            if let Some(patient) = filter.patient.or(patient) {
                query = query.filter(questions::patient_id.eq(patient));
            }
            if let Some(groups) = &groups {
                query = query.filter(questions::patient_id.eq_any(of_groups(groups.clone())));
            }
            query
        })
    }
}

impl HasMany<Question> for HealthProfile {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<QuestionFilter> {
        let profile = health_profile::uncounted(db, scope, id)?;
        Ok(QuestionFilter { patient: Some(profile.patient_id), ..QuestionFilter::default() })
    }
}

/// What these patients are asked.
///
/// # Errors
/// When the database fails.
pub fn of_patients(db: &mut Conn, scope: &Scope, patients: impl IntoIterator<Item = Id>) -> Result<Vec<Question>> {
    let audiences = definition::audiences(db, scope)?;
    lookup::collect(patients, |ids| {
        visible(scope, &audiences).filter(questions::patient_id.eq_any(ids)).order(questions::id).load(db)
    })
}

/// Puts new questions to patients, or those that there are to new patients.
///
/// # Errors
/// When the database fails.
pub fn add(db: &mut Conn, scope: &Scope, patients: &[Id], definitions: &[Definition]) -> Result<()> {
    let question = |patient_id, definition: &Definition| Question {
        id: Id::new(scope.now),
        organization_id: scope.organization,
        patient_id,
        definition_id: definition.id,
        created_at: scope.now,
    };
    let of_patient = |id: &Id| definitions.iter().map(|definition| question(*id, definition)).collect::<Vec<_>>();
    let rows: Vec<_> = patients.iter().flat_map(of_patient).collect();
    Ok(insert_all::<_, Question>(db, questions::table, &rows)?)
}

/// What a fixture says of a question that a patient has already.
#[derive(Debug)]
pub struct Restored {
    row: Seeded,
    profile: Option<Reference>,
    definition: Option<Reference>,
}

impl Seed for Question {
    const NAME: &'static str = Self::TYPE;

    type New = Restored;

    fn read_seed(item: &Item<'_, '_>) -> Restored {
        let required = |name, kind| item.relationships.required_one(name, kind, |related| related.required_reference());
        Restored {
            row: Seeded::read(item),
            profile: required("profile", HealthProfile::TYPE),
            definition: required("question_definition", Definition::TYPE),
        }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        questions::table.filter(questions::id.eq_any(ids)).select((questions::id, questions::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<Restored>, notes: &Notes) -> Result<()> {
        let patients: HashMap<Id, Id> = health_profile::all(db, scope)?.into_iter().collect();
        let definitions: HashSet<Id> = definition::all(db, scope)?.iter().map(|definition| definition.id).collect();
        let unknown = |what: &str, named: &Reference| {
            let detail = format!("there is no {what} of this id in the organization");
            notes.faults.add(Fault::named(&named.source, detail));
        };
        for (_, Restored { row, profile, definition }) in &new.items {
            let (Some(profile), Some(definition)) = (profile, definition) else { continue };
            let patient = profile.id.and_then(|id| patients.get(&id));
            let number = definition.id.filter(|id| definitions.contains(id));
            if patient.is_none() {
                unknown("health profile", profile);
            }
            if number.is_none() {
                unknown("health question definition", definition);
            }
            let (Some(patient), Some(number)) = (patient, number) else { continue };
            let this =
                questions::table.filter(questions::patient_id.eq(patient)).filter(questions::definition_id.eq(number));
            let changes = (questions::id.eq(row.id), questions::created_at.eq(row.created_at));
            diesel::update(this).set(changes).execute(db)?;
        }
        notes.check()
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(questions::table.filter(questions::organization_id.eq(organization))).execute(db).map(drop)
    }
}
