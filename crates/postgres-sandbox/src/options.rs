//! How a server is set up.

use std::path::PathBuf;

/// Options of a server; [`ServerOptions::new`] suits tests.
///
/// ```
/// use postgres_sandbox::ServerOptions;
///
/// let for_a_benchmark = ServerOptions::new()
///     .durable(true)
///     .setting("shared_buffers", "512MB")
///     .setting("max_wal_size", "4GB");
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ServerOptions {
    pub(crate) is_durable: bool,
    pub(crate) is_kept: bool,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) parent: Option<PathBuf>,
    pub(crate) tls: Option<TlsFiles>,
}

/// Certificate and key of the server, in PEM form.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl ServerOptions {
    /// A server for tests: not durable, without TLS, in the folder for temporary files, with
    /// PostgreSQL's defaults otherwise. Its time zone is UTC and its locale `C`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a loss of power must not lose data. Default: no, which switches `fsync`,
    /// `synchronous_commit` and `full_page_writes` off. A killed server loses nothing either way.
    /// Benchmarks say yes.
    pub fn durable(mut self, is_durable: bool) -> Self {
        self.is_durable = is_durable;
        self
    }

    /// Adds a setting of `postgresql.conf`; a later one wins over an earlier one and over those
    /// of this crate. Sizes and times take PostgreSQL's units, such as `512MB` and `30s`.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The folder that the server's private folder is made in. Default: `TMPDIR` or `/tmp`. When
    /// root starts the server, the account that runs it must be able to reach the folder; where it
    /// may not write, a killed program leaves an empty folder, which the next start removes.
    pub fn parent_folder(mut self, parent: impl Into<PathBuf>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// Switches TLS on with copies of these PEM files. Default: off. Clients choose by `sslmode`.
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some(TlsFiles { certificate: certificate.into(), key: key.into() });
        self
    }

    /// Whether the folder with data and log stays when the server has ended. Default: no.
    pub fn keep(mut self, is_kept: bool) -> Self {
        self.is_kept = is_kept;
        self
    }
}
