//! The PostgreSQL sink against a real server.

mod catalog;
mod chunks;
mod prepare;
mod support;
mod values;
