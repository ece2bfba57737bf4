//! What users see of this crate: a file goes in, a configuration or a list of mistakes comes out.
#![cfg(test)]

mod connections;
mod examples;
mod fingerprint;
mod inheritance;
mod mistakes;
mod readme;
mod secrets;
mod selection;
mod support;
mod tables;
