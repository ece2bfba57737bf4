//! Every strategy over tables in memory: each row in one chunk, chunks of even size, counts that
//! are true.

mod choosing;
mod coverage;
mod nesting;
mod sizes;
mod support;
