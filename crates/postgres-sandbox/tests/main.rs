//! Runs real servers; without one that can be found or fetched these tests fail.

// The attribute is always true here; it tells clippy that helpers are test code as well.
#[cfg(test)]
mod cases;
