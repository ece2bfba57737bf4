//! Starts a server under its guard, a small shell, and ends it.
//!
//! The guard (`guard.sh`) reads a pipe whose other end is held here. That needs no code between
//! `fork` and `exec`, works on every POSIX system, and covers every way this process can die.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::error::Error;
use crate::folder::SandboxFolder;

const GUARD: &str = include_str!("guard.sh");
/// Written by the guard; the same number in `postmaster.pid` tells a new start from an old one.
const PID_FILE: &str = "server.pid";
const POSTMASTER_FILE: &str = "data/postmaster.pid";

/// A start takes 0.5 to 2 s; crash recovery of a big database on a slow disk takes longest.
const START_LIMIT: Duration = Duration::from_mins(2);
/// A stop takes 0.1 s; a durable server writes its last checkpoint first.
const STOP_LIMIT: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What one start needs.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) folder: &'a SandboxFolder,
    pub(crate) programs: &'a Path,
    pub(crate) account: &'a Account,
    pub(crate) is_kept: bool,
    pub(crate) port: u16,
}

/// Why a start failed.
#[derive(Debug)]
pub(crate) enum LaunchError {
    /// Another program was faster to take the port.
    PortTaken,
    /// Processes of a killed server have not ended yet.
    StillInUse,
    Other(Error),
}

impl From<Error> for LaunchError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// A server with its guard.
#[derive(Debug)]
pub(crate) struct Running {
    guard: Child,
    /// The pipe; `None` once it is closed.
    control: Option<ChildStdin>,
    pid: u32,
}

/// The words that the guard knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// In order (fast shutdown), the folder stays.
    Stop,
    /// At once, as in a crash, the folder stays.
    Quit,
    /// In order; the guard removes the folder. This is what happens when the process dies.
    Release,
}

impl Launch<'_> {
    /// Starts the server and waits until it takes connections.
    pub(crate) fn run(&self) -> Result<Running, LaunchError> {
        let log_start = self.folder.log_length();
        self.forget_last_start()?;
        let guard = self.spawn()?;
        self.wait_until_ready(guard, log_start)
    }

    fn forget_last_start(&self) -> Result<(), Error> {
        let path = self.folder.file(PID_FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("remove", &path, "start another server")(error))
            }
            _ => Ok(()),
        }
    }

    fn spawn(&self) -> Result<Child, Error> {
        let afterwards = if self.is_kept { "keep" } else { "remove" };
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "sh"])
            .args([self.folder.path(), self.programs])
            .args([self.port.to_string().as_str(), afterwards])
            .current_dir(self.folder.path())
            .process_group(0) // a signal to this process's group is not for the server
            .env("LC_ALL", "C") // the log is searched for English messages
            .env("TZ", "UTC") // spares initdb the search through all time zones
            .stdin(Stdio::piped())
            .stdout(self.folder.log_handle()?)
            .stderr(self.folder.log_handle()?);
        for name in ["PGDATESTYLE", "PGCLIENTENCODING", "PGPORT", "PGDATA"] {
            command.env_remove(name); // the server would take them for defaults
        }
        self.account.apply(&mut command);
        command.spawn().map_err(Error::io(
            "run sh in",
            self.folder.path(),
            "check that PATH holds the system's folders",
        ))
    }

    fn wait_until_ready(&self, mut guard: Child, log_start: u64) -> Result<Running, LaunchError> {
        let control = guard.stdin.take();
        let start = Instant::now();
        loop {
            if let Some(pid) = self.ready_pid() {
                return Ok(Running { guard, control, pid });
            }
            if let Some(status) = poll(&mut guard, self.folder.path())? {
                return Err(self.failure(status, log_start));
            }
            if start.elapsed() > START_LIMIT {
                let log = self.folder.log_tail(log_start);
                let stuck = Running { guard, control, pid: self.started_pid() };
                stuck.end(Ending::Quit, self.folder.path())?;
                return Err(Error::StartTimeout { limit: START_LIMIT, log }.into());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The server's process id once `postmaster.pid` of this very start says that it is ready.
    /// The file's lines are described in PostgreSQL's `miscadmin.h`: the first is the process id,
    /// the eighth the state.
    fn ready_pid(&self) -> Option<u32> {
        // Both files appear during the start; until then there is nothing to read.
        let started = fs::read_to_string(self.folder.file(PID_FILE)).ok()?;
        let postmaster = fs::read_to_string(self.folder.file(POSTMASTER_FILE)).ok()?;
        let mut lines = postmaster.lines();
        let first = lines.next()?;
        let state = lines.nth(6)?;
        let is_ready = first.trim() == started.trim() && state.trim() == "ready";
        is_ready.then(|| first.trim().parse().ok()).flatten()
    }

    /// The process id that the guard wrote down, 0 when it has not come that far.
    fn started_pid(&self) -> u32 {
        let text = fs::read_to_string(self.folder.file(PID_FILE)).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    fn failure(&self, status: ExitStatus, log_start: u64) -> LaunchError {
        let log = self.folder.log_tail(log_start);
        let says = |part: &str| log.contains(part);
        if says("could not bind") || says("could not create any TCP/IP sockets") {
            LaunchError::PortTaken
        } else if says("pre-existing shared memory block") || says("lock file \"postmaster.pid\"") {
            LaunchError::StillInUse
        } else {
            Error::StartFailed { status: status.to_string(), log }.into()
        }
    }
}

impl Running {
    /// Process id of the server.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the server and waits until it is gone. A server that has ended already is fine.
    pub(crate) fn end(mut self, ending: Ending, folder: &Path) -> Result<(), Error> {
        let word = match ending {
            Ending::Stop => Some("stop\n"),
            Ending::Quit => Some("quit\n"),
            Ending::Release => None,
        };
        if let Some(word) = word {
            self.say(word, folder)?;
        }
        self.control = None;
        let start = Instant::now();
        while poll(&mut self.guard, folder)?.is_none() {
            if start.elapsed() > STOP_LIMIT {
                return Err(Error::StopTimeout { limit: STOP_LIMIT, pid: self.pid });
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Tells the guard to let the server run on when this process ends.
    pub(crate) fn detach(mut self, folder: &Path) -> Result<(), Error> {
        if poll(&mut self.guard, folder)?.is_some() {
            return Err(Error::NotRunning);
        }
        self.say("detach\n", folder)
    }

    fn say(&mut self, word: &str, folder: &Path) -> Result<(), Error> {
        let Some(control) = &mut self.control else { return Ok(()) };
        match control.write_all(word.as_bytes()) {
            // The guard is gone, and so is the server.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            answer => answer.map_err(Error::io("signal the server in", folder, "end it by hand")),
        }
    }
}

/// How the guard ended, if it did.
fn poll(guard: &mut Child, folder: &Path) -> Result<Option<ExitStatus>, Error> {
    guard.try_wait().map_err(Error::io("wait for the server in", folder, "try again"))
}
