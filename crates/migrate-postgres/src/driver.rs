//! Errors of the driver itself: the network, TLS, the protocol, the pool.

use std::io;

use migrate_core::{ErrorCode, ErrorKind};
use rustls::CertificateError;

type Verdict = (ErrorCode, &'static str);

/// What an error without a SQLSTATE means for the caller, and the next step.
pub(crate) fn verdict(cause: &sqlx::Error) -> Verdict {
    use sqlx::Error as E;
    let (kind, hint) = match cause {
        E::Io(io) => return tls_of(io).map_or_else(|| network(io), refused),
        E::Tls(tls) => {
            return match tls.downcast_ref::<rustls::Error>() {
                Some(tls) => refused(tls),
                None => (ErrorKind::Config.into(), NO_TLS),
            };
        }
        E::Configuration(_) | E::InvalidArgument(_) => {
            (ErrorKind::Config, "check the `postgres` block of the configuration")
        }
        E::Protocol(_) | E::BeginFailed => (
            ErrorKind::Connection,
            "check that the address is a PostgreSQL server of version 13 or newer, and the log of \
             a pooler before it",
        ),
        E::WorkerCrashed => (ErrorKind::Connection, "run again; report this if it happens twice"),
        // Every connection of this process is busy, or none could be made in time.
        E::PoolTimedOut => (
            ErrorKind::ResourceExhausted,
            "check that the server is up, and raise `postgres.connect_timeout_seconds`, or lower \
             `parallel_threads`",
        ),
        _ => (ErrorKind::Internal, "report this with the log of the run"),
    };
    (kind.into(), hint)
}

const NO_TLS: &str = "switch `ssl` on at the server, or, within a network that you trust, set \
                      \"sslmode\": \"prefer\"";

fn network(cause: &io::Error) -> Verdict {
    use io::ErrorKind as Io;
    let hint = match cause.kind() {
        Io::ConnectionRefused => "start the server, or correct `postgres.host` and `postgres.port`",
        Io::NotFound => "correct `postgres.host`: there is no such name or socket",
        Io::PermissionDenied => "let this user open the server's socket, or give a host name",
        Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof => {
            "the server or the network closed the connection; look into the server's log"
        }
        Io::TimedOut | Io::HostUnreachable | Io::NetworkUnreachable => {
            "check the network, and that no firewall drops the connection"
        }
        _ => "check `postgres.host`, the network and that the server is up",
    };
    (ErrorKind::Connection.into(), hint)
}

/// The driver reports a failed handshake as a failure of reading.
fn tls_of(cause: &io::Error) -> Option<&rustls::Error> {
    cause.get_ref()?.downcast_ref::<rustls::Error>()
}

/// The server's certificate is not what was asked for: it will not be another one next time.
fn refused(cause: &rustls::Error) -> Verdict {
    use CertificateError as C;
    let rustls::Error::InvalidCertificate(certificate) = cause else {
        return (
            ErrorKind::Connection.into(),
            "check the TLS settings of the server: it must offer TLS 1.2 or 1.3",
        );
    };
    let hint = match certificate {
        C::UnknownIssuer | C::BadSignature | C::InvalidPurpose => {
            "set `postgres.sslrootcert` to the certificate of the authority that signed the \
             server's certificate"
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            "set `postgres.host` to a name that the server's certificate is for, or have it issued \
             for this one"
        }
        C::Expired | C::ExpiredContext { .. } => "renew the server's certificate",
        C::NotValidYet | C::NotValidYetContext { .. } => {
            "set the clocks of both machines: the certificate is not valid yet"
        }
        C::Revoked => "have a new certificate issued for the server: this one is revoked",
        _ => {
            "have a certificate issued for the server that clients can check: X.509 version 3, \
              with its name among the alternative names"
        }
    };
    (ErrorKind::Auth.into(), hint)
}

#[cfg(test)]
mod tests {
    use migrate_core::Retry;

    use super::*;

    #[test]
    fn a_network_that_fails_is_tried_again() {
        use io::ErrorKind as Io;
        for kind in [
            Io::ConnectionRefused,
            Io::ConnectionReset,
            Io::ConnectionAborted,
            Io::BrokenPipe,
            Io::UnexpectedEof,
            Io::TimedOut,
            Io::HostUnreachable,
            Io::Other,
        ] {
            let (code, _) = verdict(&sqlx::Error::Io(kind.into()));
            assert_eq!(code.kind(), ErrorKind::Connection, "{kind}");
        }
    }

    #[test]
    fn a_certificate_that_is_refused_is_refused_for_good() {
        for certificate in [
            CertificateError::UnknownIssuer,
            CertificateError::NotValidForName,
            CertificateError::Expired,
            CertificateError::BadEncoding,
        ] {
            let tls = rustls::Error::InvalidCertificate(certificate.clone());
            let read = io::Error::new(io::ErrorKind::InvalidData, tls.clone());
            for cause in [sqlx::Error::Io(read), sqlx::Error::Tls(tls.into())] {
                let (code, _) = verdict(&cause);
                assert_eq!(code.kind(), ErrorKind::Auth, "{certificate:?}");
                assert_eq!(code.kind().retry(), Retry::Never);
            }
        }
    }

    #[test]
    fn what_the_driver_cannot_read_is_a_bug_and_what_the_pool_lacks_passes() {
        let kind = |cause| verdict(&cause).0.kind();
        assert_eq!(kind(sqlx::Error::RowNotFound), ErrorKind::Internal);
        assert_eq!(kind(sqlx::Error::PoolClosed), ErrorKind::Internal);
        assert_eq!(kind(sqlx::Error::ColumnNotFound("a".into())), ErrorKind::Internal);
        assert_eq!(kind(sqlx::Error::PoolTimedOut), ErrorKind::ResourceExhausted);
        assert_eq!(kind(sqlx::Error::Protocol("odd".into())), ErrorKind::Connection);
        assert_eq!(kind(sqlx::Error::WorkerCrashed), ErrorKind::Connection);
        assert_eq!(kind(sqlx::Error::Tls("none".into())), ErrorKind::Config);
    }
}
