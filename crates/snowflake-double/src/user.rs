//! Users and how they prove who they are.

use std::fmt;

use crate::error::Error;
use crate::jwt::{PublicKey, Refusal};

/// A user of the account.
#[derive(Debug, Clone)]
pub struct User {
    name: String,
    proof: Proof,
}

#[derive(Clone)]
enum Proof {
    Key(String),
    Password(String),
    OAuth(String),
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(_) => f.write_str("Key(***)"),
            Self::Password(_) => f.write_str("Password(***)"),
            Self::OAuth(_) => f.write_str("OAuth(***)"),
        }
    }
}

impl User {
    /// A user with an RSA key pair; `public_key` is PEM, with or without its first and last line.
    pub fn key_pair(name: impl Into<String>, public_key: impl Into<String>) -> Self {
        Self { name: name.into(), proof: Proof::Key(public_key.into()) }
    }

    /// A user with a password, or with a programmatic access token in its place.
    pub fn password(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { name: name.into(), proof: Proof::Password(password.into()) }
    }

    /// A user with an OAuth token.
    pub fn oauth(name: impl Into<String>, token: impl Into<String>) -> Self {
        Self { name: name.into(), proof: Proof::OAuth(token.into()) }
    }

    /// Checks the proof itself.
    pub(crate) fn prepare(self) -> Result<PreparedUser, Error> {
        let name = self.name.to_uppercase();
        let proof = match self.proof {
            Proof::Key(pem) => match PublicKey::parse(&pem) {
                Ok(key) => PreparedProof::Key(Box::new(key)),
                Err(source) => return Err(Error::PublicKey { user: name, source }),
            },
            Proof::Password(password) => PreparedProof::Password(password),
            Proof::OAuth(token) => PreparedProof::OAuth(token),
        };
        Ok(PreparedUser { name, proof })
    }
}

/// A user whose proof can be checked.
#[derive(Debug)]
pub(crate) struct PreparedUser {
    /// Upper case.
    pub(crate) name: String,
    proof: PreparedProof,
}

enum PreparedProof {
    Key(Box<PublicKey>),
    Password(String),
    OAuth(String),
}

impl fmt::Debug for PreparedProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a login presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented<'a> {
    Password(&'a str),
    Jwt(&'a str),
    OAuth(&'a str),
}

impl PreparedUser {
    /// Whether the proof holds, for an account at a time in seconds.
    pub(crate) fn accepts(
        &self,
        presented: Presented<'_>,
        account: &str,
        now: i64,
    ) -> Result<(), Refusal> {
        match (&self.proof, presented) {
            (PreparedProof::Key(key), Presented::Jwt(token)) => {
                key.verify(token, account, &self.name, now)
            }
            (PreparedProof::Password(password), Presented::Password(given)) => {
                if password == given { Ok(()) } else { Err(Refusal::new("wrong password")) }
            }
            (PreparedProof::OAuth(token), Presented::OAuth(given)) => {
                if token == given {
                    Ok(())
                } else {
                    Err(Refusal::new("wrong token"))
                }
            }
            _ => Err(Refusal::new("the user has another kind of proof")),
        }
    }
}
