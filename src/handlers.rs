//! One handler for each verb, for all types.
//!
//! Each reads the parameters and the document, goes to the database once, and
//! writes what came back. What is wrong with parameters and documents is
//! collected on the way and answered only there, after the token was looked up:
//! who has none learns nothing but that.

use std::sync::Arc;

use crate::audit::{self, Action, Records};
use crate::auth::Scope;
use crate::call::{Answer, Call};
use crate::conditions::{Conditions, Tag};
use crate::db::{Conn, Json, Page, Weight, Window};
use crate::error::{Error, Fault, Faults, Result};
use crate::jsonapi::PageLinks;
use crate::jsonapi::answer::{Meta, MetaDocument};
use crate::jsonapi::cursor::Cursor;
use crate::jsonapi::document::{ClientId, Shape, read_document};
use crate::jsonapi::{Filters, Items, Notes, Parameters, View};
use crate::loaded::Loaded;
use crate::resource::{Create, Delete, Fetch, HasMany, HasOne, List, Resource, Update, Upsert, Written};
use actix_web::http::StatusCode;

/// Resources that are written in a short time.
const FEW: usize = 20;

/// `GET /type/{id}`
pub async fn fetch<R: Fetch>(call: Call) -> Result<Answer> {
    let id = call.path_id();
    let (view, faults) = view::<R>(&call);
    let conditions = Conditions::of_read(call.headers());
    let loaded = call
        .read(Weight::Short, move |db, scope| {
            faults.clone().check()?;
            let row = R::fetch(db, scope, id.ok_or_else(Fault::not_found)?)?;
            Loaded::load(db, scope, vec![row], view.clone())
        })
        .await?;
    call.note_read(&loaded);
    conditions.on_read(loaded.answer_one(StatusCode::OK, &call.meta(), None)?)
}

/// `GET /type/{id}/{relationship}` of a to-one relationship.
pub async fn related_one<R: HasOne<T>, T: Fetch>(call: Call) -> Result<Answer> {
    let id = call.path_id();
    let (view, faults) = view::<T>(&call);
    let conditions = Conditions::of_read(call.headers());
    let loaded = call
        .read(Weight::Short, move |db, scope| {
            faults.clone().check()?;
            let row = R::related(db, scope, id.ok_or_else(Fault::not_found)?)?;
            Loaded::load(db, scope, vec![row], view.clone())
        })
        .await?;
    call.note_read(&loaded);
    let links = [("self", call.parameters.link(&call.path, &[]))];
    conditions.on_read(loaded.answer_one(StatusCode::OK, &call.meta(), Some(&links))?)
}

/// `GET /type`
pub async fn list<R: List>(call: Call) -> Result<Answer> {
    let filter = R::filter(&Filters(&call.parameters));
    let window = call.parameters.window(&call.path, R::SORTS, R::PAGING);
    let weight = R::weight(&filter, &window);
    let filter = Arc::new(filter);
    list_filtered::<R, _>(call, window, weight, move |_, _| Ok(filter.clone())).await
}

/// `GET /type/{id}/{relationship}` of a to-many relationship.
pub async fn related_many<R: HasMany<T>, T: List>(call: Call) -> Result<Answer> {
    let id = call.path_id();
    let window = call.parameters.window(&call.path, T::SORTS, T::PAGING);
    let filter =
        move |db: &mut Conn, scope: &Scope| R::related(db, scope, id.ok_or_else(Fault::not_found)?).map(Arc::new);
    list_filtered::<T, _>(call, window, Weight::Long, filter).await
}

async fn list_filtered<R: List, F>(call: Call, window: Window<R>, weight: Weight, filter: F) -> Result<Answer>
where
    F: Fn(&mut Conn, &Scope) -> Result<Arc<R::Filter>> + Send + 'static,
{
    let (view, faults) = view::<R>(&call);
    let window = Arc::new(window);
    let wanted = window.clone();
    let (loaded, count, more) = call
        .read(weight, move |db, scope| {
            let (filter, faults) = (filter(db, scope)?, faults.clone());
            let Page { rows, count, more } = R::list(db, scope, &filter, &wanted, &faults)?;
            faults.check()?;
            Ok((Loaded::load(db, scope, rows, view.clone())?, count, more))
        })
        .await?;
    call.note_read(&loaded);
    let links = page_links(&call, loaded.rows(), &window, count, more);
    loaded.answer_many(StatusCode::OK, &Meta { count: Some(count), ..call.meta() }, Some(&links))
}

fn page_links<R: List>(
    call: &Call,
    rows: &[R],
    window: &Window<R>,
    count: i64,
    more: bool,
) -> Vec<(&'static str, String)> {
    let (parameters, path) = (&call.parameters, &call.path);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|last| Cursor { values: last.sort_values(window), id: last.id() }.write(&parameters.list(path)));
    let pages = PageLinks::of(&window.paging, count, next, parameters.cursor());
    pages.links.iter().map(|(name, page)| (*name, parameters.link(path, page))).collect()
}

/// `POST /type`
pub async fn create<R: Create>(call: Call) -> Result<Answer> {
    call.admit().await?;
    let (view, faults) = view::<R>(&call);
    let found = Notes::beside(faults);
    let shape = Shape { kind: R::TYPE, id: R::CLIENT_ID, many: true };
    let (items, options) = read_document(&call.body, shape, &found, R::options, R::read);
    let options = options.unwrap_or_default();
    let weight = if items.items.len() > FEW { Weight::Long } else { Weight::Short };
    let show = shown(R::CREATED, items.many, &call);
    let write = move |db: &mut Conn, scope: &Scope| {
        let notes = found.clone();
        let written = R::create(db, scope, &items, &options, &notes)?;
        notes.check()?;
        let made = made(&written);
        audit::enter(db, scope, Action::Create, &made)?;
        let rows = kept(written, &items, &notes);
        let loaded = Loaded::load(db, scope, rows, view.clone())?;
        // Where nothing was made, the one that was there is shown.
        let read = if made.is_empty() { loaded.records() } else { loaded.beside() };
        Ok(Shown { loaded, notes, read })
    };
    call.write(weight, write, show).await
}

/// The resources that were created.
fn made<R: Resource>(written: &[Written<R>]) -> Records {
    let mut made = Records::default();
    for outcome in written {
        if let Written::Created(row) = outcome {
            made.add(row.kind(), row.id());
        }
    }
    made
}

/// The resources of the answer: those created, or the one that was there when
/// the only one posted was skipped.
fn kept<R, N>(written: Vec<Written<R>>, items: &Items<N>, notes: &Notes) -> Vec<R> {
    let mut rows = Vec::with_capacity(written.len());
    for (outcome, (pointer, _)) in written.into_iter().zip(&items.items) {
        match outcome {
            Written::Created(row) => rows.push(row),
            Written::Skipped(row) => {
                notes.ignore(pointer);
                rows.extend(row);
            }
        }
    }
    rows
}

/// `PATCH /type/{id}`
pub async fn update<R: Update>(call: Call) -> Result<Answer> {
    call.admit().await?;
    let id = call.path_id();
    let (view, faults) = view::<R>(&call);
    let conditions = Conditions::read(call.headers(), &faults);
    let found = Notes::beside(faults);
    let shape = Shape { kind: R::TYPE, id: ClientId::Is(&call.id), many: false };
    let (items, _) = read_document(&call.body, shape, &found, |_| (), R::changes);
    let show = shown(StatusCode::OK, false, &call);
    let write = move |db: &mut Conn, scope: &Scope| {
        let notes = found.clone();
        db.serialize(scope.organization)?;
        let id = id.ok_or_else(Fault::not_found)?;
        // Who may not see the resource is not told what is wrong with the body either.
        let row = R::fetch(db, scope, id)?;
        let (row, old) = as_wanted(db, scope, row, &conditions, &view)?;
        let Some((_, changes)) = items.items.first() else { return rejected(&notes) };
        let row = R::update(db, scope, row, changes, &notes)?;
        notes.check()?;
        changed(db, scope, Some(old), row, &view, notes)
    };
    call.write(Weight::Short, write, show).await
}

/// `PUT /type`
pub async fn upsert<R: Upsert>(call: Call) -> Result<Answer> {
    call.admit().await?;
    let (view, faults) = view::<R>(&call);
    let conditions = Conditions::read(call.headers(), &faults);
    let found = Notes::beside(faults);
    let shape = Shape { kind: R::TYPE, id: ClientId::Ignored, many: false };
    let (items, query) = read_document(&call.body, shape, &found, R::query, R::changes);
    let query = query.flatten();
    if query.is_none() && !found.faults.any_within("/meta") {
        found.faults.add(Fault::body("/meta/query", R::QUERY));
    }
    let show = shown(StatusCode::OK, false, &call);
    let write = move |db: &mut Conn, scope: &Scope| {
        let notes = found.clone();
        db.serialize(scope.organization)?;
        let (Some(query), Some(item)) = (&query, items.items.first()) else { return rejected(&notes) };
        let Some(found) = R::find(db, scope, query, &notes)? else { return rejected(&notes) };
        let old = match found.as_slice() {
            [] => conditions.on_write(None).map(|()| None)?,
            [id] => {
                let row = R::fetch(db, scope, *id)?;
                Some(as_wanted(db, scope, row, &conditions, &view)?.1)
            }
            _ => None,
        };
        let Some(row) = R::upsert(db, scope, query, &found, item, &notes)? else { return rejected(&notes) };
        notes.check()?;
        changed(db, scope, old, row, &view, notes)
    };
    call.write(Weight::Short, write, show).await
}

/// `DELETE /type/{id}`
pub async fn delete<R: Delete>(call: Call) -> Result<Answer> {
    let id = call.path_id();
    let (view, faults) = view::<R>(&call);
    let conditions = Conditions::read(call.headers(), &faults);
    let meta = call.meta();
    let write = move |db: &mut Conn, scope: &Scope| {
        faults.clone().check()?;
        db.serialize(scope.organization)?;
        let row = R::fetch(db, scope, id.ok_or_else(Fault::not_found)?)?;
        let (row, old) = as_wanted(db, scope, row, &conditions, &view)?;
        audit::enter_values(db, scope, Action::Delete, &Records::of(row.kind(), [row.id()]), (Some(old), None))?;
        R::delete(db, scope, row)
    };
    call.write(Weight::Short, write, move |()| Answer::document(StatusCode::OK, &MetaDocument { meta: &meta })).await
}

/// The row, when it is what the client wants it to be, and how it is written.
fn as_wanted<R: Resource>(
    db: &mut Conn,
    scope: &Scope,
    row: R,
    conditions: &Conditions,
    view: &View,
) -> Result<(R, Json)> {
    let plain = View { web_app: view.web_app.clone(), ..View::default() };
    let (row, written) = Loaded::load(db, scope, vec![row], plain)?.written()?;
    conditions.on_write(Some(&Tag::of(&written, None)))?;
    Ok((row, Json::from_text(written)))
}

/// Loads what an answer shows of a row that was changed, or made when it was not
/// there, and enters that in the audit trail.
fn changed<R: Resource>(
    db: &mut Conn,
    scope: &Scope,
    old: Option<Json>,
    row: R,
    view: &View,
    notes: Notes,
) -> Result<Shown<R>> {
    let record = Records::of(row.kind(), [row.id()]);
    let loaded = Loaded::load(db, scope, vec![row], view.clone())?;
    match old {
        Some(old) => {
            let new = Json::from_text(loaded.whole()?);
            audit::enter_values(db, scope, Action::Update, &record, (Some(old), Some(new)))?;
        }
        None => audit::enter(db, scope, Action::Create, &record)?,
    }
    let read = loaded.beside();
    Ok(Shown { loaded, notes, read })
}

/// The end of a request that noted faults prevent from being carried out.
fn rejected<T>(notes: &Notes) -> Result<T> {
    notes.check()?;
    Err(Error::Internal("a request was not carried out, and no fault noted".into()))
}

/// What the answer to a write shows.
struct Shown<R> {
    loaded: Loaded<R>,
    notes: Notes,
    /// What it did not write.
    read: Records,
}

/// How what was written is answered.
fn shown<R: Resource>(
    status: StatusCode,
    many: bool,
    call: &Call,
) -> impl Fn(Shown<R>) -> Result<Answer> + Send + 'static {
    let (req_id, witness) = (call.req_id, call.witness());
    move |Shown { loaded, notes, read }| {
        if let Some(witness) = &witness {
            witness.note(&read);
        }
        let meta = Meta { ignored: notes.ignored(), warnings: notes.warnings(), ..Meta::of(req_id) };
        if many { loaded.answer_many(status, &meta, None) } else { loaded.answer_one(status, &meta, None) }
    }
}

/// What a request asks of the resources in its answer, and all faults of its
/// parameters. The last to look at them.
pub fn view<R: Resource>(call: &Call) -> (View, Faults) {
    let parameters: &Parameters = &call.parameters;
    let view = View {
        fieldsets: parameters.fieldsets(),
        include: parameters.include(R::INCLUDES),
        web_app: call.app.config.twine_web_app.clone(),
    };
    parameters.refuse_unread();
    (view, parameters.faults.clone())
}
