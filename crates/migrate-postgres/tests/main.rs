//! Connections to real servers: how they are protected, and what becomes of them when a server is in
//! trouble.

mod support;
mod tls;
mod trouble;
