//! The RSA key of a Snowflake user: found, put into shape, and really decoded.
//!
//! A key that a login would refuse is refused here, with the reason and the command that mends it.
//! No message carries a part of the key, of the passphrase, or of a path, which may have come from
//! the environment as well.

use std::fs;
use std::io;
use std::path::Path;

use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode, SecretDocument, Tag};
use pkcs8::{EncryptedPrivateKeyInfo, LineEnding, ObjectIdentifier, PrivateKeyInfo, pkcs5};
use rsa::RsaPrivateKey;
use rsa::pkcs1;
use rsa::traits::PublicKeyParts;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;
use thiserror::Error;

use crate::secret::Secret;

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// Snowflake refuses shorter keys ("Key-pair authentication", Snowflake documentation).
const SHORTEST_BITS: usize = 2048;

/// A key that decodes.
#[derive(Debug)]
pub(crate) struct PrivateKey {
    /// PKCS#8 PEM, encrypted if there is a passphrase.
    pub(crate) pem: Secret,
    pub(crate) passphrase: Option<Secret>,
    pub(crate) remarks: Vec<Remark>,
}

/// Something that does not stop a login, or not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Remark {
    #[error("The key is not encrypted, so its passphrase is not used")]
    PassphraseUnused,
    #[error("The RSA key is shorter than 2048 bits")]
    Short,
}

impl Remark {
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::PassphraseUnused => "remove \"rsa_key_passphrase\"",
            Self::Short => "make a new key: openssl genrsa 2048 | openssl pkcs8 -topk8 -out key.p8",
        }
    }
}

/// Why a value is no usable key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Problem {
    #[error("The file with the RSA key does not exist")]
    FileMissing,
    #[error("The file with the RSA key cannot be read ({0})")]
    FileUnreadable(io::ErrorKind),
    #[error("The value is neither the path of a file nor a private key")]
    NotAKey,
    #[error("The RSA key is cut off or damaged")]
    Damaged,
    #[error("The RSA key is encrypted and no passphrase is given")]
    PassphraseMissing,
    #[error("The passphrase does not fit the RSA key")]
    PassphraseWrong,
    #[error("The RSA key is encrypted in a way that is not supported")]
    UnsupportedEncryption,
    #[error("The RSA key is in PKCS#1 form (BEGIN RSA PRIVATE KEY), Snowflake wants PKCS#8")]
    Pkcs1,
    #[error("This is an OpenSSH key, Snowflake wants PKCS#8")]
    OpenSsh,
    #[error("This is a public key, the private one is needed")]
    PublicKey,
    #[error("This is a certificate, the private key is needed")]
    Certificate,
    #[error("This is an elliptic-curve key, Snowflake wants RSA")]
    EllipticCurve,
    #[error("This is not an RSA key, and Snowflake wants RSA")]
    OtherAlgorithm,
    #[error("The RSA key is longer than 4096 bits, which is not supported")]
    TooLong,
}

impl Problem {
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::FileMissing => {
                "check the path; it is relative to the folder the program starts in, and ~ is not \
                 expanded"
            }
            Self::FileUnreadable(_) => "check the file's access rights",
            Self::NotAKey => "give the path of a .p8 file, or its content with BEGIN PRIVATE KEY",
            Self::Damaged => {
                "copy the whole file, from BEGIN to END; in a .env file put it in double quotes"
            }
            Self::PassphraseMissing => {
                "set \"rsa_key_passphrase\": \"${SNOWFLAKE_RSA_KEY_PASSPHRASE}\""
            }
            Self::PassphraseWrong => {
                "try it with: openssl pkey -in key.p8 -noout; then set \"rsa_key_passphrase\""
            }
            Self::UnsupportedEncryption => {
                "encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.p8 -out new.p8"
            }
            Self::Pkcs1 => "convert it: openssl pkcs8 -topk8 -nocrypt -in key.pem -out key.p8",
            Self::OpenSsh => {
                "convert a copy: ssh-keygen -p -N '' -m PKCS8 -f copy-of-key; it must be an RSA key"
            }
            Self::PublicKey | Self::Certificate => {
                "give the file that openssl genrsa made, with BEGIN PRIVATE KEY"
            }
            Self::EllipticCurve | Self::OtherAlgorithm => {
                "make an RSA key: openssl genrsa 2048 | openssl pkcs8 -topk8 -nocrypt -out key.p8"
            }
            Self::TooLong => {
                "make a shorter key: openssl genrsa 4096 | openssl pkcs8 -topk8 -nocrypt -out key.p8"
            }
        }
    }
}

/// Reads a key from a path or from its own text, and decodes it.
pub(crate) fn read(value: &str, passphrase: Option<&Secret>) -> Result<PrivateKey, Problem> {
    let text = text_of(value)?;
    let document = match Block::find(&text)? {
        Some(block) => block.decode()?,
        None => decode_bare(&text)?,
    };
    decode(&document, passphrase)
}

/// The content of the file that `value` names, or `value` itself; literal `\n` pairs, which single
/// lines carry for line breaks, are line breaks.
fn text_of(value: &str) -> Result<Zeroizing<String>, Problem> {
    let is_content = value.contains("-----BEGIN") || is_key_body(value);
    let text = if !is_content && Path::new(value).exists() {
        let file = fs::read(value).map(Zeroizing::new);
        let bytes = file.map_err(|error| Problem::FileUnreadable(error.kind()))?;
        let text = std::str::from_utf8(&bytes).map_err(|_binary| Problem::NotAKey)?;
        Zeroizing::new(text.replace("\\n", "\n"))
    } else if !is_content && looks_like_a_path(value) {
        return Err(Problem::FileMissing);
    } else {
        Zeroizing::new(value.replace("\\n", "\n"))
    };
    Ok(text)
}

fn looks_like_a_path(value: &str) -> bool {
    let extension = Path::new(value).extension().unwrap_or_default();
    value.contains(['/', '\\'])
        || ["pem", "p8", "key"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Base64 has slashes too: what starts like a long DER sequence and is all base64 is no path.
fn is_key_body(value: &str) -> bool {
    const SHORTEST: usize = 64;
    value.starts_with("MI") && value.len() >= SHORTEST && is_base64(&value.replace("\\n", ""))
}

fn is_base64(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c) || c.is_whitespace();
    text.chars().all(is_digit)
}

/// One block between `BEGIN` and `END`; other text around it, such as bag attributes, is ignored.
struct Block<'t> {
    label: &'t str,
    body: &'t str,
}

impl<'t> Block<'t> {
    /// The first block with a private key, or else the first block.
    fn find(text: &'t str) -> Result<Option<Self>, Problem> {
        let mut first = None;
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("-----BEGIN ") {
            let (label, after) = after.split_once("-----").ok_or(Problem::Damaged)?;
            let (body, after) = after.split_once("-----END ").ok_or(Problem::Damaged)?;
            rest = after;
            let block = Self { label, body };
            if label.ends_with(PLAIN) {
                return Ok(Some(block));
            }
            first.get_or_insert(block);
        }
        Ok(first)
    }

    fn decode(&self) -> Result<SecretDocument, Problem> {
        match self.label {
            PLAIN | ENCRYPTED => decode_base64(self.body),
            "RSA PRIVATE KEY" => Err(Problem::Pkcs1),
            "EC PRIVATE KEY" | "EC PARAMETERS" => Err(Problem::EllipticCurve),
            "OPENSSH PRIVATE KEY" => Err(Problem::OpenSsh),
            label if label.ends_with("PUBLIC KEY") => Err(Problem::PublicKey),
            label if label.ends_with("CERTIFICATE") => Err(Problem::Certificate),
            label if label.ends_with(PLAIN) => Err(Problem::OtherAlgorithm),
            _ => Err(Problem::NotAKey),
        }
    }
}

/// The body without its BEGIN and END lines.
fn decode_bare(text: &str) -> Result<SecretDocument, Problem> {
    if !is_key_body(text.trim()) {
        return Err(Problem::NotAKey);
    }
    let document = decode_base64(text)?;
    let der = document.as_bytes();
    if pkcs1::RsaPrivateKey::from_der(der).is_ok() {
        return Err(Problem::Pkcs1);
    }
    if pkcs8::SubjectPublicKeyInfoRef::from_der(der).is_ok() {
        return Err(Problem::PublicKey);
    }
    Ok(document)
}

fn decode_base64(body: &str) -> Result<SecretDocument, Problem> {
    let pem = wrap(body, PLAIN);
    SecretDocument::from_pem(&pem)
        .map(|(_, document)| document)
        .map_err(|_damaged| Problem::Damaged)
}

/// PEM with lines of 64 characters: editors and `.env` files join and break lines at will.
fn wrap(body: &str, label: &str) -> Zeroizing<String> {
    const WIDTH: usize = 64;
    let mut pem = Zeroizing::new(format!("-----BEGIN {label}-----"));
    for (index, c) in body.chars().filter(|c| !c.is_whitespace()).enumerate() {
        if index % WIDTH == 0 {
            pem.push('\n');
        }
        pem.push(c);
    }
    for part in ["\n-----END ", label, "-----\n"] {
        pem.push_str(part);
    }
    pem
}

fn decode(document: &SecretDocument, passphrase: Option<&Secret>) -> Result<PrivateKey, Problem> {
    let mut remarks = Vec::new();
    let der = document.as_bytes();
    let label = if is_encrypted(der)? {
        let passphrase = passphrase.ok_or(Problem::PassphraseMissing)?;
        check_encrypted(der, passphrase, &mut remarks)?;
        ENCRYPTED
    } else {
        check(der, &mut remarks)?;
        if passphrase.is_some() {
            remarks.push(Remark::PassphraseUnused);
        }
        PLAIN
    };
    let pem = document.to_pem(label, LineEnding::LF).map_err(|_unlikely| Problem::Damaged)?;
    let passphrase = passphrase.filter(|_| label == ENCRYPTED).cloned();
    Ok(PrivateKey { pem: Secret::from(pem.as_str()), passphrase, remarks })
}

/// A plain key starts with its version, an encrypted one with the algorithm, which is a sequence.
fn is_encrypted(der: &[u8]) -> Result<bool, Problem> {
    let outer = AnyRef::from_der(der).map_err(|_damaged| Problem::Damaged)?;
    Ok(outer.value().first() == Some(&Tag::Sequence.octet()))
}

fn check_encrypted(
    der: &[u8],
    passphrase: &Secret,
    remarks: &mut Vec<Remark>,
) -> Result<(), Problem> {
    let encrypted = EncryptedPrivateKeyInfo::from_der(der)
        .map_err(|_unknown_algorithm| Problem::UnsupportedEncryption)?;
    let plain = encrypted.decrypt(passphrase.expose_secret()).map_err(decryption_problem)?;
    check(plain.as_bytes(), remarks)
}

fn decryption_problem(error: pkcs8::Error) -> Problem {
    match error {
        pkcs8::Error::EncryptedPrivateKey(
            pkcs5::Error::UnsupportedAlgorithm { .. }
            | pkcs5::Error::NoPbes1CryptSupport
            | pkcs5::Error::AlgorithmParametersInvalid { .. },
        ) => Problem::UnsupportedEncryption,
        // One wrong passphrase in some hundred leaves a valid padding, and then no DER behind it.
        _ => Problem::PassphraseWrong,
    }
}

/// Whether the bytes are a PKCS#8 RSA key.
fn check(der: &[u8], remarks: &mut Vec<Remark>) -> Result<(), Problem> {
    const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const LONGEST_BITS: usize = 4096;

    let info = PrivateKeyInfo::from_der(der).map_err(|_damaged| Problem::Damaged)?;
    match info.algorithm.oid {
        pkcs1::ALGORITHM_OID => {}
        EC => return Err(Problem::EllipticCurve),
        _ => return Err(Problem::OtherAlgorithm),
    }
    let parts =
        pkcs1::RsaPrivateKey::from_der(info.private_key).map_err(|_damaged| Problem::Damaged)?;
    if parts.modulus.as_bytes().len() > LONGEST_BITS / 8 {
        return Err(Problem::TooLong);
    }
    let key = RsaPrivateKey::try_from(info).map_err(|_damaged| Problem::Damaged)?;
    if key.n().bits() < SHORTEST_BITS {
        remarks.push(Remark::Short);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
