//! A server that runs as a child of this process, in a folder of its own.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::account::Account;
use crate::cleanup;
use crate::error::Error;
use crate::folder::{KEEP_FILE, SandboxFolder};
use crate::launch::{Ending, Launch, LaunchError, Running};
use crate::options::ServerOptions;
use crate::settings::{self, CERTIFICATE_FILE, JustInTime, KEY_FILE, SETTINGS_FILE};

/// The only address that a private server listens on.
pub(crate) const HOST: &str = "127.0.0.1";

/// A port is free when it is chosen and can be taken until the server opens it.
const PORT_ATTEMPTS: u32 = 10;
/// Processes of a killed server notice its end within seconds.
const IN_USE_ATTEMPTS: u32 = 100;
const IN_USE_PAUSE: Duration = Duration::from_millis(100);

/// A running or stopped server; dropping it ends the server and removes the folder.
#[derive(Debug)]
pub(crate) struct LocalServer {
    folder: SandboxFolder,
    programs: PathBuf,
    account: Account,
    port: u16,
    options: ServerOptions,
    running: Option<Running>,
}

impl LocalServer {
    pub(crate) fn start(
        programs: &Path,
        jit: JustInTime,
        options: ServerOptions,
    ) -> Result<Self, Error> {
        let account = Account::for_server()?;
        let parent = parent_folder(&options, &account);
        cleanup::remove_abandoned(&parent, &account)?;
        let mut server = Self {
            folder: SandboxFolder::create(&parent, &account)?,
            programs: programs.to_owned(),
            account,
            port: 0,
            options,
            running: None,
        };
        server.write_files(jit)?;
        server.launch_on_a_free_port()?;
        Ok(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Process id of the server, unless it was stopped.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Running::pid)
    }

    pub(crate) fn log_tail(&self) -> String {
        self.folder.log_tail(0)
    }

    /// Stops the server if it runs and starts it on the same port and data.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.end(Ending::Stop)?;
        for _ in 0..IN_USE_ATTEMPTS {
            match self.launch() {
                // Clients hold the port's number: another one is no help, waiting is.
                Err(LaunchError::StillInUse | LaunchError::PortTaken) => {
                    thread::sleep(IN_USE_PAUSE);
                }
                Err(LaunchError::Other(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
        Err(Error::NoPort { attempts: IN_USE_ATTEMPTS })
    }

    /// Ends the server; the folder stays until this value is dropped.
    pub(crate) fn end(&mut self, ending: Ending) -> Result<(), Error> {
        match self.running.take() {
            Some(running) => running.end(ending, self.folder.path()),
            None => Ok(()),
        }
    }

    /// Ends the server in order and removes its folder.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.end(Ending::Release)?;
        self.remove_folder()
    }

    /// Lets the server run on; its guard removes the folder when it ends.
    pub(crate) fn detach(mut self) -> Result<u32, Error> {
        let running = self.running.take().ok_or(Error::NotRunning)?;
        let pid = running.pid();
        match running.detach(self.folder.path()) {
            Ok(()) => {
                self.options.is_kept = true; // by this process
                Ok(pid)
            }
            Err(error) => Err(error),
        }
    }

    fn write_files(&self, jit: JustInTime) -> Result<(), Error> {
        let options = &self.options;
        let text = settings::render(options, self.folder.path(), jit)?;
        self.folder.write(SETTINGS_FILE, text.as_bytes(), &self.account)?;
        if let Some(tls) = &options.tls {
            for (source, copy) in [(&tls.certificate, CERTIFICATE_FILE), (&tls.key, KEY_FILE)] {
                let failed = Error::io("read", source, "name an existing PEM file");
                self.folder.write(copy, &fs::read(source).map_err(failed)?, &self.account)?;
            }
        }
        if options.is_kept {
            self.folder.write(KEEP_FILE, b"", &self.account)?;
        }
        Ok(())
    }

    fn launch_on_a_free_port(&mut self) -> Result<(), Error> {
        for _ in 0..PORT_ATTEMPTS {
            self.port = free_port()?;
            match self.launch() {
                Err(LaunchError::PortTaken | LaunchError::StillInUse) => {
                    tracing::debug!(port = self.port, "the port was taken; trying another");
                }
                Err(LaunchError::Other(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
        Err(Error::NoPort { attempts: PORT_ATTEMPTS })
    }

    fn launch(&mut self) -> Result<(), LaunchError> {
        let launch = Launch {
            folder: &self.folder,
            programs: &self.programs,
            account: &self.account,
            is_kept: self.options.is_kept,
            port: self.port,
        };
        self.running = Some(launch.run()?);
        Ok(())
    }

    fn remove_folder(&self) -> Result<(), Error> {
        if self.options.is_kept { Ok(()) } else { self.folder.remove() }
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        let ended = self.end(Ending::Release).and_then(|()| self.remove_folder());
        if let Err(error) = ended {
            tracing::warn!(%error, "the private PostgreSQL server did not end cleanly");
        }
    }
}

/// The folder for temporary files, unless the server's account cannot reach it, as with a
/// `TMPDIR` in root's home.
fn parent_folder(options: &ServerOptions, account: &Account) -> PathBuf {
    let chosen = options.parent.clone().unwrap_or_else(std::env::temp_dir);
    if options.parent.is_none() && !account.can_reach(&chosen) {
        return PathBuf::from("/tmp");
    }
    chosen
}

fn free_port() -> Result<u16, Error> {
    let port = || -> io::Result<u16> {
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
    };
    port().map_err(Error::io("open a port on", Path::new(HOST), "allow local connections"))
}
