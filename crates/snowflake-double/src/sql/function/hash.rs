//! Digests, and hexadecimal text.

use md5::Md5;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use crate::table::{Cell, Datum};
use crate::types::Type;

use super::super::binder::FunctionCall;
use super::super::cast;
use super::super::eval::internal;
use super::super::expr::Expr;
use super::super::failure::Failure;
use super::super::ty::Ty;

pub(super) fn bind(call: &FunctionCall<'_, '_>) -> Result<Option<Expr>, Failure> {
    Ok(Some(match call.name.as_str() {
        "MD5" | "MD5_HEX" => {
            digest(call, Ty::text(), |bytes| Datum::Text(hex(&Md5::digest(bytes))))?
        }
        "MD5_BINARY" => {
            digest(call, Type::binary().into(), |bytes| Datum::Bytes(Md5::digest(bytes).to_vec()))?
        }
        "MD5_NUMBER_LOWER64" => {
            digest(call, Ty::number(20, 0), |bytes| half(&Md5::digest(bytes), 8))?
        }
        "MD5_NUMBER_UPPER64" => {
            digest(call, Ty::number(20, 0), |bytes| half(&Md5::digest(bytes), 0))?
        }
        "SHA2" | "SHA2_HEX" => sha2(call)?,
        "HEX_ENCODE" if call.raw.len() == 1 => {
            digest(call, Ty::text(), |bytes| Datum::Text(hex(bytes).to_uppercase()))?
        }
        _ => return Ok(None),
    }))
}

/// A digest of the bytes of a value; values that are no text are shown as text first.
fn digest(
    call: &FunctionCall<'_, '_>,
    ty: Ty,
    run: impl Fn(&[u8]) -> Datum + Send + Sync + 'static,
) -> Result<Expr, Failure> {
    call.count(1, 2)?;
    let arg = call.arg(0)?;
    let is_bytes = matches!(arg.ty.base, Some(Type::Binary { .. }));
    let arg = if is_bytes { arg } else { cast::to_text(call.binder.env, arg)? };
    Ok(Expr::strict(call.name.clone(), vec![arg], ty, move |cells| match cells {
        [Cell::Text(text)] => Ok(run(text.as_bytes())),
        [Cell::Bytes(bytes)] => Ok(run(bytes)),
        _ => Err(internal("text or bytes")),
    }))
}

fn sha2(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    let bits = if call.raw.len() == 2 { call.integer(1)? } else { 256 };
    let run: fn(&[u8]) -> String = match bits {
        224 => |bytes| hex(&Sha224::digest(bytes)),
        256 | 0 => |bytes| hex(&Sha256::digest(bytes)),
        384 => |bytes| hex(&Sha384::digest(bytes)),
        512 => |bytes| hex(&Sha512::digest(bytes)),
        other => return Err(Failure::unsupported(format!("SHA2 with {other} bits"))),
    };
    digest(call, Ty::text(), move |bytes| Datum::Text(run(bytes)))
}

/// Eight bytes of a digest as a number without sign.
fn half(digest: &[u8], start: usize) -> Datum {
    let bytes = digest.iter().skip(start).take(8);
    Datum::Number(bytes.fold(0, |value, byte| value << 8 | i128::from(*byte)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        out
    })
}
