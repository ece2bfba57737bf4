//! How a connection is protected: the ways to try, and the authorities that are trusted.

use std::path::Path;

use migrate_core::{Error, ErrorKind, Result};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sqlx::postgres::PgSslMode;

use crate::error::sqlstate;
use crate::settings::SslMode;

/// `pg_hba.conf` refuses this host, user or kind of connection.
const REFUSED: &str = "28000";

/// The ways to connect, in libpq's order: the next one is tried where the one before is not wanted.
/// The driver takes its own `allow` for `disable` and never goes back from `prefer`.
pub(crate) fn ways(mode: SslMode) -> &'static [PgSslMode] {
    match mode {
        SslMode::Disable => &[PgSslMode::Disable],
        SslMode::Allow => &[PgSslMode::Disable, PgSslMode::Require],
        SslMode::Prefer => &[PgSslMode::Prefer, PgSslMode::Disable],
        SslMode::Require => &[PgSslMode::Require],
        SslMode::VerifyCa => &[PgSslMode::VerifyCa],
        SslMode::VerifyFull => &[PgSslMode::VerifyFull],
    }
}

/// Whether another way may be wanted where this one was not.
pub(crate) fn is_unwanted(cause: &sqlx::Error) -> bool {
    let handshake_failed = match cause {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(io) => {
            io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
        }
        _ => false,
    };
    handshake_failed || sqlstate(cause).as_deref() == Some(REFUSED)
}

/// The next step where `pg_hba.conf` refuses a connection without TLS, or whoever it is.
pub(crate) fn refusal_hint(way: PgSslMode, error: &Error) -> Option<&'static str> {
    let is_plain = matches!(way, PgSslMode::Disable);
    (is_plain && error.context("sqlstate") == Some(REFUSED)).then_some(
        "correct `postgres.user`; or, where the server takes no unencrypted connection, set \
         \"sslmode\": \"require\"; or add the host and user to pg_hba.conf",
    )
}

/// Reads the certificates of the authorities to trust, in PEM. The driver would take a file without
/// any for an empty list.
///
/// # Errors
///
/// `Config`, naming the file.
pub(crate) fn authorities(path: &Path) -> Result<Vec<u8>> {
    let refused = |what: &'static str| {
        Error::new(ErrorKind::Config, what).with("file", path.display()).with_hint(
            "set `postgres.sslrootcert` to a PEM file with the certificate of the server's \
             authority",
        )
    };
    let pem = std::fs::read(path).map_err(|cause| {
        refused("Cannot read the certificates of the authorities to trust").with_source(cause)
    })?;
    let mut found = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.ok().map(|certificate| found.add(certificate));
        if !matches!(added, Some(Ok(()))) {
            return Err(refused(
                "The file with the authorities to trust holds a broken certificate",
            ));
        }
    }
    if found.is_empty() {
        return Err(refused("The file with the authorities to trust holds no certificate"));
    }
    Ok(pem)
}
