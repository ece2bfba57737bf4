//! The PostgreSQL sink against a real server.

mod catalog;
mod chunks;
mod matrix;
mod merging;
mod prepare;
mod quarantine;
mod samples;
mod support;
mod values;
