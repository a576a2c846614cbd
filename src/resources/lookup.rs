//! Looking up many rows at once, in as many statements as it takes.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use diesel::QueryResult;

use crate::db::chunks;
use crate::error::Result;

/// All that `load` finds for these values. It is given each of them once, in
/// portions that one statement can take.
///
/// # Errors
/// When the database fails.
pub fn collect<V: Eq + Hash, R, C: FromIterator<R>>(
    values: impl IntoIterator<Item = V>,
    mut load: impl FnMut(Vec<V>) -> QueryResult<Vec<R>>,
) -> Result<C> {
    let once: HashSet<V> = values.into_iter().collect();
    let mut found = Vec::new();
    for chunk in chunks(once) {
        found.extend(load(chunk)?);
    }
    Ok(found.into_iter().collect())
}

/// The same of pairs, the seconds by their firsts, in the order in which they
/// are found.
///
/// # Errors
/// When the database fails.
pub fn group<V: Eq + Hash, K: Eq + Hash, R>(
    values: impl IntoIterator<Item = V>,
    load: impl FnMut(Vec<V>) -> QueryResult<Vec<(K, R)>>,
) -> Result<HashMap<K, Vec<R>>> {
    let pairs: Vec<(K, R)> = collect(values, load)?;
    let mut groups: HashMap<K, Vec<R>> = HashMap::new();
    for (key, row) in pairs {
        groups.entry(key).or_default().push(row);
    }
    Ok(groups)
}
