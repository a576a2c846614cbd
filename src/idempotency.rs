//! `Idempotency-Key`: a write that can be sent again and is carried out once.
//!
//! The answer is kept in the transaction that stores what it tells of, so both
//! are there or neither, whatever happens to the server, the database or the
//! connection. Only what was granted is kept: a request that was refused has
//! stored nothing, and may be sent again as it was or mended.
//!
//! A key belongs to the client that sends it; equal keys of two clients have
//! nothing to do with each other.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::auth::Scope;
use crate::call::{Answer, Call, JSON_API};
use crate::db::schema::idempotency_records as records;
use crate::db::{Conn, rows_of};
use crate::error::{Error, Fault, Kind, Result};
use crate::time::Instant;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Characters of a key at the most.
const LONGEST: usize = 255;

/// Expired records that a write with a key takes along, so that they go at least
/// as fast as they come.
const FEW: i64 = 4;

/// Expired records that a new token takes along, for the time when no more keys
/// are sent.
pub const MANY: i64 = 100;

/// A write that is to be carried out once.
#[derive(Clone, Debug)]
pub struct Once {
    key: String,
    /// The hash of method, path, query and body.
    request: String,
    /// Seconds for which the answer is kept.
    lifetime: u32,
}

/// A write, with its answer.
#[derive(Clone, Queryable, Insertable)]
#[diesel(table_name = records, treat_none_as_default_value = false)]
struct Record {
    id: String,
    client_id: String,
    request: String,
    scope: String,
    status: i32,
    etag: Option<String>,
    body: String,
    expires_at: Instant,
}

impl Once {
    /// The wish of a client that sends a key; a fault when it cannot be one.
    pub fn asked(call: &Call) -> Option<std::result::Result<Self, Fault>> {
        let key = read_key(call.headers())?;
        Some(key.map(|key| {
            let line = format!("{} {}?{}\n", call.method(), call.path, call.query());
            let request = Sha256::new().chain_update(line).chain_update(&call.body).finalize();
            let lifetime = call.app.config.idempotency_lifetime;
            Self { key, request: URL_SAFE_NO_PAD.encode(request), lifetime }
        }))
    }

    /// Carries the write out and keeps its answer, or answers as it was answered
    /// the first time. Whoever comes while it is carried out waits for the end.
    ///
    /// # Errors
    /// 409 when the key came with another request; what the write fails with.
    pub fn carry_out(
        &self,
        db: &mut Conn,
        scope: &Scope,
        write: impl FnOnce(&mut Conn) -> Result<Answer>,
    ) -> Result<Answer> {
        // No key has a line break in it.
        let place: [u8; 32] = Sha256::digest(format!("{}\n{}", self.key, scope.client)).into();
        db.lock(place.first_chunk().map_or(0, |begin| i64::from_be_bytes(*begin)))?;
        let id = URL_SAFE_NO_PAD.encode(place);
        let known: Option<Record> = rows_of(records::table).filter(records::id.eq(&id)).first(db).optional()?;
        match known {
            Some(record) if record.expires_at > scope.now => return self.replay(record, scope),
            Some(_) => drop(diesel::delete(records::table.find(&id)).execute(db)?),
            None => {}
        }
        let answer = write(db)?;
        diesel::insert_into(records::table).values(self.record(id, scope, &answer)?).execute(db)?;
        forget_expired(db, scope.now, FEW)?;
        Ok(answer)
    }

    fn record(&self, id: String, scope: &Scope, answer: &Answer) -> Result<Record> {
        let etag = answer.headers.iter().find(|(name, _)| *name == header::ETAG);
        let body = std::str::from_utf8(&answer.body).map_err(|error| Error::Internal(format!("an answer: {error}")))?;
        Ok(Record {
            id,
            client_id: scope.client.clone(),
            request: self.request.clone(),
            scope: hash_of(scope),
            status: answer.status.as_u16().into(),
            etag: etag.and_then(|(_, tag)| tag.to_str().ok()).map(str::to_owned),
            body: body.to_owned(),
            expires_at: scope.now.plus_seconds(self.lifetime),
        })
    }

    fn replay(&self, record: Record, scope: &Scope) -> Result<Answer> {
        let refused = |detail: &str| Err(Fault::new(Kind::KeyInUse, detail).into());
        if record.request != self.request {
            return refused(
                "The Idempotency-Key belongs to another request, which was carried out: method, path, query or body \
                 differ. Send that one unchanged to see its answer again; a new request needs a new key.",
            );
        }
        // The client wrote it, but what the answer shows may be out of its reach by now.
        if record.scope != hash_of(scope) {
            return refused(
                "The request with this Idempotency-Key was carried out, but its answer is not shown again: the scope \
                 of the client has changed since. Look for what it has stored; it is not carried out a second time.",
            );
        }
        let broken = |what: &str| Error::Internal(format!("the stored {what} of an answer"));
        let status = u16::try_from(record.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let mut headers = vec![(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"))];
        if let Some(etag) = record.etag {
            headers.push((header::ETAG, HeaderValue::try_from(etag).map_err(|_| broken("tag"))?));
        }
        let status = status.ok_or_else(|| broken("status"))?;
        Ok(Answer { status, content_type: JSON_API, headers, body: record.body.into_bytes() })
    }
}

/// What a scope lets see.
fn hash_of(scope: &Scope) -> String {
    let mut hash = Sha256::new().chain_update(scope.organization.as_str());
    for group in scope.groups.iter().flatten() {
        hash.update(group.as_str());
    }
    // Who is restricted to no group at all sees nothing, not everything.
    hash.update([u8::from(scope.is_whole())]);
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// Forgets so many of the records whose time is over, the oldest first.
///
/// # Errors
/// When the database fails.
pub fn forget_expired(db: &mut Conn, now: Instant, most: i64) -> Result<()> {
    let query = format!(
        "DELETE FROM idempotency_records WHERE id IN (SELECT id FROM idempotency_records WHERE expires_at <= $1 \
         ORDER BY expires_at LIMIT $2 {})",
        db.skip_locked()
    );
    diesel::sql_query(query).bind::<Timestamp, _>(now).bind::<BigInt, _>(most).execute(db)?;
    Ok(())
}

/// The key that a client sends.
fn read_key(headers: &HeaderMap) -> Option<std::result::Result<String, Fault>> {
    let mut lines = headers.get_all(&IDEMPOTENCY_KEY);
    let key = lines.next()?.to_str().ok().and_then(|line| parse(line.trim()));
    Some(key.filter(|_| lines.next().is_none()).map(Cow::into_owned).ok_or_else(|| {
        Fault::new(
            Kind::MalformedHeader,
            format!(
                "The Idempotency-Key is not one of 1 to {LONGEST} visible ASCII characters, bare or in double quotes. \
                 Send one such key, such as a UUID."
            ),
        )
    }))
}

/// The key itself: what is between the quotes, or all of it where there are none.
fn parse(line: &str) -> Option<Cow<'_, str>> {
    let key = match line.strip_prefix('"') {
        Some(quoted) => unescape(quoted.strip_suffix('"')?)?,
        None => line.into(),
    };
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    Some(key).filter(|key| visible && (1..=LONGEST).contains(&key.len()))
}

/// What stands in a string of RFC 9651.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['"', '\\']) {
        return Some(text.into());
    }
    let (mut plain, mut characters) = (String::with_capacity(text.len()), text.chars());
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => characters.next().filter(|escaped| ['"', '\\'].contains(escaped))?,
            '"' => return None,
            other => other,
        });
    }
    Some(plain.into())
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, parse};

    #[test]
    fn a_key_is_the_same_bare_and_in_quotes() {
        for (line, key) in [
            ("8e03978e-40d5", "8e03978e-40d5"),
            (r#""8e03978e-40d5""#, "8e03978e-40d5"),
            (r#"a"b\"#, r#"a"b\"#),
            (r#""a\"b\\""#, r#"a"b\"#),
            ("a,b", "a,b"),
        ] {
            assert_eq!(parse(line).as_deref(), Some(key), "{line}");
        }
        assert!(parse(&"k".repeat(LONGEST)).is_some() && parse(&"k".repeat(LONGEST + 1)).is_none());
        for refused in
            ["", r#""""#, r#"""#, r#""a"#, r#""a"b""#, r#""a\b""#, r#""a\""#, "a b", r#""a b""#, r#""a";b"#, "ä"]
        {
            assert_eq!(parse(refused), None, "{refused}");
        }
    }
}
