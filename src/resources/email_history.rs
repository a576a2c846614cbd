//! `email_history`: an e-mail to a patient, and what became of it. Read-only
//! over the API.
//!
//! It is sent by a coach, or by nobody: then it has no sender. A client that is
//! restricted to groups sees the e-mails to the patients of its groups.

use std::collections::BTreeMap;

use diesel::prelude::*;
use serde::Serialize;

use super::coach::{self, Coach};
use super::patient::{self, Patient, in_groups};
use crate::auth::Scope;
use crate::db::schema::email_histories as emails;
use crate::db::{Backend, Conn, Json, Page, Sort, Window, insert_all, load_page, rows_of};
use crate::error::{Fault, Faults, Result};
use crate::id::Id;
use crate::jsonapi::PagingRules;
use crate::jsonapi::answer::{Relationship, Relationships};
use crate::jsonapi::{Filters, Item, Items, Node, Notes, Reference};
use crate::resource::{Fetch, HasOne, List, Resource, by_instant};
use crate::seed::{Seed, Seeded};
use crate::time::Instant;

/// A row, and its attributes.
#[derive(Clone, Debug, Queryable, Insertable, Serialize)]
#[diesel(table_name = emails, treat_none_as_default_value = false)]
pub struct Email {
    /// The id.
    #[serde(skip)]
    pub id: Id,
    /// The organization of its receiver.
    #[serde(skip)]
    pub organization_id: Id,
    /// The patient that it was sent to.
    #[serde(skip)]
    pub receiver_id: Id,
    /// The coach who sent it.
    #[serde(skip)]
    pub sender_id: Option<Id>,
    /// The id that the mail system knows it by.
    pub twine_email_id: String,
    /// The address that it was sent to.
    pub email_address: String,
    /// What kind of e-mail it is.
    pub email_type: String,
    /// When it was sent.
    pub send_time: Instant,
    /// When it reached each of [`STATUSES`], as far as it did.
    pub status_times: Json,
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

/// What can become of an e-mail.
pub const STATUSES: [&str; 9] =
    ["processed", "dropped", "deferred", "bounce", "open", "spamreport", "unsubscribe", "click", "delivered"];

impl Resource for Email {
    const TYPE: &'static str = "email_history";

    fn id(&self) -> Id {
        self.id
    }

    fn relationships(db: &mut Conn, scope: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let senders = coach::among(db, scope, rows.iter().filter_map(|row| row.sender_id))?;
        let relationships = |row: &Self| {
            let receiver = Relationship::one("receiver", Patient::TYPE, row.receiver_id);
            // Without a sender that the caller sees there is no relationship, because its link would lead nowhere.
            let sender = row.sender_id.filter(|id| senders.contains(id));
            let sender = sender.map(|id| Relationship::one("sender", Coach::TYPE, id));
            [receiver].into_iter().chain(sender).collect()
        };
        Ok(rows.iter().map(relationships).collect())
    }
}

fn visible<'q>(scope: &Scope) -> emails::BoxedQuery<'q, Backend> {
    let mine = rows_of(emails::table).filter(emails::organization_id.eq(scope.organization)).into_boxed();
    match &scope.groups {
        None => mine,
        Some(ids) => mine.filter(in_groups(emails::receiver_id, ids)),
    }
}

impl Fetch for Email {
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self> {
        visible(scope).filter(emails::id.eq(id)).first(db).optional()?.ok_or_else(|| Fault::not_found().into())
    }
}

impl HasOne<Patient> for Email {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Patient> {
        let email = Self::fetch(db, scope, id)?;
        Patient::fetch(db, scope, email.receiver_id)
    }
}

impl HasOne<Coach> for Email {
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<Coach> {
        let email = Self::fetch(db, scope, id)?;
        Coach::fetch(db, scope, email.sender_id.ok_or_else(Fault::not_found)?)
    }
}

/// What a list of e-mails is filtered by.
#[derive(Debug)]
pub struct EmailFilter {
    receiver: Option<Reference>,
    sender: Option<Reference>,
    email_type: Option<String>,
}

impl List for Email {
    const SORTS: &'static [Sort<Self>] = &[
        by_instant("created_at", "email_histories.created_at", |row| row.created_at),
        by_instant("updated_at", "email_histories.updated_at", |row| row.updated_at),
        by_instant("send_time", "email_histories.send_time", |row| row.send_time),
    ];
    const PAGING: PagingRules = PagingRules::ON_REQUEST;

    type Filter = EmailFilter;

    fn filter(filters: &Filters<'_>) -> EmailFilter {
        let filter = EmailFilter {
            receiver: filters.reference("filter[receiver]"),
            sender: filters.reference("filter[sender]"),
            email_type: filters.text("filter[emailType]"),
        };
        filters.require_one_of(&["filter[receiver]", "filter[sender]"]);
        filter
    }

    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &EmailFilter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>> {
        let receiver = check_user(db, scope, filter.receiver.as_ref(), faults)?;
        let sender = check_user(db, scope, filter.sender.as_ref(), faults)?;
        faults.check()?;
        load_page::<Self, _, _>(db, window, "email_histories", || {
            let mut query = visible(scope);
            if let Some(receiver) = receiver {
                query = query.filter(emails::receiver_id.eq(receiver));
            }
            if let Some(sender) = sender {
                query = query.filter(emails::sender_id.eq(sender));
            }
            if let Some(email_type) = &filter.email_type {
                query = query.filter(emails::email_type.eq(email_type.clone()));
            }
            query
        })
    }
}

/// The id of a patient or coach that a filter names. One that is not within the
/// scope is noted as a fault.
fn check_user(db: &mut Conn, scope: &Scope, named: Option<&Reference>, faults: &Faults) -> Result<Option<Id>> {
    let Some(named) = named else { return Ok(None) };
    if patient::known(db, scope, named.id)?.is_empty() && coach::known(db, scope, [named])?.is_empty() {
        let detail = "there is no patient and no coach of this id within the scope of the token";
        faults.add(Fault::named(&named.source, detail));
    }
    Ok(named.id)
}

/// An e-mail to be, as a fixture describes it.
#[derive(Debug)]
pub struct NewEmail {
    row: Seeded,
    receiver: Option<Reference>,
    sender: Option<Reference>,
    twine_email_id: String,
    email_address: String,
    email_type: String,
    send_time: Instant,
    status_times: BTreeMap<&'static str, Instant>,
}

fn status_times(node: &Node<'_, '_>) -> Option<BTreeMap<&'static str, Instant>> {
    node.object(|times| STATUSES.into_iter().filter_map(|status| Some((status, times.optional(status)?))).collect())
}

impl Seed for Email {
    const NAME: &'static str = Self::TYPE;

    type New = NewEmail;

    fn read_seed(item: &Item<'_, '_>) -> NewEmail {
        let Item { attributes, relationships, .. } = item;
        NewEmail {
            row: Seeded::read(item),
            receiver: relationships.required_one("receiver", Patient::TYPE, |receiver| receiver.required_reference()),
            sender: relationships.to_one("sender", Coach::TYPE, |sender| sender.required_reference()),
            twine_email_id: attributes.filled("twine_email_id").unwrap_or_default(),
            email_address: attributes.filled("email_address").unwrap_or_default(),
            email_type: attributes.filled("email_type").unwrap_or_default(),
            send_time: attributes.required("send_time"),
            status_times: attributes.optional_with("status_times", status_times).unwrap_or_default(),
        }
    }

    fn stored(db: &mut Conn, ids: Vec<String>) -> QueryResult<Vec<(String, Id)>> {
        emails::table.filter(emails::id.eq_any(ids)).select((emails::id, emails::organization_id)).load(db)
    }

    fn store(db: &mut Conn, scope: &Scope, new: &Items<NewEmail>, notes: &Notes) -> Result<()> {
        let all = || new.items.iter().map(|(_, email)| email);
        let patients = patient::known(db, scope, all().filter_map(|email| email.receiver.as_ref()?.id))?;
        let coaches = coach::known(db, scope, all().filter_map(|email| email.sender.as_ref()))?;
        let mut rows = Vec::with_capacity(new.items.len());
        for email in all() {
            if let Some(sender) = &email.sender
                && !sender.id.is_some_and(|id| coaches.contains(&id))
            {
                let detail = "there is no coach of this id in the organization";
                notes.faults.add(Fault::named(&sender.source, detail));
            }
            let Some(receiver) = &email.receiver else { continue };
            match receiver.id.filter(|id| patients.contains(id)) {
                Some(receiver) => rows.push(email.row(scope, receiver)),
                None => notes.faults.add(patient::unknown(receiver)),
            }
        }
        notes.check()?;
        Ok(insert_all::<_, Email>(db, emails::table, &rows)?)
    }

    fn remove(db: &mut Conn, organization: Id) -> QueryResult<()> {
        diesel::delete(emails::table.filter(emails::organization_id.eq(organization))).execute(db).map(drop)
    }
}

impl NewEmail {
    fn row(&self, scope: &Scope, receiver_id: Id) -> Email {
        Email {
            id: self.row.id,
            organization_id: scope.organization,
            receiver_id,
            sender_id: self.sender.as_ref().and_then(|sender| sender.id),
            twine_email_id: self.twine_email_id.clone(),
            email_address: self.email_address.clone(),
            email_type: self.email_type.clone(),
            send_time: self.send_time,
            status_times: Json::of(&self.status_times),
            created_at: self.row.created_at,
            updated_at: self.row.updated_at,
            created_by: Some(scope.client.clone()),
            updated_by: Some(scope.client.clone()),
        }
    }
}
