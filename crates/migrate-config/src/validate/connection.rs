//! The blocks `snowflake`, `postgres`, `target` and `status`.

use std::path::PathBuf;

use crate::defaults;
use crate::options::Options;
use crate::private_key;
use crate::reader::{Item, Reader};
use crate::secret::Secret;
use crate::settings::{Connector, PostgresSettings, SnowflakeAuth, SnowflakeSettings, SslMode};
use crate::validate::limits::{number, seconds};
use crate::validate::unknown::{self, Place};

/// Snowflake's largest `STATEMENT_TIMEOUT_IN_SECONDS` ("Parameters", Snowflake documentation).
const LONGEST_STATEMENT: u64 = 604_800;

const LONGEST_WAIT: u64 = 3600;

/// What `target` or `status` asks for.
pub(super) fn connector(root: &Reader<'_>, key: &'static str) -> Connector {
    let Some(reader) = root.take_object(key) else { return Connector::Postgres };
    let name = reader.take("type").and_then(|item| item.text());
    match name {
        Some(name) if name != "postgres" => {
            Connector::Registered { name, options: reader.into_options() }
        }
        _ => {
            reader.finish(unknown::hint(Place::Connector));
            Connector::Postgres
        }
    }
}

/// A block that must be there if it is `needed`; else only its keys are checked.
fn block<'d>(
    root: &Reader<'d>,
    key: &'static str,
    needed: bool,
    example: &str,
) -> Option<Reader<'d>> {
    if needed {
        return root.require_object(key, example);
    }
    let mut reader = root.take_object(key)?;
    reader.disable();
    Some(reader)
}

/// The block `snowflake`.
pub(super) fn snowflake(root: &Reader<'_>, needed: bool) -> Option<SnowflakeSettings> {
    let example = "{\"account\": …, \"user\": …, \"warehouse\": …, \"rsa_key\": …}";
    let reader = block(root, "snowflake", needed, example)?;
    let account = reader.require("account", "\"${SNOWFLAKE_ACCOUNT}\"").and_then(|i| account(&i));
    let user = reader.require("user", "\"${SNOWFLAKE_USER}\"").and_then(|item| item.text());
    let warehouse =
        reader.require("warehouse", "\"${SNOWFLAKE_WAREHOUSE}\"").and_then(|item| item.text());
    let auth = auth(&reader);
    let base_url = reader.take("base_url").and_then(|item| base_url(&item));
    let role = reader.take("role").and_then(|item| item.text());
    let session_parameters = reader.take("session_parameters").map(|item| parameters(&item));
    let login_timeout = seconds(&reader, "login_timeout_seconds", 1..=LONGEST_WAIT);
    let statement_timeout = seconds(&reader, "statement_timeout_seconds", 1..=LONGEST_STATEMENT);
    let partition_timeout = seconds(&reader, "partition_timeout_seconds", 1..=LONGEST_WAIT);
    reader.finish(unknown::hint(Place::Snowflake));
    if !needed {
        return None;
    }
    Some(SnowflakeSettings {
        account: account?,
        user: user?,
        warehouse: warehouse?,
        role,
        auth: auth?,
        base_url,
        session_parameters: session_parameters.unwrap_or_default(),
        login_timeout: login_timeout.unwrap_or(defaults::LOGIN_TIMEOUT),
        statement_timeout: statement_timeout.unwrap_or(defaults::STATEMENT_TIMEOUT),
        partition_timeout: partition_timeout.unwrap_or(defaults::PARTITION_TIMEOUT),
    })
}

fn account(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if !is_plain || text.ends_with(".snowflakecomputing.com") {
        item.error(
            "This is no account identifier",
            "write what stands before .snowflakecomputing.com, such as myaccount.us-east-1",
        );
        return None;
    }
    Some(text)
}

/// Exactly one of the three ways to log in.
fn auth(reader: &Reader<'_>) -> Option<SnowflakeAuth> {
    const WAYS: [&str; 3] = ["rsa_key", "password", "oauth_token"];
    let passphrase = reader.take_secret("rsa_key_passphrase");
    let taken = WAYS.map(|key| reader.take_secret(key).map(|item| (key, item)));
    let mut given = taken.into_iter().flatten();
    let is_broken = WAYS.iter().any(|key| reader.is_broken(key));
    let Some((way, item)) = given.next() else {
        if !is_broken {
            let hint = "add \"rsa_key\": \"${SNOWFLAKE_RSA_KEY}\", or password, or oauth_token";
            reader.at("rsa_key").error("There is no way to log in", None, hint);
        }
        return None;
    };
    for (other, item) in given {
        let hint = format!("remove \"{way}\" or \"{other}\"");
        item.error(format!("There is more than one way to log in: \"{way}\" and this one"), hint);
    }
    if let Some(unused) = passphrase.as_ref().filter(|_| way != "rsa_key") {
        let hint = "remove it, it belongs to \"rsa_key\"";
        unused.spot().warning("The passphrase is not used", hint);
    }
    match way {
        "rsa_key" if reader.is_broken("rsa_key_passphrase") => None,
        "rsa_key" => key_pair(&item, passphrase.as_ref()),
        "password" => item.secret().map(SnowflakeAuth::Password),
        _ => item.secret().map(SnowflakeAuth::OauthToken),
    }
}

fn key_pair(item: &Item<'_>, passphrase: Option<&Item<'_>>) -> Option<SnowflakeAuth> {
    use private_key::{Problem, Remark};

    let value = item.text()?;
    let secret = match passphrase {
        Some(passphrase) => Some(passphrase.secret()?),
        None => None,
    };
    let at_passphrase = passphrase.unwrap_or(item);
    match private_key::read(&value, secret.as_ref()) {
        Ok(key) => {
            for remark in key.remarks {
                let item = if remark == Remark::PassphraseUnused { at_passphrase } else { item };
                item.spot().warning(remark.to_string(), remark.hint());
            }
            Some(SnowflakeAuth::KeyPair { private_key: key.pem, passphrase: key.passphrase })
        }
        Err(problem) => {
            let item = if problem == Problem::PassphraseWrong { at_passphrase } else { item };
            item.error(problem.to_string(), problem.hint());
            None
        }
    }
}

/// `http` or `https`, host and port; anything more could carry a secret into logs.
fn base_url(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let url = text.trim_end_matches('/');
    let (scheme, authority) = url.split_once("://").unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    let host_fits = !host.is_empty() && host.chars().all(is_host);
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok());
    if !matches!(scheme, "http" | "https") || !host_fits || !port_fits {
        item.error(
            "Expected http or https, a host and perhaps a port",
            "write for example \"https://myaccount.us-east-1.snowflakecomputing.com\", without \
             user, path and query",
        );
        return None;
    }
    let is_local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    if scheme == "http" && !is_local {
        item.spot().warning("Credentials travel unencrypted over http", "use https");
    }
    Some(url.to_owned())
}

fn parameters(item: &Item<'_>) -> Options {
    let mut options = Options::default();
    for (key, item) in item.entries().unwrap_or_default() {
        let is_name = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if key.is_empty() || !is_name {
            let hint = "use a name from Snowflake's list of parameters, such as QUERY_TAG";
            item.error("This is no name of a session parameter", hint);
        } else if let Some((value, shown)) = item.scalar() {
            options.insert(key, value, shown);
        }
    }
    options
}

/// The block `postgres`.
pub(super) fn postgres(root: &Reader<'_>, needed: bool) -> Option<PostgresSettings> {
    let reader = block(root, "postgres", needed, "{\"host\": …, \"user\": …, \"password\": …}")?;
    let host = reader.require("host", "\"${POSTGRES_HOST}\"").and_then(|item| host(&item));
    let user = reader.require("user", "\"${POSTGRES_USER}\"").and_then(|item| item.text());
    let password: Option<Secret> = reader.take_secret("password").and_then(|item| item.secret());
    let port = reader.take("port").and_then(|item| number(&item, 1..=65_535));
    let (sslmode, sslrootcert) = tls(&reader);
    let connect_timeout = seconds(&reader, "connect_timeout_seconds", 1..=LONGEST_WAIT);
    reader.finish(unknown::hint(Place::Postgres));
    if !needed {
        return None;
    }
    Some(PostgresSettings {
        host: host?,
        port: port.unwrap_or(defaults::POSTGRES_PORT),
        user: user?,
        password,
        sslmode,
        sslrootcert,
        connect_timeout: connect_timeout.unwrap_or(defaults::CONNECT_TIMEOUT),
    })
}

fn host(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    if text.contains("://") || text.contains(['@', ' ']) {
        item.error("This is no host name", "write the host alone; user and port have own keys");
        return None;
    }
    // An IPv6 address has more than one colon.
    if text.matches(':').count() == 1 {
        item.error("The port stands in the host", "set \"port\" and write the host alone");
        return None;
    }
    Some(text)
}

fn tls(reader: &Reader<'_>) -> (SslMode, Option<PathBuf>) {
    let mode = reader.take("sslmode").and_then(|item| item.word()).unwrap_or(defaults::SSLMODE);
    let certificate = reader.take("sslrootcert");
    match &certificate {
        Some(item) if !mode.verifies() => item.spot().warning(
            format!("With sslmode \"{mode}\" nobody checks the certificate"),
            "set \"sslmode\": \"verify-full\"",
        ),
        // The driver trusts public authorities beside the file; only the name tells servers apart.
        _ if mode == SslMode::VerifyCa => reader.at("sslmode").warning(
            "With sslmode \"verify-ca\" every server with a certificate of a public authority is \
             trusted, whatever its name",
            "set \"sslmode\": \"verify-full\"",
        ),
        None if mode.verifies() && !reader.is_broken("sslrootcert") => {
            reader.at("sslrootcert").note(
                format!(
                    "With sslmode \"{mode}\" and no sslrootcert, public authorities are trusted"
                ),
                "for a server with a private authority, set \"sslrootcert\" to the file with that \
                 authority's certificate",
            );
        }
        _ => {}
    }
    let path = certificate.and_then(|item| {
        let path = PathBuf::from(item.text()?);
        if path.is_file() {
            return Some(path);
        }
        item.error(
            "The file with the certificates does not exist",
            "give the path of a PEM file with the certificate of the server's authority",
        );
        None
    });
    (mode, path)
}
