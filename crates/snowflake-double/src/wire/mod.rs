//! What goes over the wire: cells, rows, column metadata.

mod cell;
pub(crate) mod json;
mod rowset;
mod rowtype;

pub(crate) use cell::hex;
pub(crate) use rowset::{Layout, RowWriter};
pub(crate) use rowtype::rowtype;
