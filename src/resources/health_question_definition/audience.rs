//! Whom a question is for.

use chrono::{Months, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::db::Json;
use crate::id::Id;
use crate::jsonapi::{Node, Read};

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
    pub(super) fn of(definition: Id, requirements: &[Requirement], today: NaiveDate) -> Vec<Self> {
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
