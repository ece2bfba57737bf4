//! Text functions that cut: SUBSTR, LEFT, RIGHT, TRIM, LPAD.

use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::binder::FunctionCall;
use super::super::cast;
use super::super::compare::need_plain_text;
use super::super::eval::internal;
use super::super::expr::Expr;
use super::super::failure::Failure;
use super::super::ty::Ty;

pub(super) fn bind(call: &FunctionCall<'_, '_>) -> Result<Option<Expr>, Failure> {
    Ok(Some(match call.name.as_str() {
        "SUBSTR" | "SUBSTRING" => {
            call.count(2, 3)?;
            cut(call, |text, numbers| match numbers {
                [start] => substring(text, *start, i128::MAX),
                [start, length] => substring(text, *start, *length),
                _ => String::new(),
            })?
        }
        "LEFT" => {
            call.count(2, 2)?;
            cut(call, |text, numbers| substring(text, 1, numbers.first().copied().unwrap_or(0)))?
        }
        "RIGHT" => {
            call.count(2, 2)?;
            cut(call, |text, numbers| {
                let keep = numbers.first().copied().unwrap_or(0).max(0);
                let keep = usize::try_from(keep).unwrap_or(usize::MAX);
                let skip = text.chars().count().saturating_sub(keep);
                text.chars().skip(skip).collect()
            })?
        }
        "TRIM" => trim(call, |text, set| text.trim_matches(|letter| set.contains(letter)))?,
        "LTRIM" => trim(call, |text, set| text.trim_start_matches(|letter| set.contains(letter)))?,
        "RTRIM" => trim(call, |text, set| text.trim_end_matches(|letter| set.contains(letter)))?,
        "LPAD" | "RPAD" => pad(call)?,
        _ => return Ok(None),
    }))
}

/// A function of a text and whole numbers.
fn cut(call: &FunctionCall<'_, '_>, run: fn(&str, &[i128]) -> String) -> Result<Expr, Failure> {
    let mut args = Vec::with_capacity(call.raw.len());
    let first = call.arg(0)?;
    if matches!(first.ty.base, Some(Type::Binary { .. })) {
        return Err(Failure::unsupported(format!("{} of BINARY", call.name)));
    }
    let first = cast::to_text(call.binder.env, first)?;
    let ty = Ty { base: Some(Type::varchar()), collation: first.ty.collation.clone() };
    args.push(first);
    for position in 1..call.raw.len() {
        let arg = call.arg(position)?;
        if arg.ty.base.is_some() && !(arg.ty.is_number() && arg.ty.scale() == 0) {
            return Err(Failure::argument_types(&call.name, &arg.ty.shown()));
        }
        args.push(arg);
    }
    Ok(Expr::strict(call.name.clone(), args, ty, move |cells| {
        let Some((Cell::Text(text), rest)) = cells.split_first() else {
            return Err(internal("a text"));
        };
        let numbers: Vec<i128> = rest
            .iter()
            .filter_map(|cell| match cell {
                Cell::Number(number) => Some(*number),
                _ => None,
            })
            .collect();
        Ok(Datum::Text(run(text, &numbers)))
    }))
}

/// Characters from a position (from 1; 0 counts as 1; negative from the end).
fn substring(text: &str, start: i128, length: i128) -> String {
    let total = i128::try_from(text.chars().count()).unwrap_or(i128::MAX);
    let from = if start < 0 { total + start } else { (start - 1).max(0) };
    if from < 0 || length <= 0 {
        return String::new();
    }
    let skip = usize::try_from(from).unwrap_or(usize::MAX);
    let take = usize::try_from(length).unwrap_or(usize::MAX);
    text.chars().skip(skip).take(take).collect()
}

/// Cuts blanks, or the characters of the second argument.
fn trim(
    call: &FunctionCall<'_, '_>,
    run: for<'t> fn(&'t str, &str) -> &'t str,
) -> Result<Expr, Failure> {
    call.count(1, 2)?;
    let text = cast::to_text(call.binder.env, call.arg(0)?)?;
    let collation = text.ty.collation.clone();
    let mut args = vec![text];
    if call.raw.len() == 2 {
        let set = call.arg(1)?;
        need_plain_text(&call.name, &args.first().map_or(Ty::NULL, |arg| arg.ty.clone()))?;
        need_plain_text(&call.name, &set.ty)?;
        args.push(set);
    }
    let ty = Ty { base: Some(Type::varchar()), collation };
    Ok(Expr::strict(call.name.clone(), args, ty, move |cells| match cells {
        [Cell::Text(text)] => Ok(Datum::text(run(text, " "))),
        [Cell::Text(text), Cell::Text(set)] => Ok(Datum::text(run(text, set))),
        _ => Err(internal("texts")),
    }))
}

fn pad(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    call.count(2, 3)?;
    let text = cast::to_text(call.binder.env, call.arg(0)?)?;
    need_plain_text(&call.name, &text.ty)?;
    let length = call.integer(1)?;
    let fill = if call.raw.len() == 3 { call.text(2)? } else { " ".to_owned() };
    if fill.is_empty() {
        return Err(Failure::unsupported(format!("{} with an empty fill", call.name)));
    }
    let length = usize::try_from(length.max(0)).unwrap_or(0);
    let on_left = call.name == "LPAD";
    let label = format!("{} {length} {fill:?}", call.name);
    Ok(Expr::strict(label, vec![text], Ty::text(), move |cells| {
        let [Cell::Text(text)] = cells else { return Err(internal("a text")) };
        let present = text.chars().count();
        if present >= length {
            return Ok(Datum::Text(text.chars().take(length).collect()));
        }
        let padding: String = fill.chars().cycle().take(length - present).collect();
        Ok(Datum::Text(if on_left { padding + text } else { (*text).to_owned() + &padding }))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substrings_count_characters_from_either_end() {
        for (start, length, expected) in [
            (1, 2, "éa"),
            (0, 2, "éa"),
            (2, i128::MAX, "abc"),
            (-2, 1, "b"),
            (-9, 2, ""),
            (9, 2, ""),
            (1, -1, ""),
        ] {
            assert_eq!(substring("éabc", start, length), expected, "{start} {length}");
        }
    }
}
