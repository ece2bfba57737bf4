//! Literals and binds.

use sqlparser::ast;

use crate::decimal_text::DecimalText;
use crate::number::Shape;
use crate::table::{Datum, from_hex};
use crate::types::Type;

use super::super::expr::Expr;
use super::super::failure::Failure;
use super::super::text;
use super::super::ty::Ty;
use super::Binder;

impl Binder<'_> {
    pub(super) fn bind_literal(&self, value: &ast::Value) -> Result<Expr, Failure> {
        Ok(match value {
            ast::Value::Number(digits, _) => number(digits)?,
            ast::Value::SingleQuotedString(raw) => string(text::unescape(raw)?),
            ast::Value::DollarQuotedString(dollar) if dollar.tag.is_none() => {
                string(dollar.value.clone())
            }
            ast::Value::HexStringLiteral(digits) => {
                let bytes =
                    from_hex(digits).ok_or_else(|| Failure::binary_not_recognized(digits))?;
                Expr::constant(Datum::Bytes(bytes), Type::binary())
            }
            ast::Value::Boolean(value) => Expr::constant(Datum::Boolean(*value), Type::Boolean),
            ast::Value::Null => Expr::null(),
            ast::Value::Placeholder(name) if name.starts_with(['?', ':']) => {
                let (datum, ty) = self.env.binds.get(name)?;
                let nullable = datum == Datum::Null;
                Expr { nullable, ..Expr::constant(datum, ty) }
            }
            other => return Err(Failure::unsupported(format!("the literal {other}"))),
        })
    }
}

/// A numeric literal has the digits it is written with.
fn number(digits: &str) -> Result<Expr, Failure> {
    let (unscaled, scale) =
        DecimalText::parse(digits).and_then(|number| number.exact()).ok_or_else(|| {
            Failure::unsupported(format!("the literal {digits}, which is no NUMBER of 38 digits"))
        })?;
    Ok(Expr::constant(Datum::Number(unscaled), Ty::shaped(Shape::of(unscaled, scale))))
}

fn string(text: String) -> Expr {
    let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    Expr::constant(Datum::Text(text), Type::Varchar { length })
}
