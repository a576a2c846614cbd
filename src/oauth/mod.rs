//! `POST /oauth/token`: client credentials and refresh tokens (RFC 6749) for
//! bearer tokens, in the vendor's JSON:API form and in the plain forms that
//! older and standard clients use.
//!
//! | Body | Success | Errors |
//! |---|---|---|
//! | JSON:API document, as `application/vnd.api+json` or `application/json` | 201 | JSON:API |
//! | `application/json`, flat | 201, with the members of RFC 6749 at the top | JSON:API, with `error` at the top |
//! | `application/x-www-form-urlencoded`, credentials in the body or in HTTP Basic | 200, likewise | likewise, with the statuses of RFC 6749 |

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use uuid::Uuid;

use crate::auth::{self, Scope};
use crate::call::{Answer, Call, ErrorDocument, JSON_API, error_answer, media_type, wants_json_api};
use crate::db::schema::{clients, tokens};
use crate::db::{Conn, Weight};
use crate::error::{Error, Fault, Kind, Result, Source};
use crate::handlers::{Loaded, view};
use crate::id::Id;
use crate::jsonapi::answer::{Data, Document, Meta};
use crate::jsonapi::document::parse;
use crate::jsonapi::{Node, Notes, Object};
use crate::resources::token::Token;
use crate::time::Instant;

/// How a request is written, which is how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A JSON:API document; the type to answer with.
    Document(&'static str),
    /// Flat JSON, as clients of the oldest versions send it.
    Flat,
    /// Form-encoded, as RFC 6749 has it.
    Encoded,
}

/// The two names of the resource. The vendor's enum has the first, its examples
/// and its later correction the second.
const TYPES: [&str; 2] = ["token", "oauth/token"];

/// What is asked for.
#[derive(Debug)]
struct Grant {
    /// The refresh token, of that grant; the other is `client_credentials`.
    refresh_token: Option<String>,
    /// The client's id and secret, in every way in which they may be meant.
    credentials: Vec<(String, Option<String>)>,
}

/// Issues a token.
///
/// # Errors
/// None: what goes wrong is answered here, in the form of the request.
pub async fn create_token(call: Call) -> Result<Answer> {
    let (form, grant) = read(&call);
    let outcome = match grant {
        Ok(grant) => issue(&call, form, grant).await,
        Err(error) => Err(error),
    };
    Ok(not_stored(outcome.unwrap_or_else(|error| refusal(&call.headers, form, &error, call.req_id))))
}

/// The answer to a request that did not arrive whole.
pub fn refuse(headers: &HeaderMap, error: &Error, req_id: Uuid) -> Answer {
    let form = match media_type(headers).split(';').next().unwrap_or_default().trim() {
        "application/x-www-form-urlencoded" => Form::Encoded,
        "application/json" => Form::Flat,
        _ => Form::Document(TYPES[1]),
    };
    not_stored(refusal(headers, form, error, req_id))
}

/// Nothing of a token may be kept by anything on its way.
fn not_stored(mut answer: Answer) -> Answer {
    answer.headers.push((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    answer.headers.push((header::PRAGMA, HeaderValue::from_static("no-cache")));
    answer
}

/// Reads the request, in whichever of its forms.
fn read(call: &Call) -> (Form, Result<Grant>) {
    let media_type = media_type(&call.headers);
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let notes = Notes::default();
    if essence == "application/x-www-form-urlencoded" {
        let asked = Asked::from_form(&call.body, call);
        return (Form::Encoded, asked.grant(&notes));
    }
    if call.check_content_type().is_err() {
        // Quirk: the contract documents 403, not 415, for other media types on this operation.
        let detail = format!(
            "The Content-Type {media_type:?} is not taken here. Send \"Content-Type: {JSON_API}\", or application/json."
        );
        return (Form::Document(TYPES[1]), Err(Fault::new(Kind::Forbidden, detail).into()));
    }
    let mut form = if essence == JSON_API { Form::Document(TYPES[1]) } else { Form::Flat };
    let mut asked = None;
    if let Some(raw) = parse(&call.body, &notes) {
        Node::root(raw, &notes).object(|body| {
            if form == Form::Flat && !body.has("data") {
                asked = Some(Asked::from_json(body, call));
                return;
            }
            form = Form::Document(TYPES[1]);
            body.required_with("data", |data| {
                data.object(|data| {
                    let kind = data.optional_with("type", |node| node.one_of(&TYPES));
                    form = Form::Document(
                        TYPES.into_iter().find(|known| Some(*known) == kind.as_deref()).unwrap_or(TYPES[1]),
                    );
                    data.required_with("attributes", |node| {
                        asked = node.object(|attributes| Asked::from_json(attributes, call));
                        Some(())
                    })
                })
            });
        });
    }
    let grant = match asked {
        Some(asked) => asked.grant(&notes),
        None => notes.check().and_then(|()| Err(Error::Internal("a token request was not read".into()))),
    };
    (form, grant)
}

/// The members of a request.
struct Asked {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    /// The credentials in the header.
    basic: Vec<(String, Option<String>)>,
    /// Where the members stand: an object of the body, or a form.
    place: Option<String>,
}

impl Asked {
    fn from_json(members: &Object<'_, '_>, call: &Call) -> Self {
        members.skip(&["scope"]);
        Self {
            grant_type: members.optional("grant_type"),
            client_id: members.optional("client_id"),
            client_secret: members.optional("client_secret"),
            refresh_token: members.optional("refresh_token"),
            basic: basic(call),
            place: Some(members.pointer()),
        }
    }

    fn from_form(body: &[u8], call: &Call) -> Self {
        let member = |wanted: &str| {
            let mut pairs = form_urlencoded::parse(body);
            pairs.find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value.into_owned())
        };
        Self {
            grant_type: member("grant_type"),
            client_id: member("client_id"),
            client_secret: member("client_secret"),
            refresh_token: member("refresh_token"),
            basic: basic(call),
            place: None,
        }
    }

    /// What is asked for, if all that it needs is there.
    fn grant(self, notes: &Notes) -> Result<Grant> {
        let fault = |kind: Kind, name: &str, detail: &str| {
            let source = match &self.place {
                Some(place) => Source::Pointer(format!("{place}/{name}")),
                None => Source::Parameter(name.to_owned()),
            };
            // One that was sent but could not be read has its own fault already.
            if !matches!(&source, Source::Pointer(place) if notes.faults.any_within(place)) {
                notes.faults.add(Fault::new(kind, detail).at(source));
            }
        };
        let refreshes = match self.grant_type.as_deref() {
            Some("client_credentials") => false,
            Some("refresh_token") => true,
            Some(other) => {
                let detail =
                    format!("{other:?} is not offered; the grant types are client_credentials and refresh_token");
                fault(Kind::InvalidGrantType, "grant_type", &detail);
                false
            }
            None => {
                fault(Kind::InvalidBodyParameter, "grant_type", "is required: client_credentials or refresh_token");
                false
            }
        };
        if refreshes && self.refresh_token.is_none() {
            fault(Kind::InvalidBodyParameter, "refresh_token", "is required of the grant type refresh_token");
        }
        let has_secret = self.client_secret.is_some() || !self.basic.is_empty();
        let mut credentials = self.basic;
        if let Some(client_id) = self.client_id {
            credentials.retain(|(id, _)| self.client_secret.is_none() && *id == client_id);
            if credentials.is_empty() {
                credentials.push((client_id, self.client_secret));
            }
        } else if credentials.is_empty() {
            fault(Kind::InvalidBodyParameter, "client_id", "is required: the id of the client that asks");
        }
        if !refreshes && !has_secret {
            fault(Kind::InvalidBodyParameter, "client_secret", "is required of the grant type client_credentials");
        }
        notes.check()?;
        Ok(Grant { refresh_token: self.refresh_token.filter(|_| refreshes), credentials })
    }
}

/// The credentials of HTTP Basic, in each way in which libraries encode them:
/// as they are, percent-encoded, form-encoded. Any other scheme is ignored:
/// generated clients send an old bearer token here.
fn basic(call: &Call) -> Vec<(String, Option<String>)> {
    let header = call.headers.get(header::AUTHORIZATION).and_then(|header| header.to_str().ok()).unwrap_or_default();
    let encoded = match header.split_once(' ') {
        Some((scheme, encoded)) if scheme.eq_ignore_ascii_case("basic") => encoded.trim(),
        _ => return Vec::new(),
    };
    let Ok(bytes) = STANDARD.decode(encoded) else { return Vec::new() };
    // Python's requests, for one, sends Latin-1.
    let latin_1 = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect();
    let text = String::from_utf8(bytes).unwrap_or_else(|error| latin_1(error.as_bytes()));
    let Some((id, secret)) = text.split_once(':') else { return Vec::new() };
    let percent = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let ways = [
        (id.to_owned(), Some(secret.to_owned())),
        (percent(id), Some(percent(secret))),
        (percent(&id.replace('+', " ")), Some(percent(&secret.replace('+', " ")))),
    ];
    let mut credentials = Vec::new();
    for way in ways {
        if !credentials.contains(&way) {
            credentials.push(way);
        }
    }
    credentials
}

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

async fn issue(call: &Call, form: Form, grant: Grant) -> Result<Answer> {
    let (view, faults) = view::<Token>(call);
    faults.check()?;
    let Grant { refresh_token, credentials } = grant;
    let refreshes = refresh_token.is_some();
    let candidates = call.app.pool.read(Weight::Short, move |db| candidates(db, credentials)).await?;
    // Argon2 takes its time, which neither a connection nor other requests should wait for.
    let client =
        web::block(move || candidates.into_iter().find(|(client, secret)| fits(client, secret.as_deref(), refreshes)));
    let client = client.await.map_err(|error| Error::Internal(format!("checking a secret: {error}")))?;
    let Some((client, _)) = client else {
        let detail =
            "There is no client of this id and secret, or it was revoked. Check both with the operator of this server.";
        return Err(Fault::new(Kind::InvalidCredentials, detail).into());
    };
    let _ = call.client.set(client.id.clone());

    let (now, config) = (call.app.clock.now(), call.app.config.clone());
    let scope_name = client.scope.clone();
    let kind = if let Form::Document(kind) = form { kind } else { TYPES[1] };
    let (access_token, new_refresh_token) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let loaded = call
        .app
        .pool
        .write(move |db| {
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
            diesel::insert_into(tokens::table).values(&row).execute(db)?;
            let groups = auth::groups_of(db, &client.id, &client.scope)?;
            let scope = Scope { organization: client.organization, groups, client: client.id.clone(), now };
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
        return Err(Fault::new(
            Kind::InvalidRefreshToken,
            "The refresh token is unknown, expired, revoked or was used before. Each works once; get a new token with the grant type client_credentials.",
        )
        .into());
    };
    success(call, form, &loaded, &scope_name)
}

/// The clients that these ids lead to, with the secrets sent for them.
fn candidates(db: &mut Conn, credentials: Vec<(String, Option<String>)>) -> Result<Vec<(Client, Option<String>)>> {
    let mut candidates = Vec::new();
    // No id has the character U+0000, and PostgreSQL would not even look for one that has.
    for (id, secret) in credentials.into_iter().filter(|(id, _)| !id.contains('\0')) {
        let client: Option<Client> = clients::table
            .filter(clients::id.eq(&id))
            .filter(clients::revoked_at.is_null())
            .select((clients::id, clients::organization_id, clients::scope, clients::secret_hash))
            .first(db)
            .optional()?;
        candidates.extend(client.map(|client| (client, secret)));
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

/// The members that RFC 6749 puts at the top of an answer.
#[derive(Serialize)]
struct Plain<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: u32,
    refresh_token: &'a str,
    scope: &'a str,
}

fn success(call: &Call, form: Form, loaded: &Loaded<Token>, scope: &str) -> Result<Answer> {
    #[derive(Serialize)]
    struct Both<'a, D> {
        #[serde(flatten)]
        plain: Option<Plain<'a>>,
        #[serde(flatten)]
        document: Document<'a, Data<D>>,
    }
    let meta: Meta = call.meta();
    let plain = loaded.rows().first().filter(|_| !matches!(form, Form::Document(_))).map(|token| Plain {
        access_token: &token.access_token,
        token_type: token.token_type,
        expires_in: token.expires_in,
        refresh_token: &token.refresh_token,
        scope,
    });
    let status = if form == Form::Encoded { StatusCode::OK } else { StatusCode::CREATED };
    let document = loaded.document(&meta, None, false)?;
    let answer = Answer::document(status, &Both { plain, document })?;
    Ok(Answer { content_type: content_type(&call.headers, form), ..answer })
}

fn content_type(headers: &HeaderMap, form: Form) -> &'static str {
    if matches!(form, Form::Document(_)) || wants_json_api(headers) { JSON_API } else { "application/json" }
}

/// The error document, with the members of RFC 6749 where the request was in
/// one of the plain forms.
fn refusal(headers: &HeaderMap, form: Form, error: &Error, req_id: Uuid) -> Answer {
    #[derive(Serialize)]
    struct Both<'a> {
        error: &'static str,
        error_description: String,
        #[serde(flatten)]
        document: ErrorDocument<'a>,
    }
    let mut answer = error_answer(error, req_id);
    if matches!(form, Form::Document(_)) {
        return answer;
    }
    let mut faults = error.faults();
    let Some(first) = faults.first().cloned() else { return answer };
    let (error, status) = match first.kind {
        Kind::InvalidRefreshToken => ("invalid_grant", StatusCode::BAD_REQUEST),
        Kind::InvalidCredentials => ("invalid_client", StatusCode::UNAUTHORIZED),
        Kind::InvalidGrantType => ("unsupported_grant_type", StatusCode::BAD_REQUEST),
        Kind::Unavailable => ("temporarily_unavailable", answer.status),
        Kind::Internal => ("server_error", answer.status),
        Kind::InvalidBodyParameter | Kind::UnsupportedParameter => ("invalid_request", StatusCode::BAD_REQUEST),
        _ => ("invalid_request", answer.status),
    };
    if form == Form::Encoded {
        answer.status = status;
        for fault in &mut faults {
            fault.status = status;
        }
        if status == StatusCode::UNAUTHORIZED {
            answer.headers.push((header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"retwine\"")));
        }
    }
    // RFC 6749 leaves printable ASCII to a description, without quotes and backslashes.
    let plain = |character| match character {
        '"' | '\\' => '\'',
        ' '..='~' => character,
        _ => '?',
    };
    let description = first.to_string().chars().map(plain).collect();
    let document = ErrorDocument::new(req_id, &faults);
    answer.body = serde_json::to_vec(&Both { error, error_description: description, document }).unwrap_or_default();
    answer.content_type = content_type(headers, form);
    answer
}
