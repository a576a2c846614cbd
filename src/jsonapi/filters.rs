//! The filters of a list.

use super::query::Parameters;
use super::read::Reference;
use crate::error::Source;
use crate::id::Id;
use crate::time::Instant;

/// Values that one filter lists at the most: as many as a page has resources.
const ITEMS: usize = 1000;

/// `start..end`, either of which may be open.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Instants {
    /// The first instant that is within.
    pub start: Option<Instant>,
    /// The first that no longer is.
    pub end: Option<Instant>,
}

/// The filters of a list, read by name.
pub struct Filters<'p>(pub &'p Parameters);

impl Filters<'_> {
    fn take(&self, name: &'static str) -> Option<&str> {
        self.0.asked_for.borrow_mut().push(name);
        let value = self.0.take(name)?;
        if value.trim_matches([' ', ',']).is_empty() {
            self.0.fault(name, "has no value; give one or leave the filter out");
            return None;
        }
        Some(value)
    }

    /// A text.
    pub fn text(&self, name: &'static str) -> Option<String> {
        self.take(name).map(str::to_owned)
    }

    /// One of a few texts.
    pub fn one_of(&self, name: &'static str, choices: &[&str]) -> Option<String> {
        let text = self.text(name)?;
        if choices.contains(&text.as_str()) {
            return Some(text);
        }
        self.0.fault(name, format!("{text:?} is not one of {}", choices.join(", ")));
        None
    }

    /// Some texts, separated by commas.
    pub fn texts(&self, name: &'static str) -> Option<Vec<String>> {
        let text = self.take(name)?;
        let texts: Vec<_> = text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
        if texts.len() > ITEMS {
            let detail =
                format!("must list at most {ITEMS} values, not {}; ask for them in several requests", texts.len());
            self.0.fault(name, detail);
            return None;
        }
        Some(texts)
    }

    /// The id of one resource.
    pub fn reference(&self, name: &'static str) -> Option<Reference> {
        self.take(name).map(|text| reference(name, text.trim()))
    }

    /// The ids of some resources, separated by commas.
    pub fn references(&self, name: &'static str) -> Option<Vec<Reference>> {
        Some(self.texts(name)?.iter().map(|id| reference(name, id)).collect())
    }

    /// `filter[groups]`, which the vendor's prose also calls `filter[group]`.
    pub fn groups(&self) -> Option<Vec<Reference>> {
        let groups = self.references("filter[groups]");
        // Quirk: the vendor's descriptions say filter[group] where the parameter is filter[groups]; both are read.
        let pair = self.0.pairs.iter().any(|pair| pair.name == "filter[group]");
        if pair && groups.is_some() {
            self.0.fault("filter[group]", "is another name of filter[groups]; send only one of them");
        }
        if pair { self.references("filter[group]") } else { groups }
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            // Python writes True.
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            other => {
                self.0.fault(name, format!("{other:?} is neither true nor false"));
                None
            }
        }
    }

    /// One instant.
    pub fn instant(&self, name: &'static str) -> Option<Instant> {
        self.parse_instant(name, self.take(name)?)
    }

    fn parse_instant(&self, name: &str, text: &str) -> Option<Instant> {
        let instant = Instant::parse(text);
        if instant.is_none() {
            let detail = format!("{text:?} is not an RFC 3339 instant with an offset, such as 2026-01-31T08:30:00Z");
            self.0.fault(name, detail);
        }
        instant
    }

    /// A range of instants, `start..end`; either side may be empty.
    pub fn instants(&self, name: &'static str) -> Option<Instants> {
        let text = self.take(name)?;
        let Some((start, end)) = text.split_once("..") else {
            self.0.fault(name, format!("{text:?} is not a range: write start..end, either of which may be empty"));
            return None;
        };
        let side = |text: &str| if text.is_empty() { None } else { self.parse_instant(name, text) };
        Some(Instants { start: side(start), end: side(end) })
    }

    /// Two filters that are nothing without each other.
    pub fn pair(&self, first: &'static str, second: &'static str) -> Option<(String, String)> {
        match (self.text(first), self.text(second)) {
            (Some(left), Some(right)) => Some((left, right)),
            (Some(_), None) => self.half(first, second),
            (None, Some(_)) => self.half(second, first),
            (None, None) => None,
        }
    }

    fn half(&self, sent: &str, missing: &str) -> Option<(String, String)> {
        self.0.fault(sent, format!("has no meaning without {missing}; send both or neither"));
        None
    }

    /// Notes that one of several filters is needed and none was sent.
    pub fn require_one_of(&self, names: &[&'static str]) {
        // One that was sent but could not be read has its own fault already.
        let sent = |name: &&str| {
            self.0
                .pairs
                .iter()
                .any(|pair| pair.name == *name || (*name == "filter[groups]" && pair.name == "filter[group]"))
        };
        if !names.iter().any(sent) {
            let detail = match names {
                [_] => "is required".to_owned(),
                _ => format!("one of {} is required", names.join(", ")),
            };
            self.0.fault(names.first().copied().unwrap_or_default(), detail);
        }
    }
}

fn reference(name: &str, text: &str) -> Reference {
    Reference { id: Id::parse(text), source: Source::Parameter(name.into()) }
}
