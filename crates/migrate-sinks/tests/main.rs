//! The PostgreSQL sink against a real server.

mod catalog;
mod chunks;
mod merging;
mod prepare;
mod support;
mod values;
