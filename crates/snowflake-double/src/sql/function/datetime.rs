//! Dates and times: clock, truncation, addition, difference, parts, zones.

use sqlparser::ast;

use crate::calendar::Unit;
use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::binder::{Binder, FunctionCall};
use super::super::cast::{self, epoch_seconds, from_wall, to_wall};
use super::super::env::zone_offset;
use super::super::eval::internal;
use super::super::expr::Expr;
use super::super::failure::Failure;
use super::super::text;
use super::super::ty::Ty;

pub(super) fn bind(call: &FunctionCall<'_, '_>) -> Result<Option<Expr>, Failure> {
    let binder = call.binder;
    Ok(Some(match call.name.as_str() {
        "CURRENT_TIMESTAMP" | "GETDATE" | "LOCALTIMESTAMP" => now(call, Type::timestamp_ltz(9))?,
        "SYSDATE" => now(call, Type::timestamp_ntz(9))?,
        "CURRENT_DATE" => {
            let moment = now(call, Type::timestamp_ltz(9))?;
            cast::cast(binder.env, moment, Type::Date)?
        }
        "CURRENT_TIME" | "LOCALTIME" => {
            let moment = now(call, Type::timestamp_ltz(9))?;
            cast::cast(binder.env, moment, Type::time(9))?
        }
        "DATE_TRUNC" => {
            call.count(2, 2)?;
            truncate(binder, call.arg(1)?, &call.word(0)?)?
        }
        "DATEADD" | "TIMEADD" | "TIMESTAMPADD" => {
            call.count(3, 3)?;
            let amount = call.arg(1)?;
            add(binder, unit(&call.word(0)?)?, amount, temporal(binder, call.arg(2)?)?)?
        }
        "DATEDIFF" | "TIMEDIFF" | "TIMESTAMPDIFF" => {
            call.count(3, 3)?;
            let from = temporal(binder, call.arg(1)?)?;
            difference(binder, unit(&call.word(0)?)?, from, temporal(binder, call.arg(2)?)?)?
        }
        "DATE_PART" => {
            call.count(2, 2)?;
            extract(binder, &call.word(0)?, call.arg(1)?)?
        }
        "YEAR" | "MONTH" | "DAY" | "DAYOFMONTH" | "QUARTER" | "WEEK" | "HOUR" | "MINUTE"
        | "SECOND" => extract(binder, &call.name, call.one()?)?,
        "CONVERT_TIMEZONE" => convert_timezone(call)?,
        _ => return Ok(None),
    }))
}

fn now(call: &FunctionCall<'_, '_>, ty: Type) -> Result<Expr, Failure> {
    call.count(0, 1)?;
    if call.raw.len() == 1 && !matches!(call.integer(0)?, 3..=9) {
        return Err(Failure::unsupported(format!("{} with fewer than 3 digits", call.name)));
    }
    Ok(Expr::constant(Datum::Stamp(call.binder.env.now), ty))
}

fn unit(word: &str) -> Result<Unit, Failure> {
    word.parse().map_err(|()| Failure::unsupported(format!("the date part '{word}'")))
}

/// Text arguments of date functions count as timestamps.
fn temporal(binder: &Binder<'_>, expr: Expr) -> Result<Expr, Failure> {
    match expr.ty.base {
        None => Ok(Expr { ty: Type::timestamp_ntz(9).into(), ..expr }),
        Some(Type::Varchar { .. }) => cast::cast(binder.env, expr, Type::timestamp_ntz(9)),
        Some(Type::Date) => Ok(expr),
        Some(_) if expr.ty.is_timestamp() => Ok(expr),
        Some(other) => Err(Failure::unsupported(format!("date functions of {other}"))),
    }
}

/// The session's offset, if values of this type need it.
fn zone_for(binder: &Binder<'_>, ty: Type) -> Result<i16, Failure> {
    if matches!(ty, Type::TimestampLtz { .. }) { binder.env.zone() } else { Ok(0) }
}

/// `DATE_TRUNC`.
pub(super) fn truncate(binder: &Binder<'_>, expr: Expr, word: &str) -> Result<Expr, Failure> {
    let unit = unit(word)?;
    let expr = temporal(binder, expr)?;
    let ty = expr.ty.reported();
    if ty == Type::Date && unit.is_time() {
        return Err(Failure::unsupported("DATE_TRUNC of a DATE to a part of a day"));
    }
    let zone = zone_for(binder, ty)?;
    Ok(Expr::strict(format!("trunc {unit:?}"), vec![expr], ty, move |cells| {
        let cell = cells.first().copied().unwrap_or(Cell::Null);
        to_wall(cell, ty, zone)
            .and_then(|wall| unit.truncate(wall))
            .and_then(|wall| from_wall(wall, cell, ty, zone))
            .ok_or_else(|| Failure::unsupported("dates out of range"))
    }))
}

fn add(binder: &Binder<'_>, unit: Unit, amount: Expr, expr: Expr) -> Result<Expr, Failure> {
    if amount.ty.base.is_some() && !(amount.ty.is_number() && amount.ty.scale() == 0) {
        return Err(Failure::unsupported("DATEADD of something else than whole numbers"));
    }
    let from = expr.ty.reported();
    // A part of a day makes a timestamp of a date.
    let ty = if from == Type::Date && unit.is_time() { Type::timestamp_ntz(9) } else { from };
    let zone = zone_for(binder, from)?;
    let label = format!("add {unit:?}");
    Ok(Expr::strict(label, vec![amount, expr], ty, move |cells| {
        let [Cell::Number(amount), cell] = cells else { return Err(internal("an amount")) };
        let moved = i64::try_from(*amount)
            .ok()
            .zip(to_wall(*cell, from, zone))
            .and_then(|(amount, wall)| unit.add(wall, amount))
            .and_then(|wall| from_wall(wall, *cell, ty, zone));
        moved.ok_or_else(|| Failure::unsupported("dates out of range"))
    }))
}

fn difference(binder: &Binder<'_>, unit: Unit, from: Expr, to: Expr) -> Result<Expr, Failure> {
    let (a, b) = (from.ty.reported(), to.ty.reported());
    let mixes = std::mem::discriminant(&a) != std::mem::discriminant(&b)
        && a != Type::Date
        && b != Type::Date;
    if mixes {
        return Err(Failure::unsupported("DATEDIFF between two kinds of timestamps"));
    }
    let (a_zone, b_zone) = (zone_for(binder, a)?, zone_for(binder, b)?);
    let label = format!("diff {unit:?}");
    Ok(Expr::strict(label, vec![from, to], Ty::number(18, 0), move |cells| {
        let [from, to] = cells else { return Err(internal("two dates")) };
        let span = to_wall(*from, a, a_zone)
            .zip(to_wall(*to, b, b_zone))
            .and_then(|(from, to)| unit.between(from, to));
        match span {
            Some(count) => Ok(Datum::Number(i128::from(count))),
            None => Err(Failure::unsupported("dates out of range")),
        }
    }))
}

/// `EXTRACT` and `DATE_PART`.
pub(crate) fn extract(binder: &Binder<'_>, word: &str, expr: Expr) -> Result<Expr, Failure> {
    let word = word.trim_matches('\'').to_ascii_lowercase();
    if let Some(nanos) = epoch_unit(&word) {
        return epoch(binder, &word, nanos, expr);
    }
    let part = unit(&word)?;
    let is_clock = matches!(expr.ty.base, Some(Type::Time { .. }));
    let expr = if is_clock { expr } else { temporal(binder, expr)? };
    let ty = expr.ty.reported();
    if (is_clock && !part.is_time()) || (ty == Type::Date && part.is_time()) {
        return Err(Failure::unsupported(format!("the part '{word}' of {ty}")));
    }
    if matches!(part, Unit::Millisecond | Unit::Microsecond) {
        return Err(Failure::unsupported(format!("the date part '{word}'")));
    }
    let zone = zone_for(binder, ty)?;
    Ok(Expr::strict(format!("part {part:?}"), vec![expr], Ty::number(9, 0), move |cells| {
        let cell = cells.first().copied().unwrap_or(Cell::Null);
        match to_wall(cell, ty, zone).and_then(|wall| part.extract(wall)) {
            Some(value) => Ok(Datum::Number(i128::from(value))),
            None => Err(Failure::unsupported("dates out of range")),
        }
    }))
}

/// Nanoseconds of an epoch unit.
fn epoch_unit(word: &str) -> Option<i128> {
    Some(match word {
        "epoch_second" | "epoch" | "epoch_seconds" => 1_000_000_000,
        "epoch_millisecond" | "epoch_milliseconds" => 1_000_000,
        "epoch_microsecond" | "epoch_microseconds" => 1_000,
        "epoch_nanosecond" | "epoch_nanoseconds" => 1,
        _ => return None,
    })
}

fn epoch(binder: &Binder<'_>, word: &str, nanos: i128, expr: Expr) -> Result<Expr, Failure> {
    let expr = temporal(binder, expr)?;
    let ty = Ty::number(38, 0);
    Ok(Expr::strict(word.to_owned(), vec![expr], ty, move |cells| {
        let cell = cells.first().copied().unwrap_or(Cell::Null);
        let total = epoch_seconds(cell).ok_or_else(|| internal("a timestamp"))?.total_nanos();
        if total < 0 && total % nanos != 0 {
            return Err(Failure::unsupported("the epoch of a fraction before 1970"));
        }
        Ok(Datum::Number(total / nanos))
    }))
}

/// `CONVERT_TIMEZONE(target, x)` and `CONVERT_TIMEZONE(source, target, ntz)`.
fn convert_timezone(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    call.count(2, 3)?;
    let zone = |position: usize| {
        let name = call.text(position)?;
        zone_offset(&name).ok_or_else(|| Failure::unsupported(format!("the time zone '{name}'")))
    };
    let binder = call.binder;
    if call.raw.len() == 3 {
        let (source, target) = (zone(0)?, zone(1)?);
        let arg = cast::cast(binder.env, temporal(binder, call.arg(2)?)?, Type::timestamp_ntz(9))?;
        let shift = i32::from(target) - i32::from(source);
        let ty = Type::timestamp_ntz(9);
        return Ok(Expr::strict(
            format!("shift {shift}"),
            vec![arg],
            ty,
            move |cells| match cells {
                [Cell::Stamp(wall)] => Ok(Datum::Stamp(wall.shifted(shift))),
                _ => Err(internal("a timestamp")),
            },
        ));
    }
    let target = zone(0)?;
    let arg = temporal(binder, call.arg(1)?)?;
    // An instant needs no session zone: only its offset changes.
    let arg = match arg.ty.base {
        Some(Type::TimestampLtz { .. } | Type::TimestampTz { .. }) => arg,
        _ => cast::cast(binder.env, arg, Type::timestamp_tz(9))?,
    };
    let ty = Type::timestamp_tz(9);
    Ok(Expr::strict(format!("zone {target}"), vec![arg], ty, move |cells| match cells {
        [Cell::Zoned(instant, _) | Cell::Stamp(instant)] => Ok(Datum::Zoned(*instant, target)),
        _ => Err(internal("a timestamp")),
    }))
}

/// `value + interval 'n unit[, n unit]'`.
pub(crate) fn add_interval(
    binder: &Binder<'_>,
    value: Expr,
    interval: &ast::Interval,
    sign: i64,
) -> Result<Expr, Failure> {
    let unknown = || Failure::unsupported(format!("the interval {interval}"));
    let ast::Interval { value: amount, leading_field: None, last_field: None, .. } = interval
    else {
        return Err(unknown());
    };
    let ast::Expr::Value(literal) = amount.as_ref() else { return Err(unknown()) };
    let ast::Value::SingleQuotedString(raw) = &literal.value else { return Err(unknown()) };
    let words = text::unescape(raw)?;
    let mut value = temporal(binder, value)?;
    for step in words.split(',') {
        let (count, word) = step.trim().split_once(' ').ok_or_else(unknown)?;
        let count: i64 = count.parse().map_err(|_| unknown())?;
        let amount = i128::from(count) * i128::from(sign);
        let amount = Expr::constant(Datum::Number(amount), Ty::number(38, 0));
        value = add(binder, unit(word.trim())?, amount, value)?;
    }
    Ok(value)
}
