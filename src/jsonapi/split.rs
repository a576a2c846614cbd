//! Taking apart what is known to be JSON, one level at a time.
//!
//! A document is checked once, as a whole. After that a value ends where its
//! quotes or brackets do, which is found several times as fast as by parsing it
//! again at each level that it is read from.

/// The items of an array, or the names and values of an object in turn.
pub struct Parts<'a> {
    rest: &'a str,
}

/// Takes an array or an object apart; there is nothing in any other value.
pub fn parts(json: &str) -> Parts<'_> {
    let inside = json.strip_prefix(['[', '{']).and_then(|rest| rest.strip_suffix([']', '}']));
    Parts { rest: inside.unwrap_or_default() }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let between = |character: char| matches!(character, ' ' | '\t' | '\n' | '\r' | ',' | ':');
        let begun = self.rest.trim_start_matches(between);
        if begun.is_empty() {
            return None;
        }
        let (part, rest) = begun.split_at_checked(end_of_value(begun.as_bytes()))?;
        self.rest = rest;
        Some(part)
    }
}

fn end_of_value(json: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = end_of_string(json, at),
            b'[' | b'{' => {
                depth += 1;
                at += 1;
                continue;
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ if depth > 0 => {
                at += 1;
                continue;
            }
            // A number or a word.
            _ => {
                let ends = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b']' | b'}');
                return json.iter().position(ends).unwrap_or(json.len());
            }
        }
        if depth == 0 {
            return at;
        }
    }
    json.len()
}

/// How deep arrays and objects are nested in a value.
pub fn depth(json: &str) -> usize {
    let json = json.as_bytes();
    let (mut at, mut depth, mut deepest) = (0, 0_usize, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(json, at);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        at += 1;
    }
    deepest
}

/// Where a string ends that begins here.
fn end_of_string(json: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    loop {
        match json.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return json.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{depth, parts};

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
            assert_eq!(depth(json), expected, "{json}");
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
        ] {
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
            assert_eq!(parts(json).collect::<Vec<_>>(), expected, "{json}");
        }
    }
}
