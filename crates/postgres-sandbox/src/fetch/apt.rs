//! Drives `apt-get` and `dpkg-deb`: finds, downloads and unpacks the packages of a server.
//!
//! The system's package lists serve when they are there. When they are empty or out of date, root
//! updates them; without root a private copy of the lists does, which needs no rights.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::closure::{self, Package};
use super::{FetchError, cache, make_empty};
use crate::account;
use crate::error::Error;
use crate::quoting::shell_word;
use crate::step::{Journal, Step};

const SYSTEM_LISTS: &str = "/var/lib/apt/lists";
const TOOLS: [&str; 3] = ["apt-get", "apt-cache", "dpkg-deb"];
const SPACE_HINT: &str = "free some disk space";

/// Options that hold for each call: nothing is installed, so no lock is needed; fewer lists are
/// needed than for a desktop; an unreachable mirror must not stop a test for minutes.
const BASE_CONFIG: &str = r#"APT::Sandbox::User "root";
Debug::NoLocking "true";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Acquire::Retries "2";
"#;

/// Which package lists are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    /// The system's, as they are.
    System,
    /// The system's, updated first; needs root.
    SystemUpdated,
    /// A copy in the work folder.
    Private,
}

/// Fails when this is not a system with Debian's tools.
pub(super) fn check() -> Result<(), FetchError> {
    let folders = ["/usr/bin", "/bin"].map(Path::new);
    for tool in TOOLS {
        if !folders.iter().any(|folder| folder.join(tool).is_file()) {
            let reason = format!("this system has no {tool}, and no other way to fetch is known");
            return Err(FetchError::Impossible(reason));
        }
    }
    Ok(())
}

/// Fetches a server into a new folder of the cache; gives the package's name and that folder.
pub(super) fn fetch(
    work: &Path,
    cache: &Path,
    entry_prefix: &str,
    journal: &mut Journal<'_>,
) -> Result<(String, PathBuf), FetchError> {
    let mut ways = Vec::new();
    if has_lists(Path::new(SYSTEM_LISTS)) {
        ways.push(Lists::System);
    } else if account::is_root()? {
        ways.push(Lists::SystemUpdated);
    }
    ways.push(Lists::Private);
    let mut last = None;
    for lists in ways {
        if let Some(error) = last {
            journal.note(Step::ListsUnfit { reason: super::with_cause(&error) });
        }
        match Fetch::prepare(work, lists).and_then(|fetch| fetch.run(cache, entry_prefix, journal))
        {
            Ok(fetched) => return Ok(fetched),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| FetchError::Impossible("no package lists".to_owned())))
}

/// Whether the folder holds a list of packages; files in it end so, compressed or not.
fn has_lists(folder: &Path) -> bool {
    // A folder that is not there holds no list.
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}

/// One attempt with one kind of lists.
struct Fetch {
    work: PathBuf,
    lists: Lists,
    config: PathBuf,
}

impl Fetch {
    /// Each attempt has a folder of its own: archives of two versions must not meet.
    fn prepare(work: &Path, lists: Lists) -> Result<Self, FetchError> {
        let work = work.join(format!("{lists:?}"));
        make_empty(&work)?;
        let config = work.join("apt.conf");
        let mut text = BASE_CONFIG.to_owned();
        if lists == Lists::Private {
            let state = work.join("apt");
            make_empty(&state.join("lists/partial"))?;
            make_empty(&state.join("cache/archives/partial"))?;
            text.push_str(&private_config(&state));
        }
        fs::write(&config, text).map_err(Error::io("write", &config, SPACE_HINT))?;
        Ok(Self { work, lists, config })
    }

    fn run(
        &self,
        cache: &Path,
        entry_prefix: &str,
        journal: &mut Journal<'_>,
    ) -> Result<(String, PathBuf), FetchError> {
        let warnings = self.update(journal)?;
        let (package, major) = self.server_package(&warnings)?;
        let packages = self.closure(&package, major)?;
        journal.note(Step::Fetching {
            package: package.clone(),
            size_bytes: packages.iter().map(|package| package.size_bytes).sum(),
            into: cache.to_owned(),
        });
        let archives = self.download(&packages)?;
        let entry = cache.join(format!("{entry_prefix}{package}"));
        let built = self.work.join("entry");
        self.unpack(&archives, &built.join("tree"))?;
        write_programs(&built, &entry, major)?;
        put_in_place(&built, &entry)?;
        Ok((package, entry))
    }

    /// Updates the lists; gives the warnings. One source among many that does not answer is no
    /// reason to give up, so `apt-get` succeeds even when all are silent.
    fn update(&self, journal: &mut Journal<'_>) -> Result<String, FetchError> {
        let lists = match self.lists {
            Lists::System => return Ok(String::new()),
            Lists::SystemUpdated => PathBuf::from(SYSTEM_LISTS),
            Lists::Private => self.work.join("apt/lists"),
        };
        journal.note(Step::UpdatingLists { lists });
        self.apt("apt-get", &["-q", "update"]).map(|answer| answer.warnings)
    }

    fn server_package(&self, warnings: &str) -> Result<(String, u32), FetchError> {
        // The program fails for a name that it does not know, which is the case named here.
        let answer = self.apt("apt-cache", &["depends", "postgresql"]);
        let found = answer.ok().and_then(|answer| closure::server_package(&answer.output));
        found.ok_or_else(|| {
            let says = if warnings.is_empty() { "" } else { "; apt-get update says: " };
            let reason = ["the package lists know no package postgresql", says, warnings];
            FetchError::Impossible(reason.concat())
        })
    }

    /// What is missing on this machine; `--reinstall` counts a broken or hidden installation of
    /// the server itself as missing.
    fn closure(&self, package: &str, major: u32) -> Result<Vec<Package>, FetchError> {
        let client = format!("postgresql-client-{major}");
        let options = ["-qq", "install", "--print-uris", "--reinstall", "--no-install-recommends"];
        let arguments: Vec<&str> = options.into_iter().chain([package, client.as_str()]).collect();
        let answer = self.apt("apt-get", &arguments)?;
        let packages =
            closure::needed(closure::packages(&answer.output), major).map_err(|name| {
                FetchError::Impossible(format!(
                    "{package} needs a newer {name} than this machine has"
                ))
            })?;
        if packages.iter().any(|found| found.name == package) {
            Ok(packages)
        } else {
            Err(FetchError::Impossible(format!("{package} cannot be downloaded")))
        }
    }

    /// Downloads into a folder of its own; `apt-get` checks the signatures and checksums.
    fn download(&self, packages: &[Package]) -> Result<Vec<PathBuf>, FetchError> {
        let folder = self.work.join("archives");
        make_empty(&folder)?;
        let names = packages.iter().map(|package| package.name.as_str());
        let arguments: Vec<&str> = ["-q", "download"].into_iter().chain(names).collect();
        self.apt_in("apt-get", &arguments, &folder)?;
        let failed = Error::io("list", &folder, "try again");
        let entries = fs::read_dir(&folder).map_err(failed)?;
        let archives = entries.flatten().map(|entry| entry.path());
        Ok(archives.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect())
    }

    fn unpack(&self, archives: &[PathBuf], tree: &Path) -> Result<(), FetchError> {
        make_empty(tree)?;
        for archive in archives {
            let mut command = Command::new("dpkg-deb");
            command.arg("-x").args([archive.as_path(), tree]).current_dir(&self.work);
            run(&mut command)?;
        }
        Ok(())
    }

    fn apt(&self, program: &str, arguments: &[&str]) -> Result<Answer, FetchError> {
        self.apt_in(program, arguments, &self.work)
    }

    fn apt_in(
        &self,
        program: &str,
        arguments: &[&str],
        folder: &Path,
    ) -> Result<Answer, FetchError> {
        let mut command = Command::new(program);
        command.arg("-c").arg(&self.config).args(arguments).current_dir(folder);
        run(&mut command)
    }
}

/// State of its own, so that lists can be updated without rights. What is installed is still read
/// from the system. The system's hooks after an update expect its own folders.
fn private_config(state: &Path) -> String {
    let state = state.display();
    format!(
        "Dir::State \"{state}\";\n\
         Dir::State::lists \"{state}/lists\";\n\
         Dir::State::status \"/var/lib/dpkg/status\";\n\
         Dir::Cache \"{state}/cache\";\n\
         #clear APT::Update::Pre-Invoke;\n\
         #clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n"
    )
}

/// What a program that succeeded said.
struct Answer {
    output: String,
    warnings: String,
}

fn run(command: &mut Command) -> Result<Answer, FetchError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |answer: String| FetchError::Program { program: program.clone(), answer };
    let output = command.env("LC_ALL", "C").output().map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    // Errors and warnings of Debian's tools begin so; the first two tell enough.
    let is_message = |line: &&str| line.starts_with("E:") || line.starts_with("W:");
    let messages: Vec<&str> = text.lines().filter(is_message).take(2).collect();
    let warnings = messages.join("; ");
    if output.status.success() {
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        return Ok(Answer { output, warnings });
    }
    let status = output.status.to_string();
    let said = [warnings.as_str(), text.trim(), &status].into_iter().find(|text| !text.is_empty());
    Err(failed(said.unwrap_or_default().to_owned()))
}

/// Writes a small script for each program, which sets the path to the fetched libraries. So the
/// programs run from anywhere, like installed ones. Data files are found by the programs
/// themselves, relative to where they lie.
fn write_programs(built: &Path, entry: &Path, major: u32) -> Result<(), Error> {
    let programs = PathBuf::from(format!("tree/usr/lib/postgresql/{major}/bin"));
    let source = built.join(&programs);
    let target = built.join(cache::PROGRAM_FOLDER);
    make_empty(&target)?;
    let libraries = library_lines(built, entry);
    let entries = fs::read_dir(&source).map_err(Error::io("list", &source, "try again"))?;
    for program in entries.flatten().map(|entry| entry.file_name()) {
        let real = entry.join(&programs).join(&program).display().to_string();
        let text = format!("#!/bin/sh\n{libraries}exec {} \"$@\"\n", shell_word(&real));
        let path = target.join(&program);
        let failed = || Error::io("write", &path, SPACE_HINT);
        fs::write(&path, text).map_err(failed())?;
        fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(failed())?;
    }
    Ok(())
}

/// The lines that make the fetched libraries known; none when the machine has all of them.
fn library_lines(built: &Path, entry: &Path) -> String {
    let folders: Vec<String> = library_folders(&built.join("tree"))
        .iter()
        .filter_map(|folder| folder.strip_prefix(built).ok()) // each is below `built`
        .map(|folder| entry.join(folder).display().to_string())
        .collect();
    if folders.is_empty() {
        return String::new();
    }
    let folders = shell_word(&folders.join(":"));
    format!(
        "LD_LIBRARY_PATH={folders}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\n\
         export LD_LIBRARY_PATH\n"
    )
}

/// The folders of shared libraries in an unpacked tree, such as `usr/lib/x86_64-linux-gnu`.
fn library_folders(tree: &Path) -> Vec<PathBuf> {
    let places = ["usr/lib", "lib"].map(|place| tree.join(place));
    let is_for_libraries = |folder: &PathBuf| {
        folder.file_name().is_some_and(|name| name.to_string_lossy().contains("-linux-"))
    };
    // A tree without such a place has no libraries there.
    let entries = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(is_for_libraries).collect();
    folders.sort();
    folders
}

/// Moves a finished entry to its name; an older one there did not run any more.
fn put_in_place(built: &Path, entry: &Path) -> Result<(), Error> {
    for folder in [built, &built.join("tree"), &built.join(cache::PROGRAM_FOLDER)] {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(Error::io(
            "open up",
            folder,
            "try again",
        ))?;
    }
    if entry.exists() {
        super::remove(entry)?;
    }
    fs::rename(built, entry).map_err(Error::io("rename", built, "try again"))
}
