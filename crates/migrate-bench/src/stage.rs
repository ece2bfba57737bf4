//! The server, the files and the configurations of a benchmark.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use postgres_sandbox::{Installation, Search, Server, ServerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::data;
use crate::measure::{Cost, measure};

/// A server with settings as in production, and a folder.
pub(crate) struct Stage {
    program: PathBuf,
    server: Server,
    folder: TempDir,
}

impl Stage {
    pub(crate) fn set(program: &Path) -> Result<Self, Box<dyn Error>> {
        let program = program.canonicalize().map_err(|cause| {
            format!("{}: {cause}; fix: cargo build --release", program.display())
        })?;
        let installation = Installation::find(&Search::new())?;
        let options = ServerOptions::new()
            .durable(true)
            .setting("shared_buffers", "1GB")
            .setting("max_wal_size", "8GB")
            .setting("checkpoint_timeout", "30min")
            .setting("autovacuum", "off");
        let server = Server::start(&installation, options)?;
        Ok(Self { program, server, folder: TempDir::with_prefix("migrate-bench-")? })
    }

    /// Machine, server and commit.
    pub(crate) fn header(&self) -> String {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let commit = Command::new("git").args(["describe", "--always", "--dirty"]).output();
        let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        format!(
            "{cores} cores, PostgreSQL {}, commit {}",
            self.server.installation().version(),
            commit.unwrap_or_default()
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn client(&self, script: &str) -> Result<Command, Box<dyn Error>> {
        let mut psql = Command::new(self.server.bin("psql")?);
        psql.current_dir(self.folder.path())
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(self.server.url("postgres"));
        for line in script.lines() {
            psql.args(["-c", line]);
        }
        Ok(psql)
    }

    /// Runs lines in one session and measures the client.
    pub(crate) fn psql(&self, script: &str) -> Result<Cost, Box<dyn Error>> {
        measure(&mut self.client(script)?)
    }

    pub(crate) fn sql(&self, statements: &str) -> Result<(), Box<dyn Error>> {
        let lines = statements.split("; ").collect::<Vec<_>>().join("\n");
        self.psql(&lines).map(|_cost| ())
    }

    /// The one value of a query.
    pub(crate) fn value(&self, query: &str) -> Result<String, Box<dyn Error>> {
        let output = self.client(query)?.output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    pub(crate) fn create(&self, table: &str) -> Result<(), Box<dyn Error>> {
        self.sql(&format!("create table {table} ({})", data::COLUMNS))
    }

    /// Makes the Parquet file of a table.
    pub(crate) fn write(&self, table: &str, rows: u64, version: u64) -> Result<(), Box<dyn Error>> {
        data::write(&self.path(&format!("{table}.parquet")), rows, version)
    }

    /// Writes the rows of a table into a file that psql can copy.
    pub(crate) fn dump(&self, table: &str) -> Result<(), Box<dyn Error>> {
        self.psql(&format!("\\copy {table} to '{table}.bin' (format binary)")).map(|_cost| ())
    }

    pub(crate) fn configure(&self, table: &str, keys: Value) -> Result<PathBuf, Box<dyn Error>> {
        self.configure_as(table, table, keys)
    }

    /// A configuration of one table with these keys.
    pub(crate) fn configure_as(
        &self,
        file: &str,
        target: &str,
        mut keys: Value,
    ) -> Result<PathBuf, Box<dyn Error>> {
        if let Some(keys) = keys.as_object_mut() {
            keys.insert("source".into(), json!(format!("{file}.parquet")));
            keys.insert("target".into(), json!(target));
        }
        let config = json!({
            "postgres": {
                "host": self.server.host(), "port": self.server.port(), "user": self.server.user(),
            },
            "sources": [{
                "source_name": "bench", "type": "parquet", "path": self.folder.path(),
                "target_pg_database": "postgres", "target_pg_schema": "public", "tables": [keys],
            }],
        });
        let path = self.path(&format!("{file}-{target}.json"));
        std::fs::write(&path, config.to_string())?;
        Ok(path)
    }

    pub(crate) fn migrate(&self, config: &Path) -> Result<Cost, Box<dyn Error>> {
        measure(Command::new(&self.program).arg("--config").arg(config).arg("--no-resume"))
    }

    pub(crate) fn clear(self) -> Result<(), Box<dyn Error>> {
        self.server.stop()?;
        Ok(())
    }
}

/// The statements of an upsert, as somebody would type them.
pub(crate) fn merge_script(target: &str, file: &str) -> String {
    let names = data::COLUMNS.split(", ").filter_map(|column| column.split(' ').next());
    let others: Vec<&str> = names.filter(|name| *name != "id").collect();
    let each =
        |of: &str| others.iter().map(|name| format!("{of}.{name}")).collect::<Vec<_>>().join(", ");
    let set: Vec<_> = others.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    format!(
        "begin\n\
         set local work_mem = '64MB'\n\
         create temporary table staged on commit delete rows as table {target} with no data\n\
         \\copy staged from '{file}.bin' (format binary)\n\
         insert into {target} as t select * from staged order by id on conflict (id) do update \
         set {} where row({})::record *<> row({})::record\n\
         commit",
        set.join(", "),
        each("t"),
        each("excluded"),
    )
}
