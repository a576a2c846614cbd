//! `health_question_definition`: a question that patients are asked, and whom it
//! is for. Read-only over the API.
//!
//! The people who write them number them, each organization its own: the id is
//! unique in an organization only, and the key of the table is both.

use chrono::{Months, NaiveDate};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::{health_profile, health_profile_question as question};
use crate::auth::Scope;
use crate::db::schema::health_question_definitions as definitions;
use crate::db::{Backend, Conn, Json, KeyValue, Page, Paging, Sort, SortKey, SortValue, Window, insert_all, load_page};
use crate::error::{Error, Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::PagingRules;
use crate::jsonapi::{Filters, Item, Items, Node, Notes, Read};
use crate::resource::{Fetch, List, Resource};
use crate::seed::Seed;
use crate::time::Instant;

/// The categories, in the order in which a profile counts them.
pub const CATEGORIES: [&str; 3] = ["lifestyle_behaviors", "mental_wellbeing", "preventative_care"];

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = definitions, treat_none_as_default_value = false)]
pub struct Definition {
    /// The organization it belongs to.
    #[serde(skip)]
    pub organization_id: Id,
    /// Its number.
    #[serde(skip)]
    pub id: Id,
    /// One of [`CATEGORIES`].
    pub category: String,
    /// A [`Format`].
    pub format: Json,
    /// [`Requirement`]s, all of which a patient must meet to be asked.
    pub requirements: Json,
    /// The question.
    pub text: String,
    /// When it was made.
    #[serde(skip)]
    pub created_at: Instant,
    /// When it was last changed.
    #[serde(skip)]
    pub updated_at: Instant,
}

/// How a question is answered.
#[derive(Clone, Debug, Serialize)]
pub struct Format {
    data: Vec<Choice>,
    #[serde(rename = "type")]
    kind: String,
}

impl Read for Format {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|format| {
            Some(Self { data: format.optional("data").unwrap_or_default(), kind: format.filled("type")? })
        })
        .flatten()
    }
}

/// An answer to choose.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    label: String,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
}

impl Read for Choice {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|choice| {
            let (label, value) = (choice.filled("label"), choice.filled("value"));
            Some(Self { icon: choice.optional("icon"), label: label?, value: value? })
        })
        .flatten()
    }
}

/// What a patient must be like to be asked. Who has no birth date or no gender
/// meets no requirement on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "property", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Requirement {
    /// In full years.
    Age {
        /// Whether it shall be `value`, or any other age.
        #[serde(skip_serializing_if = "Option::is_none")]
        should_be_equal: Option<bool>,
        /// An age, as text.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<String>,
        /// Older than this.
        #[serde(skip_serializing_if = "Option::is_none")]
        should_be_greater_than: Option<u32>,
        /// Younger than this.
        #[serde(skip_serializing_if = "Option::is_none")]
        should_be_less_than: Option<u32>,
    },
    /// One of [`GENDERS`].
    Gender {
        /// Whether it shall be this one, or any other.
        should_be_equal: bool,
        /// This one.
        value: String,
    },
}

/// The genders of patients.
pub const GENDERS: [&str; 3] = ["male", "female", "other"];

impl Read for Requirement {
    fn read(node: &Node<'_, '_>) -> Option<Self> {
        node.object(|requirement| {
            let property = requirement.required_with("property", |node| node.one_of(&["age", "gender"]))?;
            if property == "gender" {
                let value = requirement.required_with("value", |node| node.one_of(&GENDERS));
                return Some(Self::Gender { should_be_equal: requirement.required("shouldBeEqual"), value: value? });
            }
            if !["shouldBeEqual", "shouldBeGreaterThan", "shouldBeLessThan"].iter().any(|name| requirement.has(name)) {
                node.fault("needs shouldBeEqual, shouldBeGreaterThan or shouldBeLessThan");
            }
            let compared = requirement.has("shouldBeEqual");
            Some(Self::Age {
                should_be_equal: requirement.optional("shouldBeEqual"),
                value: compared.then(|| requirement.required_with("value", age_as_text)).flatten(),
                should_be_greater_than: requirement.optional_with("shouldBeGreaterThan", age),
                should_be_less_than: requirement.optional_with("shouldBeLessThan", age),
            })
        })
        .flatten()
    }
}

const OLDEST: u32 = 150;

fn age(node: &Node<'_, '_>) -> Option<u32> {
    let age = Json::read(node)?.value().ok().filter(|age| *age <= OLDEST);
    if age.is_none() {
        node.fault(format!("must be a whole number of years from 0 to {OLDEST}"));
    }
    age
}

fn age_as_text(node: &Node<'_, '_>) -> Option<String> {
    let text = String::read(node)?;
    let known = text.parse().is_ok_and(|age: u32| age <= OLDEST && age.to_string() == text);
    if !known {
        node.fault(format!("must be a whole number of years from 0 to {OLDEST}, written as text"));
    }
    known.then_some(text)
}

/// Some of those who are asked a question on a certain day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audience {
    /// The definition.
    pub definition: Id,
    /// Those born after this day.
    pub born_after: Option<NaiveDate>,
    /// Those born on this day or before it.
    pub born_until: Option<NaiveDate>,
    /// Those of one of these genders.
    pub genders: Option<Vec<&'static str>>,
}

impl Audience {
    /// All who are asked. An age that is left out leaves the younger and the
    /// older: those are two audiences.
    fn of(definition: Id, requirements: &[Requirement], today: NaiveDate) -> Vec<Self> {
        let mut audiences = vec![Self { definition, ..Self::default() }];
        for requirement in requirements {
            match requirement {
                Requirement::Age { should_be_equal, value, should_be_greater_than, should_be_less_than } => {
                    for audience in &mut audiences {
                        audience.narrow(*should_be_greater_than, *should_be_less_than, today);
                    }
                    let age: Option<u32> = value.as_deref().and_then(|age| age.parse().ok());
                    if let (Some(equal), Some(age)) = (should_be_equal, age) {
                        audiences = audiences.into_iter().flat_map(|one| one.compare(*equal, age, today)).collect();
                    }
                }
                Requirement::Gender { should_be_equal, value } => {
                    for audience in &mut audiences {
                        let genders = audience.genders.get_or_insert_with(|| GENDERS.to_vec());
                        genders.retain(|gender| (gender == value) == *should_be_equal);
                    }
                }
            }
        }
        audiences
    }

    /// Leaves those older than one age and younger than another.
    fn narrow(&mut self, above: Option<u32>, below: Option<u32>, today: NaiveDate) {
        let years_ago = |years: u32| today.checked_sub_months(Months::new(12 * years));
        let until = above.and_then(|age| years_ago(age + 1));
        self.born_after = self.born_after.max(below.and_then(years_ago));
        self.born_until = [self.born_until, until].into_iter().flatten().min();
    }

    /// Those of this age, or of any other.
    fn compare(self, equal: bool, age: u32, today: NaiveDate) -> Vec<Self> {
        let bounds: &[_] =
            if equal { &[(age.checked_sub(1), Some(age + 1))] } else { &[(None, Some(age)), (Some(age), None)] };
        let part = |(above, below): &(Option<u32>, Option<u32>)| {
            let mut part = self.clone();
            part.narrow(*above, *below, today);
            part
        };
        bounds.iter().map(part).collect()
    }
}

impl Resource for Definition {
    const TYPE: &'static str = "health_question_definition";

    fn id(&self) -> Id {
        self.id
    }
}

fn visible<'q>(scope: &Scope) -> definitions::BoxedQuery<'q, Backend> {
    definitions::table.filter(definitions::organization_id.eq(scope.organization)).into_boxed()
}

impl Fetch for Definition {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(definitions::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

impl List for Definition {
    const SORTS: &'static [Sort<Self>] = &[
        Sort {
            name: "created_at",
            column: "health_question_definitions.created_at",
            value: SortValue::Instant(|row| row.created_at),
        },
        Sort {
            name: "updated_at",
            column: "health_question_definitions.updated_at",
            value: SortValue::Instant(|row| row.updated_at),
        },
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = ();

    fn filter(_: &Filters<'_>) {}

    fn list(db: &mut Conn, scope: &Scope, (): &(), window: &Window<Self>, faults: &Faults) -> Result<Page<Self>> {
        faults.check()?;
        load_page::<Self, _, _>(db, &by_number(window), "health_question_definitions", || visible(scope))
    }
}

/// The ids as numbers: as texts, 10 would come before 2.
static NUMBER: Sort<Definition> = Sort {
    name: "number",
    column: "substr('000000000' || health_question_definitions.id, length(health_question_definitions.id) + 1)",
    value: SortValue::Text(|row| row.id.padded()),
};

/// The same window with the number as its last key. Cursors need not hold it,
/// since they hold the id.
fn by_number(window: &Window<Definition>) -> Window<Definition> {
    let mut order: Vec<_> =
        window.order.iter().map(|SortKey { sort, descending }| SortKey { sort, descending: *descending }).collect();
    let descending = order.last().is_some_and(|key| key.descending);
    order.push(SortKey { sort: &NUMBER, descending });
    let mut paging = window.paging.clone();
    if let Paging::Cursor { after: Some((values, id)), .. } = &mut paging {
        values.push(KeyValue::Text(id.padded().to_owned()));
    }
    Window { order, paging }
}

/// All definitions of the organization, by their numbers.
///
/// # Errors
/// When the database fails.
pub fn all(db: &mut Conn, scope: &Scope) -> Result<Vec<Definition>> {
    let mut all: Vec<Definition> = visible(scope).load(db)?;
    all.sort_by_key(|definition| definition.id);
    Ok(all)
}

/// Who is asked which question today.
///
/// # Errors
/// When the database fails.
pub fn audiences(db: &mut Conn, scope: &Scope) -> Result<Vec<Audience>> {
    let audience = |definition: Definition| {
        let requirements: Vec<Requirement> = definition.requirements.value().map_err(|error| {
            Error::Internal(format!("the requirements of health question definition {}: {error}", definition.id))
        })?;
        Ok(Audience::of(definition.id, &requirements, scope.now.date()))
    };
    let audiences = all(db, scope)?.into_iter().map(audience).collect::<Result<Vec<_>>>()?;
    Ok(audiences.into_iter().flatten().collect())
}

/// A definition to be, as a fixture describes it.
#[derive(Debug)]
pub struct NewDefinition {
    id: Id,
    category: String,
    format: Option<Format>,
    requirements: Vec<Requirement>,
    text: String,
    created_at: Option<Instant>,
    updated_at: Option<Instant>,
}

impl Seed for Definition {
    const NAME: &'static str = Self::TYPE;
    const NUMBERED: bool = true;

    type New = NewDefinition;

    fn read_seed(item: &Item<'_, '_>) -> NewDefinition {
        let attributes = item.attributes;
        let text: String = item.resource.optional("id").unwrap_or_default();
        let id = Id::parse(&text).filter(|_| Id::parse_made(&text).is_none());
        if id.is_none() && !item.resource.is_faulty("id") {
            item.resource.fault("id", format!("{text:?} is not the number of a definition, written as text"));
        }
        NewDefinition {
            id: id.unwrap_or_default(),
            category: attributes.required_with("category", |node| node.one_of(&CATEGORIES)).unwrap_or_default(),
            format: attributes.required_with("format", Format::read),
            requirements: attributes.optional("requirements").unwrap_or_default(),
            text: attributes.required("text"),
            created_at: attributes.optional("created_at"),
            updated_at: attributes.optional("updated_at"),
        }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        let known = definitions::table.filter(definitions::id.eq_any(ids));
        known.select((definitions::id, definitions::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewDefinition>, notes: &Notes) -> Result<()> {
        notes.check()?;
        let row = |new: &NewDefinition| {
            let created_at = new.created_at.unwrap_or(scope.now);
            Self {
                organization_id: scope.organization,
                id: new.id,
                category: new.category.clone(),
                format: Json::of(&new.format),
                requirements: Json::of(&new.requirements),
                text: new.text.clone(),
                created_at,
                updated_at: new.updated_at.unwrap_or(created_at),
            }
        };
        let rows: Vec<_> = new.items.iter().map(|(_, new)| row(new)).collect();
        insert_all::<_, Definition>(db, definitions::table, &rows)?;
        let patients: Vec<_> = health_profile::all(db, scope)?.into_iter().map(|(_, patient)| patient).collect();
        question::add(db, scope, &patients, &rows)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(definitions::table.filter(definitions::organization_id.eq(organization))).execute(db).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audiences(requirements: &str, today: &str) -> Vec<Audience> {
        Audience::of(Id::default(), &serde_json::from_str::<Vec<_>>(requirements).unwrap(), today.parse().unwrap())
    }

    /// Those born after a day and until another; no day is an empty text.
    fn born(after: &str, until: &str) -> Audience {
        Audience { born_after: after.parse().ok(), born_until: until.parse().ok(), ..Audience::default() }
    }

    fn of(genders: &[&'static str]) -> Audience {
        Audience { genders: Some(genders.to_vec()), ..Audience::default() }
    }

    #[test]
    fn ages_are_days_of_birth() {
        let between = r#"[{"property": "age", "shouldBeGreaterThan": 49, "shouldBeLessThan": 76}]"#;
        // Who is 50 today has been so for less than a day; who turns 76 tomorrow is still 75.
        assert_eq!(audiences(between, "2026-03-02"), [born("1950-03-02", "1976-03-02")]);
        let two = r#"[{"property": "age", "shouldBeLessThan": 76}, {"property": "age", "shouldBeLessThan": 66},
            {"property": "age", "shouldBeGreaterThan": 17}, {"property": "age", "shouldBeGreaterThan": 20}]"#;
        assert_eq!(audiences(two, "2024-02-29"), [born("1958-02-28", "2003-02-28")]);
    }

    #[test]
    fn an_age_is_wanted_or_left_out() {
        let only = r#"[{"property": "age", "shouldBeEqual": true, "value": "50"}]"#;
        assert_eq!(audiences(only, "2026-03-02"), [born("1975-03-02", "1976-03-02")]);
        let infants = r#"[{"property": "age", "shouldBeEqual": true, "value": "0"}]"#;
        assert_eq!(audiences(infants, "2026-03-02"), [born("2025-03-02", "")]);
        let not = r#"[{"property": "age", "shouldBeEqual": false, "value": "50", "shouldBeGreaterThan": 44}]"#;
        assert_eq!(audiences(not, "2026-03-02"), [born("1976-03-02", "1981-03-02"), born("", "1975-03-02")]);
    }

    #[test]
    fn genders_are_those_that_no_requirement_excludes() {
        let only = r#"[{"property": "gender", "shouldBeEqual": true, "value": "female"}]"#;
        assert_eq!(audiences(only, "2026-03-02"), [of(&["female"])]);
        let not = r#"[{"property": "gender", "shouldBeEqual": false, "value": "male"}]"#;
        assert_eq!(audiences(not, "2026-03-02"), [of(&["female", "other"])]);
        assert_eq!(audiences("[]", "2026-03-02"), [born("", "")]);
    }
}
