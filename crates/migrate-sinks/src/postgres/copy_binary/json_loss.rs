//! What `jsonb` drops without a word: all but the last of keys that an object has twice, and the sign
//! of zero. `json` keeps both.
//!
//! One pass over the text, which is read as far as strings and brackets go; whether it is JSON at all
//! is the server's to say.

use std::borrow::Cow;

use super::misfit::Misfit;

/// Refuses a document that `jsonb` would alter.
pub(super) fn refuse(text: &str) -> Result<(), Misfit> {
    let bytes = text.as_bytes();
    // Keys of the objects that are open, and where the innermost begin; lists have none.
    let mut open: Vec<Option<Vec<Cow<'_, str>>>> = Vec::new();
    let mut is_key = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' => {
                open.push(Some(Vec::new()));
                is_key = true;
            }
            b'[' => {
                open.push(None);
                is_key = false;
            }
            b'}' | b']' => {
                open.pop();
                is_key = false;
            }
            b',' => is_key = matches!(open.last(), Some(Some(_))),
            b':' => is_key = false,
            b'"' => {
                let end = end_of_string(bytes, at);
                if is_key && let Some(Some(keys)) = open.last_mut() {
                    let key = unescaped(text.get(at..end).unwrap_or_default());
                    if keys.contains(&key) {
                        return Err(Misfit::RepeatedKey);
                    }
                    keys.push(key);
                }
                at = end;
                continue;
            }
            b'-' if !is_exponent(bytes, at) => {
                let rest = bytes.get(at + 1..).unwrap_or_default();
                let end = rest.iter().position(|byte| !is_of_number(*byte)).unwrap_or(rest.len());
                let digits = rest.get(..end).unwrap_or_default();
                let digits = digits.split(|byte| byte.eq_ignore_ascii_case(&b'e')).next();
                let mut digits = digits.unwrap_or_default().iter();
                if end > 0 && digits.all(|digit| matches!(digit, b'0' | b'.')) {
                    return Err(Misfit::MinusZero);
                }
                at += end;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

fn is_exponent(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    before.is_some_and(|byte| byte.eq_ignore_ascii_case(&b'e'))
}

const fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')
}

/// The place after the quote that ends the string which begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found + 1;
        if bytes.get(at - 1) == Some(&b'"') {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// A key as the server compares it.
fn unescaped(quoted: &str) -> Cow<'_, str> {
    if quoted.contains('\\')
        && let Ok(key) = serde_json::from_str::<String>(quoted)
    {
        return Cow::Owned(key);
    }
    Cow::Borrowed(quoted.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_an_object_has_twice_is_refused_however_it_is_spelled() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"[{"x":{"a":1,"b":[{}],"\u0061":2}}]"#,
            r#"{"":1, "b" : "}" , "" : 2}"#,
        ] {
            assert_eq!(refuse(text), Err(Misfit::RepeatedKey), "{text}");
        }
        for text in [
            r#"{"a":{"a":1},"b":["a","a",{"a":"a"}]}"#,
            r#"{"a":"\"a\":","A":1}"#,
            r#""{\"a\":1,\"a\":2}""#,
            "[]",
            "{",
        ] {
            assert_eq!(refuse(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn minus_zero_is_refused_and_small_numbers_are_not() {
        for text in ["-0", "[-0.0]", r#"{"a":-0.00e5}"#, "-0E0"] {
            assert_eq!(refuse(text), Err(Misfit::MinusZero), "{text}");
        }
        for text in ["0", "[-0.01,-10,1e-0]", r#"["-0"]"#, r#"{"-0":0}"#, "-"] {
            assert_eq!(refuse(text), Ok(()), "{text}");
        }
    }
}
