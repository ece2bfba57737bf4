//! What makes two configurations of a table mean the same data.

use std::collections::BTreeMap;
use std::fmt;

use migrate_core::{ColumnName, TableRef};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::settings::{
    ColumnPolicy, Fidelity, LoadMode, OnBadRow, SourceKind, TableConfig, ValueSettings,
    WatermarkLow, WatermarkNulls,
};

/// Goes up whenever the same configuration would hash differently.
const VERSION: u32 = 1;

/// Identifies the data of one table; equal for configurations that write the same rows.
///
/// An unfinished run may be continued under a changed configuration as long as the rows that it would
/// write are the same. So exactly what decides the rows is hashed, and nothing else:
///
/// | decides | does not |
/// |---|---|
/// | type and account of the source, its table and `source_filter` | credentials, role, warehouse, addresses, session parameters |
/// | target database, schema and table | host and port of the target: the status of a run lives there already |
/// | load mode, keys, watermarks and their policies | threads, batch sizes, chunking: a stored plan keeps its chunks |
/// | column mapping | `sort_columns`, `disable_index`, `create_table`: the same rows in another way |
/// | `fidelity`, policies of values and columns | `on_bad_row` and its limits, attempts, `on_nonempty`: when to stop, not what to write |
/// | | `snapshot`: the stored plan holds the frozen state; `target_filter`: verification only |
///
/// The text is `v1:` and 64 hexadecimal digits; the number is the version of the algorithm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The text to store and compare.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TableConfig {
    /// Hashes what decides the rows of this table; see [`Fingerprint`] for what that is.
    ///
    /// Secrets are never part of it: keys of registered connectors whose name says that they are
    /// secret are left out too.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::digest(canonical(self).as_bytes());
        let hex = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        Fingerprint(format!("v{VERSION}:{hex}"))
    }
}

/// Fields in a fixed order.
#[derive(Serialize)]
struct Deciding<'c> {
    version: u32,
    source: Source<'c>,
    source_table: &'c TableRef,
    source_filter: Option<&'c str>,
    target: &'c TableRef,
    mode: LoadMode,
    keys: Vec<&'c ColumnName>,
    watermark: Option<Window<'c>>,
    column_mapping: BTreeMap<&'c ColumnName, &'c ColumnName>,
    fidelity: Fidelity,
    /// Always the default: a good row is written the same, and a run that a bad row has stopped goes on
    /// when it may be set aside. It stays so that older hashes stay the same.
    on_bad_row: OnBadRow,
    // Later than the others: absent where nothing is chosen, so that older hashes stay the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<ValueSettings>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    column_policies: BTreeMap<&'c ColumnName, &'c ColumnPolicy>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Source<'c> {
    /// Accounts are case-insensitive host names.
    Snowflake {
        account: String,
    },
    Parquet {
        path: &'c str,
    },
    Registered {
        name: &'c str,
        options: Value,
    },
}

#[derive(Serialize)]
struct Window<'c> {
    source: &'c ColumnName,
    target: &'c ColumnName,
    low: WatermarkLow,
    nulls: Option<WatermarkNulls>,
    overlap_seconds: u64,
}

fn canonical(table: &TableConfig) -> String {
    let mode = table.load_mode();
    let mut keys: Vec<_> = table.uniqueness_columns.iter().collect();
    // The order of key columns does not matter, and a full load does not look at them.
    keys.sort_unstable();
    keys.retain(|_| !mode.is_full_load());
    let values = table.settings.values;
    let is_own = |own: &ColumnPolicy| own.offset_column.is_some() || own.values != values;
    let deciding = Deciding {
        version: VERSION,
        source: match &table.source_kind {
            SourceKind::Snowflake { account, .. } => {
                Source::Snowflake { account: account.to_ascii_lowercase() }
            }
            SourceKind::Parquet { path } => Source::Parquet { path },
            SourceKind::Registered { name, options } => {
                Source::Registered { name, options: sorted(options.without_secrets()) }
            }
        },
        source_table: &table.source,
        source_filter: table.source_filter.as_deref(),
        target: &table.target,
        mode,
        keys,
        watermark: table.watermark.as_ref().map(|watermark| Window {
            source: &watermark.source,
            target: &watermark.target,
            low: watermark.low,
            nulls: table.watermark_nulls(),
            overlap_seconds: watermark.overlap.as_secs(),
        }),
        column_mapping: table.column_mapping.iter().filter(|(from, to)| from != to).collect(),
        fidelity: table.settings.fidelity,
        on_bad_row: OnBadRow::Fail,
        values: Some(values).filter(|values| *values != ValueSettings::default()),
        column_policies: table.column_policies.iter().filter(|(_, own)| is_own(own)).collect(),
    };
    serde_json::to_string(&deciding).expect("invariant: texts and numbers under text keys")
}

/// Sorts keys, whatever order the JSON library keeps them in.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<_, _> =
                map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
