//! Values of tests on their way into typed arrays: checked against the column, never adjusted.

use super::cell::{Cell, Datum};
use crate::calendar::{self, DAY_NANOS, NANOS, Parsed, Stamp, fraction_step};
use crate::decimal_text::DecimalText;
use crate::types::Type;
use crate::value::Value;
use crate::{float, number};

/// The cell a value becomes in a column of this type, or why it cannot.
pub(crate) fn cell(value: &Value, ty: Type) -> Result<Datum, String> {
    if let Value::Literal(text) = value {
        return literal(text, ty).and_then(|datum| checked(datum, ty));
    }
    let datum = match (value, ty) {
        (Value::Null, _) => Datum::Null,
        (Value::Number { unscaled, scale }, Type::Number { scale: to, .. }) => {
            Datum::Number(exact_number(*unscaled, *scale, to)?)
        }
        (Value::Float(value), Type::Float) => Datum::Float(*value),
        (Value::Text(text), Type::Varchar { .. }) => Datum::Text(text.clone()),
        (Value::Binary(bytes), Type::Binary { .. }) => Datum::Bytes(bytes.clone()),
        (Value::Boolean(value), Type::Boolean) => Datum::Boolean(*value),
        (Value::Date(days), Type::Date) => Datum::Date(*days),
        (Value::Time(nanos), Type::Time { .. }) => Datum::Time(*nanos),
        (
            Value::Timestamp { seconds, nanos },
            Type::TimestampNtz { .. } | Type::TimestampLtz { .. },
        ) => Datum::Stamp(Stamp::new(*seconds, *nanos)),
        (Value::TimestampTz { seconds, nanos, offset_minutes }, Type::TimestampTz { .. }) => {
            Datum::Zoned(Stamp::new(*seconds, *nanos), *offset_minutes)
        }
        (Value::Json(text), ty) if keeps_text(ty) => Datum::Text(text.clone()),
        _ => return Err(value.misfit(ty)),
    };
    checked(datum, ty)
}

const fn keeps_text(ty: Type) -> bool {
    ty.is_opaque() || matches!(ty, Type::Variant | Type::Object | Type::Array)
}

fn exact_number(unscaled: i128, from: u8, to: u8) -> Result<i128, String> {
    let moved = number::rescale(unscaled, from, to).ok_or("the number has too many digits")?;
    if to < from && number::rescale(moved, to, from) != Some(unscaled) {
        return Err(format!("the number has more than {to} digits after the point"));
    }
    Ok(moved)
}

fn literal(text: &str, ty: Type) -> Result<Datum, String> {
    let wrong = || format!("{text:?} is no literal of type {ty}");
    Ok(match ty {
        Type::Number { scale, .. } => {
            let (unscaled, from) =
                DecimalText::parse(text).and_then(|text| text.exact()).ok_or_else(wrong)?;
            Datum::Number(exact_number(unscaled, from, scale)?)
        }
        Type::Float => Datum::Float(float::parse(text).ok_or_else(wrong)?),
        Type::Binary { .. } => Datum::Bytes(from_hex(text).ok_or_else(wrong)?),
        Type::Boolean => match text {
            "true" => Datum::Boolean(true),
            "false" => Datum::Boolean(false),
            _ => return Err(wrong()),
        },
        Type::Date => match calendar::date(text) {
            Parsed::Value(days) => Datum::Date(days),
            _ => return Err(wrong()),
        },
        Type::Time { .. } => match calendar::time(text) {
            Parsed::Value(nanos) => Datum::Time(nanos),
            _ => return Err(wrong()),
        },
        Type::TimestampNtz { .. } => match calendar::timestamp(text) {
            Parsed::Value(clock) if clock.offset.is_none() => Datum::Stamp(clock.wall),
            _ => return Err(wrong()),
        },
        Type::TimestampLtz { .. } => match calendar::timestamp(text) {
            Parsed::Value(clock) => {
                Datum::Stamp(clock.wall.shifted(-i32::from(clock.offset.unwrap_or(0))))
            }
            _ => return Err(wrong()),
        },
        Type::TimestampTz { .. } => match calendar::timestamp(text) {
            Parsed::Value(clock) => {
                let offset = clock.offset.unwrap_or(0);
                Datum::Zoned(clock.wall.shifted(-i32::from(offset)), offset)
            }
            _ => return Err(wrong()),
        },
        _ => Datum::text(text),
    })
}

/// Refuses what the column could not hold in Snowflake either.
fn checked(datum: Datum, ty: Type) -> Result<Datum, String> {
    let fault = match (datum.cell(), ty) {
        (Cell::Number(value), Type::Number { precision, .. })
            if !number::fits(value, precision) =>
        {
            Some(format!("the number has more than {precision} digits"))
        }
        (Cell::Text(text), Type::Varchar { length })
            if text.chars().count() > usize::try_from(length).unwrap_or(usize::MAX) =>
        {
            Some(format!("the text has more than {length} characters"))
        }
        (Cell::Bytes(bytes), Type::Binary { length })
            if bytes.len() > usize::try_from(length).unwrap_or(usize::MAX) =>
        {
            Some(format!("the value has more than {length} bytes"))
        }
        (Cell::Time(nanos), Type::Time { scale }) => {
            if !(0..DAY_NANOS).contains(&nanos) {
                Some("the time is not within a day".to_owned())
            } else if nanos % fraction_step(scale) != 0 {
                Some(format!("the time has more than {scale} fraction digits"))
            } else {
                None
            }
        }
        (Cell::Stamp(stamp) | Cell::Zoned(stamp, _), ty) => stamp_fault(stamp, ty),
        _ => None,
    };
    match (fault, &datum) {
        (None, Datum::Zoned(_, offset)) if offset.abs() > 1440 => {
            Err("the offset is not within -1440 to 1440 minutes".to_owned())
        }
        (None, _) => Ok(datum),
        (Some(fault), _) => Err(fault),
    }
}

fn stamp_fault(stamp: Stamp, ty: Type) -> Option<String> {
    if stamp.nanos >= NANOS {
        return Some("the nanoseconds reach a whole second".to_owned());
    }
    let scale = ty.fraction_digits()?;
    (!stamp.fits_scale(scale))
        .then(|| format!("the timestamp has more than {scale} fraction digits"))
}

/// Bytes from hexadecimal text of either case.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lit(text: &str, ty: Type) -> Result<Datum, String> {
        cell(&Value::lit(text), ty)
    }

    #[test]
    fn literals_are_read_by_the_type_of_the_column() {
        assert_eq!(lit("-0.01", Type::number(28, 2)), Ok(Datum::Number(-1)));
        assert_eq!(lit("1.5", Type::number(38, 10)), Ok(Datum::Number(15_000_000_000)));
        assert_eq!(lit("00ff10", Type::binary()), Ok(Datum::Bytes(vec![0, 255, 16])));
        assert_eq!(lit("1969-12-31", Type::Date), Ok(Datum::Date(-1)));
        assert_eq!(
            lit("1970-01-01 05:30:00 +05:30", Type::timestamp_tz(9)),
            Ok(Datum::Zoned(Stamp::new(0, 0), 330))
        );
        assert_eq!(
            lit("1969-12-31 23:59:59.999999 -08:00", Type::timestamp_ltz(9)),
            Ok(Datum::Stamp(Stamp::new(28_799, 999_999_000)))
        );
    }

    #[test]
    fn values_are_never_rounded_or_cut_on_the_way_in() {
        assert!(lit("1.005", Type::number(10, 2)).is_err());
        assert!(lit("100", Type::number(2, 0)).is_err());
        assert!(cell(&Value::from("abc"), Type::varchar_of(2)).is_err());
        assert!(lit("00:00:00.123", Type::time(2)).is_err());
        assert!(lit("2024-01-01 00:00:00.1234567", Type::timestamp_ntz(6)).is_err());
        assert!(lit("2024-01-01 00:00:00 +01:00", Type::timestamp_ntz(6)).is_err());
        assert!(cell(&Value::from(1), Type::varchar()).is_err());
        assert!(cell(&Value::from("1"), Type::Variant).is_err());
    }
}
