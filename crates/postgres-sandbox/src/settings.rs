//! Renders the settings file of a private server.
//!
//! The settings go into a file rather than on the command line, so that `alter system` can change
//! them and a kept folder can be started again by hand.

use std::path::Path;

use crate::error::Error;
use crate::options::ServerOptions;
use crate::quoting::setting_value;

/// Name of the settings file; `postgresql.conf` includes it.
pub(crate) const SETTINGS_FILE: &str = "settings.conf";
/// Copies of the TLS files, beside the settings file.
pub(crate) const CERTIFICATE_FILE: &str = "server.crt";
pub(crate) const KEY_FILE: &str = "server.key";

/// A socket's path must fit `sun_path`: 104 bytes on macOS, 108 on Linux, both with a final zero.
const SOCKET_PATH_BYTES: usize = 103;
const LONGEST_SOCKET_NAME: &str = "/.s.PGSQL.65535.lock";

/// The content of the settings file for a server in that folder.
pub(crate) fn render(
    options: &ServerOptions,
    folder: &Path,
    jit: JustInTime,
) -> Result<String, Error> {
    let mut lines = vec![
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("unix_socket_directories", socket_folder(folder)),
        ("timezone", "UTC".to_owned()),
        ("log_timezone", "UTC".to_owned()),
    ];
    if !options.is_durable {
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            lines.push((name, "off".to_owned()));
        }
    }
    if jit == JustInTime::Missing {
        lines.push(("jit", "off".to_owned()));
    }
    if options.tls.is_some() {
        lines.push(("ssl", "on".to_owned()));
        lines.push(("ssl_cert_file", folder.join(CERTIFICATE_FILE).display().to_string()));
        lines.push(("ssl_key_file", folder.join(KEY_FILE).display().to_string()));
    }
    for (name, value) in &options.settings {
        if !is_setting_name(name) {
            return Err(Error::SettingName { name: name.clone() });
        }
        lines.push((name, value.clone()));
    }
    let line = |(name, value): &(&str, String)| [name, " = ", &setting_value(value), "\n"].concat();
    Ok(lines.iter().map(line).collect())
}

/// Whether the installation has its compiler for queries. Fetched ones come without: it is four
/// times as big as all the rest, and queries fail when only a part of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JustInTime {
    Installed,
    Missing,
}

/// A private folder for the socket: the usual one belongs to another account. Where the path is
/// too long or would read as a list, the server does without a socket, since clients use TCP.
fn socket_folder(folder: &Path) -> String {
    let path = folder.display().to_string();
    let fits = path.len() + LONGEST_SOCKET_NAME.len() <= SOCKET_PATH_BYTES;
    if fits && !path.contains([',', '"']) { path } else { String::new() }
}

/// Names of settings and of those that extensions define (`extension.name`).
fn is_setting_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        && !name.starts_with(|c: char| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(options: &ServerOptions, folder: &str) -> String {
        render(options, Path::new(folder), JustInTime::Installed).unwrap()
    }

    #[test]
    fn durability_is_off_unless_asked_for() {
        assert!(rendered(&ServerOptions::new(), "/tmp/a").contains("fsync = 'off'"));
        assert!(!rendered(&ServerOptions::new().durable(true), "/tmp/a").contains("fsync"));
    }

    #[test]
    fn settings_of_the_caller_come_last_and_are_quoted() {
        let options = ServerOptions::new().setting("timezone", "it's");
        assert!(rendered(&options, "/tmp/a").ends_with("timezone = 'it''s'\n"));
    }

    #[test]
    fn names_that_would_end_the_line_are_refused() {
        for name in ["", "a b", "a\nb", "1a", ".a"] {
            let options = ServerOptions::new().setting(name, "1");
            let answer = render(&options, Path::new("/tmp"), JustInTime::Installed);
            assert!(matches!(answer, Err(Error::SettingName { .. })), "{name:?}");
        }
    }

    #[test]
    fn a_folder_with_a_long_name_has_no_socket() {
        let long = format!("/{}", "x".repeat(SOCKET_PATH_BYTES));
        let text = rendered(&ServerOptions::new(), &long);
        assert!(text.contains("unix_socket_directories = ''"), "{text}");
    }

    #[test]
    fn fetched_servers_do_not_compile_queries() {
        let text = render(&ServerOptions::new(), Path::new("/tmp"), JustInTime::Missing).unwrap();
        assert!(text.contains("jit = 'off'"), "{text}");
    }
}
