//! The demo: two organizations of invented people, with credentials that
//! everybody knows.

use diesel::prelude::*;
use serde::Deserialize;

use crate::db::Conn;
use crate::db::schema::clients;
use crate::error::{Error, Result};
use crate::seed::{self, Loading, Report};
use crate::time::Instant;

/// The fixtures, by file name.
pub const FIXTURES: [(&str, &str); 2] = [
    ("fixtures/demo.json", include_str!("../fixtures/demo.json")),
    ("fixtures/stranger.json", include_str!("../fixtures/stranger.json")),
];

/// What somebody needs to talk to the demo.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The organization.
    pub organization: String,
    /// Its first group.
    pub group: String,
    /// A client that sees all of it.
    pub client_id: String,
    /// That client's secret.
    pub client_secret: String,
}

#[derive(Deserialize)]
struct Document {
    data: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    r#type: String,
    id: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
struct Attributes {
    client_secret: Option<String>,
}

fn resources(text: &str) -> Result<Vec<Resource>> {
    serde_json::from_str(text)
        .map(|document: Document| document.data)
        .map_err(|error| Error::Internal(format!("a fixture: {error}")))
}

/// The credentials of the demo organization and of the stranger to it.
///
/// # Errors
/// When the fixtures are broken.
pub fn credentials() -> Result<[Credentials; 2]> {
    let read = |text| -> Result<Credentials> {
        let mut credentials = Credentials::default();
        // The first of each type is the one that is shown.
        for resource in resources(text)?.into_iter().rev() {
            match (resource.r#type.as_str(), resource.attributes.client_secret) {
                ("organization", _) => credentials.organization = resource.id,
                ("group", _) => credentials.group = resource.id,
                ("client", Some(secret)) => (credentials.client_id, credentials.client_secret) = (resource.id, secret),
                _ => {}
            }
        }
        Ok(credentials)
    };
    let [(_, demo), (_, stranger)] = FIXTURES;
    Ok([read(demo)?, read(stranger)?])
}

/// Stores the demo organizations, unless they are there, as of today.
///
/// # Errors
/// When the database fails.
pub fn load(db: &mut Conn, reset: bool, now: Instant) -> Result<Vec<Report>> {
    let loading = Loading { reset, as_of: Some(now.date()), now };
    FIXTURES.iter().map(|(file, text)| seed::load(db, file, text, loading)).collect()
}

/// The demo's clients that a database would let in.
///
/// # Errors
/// When the database fails.
pub fn open_doors(db: &mut Conn) -> Result<Vec<String>> {
    let mut known = Vec::new();
    for (_, text) in FIXTURES {
        known.extend(
            resources(text)?.into_iter().filter(|resource| resource.r#type == "client").map(|client| client.id),
        );
    }
    let open = clients::table.filter(clients::id.eq_any(known)).filter(clients::revoked_at.is_null());
    Ok(open.select(clients::id).order(clients::id).load(db)?)
}

/// The shell assignments of `demo --print-env`, of a gateway at this URL.
pub fn environment(gateway: &str, [demo, stranger]: &[Credentials; 2]) -> String {
    let pairs = [
        ("BASE_URL", format!("{gateway}/pub")),
        ("CLIENT_ID", demo.client_id.clone()),
        ("CLIENT_SECRET", demo.client_secret.clone()),
        ("ORG_ID", demo.organization.clone()),
        ("GROUP_ID", demo.group.clone()),
        ("CLIENT2_ID", stranger.client_id.clone()),
        ("CLIENT2_SECRET", stranger.client_secret.clone()),
    ];
    pairs.map(|(name, value)| format!("{name}='{value}'")).join("\n")
}

/// What is printed when the demo starts, with the page at `/docs` or without.
pub fn welcome(gateway: &str, docs: bool, [demo, _]: &[Credentials; 2]) -> String {
    let base = format!("{gateway}/pub");
    let page = if docs { format!("To read and try it in a browser: {gateway}/docs\n") } else { String::new() };
    let Credentials { organization, group, client_id, client_secret } = demo;
    format!(
        r#"
The demo is served at {base}
{page}
  client id      {client_id}
  client secret  {client_secret}
  organization   {organization}
  group          {group}

Paste these two lines: a token, then the first patients.

TOKEN=$(curl -s {base}/oauth/token -d grant_type=client_credentials -d client_id={client_id} -d client_secret={client_secret} | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -g -H "Authorization: Bearer $TOKEN" "{base}/patient?filter[organization]={organization}&page[size]=2"

"#
    )
}
