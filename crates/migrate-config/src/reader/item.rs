//! One value with its place: read as the type that its key wants, or complained about.

use std::ops::RangeInclusive;

use jsonc_parser::ast::{Object, Value};
use migrate_core::{ColumnName, Dialect, closest};
use serde_json::Value as Json;

use crate::document::{child_path, element_path, offset_of};
use crate::interpolate::interpolate;
use crate::issue::MASK;
use crate::options::Options;
use crate::secret::{Secret, holds_login, is_secret_key};
use crate::size::ByteSize;

use super::{Reader, Spot, free};

/// A closed set of words, such as `strict` and `warn`.
pub(crate) trait Word: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// How the word is written.
    fn as_str(self) -> &'static str;
}

/// A value that is there: neither `null` nor blank, and with its variables replaced.
pub(crate) struct Item<'d> {
    spot: Spot<'d>,
    content: Content<'d>,
    variables: Vec<String>,
    secret: bool,
}

enum Content<'d> {
    Text(String),
    /// A number as it is written.
    Number(&'d str),
    Flag(bool),
    List(&'d [Value<'d>]),
    Object(&'d Object<'d>),
}

/// What stands at a key.
pub(super) enum Found<'d> {
    Absent,
    /// Text without any, with the form of it that may be shown.
    Blank(Spot<'d>, String),
    /// Its variables cannot be replaced; that has been complained about.
    Broken,
    Item(Item<'d>),
}

impl<'d> Found<'d> {
    pub(super) fn into_item(self) -> Option<Item<'d>> {
        match self {
            Self::Item(item) => Some(item),
            Self::Absent | Self::Blank(..) | Self::Broken => None,
        }
    }
}

impl<'d> Item<'d> {
    /// Replaces the variables of a text and sorts the value.
    pub(super) fn resolve(spot: Spot<'d>, value: &'d Value<'d>) -> Found<'d> {
        let mut variables = Vec::new();
        let content = match value {
            Value::NullKeyword(_) => return Found::Absent,
            Value::BooleanLit(literal) => Content::Flag(literal.value),
            Value::NumberLit(literal) => Content::Number(literal.value),
            Value::Array(array) => Content::List(&array.elements),
            Value::Object(object) => Content::Object(object),
            Value::StringLit(literal) => {
                let Some((text, names)) = replaced(&spot, &literal.value) else {
                    return Found::Broken;
                };
                variables = names;
                Content::Text(text)
            }
        };
        let item = Self { spot, content, variables, secret: false };
        match &item.content {
            Content::Text(text) if text.trim().is_empty() => {
                let shown = item.shown();
                Found::Blank(item.spot, shown)
            }
            _ => Found::Item(item),
        }
    }

    /// From now on the value is never shown.
    pub(super) fn into_secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The value as written if it may be shown, else [`MASK`] and the variables it came from.
    pub(crate) fn shown(&self) -> String {
        const LONGEST: usize = 60;
        if !self.variables.is_empty() {
            let names: Vec<_> = self.variables.iter().map(|name| format!("${{{name}}}")).collect();
            return format!("{MASK} from {}", names.join(", "));
        }
        if self.is_hidden() {
            return MASK.to_owned();
        }
        let text = match &self.content {
            Content::Text(text) => Json::from(text.as_str()).to_string(),
            Content::Number(literal) => (*literal).to_owned(),
            Content::Flag(flag) => flag.to_string(),
            Content::List(_) => "[…]".to_owned(),
            Content::Object(_) => "{…}".to_owned(),
        };
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text,
        }
    }

    /// The place, for complaints that do not show the value.
    pub(crate) fn spot(&self) -> &Spot<'d> {
        &self.spot
    }

    /// Complains about the value and shows it where that is allowed.
    pub(crate) fn error(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.spot.error(message, Some(self.shown()), hint);
    }

    fn is_hidden(&self) -> bool {
        let holds_login = matches!(&self.content, Content::Text(text) if holds_login(text));
        self.secret || holds_login || !self.variables.is_empty()
    }

    fn mismatch(&self, expected: &str) {
        let found = match &self.content {
            Content::Text(_) => "text",
            Content::Number(_) => "a number",
            Content::Flag(_) => "a boolean",
            Content::List(_) => "an array",
            Content::Object(_) => "an object",
        };
        self.error(
            format!("Expected {expected}, found {found}"),
            format!("write {expected} at \"{}\"", self.spot.path()),
        );
    }

    /// Text, exactly as it is.
    pub(crate) fn text(&self) -> Option<String> {
        if let Content::Text(text) = &self.content {
            return Some(text.clone());
        }
        self.mismatch("text in quotes");
        None
    }

    /// Text that is never shown.
    pub(crate) fn secret(&self) -> Option<Secret> {
        self.text().map(Secret::from)
    }

    /// A whole number, also as text.
    pub(crate) fn whole(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let expected = || format!("a whole number from {} to {}", range.start(), range.end());
        let literal = match &self.content {
            Content::Number(literal) => literal,
            Content::Text(text) => text.trim(),
            _ => {
                self.mismatch(&expected());
                return None;
            }
        };
        // What does not parse is out of range or no number: one message covers both.
        let number = literal.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.error(format!("Expected {}", expected()), "write a number in that range");
        }
        number
    }

    /// A number from 0 to 1, also as text.
    pub(crate) fn fraction(&self) -> Option<f64> {
        let literal = match &self.content {
            Content::Number(literal) => literal,
            Content::Text(text) => text.trim(),
            _ => "",
        };
        // What does not parse is complained about like what is out of range.
        let number = literal.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
        if number.is_none() {
            self.error("Expected a fraction from 0 to 1", "write 0.01 for one per cent");
        }
        number
    }

    /// True or false, also as text.
    pub(crate) fn flag(&self) -> Option<bool> {
        match &self.content {
            Content::Flag(flag) => Some(*flag),
            Content::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Content::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            _ => {
                self.mismatch("true or false");
                None
            }
        }
    }

    /// One of a closed set of words, in any case.
    pub(crate) fn word<W: Word>(&self) -> Option<W> {
        self.word_of(self.text()?.trim())
    }

    /// The same for a part of the text.
    pub(crate) fn word_of<W: Word>(&self, text: &str) -> Option<W> {
        let found = W::ALL.iter().copied().find(|word| word.as_str().eq_ignore_ascii_case(text));
        if found.is_none() {
            let known: Vec<_> = W::ALL.iter().map(|word| word.as_str()).collect();
            let list = known.join(", ");
            let hint = match closest(text, known) {
                Some(near) => format!("did you mean \"{near}\"? Known: {list}"),
                None => format!("use one of: {list}"),
            };
            self.error("Unknown word", hint);
        }
        found
    }

    /// An amount of memory.
    pub(crate) fn size(&self, smallest: ByteSize) -> Option<ByteSize> {
        let literal = match &self.content {
            Content::Number(literal) => literal,
            Content::Text(text) => text.as_str(),
            _ => "",
        };
        let size = ByteSize::parse(literal).filter(|size| *size >= smallest);
        if size.is_none() {
            let hint = format!("write for example \"{smallest}\"; KiB, MiB and GiB are known");
            self.error(format!("Expected an amount of memory of at least {smallest}"), hint);
        }
        size
    }

    /// A table, schema or database as its system stores it.
    pub(crate) fn identifier(&self, dialect: Dialect) -> Option<String> {
        let text = self.text()?;
        match dialect.parse_identifier(&text) {
            Ok(name) => Some(name),
            Err(error) => {
                let hint = if self.is_hidden() || text.contains('"') {
                    r#"write a name with other characters than letters, digits, _ and $ as "\"Name\"""#.to_owned()
                } else {
                    let exact = Json::from(dialect.quote(text.trim()));
                    format!("if this is its exact name, write {exact}")
                };
                self.error(error.message(), hint);
                None
            }
        }
    }

    /// A column, in exactly the case as written.
    pub(crate) fn column(&self) -> Option<ColumnName> {
        self.text().map(ColumnName::from)
    }

    /// The elements that are neither broken nor null; null and blank ones are complained about.
    pub(crate) fn list(&self) -> Option<Vec<Self>> {
        let Content::List(values) = &self.content else {
            self.mismatch("an array");
            return None;
        };
        let mut items = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let path = element_path(self.spot.path(), index);
            let spot = self.spot.child(path, Some(offset_of(value)));
            match Self::resolve(spot.clone(), value) {
                Found::Item(item) => items.push(item),
                Found::Broken => {}
                Found::Absent => spot.error("An element is null", None, "remove the element"),
                Found::Blank(spot, shown) => {
                    spot.error("An element is empty", Some(shown), "remove the element");
                }
            }
        }
        Some(items)
    }

    /// Whether this is a list without any value: `[]`, `[null]`.
    pub(crate) fn is_hollow(&self) -> bool {
        let is_null = |value: &Value<'_>| matches!(value, Value::NullKeyword(_));
        matches!(&self.content, Content::List(values) if values.iter().all(is_null))
    }

    /// An object whose keys are known.
    pub(crate) fn object(&self) -> Option<Reader<'d>> {
        let Content::Object(object) = &self.content else {
            self.mismatch("an object");
            return None;
        };
        Some(Reader::new(self.spot.clone(), object))
    }

    /// The properties of an object whose keys are names.
    pub(crate) fn entries(&self) -> Option<Vec<(&'d str, Self)>> {
        let Content::Object(object) = &self.content else {
            self.mismatch("an object");
            return None;
        };
        let mut entries = Vec::with_capacity(object.properties.len());
        for property in &object.properties {
            let key = property.name.as_str();
            let path = child_path(self.spot.path(), key);
            let spot = self.spot.child(path, Some(property.range.start));
            match Self::resolve(spot.clone(), &property.value) {
                Found::Item(item) => {
                    entries.push((key, Self { secret: self.secret || is_secret_key(key), ..item }));
                }
                Found::Broken => {}
                Found::Absent | Found::Blank(..) => {
                    spot.error(format!("\"{key}\" has no value"), None, "remove it or set it");
                }
            }
        }
        Some(entries)
    }

    /// A text, a number or a boolean, and the form of it that may be shown.
    pub(crate) fn scalar(&self) -> Option<(Json, Json)> {
        let value = match &self.content {
            Content::Text(text) => Json::from(text.as_str()),
            Content::Number(literal) => free::number(literal),
            Content::Flag(flag) => Json::from(*flag),
            Content::List(_) | Content::Object(_) => {
                self.mismatch("text, a number or a boolean");
                return None;
            }
        };
        let shown = if self.is_hidden() { MASK.into() } else { value.clone() };
        Some((value, shown))
    }

    /// An object whose keys nobody here knows.
    pub(crate) fn options(&self) -> Option<Options> {
        self.object().map(Reader::into_options)
    }
}

/// The text with its variables, or nothing after complaining about all that cannot be replaced.
pub(super) fn replaced(spot: &Spot<'_>, text: &str) -> Option<(String, Vec<String>)> {
    if !spot.is_enabled() {
        return (!text.contains("${")).then(|| (text.to_owned(), Vec::new()));
    }
    let result = interpolate(text, |name| spot.environment().get(name));
    for problem in &result.problems {
        spot.error(problem.to_string(), None, problem.hint());
    }
    result.problems.is_empty().then_some((result.text, result.variables))
}
