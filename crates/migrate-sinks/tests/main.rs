//! The PostgreSQL sink against a real server.

mod arrays;
mod catalog;
mod chunks;
mod conformance;
mod domains;
mod json_tree;
mod matrix;
mod merging;
mod names;
mod policies;
mod prepare;
mod quarantine;
mod random_values;
mod replacing;
mod round_trips;
mod samples;
mod support;
mod twins;
mod values;
mod watermark_digits;
