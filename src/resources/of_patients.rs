//! What the lists of what hangs on patients are filtered by.

use diesel::prelude::*;

use super::{group, patient};
use crate::auth::Scope;
use crate::db::Conn;
use crate::db::schema::patient_groups;
use crate::error::{Faults, Result};
use crate::id::Id;
use crate::jsonapi::{Filters, Reference};

/// The patients whose resources are listed, as a client names them.
#[derive(Debug, Default)]
pub struct OfPatients {
    patient: Option<Reference>,
    groups: Option<Vec<Reference>>,
    organization: Option<Reference>,
}

/// The same, looked up.
#[derive(Debug)]
pub struct Chosen {
    /// The only patient.
    pub patient: Option<Id>,
    /// Groups, one of which the patient is in.
    pub groups: Option<Vec<Id>>,
}

impl OfPatients {
    /// Reads the filters, one of which is needed.
    pub fn read(filters: &Filters<'_>) -> Self {
        let named = Self {
            patient: filters.reference("filter[patient]"),
            groups: filters.groups(),
            organization: filters.reference("filter[organization]"),
        };
        filters.require_one_of(&["filter[patient]", "filter[groups]", "filter[organization]"]);
        named
    }

    /// Looks them up. What is not within the scope is noted as a fault.
    ///
    /// # Errors
    /// When the database fails.
    pub fn look_up(&self, db: &mut Conn, scope: &Scope, faults: &Faults) -> Result<Chosen> {
        if let Some(organization) = &self.organization {
            scope.check_organization(organization, faults);
        }
        let groups = self.groups.as_deref().map(|named| group::check(db, scope, named, faults)).transpose()?;
        if let Some(patient) = &self.patient
            && patient::known(db, scope, patient.id)?.is_empty()
        {
            faults.add(patient::unknown(patient));
        }
        Ok(Chosen { patient: self.patient.as_ref().and_then(|patient| patient.id), groups })
    }
}

/// The patients of groups.
#[diesel::dsl::auto_type(no_type_alias)]
pub fn of_groups(ids: Vec<Id>) -> _ {
    patient_groups::table.filter(patient_groups::group_id.eq_any(ids)).select(patient_groups::patient_id)
}
