//! Text functions: case, search, replacement, concatenation, LIKE.

use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::binder::FunctionCall;
use super::super::cast;
use super::super::compare::need_plain_text;
use super::super::env::Env;
use super::super::eval::internal;
use super::super::expr::Expr;
use super::super::failure::Failure;
use super::super::ty::Ty;

pub(super) fn bind(call: &FunctionCall<'_, '_>) -> Result<Option<Expr>, Failure> {
    Ok(Some(match call.name.as_str() {
        "UPPER" => change_case(call, char::to_uppercase)?,
        "LOWER" => change_case(call, char::to_lowercase)?,
        "LENGTH" | "LEN" => length(call)?,
        "ST_ASEWKT" => {
            let arg = call.one()?;
            if arg.ty.base != Some(Type::Geometry) {
                return Err(Failure::unsupported("ST_ASEWKT of another type than GEOMETRY"));
            }
            Expr::strict("ewkt", vec![arg], Ty::text(), |cells| match cells {
                [Cell::Text(text)] if text.starts_with("SRID=") => Ok(Datum::text(*text)),
                _ => Err(Failure::unsupported("ST_ASEWKT of a shape that is not stored as EWKT")),
            })
        }
        "OCTET_LENGTH" => {
            let arg = cast::to_text(call.binder.env, call.one()?)?;
            Expr::strict("octets", vec![arg], Ty::number(18, 0), |cells| match cells {
                [Cell::Text(text)] => Ok(count(text.len())),
                _ => Err(internal("text")),
            })
        }
        "CONCAT" => concat(call.binder.env, call.args(1, usize::MAX)?)?,
        "REPLACE" => {
            call.count(2, 3)?;
            let mut args = plain(call, 2, 3)?;
            if args.len() == 2 {
                args.push(Expr::constant(Datum::text(""), Ty::text()));
            }
            Expr::strict("replace", args, Ty::text(), |cells| match cells {
                [Cell::Text(text), Cell::Text(""), _] => Ok(Datum::text(*text)),
                [Cell::Text(text), Cell::Text(from), Cell::Text(to)] => {
                    Ok(Datum::Text(text.replace(from, to)))
                }
                _ => Err(internal("texts")),
            })
        }
        "SPLIT_PART" => split_part(call)?,
        "STARTSWITH" => search(call, |text, part| text.starts_with(part))?,
        "ENDSWITH" => search(call, |text, part| text.ends_with(part))?,
        "CONTAINS" => search(call, |text, part| text.contains(part))?,
        "POSITION" | "CHARINDEX" if call.raw.len() == 2 => {
            let args = plain(call, 2, 2)?;
            Expr::strict("position", args, Ty::number(18, 0), |cells| match cells {
                [Cell::Text(part), Cell::Text(text)] => Ok(match text.split_once(part) {
                    Some((before, _)) => count(before.chars().count() + 1),
                    None => count(0),
                }),
                _ => Err(internal("texts")),
            })
        }
        _ => return Ok(None),
    }))
}

/// The arguments as texts whose bytes decide.
fn plain(call: &FunctionCall<'_, '_>, least: usize, most: usize) -> Result<Vec<Expr>, Failure> {
    let args = call.args(least, most)?;
    for arg in &args {
        need_plain_text(&call.name, &arg.ty)?;
    }
    Ok(args)
}

pub(super) fn count(value: usize) -> Datum {
    Datum::Number(i128::try_from(value).unwrap_or(i128::MAX))
}

/// Case mapping, letter by letter. Letters that become several are refused: whether Snowflake
/// expands them is not documented.
fn change_case<I: ExactSizeIterator<Item = char> + 'static>(
    call: &FunctionCall<'_, '_>,
    map: fn(char) -> I,
) -> Result<Expr, Failure> {
    let arg = cast::to_text(call.binder.env, call.one()?)?;
    let ty = Ty { base: Some(Type::varchar()), collation: arg.ty.collation.clone() };
    Ok(Expr::strict(call.name.clone(), vec![arg], ty, move |cells| {
        let [Cell::Text(text)] = cells else { return Err(internal("text")) };
        let mut out = String::with_capacity(text.len());
        for letter in text.chars() {
            let mapped = map(letter);
            if mapped.len() != 1 {
                return Err(Failure::unsupported(format!("the case mapping of '{letter}'")));
            }
            out.extend(mapped);
        }
        Ok(Datum::Text(out))
    }))
}

fn length(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    let arg = call.one()?;
    let is_bytes = matches!(arg.ty.base, Some(Type::Binary { .. }));
    let arg = if is_bytes { arg } else { cast::to_text(call.binder.env, arg)? };
    Ok(Expr::strict("length", vec![arg], Ty::number(18, 0), |cells| match cells {
        [Cell::Text(text)] => Ok(count(text.chars().count())),
        [Cell::Bytes(bytes)] => Ok(count(bytes.len())),
        _ => Err(internal("text or bytes")),
    }))
}

/// Concatenation of texts, or of bytes.
pub(crate) fn concat(env: &Env<'_>, args: Vec<Expr>) -> Result<Expr, Failure> {
    if args.iter().all(|arg| matches!(arg.ty.base, Some(Type::Binary { .. }))) {
        return Ok(Expr::strict("concat bytes", args, Type::binary(), |cells| {
            let mut out = Vec::new();
            for cell in cells {
                let Cell::Bytes(bytes) = cell else { return Err(internal("bytes")) };
                out.extend_from_slice(bytes);
            }
            Ok(Datum::Bytes(out))
        }));
    }
    let args =
        args.into_iter().map(|arg| cast::to_text(env, arg)).collect::<Result<Vec<_>, _>>()?;
    let collation = args
        .iter()
        .try_fold(Ty::text(), |ty, arg| {
            ty.common_collation(&arg.ty).map(|collation| Ty { collation, ..ty })
        })?
        .collation;
    let ty = Ty { base: Some(Type::varchar()), collation };
    Ok(Expr::strict("concat", args, ty, |cells| {
        let mut out = String::new();
        for cell in cells {
            let Cell::Text(text) = cell else { return Err(internal("text")) };
            out.push_str(text);
        }
        Ok(Datum::Text(out))
    }))
}

fn search(call: &FunctionCall<'_, '_>, hit: fn(&str, &str) -> bool) -> Result<Expr, Failure> {
    let args = plain(call, 2, 2)?;
    Ok(Expr::strict(call.name.clone(), args, Type::Boolean, move |cells| match cells {
        [Cell::Text(text), Cell::Text(part)] => Ok(hit(text, part).into()),
        _ => Err(internal("texts")),
    }))
}

/// The part at a position, from 1; from the end if negative; empty if there is none.
fn split_part(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    call.count(3, 3)?;
    let (text, delimiter, part) = (call.arg(0)?, call.arg(1)?, call.arg(2)?);
    need_plain_text("SPLIT_PART", &text.ty)?;
    need_plain_text("SPLIT_PART", &delimiter.ty)?;
    if part.ty.base.is_some() && !(part.ty.is_number() && part.ty.scale() == 0) {
        return Err(Failure::argument_types("SPLIT_PART", &part.ty.shown()));
    }
    let args = vec![text, delimiter, part];
    Ok(Expr::strict("split_part", args, Ty::text(), |cells| {
        let [Cell::Text(text), Cell::Text(delimiter), Cell::Number(part)] = cells else {
            return Err(internal("two texts and a number"));
        };
        if delimiter.is_empty() {
            return Err(Failure::unsupported("SPLIT_PART with an empty delimiter"));
        }
        let position = usize::try_from(part.unsigned_abs()).unwrap_or(usize::MAX).max(1) - 1;
        let found = if *part < 0 {
            text.rsplit(delimiter).nth(position)
        } else {
            text.split(delimiter).nth(position)
        };
        Ok(Datum::text(found.unwrap_or_default()))
    }))
}

/// LIKE and ILIKE.
pub(crate) fn like(
    text: Expr,
    pattern: Expr,
    escape: Option<char>,
    folds_case: bool,
) -> Result<Expr, Failure> {
    need_plain_text("LIKE", &text.ty)?;
    need_plain_text("LIKE", &pattern.ty)?;
    let label = format!("like {escape:?} {folds_case}");
    Ok(Expr::strict(label, vec![text, pattern], Type::Boolean, move |cells| {
        let [Cell::Text(text), Cell::Text(pattern)] = cells else { return Err(internal("texts")) };
        Ok(matches(text, pattern, escape, folds_case).into())
    }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wild {
    Any,
    One,
    Letter(char),
}

/// Whether a text matches a LIKE pattern.
pub(crate) fn matches(text: &str, pattern: &str, escape: Option<char>, folds_case: bool) -> bool {
    let folded = |text: &str| if folds_case { text.to_lowercase() } else { text.to_owned() };
    let text: Vec<char> = folded(text).chars().collect();
    let pattern = parts(&folded(pattern), escape);
    // Greedy matching with one point to come back to: the last `%`.
    let (mut at, mut part) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match (pattern.get(part), text.get(at)) {
            (Some(Wild::Any), _) => {
                retry = Some((part, at));
                part += 1;
            }
            (Some(Wild::One), _) => {
                part += 1;
                at += 1;
            }
            (Some(Wild::Letter(wanted)), Some(found)) if wanted == found => {
                part += 1;
                at += 1;
            }
            _ => match &mut retry {
                Some((any, from)) => {
                    *from += 1;
                    at = *from;
                    part = *any + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(part).all(|rest| *rest == Wild::Any)
}

fn parts(pattern: &str, escape: Option<char>) -> Vec<Wild> {
    let mut parts = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            _ if Some(letter) == escape => match letters.next() {
                Some(escaped) => Wild::Letter(escaped),
                None => Wild::Letter(letter),
            },
            '%' => Wild::Any,
            '_' => Wild::One,
            other => Wild::Letter(other),
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "a_c", true),
            ("abc", "b%", false),
            ("", "%", true),
            ("", "_", false),
            ("aXbXc", "a%X%c", true),
            ("mississippi", "m%iss%pi", true),
            ("mississippi", "m%iss%pa", false),
            ("é", "_", true),
        ] {
            assert_eq!(matches(text, pattern, None, false), expected, "{text} like {pattern}");
        }
        assert!(matches("50%", "50!%", Some('!'), false));
        assert!(!matches("500", "50!%", Some('!'), false));
        assert!(matches("ÉTÉ", "été", None, true));
    }
}
