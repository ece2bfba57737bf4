//! Tells whether a folder holds server programs that can be used.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::Account;
use crate::version::{OLDEST_MAJOR, Version};

/// The programs without which there is no server.
const NEEDED_PROGRAMS: [&str; 2] = ["postgres", "initdb"];

/// Whether both server programs are in the folder; nothing is run.
pub(crate) fn has_programs(folder: &Path) -> bool {
    NEEDED_PROGRAMS.iter().all(|program| folder.join(program).is_file())
}

/// The folder that the programs really are in. A link to `postgres` alone, as in a folder of the
/// search path, says nothing about `psql`, which lies beside the real one.
pub(crate) fn real_folder(folder: &Path) -> PathBuf {
    let program = folder.join("postgres").canonicalize();
    // A link that cannot be followed fails in the next step, with its own words.
    let real = program.ok().and_then(|program| program.parent().map(Path::to_path_buf));
    real.filter(|real| has_programs(real)).unwrap_or_else(|| folder.to_owned())
}

/// The version of the programs in the folder, or why they cannot be used.
pub(crate) fn probe(folder: &Path, account: &Account) -> Result<Version, String> {
    if !has_programs(folder) {
        return Err(format!("it does not hold both {}", NEEDED_PROGRAMS.join(" and ")));
    }
    if let (Account::Other { name, .. }, false) = (account, account.can_reach(folder)) {
        return Err(format!("the account {name}, which runs the server for root, cannot reach it"));
    }
    version_of(&folder.join("initdb"))?;
    let answer = version_of(&folder.join("postgres"))?;
    let version = Version::parse(&answer)
        .ok_or_else(|| format!("its version is unknown: {}", answer.trim()))?;
    if !version.is_supported() {
        return Err(format!("it is version {version}; {OLDEST_MAJOR} is the oldest supported"));
    }
    Ok(version)
}

/// Runs `program --version`, which also shows whether its libraries are there.
fn version_of(program: &Path) -> Result<String, String> {
    let name = program.display();
    match Command::new(program).arg("--version").output() {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let first = text.lines().next().unwrap_or("it says nothing");
            Err(format!("{name} does not run: {first}"))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(format!("{name} may not be executed"))
        }
        Err(error) => Err(format!("{name} does not run: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder_with(name: &str, answer: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("probe-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for program in NEEDED_PROGRAMS {
            let path = folder.join(program);
            fs::write(&path, format!("#!/bin/sh\n{answer}\n")).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    #[test]
    fn servers_that_are_too_old_or_broken_are_refused_with_the_reason() {
        for (name, answer, reason) in [
            ("old", "echo 'postgres (PostgreSQL) 12.22'", "13 is the oldest"),
            ("odd", "echo 'MyServer 1'", "version is unknown"),
            ("broken", "echo 'libssl.so.9: not found' >&2; exit 127", "libssl.so.9"),
        ] {
            let folder = folder_with(name, answer);
            let refusal = probe(&folder, &Account::Own).unwrap_err();
            assert!(refusal.contains(reason), "{refusal}");
            fs::remove_dir_all(&folder).unwrap();
        }
    }

    #[test]
    fn a_folder_without_both_programs_is_no_installation() {
        assert!(probe(Path::new("/nonexistent"), &Account::Own).is_err());
    }
}
