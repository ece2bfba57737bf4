//! A server in a container, for machines that have a Docker daemon and no PostgreSQL.
//!
//! The last resort: it needs a daemon and a registry, cannot be restarted on its port, and a
//! killed process leaves its container behind.

use std::fmt;
use std::thread;

use testcontainers::core::wait::LogWaitStrategy;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, ContainerRequest, GenericImage, ImageExt};

use crate::error::Error;
use crate::options::ServerOptions;
use crate::quoting::shell_word;
use crate::version::Version;

const IMAGE: &str = "postgres";
/// Supported by the image's authors until late 2029.
const TAG: &str = "17";
const IMAGE_WITH_TAG: &str = "postgres:17";
const PORT: u16 = 5432;
/// The image starts the server twice: first for itself alone, to set it up.
const READY: &str = "database system is ready to accept connections";
const READY_TIMES: usize = 2;

/// Gets the image, which also shows whether a daemon answers; a Docker program on the search path
/// proves nothing.
pub(crate) fn pull() -> Result<(&'static str, Version), String> {
    let version = Version::from_number(TAG).ok_or("the image's tag is no version")?;
    on_own_thread(|| image().pull_image().map(drop)).map_err(|error| error.to_string())?;
    Ok((IMAGE_WITH_TAG, version))
}

fn image() -> GenericImage {
    GenericImage::new(IMAGE, TAG)
        .with_exposed_port(PORT.tcp())
        .with_wait_for(WaitFor::log(LogWaitStrategy::stderr(READY).with_times(READY_TIMES)))
}

/// A container that runs until this value is dropped.
pub(crate) struct DockerServer {
    container: Option<Container<GenericImage>>,
    id: String,
    port: u16,
}

impl DockerServer {
    pub(crate) fn start(options: &ServerOptions) -> Result<Self, Error> {
        if options.tls.is_some() {
            return Err(Error::Container { operation: "use TLS files" });
        }
        let request = request(options);
        let failed = |source| Error::Docker { action: "start a container", source };
        let (container, port) = on_own_thread(|| {
            let container = request.start()?;
            let port = container.get_host_port_ipv4(PORT.tcp())?;
            Ok((container, port))
        })
        .map_err(failed)?;
        Ok(Self { id: container.id().to_owned(), container: Some(container), port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn psql_line(&self, user: &str, database: &str) -> String {
        format!("docker exec -it {} psql -U {user} {}", self.id, shell_word(database))
    }

    pub(crate) fn log_tail(&self) -> String {
        let Some(container) = &self.container else { return String::new() };
        match on_own_thread(|| container.stderr_to_vec()) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => format!("(the log cannot be read: {error})"),
        }
    }

    pub(crate) fn stop(mut self) -> Result<(), Error> {
        let failed = |source| Error::Docker { action: "remove the container", source };
        match self.container.take() {
            Some(container) => on_own_thread(|| container.rm()).map_err(failed),
            None => Ok(()),
        }
    }

    /// Leaves the container to the user and gives the line that removes it.
    pub(crate) fn detach(mut self) -> String {
        // Only dropping would remove the container; its handle is all that is lost.
        if let Some(container) = self.container.take() {
            std::mem::forget(container);
        }
        format!("docker rm --force --volumes {}", self.id)
    }
}

impl Drop for DockerServer {
    fn drop(&mut self) {
        if let Some(container) = self.container.take() {
            on_own_thread(|| drop(container));
        }
    }
}

impl fmt::Debug for DockerServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DockerServer").field("id", &self.id).finish_non_exhaustive()
    }
}

fn request(options: &ServerOptions) -> ContainerRequest<GenericImage> {
    let mut settings: Vec<String> = vec!["timezone=UTC".to_owned(), "log_timezone=UTC".to_owned()];
    if !options.is_durable {
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            settings.push(format!("{name}=off"));
        }
    }
    settings.extend(options.settings.iter().map(|(name, value)| format!("{name}={value}")));
    let arguments = settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]);
    image()
        .with_env_var("POSTGRES_HOST_AUTH_METHOD", "trust")
        .with_env_var("POSTGRES_INITDB_ARGS", "-E UTF8 --no-locale --no-sync")
        .with_cmd(std::iter::once("postgres".to_owned()).chain(arguments))
}

/// Runs the work on a thread of its own: testcontainers blocks on a runtime, which panics on a
/// thread that belongs to another one.
fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let handle = scope.spawn(work);
        handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_reach_the_server_as_arguments() {
        let request = request(&ServerOptions::new().setting("max_connections", "7"));
        let arguments: Vec<_> = request.cmd().collect();
        assert!(arguments.iter().any(|argument| argument == "max_connections=7"));
        assert!(arguments.iter().any(|argument| argument == "fsync=off"));
    }

    #[test]
    fn the_image_is_of_a_supported_version() {
        assert!(Version::from_number(TAG).is_some_and(|version| version.is_supported()));
        assert_eq!(IMAGE_WITH_TAG, format!("{IMAGE}:{TAG}"));
    }
}
