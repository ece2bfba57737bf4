//! Scalar functions, by theme. Each theme knows its names; what none knows is refused by name.

pub(crate) mod arithmetic;
mod conditional;
mod conversion;
pub(crate) mod datetime;
mod hash;
mod rounding;
mod session;
mod slice;
pub(crate) mod text;

use super::binder::{Binder, FunctionCall};
use super::expr::Expr;
use super::failure::Failure;

/// Binds a call of a scalar function.
pub(crate) fn bind(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    type Theme = fn(&FunctionCall<'_, '_>) -> Result<Option<Expr>, Failure>;
    let themes: [Theme; 8] = [
        text::bind,
        slice::bind,
        rounding::bind,
        conditional::bind,
        conversion::bind,
        datetime::bind,
        hash::bind,
        session::bind,
    ];
    for theme in themes {
        if let Some(bound) = theme(call)? {
            return Ok(bound);
        }
    }
    Err(Failure::unsupported(format!("the function {}", call.name)))
}

impl Binder<'_> {
    /// Functions that are called without brackets, such as `CURRENT_USER`.
    pub(crate) fn bind_constant_name(&self, name: &str) -> Result<Option<Expr>, Failure> {
        if !matches!(
            name,
            "CURRENT_USER"
                | "CURRENT_DATE"
                | "CURRENT_TIME"
                | "CURRENT_TIMESTAMP"
                | "LOCALTIME"
                | "LOCALTIMESTAMP"
        ) {
            return Ok(None);
        }
        bind(&FunctionCall { binder: self, name: name.to_owned(), raw: Vec::new() }).map(Some)
    }
}
