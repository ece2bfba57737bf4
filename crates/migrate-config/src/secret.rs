//! A text that never shows itself.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

use crate::issue::MASK;

/// A [`SecretString`] that prints and serializes as `***`, so that a configuration can be dumped.
///
/// ```
/// use migrate_config::Secret;
/// use secrecy::ExposeSecret;
///
/// let password = Secret::from("hunter2");
/// assert_eq!(format!("{password:?}"), "***");
/// assert_eq!(password.expose_secret(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret for a client that takes a [`SecretString`].
    pub fn as_secret_string(&self) -> &SecretString {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<Secret> for SecretString {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

impl ExposeSecret<str> for Secret {
    fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// Whether a key, by its name, holds a secret. Decides for free-form options, whose keys this crate
/// does not know.
pub(crate) fn is_secret_key(key: &str) -> bool {
    const MARKS: [&str; 9] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credential",
        "privatekey",
        "accesskey",
        "apikey",
    ];
    let plain: String =
        key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    MARKS.iter().any(|mark| plain.contains(mark))
}

/// Whether a text names somebody with a password, as addresses can: `postgres://me:secret@host/db`,
/// `me:secret@host`. Such a text is not shown, at whatever key it stands.
pub(crate) fn holds_login(text: &str) -> bool {
    text.split_whitespace().filter_map(|word| word.rsplit_once('@')).any(|(before, _)| {
        let (_, login) = before.split_once("://").unwrap_or(("", before));
        login.contains(':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_serialization_shows_it() {
        let secret = Secret::from("canary");
        assert_eq!(format!("{:?}", Some(&secret)), "Some(***)");
        assert_eq!(serde_json::to_string(&secret).expect("serializes"), "\"***\"");
    }

    #[test]
    fn logins_are_known_by_their_form() {
        let known = ["postgres://me:x@h/d", "me:x@h", "see https://u:p@ss@host/x", "a://:x@h"];
        for text in known {
            assert!(holds_login(text), "{text}");
        }
        for text in ["me@example.com", "postgres://me@h:5432/d", "h:5432", "https://h/x", "a: b@c"]
        {
            assert!(!holds_login(text), "{text}");
        }
    }

    #[test]
    fn secret_keys_are_known_by_their_names() {
        for key in ["password", "db_password", "Secret-Key", "apiKey", "refresh_token"] {
            assert!(is_secret_key(key), "{key}");
        }
        for key in ["path", "region", "key_columns"] {
            assert!(!is_secret_key(key), "{key}");
        }
    }
}
