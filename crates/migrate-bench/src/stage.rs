//! The server, the files and the configurations of a benchmark.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use migrate_bench::data;
use postgres_sandbox::{Installation, Search, Server, ServerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use migrate_bench::measure::{Cost, measure};

/// A server with settings as in production, and a folder.
pub(crate) struct Stage {
    program: PathBuf,
    server: Server,
    folder: TempDir,
}

impl Stage {
    pub(crate) fn set(program: &Path) -> Result<Self, Box<dyn Error>> {
        let program = migrate_bench::built(program)?;
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

    /// Of the server.
    pub(crate) fn version(&self) -> String {
        self.server.installation().version().to_string()
    }

    /// The keys of `postgres` in a configuration.
    pub(crate) fn address(&self) -> Value {
        json!({
            "host": self.server.host(), "port": self.server.port(), "user": self.server.user(),
        })
    }

    /// A file of this name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
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

    /// Asks a query that has one answer.
    pub(crate) fn expect(&self, query: &str, wanted: &str) -> Result<(), Box<dyn Error>> {
        let value = self.value(query)?;
        if value == wanted {
            return Ok(());
        }
        Err(format!("{query}: {value} instead of {wanted}").into())
    }

    /// Makes the Parquet file of a table.
    pub(crate) fn write(&self, table: &str, rows: u64, version: u64) -> Result<(), Box<dyn Error>> {
        data::write(&self.path(&format!("{table}.parquet")), rows, version)
    }

    /// Writes the rows of a table into a file that psql can copy.
    pub(crate) fn dump(&self, table: &str) -> Result<(), Box<dyn Error>> {
        self.psql(&format!("\\copy {table} to '{table}.bin' (format binary)")).map(|_cost| ())
    }

    /// A configuration of one table with these keys, from its file.
    pub(crate) fn configure(&self, table: &str, keys: &Value) -> Result<PathBuf, Box<dyn Error>> {
        self.configure_as(table, table, keys)
    }

    /// A configuration of one table with these keys, from a file of another name.
    pub(crate) fn configure_as(
        &self,
        file: &str,
        target: &str,
        keys: &Value,
    ) -> Result<PathBuf, Box<dyn Error>> {
        self.configure_all(&format!("{file}-{target}"), &[(file.into(), target.into())], keys)
    }

    /// A configuration of several tables, from files; all with these keys.
    pub(crate) fn configure_all(
        &self,
        name: &str,
        tables: &[(String, String)],
        keys: &Value,
    ) -> Result<PathBuf, Box<dyn Error>> {
        let tables: Vec<Value> = tables
            .iter()
            .map(|(file, target)| {
                let mut keys = keys.clone();
                if let Some(keys) = keys.as_object_mut() {
                    keys.insert("source".into(), json!(format!("{file}.parquet")));
                    keys.insert("target".into(), json!(target));
                }
                keys
            })
            .collect();
        let config = json!({
            "postgres": self.address(),
            "sources": [{
                "source_name": "bench", "type": "parquet", "path": self.folder.path(),
                "target_pg_database": "postgres", "target_pg_schema": "public", "tables": tables,
            }],
        });
        self.keep_config(name, &config)
    }

    /// Writes a configuration.
    pub(crate) fn keep_config(
        &self,
        name: &str,
        config: &Value,
    ) -> Result<PathBuf, Box<dyn Error>> {
        let path = self.path(&format!("{name}.json"));
        std::fs::write(&path, config.to_string())?;
        Ok(path)
    }

    /// The program with these arguments.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(&self.program);
        program.current_dir(self.folder.path()).args(arguments);
        program
    }

    /// Moves what the configuration says, from the beginning.
    pub(crate) fn migrate(&self, config: &Path) -> Result<Cost, Box<dyn Error>> {
        measure(self.program(&["--no-resume", "--config"]).arg(config))
    }

    pub(crate) fn clear(self) -> Result<(), Box<dyn Error>> {
        self.server.stop()?;
        Ok(())
    }
}
