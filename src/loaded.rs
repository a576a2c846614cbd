//! Rows with all that an answer shows of them, and the answers themselves.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde::Serialize;

use crate::audit::Records;
use crate::auth::Scope;
use crate::call::Answer;
use crate::conditions::Tag;
use crate::db::{Conn, Json};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::jsonapi::answer::{Data, Document, Meta, Pairs, Relationships, ResourceObject};
use crate::jsonapi::{Included, View};
use crate::resource::Resource;

/// Rows with all that an answer shows of them.
pub struct Loaded<R> {
    rows: Vec<R>,
    relationships: Vec<Relationships>,
    included: Included,
}

impl<R: Resource> Loaded<R> {
    /// Loads what belongs to these rows.
    ///
    /// # Errors
    /// When the database fails.
    pub fn load(db: &mut Conn, scope: &Scope, rows: Vec<R>, view: View) -> Result<Self> {
        let relationships = R::relationships(db, scope, &rows)?;
        let paths = view.include.clone();
        let mut included = Included::new(view);
        for path in paths {
            R::include(db, scope, &rows, path, &mut included)?;
        }
        Ok(Self { rows, relationships, included })
    }

    /// The rows.
    pub fn rows(&self) -> &[R] {
        &self.rows
    }

    /// The answer that shows the only row, with its entity tag where it can be
    /// found again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn answer_one(
        &self,
        status: StatusCode,
        meta: &Meta,
        links: Option<&[(&'static str, String)]>,
    ) -> Result<Answer> {
        if !R::LASTING {
            return Answer::document(status, &self.document(meta, links, false)?);
        }
        let (row, relationships) = self.only()?;
        let data = object(row, relationships, &self.included.view).text()?;
        let tag = self.tag(&data)?;
        let included = R::INCLUDED.then_some(&self.included);
        let document = Document { meta, links: links.map(Pairs), data: Json::from_text(data), included };
        let mut answer = Answer::document(status, &document)?;
        answer.headers.push(tag.header()?);
        Ok(answer)
    }

    /// The tag of the only row, which is written like this.
    fn tag(&self, data: &str) -> Result<Tag> {
        let view = &self.included.view;
        let included = if view.include.is_empty() { None } else { Some(serde_json::to_string(&self.included)?) };
        if view.fieldsets.is_empty() {
            return Ok(Tag::of(data, included.as_deref()));
        }
        Ok(Tag::of(&self.whole()?, included.as_deref()))
    }

    /// The resource object of the only row, whole, whatever is asked for of it.
    ///
    /// # Errors
    /// When it is not there or cannot be written.
    pub fn whole(&self) -> Result<String> {
        let (row, relationships) = self.only()?;
        let view = View { web_app: self.included.view.web_app.clone(), ..View::default() };
        Ok(object(row, relationships, &view).text()?)
    }

    /// The resource objects of all rows, whole, by their ids.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn each(&self) -> Result<BTreeMap<Id, Json>> {
        self.objects().map(|object| Ok((object.id, Json::from_text(object.text()?)))).collect()
    }

    /// The only row, and how it is written.
    ///
    /// # Errors
    /// When it is not there or cannot be written.
    pub fn written(mut self) -> Result<(R, String)> {
        let whole = self.whole()?;
        self.rows.pop().map(|row| (row, whole)).ok_or_else(missing)
    }

    /// All that an answer shows, by type and id.
    pub fn records(&self) -> Records {
        let mut records = self.beside();
        for row in &self.rows {
            records.add(row.kind(), row.id());
        }
        records
    }

    /// What an answer shows beside the rows.
    pub fn beside(&self) -> Records {
        let mut records = Records::default();
        for (kind, id) in self.included.identities() {
            records.add(kind, id);
        }
        records
    }

    fn only(&self) -> Result<(&R, &Relationships)> {
        self.rows.first().zip(self.relationships.first()).ok_or_else(missing)
    }

    /// The answer that shows all rows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn answer_many(
        &self,
        status: StatusCode,
        meta: &Meta,
        links: Option<&[(&'static str, String)]>,
    ) -> Result<Answer> {
        Answer::document(status, &self.document(meta, links, true)?)
    }

    /// The document that shows the only row, or all.
    ///
    /// # Errors
    /// When the only row is not there.
    pub fn document<'a>(
        &'a self,
        meta: &'a Meta,
        links: Option<&'a [(&'static str, String)]>,
        many: bool,
    ) -> Result<Document<'a, Data<impl Serialize + 'a>>> {
        let mut objects = self.objects();
        let data = if many { Data::Many(objects.collect()) } else { Data::One(objects.next().ok_or_else(missing)?) };
        let included = R::INCLUDED.then_some(&self.included);
        Ok(Document { meta, links: links.map(Pairs), data, included })
    }

    fn objects(&self) -> impl Iterator<Item = ResourceObject<'_, R>> {
        self.rows
            .iter()
            .zip(&self.relationships)
            .map(|(row, relationships)| object(row, relationships, &self.included.view))
    }
}

fn missing() -> Error {
    Error::Internal("an answer without its resource".into())
}

impl Included {
    /// Adds resources with their relationships.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_all<R: Resource>(&mut self, db: &mut Conn, scope: &Scope, rows: &[R]) -> Result<()> {
        for (row, relationships) in rows.iter().zip(R::relationships(db, scope, rows)?) {
            let view = std::mem::take(&mut self.view);
            let added = self.add(&object(row, &relationships, &view));
            self.view = view;
            added?;
        }
        Ok(())
    }
}

fn object<'a, R: Resource>(row: &'a R, relationships: &'a Relationships, view: &'a View) -> ResourceObject<'a, R> {
    ResourceObject {
        kind: row.kind(),
        id: row.id(),
        attributes: row,
        path: R::LASTING.then(|| row.path()),
        links: if R::LASTING { row.links(&view.web_app) } else { Vec::new() },
        relationships,
        view,
    }
}
