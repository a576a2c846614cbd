//! JSON in a text column.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// JSON text, kept and answered to the letter: `121.0` stays `121.0`.
#[derive(Clone, Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct Json(Box<RawValue>);

impl Json {
    /// An empty array.
    pub fn empty_list() -> Self {
        Self::of::<[(); 0]>(&[])
    }

    /// The JSON of a value.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        // Only maps with keys that are no text fail, and there are none.
        Self(serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// The text of a value in a document, untouched.
    pub fn raw(value: &RawValue) -> Self {
        Self(value.to_owned())
    }

    /// Reads the value back.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn value<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.0.get())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<DB: Backend> ToSql<Text, DB> for Json
where
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.get().to_sql(out)
    }
}

impl<DB: Backend> FromSql<Text, DB> for Json
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(RawValue::from_string(String::from_sql(bytes)?)?))
    }
}
