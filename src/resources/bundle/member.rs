//! Which actions are in which bundles.

use std::collections::{HashMap, HashSet};

use diesel::dsl::max;
use diesel::prelude::*;

use crate::db::schema::bundle_actions;
use crate::db::{Conn, chunks, insert_all};
use crate::error::Result;
use crate::id::Id;
use crate::resources::lookup;

/// An action's place in a bundle.
#[derive(Insertable)]
#[diesel(table_name = bundle_actions)]
pub struct Member {
    bundle_id: Id,
    action_id: Id,
    position: i32,
}

impl Member {
    /// Bundles' actions, in their order.
    ///
    /// # Errors
    /// When the database fails.
    pub fn actions_of(db: &mut Conn, bundles: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Vec<Id>>> {
        lookup::group(bundles, |ids| {
            bundle_actions::table
                .filter(bundle_actions::bundle_id.eq_any(ids))
                .select((bundle_actions::bundle_id, bundle_actions::action_id))
                .order((bundle_actions::bundle_id, bundle_actions::position))
                .load(db)
        })
    }

    /// The bundles that actions are in.
    ///
    /// # Errors
    /// When the database fails.
    pub fn bundles_of(db: &mut Conn, actions: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Vec<Id>>> {
        lookup::group(actions, |ids| {
            bundle_actions::table
                .filter(bundle_actions::action_id.eq_any(ids))
                .select((bundle_actions::action_id, bundle_actions::bundle_id))
                .order((bundle_actions::action_id, bundle_actions::bundle_id))
                .load(db)
        })
    }

    /// The members of a bundle that has these actions.
    pub fn of(bundle_id: Id, actions: &[Id]) -> impl Iterator<Item = Self> {
        (0..).zip(actions).map(move |(position, action_id)| Self { bundle_id, action_id: *action_id, position })
    }

    /// Puts actions at the end of bundles.
    ///
    /// # Errors
    /// When the database fails.
    pub fn append(db: &mut Conn, pairs: Vec<(Id, Id)>) -> Result<()> {
        let mut ends: HashMap<Id, i32> = HashMap::new();
        for chunk in chunks(pairs.iter().map(|(bundle, _)| *bundle).collect::<HashSet<_>>()) {
            let query = bundle_actions::table
                .filter(bundle_actions::bundle_id.eq_any(chunk))
                .group_by(bundle_actions::bundle_id)
                .select((bundle_actions::bundle_id, max(bundle_actions::position)));
            let found = query.load::<(Id, Option<i32>)>(db)?;
            ends.extend(found.into_iter().filter_map(|(bundle, last)| Some((bundle, last? + 1))));
        }
        let mut place = |(bundle_id, action_id)| {
            let end = ends.entry(bundle_id).or_default();
            *end += 1;
            Self { bundle_id, action_id, position: *end - 1 }
        };
        let members: Vec<_> = pairs.into_iter().map(&mut place).collect();
        Ok(insert_all::<_, Self>(db, bundle_actions::table, &members)?)
    }
}
