//! Entity tags, and the headers by which a client makes a request depend on
//! them (RFC 9110, sections 8.8.3 and 13).
//!
//! A tag names the state of one resource: it is made from the resource object,
//! whole, whatever of it an answer shows. So the tag of any answer about the
//! resource will do in `If-Match`. What a compound document includes has a tag
//! of its own, behind a dot: it counts when the answer is cached, not when the
//! resource is changed.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip128::SipHasher13;

use crate::call::Answer;
use crate::error::{Error, Fault, Faults, Kind, Result};

/// An entity tag of ours, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(String);

impl Tag {
    /// The tag of a resource, as it is written in full, and of what is included.
    pub fn of(resource: &str, included: Option<&str>) -> Self {
        let mut tag = hash(resource);
        if let Some(included) = included {
            tag.push('.');
            tag.push_str(&hash(included));
        }
        Self(tag)
    }

    /// The tag of a header that this program has written.
    fn read(header: &HeaderValue) -> Option<Self> {
        Some(Self(header.to_str().ok()?.trim_matches('"').to_owned()))
    }

    /// The header that sends it.
    ///
    /// # Errors
    /// None that can be: it is ASCII.
    pub fn header(&self) -> Result<(HeaderName, HeaderValue)> {
        let value = HeaderValue::try_from(["\"", &self.0, "\""].concat());
        Ok((header::ETAG, value.map_err(|error| Error::Internal(format!("an entity tag: {error}")))?))
    }
}

/// Made for every answer, so it must be cheap, and the same in every gateway of
/// whatever build. It need not withstand an attack: who can make two states of
/// a resource can make one.
fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(SipHasher13::new().hash(text.as_bytes()).as_bytes())
}

/// The part of a tag that is about the resource alone.
fn state(tag: &str) -> &str {
    tag.split('.').next().unwrap_or_default()
}

/// What a client wants a resource to be, or not to be.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// `If-Match`.
    one_of: Option<Tags>,
    /// `If-None-Match`.
    none_of: Option<Tags>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: whatever there is.
    Any,
    /// Whether it is weak, and what is between the quotes.
    Listed(Vec<(bool, String)>),
}

impl Tags {
    /// Reads a header; `None` when it is absent or malformed, which is noted.
    fn read(headers: &HeaderMap, header: &HeaderName, name: &str, faults: &Faults) -> Option<Self> {
        let mut lines = headers.get_all(header).peekable();
        lines.peek()?;
        let lines: Option<Vec<_>> = lines.map(|line| line.to_str().ok()).collect();
        let tags = lines.and_then(|lines| Self::parse(&lines.join(",")));
        if tags.is_none() {
            faults.add(Fault::new(
                Kind::MalformedHeader,
                format!(
                    "The header {name} is not a list of entity tags. Send the ETag of an earlier answer as it came, in its quotes, \
                     several with commas between them, or * alone."
                ),
            ));
        }
        tags
    }

    fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let (mut tags, mut rest) = (Vec::new(), text);
        loop {
            // Empty members of a list are passed over.
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                return Some(Self::Listed(tags)).filter(|_| !text.trim().is_empty());
            }
            let (weak, tag) = rest.strip_prefix("W/").map_or((false, rest), |tag| (true, tag));
            let (tag, after) = tag.strip_prefix('"')?.split_once('"')?;
            let after = after.trim_start();
            if tag.contains([' ', '\t']) || !(after.is_empty() || after.starts_with(',')) {
                return None;
            }
            tags.push((weak, tag.to_owned()));
            rest = after;
        }
    }

    /// Whether there is a resource and, by the strong comparison, in one of these states.
    fn has(&self, current: Option<&Tag>) -> bool {
        match self {
            Self::Any => current.is_some(),
            Self::Listed(tags) => {
                current.is_some_and(|current| tags.iter().any(|(weak, tag)| !weak && state(tag) == state(&current.0)))
            }
        }
    }

    /// Whether there is a resource and, by the weak comparison, with one of these tags.
    fn knows(&self, current: Option<&Tag>) -> bool {
        match self {
            Self::Any => current.is_some(),
            Self::Listed(tags) => current.is_some_and(|current| tags.iter().any(|(_, tag)| *tag == current.0)),
        }
    }
}

impl Conditions {
    /// Reads the headers and notes what is wrong with them.
    pub fn read(headers: &HeaderMap, faults: &Faults) -> Self {
        Self {
            one_of: Tags::read(headers, &header::IF_MATCH, "If-Match", faults),
            none_of: Tags::read(headers, &header::IF_NONE_MATCH, "If-None-Match", faults),
        }
    }

    /// Those of a request that only reads. What is no tag is passed over: clients of
    /// before there were tags send what they like, and nothing depends on it.
    pub fn of_read(headers: &HeaderMap) -> Self {
        Self::read(headers, &Faults::default())
    }

    /// Whether the client has none.
    pub fn are_none(&self) -> bool {
        self.one_of.is_none() && self.none_of.is_none()
    }

    /// The answer to a request that changes nothing: this one, or none where the
    /// client has it already.
    ///
    /// # Errors
    /// 412 when the resource is not what the client wants it to be.
    pub fn on_read(&self, answer: Answer) -> Result<Answer> {
        if self.are_none() {
            return Ok(answer);
        }
        let tag = answer.headers.iter().find(|(name, _)| *name == header::ETAG).and_then(|(_, tag)| Tag::read(tag));
        self.check_match(tag.as_ref())?;
        if self.none_of.as_ref().is_some_and(|known| known.knows(tag.as_ref())) {
            return Ok(Answer { status: StatusCode::NOT_MODIFIED, body: Vec::new(), ..answer });
        }
        Ok(answer)
    }

    /// Whether a resource may be changed, or made where there is none.
    ///
    /// # Errors
    /// 412 when it is not what the client wants it to be.
    pub fn on_write(&self, current: Option<&Tag>) -> Result<()> {
        self.check_match(current)?;
        if self.none_of.as_ref().is_some_and(|unwanted| unwanted.knows(current)) {
            let detail = "There is a resource already that If-None-Match rules out; nothing was stored. Fetch it, or leave \
                          the header out to change it.";
            return Err(Fault::new(Kind::PreconditionFailed, detail).into());
        }
        Ok(())
    }

    fn check_match(&self, current: Option<&Tag>) -> Result<()> {
        if self.one_of.as_ref().is_none_or(|wanted| wanted.has(current)) {
            return Ok(());
        }
        let detail = match current {
            Some(_) => {
                "The resource is no longer in a state that If-Match names, so nothing was done. Fetch it again, look at \
                 what has changed, and send the ETag that comes with it. Weak tags (W/) never match."
            }
            None => {
                "If-Match wants a resource to be there, and there is none yet; nothing was stored. Leave the header out \
                 to make one."
            }
        };
        Err(Fault::new(Kind::PreconditionFailed, detail).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(tags: &[(bool, &str)]) -> Tags {
        Tags::Listed(tags.iter().map(|(weak, tag)| (*weak, (*tag).to_owned())).collect())
    }

    #[test]
    fn lists_of_tags_are_read_as_http_writes_them() {
        assert_eq!(Tags::parse("*"), Some(Tags::Any));
        assert_eq!(Tags::parse(r#""a""#).unwrap(), listed(&[(false, "a")]));
        assert_eq!(Tags::parse(r#" "a" ,, W/"b,c",""#), None);
        assert_eq!(
            Tags::parse(r#" "a" ,, W/"b,c" ,"" "#).unwrap(),
            listed(&[(false, "a"), (true, "b,c"), (false, "")])
        );
        for malformed in
            ["", " ", "a", r#""a"#, r#"a""#, r#""a" "b""#, r#"w/"a""#, r#"W/ "a""#, r#"*, "a""#, r#""a b""#]
        {
            assert_eq!(Tags::parse(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn a_tag_is_the_same_in_every_build() {
        let expected = "DbTZYV2TNCEDM_sx0F4cuQ.GLq1W7TutGTN0iAcQ28v9g";
        assert_eq!(Tag::of("", Some("abc")).0, expected);
    }
}
