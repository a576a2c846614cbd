//! JSON in a text column.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;
use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// JSON text, kept and answered to the letter: `121.0` stays `121.0`.
#[derive(Clone, Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct Json(String);

impl Json {
    /// An empty array.
    pub fn empty_list() -> Self {
        Self::of::<[(); 0]>(&[])
    }

    /// The JSON of a value.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        // Only maps with keys that are no text fail, and there are none.
        Self(serde_json::to_string(value).unwrap_or_else(|_| "null".into()))
    }

    /// The text of a value in a document, untouched. It must be JSON.
    pub fn raw(value: &str) -> Self {
        Self(value.to_owned())
    }

    /// JSON that was just written.
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Reads the value back, without copying its texts.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn borrowed<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(&self.0)
    }

    /// Reads the value back.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn value<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.0)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_raw(&self.0, serializer)
    }
}

/// Writes a text as it is, which must be JSON. `serde_json` has that for its
/// `RawValue`, which is parsed each time it is made; what is written here is
/// known to be JSON, so this goes by the name under which `serde_json` knows its
/// own.
///
/// # Errors
/// When the serializer fails.
pub fn write_raw<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    const RAW_VALUE: &str = "$serde_json::private::RawValue";
    let mut raw = serializer.serialize_struct(RAW_VALUE, 1)?;
    raw.serialize_field(RAW_VALUE, json)?;
    raw.end()
}

impl<DB: Backend> ToSql<Text, DB> for Json
where
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.as_str().to_sql(out)
    }
}

impl<DB: Backend> FromSql<Text, DB> for Json
where
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        String::from_sql(bytes).map(Self)
    }
}
