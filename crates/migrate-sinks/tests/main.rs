//! The PostgreSQL sink against a real server.

mod catalog;
mod chunks;
mod json_tree;
mod matrix;
mod merging;
mod prepare;
mod quarantine;
mod replacing;
mod round_trips;
mod samples;
mod support;
mod values;
