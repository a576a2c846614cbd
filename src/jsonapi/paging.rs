//! How lists are paged, and the links from page to page.

use std::ops::RangeInclusive;

use crate::db::Paging;

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
                    links.extend(within(1..=last, number - 1).map(|number| ("prev", to(number))));
                    links.extend(within(1..=last, number.saturating_add(1)).map(|number| ("next", to(number))));
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

fn within(range: RangeInclusive<i64>, number: i64) -> Option<i64> {
    range.contains(&number).then_some(number)
}
