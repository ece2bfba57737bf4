//! One table of a configuration as a job.

use std::num::NonZeroU32;
use std::sync::Arc;

use migrate_config::{
    ChunkingColumn, CreateTable, DeclaredType, Fidelity, LoadMode, OnBadRow, OnFraction,
    OnNonempty, OnNonjson, OnNul, SnapshotPolicy, TableConfig, ValueSettings,
};
use migrate_core::{
    self as core, ChunkingStrategy, ColumnChoices, Dialect, Predicate, Result, ValuePolicy,
    WriteMode,
};
use serde_json::Value;

use super::Registry;
use crate::chunk_column::{ChunkColumn, DeclaredKind};
use crate::job::{self, BadRowPolicy, CreationPolicy, FidelityPolicy, NonemptyPolicy, TableJob};
use crate::window::{Watermark, WatermarkLow, WatermarkNulls};

/// What the configuration says of one table, without its components.
pub(super) fn job(table: &TableConfig, registry: &Registry) -> Result<TableJob> {
    let settings = &table.settings;
    let mut job = TableJob::copy(table.source.clone(), table.target.clone());
    job.source_name.clone_from(&table.source_name);
    job.columns = columns(table);
    job.creation = match settings.create_table {
        CreateTable::IfMissing => CreationPolicy::IfMissing,
        _ => CreationPolicy::Never,
    };
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
    job.strategy = Some(strategy(table, registry)?);
    job.bad_rows = match settings.on_bad_row {
        OnBadRow::Quarantine => BadRowPolicy::Quarantine {
            most_rows: settings.max_bad_rows,
            most_fraction: settings.max_bad_fraction,
        },
        _ => BadRowPolicy::Fail,
    };
    job.chunk_columns = table.chunking_columns.iter().map(chunk_column).collect();
    job.chunk_fallback = table.watermark.as_ref().map(|watermark| watermark.source.clone());
    job.order.clone_from(&table.sort_columns);
    job.chunk_rows = match job.mode {
        WriteMode::Copy => settings.batch_size_copy_mode.or(settings.batch_size),
        _ => settings.batch_size,
    };
    job.max_workers = settings.parallel_threads.map(NonZeroU32::from);
    job.max_attempts = settings.max_retry_attempts;
    job.fingerprint = Some(table.fingerprint().as_str().to_owned());
    Ok(job)
}

/// The strategy that the configuration names, with its options.
///
/// # Errors
///
/// `Config` for a name that nobody registered, and for wrong options, with the place.
pub(super) fn strategy(
    table: &TableConfig,
    registry: &Registry,
) -> Result<Arc<dyn ChunkingStrategy>> {
    let (strategy, options) = match &table.settings.chunking {
        Some(chunking) => {
            let options = Value::Object(chunking.options.values().clone());
            (chunking.strategy.as_str(), Some(options))
        }
        None => ("auto", None),
    };
    let built = registry.strategies().build(strategy, options);
    built.map_err(|error| error.with("at", &table.path))
}

/// Names and policies of columns.
fn columns(table: &TableConfig) -> ColumnChoices {
    let all = policy(table.settings.values);
    let own = table.column_policies.iter();
    ColumnChoices {
        renamed: table.column_mapping.clone(),
        policy: all,
        policies: own.clone().map(|(name, own)| (name.clone(), policy(own.values))).collect(),
        offset_columns: own
            .filter_map(|(name, own)| Some((name.clone(), own.offset_column.clone()?)))
            .collect(),
    }
}

fn policy(values: ValueSettings) -> ValuePolicy {
    let mut policy = ValuePolicy::default();
    policy.on_fraction = values.on_fraction.and_then(|word| match word {
        OnFraction::Truncate => Some(core::OnFraction::Truncate),
        OnFraction::Round => Some(core::OnFraction::Round),
        OnFraction::Reject => Some(core::OnFraction::Reject),
        _ => None,
    });
    policy.on_nul = match values.on_nul {
        OnNul::Remove => core::OnNul::Remove,
        OnNul::Replace => core::OnNul::Replace,
        _ => core::OnNul::Reject,
    };
    policy.on_nonjson = match values.on_nonjson {
        OnNonjson::Null => core::OnNonjson::Null,
        OnNonjson::Text => core::OnNonjson::Text,
        _ => core::OnNonjson::Reject,
    };
    policy
}

fn chunk_column(column: &ChunkingColumn) -> ChunkColumn {
    let chunk_column = ChunkColumn::from(column.name.clone());
    match column.declared {
        Some(declared) => chunk_column.declared_as(declared.as_str(), kind(declared)),
        None => chunk_column,
    }
}

/// What the word means.
fn kind(declared: DeclaredType) -> DeclaredKind {
    match declared {
        DeclaredType::Int | DeclaredType::Bigint | DeclaredType::Integer => DeclaredKind::Integer,
        DeclaredType::Number | DeclaredType::Numeric | DeclaredType::Decimal => {
            DeclaredKind::Number
        }
        DeclaredType::VarcharNumeric => DeclaredKind::NumberInText,
        DeclaredType::Uuid => DeclaredKind::Uuid,
        DeclaredType::Varchar | DeclaredType::String | DeclaredType::Text | DeclaredType::Char => {
            DeclaredKind::Text
        }
        DeclaredType::Date => DeclaredKind::Date,
        DeclaredType::TimestampNtz => DeclaredKind::Timestamp,
        DeclaredType::TimestampLtz => DeclaredKind::Instant,
        DeclaredType::TimestampTz => DeclaredKind::OffsetTimestamp,
        // `TIMESTAMP` and `DATETIME` mean what the account says they mean.
        _ => DeclaredKind::AnyTimestamp,
    }
}
