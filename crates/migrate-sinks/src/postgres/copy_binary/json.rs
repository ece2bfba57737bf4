//! Semi-structured values of Snowflake as JSON. They may hold words that JSON does not have, and
//! `jsonb` refuses one escape that JSON has.

use std::borrow::Cow;

use memchr::memmem;
use migrate_core::{OnNonjson, OnNul};

use super::misfit::Misfit;
use super::{json_loss, wire};

/// What a JSON column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct JsonRules {
    /// Whether the column is `jsonb`, which has a version byte and knows no U+0000.
    pub(super) is_binary: bool,
    /// What becomes of words that are not JSON.
    pub(super) nonjson: OnNonjson,
    /// What becomes of U+0000 in strings, where the column cannot hold it.
    pub(super) nul: OnNul,
}

/// Longer ones first: `-Infinity` contains `Infinity`.
const WORDS: [&str; 4] = ["-Infinity", "Infinity", "undefined", "NaN"];
const NUL_ESCAPE: &str = "\\u0000";

impl JsonRules {
    /// Appends a document. Whether it is well-formed is the server's to say.
    pub(super) fn write(self, text: &str, out: &mut Vec<u8>) -> Result<(), Misfit> {
        let (version, text) = (self.version(), self.checked(text)?);
        out.extend_from_slice(&wire::length(version.len() + text.len())?);
        out.extend_from_slice(version);
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// What stands before a document.
    pub(super) fn version(self) -> &'static [u8] {
        if self.is_binary { &[1] } else { &[] }
    }

    /// The document that is written, if the column keeps all of it.
    pub(super) fn checked(self, text: &str) -> Result<Cow<'_, str>, Misfit> {
        let text = self.clean(text)?;
        if self.is_binary {
            json_loss::refuse(&text)?;
        }
        Ok(text)
    }

    /// The same document in words that the column knows.
    pub(super) fn clean(self, text: &str) -> Result<Cow<'_, str>, Misfit> {
        let bytes = text.as_bytes();
        if memchr::memchr(0, bytes).is_some() {
            // Only an escape can stand for it in JSON.
            return Err(Misfit::NulCharacter);
        }
        let has = |needle: &str| memmem::find(bytes, needle.as_bytes()).is_some();
        let may_differ = has("NaN")
            || has("Infinity")
            || has("undefined")
            || (self.is_binary && has(NUL_ESCAPE));
        if may_differ { self.rewritten(text).map(Cow::Owned) } else { Ok(Cow::Borrowed(text)) }
    }

    fn rewritten(self, text: &str) -> Result<String, Misfit> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        let mut is_string = false;
        while let Some(first) = rest.chars().next() {
            let mut length = first.len_utf8();
            match (is_string, first) {
                (_, '"') => is_string = !is_string,
                (true, '\\') if self.is_binary && rest.starts_with(NUL_ESCAPE) => {
                    rest = rest.get(NUL_ESCAPE.len()..).unwrap_or_default();
                    match self.nul {
                        OnNul::Remove => {}
                        OnNul::Replace => result.push('\u{fffd}'),
                        _ => return Err(Misfit::NulCharacter),
                    }
                    continue;
                }
                // Both characters of an escape, so that an escaped quote ends nothing.
                (true, '\\') => length += rest.chars().nth(1).map_or(0, char::len_utf8),
                (false, _) => {
                    if let Some(word) = WORDS.into_iter().find(|word| rest.starts_with(word)) {
                        rest = rest.get(word.len()..).unwrap_or_default();
                        match self.nonjson {
                            OnNonjson::Null => result.push_str("null"),
                            OnNonjson::Text => result.extend(["\"", word, "\""]),
                            _ => return Err(Misfit::NotJson),
                        }
                        continue;
                    }
                }
                (true, _) => {}
            }
            let (done, left) = rest.split_at_checked(length).unwrap_or((rest, ""));
            result.push_str(done);
            rest = left;
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str, nonjson: OnNonjson, nul: OnNul) -> Result<String, Misfit> {
        JsonRules { is_binary: true, nonjson, nul }.clean(text).map(Cow::into_owned)
    }

    #[test]
    fn words_are_replaced_outside_of_strings_only() {
        let text = r#"[NaN,-Infinity,undefined,"NaN \" undefined","\\",Infinity]"#;
        assert_eq!(
            clean(text, OnNonjson::Null, OnNul::Reject).as_deref(),
            Ok(r#"[null,null,null,"NaN \" undefined","\\",null]"#)
        );
        assert_eq!(
            clean("[NaN,-Infinity]", OnNonjson::Text, OnNul::Reject).as_deref(),
            Ok(r#"["NaN","-Infinity"]"#)
        );
        assert_eq!(clean(text, OnNonjson::Reject, OnNul::Reject), Err(Misfit::NotJson));
        let harmless = r#"{"NaN":"undefined é"}"#;
        assert_eq!(clean(harmless, OnNonjson::Reject, OnNul::Reject).as_deref(), Ok(harmless));
    }

    #[test]
    fn only_a_real_escape_of_u0000_counts() {
        let text = r#"["a\u0000b","\\u0000"]"#;
        assert_eq!(clean(text, OnNonjson::Reject, OnNul::Reject), Err(Misfit::NulCharacter));
        assert_eq!(
            clean(text, OnNonjson::Reject, OnNul::Remove).as_deref(),
            Ok(r#"["ab","\\u0000"]"#)
        );
        assert_eq!(
            clean(r#""\\u0000""#, OnNonjson::Reject, OnNul::Reject).as_deref(),
            Ok(r#""\\u0000""#)
        );
        let plain = JsonRules { is_binary: false, nonjson: OnNonjson::Reject, nul: OnNul::Reject };
        assert_eq!(plain.clean(text).as_deref(), Ok(text), "json keeps the escape as it is");
    }
}
