//! The protocol, proved with the real client crate, and with bare HTTP where the client never goes.

#[cfg(test)]
mod aborts;
#[cfg(test)]
mod chunks;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod history;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod results;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod travel;
