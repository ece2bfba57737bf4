//! Values of keys that nobody here knows: kept as JSON, beside the form of them that may be shown.

use jsonc_parser::ast::{ObjectProp, Value};
use serde_json::{Map, Value as Json};

use crate::document::{child_path, element_path, offset_of};
use crate::issue::MASK;
use crate::options::Options;
use crate::secret::{holds_login, is_secret_key};

use super::Spot;
use super::item::replaced;

/// All of these properties. One whose variables cannot be replaced is left out, which has been told.
pub(super) fn options<'d>(
    parent: &Spot<'_>,
    properties: impl Iterator<Item = &'d ObjectProp<'d>>,
) -> Options {
    let mut options = Options::default();
    for property in properties {
        if let Some((key, value, shown)) = entry(parent, property, false) {
            options.insert(key, value, shown);
        }
    }
    options
}

/// A number as JSON keeps it; one that JSON cannot hold stays text.
pub(super) fn number(literal: &str) -> Json {
    literal.parse::<serde_json::Number>().map_or_else(|_| literal.into(), Json::Number)
}

/// A property; it is secret if its name says so or if it is part of something secret.
fn entry<'d>(
    parent: &Spot<'_>,
    property: &'d ObjectProp<'d>,
    secret: bool,
) -> Option<(&'d str, Json, Json)> {
    let key = property.name.as_str();
    let spot = parent.child(child_path(parent.path(), key), Some(property.range.start));
    let (value, shown) = value(&spot, &property.value, secret || is_secret_key(key))?;
    Some((key, value, shown))
}

fn value(spot: &Spot<'_>, value: &Value<'_>, secret: bool) -> Option<(Json, Json)> {
    let plain = match value {
        Value::Array(array) => return elements(spot, &array.elements, secret),
        Value::Object(object) => return members(spot, &object.properties, secret),
        Value::StringLit(literal) => {
            let (text, variables) = replaced(spot, &literal.value)?;
            let is_hidden = secret || !variables.is_empty() || holds_login(&text);
            let shown = if is_hidden { MASK.into() } else { text.clone() };
            return Some((text.into(), shown.into()));
        }
        Value::NullKeyword(_) => Json::Null,
        Value::BooleanLit(literal) => literal.value.into(),
        Value::NumberLit(literal) => number(literal.value),
    };
    let shown = if secret { MASK.into() } else { plain.clone() };
    Some((plain, shown))
}

fn elements(spot: &Spot<'_>, elements: &[Value<'_>], secret: bool) -> Option<(Json, Json)> {
    let mut pair = (Vec::new(), Vec::new());
    for (index, element) in elements.iter().enumerate() {
        let spot = spot.child(element_path(spot.path(), index), Some(offset_of(element)));
        pair.extend([value(&spot, element, secret)?]);
    }
    Some((pair.0.into(), pair.1.into()))
}

fn members(spot: &Spot<'_>, members: &[ObjectProp<'_>], secret: bool) -> Option<(Json, Json)> {
    let mut pair = (Map::new(), Map::new());
    for property in members {
        let (key, value, shown) = entry(spot, property, secret)?;
        pair.0.insert(key.to_owned(), value);
        pair.1.insert(key.to_owned(), shown);
    }
    Some((pair.0.into(), pair.1.into()))
}
