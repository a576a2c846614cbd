//! Reading what is asked for, in whichever form.

use actix_web::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::{Form, TYPES};
use crate::call::{Call, JSON_API, media_type};
use crate::error::{Error, Fault, Kind, Result, Source};
use crate::jsonapi::document::parse;
use crate::jsonapi::{Node, Notes, Object};

/// What is asked for.
pub struct Grant {
    /// The refresh token, of that grant; the other is `client_credentials`.
    pub refresh_token: Option<String>,
    /// The client's id and secret, in every way in which they may be meant.
    pub credentials: Vec<(String, Option<String>)>,
}

/// Reads the request, in whichever of its forms.
pub fn read(call: &Call) -> (Form, Result<Grant>) {
    let media_type = media_type(call.headers());
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
    if let Some(tree) = parse(&call.body, &notes) {
        Node::root(&tree, &notes).object(|body| {
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
    let header = call.headers().get(header::AUTHORIZATION).and_then(|header| header.to_str().ok()).unwrap_or_default();
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
