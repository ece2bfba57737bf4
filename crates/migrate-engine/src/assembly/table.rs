//! One table of a configuration as a job.

use std::num::NonZeroU32;

use migrate_config::{
    CreateTable, Fidelity, LoadMode, OnBadRow, OnNonempty, SnapshotPolicy, TableConfig,
};
use migrate_core::{Dialect, Predicate, Result, WriteMode};
use serde_json::Value;

use super::Registry;
use crate::job::{self, FidelityPolicy, NonemptyPolicy, TableJob};
use crate::window::{Watermark, WatermarkLow, WatermarkNulls};

/// What the configuration says of one table, without its components.
pub(super) fn job(table: &TableConfig, registry: &Registry) -> Result<TableJob> {
    let settings = &table.settings;
    let mut job = TableJob::copy(table.source.clone(), table.target.clone());
    job.source_name.clone_from(&table.source_name);
    job.renamed.clone_from(&table.column_mapping);
    if let Some(sql) = &table.source_filter {
        job.filter = Predicate::Raw { dialect: Dialect::Snowflake, sql: sql.clone() };
    }
    let keys = table.uniqueness_columns.clone();
    let version = table.watermark.as_ref().map(|watermark| watermark.target.clone());
    match table.load_mode() {
        LoadMode::Truncate => job.truncate = true,
        LoadMode::InsertOnly => job.mode = WriteMode::InsertOnly { keys, version },
        LoadMode::Replace => job.mode = WriteMode::Replace { keys: Vec::new() },
        LoadMode::Upsert => job.mode = WriteMode::Upsert { keys, version },
        // Appending is what a job does.
        _ => {}
    }
    job.watermark = table.watermark.as_ref().map(|watermark| Watermark {
        source: watermark.source.clone(),
        target: watermark.target.clone(),
        low: match watermark.low {
            migrate_config::WatermarkLow::Target => WatermarkLow::Target,
            _ => WatermarkLow::LastWindow,
        },
        nulls: match table.watermark_nulls() {
            Some(migrate_config::WatermarkNulls::Always) => WatermarkNulls::Always,
            Some(migrate_config::WatermarkNulls::Never) => WatermarkNulls::Never,
            _ => WatermarkNulls::FirstLoad,
        },
        overlap: watermark.overlap,
    });
    job.sets_aside = settings.disable_index;
    job.on_nonempty = match settings.on_nonempty {
        OnNonempty::Append => NonemptyPolicy::Append,
        _ => NonemptyPolicy::Refuse,
    };
    job.snapshot = match settings.snapshot {
        SnapshotPolicy::Require => job::SnapshotPolicy::Require,
        SnapshotPolicy::Off => job::SnapshotPolicy::Off,
        _ => job::SnapshotPolicy::Prefer,
    };
    job.fidelity = match settings.fidelity {
        Fidelity::Warn => FidelityPolicy::Warn,
        _ => FidelityPolicy::Strict,
    };
    let (strategy, options) = match &settings.chunking {
        Some(chunking) => {
            let options = Value::Object(chunking.options.values().clone());
            (chunking.strategy.as_str(), Some(options))
        }
        None => ("auto", None),
    };
    job.strategy = Some(
        registry.strategies().build(strategy, options).map_err(|e| e.with("at", &table.path))?,
    );
    job.chunk_keys = table.chunking_columns.iter().map(|column| column.name.clone()).collect();
    job.chunk_rows = match job.mode {
        WriteMode::Copy => settings.batch_size_copy_mode.or(settings.batch_size),
        _ => settings.batch_size,
    };
    job.max_workers = settings.parallel_threads.map(NonZeroU32::from);
    job.max_attempts = settings.max_retry_attempts;
    job.fingerprint = Some(table.fingerprint().as_str().to_owned());
    job.missing_features = missing_features(table);
    Ok(job)
}

/// What the configuration asks for and this version does not have.
fn missing_features(table: &TableConfig) -> Vec<String> {
    let settings = &table.settings;
    let asked = [
        (settings.create_table == CreateTable::IfMissing, "create_table"),
        (settings.on_bad_row == OnBadRow::Quarantine, "on_bad_row"),
        (!table.sort_columns.is_empty(), "sort_columns"),
        (table.chunking_columns.len() > 1, "chunking_columns with several columns"),
    ];
    asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, name)| name.to_owned()).collect()
}
