//! Cursors: where a client stands in a list.
//!
//! A cursor holds the sort values and the id of the last row that was sent, so
//! it survives inserts and deletes around it, and a fingerprint of the list it
//! belongs to. It grants nothing: whoever makes one up still sees only what the
//! token allows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::db::{KeyValue, SortKey};
use crate::id::Id;
use crate::time::Instant;

/// A position in a list.
#[derive(Debug, PartialEq)]
pub struct Cursor {
    /// The values of the row before, in the order of the sort keys.
    pub values: Vec<KeyValue>,
    /// Its id.
    pub id: Id,
}

#[derive(Serialize, Deserialize)]
struct Packed(String, Vec<PackedValue>, String);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PackedValue {
    Milliseconds(i64),
    Text(String),
}

impl Cursor {
    /// Writes the cursor for a list.
    pub fn write(&self, list: &str) -> String {
        let values = self.values.iter().map(|value| match value {
            KeyValue::Text(text) => PackedValue::Text(text.clone()),
            KeyValue::Instant(instant) => PackedValue::Milliseconds(instant.milliseconds()),
        });
        let packed = Packed(fingerprint(list), values.collect(), self.id.to_string());
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&packed).unwrap_or_default())
    }

    /// Reads a cursor of a list in this order.
    ///
    /// # Errors
    /// A sentence for the client when it is none, or one of another list.
    pub fn read<R>(text: &str, list: &str, order: &[SortKey<R>]) -> Result<Self, &'static str> {
        const FORM: &str = "is not a cursor that this server gave out; take it from links.next of the page before";
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| FORM)?;
        let Packed(print, values, id) = serde_json::from_slice(&bytes).map_err(|_| FORM)?;
        if print != fingerprint(list) {
            return Err(
                "is a cursor of another list; it can only be used with the filters and the sort that it was given out for",
            );
        }
        let value = |value| match value {
            PackedValue::Text(text) => (!text.contains('\0')).then_some(KeyValue::Text(text)),
            PackedValue::Milliseconds(value) => Instant::from_milliseconds(value).map(KeyValue::Instant),
        };
        let values = values.into_iter().map(value).collect::<Option<Vec<_>>>().ok_or(FORM)?;
        if values.len() != order.len() || !order.iter().zip(&values).all(|(key, value)| key.sort.value.fits(value)) {
            return Err(FORM);
        }
        Ok(Self { values, id: Id::parse(&id).ok_or(FORM)? })
    }
}

fn fingerprint(list: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(list).iter().copied().take(9).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Sort, SortValue};

    struct Row(String, Instant);

    static SORTS: [Sort<Row>; 2] = [
        Sort { name: "name", column: "name", value: SortValue::Text(|row| &row.0) },
        Sort { name: "at", column: "at", value: SortValue::Instant(|row| row.1) },
    ];

    #[test]
    fn a_cursor_belongs_to_one_list_and_its_order() {
        let order = SORTS.each_ref().map(|sort| SortKey { sort, descending: false });
        let row = Row("O'Neil, Zoë".into(), Instant::parse("2025-02-03T04:05:06.007Z").unwrap());
        let values = order.iter().map(|key| key.sort.value.of(&row)).collect();
        let cursor = Cursor { values, id: Id::parse("65f0c1d2e3a4b5c6d7e8f901").unwrap() };
        let written = cursor.write("/pub/patient?sort=name,at");

        assert_eq!(Cursor::read(&written, "/pub/patient?sort=name,at", &order).unwrap(), cursor);
        assert!(Cursor::read(&written, "/pub/patient", &order).is_err());
        assert!(Cursor::read(&written, "/pub/patient?sort=name,at", &order[..1]).is_err());
        assert!(Cursor::read("x", "/pub/patient?sort=name,at", &order).is_err());
    }
}
