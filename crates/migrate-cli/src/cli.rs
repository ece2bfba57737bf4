//! The program around the commands.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use migrate_core::{ChunkingStrategy, Deadline, Error, ErrorKind, Result, RunContext};
use migrate_engine::assembly::Registry;
use serde::de::DeserializeOwned;

use crate::args::{Arguments, Command, PlanArguments};
use crate::command::{self, Invocation};
use crate::exit::Exit;
use crate::narrate::Narrator;
use crate::{logging, signal};

/// The command line with all commands. Add what a configuration may name, then [`run`](Self::run).
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Cli {
    registry: Registry,
}

impl Cli {
    /// Knows what is built in.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a chunking strategy.
    pub fn strategy<S>(mut self, name: &str) -> Self
    where
        S: ChunkingStrategy + DeserializeOwned + 'static,
    {
        self.registry = self.registry.strategy::<S>(name);
        self
    }

    /// Replaces everything that a configuration may name: strategies, sources, sinks, stores.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Reads the arguments of the process, does what they say, and returns the exit code.
    pub fn run(self) -> ExitCode {
        let arguments = Arguments::parse();
        logging::start(arguments.common.log_level);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let exit = match runtime {
            Ok(runtime) => runtime.block_on(Box::pin(self.execute(arguments))),
            Err(cause) => {
                let error = Error::new(ErrorKind::ResourceExhausted, "Threads cannot be started")
                    .with_hint("raise the limit of processes for this user")
                    .with_source(cause);
                failed(&error)
            }
        };
        exit.into()
    }

    async fn execute(self, arguments: Arguments) -> Exit {
        let mut cx = RunContext::new().with_observer(Arc::new(Narrator::default()));
        cx.deadline = arguments.run.deadline.map(Deadline::within);
        let stop = signal::second_signal(cx.cancel.clone());
        tokio::select! {
            biased; // The first poll catches the signals before anything begins.
            () = stop => Exit::Interrupted,
            ended = self.command(arguments, &cx) => ended.unwrap_or_else(|error| failed(&error)),
        }
    }

    async fn command(self, arguments: Arguments, cx: &RunContext) -> Result<Exit> {
        let Arguments { common, run, command } = arguments;
        run.fit(command.as_ref())?;
        let invocation = Invocation { common, run, registry: self.registry };
        match command {
            Some(Command::Ddl) => command::ddl(&invocation, cx).await,
            Some(Command::Validate) => command::validate(&invocation),
            Some(Command::Repair) => command::repair(&invocation, cx).await,
            Some(Command::RetryRejects(retry)) => {
                command::retry_rejects(&invocation, &retry, cx).await
            }
            Some(Command::Worker(worker)) => command::worker(&invocation, &worker, cx).await,
            Some(Command::Plan(plan)) => command::plan(&invocation, &plan, cx).await,
            #[cfg(feature = "demo")]
            Some(Command::Demo(demo)) => command::demo(&invocation, &demo, cx).await,
            None | Some(Command::Run) if invocation.run.dry_run => {
                command::plan(&invocation, &PlanArguments::default(), cx).await
            }
            None | Some(Command::Run) => command::run(&invocation, cx).await,
        }
    }
}

/// Says what went wrong, one line per finding.
fn failed(error: &Error) -> Exit {
    for line in error.report().to_string().lines() {
        tracing::error!("{line}");
    }
    Exit::from(error)
}
