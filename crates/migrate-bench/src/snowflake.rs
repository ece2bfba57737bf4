//! A stand-in for Snowflake whose answers are made in advance, so that it costs next to nothing.

use std::error::Error;
use std::path::PathBuf;

use serde_json::{Value, json};
use snowflake_double::{ColumnNames, Double, Table, User};

use crate::stage::Stage;

/// Rows of the mixed table in a part of 16 MB, which is the size that the program asks Snowflake for.
const ROWS_PER_PART: usize = 45_000;

const PASSWORD: &str = "only-here";

/// The stand-in with some tables.
pub(crate) struct Snowflake {
    double: Double,
}

impl Snowflake {
    /// Serves the Parquet files of these tables.
    pub(crate) fn start(stage: &Stage, tables: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut double = Double::builder()
            .account("ACME")
            .warehouse("WH")
            .user(User::password("MOVER", PASSWORD));
        for table in tables {
            let name = format!("DB.PUBLIC.{}", table.to_uppercase());
            let file = stage.path(&format!("{table}.parquet"));
            double = double.table(Table::from_parquet(&name, file, ColumnNames::Exact)?);
        }
        // The double brings a runtime of its own; this one only waits for its start.
        let starting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let double = starting.block_on(double.start())?;
        double.knobs().set_chunk_rows(ROWS_PER_PART)?;
        double.knobs().set_kept_results(1_000);
        // Scans; everything else is small. Without time travel their texts are equal in every run.
        double.keep_answers(|sql| sql.starts_with("SELECT \"") && !sql.contains("LIMIT 0"));
        Ok(Self { double })
    }

    /// A configuration that moves these tables with these keys.
    pub(crate) fn configure(
        &self,
        stage: &Stage,
        name: &str,
        tables: &[String],
        keys: &Value,
    ) -> Result<PathBuf, Box<dyn Error>> {
        let tables: Vec<Value> = tables
            .iter()
            .map(|table| json!({"source": table.to_uppercase(), "target": table}))
            .collect();
        let mut config = json!({
            "snowflake": {
                "account": "ACME", "user": "MOVER", "warehouse": "WH", "password": PASSWORD,
                "base_url": self.double.base_url(),
            },
            "postgres": stage.address(),
            "snapshot": "off",
            "sources": [{
                "source_name": "bench",
                "source_sf_database": "DB", "source_sf_schema": "PUBLIC",
                "target_pg_database": "postgres", "target_pg_schema": "public", "tables": tables,
            }],
        });
        if let (Some(config), Some(keys)) = (config.as_object_mut(), keys.as_object()) {
            config.extend(keys.clone());
        }
        stage.keep_config(name, &config)
    }
}
