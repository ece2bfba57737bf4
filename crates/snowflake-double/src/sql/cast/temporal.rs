//! Casts among dates, times and timestamps.
//!
//! `TIMESTAMP_LTZ` is an instant shown in the session's zone; where a cast needs that zone and the
//! double does not know it, the cast is refused.

use crate::calendar::{Stamp, fraction_step};
use crate::number;
use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::env::Env;
use super::super::eval::internal;
use super::super::expr::Expr;
use super::super::failure::Failure;
use super::refused;

pub(super) fn cast(env: &Env<'_>, expr: Expr, to: Type) -> Result<Expr, Failure> {
    let from = expr.ty.base.ok_or_else(|| internal("a cast without a type"))?;
    if let (Type::Time { .. }, Type::Time { .. }) = (from, to) {
        return Ok(time_to_time(expr, to));
    }
    if matches!(from, Type::Time { .. })
        || !matches!(
            to,
            Type::Date
                | Type::Time { .. }
                | Type::TimestampNtz { .. }
                | Type::TimestampLtz { .. }
                | Type::TimestampTz { .. }
        )
        || matches!((from, to), (Type::Date, Type::Time { .. }))
    {
        return Err(refused(from, to));
    }
    if keeps_cells(from, to) {
        return Ok(Expr { ty: to.into(), ..expr });
    }
    let zone = if needs_zone(from, to) { env.zone()? } else { 0 };
    Ok(Expr::strict(format!("cast {to}"), vec![expr], to, move |cells| {
        let cell = cells.first().copied().unwrap_or(Cell::Null);
        convert(cell, from, to, zone)
    }))
}

/// Whether the stored values stay the same.
fn keeps_cells(from: Type, to: Type) -> bool {
    let widens = from.fraction_digits() <= to.fraction_digits();
    widens
        && matches!(
            (from, to),
            (Type::TimestampNtz { .. }, Type::TimestampNtz { .. })
                | (Type::TimestampLtz { .. }, Type::TimestampLtz { .. })
                | (Type::TimestampTz { .. }, Type::TimestampTz { .. })
        )
}

/// Whether wall-clock time of the session is involved on either side.
const fn needs_zone(from: Type, to: Type) -> bool {
    let from_instant = matches!(from, Type::TimestampLtz { .. });
    let to_instant = matches!(to, Type::TimestampLtz { .. });
    match (from, to) {
        (Type::TimestampTz { .. }, Type::TimestampLtz { .. }) => false,
        (Type::TimestampNtz { .. } | Type::Date, Type::TimestampTz { .. }) => true,
        _ => from_instant != to_instant,
    }
}

fn convert(cell: Cell<'_>, from: Type, to: Type, zone: i16) -> Result<Datum, Failure> {
    let (instant, wall, offset) = match cell {
        Cell::Date(days) => {
            let wall = Stamp::midnight(days);
            (wall.shifted(-i32::from(zone)), wall, zone)
        }
        Cell::Stamp(stamp) if matches!(from, Type::TimestampLtz { .. }) => {
            (stamp, stamp.shifted(i32::from(zone)), zone)
        }
        Cell::Stamp(wall) => (wall.shifted(-i32::from(zone)), wall, zone),
        Cell::Zoned(instant, offset) => (instant, instant.shifted(i32::from(offset)), offset),
        _ => return Err(internal("a timestamp of another kind")),
    };
    match to {
        Type::Date => wall.days().map(Datum::Date).ok_or_else(|| internal("a date out of range")),
        Type::Time { scale } => {
            let nanos = wall.time_of_day();
            kept(nanos % fraction_step(scale) == 0, Datum::Time(nanos))
        }
        Type::TimestampNtz { scale } => kept(wall.fits_scale(scale), Datum::Stamp(wall)),
        Type::TimestampLtz { scale } => kept(instant.fits_scale(scale), Datum::Stamp(instant)),
        Type::TimestampTz { scale } => {
            kept(instant.fits_scale(scale), Datum::Zoned(instant, offset))
        }
        _ => Err(refused(from, to)),
    }
}

fn time_to_time(expr: Expr, to: Type) -> Expr {
    if expr.ty.base.and_then(Type::fraction_digits) <= to.fraction_digits() {
        return Expr { ty: to.into(), ..expr };
    }
    let step = fraction_step(to.fraction_digits().unwrap_or(9));
    Expr::strict(format!("cast {to}"), vec![expr], to, move |cells| match cells {
        [Cell::Time(nanos)] => kept(nanos % step == 0, Datum::Time(*nanos)),
        _ => Err(internal("a time of another kind")),
    })
}

fn kept(fits: bool, datum: Datum) -> Result<Datum, Failure> {
    if fits {
        Ok(datum)
    } else {
        Err(Failure::unsupported("casts that cut digits of a fraction of a second"))
    }
}

/// A timestamp from seconds (or 10^-`scale` seconds) since the epoch.
pub(crate) fn from_epoch(env: &Env<'_>, expr: Expr, to: Type, scale: u8) -> Result<Expr, Failure> {
    let shape = expr.ty.shape().ok_or_else(|| internal("an epoch that is no number"))?;
    let digits = shape.scale + scale;
    let zone = if matches!(to, Type::TimestampTz { .. }) { env.zone()? } else { 0 };
    Ok(Expr::strict(format!("epoch {scale} {to}"), vec![expr], to, move |cells| {
        let [Cell::Number(value)] = cells else {
            return Err(internal("an epoch that is no number"));
        };
        let stamp = number::rescale(*value, digits, 9)
            .filter(|nanos| number::compare(*nanos, 9, *value, digits).is_eq())
            .and_then(Stamp::from_nanos)
            .filter(|stamp| to.fraction_digits().is_some_and(|scale| stamp.fits_scale(scale)))
            .ok_or_else(|| Failure::unsupported("an epoch with more digits than the timestamp"))?;
        Ok(match to {
            Type::TimestampTz { .. } => Datum::Zoned(stamp, zone),
            _ => Datum::Stamp(stamp),
        })
    }))
}

/// Whole seconds since the epoch; a zone-less time counts as UTC.
pub(crate) fn epoch_seconds(cell: Cell<'_>) -> Option<Stamp> {
    match cell {
        Cell::Date(days) => Some(Stamp::midnight(days)),
        Cell::Stamp(stamp) | Cell::Zoned(stamp, _) => Some(stamp),
        _ => None,
    }
}

/// The wall-clock time of a date or timestamp; `zone` is the session's.
pub(crate) fn to_wall(cell: Cell<'_>, ty: Type, zone: i16) -> Option<Stamp> {
    match (cell, ty) {
        (Cell::Date(days), _) => Some(Stamp::midnight(days)),
        (Cell::Time(nanos), _) => Stamp::from_nanos(i128::from(nanos)),
        (Cell::Stamp(stamp), Type::TimestampLtz { .. }) => Some(stamp.shifted(i32::from(zone))),
        (Cell::Stamp(wall), _) => Some(wall),
        (Cell::Zoned(instant, offset), _) => Some(instant.shifted(i32::from(offset))),
        _ => None,
    }
}

/// The value of this type at a wall-clock time; offsets stay what they were in `like`.
pub(crate) fn from_wall(wall: Stamp, like: Cell<'_>, ty: Type, zone: i16) -> Option<Datum> {
    match (ty, like) {
        (Type::Date, _) => wall.days().map(Datum::Date),
        (Type::TimestampNtz { .. }, _) => Some(Datum::Stamp(wall)),
        (Type::TimestampLtz { .. }, _) => Some(Datum::Stamp(wall.shifted(-i32::from(zone)))),
        (Type::TimestampTz { .. }, Cell::Zoned(_, offset)) => {
            Some(Datum::Zoned(wall.shifted(-i32::from(offset)), offset))
        }
        _ => None,
    }
}
