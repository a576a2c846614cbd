//! How far a list reaches: the filters by organization, groups and patient,
//! which most lists have.

use super::{group, patient};
use crate::auth::Scope;
use crate::db::Conn;
use crate::error::{Faults, Result};
use crate::id::Id;
use crate::jsonapi::{Filters, Reference};

/// The filters, as far as a list has them and they were sent.
#[derive(Debug, Default)]
pub struct Reach {
    /// `filter[organization]`
    pub organization: Option<Reference>,
    /// `filter[groups]`
    pub groups: Option<Vec<Reference>>,
    /// `filter[patient]`
    pub patient: Option<Reference>,
}

/// What they name, all of it within the scope. The organization is the caller's
/// and leaves nothing to filter.
#[derive(Debug)]
pub struct Reached {
    /// The groups.
    pub groups: Option<Vec<Id>>,
    /// The patient.
    pub patient: Option<Id>,
}

impl Reach {
    /// Reads all three.
    pub fn read(filters: &Filters<'_>) -> Self {
        Self {
            organization: filters.reference("filter[organization]"),
            groups: filters.groups(),
            patient: filters.reference("filter[patient]"),
        }
    }

    /// Reads all three, of which one is needed.
    pub fn require(filters: &Filters<'_>) -> Self {
        let reach = Self::read(filters);
        filters.require_one_of(&["filter[patient]", "filter[groups]", "filter[organization]"]);
        reach
    }

    /// Reads those by organization and groups, of which one is needed.
    pub fn require_groups(filters: &Filters<'_>) -> Self {
        let organization = filters.reference("filter[organization]");
        let reach = Self { organization, groups: filters.groups(), patient: None };
        filters.require_one_of(&["filter[groups]", "filter[organization]"]);
        reach
    }

    /// Looks up what is named. What is not within the scope is noted.
    ///
    /// # Errors
    /// When the database fails.
    pub fn check(&self, db: &mut Conn, scope: &Scope, faults: &Faults) -> Result<Reached> {
        let groups = self.check_groups(db, scope, faults)?;
        let patient = self.patient.as_ref().map(|named| patient::check(db, scope, named, faults)).transpose()?;
        Ok(Reached { groups, patient: patient.flatten() })
    }

    /// The same of the organization and the groups.
    ///
    /// # Errors
    /// When the database fails.
    pub fn check_groups(&self, db: &mut Conn, scope: &Scope, faults: &Faults) -> Result<Option<Vec<Id>>> {
        if let Some(organization) = &self.organization {
            scope.check_organization(organization, faults);
        }
        self.groups.as_deref().map(|named| group::check(db, scope, named, faults)).transpose()
    }
}
