//! Who asks: from the bearer token to the scope that every query starts from.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use diesel::prelude::*;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::db::Conn;
use crate::db::schema::{client_groups, clients, tokens};
use crate::error::{Error, Fault, Faults, Kind, Result};
use crate::id::Id;
use crate::jsonapi::Reference;
use crate::time::Instant;

/// What a caller may see and change. There is no query without one.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The organization; nothing outside it exists for the caller.
    pub organization: Id,
    /// The groups whose patients the caller sees; `None` for all.
    pub groups: Option<Vec<Id>>,
    /// The id of the client, for `created_by` and `updated_by`.
    pub client: String,
    /// When the request is answered.
    pub now: Instant,
    /// The request, where there is one: the audit trail names it.
    pub req_id: Option<Uuid>,
}

impl Scope {
    /// Whether the caller sees the whole organization.
    pub fn is_whole(&self) -> bool {
        self.groups.is_none()
    }

    /// Notes a fault when a request names an organization other than the
    /// caller's own.
    pub fn check_organization(&self, named: &Reference, faults: &Faults) {
        if named.id != Some(self.organization) {
            faults.add(Self::outside("organization", named));
        }
    }

    /// The fault of naming an organization or group that is not within the
    /// scope, whether or not it exists elsewhere.
    pub fn outside(what: &str, named: &Reference) -> Fault {
        Fault::new(
            Kind::Forbidden,
            format!(
                "this {what} is not within the scope of the token; see the token's own relationships for those that are"
            ),
        )
        .at(named.source.clone())
    }
}

/// The scopes of tokens that were looked up a moment ago: a client sends the
/// same token with request after request, and looking it up costs as much as
/// what is asked for.
#[derive(Clone, Default)]
pub struct Scopes(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    tokens: HashMap<Digest, (Scope, Instant)>,
    /// How often all was forgotten.
    generation: u64,
}

/// The SHA-256 of a token.
type Digest = [u8; 32];

impl Scopes {
    /// Milliseconds for which what was looked up holds: the time that a token
    /// which another process revokes goes on being good here.
    const FRESH: i64 = 1000;

    /// Tokens at the most. More clients than that do not come in one second.
    const MOST: usize = 10_000;

    /// The scope of a bearer token.
    ///
    /// # Errors
    /// 401 when the token is unknown, expired or revoked, or its client is.
    pub fn of(&self, db: &mut Conn, bearer: &str, now: Instant) -> Result<Scope> {
        let digest = Sha256::digest(bearer).into();
        let generation = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((scope, expires_at)) = known.tokens.get(&digest)
                && now < *expires_at
                && (0..Self::FRESH).contains(&(now.milliseconds() - scope.now.milliseconds()))
            {
                return Ok(Scope { now, ..scope.clone() });
            }
            known.generation
        };
        let (scope, expires_at) = authenticate(db, bearer, now)?;
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // What was read before a revocation says nothing about the time after.
        if known.generation == generation {
            if known.tokens.len() >= Self::MOST {
                known.tokens.clear();
            }
            known.tokens.insert(digest, (scope.clone(), expires_at));
        }
        Ok(scope)
    }

    /// Forgets all, because a token was revoked.
    pub fn forget(&self) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *known = Known { tokens: HashMap::new(), generation: known.generation + 1 };
    }
}

/// A row of the join that a bearer token leads to.
type Found = (Id, String, String, Option<Instant>, Instant, Option<Instant>);

/// Looks up the scope of a bearer token, and when the token expires.
fn authenticate(db: &mut Conn, bearer: &str, now: Instant) -> Result<(Scope, Instant)> {
    let found: Option<Found> = tokens::table
        .inner_join(clients::table)
        .filter(tokens::access_hash.eq(hash(bearer)))
        .select((
            clients::organization_id,
            clients::id,
            clients::scope,
            clients::revoked_at,
            tokens::expires_at,
            tokens::revoked_at,
        ))
        .first(db)
        .optional()?;
    let Some((organization, client, reach, None, expires_at, None)) = found else {
        return Err(unauthorized("The bearer token is unknown or was revoked. Get one from POST /pub/oauth/token."));
    };
    if expires_at <= now {
        return Err(unauthorized(
            "The bearer token has expired. Get a new one from POST /pub/oauth/token, with the refresh token or the client's credentials.",
        ));
    }
    let groups = groups_of(db, &client, &reach)?;
    Ok((Scope { organization, groups, client, now, req_id: None }, expires_at))
}

/// The groups that a client with this scope is restricted to; `None` when it is
/// not.
pub fn groups_of(db: &mut Conn, client: &str, scope: &str) -> Result<Option<Vec<Id>>> {
    if scope == "organization" {
        return Ok(None);
    }
    let groups = client_groups::table.filter(client_groups::client_id.eq(client)).select(client_groups::group_id);
    Ok(Some(groups.order(client_groups::group_id).load(db)?))
}

/// The answer to a request without a bearer token that is any good.
pub fn unauthorized(detail: &str) -> Error {
    Fault::new(Kind::Unauthorized, detail).into()
}

/// The token in an `Authorization` header.
///
/// # Errors
/// 401 when there is none, saying what is expected: generated clients send
/// none by default.
pub fn bearer(header: Option<&str>) -> Result<String> {
    let Some(header) = header else {
        return Err(unauthorized(
            "A bearer token is required: send the header \"Authorization: Bearer <access_token>\" with a token from POST /pub/oauth/token.",
        ));
    };
    match header.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(token.trim().to_owned())
        }
        _ => Err(unauthorized("The Authorization header is not of the form \"Authorization: Bearer <access_token>\".")),
    }
}

/// What is stored of a token: its SHA-256 in hex. Tokens are random, so no salt
/// is needed and equal tokens can be found by equal hashes.
pub fn hash(token: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(token).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What is stored of a client's secret. Like all that holds one, it has no
/// `Debug`: what cannot be written down is in no log.
pub enum Secret<'s> {
    /// Made by this program: 122 random bits, which SHA-256 keeps well.
    Generated(&'s str),
    /// Chosen by somebody: Argon2id makes guessing it expensive.
    Chosen(&'s str),
}

impl<'s> Secret<'s> {
    /// A secret that comes from elsewhere: one in the form of a UUID is taken
    /// for generated.
    pub fn of(secret: &'s str) -> Self {
        if Uuid::try_parse(secret).is_ok() { Self::Generated(secret) } else { Self::Chosen(secret) }
    }

    /// Hashes it for storage.
    ///
    /// # Errors
    /// When the system gives no randomness for the salt.
    pub fn hash(&self) -> Result<String> {
        match self {
            Self::Generated(secret) => Ok(format!("sha256:{}", hash(secret))),
            Self::Chosen(secret) => Argon2::default()
                .hash_password(secret.as_bytes())
                .map(|hash| hash.to_string())
                .map_err(|error| Error::Internal(format!("hashing a secret: {error}"))),
        }
    }
}

/// Whether a secret is checked in next to no time, because it is a generated
/// one.
pub fn is_quick(stored: &str) -> bool {
    stored.starts_with("sha256:")
}

/// Compares a secret with what is stored of the right one, in a time that does
/// not depend on where they differ.
pub fn verify_secret(secret: &str, stored: &str) -> bool {
    if let Some(stored) = stored.strip_prefix("sha256:") {
        return bool::from(hash(secret).as_bytes().ct_eq(stored.as_bytes()));
    }
    PasswordHash::new(stored).is_ok_and(|stored| Argon2::default().verify_password(secret.as_bytes(), &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_hash_alone() {
        for secret in [Secret::Generated("1b4e28ba"), Secret::Chosen("1b4e28ba")] {
            let stored = secret.hash().unwrap();
            assert!(!stored.contains("1b4e28ba"));
            assert!(verify_secret("1b4e28ba", &stored));
            assert!(!verify_secret("1b4e28bb", &stored));
        }
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for header in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(bearer(Some(header)).unwrap(), "abc");
        }
        for header in [None, Some("abc"), Some("Basic abc"), Some("Bearer"), Some("Bearer ")] {
            assert!(bearer(header).is_err());
        }
    }
}
