//! What can be typed. Parsing does no I/O.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use migrate_core::{Error, ErrorKind, Result, Resume, RunId};
use uuid::Uuid;

/// Moves tables from Snowflake to PostgreSQL: exactly once, resumable, as fast as COPY.
#[derive(Debug, Parser)]
#[command(name = "migrate", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) run: RunArguments,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE", default_value = "config.json")]
    pub(crate) config: PathBuf,
    /// File with environment variables; the environment itself wins [default: .env, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Only this source, by its `source_name`; may be given several times
    #[arg(long = "source", global = true, value_name = "NAME")]
    pub(crate) sources: Vec<String>,
    /// How much is said on stderr
    #[arg(long, global = true, value_name = "LEVEL", default_value = "INFO", ignore_case = true)]
    pub(crate) log_level: LogLevel,
}

/// A week.
const MAX_AGE_HOURS: u64 = 168;

/// What a run takes.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Plan and check everything, and touch no data; the same as `migrate plan`
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Start anew instead of going on with an unfinished run
    #[arg(long, global = true)]
    pub(crate) no_resume: bool,
    /// Go on only with runs whose last sign of life is at most this old, in hours
    #[arg(long, global = true, value_name = "HOURS", default_value_t = MAX_AGE_HOURS)]
    pub(crate) resume_max_age: u64,
    /// Stop cleanly after this time, as in 13m or 1h30m; the same command goes on later
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) deadline: Option<Duration>,
    /// Go on with exactly this run, whatever its age
    #[arg(long, global = true, value_name = "RUN", conflicts_with = "no_resume")]
    pub(crate) resume_run_id: Option<Uuid>,
}

impl RunArguments {
    /// Refuses what a command would not heed.
    ///
    /// # Errors
    ///
    /// `Config`, with the first option that means nothing to the command.
    pub(crate) fn fit(&self, command: Option<&Command>) -> Result<()> {
        let (name, heeded): (&str, &[&str]) = match command {
            None | Some(Command::Run) => return Ok(()),
            Some(Command::Plan(_)) => {
                ("plan", &["--dry-run", "--no-resume", "--resume-max-age", "--resume-run-id"])
            }
            Some(Command::Worker(_)) => ("worker", &["--deadline"]),
            Some(Command::Ddl) => ("ddl", &["--dry-run"]),
            Some(Command::Validate) => ("validate", &["--dry-run"]),
            Some(Command::Repair) => ("repair", &[]),
            Some(Command::RetryRejects(_)) => ("retry-rejects", &[]),
            #[cfg(feature = "demo")]
            Some(Command::Demo(_)) => ("demo", &[]),
        };
        let given = [
            ("--dry-run", self.dry_run),
            ("--no-resume", self.no_resume),
            ("--resume-max-age", self.resume_max_age != MAX_AGE_HOURS),
            ("--deadline", self.deadline.is_some()),
            ("--resume-run-id", self.resume_run_id.is_some()),
        ];
        match given.iter().find(|(option, is_given)| *is_given && !heeded.contains(option)) {
            None => Ok(()),
            Some((option, _)) => {
                let text = format!("`migrate {name}` does not heed {option}");
                let hint = format!("nothing has been done; leave {option} out to do it");
                Err(Error::new(ErrorKind::Config, text).with_hint(hint))
            }
        }
    }

    pub(crate) fn resume(&self) -> Resume {
        match (self.no_resume, self.resume_run_id) {
            (true, _) => Resume::Never,
            (false, Some(run)) => Resume::Run(RunId(run)),
            (false, None) => Resume::Auto { max_age: Duration::from_hours(self.resume_max_age) },
        }
    }
}

/// The commands; `run` where none is given.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy all enabled tables, going on where an earlier run stopped (the default)
    Run,
    /// Help with a run that another process has begun, here or on another machine
    Worker(WorkerArguments),
    /// Connect, check and show what a run would do; touch no data
    Plan(PlanArguments),
    /// Print the statements that create the target tables; write nothing
    Ddl,
    /// Bring back indexes, constraints and triggers that a dead run left set aside; load nothing
    Repair,
    /// Load rows again that were set aside, after the target or the rows have been mended
    RetryRejects(RetryArguments),
    /// Check the configuration; connect to nothing
    Validate,
    /// Copy five real tables from a stand-in for Snowflake into a private PostgreSQL
    #[cfg(feature = "demo")]
    Demo(DemoArguments),
}

/// What a plan takes.
#[derive(Debug, Default, Args)]
pub(crate) struct PlanArguments {
    /// Show every chunk instead of the first ones
    #[arg(long)]
    pub(crate) all_chunks: bool,
}

/// What a helper takes.
#[derive(Debug, Args)]
pub(crate) struct WorkerArguments {
    /// The run to help with; the first process tells it, and so does the status table
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Uuid,
}

/// What loading rows again takes.
#[derive(Debug, Default, Args)]
pub(crate) struct RetryArguments {
    /// Only rows that this run has set aside
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<Uuid>,
}

/// What the demo takes.
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Leave both servers running until Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
}

/// The levels that the users know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warning,
    Error,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_users_typed_before_still_works() {
        let typed = [
            "migrate",
            "--config",
            "my.json",
            "--env-file",
            ".env.prod",
            "--log-level",
            "debug",
            "--dry-run",
        ];
        let arguments = Arguments::try_parse_from(typed).expect("valid");
        assert_eq!(arguments.common.config, PathBuf::from("my.json"));
        assert_eq!(arguments.common.env_file, Some(PathBuf::from(".env.prod")));
        assert_eq!(arguments.common.log_level, LogLevel::Debug);
        assert!(arguments.run.dry_run && arguments.command.is_none());
    }

    #[test]
    fn a_time_budget_is_typed_as_people_write_it() {
        for (typed, seconds) in [("13m", 780), ("1h30m", 5400), ("90s", 90), ("1h 5s", 3605)] {
            let arguments = Arguments::try_parse_from(["migrate", "run", "--deadline", typed]);
            let deadline = arguments.expect("valid").run.deadline;
            assert_eq!(deadline, Some(Duration::from_secs(seconds)), "{typed}");
        }
        let refused =
            Arguments::try_parse_from(["migrate", "--deadline", "13"]).expect_err("no unit");
        assert!(refused.to_string().contains("--deadline"), "{refused}");
    }

    #[test]
    fn options_may_stand_before_or_after_the_command() {
        for typed in [["migrate", "--no-resume", "run"], ["migrate", "run", "--no-resume"]] {
            let arguments = Arguments::try_parse_from(typed).expect("valid");
            assert_eq!(arguments.run.resume(), Resume::Never);
        }
    }

    #[test]
    fn what_a_command_would_not_heed_is_refused() {
        let fits = |typed: &str| {
            let parsed = Arguments::try_parse_from(typed.split_whitespace()).expect("parses");
            parsed.run.fit(parsed.command.as_ref()).map_err(|error| error.report().to_string())
        };
        for typed in [
            "migrate --dry-run --deadline 13m --resume-max-age 3",
            "migrate plan --no-resume",
            "migrate worker --run 5f0c8f0e-52ad-4a8a-b7c5-7a4b2c1c9b5e --deadline 13m",
        ] {
            fits(typed).expect(typed);
        }
        for (typed, option) in [
            ("migrate repair --dry-run", "--dry-run"),
            ("migrate retry-rejects --dry-run", "--dry-run"),
            ("migrate plan --deadline 13m", "--deadline"),
            (
                "migrate worker --run 5f0c8f0e-52ad-4a8a-b7c5-7a4b2c1c9b5e --no-resume",
                "--no-resume",
            ),
        ] {
            let refused = fits(typed).expect_err(typed);
            assert!(refused.contains(&format!("leave {option} out")), "{refused}");
        }
    }
}
