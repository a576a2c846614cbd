//! Checking a client, and giving it a token.

use actix_web::http::header;
use actix_web::web;
use diesel::prelude::*;
use uuid::Uuid;

use super::answer::success;
use super::request::Grant;
use super::{Form, TYPES};
use crate::auth::{self, Scope};
use crate::call::{Answer, Call};
use crate::db::schema::{clients, tokens};
use crate::db::{Conn, Weight};
use crate::error::{Error, Fault, Kind, Result};
use crate::handlers::view;
use crate::id::Id;
use crate::idempotency;
use crate::limits::Attempt;
use crate::loaded::Loaded;
use crate::resources::token::Token;
use crate::time::Instant;

/// A row of `clients`, as far as it is needed here.
#[derive(Clone, Queryable)]
struct Client {
    id: String,
    organization: Id,
    scope: String,
    secret_hash: String,
}

#[derive(Clone, Insertable, Queryable)]
#[diesel(table_name = tokens, treat_none_as_default_value = false)]
struct Row {
    id: Id,
    client_id: String,
    family: String,
    access_hash: String,
    refresh_hash: String,
    created_at: Instant,
    expires_at: Instant,
    refreshable_until: Instant,
    spent_at: Option<Instant>,
    revoked_at: Option<Instant>,
}

/// Gives out a token, or says why not.
///
/// # Errors
/// When the credentials or the refresh token are not good, or the database
/// fails.
pub async fn issue(call: &Call, form: Form, grant: Grant) -> Result<Answer> {
    let (view, faults) = view::<Token>(call);
    faults.check()?;
    let Grant { refresh_token, credentials } = grant;
    let client = authenticate(call, credentials, refresh_token.is_some()).await?;
    if call.progress.identify(client.organization, &client.id)
        && let Some(requests) = &call.app.limits.requests
    {
        requests.count(&client.id, call.app.clock.now())?;
    }

    let (now, config, progress) = (call.app.clock.now(), call.app.config.clone(), call.progress.clone());
    let scope_name = client.scope.clone();
    let kind = if let Form::Document(kind) = form { kind } else { TYPES[1] };
    let (access_token, new_refresh_token) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let loaded = call
        .app
        .pool
        .write(Weight::Short, move |db| {
            progress.begin(true)?;
            // A family that ends must not gain a token meanwhile.
            db.serialize(client.organization)?;
            let family = match &refresh_token {
                None => Uuid::new_v4().to_string(),
                Some(spent) => match spend(db, &client.id, spent, now)? {
                    Some(family) => family,
                    // Not an error here: the revocation of the family must be stored.
                    None => return Ok(None),
                },
            };
            let row = Row {
                id: Id::new(now),
                client_id: client.id.clone(),
                family,
                access_hash: auth::hash(&access_token),
                refresh_hash: auth::hash(&new_refresh_token),
                created_at: now,
                expires_at: now.plus_seconds(config.token_lifetime),
                refreshable_until: now.plus_seconds(config.refresh_token_lifetime),
                spent_at: None,
                revoked_at: None,
            };
            forget_expired(db, &client.id, now)?;
            idempotency::forget_expired(db, now, idempotency::MANY)?;
            diesel::insert_into(tokens::table).values(&row).execute(db)?;
            let groups = auth::groups_of(db, &client.id, &client.scope)?;
            let scope =
                Scope { organization: client.organization, groups, client: client.id.clone(), now, req_id: None };
            let token = Token {
                id: row.id,
                kind,
                access_token: access_token.clone(),
                refresh_token: new_refresh_token.clone(),
                token_type: "bearer",
                expires_in: config.token_lifetime,
            };
            Loaded::load(db, &scope, vec![token], view.clone()).map(Some)
        })
        .await?;
    let Some(loaded) = loaded else {
        call.app.scopes.forget();
        return Err(Fault::new(
            Kind::InvalidRefreshToken,
            "The refresh token is unknown, expired, revoked or was used before. Each works once; get a new token with the grant type client_credentials.",
        )
        .into());
    };
    success(call, form, &loaded, &scope_name)
}

/// The client whose credentials these are.
async fn authenticate(call: &Call, credentials: Vec<(String, Option<String>)>, refreshes: bool) -> Result<Client> {
    let client = credentials.first().map(|(id, _)| id.clone()).unwrap_or_default();
    let attempt = Attempt { client: &client, address: call.address, now: call.app.clock.now() };
    let candidates = call.app.pool.read(Weight::Short, move |db| candidates(db, &credentials)).await?;
    let (quick, slow): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|(client, secret)| secret.is_none() || auth::is_quick(&client.secret_hash));
    let fits = move |(client, secret): &(Client, Option<String>)| fits(client, secret.as_deref(), refreshes);
    let mut found = quick.into_iter().find(&fits);
    if found.is_none() && !slow.is_empty() {
        let _turn = call.app.limits.attempts.turn(attempt).await.inspect_err(|_| tell_of_guessing(call))?;
        // Argon2 takes its time, which neither a connection nor other requests should wait for.
        let checked = web::block(move || slow.into_iter().find(fits)).await;
        found = checked.map_err(|error| Error::Internal(format!("checking a secret: {error}")))?;
    }
    if let Some((client, _)) = found {
        return Ok(client);
    }
    call.app.limits.attempts.failed(attempt).inspect_err(|_| tell_of_guessing(call))?;
    let detail =
        "There is no client of this id and secret, or it was revoked. Check both with the operator of this server.";
    Err(Fault::new(Kind::InvalidCredentials, detail).into())
}

/// Tells the operator, who may not know that all clients come from one address.
fn tell_of_guessing(call: &Call) {
    let proxied = call.headers().contains_key(header::X_FORWARDED_FOR);
    let hint = if proxied && call.app.config.limits.trusted_proxies.is_none() {
        "; if that is a proxy of yours, name it in --trusted-proxies"
    } else {
        ""
    };
    let address = call.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    log::warn!("req_id={} too many wrong credentials from address={address}{hint}", call.req_id);
}

/// The clients that these ids lead to, with the secrets sent for them.
fn candidates(db: &mut Conn, credentials: &[(String, Option<String>)]) -> Result<Vec<(Client, Option<String>)>> {
    let mut candidates = Vec::new();
    // No id has the character U+0000, and PostgreSQL would not even look for one that has.
    for (id, secret) in credentials.iter().filter(|(id, _)| !id.contains('\0')) {
        let client: Option<Client> = clients::table
            .filter(clients::id.eq(id))
            .filter(clients::revoked_at.is_null())
            .select((clients::id, clients::organization_id, clients::scope, clients::secret_hash))
            .first(db)
            .optional()?;
        candidates.extend(client.map(|client| (client, secret.clone())));
    }
    Ok(candidates)
}

fn fits(client: &Client, secret: Option<&str>, refreshes: bool) -> bool {
    match secret {
        Some(secret) => auth::verify_secret(secret, &client.secret_hash),
        // Quirk: the contract has the secret required of client_credentials only.
        None => refreshes,
    }
}

/// Uses a refresh token up and returns its family. One that was used before has
/// been stolen, from the client or by it, and nobody can tell which: then the
/// whole family ends.
fn spend(db: &mut Conn, client: &str, refresh_token: &str, now: Instant) -> Result<Option<String>> {
    let of_client =
        tokens::table.filter(tokens::refresh_hash.eq(auth::hash(refresh_token))).filter(tokens::client_id.eq(client));
    let Some(row) = of_client.first::<Row>(db).optional()? else { return Ok(None) };
    let unspent = tokens::table.find(row.id).filter(tokens::spent_at.is_null());
    let fresh = diesel::update(unspent).set(tokens::spent_at.eq(now)).execute(db)? == 1;
    if !fresh {
        let family = tokens::table.filter(tokens::family.eq(&row.family)).filter(tokens::revoked_at.is_null());
        diesel::update(family).set(tokens::revoked_at.eq(now)).execute(db)?;
    }
    Ok((fresh && row.revoked_at.is_none() && row.refreshable_until > now).then_some(row.family))
}

/// Forgets tokens of a client that are of no use to anybody any more.
fn forget_expired(db: &mut Conn, client: &str, now: Instant) -> Result<()> {
    let of_no_use = tokens::table
        .filter(tokens::client_id.eq(client))
        .filter(tokens::refreshable_until.lt(now))
        .filter(tokens::expires_at.lt(now));
    diesel::delete(of_no_use).execute(db)?;
    Ok(())
}
