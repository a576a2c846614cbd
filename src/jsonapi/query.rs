//! Query parameters: filters, paging, sort, sparse fieldsets, includes.
//!
//! A parameter that is not understood is refused, never passed over: a filter
//! that is ignored returns more than was asked for. Only names that JSON:API
//! leaves to nobody (`_`, `utm_source`, `cacheBust`) have no effect.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::cursor::Cursor;
use super::read::Reference;
use crate::db::{Paging, Sort, SortKey, Window};
use crate::error::{Fault, Faults, Kind, Source};
use crate::id::Id;
use crate::time::Instant;

/// The parameters of a request, decoded, until each has found its reader.
#[derive(Debug, Default)]
pub struct Parameters {
    pairs: Vec<Parameter>,
    asked_for: RefCell<Vec<&'static str>>,
    /// What is wrong with them.
    pub faults: Faults,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    value: String,
    read: Cell<bool>,
}

/// `start..end`, either of which may be open.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Instants {
    /// The first instant that is within.
    pub start: Option<Instant>,
    /// The first that no longer is.
    pub end: Option<Instant>,
}

/// How a list may be paged.
#[derive(Clone, Copy, Debug)]
pub struct PagingRules {
    /// Whether it is paged when no page parameter is sent.
    pub always: bool,
    /// The default and the greatest `page[size]`.
    pub size: (i64, i64),
}

impl PagingRules {
    /// Whole, unless a page parameter is sent: for the lists whose
    /// documentation has no paging.
    pub const ON_REQUEST: Self = Self { always: false, size: (10, 50) };

    /// Paged by 10, by 50 at the most.
    pub const ALWAYS: Self = Self { always: true, size: (10, 50) };
}

const LIMIT: (i64, i64) = (50, 1000);

impl Parameters {
    /// Decodes a query string.
    pub fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| Parameter {
                name: name.into_owned(),
                value: value.into_owned(),
                read: Cell::new(false),
            })
            .collect();
        Self { pairs, ..Self::default() }
    }

    fn fault(&self, name: &str, detail: impl Into<String>) {
        self.faults.add(Fault::parameter(name, detail));
    }

    /// The value of a parameter, which counts as read from now on. One that is
    /// sent twice with different values is a fault.
    fn take(&self, name: &str) -> Option<&str> {
        let mut found: Option<&str> = None;
        for pair in self.pairs.iter().filter(|pair| pair.name == name) {
            pair.read.set(true);
            if found.is_some_and(|value| value != pair.value) {
                self.fault(
                    name,
                    "is sent more than once with different values; send it once, with commas where it takes a list",
                );
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
                keys.push(SortKey { sort, descending });
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
        let paging = self.paging(path, rules, order.len());
        Window { order, paging }
    }

    fn paging(&self, path: &str, rules: PagingRules, keys: usize) -> Paging {
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
            let after = after.and_then(|(name, text)| match Cursor::read(text, &self.list(path)) {
                Ok(cursor) if cursor.values.len() == keys => Some((cursor.values, cursor.id)),
                Ok(_) => None,
                Err(detail) => {
                    self.fault(name, detail);
                    None
                }
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
            if name.starts_with("filter") {
                let known = self.asked_for.borrow();
                let known = if known.is_empty() { "no filter".to_owned() } else { known.join(", ") };
                self.fault(name, format!("is not a filter of this resource, which knows {known}"));
            } else if name.starts_with("page") {
                self.fault(
                    name,
                    "is not a page parameter here; lists know page[number], page[size], page[limit] and page[after]",
                );
            } else if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()) {
                let detail = format!("{name:?} is not a parameter of this operation");
                self.faults.add(Fault::new(Kind::UnsupportedParameter, detail).at(Source::Parameter(name.into())));
            }
        }
    }

    /// What a list is told apart by: its path, filters and sort.
    pub fn list(&self, path: &str) -> String {
        let mut parts: Vec<_> = self
            .pairs
            .iter()
            .filter(|pair| pair.name.starts_with("filter") || pair.name == "sort")
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

/// The filters of a list, read by name.
pub struct Filters<'p>(pub &'p Parameters);

impl Filters<'_> {
    fn take(&self, name: &'static str) -> Option<&str> {
        self.0.asked_for.borrow_mut().push(name);
        let value = self.0.take(name)?;
        if value.trim().is_empty() {
            self.0.fault(name, "has no value; give one or leave the filter out");
            return None;
        }
        Some(value)
    }

    /// A text.
    pub fn text(&self, name: &'static str) -> Option<String> {
        self.take(name).map(str::to_owned)
    }

    /// The id of one resource.
    pub fn reference(&self, name: &'static str) -> Option<Reference> {
        self.take(name).map(|text| reference(name, text.trim()))
    }

    /// The ids of some resources, separated by commas.
    pub fn references(&self, name: &'static str) -> Option<Vec<Reference>> {
        let text = self.take(name)?;
        Some(text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(|id| reference(name, id)).collect())
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
            "true" => Some(true),
            "false" => Some(false),
            other => {
                self.0.fault(name, format!("{other:?} is neither true nor false"));
                None
            }
        }
    }

    /// A range of instants, `start..end`; either side may be empty.
    pub fn instants(&self, name: &'static str) -> Option<Instants> {
        let text = self.take(name)?;
        let Some((start, end)) = text.split_once("..") else {
            self.0.fault(name, format!("{text:?} is not a range: write start..end, either of which may be empty"));
            return None;
        };
        let side = |text: &str| {
            if text.is_empty() {
                return None;
            }
            let instant = Instant::parse(text);
            if instant.is_none() {
                let detail =
                    format!("{text:?} is not an RFC 3339 instant with an offset, such as 2026-01-31T08:30:00Z");
                self.0.fault(name, detail);
            }
            instant
        };
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
                [name] => format!("{name} is required"),
                _ => format!("one of {} is required", names.join(", ")),
            };
            self.0.fault(names.first().copied().unwrap_or_default(), detail);
        }
    }
}

fn reference(name: &str, text: &str) -> Reference {
    Reference { id: Id::parse(text), source: Source::Parameter(name.into()) }
}

/// The page parameters of the links of a page.
#[derive(Debug, Default)]
pub struct PageLinks {
    /// The name of each link and its page parameters.
    pub links: Vec<(&'static str, Vec<(&'static str, String)>)>,
}

impl PageLinks {
    /// The links of a page that holds `count` in all; `next` is the cursor of
    /// the page that follows.
    pub fn of(paging: &Paging, count: i64, next: Option<String>, this: Option<&str>) -> Self {
        let links = match paging {
            Paging::All => vec![("self", Vec::new())],
            Paging::Skip { number, size } => {
                let last = if *size == 0 { 1 } else { ((count + size - 1) / size).max(1) };
                let to = |number: i64| vec![("page[number]", number.to_string()), ("page[size]", size.to_string())];
                let mut links = vec![("self", to(*number))];
                if *size > 0 {
                    links.push(("first", to(1)));
                    links.extend(within(1..last + 1, number - 1).map(|number| ("prev", to(number))));
                    links.extend(within(1..last + 1, number + 1).map(|number| ("next", to(number))));
                    links.push(("last", to(last)));
                }
                links
            }
            Paging::Cursor { limit, .. } => {
                let to = |after: Option<&str>| {
                    let mut page = vec![("page[limit]", limit.to_string())];
                    page.extend(after.map(|after| ("page[after]", after.to_owned())));
                    page
                };
                let mut links = vec![("self", to(this))];
                links.extend(next.map(|next| ("next", to(Some(&next)))));
                links
            }
        };
        Self { links }
    }
}

fn within(range: Range<i64>, number: i64) -> Option<i64> {
    range.contains(&number).then_some(number)
}

impl Parameters {
    /// The cursor as it was sent, by whichever name.
    pub fn cursor(&self) -> Option<&str> {
        self.after().map(|(_, text)| text)
    }
}
