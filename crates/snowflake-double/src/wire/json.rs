//! The text of semi-structured values: compact, indented, unquoted.
//!
//! Works on tokens, not on values: numbers keep their digits, and Snowflake's additions to JSON
//! (`undefined`, `NaN`, `Infinity`) pass through.

/// Without white space outside of strings.
pub(crate) fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in (Tokens { rest: text }) {
        out.push_str(token);
    }
    out
}

/// With a line per element and `width` blanks per level; 0 means compact.
pub(crate) fn indented(text: &str, width: usize) -> String {
    if width == 0 {
        return compact(text);
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut tokens = Tokens { rest: text }.peekable();
    while let Some(token) = tokens.next() {
        match token {
            "{" | "[" => {
                out.push_str(token);
                if let Some(close) = tokens.next_if(|next| matches!(*next, "}" | "]")) {
                    out.push_str(close);
                } else {
                    depth += 1;
                    line(&mut out, depth * width);
                }
            }
            "}" | "]" => {
                depth = usize::saturating_sub(depth, 1);
                line(&mut out, depth * width);
                out.push_str(token);
            }
            "," => {
                out.push(',');
                line(&mut out, depth * width);
            }
            ":" => out.push_str(": "),
            other => out.push_str(other),
        }
    }
    out
}

/// The content of a JSON string.
pub(crate) fn string(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

fn line(out: &mut String, blanks: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', blanks));
}

/// Strings, punctuation, and everything between as one token each.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let first = self.rest.chars().next()?;
        let length = match first {
            '"' => string_length(self.rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => self
                .rest
                .find(['{', '}', '[', ']', ',', ':', '"', ' ', '\t', '\n', '\r'])
                .unwrap_or(self.rest.len()),
        };
        let (token, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(token)
    }
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (position, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return position + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_indented_as_results_show_them() {
        let text = r#"{"n":12345678901234567890,"f":1.10,"e":{},"a":[1,undefined,"x, \" y"]}"#;
        let shown = indented(text, 2);
        assert_eq!(
            shown,
            "{\n  \"n\": 12345678901234567890,\n  \"f\": 1.10,\n  \"e\": {},\n  \"a\": [\n    1,\n    undefined,\n    \"x, \\\" y\"\n  ]\n}"
        );
        assert_eq!(compact(&shown), text);
        assert_eq!(indented(text, 0), text);
    }

    #[test]
    fn scalars_pass_through() {
        assert_eq!(indented("null", 2), "null");
        assert_eq!(indented(" -Infinity ", 2), "-Infinity");
        assert_eq!(string(r#""a\u0000\n""#), Some("a\0\n".to_owned()));
    }
}
