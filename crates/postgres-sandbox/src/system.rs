//! The operating system: its name in the cache and its package manager's command.
//!
//! Only names what a person would type; nothing here runs a package manager.

use std::env::consts::{ARCH, OS};
use std::fs;

/// The parts of `os-release` that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct System {
    id: String,
    family: Vec<String>,
    release: String,
}

impl System {
    /// The system this process runs on.
    pub(crate) fn current() -> Self {
        // Systems without the file (macOS) are known by the compiler's name for them.
        let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self::parse(&text)
    }

    fn parse(os_release: &str) -> Self {
        let value = |key: &str| {
            let found = os_release.lines().find_map(|line| line.strip_prefix(key));
            found.map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
        };
        let id = value("ID=").unwrap_or_else(|| OS.to_owned());
        let like = value("ID_LIKE=").unwrap_or_default();
        let family = like.split_whitespace().map(str::to_owned).collect();
        Self { id, family, release: value("VERSION_ID=").unwrap_or_default() }
    }

    /// Start of the folder names in the cache: libraries of one release do not fit another.
    pub(crate) fn cache_prefix(&self) -> String {
        let release = if self.release.is_empty() { "rolling" } else { &self.release };
        format!("{}-{release}-{ARCH}-", self.id)
    }

    /// The line that installs PostgreSQL here, where it is known.
    pub(crate) fn install_command(&self) -> Option<&'static str> {
        let names = || std::iter::once(&self.id).chain(&self.family).map(String::as_str);
        names().find_map(|name| match name {
            "debian" | "ubuntu" => {
                Some("sudo apt-get update && sudo apt-get install -y postgresql")
            }
            "fedora" | "rhel" | "centos" => {
                Some("sudo dnf install -y postgresql-server postgresql")
            }
            "alpine" => Some("sudo apk add postgresql postgresql-client"),
            "arch" => Some("sudo pacman -S --needed postgresql"),
            "suse" | "opensuse" => Some("sudo zypper install -y postgresql-server"),
            "macos" => Some("brew install postgresql@17"),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_separate_for_each_release() {
        let system = System::parse("NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=debian\n");
        assert_eq!(system.cache_prefix(), format!("debian-12-{ARCH}-"));
    }

    #[test]
    fn relatives_of_a_known_system_use_its_command() {
        let mint = System::parse("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n");
        assert!(mint.install_command().is_some_and(|line| line.contains("apt-get")));
        let rocky = System::parse("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n");
        assert!(rocky.install_command().is_some_and(|line| line.contains("dnf")));
        assert_eq!(System::parse("ID=plan9\n").install_command(), None);
    }
}
