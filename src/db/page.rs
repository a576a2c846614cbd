//! Pages of a list, counted, sorted, and cut by number or by cursor.

use diesel::QueryResult;
use diesel::dsl::{CountStar, count_star};
use diesel::expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::query_dsl::methods::{FilterDsl, LimitDsl, LoadQuery, OffsetDsl, OrderDsl, SelectDsl};
use diesel::sql_types::{Bool, Text, Timestamp};

use super::{Backend, Conn};
use crate::error::Result;
use crate::id::Id;
use crate::time::Instant;

/// What a list can be sorted by: a name of the API, its column, and the value
/// of a row there.
pub struct Sort<R> {
    /// The name in `sort`.
    pub name: &'static str,
    /// The SQL expression, never NULL: the databases disagree on where NULL
    /// stands.
    pub column: &'static str,
    /// The same of a row at hand.
    pub value: SortValue<R>,
}

/// What a row is sorted by.
pub enum SortValue<R> {
    /// A text; one that is absent counts as empty.
    Text(fn(&R) -> &str),
    /// An instant.
    Instant(fn(&R) -> Instant),
}

impl<R> SortValue<R> {
    /// The value of a row.
    pub fn of(&self, row: &R) -> KeyValue {
        match self {
            Self::Text(value) => KeyValue::Text(value(row).to_owned()),
            Self::Instant(value) => KeyValue::Instant(value(row)),
        }
    }

    /// Whether a value is of this type.
    pub fn fits(&self, value: &KeyValue) -> bool {
        matches!((self, value), (Self::Text(_), KeyValue::Text(_)) | (Self::Instant(_), KeyValue::Instant(_)))
    }
}

/// A value that rows are sorted by.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyValue {
    /// Sorted by its bytes.
    Text(String),
    /// Sorted by time.
    Instant(Instant),
}

/// One key of a sort order.
pub struct SortKey<R: 'static> {
    /// What is sorted by.
    pub sort: &'static Sort<R>,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// Which part of a list is asked for.
pub struct Window<R: 'static> {
    /// The sort keys. The id always follows as the last, in the direction of
    /// the one before it, so that the order is total.
    pub order: Vec<SortKey<R>>,
    /// The part.
    pub paging: Paging,
}

/// How a list is cut.
#[derive(Clone, Debug)]
pub enum Paging {
    /// Not at all.
    All,
    /// By page number, from 1.
    Skip {
        /// The page.
        number: i64,
        /// Rows on a page; 0 asks for the count alone.
        size: i64,
    },
    /// By cursor.
    Cursor {
        /// Rows at the most; 0 asks for the count alone.
        limit: i64,
        /// The sort values and the id of the row before the first.
        after: Option<(Vec<KeyValue>, Id)>,
    },
}

/// A part of a list.
pub struct Page<R> {
    /// The rows, in order.
    pub rows: Vec<R>,
    /// How many match in all.
    pub count: i64,
    /// Whether rows follow after the last of these.
    pub more: bool,
}

impl<R> Window<R> {
    /// Whether it is a small part that is found at once, where an index has the
    /// rows in the order of their ids.
    pub fn is_near(&self) -> bool {
        let (rows, walked) = match self.paging {
            Paging::All => return false,
            Paging::Skip { number, size } => (size, size.saturating_mul(number)),
            Paging::Cursor { limit, .. } => (limit, limit),
        };
        self.order.is_empty() && rows <= 50 && walked <= 1000
    }

    fn descending(&self) -> bool {
        self.order.last().is_some_and(|key| key.descending)
    }
}

/// Loads a page: one query for the count, one for the rows.
///
/// `matching` starts the query, filtered but neither sorted nor cut; it is
/// called once for each of the two. `Row` is what the query yields; the
/// resources are made from it.
pub fn load_page<'q, Row, Q, R: From<Row>>(
    db: &mut Conn,
    window: &Window<R>,
    table: &'static str,
    matching: impl Fn() -> Q,
) -> Result<Page<R>>
where
    Q: SelectDsl<CountStar, Output: LoadQuery<'q, Conn, i64>> + Pages<'q, Row>,
{
    let count = matching().select(count_star()).internal_load(db)?.next().transpose()?.unwrap_or_default();
    load_rows(db, window, table, count, matching())
}

/// A query that pages are cut from.
pub trait Pages<'q, Row>:
    FilterDsl<After, Output = Self>
    + OrderDsl<Order, Output = Self>
    + LimitDsl<Output = Self>
    + OffsetDsl<Output = Self>
    + LoadQuery<'q, Conn, Row>
{
}

impl<'q, Row, Q> Pages<'q, Row> for Q where
    Q: FilterDsl<After, Output = Q>
        + OrderDsl<Order, Output = Q>
        + LimitDsl<Output = Q>
        + OffsetDsl<Output = Q>
        + LoadQuery<'q, Conn, Row>
{
}

/// Loads the rows of a page of `count` that match.
pub fn load_rows<'q, Row, Q: Pages<'q, Row>, R: From<Row>>(
    db: &mut Conn,
    window: &Window<R>,
    table: &'static str,
    count: i64,
    matching: Q,
) -> Result<Page<R>> {
    let (part, offset, limit) = match &window.paging {
        Paging::All => (matching, 0, i64::MAX),
        Paging::Skip { number, size } => (matching, size.saturating_mul(number - 1), *size),
        Paging::Cursor { limit, after: None } => (matching, 0, *limit),
        Paging::Cursor { limit, after: Some((values, id)) } => {
            (matching.filter(After::of(window, table, values, *id)), 0, *limit)
        }
    };
    if limit == 0 || offset >= count {
        return Ok(Page { rows: Vec::new(), count, more: false });
    }
    // A database walks through all that it skips, so the second half of a list
    // is walked from its end.
    let behind = count.saturating_sub(offset).saturating_sub(limit).max(0);
    let backwards = offset > behind;
    let order = Order::of(window, table, backwards);
    // One more than asked for tells whether there is a next page.
    let part = if backwards {
        part.order(order).offset(behind).limit(limit.min(count - offset))
    } else {
        part.order(order).offset(offset).limit(limit.saturating_add(1))
    };
    let mut rows = part.internal_load(db)?.map(|row| row.map(R::from)).collect::<QueryResult<Vec<R>>>()?;
    if backwards {
        rows.reverse();
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit || (backwards && behind > 0);
    rows.truncate(limit);
    Ok(Page { rows, count, more })
}

/// A window far from both ends of a list in the order of its ids, as one that
/// begins after a row; `None` for any other window.
///
/// A database that skips rows looks each of them up. Of `ids`, which is the list
/// without the rest of its columns, it reads the index alone.
pub fn approach<'q, R, Q: Pages<'q, Id>>(
    db: &mut Conn,
    window: &Window<R>,
    table: &'static str,
    count: i64,
    ids: Q,
) -> Result<Option<Window<R>>> {
    /// Rows that are skipped as soon as looked up.
    const NEAR: i64 = 1000;
    let Paging::Skip { number, size } = window.paging else { return Ok(None) };
    let offset = size.saturating_mul(number - 1);
    let behind = count - offset;
    if !window.order.is_empty() || offset < NEAR || behind < NEAR {
        return Ok(None);
    }
    // The row before the window, from the end that is nearer.
    let backwards = offset > behind;
    let skipped = if backwards { behind } else { offset - 1 };
    let ids = ids.order(Order::of(window, table, backwards)).offset(skipped).limit(1);
    let before = ids.internal_load(db)?.next().transpose()?;
    Ok(before
        .map(|id| Window { order: Vec::new(), paging: Paging::Cursor { limit: size, after: Some((Vec::new(), id)) } }))
}

/// The ORDER BY of a window.
#[derive(Debug)]
pub struct Order(String);

impl Order {
    fn of<R>(window: &Window<R>, table: &str, backwards: bool) -> Self {
        let direction = |descending: bool| if descending == backwards { "" } else { " DESC" };
        let mut sql = String::new();
        for key in &window.order {
            sql += key.sort.column;
            sql += direction(key.descending);
            sql += ", ";
        }
        Self(format!("{sql}{table}.id{}", direction(window.descending())))
    }
}

impl QueryFragment<Backend> for Order {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Backend>) -> QueryResult<()> {
        out.push_sql(&self.0);
        Ok(())
    }
}

/// The condition that a row stands behind another in a window's order.
#[derive(Debug)]
pub struct After(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Sql(String),
    Value(KeyValue),
}

impl After {
    /// `(a, b, id) > (x, y, z)`, which an index serves; written out where the
    /// directions differ, because SQL compares rows in one direction only.
    fn of<R>(window: &Window<R>, table: &str, values: &[KeyValue], id: Id) -> Self {
        let mut keys: Vec<(String, bool, KeyValue)> = window
            .order
            .iter()
            .zip(values)
            .map(|(key, value)| (key.sort.column.to_owned(), key.descending, value.clone()))
            .collect();
        keys.push((format!("{table}.id"), window.descending(), KeyValue::Text(id.to_string())));

        let beyond = |descending: bool| if descending { " < " } else { " > " };
        let mut pieces = Vec::new();
        if keys.iter().all(|(_, descending, _)| *descending == window.descending()) {
            let columns: Vec<_> = keys.iter().map(|(column, ..)| column.as_str()).collect();
            pieces.push(Piece::Sql(format!("({}){}", columns.join(", "), beyond(window.descending()))));
            let mut before = "(";
            for (.., value) in keys {
                pieces.extend([Piece::Sql(before.into()), Piece::Value(value)]);
                before = ", ";
            }
            pieces.push(Piece::Sql(")".into()));
        } else {
            for last in 0..keys.len() {
                let mut before = if last == 0 { "((" } else { ") OR (" };
                for (at, (column, descending, value)) in keys.iter().take(last + 1).enumerate() {
                    let compare = if at == last { beyond(*descending) } else { " = " };
                    pieces.push(Piece::Sql(format!("{before}{column}{compare}")));
                    pieces.push(Piece::Value(value.clone()));
                    before = " AND ";
                }
            }
            pieces.push(Piece::Sql("))".into()));
        }
        Self(pieces)
    }
}

impl QueryFragment<Backend> for After {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Backend>) -> QueryResult<()> {
        for piece in &self.0 {
            match piece {
                Piece::Sql(sql) => out.push_sql(sql),
                Piece::Value(KeyValue::Text(text)) => out.push_bind_param::<Text, _>(text)?,
                Piece::Value(KeyValue::Instant(instant)) => out.push_bind_param::<Timestamp, _>(instant)?,
            }
        }
        Ok(())
    }
}

impl QueryId for Order {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryId for After {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Expression for Order {
    type SqlType = Bool;
}

impl Expression for After {
    type SqlType = Bool;
}

impl<T> AppearsOnTable<T> for Order {}

impl<T> AppearsOnTable<T> for After {}

impl ValidGrouping<()> for After {
    type IsAggregate = is_aggregate::No;
}
