//! The text of a configuration as a tree in which every node knows where it stands.
//!
//! JSON with `//` and `/* */` comments and trailing commas, nothing looser: a key without quotes or a
//! missing comma is a mistake that should be seen. What the keys mean is not known here.

use std::collections::HashSet;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseErrorKind;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::issue::{ConfigErrors, ConfigIssue, Severity};

/// A configuration text that is well-formed and has an object at its root.
pub(crate) struct Document<'t> {
    file: &'t str,
    text: &'t str,
    root: Object<'t>,
}

impl<'t> Document<'t> {
    /// Reads the text; a byte order mark is skipped.
    pub(crate) fn parse(file: &'t str, text: &'t str) -> Result<Self, ConfigErrors> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let options = ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let parsed = parse_to_ast(text, &CollectOptions::default(), &options).map_err(|error| {
            ConfigIssue::new(Severity::Error, file, format!("Invalid JSON: {}", error.kind()))
                .with_line(error.line_display())
                .with_column(error.column_display())
                .with_hint(syntax_hint(error.kind()))
        });
        let parsed = parsed.map_err(ConfigErrors::from)?;
        match parsed.value {
            Some(Value::Object(root)) => Ok(Self { file, text, root }),
            found => {
                let what = if found.is_none() { "The file is empty" } else { "Expected an object" };
                Err(ConfigIssue::new(Severity::Error, file, what)
                    .with_hint("start from examples/config.json")
                    .into())
            }
        }
    }

    /// The file as the caller named it.
    pub(crate) fn file(&self) -> &'t str {
        self.file
    }

    pub(crate) fn root(&self) -> &Object<'t> {
        &self.root
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |index| index + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }

    /// What JSON readers agree to be wrong and this parser lets pass: keys that stand twice, and
    /// line breaks inside a text, which mostly mean a forgotten quote.
    pub(crate) fn flaws(&self) -> Vec<ConfigIssue> {
        let mut flaws = Vec::new();
        self.object_flaws(&self.root, "", &mut flaws);
        flaws
    }

    fn object_flaws(&self, object: &Object<'_>, path: &str, flaws: &mut Vec<ConfigIssue>) {
        let mut known = HashSet::new();
        for property in &object.properties {
            let key = property.name.as_str();
            let path = child_path(path, key);
            if !known.insert(key) {
                let hint = "keep one of them; JSON readers do not agree on which one counts";
                let what = format!("Key \"{key}\" stands twice in one object");
                flaws.push(self.flaw(property.range.start, &path, &what, hint));
            }
            self.value_flaws(&property.value, &path, flaws);
        }
    }

    fn value_flaws(&self, value: &Value<'_>, path: &str, flaws: &mut Vec<ConfigIssue>) {
        match value {
            Value::Object(object) => self.object_flaws(object, path, flaws),
            Value::Array(array) => {
                for (index, element) in array.elements.iter().enumerate() {
                    self.value_flaws(element, &element_path(path, index), flaws);
                }
            }
            Value::StringLit(literal) => {
                let written = self.text.get(literal.range.start..literal.range.end);
                if written.is_some_and(|text| text.contains(|c: char| c < ' ')) {
                    let what = "A text contains a line break or another control character";
                    let hint = "close the quote on the same line, or write \\n and \\t";
                    flaws.push(self.flaw(literal.range.start, path, what, hint));
                }
            }
            Value::NumberLit(_) | Value::BooleanLit(_) | Value::NullKeyword(_) => {}
        }
    }

    fn flaw(&self, offset: usize, path: &str, message: &str, hint: &str) -> ConfigIssue {
        let (line, column) = self.position(offset);
        let issue = ConfigIssue::new(Severity::Error, self.file, message);
        issue.with_path(path).with_line(line).with_column(column).with_hint(hint)
    }
}

/// Where a node starts, as a byte offset.
pub(crate) fn offset_of(value: &Value<'_>) -> usize {
    value.range().start
}

/// The path of a key inside an object: `a.b`, or `a["b c"]` where the key is no plain word.
pub(crate) fn child_path(parent: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    match (plain, parent.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{parent}.{key}"),
        (false, _) => format!("{parent}[\"{key}\"]"),
    }
}

/// The path of an element of an array.
pub(crate) fn element_path(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

fn syntax_hint(kind: &ParseErrorKind) -> &'static str {
    match kind {
        ParseErrorKind::ExpectedComma => "put a comma between the entries",
        ParseErrorKind::ExpectedStringObjectProperty => "put the key in double quotes",
        ParseErrorKind::SingleQuotedStringsNotAllowed => "use double quotes",
        ParseErrorKind::UnexpectedWord | ParseErrorKind::UnexpectedToken => {
            "put text in double quotes; true, false and null are written in lower case"
        }
        ParseErrorKind::UnterminatedArray => "close the array that starts here with ]",
        ParseErrorKind::UnterminatedObject => "close the object that starts here with }",
        ParseErrorKind::UnterminatedCommentBlock => "close the comment that starts here with */",
        ParseErrorKind::String(_) => {
            "close the quote; a backslash in a text is written twice, as in \"C:\\\\keys\""
        }
        _ => "look at what stands right before this place",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> ConfigIssue {
        Document::parse("c.json", text).err().expect(text).issues()[0].clone()
    }

    fn flaws(text: &str) -> Vec<String> {
        let document = Document::parse("c.json", text).expect("well-formed");
        document.flaws().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn comments_trailing_commas_and_a_byte_order_mark_are_fine() {
        let text = "\u{feff}// head\n{\"a\": 1, /* two */ \"b\": [1, 2,],}\n// tail";
        assert!(flaws(text).is_empty());
    }

    #[test]
    fn syntax_errors_tell_line_column_and_what_to_do() {
        for (text, location, hint) in [
            ("{\n  \"a\": 1\n  \"b\": 2\n}", "c.json:2:9", "comma"),
            ("{\n  a: 1}", "c.json:2:3", "double quotes"),
            ("{\"a\": 'x'}", "c.json:1:7", "double quotes"),
            ("{\"a\": True}", "c.json:1:7", "lower case"),
            ("{\"a\": \"C:\\keys\"}", "c.json:1:10", "written twice"),
            ("{\"a\": [1,", "c.json:1:7", "]"),
            ("{\"a\": 0x1}", "c.json:1:7", ""),
            ("{} {}", "c.json:1:4", ""),
            ("[]", "c.json", "examples"),
            (" // nothing", "c.json", "examples"),
        ] {
            let issue = error(text);
            assert_eq!(issue.location(), location, "{text}: {issue}");
            assert!(issue.hint.as_deref().is_some_and(|h| h.contains(hint)), "{text}: {issue}");
        }
    }

    #[test]
    fn keys_that_stand_twice_are_found_at_every_depth() {
        let text = "{\n \"a\": [{\"b c\": 1, \"d\": 2, \"b c\": 3}],\n \"a\": 1}";
        let found = flaws(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("c.json:2:27: a[0][\"b c\"]: Key \"b c\" stands twice"));
        assert!(found[1].starts_with("c.json:3:2: a: "), "{found:?}");
    }

    #[test]
    fn a_line_break_inside_a_text_is_a_mistake() {
        let found = flaws("{\"a\": \"x\ny\"}");
        assert!(found.len() == 1 && found[0].contains("close the quote"), "{found:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in any::<String>()) {
            if let Ok(document) = Document::parse("c", &text) {
                document.flaws();
            }
        }

        #[test]
        fn nearly_json_is_read_without_panic(text in "[{}\\[\\]\",:a1 \\\\\n/*é.-]{0,40}") {
            if let Ok(document) = Document::parse("c", &text) {
                document.flaws();
            }
        }
    }
}
