//! Key pair logins: signed tokens, verified as the service does.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::RsaPublicKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use rsa::signature::Verifier as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// Longest life of a token, in seconds.
const LONGEST_LIFE: i64 = 3_600;
/// How far a client's clock may run ahead, in seconds.
const CLOCK_SKEW: i64 = 60;

/// Why a proof was refused; for the log, not for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: &'static str,
}

impl Refusal {
    pub(crate) const fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}

/// An RSA public key and its fingerprint.
#[derive(Debug)]
pub(crate) struct PublicKey {
    key: VerifyingKey<Sha256>,
    /// `SHA256:` and the digest of the key in base64.
    fingerprint: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    iat: i64,
    exp: i64,
}

impl PublicKey {
    /// Reads PEM, with or without its first and last line.
    pub(crate) fn parse(pem: &str) -> Result<Self, rsa::pkcs8::spki::Error> {
        let key = if pem.contains("-----BEGIN") {
            RsaPublicKey::from_public_key_pem(pem)?
        } else {
            let body: String = pem.chars().filter(|letter| !letter.is_whitespace()).collect();
            // Bytes that are no base64 are no key either.
            let der = STANDARD.decode(body).unwrap_or_default();
            RsaPublicKey::from_public_key_der(&der)?
        };
        let digest = Sha256::digest(key.to_public_key_der()?.as_bytes());
        let fingerprint = format!("SHA256:{}", STANDARD.encode(digest));
        Ok(Self { key: VerifyingKey::new(key), fingerprint })
    }

    /// Checks signature, issuer, subject and times of a token.
    pub(crate) fn verify(
        &self,
        token: &str,
        account: &str,
        user: &str,
        now: i64,
    ) -> Result<(), Refusal> {
        let refuse = Refusal::new;
        let (signed, signature) = token.rsplit_once('.').ok_or(refuse("it has not three parts"))?;
        let (header, claims) = signed.split_once('.').ok_or(refuse("it has not three parts"))?;
        let header: Header = decode(header).ok_or(refuse("its header cannot be read"))?;
        let claims: Claims = decode(claims).ok_or(refuse("its claims cannot be read"))?;
        if header.alg != "RS256" {
            return Err(refuse("it is not signed with RS256"));
        }
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .ok()
            .and_then(|bytes| Signature::try_from(bytes.as_slice()).ok())
            .ok_or(refuse("its signature cannot be read"))?;
        self.key
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| refuse("its signature does not fit the key"))?;
        let subject = format!("{account}.{user}");
        if claims.sub != subject {
            return Err(refuse("its subject is another user"));
        }
        if claims.iss != format!("{subject}.{}", self.fingerprint) {
            return Err(refuse("its issuer is another user or key"));
        }
        if claims.exp <= now {
            return Err(refuse("it has expired"));
        }
        if claims.iat > now + CLOCK_SKEW {
            return Err(refuse("it was issued in the future"));
        }
        if claims.exp - claims.iat > LONGEST_LIFE {
            return Err(refuse("it lives longer than an hour"));
        }
        Ok(())
    }
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use rsa::pkcs1v15::SigningKey;
    use rsa::pkcs8::DecodePrivateKey as _;
    use rsa::signature::{SignatureEncoding as _, Signer as _};
    use serde_json::json;

    use super::*;

    const PRIVATE: &str = include_str!("../tests/keys/plain.p8");
    const PUBLIC: &str = include_str!("../tests/keys/plain.pub");

    fn token(claims: &serde_json::Value) -> String {
        let key = rsa::RsaPrivateKey::from_pkcs8_pem(PRIVATE).unwrap();
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"typ": "JWT", "alg": "RS256"});
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = SigningKey::<Sha256>::new(key).sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    #[test]
    fn a_token_must_be_right_in_every_part() {
        let key = PublicKey::parse(PUBLIC).unwrap();
        let issuer = format!("ACME.MOVER.{}", key.fingerprint);
        let claims = |iss: &str, sub: &str, iat: i64, exp: i64| {
            token(&json!({"iss": iss, "sub": sub, "iat": iat, "exp": exp}))
        };
        let verify = |token: &str| {
            key.verify(token, "ACME", "MOVER", 1_000).map_err(|refusal| refusal.reason)
        };
        let good = claims(&issuer, "ACME.MOVER", 1_000, 1_600);
        assert_eq!(verify(&good), Ok(()));
        for (token, part) in [
            (claims(&issuer, "ACME.OTHER", 1_000, 1_600), "subject"),
            (claims("ACME.MOVER.SHA256:x", "ACME.MOVER", 1_000, 1_600), "issuer"),
            (claims(&issuer, "ACME.MOVER", 0, 1_000), "expired"),
            (claims(&issuer, "ACME.MOVER", 2_000, 2_600), "future"),
            (claims(&issuer, "ACME.MOVER", 1_000, 9_000), "longer"),
            (good.replacen("ey", "e3", 1), "header"),
            (format!("{}x", &good[..good.len() - 1]), "signature"),
            ("abc".to_owned(), "three parts"),
        ] {
            let reason = verify(&token).unwrap_err();
            assert!(reason.contains(part), "{part}: {reason}");
        }
    }

    #[test]
    fn keys_are_read_with_and_without_their_frame() {
        let body: String =
            PUBLIC.lines().filter(|line| !line.starts_with("-----")).collect::<Vec<_>>().join("\n");
        let framed = PublicKey::parse(PUBLIC).unwrap();
        assert_eq!(PublicKey::parse(&body).unwrap().fingerprint, framed.fingerprint);
        assert!(PublicKey::parse("nonsense").is_err());
    }
}
