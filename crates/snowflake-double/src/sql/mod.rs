//! The statements that a double understands, and their evaluation.
//!
//! A statement is parsed with `sqlparser`, bound to typed expressions, and evaluated a column at a
//! time. What is not understood is refused by name; nothing is approximated.

mod aggregate;
mod binder;
mod binds;
mod cancel;
mod cast;
mod compare;
mod data_type;
mod env;
mod eval;
mod expr;
mod failure;
mod from;
mod function;
mod join;
mod metadata;
mod output;
mod parameters;
mod projection;
mod query;
mod result;
mod scope;
mod select;
mod statement;
mod text;
mod ty;
mod window;

#[cfg(test)]
mod tests;

pub(crate) use binds::Binds;
pub(crate) use cancel::Cancel;
pub(crate) use env::{Account, Env, HistoryEntry, HistoryState, Results, SessionState};
pub(crate) use failure::Failure;
pub(crate) use parameters::{KNOWN as KNOWN_PARAMETERS, default as default_parameter};
pub(crate) use result::{Change, Field, Outcome, ResultSet, StatementType};
pub(crate) use statement::execute;
#[cfg(test)]
pub(crate) use {
    compare::{KeyMaker, Order},
    function::text::matches as like,
    ty::Ty,
};
