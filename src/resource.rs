//! What a resource is and what can be done with it.
//!
//! Each type of the API implements [`Resource`] and, of the other traits here,
//! those whose verbs the API offers for it. The handlers are generic over
//! them: a route that names a verb which a type does not have does not compile.

use actix_web::http::StatusCode;
use serde::Serialize;

use crate::auth::Scope;
use crate::db::{Conn, KeyValue, Page, Sort, SortValue, Weight, Window};
use crate::error::{Faults, Result};
use crate::id::Id;
use crate::jsonapi::PagingRules;
use crate::jsonapi::answer::{Included, Links, Relationships};
use crate::jsonapi::document::ClientId;
use crate::jsonapi::{Filters, Item, Items, Notes, Object};
use crate::time::Instant;

/// A type of the API. What it serializes to is its attributes.
pub trait Resource: Serialize + Send + Sized + 'static {
    /// Its name on the wire, which is also its path.
    const TYPE: &'static str;

    /// The paths of `include`.
    const INCLUDES: &'static [&'static str] = &[];

    /// Whether answers carry `included`. Those of types with includes do, and
    /// those of some others, as the vendor's examples show them.
    const INCLUDED: bool = !Self::INCLUDES.is_empty();

    /// Whether it can be found again. What cannot has no links, and neither have
    /// its relationships.
    const LASTING: bool = true;

    /// The id.
    fn id(&self) -> Id;

    /// Its name on the wire for this one, where a type has two.
    fn kind(&self) -> &'static str {
        Self::TYPE
    }

    /// Where it is found.
    fn path(&self) -> String {
        ["/pub/", Self::TYPE, "/", self.id().as_str()].concat()
    }

    /// Its links; `web_app` is the base of the web application.
    fn links(&self, web_app: &str) -> Links {
        let _ = web_app;
        vec![("self", self.path())]
    }

    /// The relationships of a whole page, in its order: a fixed number of
    /// queries, however many rows there are.
    ///
    /// # Errors
    /// When the database fails.
    fn relationships(db: &mut Conn, scope: &Scope, rows: &[Self]) -> Result<Vec<Relationships>> {
        let _ = (db, scope);
        Ok(rows.iter().map(|_| Vec::new()).collect())
    }

    /// Adds the resources that one of [`Resource::INCLUDES`] leads to from any
    /// row of a page.
    ///
    /// # Errors
    /// When the database fails.
    fn include(db: &mut Conn, scope: &Scope, rows: &[Self], path: &str, included: &mut Included) -> Result<()> {
        let _ = (db, scope, rows, path, included);
        Ok(())
    }
}

/// `GET /type/{id}`
pub trait Fetch: Resource {
    /// Loads the resource of this id.
    ///
    /// # Errors
    /// 404 when there is none within the scope.
    fn fetch(db: &mut Conn, scope: &Scope, id: Id) -> Result<Self>;
}

/// `GET /type`
pub trait List: Resource {
    /// What it can be sorted by.
    const SORTS: &'static [Sort<Self>];

    /// How it is paged.
    const PAGING: PagingRules;

    /// What it can be filtered by.
    type Filter: Send + Sync + 'static;

    /// Reads the filters.
    fn filter(filters: &Filters<'_>) -> Self::Filter;

    /// How long it takes to load a page.
    fn weight(filter: &Self::Filter, window: &Window<Self>) -> Weight {
        let _ = (filter, window);
        Weight::Long
    }

    /// Loads a page. Filters that name what is not within the scope are noted
    /// as faults.
    ///
    /// # Errors
    /// When the database fails.
    fn list(
        db: &mut Conn,
        scope: &Scope,
        filter: &Self::Filter,
        window: &Window<Self>,
        faults: &Faults,
    ) -> Result<Page<Self>>;

    /// The values that a row is sorted by.
    fn sort_values(&self, window: &Window<Self>) -> Vec<KeyValue> {
        window.order.iter().map(|key| key.sort.value.of(self)).collect()
    }
}

/// A sort by an instant: its name, its column, and the value of a row.
pub const fn by_instant<R>(name: &'static str, column: &'static str, value: fn(&R) -> Instant) -> Sort<R> {
    Sort { name, column, value: SortValue::Instant(value) }
}

/// A sort by a text, by its bytes.
pub const fn by_text<R>(name: &'static str, column: &'static str, value: fn(&R) -> &str) -> Sort<R> {
    Sort { name, column, value: SortValue::Text(value) }
}

/// `POST /type`, of one resource or of many.
pub trait Create: Resource {
    /// The status of success: the vendor has 201 for some types, 200 for others.
    const CREATED: StatusCode;

    /// What an `id` means that a client sends along.
    const CLIENT_ID: ClientId<'static> = ClientId::Refused;

    /// A resource to be, as a client describes it.
    type New: Send + 'static;

    /// What a client says of the whole request, in `meta`.
    type Options: Default + Send + 'static;

    /// Reads `meta`.
    fn options(meta: &Object<'_, '_>) -> Self::Options {
        let _ = meta;
        Self::Options::default()
    }

    /// Reads one resource.
    fn read(item: &Item<'_, '_>) -> Self::New;

    /// Stores the resources, in order, or notes what stands against it. It may
    /// write before all faults are found: with a single fault nothing stays.
    ///
    /// # Errors
    /// When the database fails.
    fn create(
        db: &mut Conn,
        scope: &Scope,
        new: &Items<Self::New>,
        options: &Self::Options,
        notes: &Notes,
    ) -> Result<Vec<Written<Self>>>;
}

/// What became of one resource that was posted.
#[derive(Debug)]
pub enum Written<R> {
    /// It was stored.
    Created(R),
    /// It was skipped because one was there already: this one, looked up when
    /// it was the only resource of the request.
    Skipped(Option<R>),
}

/// `PATCH /type/{id}`
pub trait Update: Fetch {
    /// What a client wants changed.
    type Changes: Send + 'static;

    /// Reads the resource that describes the changes.
    fn changes(item: &Item<'_, '_>) -> Self::Changes;

    /// Changes this row, or notes what stands against it.
    ///
    /// # Errors
    /// When the database fails.
    fn update(db: &mut Conn, scope: &Scope, row: Self, changes: &Self::Changes, notes: &Notes) -> Result<Self>;
}

/// `PUT /type`: create or update, by what `meta.query` finds.
pub trait Upsert: Update {
    /// What finds the resource.
    type Query: Send + 'static;

    /// The form of `meta.query`, for a client that left it out.
    const QUERY: &'static str;

    /// Reads `meta`.
    fn query(meta: &Object<'_, '_>) -> Option<Self::Query>;

    /// The ids of those within the scope that it finds; `None` and faults when it
    /// names what is not.
    ///
    /// # Errors
    /// When the database fails.
    fn find(db: &mut Conn, scope: &Scope, query: &Self::Query, notes: &Notes) -> Result<Option<Vec<Id>>>;

    /// Creates the resource at this place or updates the one that was found, or
    /// notes what stands against it.
    ///
    /// # Errors
    /// When the database fails.
    fn upsert(
        db: &mut Conn,
        scope: &Scope,
        query: &Self::Query,
        found: &[Id],
        item: &(String, Self::Changes),
        notes: &Notes,
    ) -> Result<Option<Self>>;
}

/// `DELETE /type/{id}`
pub trait Delete: Fetch {
    /// Deletes this row with all that belongs to it.
    ///
    /// # Errors
    /// When the database fails.
    fn delete(db: &mut Conn, scope: &Scope, row: Self) -> Result<()>;
}

/// `GET /type/{id}/{relationship}`, of a to-many relationship to `T`: the list
/// of `T`, filtered by the one it belongs to.
pub trait HasMany<T: List> {
    /// The filter that leaves those which are related.
    ///
    /// # Errors
    /// 404 when there is no resource of this id within the scope.
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<T::Filter>;
}

/// `GET /type/{id}/{relationship}`, of a to-one relationship to `T`.
pub trait HasOne<T: Fetch> {
    /// The one that is related.
    ///
    /// # Errors
    /// 404 when there is no resource of this id within the scope.
    fn related(db: &mut Conn, scope: &Scope, id: Id) -> Result<T>;
}
