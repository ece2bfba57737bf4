//! Names that stand outside SQL or may be of any system.

use migrate_core::Dialect;

use crate::reader::Item;

/// The name of a PostgreSQL database. It goes into the connection and not into SQL, so names with
/// hyphens and blanks have always worked without quotes; they are exact.
pub(super) fn database(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let written = text.trim();
    if written.starts_with('"') {
        return item.identifier(Dialect::Postgres);
    }
    let Ok(name) = Dialect::Postgres.parse_identifier(written) else {
        return Some(written.to_owned());
    };
    if name != written {
        item.spot().warning(
            "The name of the database is read in lower case",
            r#"write it in lower case, or keep its case with quotes: "\"Name\"""#,
        );
    }
    Some(name)
}
