//! Servers with certificates and rules of their own.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use migrate_core::Result;
use migrate_postgres::{Database, PostgresSettings, SslMode, sqlx};
use postgres_sandbox::{Server, ServerOptions, TestServer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority that signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("signs itself"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key for a host.
    fn sign(&self, host: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("signs");
        (certificate.pem(), key.serialize_pem())
    }
}

/// A private server and the files that belong to it.
pub(crate) struct World {
    pub(crate) server: Server,
    folder: TempDir,
}

impl World {
    /// A server whose certificate is for the host name `localhost`; 127.0.0.1 is another name for
    /// the same server.
    pub(crate) async fn with_tls(authority: &Authority, rules: &str) -> Self {
        let (certificate, key) = authority.sign("localhost");
        Self::start(rules, move |folder, options| {
            let [certificate, key] =
                [("server.crt", certificate), ("server.key", key)].map(|(name, content)| {
                    let path = folder.path().join(name);
                    std::fs::write(&path, content).expect("writes");
                    path
                });
            options.tls(certificate, key)
        })
        .await
    }

    pub(crate) async fn without_tls(rules: &str) -> Self {
        Self::start(rules, |_, options| options).await
    }

    async fn start(
        rules: &str,
        with: impl FnOnce(&TempDir, ServerOptions) -> ServerOptions,
    ) -> Self {
        let folder = TempDir::new().expect("folder");
        // The server may run as another user.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("opens");
        let file = folder.path().join("pg_hba.conf");
        std::fs::write(&file, rules).expect("writes");
        let options = ServerOptions::new().setting("hba_file", file.display().to_string());
        let options = with(&folder, options);
        let server = tokio::task::spawn_blocking(|| TestServer::private(options)).await;
        Self { server: server.expect("joins"), folder }
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("writes");
        path
    }

    pub(crate) fn settings(&self, host: &str, mode: SslMode) -> PostgresSettings {
        let mut settings = PostgresSettings::new(host, "postgres", "postgres");
        settings.port = self.server.port();
        settings.ssl_mode = mode;
        settings
    }
}

/// Whether the connections of these settings are encrypted.
pub(crate) async fn is_encrypted(settings: &PostgresSettings) -> Result<bool> {
    let database = Database::connect(settings, 1).await?;
    let encrypted = sqlx::query_scalar("select ssl from pg_stat_ssl where pid = pg_backend_pid()");
    Ok(encrypted.fetch_one(&mut *database.acquire().await?).await.expect("asks"))
}
