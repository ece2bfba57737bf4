//! Bind values of a request.

use std::collections::BTreeMap;

use crate::calendar::{DAY_NANOS, Stamp};
use crate::decimal_text::DecimalText;
use crate::float;
use crate::number::Shape;
use crate::table::{Datum, from_hex};
use crate::types::Type;

use super::failure::Failure;
use super::ty::Ty;

/// One bind: wire type and text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Bind {
    #[serde(rename = "type")]
    ty: String,
    value: Option<String>,
}

/// All binds by key: `1`, `2` for `?`, or names.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Binds(BTreeMap<String, Bind>);

impl Binds {
    /// The value and type of a placeholder such as `?1` or `:name`.
    pub(crate) fn get(&self, placeholder: &str) -> Result<(Datum, Ty), Failure> {
        let key = placeholder.trim_start_matches(['?', ':']);
        let shown = if placeholder.starts_with('?') { "?" } else { placeholder };
        self.0.get(key).ok_or_else(|| Failure::unbound(shown))?.read()
    }

    /// Wire types and texts in the order of positions, named ones last.
    pub(crate) fn shown(&self) -> Vec<(String, Option<String>)> {
        let mut binds: Vec<_> = self.0.iter().collect();
        binds.sort_by_key(|(key, _)| key.parse::<usize>().unwrap_or(usize::MAX));
        binds.into_iter().map(|(_, bind)| (bind.ty.clone(), bind.value.clone())).collect()
    }

    #[cfg(test)]
    pub(crate) fn of(binds: &[(&str, &str, Option<&str>)]) -> Self {
        let entries = binds.iter().map(|(key, ty, value)| {
            let value = value.map(str::to_owned);
            ((*key).to_owned(), Bind { ty: (*ty).to_owned(), value })
        });
        Self(entries.collect())
    }
}

impl Bind {
    fn read(&self) -> Result<(Datum, Ty), Failure> {
        let ty = self.type_of()?;
        let Some(text) = &self.value else {
            return Ok((Datum::Null, ty));
        };
        if let Type::Number { .. } = ty.reported() {
            let (unscaled, scale) = DecimalText::parse(text)
                .and_then(|number| number.exact())
                .ok_or_else(|| Failure::numeric_not_recognized(text))?;
            let shape = Shape::new(38, scale);
            return Ok((Datum::Number(unscaled), Ty::shaped(shape)));
        }
        let datum = datum(text, ty.reported()).ok_or_else(|| self.wrong(text))?;
        Ok((datum, ty))
    }

    fn type_of(&self) -> Result<Ty, Failure> {
        Ok(match self.ty.to_ascii_uppercase().as_str() {
            "FIXED" => Type::number(38, 0),
            "REAL" => Type::Float,
            "TEXT" => Type::varchar(),
            "BOOLEAN" => Type::Boolean,
            "DATE" => Type::Date,
            "TIME" => Type::time(9),
            "TIMESTAMP_NTZ" => Type::timestamp_ntz(9),
            "TIMESTAMP_LTZ" => Type::timestamp_ltz(9),
            "TIMESTAMP_TZ" => Type::timestamp_tz(9),
            "BINARY" => Type::binary(),
            other => return Err(Failure::unsupported(format!("binds of type {other}"))),
        }
        .into())
    }

    fn wrong(&self, text: &str) -> Failure {
        let message =
            format!("SQL compilation error:\n{text:?} is no bind value of type {}", self.ty);
        Failure::new("002014", "22000", message)
    }
}

/// The value of a bind's text.
fn datum(text: &str, ty: Type) -> Option<Datum> {
    Some(match ty {
        Type::Float => Datum::Float(float::parse(text)?),
        Type::Varchar { .. } => Datum::text(text),
        Type::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Datum::Boolean(true),
            "false" | "0" => Datum::Boolean(false),
            _ => return None,
        },
        Type::Date => {
            let millis: i64 = text.parse().ok()?;
            if millis % 86_400_000 != 0 {
                return None;
            }
            Datum::Date(i32::try_from(millis / 86_400_000).ok()?)
        }
        Type::Time { .. } => {
            Datum::Time(text.parse().ok().filter(|nanos| (0..DAY_NANOS).contains(nanos))?)
        }
        Type::TimestampNtz { .. } | Type::TimestampLtz { .. } => {
            Datum::Stamp(Stamp::from_nanos(text.parse().ok()?)?)
        }
        Type::TimestampTz { .. } => {
            let (nanos, index) = text.split_once(' ')?;
            let index: i16 = index.parse().ok().filter(|index| (0..=2880).contains(index))?;
            Datum::Zoned(Stamp::from_nanos(nanos.parse().ok()?)?, index - 1440)
        }
        Type::Binary { .. } => Datum::Bytes(from_hex(text)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ty: &str, value: &str) -> Result<Datum, String> {
        let binds = Binds::of(&[("1", ty, Some(value))]);
        binds.get("?1").map(|(datum, _)| datum).map_err(|failure| failure.message)
    }

    #[test]
    fn each_wire_type_is_read_exactly() {
        assert_eq!(read("FIXED", "-1.50"), Ok(Datum::Number(-150)));
        assert_eq!(read("REAL", "-Infinity"), Ok(Datum::Float(f64::NEG_INFINITY)));
        assert_eq!(read("BOOLEAN", "true"), Ok(Datum::Boolean(true)));
        assert_eq!(read("DATE", "-86400000"), Ok(Datum::Date(-1)));
        assert_eq!(read("TIME", "45296123000000"), Ok(Datum::Time(45_296_123_000_000)));
        assert_eq!(read("TIMESTAMP_NTZ", "-1"), Ok(Datum::Stamp(Stamp::new(-1, 999_999_999))));
        assert_eq!(
            read("TIMESTAMP_TZ", "1718454645000000000 1980"),
            Ok(Datum::Zoned(Stamp::new(1_718_454_645, 0), 540))
        );
        assert_eq!(read("BINARY", "00ff"), Ok(Datum::Bytes(vec![0, 255])));
    }

    #[test]
    fn wrong_texts_and_types_and_missing_binds_are_refused() {
        assert!(read("FIXED", "x").unwrap_err().contains("not recognized"));
        assert!(read("DATE", "1").is_err());
        assert!(read("TIMESTAMP_TZ", "1").is_err());
        assert!(read("ANY", "1").unwrap_err().contains("ANY"));
        let failure = Binds::default().get("?1").unwrap_err();
        assert_eq!(
            (failure.code.as_ref(), failure.kind),
            ("002049", super::super::failure::FailureKind::Statement)
        );
    }

    #[test]
    fn a_null_keeps_its_type() {
        let binds = Binds::of(&[("1", "DATE", None)]);
        assert_eq!(binds.get("?1"), Ok((Datum::Null, Type::Date.into())));
    }
}
