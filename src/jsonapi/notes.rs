//! What is noticed on the way through a request, and where.

use std::cell::{Cell, RefCell};
use std::fmt::Write;

use serde::Serialize;

use crate::error::{Faults, Result};
use crate::time::Shift;

/// What was noticed while a request was read and carried out.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// What is wrong.
    pub faults: Faults,
    /// How far instants are moved while they are read; not at all but for fixtures.
    pub shift: Cell<Shift>,
    ignored: RefCell<Vec<String>>,
    warnings: RefCell<Vec<Warning>>,
}

/// Something that was stored as sent, though it looks like a mistake.
#[derive(Clone, Debug, Serialize)]
pub struct Warning {
    /// Its place in the request.
    pub pointer: String,
    /// What looks wrong.
    pub detail: String,
}

impl Notes {
    /// Notes that go on from faults found elsewhere in the request.
    pub fn beside(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Notes a place whose content has no effect.
    pub fn ignore(&self, pointer: impl Into<String>) {
        self.ignored.borrow_mut().push(pointer.into());
    }

    /// Notes what looks like a mistake.
    pub fn warn(&self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.warnings.borrow_mut().push(Warning { pointer: pointer.into(), detail: detail.into() });
    }

    /// The end of reading.
    ///
    /// # Errors
    /// With every fault that was noted.
    pub fn check(&self) -> Result<()> {
        self.faults.check()
    }

    /// Whether a fault was noted.
    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// The pointers of `meta.ignored`.
    pub fn ignored(&self) -> Vec<String> {
        self.ignored.borrow().clone()
    }

    /// The entries of `meta.warnings`.
    pub fn warnings(&self) -> Vec<Warning> {
        self.warnings.borrow().clone()
    }
}

/// A place in a document. It costs nothing until it is written down.
#[derive(Clone, Copy, Debug)]
pub enum Pointer<'p> {
    /// The whole document.
    Root,
    /// A member of an object.
    Member(&'p Pointer<'p>, &'p str),
    /// An item of an array.
    Index(&'p Pointer<'p>, usize),
}

impl Pointer<'_> {
    /// Writes it down.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(64);
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Root => {}
            Self::Member(parent, name) => {
                parent.write(text);
                text.push('/');
                if name.bytes().any(|byte| matches!(byte, b'~' | b'/')) {
                    text.push_str(&name.replace('~', "~0").replace('/', "~1"));
                } else {
                    text.push_str(name);
                }
            }
            Self::Index(parent, index) => {
                parent.write(text);
                // Writing to a String cannot fail.
                let _ = write!(text, "/{index}");
            }
        }
    }
}
