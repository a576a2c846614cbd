//! Taking apart what is known to be JSON.
//!
//! A document is checked once, as a whole. After that a value ends where its
//! quotes or brackets do, and one pass finds where each of them begins and ends:
//! reading then goes from value to value without looking at the text between.

/// A JSON text, taken apart.
pub struct Tree<'a> {
    text: &'a str,
    /// In the order in which they begin. The names of an object's members are
    /// values like others.
    spans: Vec<Span>,
}

/// Where a value is.
#[derive(Clone, Copy)]
struct Span {
    begin: u32,
    end: u32,
    /// The index of the first span that is not within this one.
    next: u32,
    /// Whether it is a string with escapes.
    escaped: bool,
}

/// A value of a tree.
#[derive(Clone, Copy)]
pub struct Value<'t> {
    tree: &'t Tree<'t>,
    index: u32,
}

impl<'a> Tree<'a> {
    /// Bytes that a text may have.
    pub const LONGEST: usize = u32::MAX as usize;

    /// Takes a text apart that is JSON and not longer than [`Tree::LONGEST`].
    pub fn of(text: &'a str) -> Self {
        let json = text.as_bytes();
        // What clients send has a value in ten bytes or so.
        let mut tree = Self { text, spans: Vec::with_capacity(text.len() / 8 + 1) };
        let (mut open, mut at) = (Vec::new(), 0);
        while let Some(byte) = json.get(at) {
            at = match byte {
                b'"' => {
                    let (end, escaped) = end_of_string(json, at);
                    tree.add(at, end, escaped);
                    end
                }
                b'[' | b'{' => {
                    open.push(tree.spans.len());
                    tree.add(at, at, false);
                    at + 1
                }
                b']' | b'}' => {
                    let next = small(tree.spans.len());
                    if let Some(span) = open.pop().and_then(|index| tree.spans.get_mut(index)) {
                        (span.end, span.next) = (small(at + 1), next);
                    }
                    at + 1
                }
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => at + 1,
                // A number or a word.
                _ => {
                    let ends = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}');
                    let length = json.iter().skip(at).position(ends);
                    let end = length.map_or(json.len(), |length| at + length);
                    tree.add(at, end, false);
                    end
                }
            };
        }
        tree
    }

    fn add(&mut self, begin: usize, end: usize, escaped: bool) {
        let next = small(self.spans.len() + 1);
        self.spans.push(Span { begin: small(begin), end: small(end), next, escaped });
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value { tree: self, index: 0 }
    }
}

/// A place in a text that is not longer than [`Tree::LONGEST`].
fn small(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

impl<'t> Value<'t> {
    fn span(self) -> Option<&'t Span> {
        self.tree.spans.get(self.index as usize)
    }

    /// Its text.
    pub fn text(self) -> &'t str {
        let text = self.span().and_then(|span| self.tree.text.get(span.begin as usize..span.end as usize));
        text.unwrap_or_default()
    }

    /// What a string holds that has no escapes; `None` for any other value.
    pub fn plain(self) -> Option<&'t str> {
        let span = self.span().filter(|span| !span.escaped)?;
        self.tree.text.get(span.begin as usize + 1..(span.end as usize).checked_sub(1)?).filter(|_| self.is_string())
    }

    fn is_string(self) -> bool {
        self.span().and_then(|span| self.tree.text.as_bytes().get(span.begin as usize)) == Some(&b'"')
    }

    /// The items of an array, or the names and values of an object in turn.
    pub fn parts(self) -> impl Iterator<Item = Value<'t>> {
        let end = self.span().map_or(0, |span| span.next);
        let mut next = self.index + 1;
        std::iter::from_fn(move || {
            let part = Value { index: next, ..self };
            next = part.span().filter(|_| next < end)?.next;
            Some(part)
        })
    }

    /// How deep arrays and objects are nested in it.
    pub fn depth(self) -> usize {
        let nests = |value: &Value<'_>| value.text().starts_with(['[', '{']);
        if !nests(&self) {
            return 0;
        }
        let (mut ends, mut deepest) = (Vec::new(), 1);
        let within = self.index + 1..self.span().map_or(0, |span| span.next);
        for part in within.map(|index| Value { index, ..self }).filter(nests) {
            while ends.last().is_some_and(|end| *end <= part.index) {
                ends.pop();
            }
            ends.extend(part.span().map(|span| span.next));
            deepest = deepest.max(1 + ends.len());
        }
        deepest
    }
}

/// Where a string ends that begins here, and whether it has escapes.
fn end_of_string(json: &[u8], begin: usize) -> (usize, bool) {
    let (mut at, mut escaped) = (begin + 1, false);
    loop {
        match json.get(at) {
            Some(b'\\') => (at, escaped) = (at + 2, true),
            Some(b'"') => return (at + 1, escaped),
            Some(_) => at += 1,
            None => return (json.len(), escaped),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Tree, Value};

    /// What a reader makes of a value who goes by its parts alone.
    fn rebuilt(value: Value<'_>) -> serde_json::Value {
        let mut parts = value.parts();
        match value.text().as_bytes().first() {
            Some(b'[') => parts.map(rebuilt).collect(),
            Some(b'{') => {
                let mut members = serde_json::Map::new();
                while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                    members.insert(rebuilt(name).as_str().unwrap_or_default().to_owned(), rebuilt(value));
                }
                members.into()
            }
            _ => {
                assert!(parts.next().is_none(), "{}", value.text());
                value.plain().map_or_else(|| serde_json::from_str(value.text()).unwrap_or_default(), Into::into)
            }
        }
    }

    proptest! {
        #[test]
        fn any_document_is_taken_apart_as_it_was_put_together(
            document in prop_oneof![
                Just(json!(null)), any::<bool>().prop_map(|it| json!(it)), any::<i64>().prop_map(|it| json!(it)),
                "\\PC{0,8}|[\"\\\\{}\\[\\],: \n]{0,8}".prop_map(|it| json!(it)),
            ].prop_recursive(4, 64, 6, |inner| prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(|it| json!(it)),
                prop::collection::btree_map("[a-c\"\\\\:]{0,3}", inner, 0..6).prop_map(|it| json!(it)),
            ])
        ) {
            for json in [document.to_string(), format!("{document:#}")] {
                prop_assert_eq!(&rebuilt(Tree::of(&json).root()), &document);
            }
        }
    }

    #[test]
    fn depth_is_that_of_brackets_outside_of_strings() {
        for (json, expected) in [
            ("7", 0),
            (r#""[[[\"{{""#, 0),
            ("[]", 1),
            (r#"{"a": [1, {"b": "]}"}], "c": {}}"#, 3),
            ("[[], [[]], []]", 3),
        ] {
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
            assert_eq!(Tree::of(json).root().depth(), expected, "{json}");
        }
    }

    #[test]
    fn values_end_where_their_quotes_or_brackets_do() {
        for (json, expected) in [
            ("[]", vec![]),
            ("{ }", vec![]),
            ("17", vec![]),
            ("[1,-2.5e3 , true,null]", vec!["1", "-2.5e3", "true", "null"]),
            (r#"["a,b","c\"]","\\", "ü"]"#, vec![r#""a,b""#, r#""c\"]""#, r#""\\""#, r#""ü""#]),
            (r#"{"a":{"b":[1,"}"]} , "c" : [[],{}]}"#, vec![r#""a""#, r#"{"b":[1,"}"]}"#, r#""c""#, "[[],{}]"]),
            ("[\n\t{\"a\": 1}\r\n]", vec![r#"{"a": 1}"#]),
            (" {\"a\":0} ", vec![r#""a""#, "0"]),
        ] {
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
            let tree = Tree::of(json);
            assert_eq!(tree.root().text(), json.trim());
            assert_eq!(tree.root().parts().map(|part| part.text()).collect::<Vec<_>>(), expected, "{json}");
        }
    }

    #[test]
    fn only_a_string_without_escapes_is_plain() {
        let tree = Tree::of(r#"["", "ü", "\u00fc", "\\", 7, null, {"a": "b"}, ["a"]]"#);
        let plain: Vec<_> = tree.root().parts().map(|part| part.plain()).collect();
        assert_eq!(plain, [Some(""), Some("ü"), None, None, None, None, None, None]);
    }
}
