//! From a table's name to its files.

use std::path::{Path, PathBuf};

use migrate_core::{Error, ErrorKind, Result, TableRef, closest, code};

/// The files of a table, sorted by name.
///
/// # Errors
///
/// [`code::SOURCE_TABLE_MISSING`] with the nearest name; `Config` for an invalid pattern.
pub(super) fn files_of(root: &Path, table: &TableRef) -> Result<Vec<PathBuf>> {
    let exact = root.join(&table.name);
    if exact.is_file() {
        return Ok(vec![exact]);
    }
    if exact.is_dir() {
        let folder = glob::Pattern::escape(&text(root, &exact)?);
        return matching(root, table, &Path::new(&folder).join("*.parquet"));
    }
    let with_ending = root.join(format!("{}.parquet", table.name));
    if with_ending.is_file() {
        return Ok(vec![with_ending]);
    }
    // Only the table's name is a pattern: a folder may be called `[2024]`.
    let folder = glob::Pattern::escape(&text(root, root)?);
    matching(root, table, &Path::new(&folder).join(&table.name))
}

fn text(root: &Path, path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::Config, "The path of the Parquet source is not UTF-8")
            .with("path", root.display())
            .with_hint("use a folder whose name is UTF-8")
    })
}

fn matching(root: &Path, table: &TableRef, pattern: &Path) -> Result<Vec<PathBuf>> {
    let paths = glob::glob(&text(root, pattern)?).map_err(|cause| {
        Error::new(ErrorKind::Config, "The table's name is not a valid pattern")
            .with("table", table)
            .with_hint("use `*`, `?` and `[a-z]` in `source`, or a plain file name")
            .with_source(cause)
    })?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|cause| {
            Error::new(ErrorKind::Auth, "Cannot read a folder of the Parquet source")
                .with("table", table)
                .with_hint("make the folder readable")
                .with_source(cause)
        })?;
        if path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() { Err(missing(root, table)) } else { Ok(files) }
}

fn missing(root: &Path, table: &TableRef) -> Error {
    let names: Vec<String> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .map(|name| name.strip_suffix(".parquet").map(str::to_owned).unwrap_or(name))
        .collect();
    let wanted = table.name.strip_suffix(".parquet").unwrap_or(&table.name);
    let hint = match closest(wanted, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}? correct `source`, or `path`"),
        None => "correct `source`, or `path`".to_owned(),
    };
    Error::new(code::SOURCE_TABLE_MISSING, format!("No Parquet file for {table}"))
        .with("path", root.display())
        .with_hint(hint)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_table_is_a_file_a_folder_or_a_pattern() {
        let root = tempfile::tempdir().expect("folder");
        fs::create_dir(root.path().join("parts")).expect("folder");
        for name in ["one.parquet", "parts/b.parquet", "parts/a.parquet", "parts/note.txt"] {
            fs::write(root.path().join(name), "").expect("file");
        }
        let names = |table: &str| -> Vec<String> {
            let files = files_of(root.path(), &TableRef::bare(table)).expect(table);
            let name =
                |path: PathBuf| path.file_name().expect("name").to_string_lossy().into_owned();
            files.into_iter().map(name).collect()
        };
        assert_eq!(names("one"), ["one.parquet"]);
        assert_eq!(names("one.parquet"), ["one.parquet"]);
        assert_eq!(names("parts"), ["a.parquet", "b.parquet"]);
        assert_eq!(names("parts/*.parquet"), ["a.parquet", "b.parquet"]);

        let odd = root.path().join("[2024]");
        fs::create_dir_all(odd.join("q[1]")).expect("folder");
        fs::write(odd.join("q[1]/x.parquet"), "").expect("file");
        for table in ["q[1]", "q*/x.parquet", "*/*.parquet"] {
            let files = files_of(&odd, &TableRef::bare(table)).expect(table);
            assert_eq!(files, [odd.join("q[1]/x.parquet")], "{table}");
        }

        let error = files_of(root.path(), &TableRef::bare("onne")).expect_err("missing");
        assert_eq!(error.code(), code::SOURCE_TABLE_MISSING);
        assert!(error.hint().is_some_and(|hint| hint.contains("did you mean one?")), "{error}");
    }
}
