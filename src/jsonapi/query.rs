//! Query parameters: filters, paging, sort, sparse fieldsets, includes.
//!
//! A parameter that is not understood is refused, never passed over: a filter
//! that is ignored returns more than was asked for. Only names that JSON:API
//! leaves to nobody (`_`, `utm_source`, `cacheBust`) have no effect.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::cell::{Cell, RefCell};

use super::cursor::Cursor;
use super::paging::PagingRules;
use crate::db::{Paging, Sort, SortKey, Window};
use crate::error::{Fault, Faults, Kind, Source};

/// The parameters of a request, decoded, until each has found its reader.
#[derive(Debug, Default)]
pub struct Parameters {
    pub(super) pairs: Vec<Parameter>,
    pub(super) asked_for: RefCell<Vec<&'static str>>,
    /// What is wrong with them.
    pub faults: Faults,
}

#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    value: String,
    read: Cell<bool>,
}

const LIMIT: (i64, i64) = (50, 1000);

/// Parameters of a request at the most. No operation knows half as many.
const MOST: usize = 100;

impl Parameters {
    /// Decodes a query string.
    pub fn parse(query: &str) -> Self {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| Parameter {
                name: name.into_owned(),
                value: value.into_owned(),
                read: Cell::new(false),
            })
            .take(MOST + 1)
            .collect();
        let faults = Faults::default();
        if pairs.len() > MOST {
            let detail = format!(
                "More than {MOST} query parameters were sent, which is the most that are taken. Send lists with commas, \
                 in one parameter."
            );
            faults.add(Fault::new(Kind::InvalidParameter, detail));
        }
        Self { pairs, faults, ..Self::default() }
    }

    pub(super) fn fault(&self, name: &str, detail: impl Into<String>) {
        self.faults.add(Fault::parameter(name, detail));
    }

    /// The value of a parameter, which counts as read from now on. One that is
    /// sent twice with different values is a fault.
    pub(super) fn take(&self, name: &str) -> Option<&str> {
        let mut found: Option<&str> = None;
        for pair in self.pairs.iter().filter(|pair| pair.name == name) {
            pair.read.set(true);
            if found.is_some_and(|value| value != pair.value) {
                self.fault(
                    name,
                    "is sent more than once with different values; send it once, with commas where it takes a list",
                );
                return None;
            }
            found = Some(&pair.value);
        }
        found.inspect(|value| {
            if value.contains('\0') {
                self.fault(name, "must not contain the character U+0000");
            }
        })
    }

    /// The paths of `include`.
    pub fn include(&self, known: &'static [&'static str]) -> Vec<&'static str> {
        if known.is_empty() {
            // Left unread unless it is empty, and so refused.
            if self.pairs.iter().any(|pair| pair.name == "include" && !pair.value.is_empty()) {
                return Vec::new();
            }
        }
        let mut paths = Vec::new();
        for path in self.take("include").unwrap_or_default().split(',').map(str::trim).filter(|path| !path.is_empty()) {
            match known.iter().find(|known| **known == path) {
                Some(path) if paths.contains(path) => {}
                Some(path) => paths.push(*path),
                None => self.faults.add(
                    Fault::new(
                        Kind::UnsupportedParameter,
                        format!("{path:?} cannot be included here; {} can", known.join(", ")),
                    )
                    .at(Source::Parameter("include".into())),
                ),
            }
        }
        paths
    }

    /// The fields that `fields[type]` names, by type.
    pub fn fieldsets(&self) -> Vec<(String, Vec<String>)> {
        let mut fieldsets: Vec<(String, Vec<String>)> = Vec::new();
        for pair in &self.pairs {
            if let Some(kind) = pair.name.strip_prefix("fields[").and_then(|rest| rest.strip_suffix(']')) {
                pair.read.set(true);
                let fields =
                    pair.value.split(',').map(|field| field.trim().to_owned()).filter(|field| !field.is_empty());
                match fieldsets.iter_mut().find(|(known, _)| known == kind) {
                    Some((_, known)) => known.extend(fields),
                    None => fieldsets.push((kind.to_owned(), fields.collect())),
                }
            }
        }
        fieldsets
    }

    /// The sort keys; none for the default, which is the order of creation.
    fn sort<R>(&self, known: &'static [Sort<R>]) -> Vec<SortKey<R>> {
        let mut keys = Vec::new();
        for name in self.take("sort").unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let (descending, name) = name.strip_prefix('-').map_or((false, name), |name| (true, name));
            if let Some(sort) = known.iter().find(|sort| sort.name == name) {
                // What is sorted by already cannot be sorted by again.
                if !keys.iter().any(|key: &SortKey<R>| key.sort.name == name) {
                    keys.push(SortKey { sort, descending });
                }
            } else {
                let names: Vec<_> = known.iter().map(|sort| sort.name).collect();
                let detail = format!("{name:?} cannot be sorted by here; {} can", names.join(", "));
                self.faults.add(Fault::new(Kind::UnsupportedParameter, detail).at(Source::Parameter("sort".into())));
            }
        }
        keys
    }

    /// The part of a list that is asked for.
    pub fn window<R>(&self, path: &str, sorts: &'static [Sort<R>], rules: PagingRules) -> Window<R> {
        let order = self.sort(sorts);
        let paging = self.paging(path, rules, &order);
        Window { order, paging }
    }

    fn paging<R>(&self, path: &str, rules: PagingRules, order: &[SortKey<R>]) -> Paging {
        let number = self.number("page[number]", 1, i64::MAX);
        let size = self.number("page[size]", 0, rules.size.1);
        let limit = self.number("page[limit]", 0, LIMIT.1);
        let after = self.after();

        // Generated clients send every parameter with its declared default, of
        // both kinds of paging at once.
        let skips = number.is_some_and(|number| number != 1) || size.is_some_and(|size| size != rules.size.0);
        let cursors = after.is_some() || limit.is_some_and(|limit| limit != LIMIT.0);
        let sent_skips = number.is_some() || size.is_some();
        let sent_cursors = after.is_some() || limit.is_some();
        if skips && cursors {
            self.fault(
                if after.is_some() { "page[after]" } else { "page[limit]" },
                "cannot be combined with page[number] or page[size]; page either by number and size or by limit and after",
            );
        }
        if cursors || (sent_cursors && !sent_skips) {
            let after = after.and_then(|(name, text)| {
                let cursor =
                    Cursor::read(text, &self.list(path), order).inspect_err(|detail| self.fault(name, *detail));
                cursor.ok().map(|cursor| (cursor.values, cursor.id))
            });
            return Paging::Cursor { limit: limit.unwrap_or(LIMIT.0), after };
        }
        if sent_skips || rules.always {
            return Paging::Skip { number: number.unwrap_or(1), size: size.unwrap_or(rules.size.0) };
        }
        Paging::All
    }

    /// The cursor, by either of its names.
    fn after(&self) -> Option<(&'static str, &str)> {
        let after = self.take("page[after]").filter(|text| !text.is_empty());
        let cursor = self.take("page[cursor]").filter(|text| !text.is_empty());
        if let (Some(after), Some(cursor)) = (after, cursor)
            && after != cursor
        {
            self.fault("page[cursor]", "says another place than page[after]; they are two names of one parameter");
        }
        after.map(|text| ("page[after]", text)).or(cursor.map(|text| ("page[cursor]", text)))
    }

    /// The cursor as it was sent, by whichever name.
    pub fn cursor(&self) -> Option<&str> {
        self.after().map(|(_, text)| text)
    }

    fn number(&self, name: &str, least: i64, most: i64) -> Option<i64> {
        let text = self.take(name).filter(|text| !text.is_empty())?;
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let bounds = if most == i64::MAX { format!("from {least}") } else { format!("from {least} to {most}") };
            self.fault(name, format!("{text:?} is not a whole number {bounds}"));
        }
        number
    }

    /// Refuses what no reader has asked for.
    pub fn refuse_unread(&self) {
        for pair in self.pairs.iter().filter(|pair| !pair.read.get()) {
            let name = pair.name.as_str();
            if name.starts_with("filter[") {
                let known = self.asked_for.borrow();
                let known = if known.is_empty() { "no filter".to_owned() } else { known.join(", ") };
                self.fault(name, format!("is not a filter of this resource, which knows {known}"));
            } else if name.starts_with("page[") {
                self.fault(
                    name,
                    "is not a page parameter here; lists know page[number], page[size], page[limit] and page[after]",
                );
            } else if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()) {
                let detail = "is not a parameter of this operation; leave it out";
                self.faults.add(Fault::new(Kind::UnsupportedParameter, detail).at(Source::Parameter(name.into())));
            }
        }
    }

    /// What a list is told apart by: its path, filters and sort.
    pub fn list(&self, path: &str) -> String {
        let mut parts: Vec<_> = self
            .pairs
            .iter()
            .filter(|pair| pair.name.starts_with("filter[") || pair.name == "sort")
            .map(|pair| format!("{}={}", pair.name, pair.value))
            .collect();
        parts.sort();
        parts.dedup();
        format!("{path}?{}", parts.join("&"))
    }

    /// A link to this list with other page parameters.
    pub fn link(&self, path: &str, page: &[(&str, String)]) -> String {
        let kept = self.pairs.iter().filter(|pair| !pair.name.starts_with("page["));
        let pairs =
            kept.map(|pair| (pair.name.as_str(), &pair.value)).chain(page.iter().map(|(name, value)| (*name, value)));
        let mut link = path.to_owned();
        let mut separator = '?';
        for (name, value) in pairs {
            link.push(separator);
            link.extend(utf8_percent_encode(name, IN_NAME));
            link.push('=');
            link.extend(utf8_percent_encode(value, IN_VALUE));
            separator = '&';
        }
        link
    }
}

/// Everything but what RFC 3986 leaves unreserved.
const IN_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',').remove(b':');

/// The vendor's links keep brackets as they are.
const IN_NAME: &AsciiSet = &IN_VALUE.remove(b'[').remove(b']');
