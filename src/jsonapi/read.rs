//! Reading JSON that a client wrote, without giving up at the first fault.
//!
//! A document is read from the outside in, each value only once its place and
//! its meaning are known; what is wrong is noted with its JSON pointer, what
//! nobody asked for is noted as ignored, and reading goes on. A fault leaves a
//! harmless stand-in (`None`, an empty text): it is never stored, because
//! [`Notes::check`] comes before every write.

use std::borrow::Cow;
use std::cell::Cell;

use serde::Deserialize;
use serde_json::error::Category;

use super::notes::{Notes, Pointer};
use super::patch::Patch;
use super::tree::{Tree, Value};
use super::values::moved;
pub use super::values::{Read, Reference};
use crate::db::Json;
use crate::error::{Fault, Kind, Source};
use crate::time::Instant;

/// Characters of what is looked up or sorted by: PostgreSQL takes no more than
/// some 2,700 bytes into an index.
const SHORT: usize = 250;

/// A value that is not read yet.
pub struct Node<'a, 'p> {
    /// The value.
    pub value: Value<'a>,
    pointer: Pointer<'p>,
    pub(super) notes: &'p Notes,
}

impl<'a, 'p> Node<'a, 'p> {
    /// The whole of a document.
    pub fn root(tree: &'a Tree<'a>, notes: &'p Notes) -> Self {
        Self::at(tree.root(), Pointer::Root, notes)
    }

    /// A value at a known place.
    pub fn at(value: Value<'a>, pointer: Pointer<'p>, notes: &'p Notes) -> Self {
        Self { value, pointer, notes }
    }

    /// Its text.
    pub fn text(&self) -> &'a str {
        self.value.text()
    }

    /// Notes a fault here.
    pub fn fault(&self, detail: impl Into<String>) {
        self.notes.faults.add(Fault::body(self.pointer.text(), detail));
    }

    /// Notes that a member, though allowed, has no effect.
    pub fn ignore(&self, name: &str) {
        self.notes.ignore(Pointer::Member(&self.pointer, name).text());
    }

    /// Notes that a member is forbidden.
    pub fn refuse(&self, name: &str, detail: &str) {
        let source = Source::Pointer(Pointer::Member(&self.pointer, name).text());
        self.notes.faults.add(Fault::new(Kind::Forbidden, detail).at(source));
    }

    /// Its place, written down.
    pub fn pointer(&self) -> String {
        self.pointer.text()
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.text() == "null"
    }

    /// Reads an object; members that the reader did not ask for are noted as
    /// ignored.
    pub fn object<T>(&self, read: impl FnOnce(&Object<'a, '_>) -> T) -> Option<T> {
        if !self.text().starts_with('{') {
            self.fault(format!("must be an object, not {}", self.form()));
            return None;
        }
        let Members(members) = Members::of(self.value).inspect_err(|error| self.fault(no_character(error))).ok()?;
        let object = Object { members, pointer: self.pointer, notes: self.notes };
        let value = read(&object);
        for member in object.members.iter().filter(|member| !member.read.get()) {
            self.notes.ignore(Pointer::Member(&self.pointer, &member.name).text());
        }
        Some(value)
    }

    /// Reads an array, item by item; items with faults are left out. After too many
    /// faults it stops.
    pub fn list<T>(&self, read: impl Fn(&Node<'a, '_>) -> Option<T>) -> Option<Vec<T>> {
        if !self.text().starts_with('[') {
            self.fault(format!("must be an array, not {}", self.form()));
            return None;
        }
        let node = |(index, value)| Node::at(value, Pointer::Index(&self.pointer, index), self.notes);
        let nodes = self.value.parts().enumerate().map(node).take_while(|_| !self.notes.faults.suffice());
        Some(nodes.filter_map(|node| read(&node)).collect())
    }

    /// Reads a text with a character that is no white space.
    pub fn filled(&self) -> Option<String> {
        let text = String::read(self)?;
        if text.trim().is_empty() {
            self.fault("must not be blank");
            return None;
        }
        Some(text)
    }

    /// Reads one of a few texts.
    pub fn one_of(&self, choices: &[&str]) -> Option<String> {
        let text = String::read(self)?;
        if choices.contains(&text.as_str()) {
            return Some(text);
        }
        self.fault(format!("{text:?} is not one of {}", choices.join(", ")));
        None
    }

    /// Reads a text such as a name, which lists are sorted by.
    pub fn short(&self) -> Option<String> {
        self.check_length(String::read(self)?, SHORT)
    }

    /// Reads an object whose members are nobody's but the client's; they are
    /// kept to the letter.
    pub fn free_object(&self) -> Option<Json> {
        if self.text().starts_with('{') {
            return Json::read(self);
        }
        self.fault(format!("must be an object, not {}", self.form()));
        None
    }

    pub(super) fn check_length<T: AsRef<str>>(&self, text: T, most: usize) -> Option<T> {
        // No text has more characters than bytes.
        if text.as_ref().len() > most {
            let length = text.as_ref().chars().count();
            if length > most {
                self.fault(format!("must have at most {most} characters, not {length}"));
                return None;
            }
        }
        Some(text)
    }

    /// What a JSON value of this text is called.
    fn form(&self) -> &'static str {
        match self.text().as_bytes().first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// Reads by serde, or says what was expected.
    pub(super) fn parse<T: Deserialize<'a>>(&self, expected: &str) -> Option<T> {
        // The text is known to be JSON. What still fails to parse is an escape in a
        // string, half a surrogate pair, or a number, which serde says in words only.
        let say = |error: &serde_json::Error| match error.classify() {
            Category::Data => self.fault(format!("must be {expected}, not {}", self.form())),
            _ if error.to_string().starts_with("number out of range") => {
                self.fault("holds a number beyond those that other programs can read, which end at some 1.8e308");
            }
            _ => self.fault(no_character(error)),
        };
        serde_json::from_str(self.text()).inspect_err(say).ok()
    }
}

/// An object whose members are read by name.
pub struct Object<'a, 'p> {
    members: Vec<Member<'a>>,
    pointer: Pointer<'p>,
    notes: &'p Notes,
}

struct Member<'a> {
    name: Cow<'a, str>,
    value: Value<'a>,
    read: Cell<bool>,
}

impl<'a> Object<'a, '_> {
    /// The member of this name, which counts as read from now on.
    pub fn member(&self, name: &'static str) -> Option<Node<'a, '_>> {
        // The last of equal names counts, as in most JSON readers.
        let mut found = None;
        for member in self.members.iter().filter(|member| member.name == name) {
            member.read.set(true);
            found = Some(Node::at(member.value, Pointer::Member(&self.pointer, name), self.notes));
        }
        found
    }

    /// The text of a member, without reading it: for deciding who shall read
    /// the object.
    pub fn peek(&self, name: &str) -> Option<String> {
        let member = self.members.iter().rfind(|member| member.name == name)?;
        self.skip_rest();
        serde_json::from_str(member.value.text()).ok()
    }

    /// Where an instant is moved to that stands in this member in another form.
    pub fn moved(&self, name: &'static str, instant: Instant) -> Option<Instant> {
        self.member(name).and_then(|node| moved(&node, instant))
    }

    /// Passes over all members that are not read otherwise.
    pub fn skip_rest(&self) {
        for member in &self.members {
            member.read.set(true);
        }
    }

    /// Passes over members that have their place here but no effect.
    pub fn skip(&self, names: &[&'static str]) {
        for name in names {
            self.member(name);
        }
    }

    /// A member that may be absent, cleared or given; one with a fault counts
    /// as absent.
    pub fn patch_with<T>(&self, name: &'static str, read: impl FnOnce(&Node<'a, '_>) -> Option<T>) -> Patch<T> {
        match self.member(name) {
            None => Patch::Absent,
            Some(node) if node.is_null() => Patch::Null,
            Some(node) => read(&node).map_or(Patch::Absent, Patch::Value),
        }
    }

    /// A member that may be absent, cleared or given.
    pub fn patch<T: Read>(&self, name: &'static str) -> Patch<T> {
        self.patch_with(name, T::read)
    }

    /// A member that may be absent; `null` counts as absent.
    pub fn optional_with<T>(&self, name: &'static str, read: impl FnOnce(&Node<'a, '_>) -> Option<T>) -> Option<T> {
        self.member(name).filter(|node| !node.is_null()).and_then(|node| read(&node))
    }

    /// A member that may be absent; `null` counts as absent.
    pub fn optional<T: Read>(&self, name: &'static str) -> Option<T> {
        self.optional_with(name, T::read)
    }

    /// A member that must be there; `null` counts as absent.
    pub fn required_with<T>(&self, name: &'static str, read: impl FnOnce(&Node<'a, '_>) -> Option<T>) -> Option<T> {
        let Some(node) = self.member(name).filter(|node| !node.is_null()) else {
            self.missing(name);
            return None;
        };
        read(&node)
    }

    /// A member that must be there; the default stands in for a faulty one.
    pub fn required<T: Read + Default>(&self, name: &'static str) -> T {
        self.required_with(name, T::read).unwrap_or_default()
    }

    /// A text that must be there, with a character that is no white space.
    pub fn filled(&self, name: &'static str) -> Option<String> {
        self.required_with(name, |node| node.filled())
    }

    /// A text that must be there, not blank and short: one that is looked up.
    pub fn key(&self, name: &'static str) -> Option<String> {
        self.required_with(name, |node| node.check_length(node.filled()?, SHORT))
    }

    /// Notes that a member is missing.
    pub fn missing(&self, name: &str) {
        self.fault(name, "is required");
    }

    /// Notes a fault of a member.
    pub fn fault(&self, name: &str, detail: impl Into<String>) {
        self.notes.faults.add(Fault::body(Pointer::Member(&self.pointer, name).text(), detail));
    }

    /// Notes that a member looks like a mistake.
    pub fn warn(&self, name: &str, detail: impl Into<String>) {
        self.notes.warn(Pointer::Member(&self.pointer, name).text(), detail);
    }

    /// Its place, written down.
    pub fn pointer(&self) -> String {
        self.pointer.text()
    }

    /// Whether a fault was noted of a member or below it.
    pub fn is_faulty(&self, name: &str) -> bool {
        // Mostly there is none, and then the place need not be written down.
        self.notes.has_faults() && self.notes.faults.any_within(&Pointer::Member(&self.pointer, name).text())
    }

    /// An object without members at a member's place.
    pub fn empty<'s>(&'s self, name: &'s str) -> Object<'a, 's> {
        Object { members: Vec::new(), pointer: Pointer::Member(&self.pointer, name), notes: self.notes }
    }

    /// Whether there is a member of this name with a value other than `null`.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().rfind(|member| member.name == name).is_some_and(|member| member.value.text() != "null")
    }
}

/// The members of an object, unread, in their order.
#[derive(Default)]
pub struct Members<'a>(Vec<Member<'a>>);

impl<'a> Members<'a> {
    /// Those of an object.
    ///
    /// # Errors
    /// When a name has an escape that stands for no Unicode character.
    pub fn of(object: Value<'a>) -> serde_json::Result<Self> {
        let mut members = Vec::with_capacity(8);
        let mut parts = object.parts();
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            let name = match name.plain() {
                Some(name) => Cow::Borrowed(name),
                None => Cow::Owned(serde_json::from_str(name.text())?),
            };
            members.push(Member { name, value, read: Cell::new(false) });
        }
        Ok(Self(members))
    }

    /// Names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, Value<'a>)> {
        self.0.iter().map(|member| (member.name.as_ref(), member.value))
    }
}

/// The fault of half a surrogate pair, which passes for JSON until it is decoded.
fn no_character(error: &serde_json::Error) -> String {
    format!("holds an escape that stands for no Unicode character ({error})")
}
