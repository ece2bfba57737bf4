//! Writes values into the small languages around a server: shell, URL, SQL, `postgresql.conf`.
//!
//! Pure text in, text out; what the value means is decided elsewhere.

use std::fmt::Write as _;

/// One word of a POSIX shell line.
pub(crate) fn shell_word(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@=+,".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

/// One path segment of a URL: everything but the unreserved characters of RFC 3986 is escaped.
pub(crate) fn url_segment(value: &str) -> String {
    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("invariant: writing to a String cannot fail");
        }
        text
    })
}

/// A quoted SQL identifier.
pub(crate) fn sql_identifier(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}

/// A quoted value of `postgresql.conf`, where a backslash escapes too.
pub(crate) fn setting_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', "''"))
}

/// The same server and options with another database.
pub(crate) fn url_with_database(url: &str, database: &str) -> String {
    let (address, options) = match url.split_once('?') {
        Some((address, options)) => (address, Some(options)),
        None => (url, None),
    };
    let (scheme, rest) = address.split_once("://").unwrap_or(("postgres", address));
    let authority = rest.split('/').next().unwrap_or_default();
    let mut text = format!("{scheme}://{authority}/{}", url_segment(database));
    if let Some(options) = options {
        text.push('?');
        text.push_str(options);
    }
    text
}

/// The URL as it may be shown: with `***` in place of a password.
pub(crate) fn url_without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let shown = match authority.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    format!("{scheme}://{shown}{}", options_without_password(tail))
}

fn options_without_password(tail: &str) -> String {
    let Some((path, options)) = tail.split_once('?') else { return tail.to_owned() };
    let shown: Vec<&str> = options
        .split('&')
        .map(|option| if option.starts_with("password=") { "password=***" } else { option })
        .collect();
    format!("{path}?{}", shown.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_words_are_quoted_only_where_needed() {
        assert_eq!(shell_word("/usr/bin/psql"), "/usr/bin/psql");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn names_are_escaped_in_urls_identifiers_and_settings() {
        assert_eq!(url_segment("a b/ü"), "a%20b%2F%C3%BC");
        assert_eq!(sql_identifier(r#"a"b"#), r#""a""b""#);
        assert_eq!(setting_value(r"c:\it's"), r"'c:\\it''s'");
    }

    #[test]
    fn the_database_of_a_url_is_replaced_and_its_options_stay() {
        let url = url_with_database("postgres://u:p@h:1/old?sslmode=require", "new");
        assert_eq!(url, "postgres://u:p@h:1/new?sslmode=require");
        assert_eq!(url_with_database("postgresql://h", "x"), "postgresql://h/x");
        assert_eq!(url_with_database("postgres:///a?host=/tmp", "b"), "postgres:///b?host=/tmp");
    }

    #[test]
    fn passwords_are_never_shown() {
        let shown = |url| url_without_password(url);
        assert_eq!(shown("postgres://u:p@ss@h:1/d"), "postgres://u:***@h:1/d");
        assert_eq!(shown("postgres://u@h/d?x=1"), "postgres://u@h/d?x=1");
        assert_eq!(shown("postgres://h/d?password=p&x=1"), "postgres://h/d?password=***&x=1");
    }
}
