//! Decides which packages a server needs, from what the package manager answers.
//!
//! Pure text in, decisions out. The package manager knows what the machine has already; here the
//! rest is cut down to what a server needs to run: its programs and their libraries.

/// A package that the package manager would download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) size_bytes: u64,
}

/// The server package that the meta package `postgresql` stands for, such as `postgresql-15`,
/// with its major version, from the answer of `apt-cache depends postgresql`.
pub(super) fn server_package(depends: &str) -> Option<(String, u32)> {
    depends.lines().find_map(|line| {
        let name = line.trim().trim_start_matches('|').strip_prefix("Depends:")?.trim();
        // Other dependencies have other names; the next line is tried.
        let major = name.strip_prefix("postgresql-")?.parse().ok()?;
        Some((name.to_owned(), major))
    })
}

/// The packages in the answer of `apt-get install --print-uris`, whose lines are
/// `'address' name_version_architecture.deb size checksum`.
pub(super) fn packages(uris: &str) -> Vec<Package> {
    uris.lines()
        .filter_map(|line| {
            let (_, rest) = line.strip_prefix('\'')?.split_once("' ")?;
            let mut fields = rest.split_whitespace();
            let name = fields.next()?.split('_').next()?.to_owned();
            let size_bytes = fields.next()?.parse().ok()?; // another kind of line
            Some(Package { name, size_bytes })
        })
        .collect()
}

/// What of these the server of that major version needs.
///
/// # Errors
///
/// The name of a package that must not be mixed with the machine's own: programs find the C
/// library through the machine's loader, and a newer one beside an older loader crashes.
pub(super) fn needed(packages: Vec<Package>, major: u32) -> Result<Vec<Package>, String> {
    if let Some(package) = packages.iter().find(|package| package.name == "libc6") {
        return Err(package.name.clone());
    }
    let programs = [format!("postgresql-{major}"), format!("postgresql-client-{major}")];
    let is_needed = |name: &str| programs.iter().any(|program| program == name) || is_library(name);
    Ok(packages.into_iter().filter(|package| is_needed(&package.name)).collect())
}

/// Starts of the names of libraries that a server runs without: LLVM, with its solver, only
/// compiles queries and is bigger than all the rest; the others serve procedural languages and
/// Debian's administration scripts.
const UNNEEDED: [&str; 6] = ["libllvm", "libz3-", "libperl", "libgdbm", "libpython", "libtcl"];

/// Whether the package holds shared libraries that a server links to.
fn is_library(name: &str) -> bool {
    let is_shared = name.starts_with("lib") || name == "zlib1g";
    is_shared
        && !name.ends_with("-perl")
        && !name.ends_with("-dev")
        && !UNNEEDED.iter().any(|unneeded| name.starts_with(unneeded))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URIS: &str = "\
        'http://deb.example/libjson-perl_4.10000-1_all.deb' libjson-perl_4.10000-1_all.deb 87500 \n\
        'http://deb.example/libllvm14_14.0.6-12_amd64.deb' libllvm14_1%3a14.0.6-12_amd64.deb 23000000 SHA256:ab\n\
        'http://deb.example/libpq5_15.18_amd64.deb' libpq5_15.18-0+deb12u1_amd64.deb 205248 SHA256:cd\n\
        'http://deb.example/ssl-cert_1_all.deb' ssl-cert_1_all.deb 21000 SHA256:ef\n\
        'http://deb.example/postgresql-15_15.18_amd64.deb' postgresql-15_15.18_amd64.deb 17091392 SHA256:01\n";

    #[test]
    fn the_server_package_is_the_one_the_meta_package_depends_on() {
        let answer = "postgresql\n  Depends: postgresql-common\n  Depends: postgresql-15\n";
        assert_eq!(server_package(answer), Some(("postgresql-15".to_owned(), 15)));
        assert_eq!(server_package("postgresql\n  Suggests: postgresql-doc\n"), None);
    }

    #[test]
    fn programs_and_libraries_are_kept_without_the_query_compiler() {
        let kept = needed(packages(URIS), 15).unwrap();
        let names: Vec<&str> = kept.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["libpq5", "postgresql-15"]);
        assert_eq!(kept.iter().map(|package| package.size_bytes).sum::<u64>(), 17_296_640);
    }

    #[test]
    fn another_c_library_is_refused() {
        let line = "'http://deb.example/libc6_3_amd64.deb' libc6_3_amd64.deb 1 SHA256:ab\n";
        assert_eq!(needed(packages(line), 15), Err("libc6".to_owned()));
    }

    #[test]
    fn chatter_is_no_package() {
        assert_eq!(packages("Reading package lists...\n'odd\n"), Vec::new());
    }
}
