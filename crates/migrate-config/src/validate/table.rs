//! One entry of `tables`.

use migrate_core::{Dialect, TableRef, check_filter};

use crate::defaults;
use crate::reader::{Item, Reader, Spot};
use crate::settings::{OnBadRow, Replace, SourceKind, TableConfig};
use crate::validate::keys;
use crate::validate::limits::Inherited;
use crate::validate::unknown::{self, Place};

/// What a table gets from its source.
pub(super) struct Surroundings<'c> {
    pub(super) source_name: &'c str,
    pub(super) source_kind: &'c SourceKind,
    /// Database and schema of the target, as far as there are any.
    pub(super) target: (Option<&'c str>, Option<&'c str>),
    /// How target names are written; `None` where they are exact.
    pub(super) target_dialect: Option<Dialect>,
    pub(super) inherited: &'c Inherited,
}

/// A table and the place to complain about it.
pub(super) struct Draft<'d> {
    pub(super) spot: Spot<'d>,
    pub(super) table: TableConfig,
}

/// Reads one table.
pub(super) fn read<'d>(reader: &Reader<'d>, around: &Surroundings<'_>) -> Option<Draft<'d>> {
    let draft = fields(reader, around);
    reader.finish(unknown::hint(Place::Table));
    draft
}

fn fields<'d>(reader: &Reader<'d>, around: &Surroundings<'_>) -> Option<Draft<'d>> {
    let own = Inherited::read(reader);
    check_own(reader, &own, around.inherited);
    let inherited = own.over(around.inherited);
    let source =
        reader.require("source", "\"TABLE\"").and_then(|item| source(&item, around.source_kind));
    let target =
        reader.require("target", "\"table\"").and_then(|item| name(&item, around.target_dialect));
    let source_dialect =
        matches!(around.source_kind, SourceKind::Snowflake { .. }).then_some(Dialect::Snowflake);
    let source_filter = reader.take("source_filter").and_then(|item| filter(&item, source_dialect));
    let target_filter =
        reader.take("target_filter").and_then(|item| filter(&item, around.target_dialect));
    let columns = keys::columns(reader, &inherited);
    let (database, schema) = around.target;
    let mut table = TableConfig {
        path: reader.path().to_owned(),
        source_name: around.source_name.to_owned(),
        source_kind: around.source_kind.clone(),
        source: source?,
        target: TableRef {
            database: database.map(str::to_owned),
            schema: schema.map(str::to_owned),
            name: target?,
        },
        source_filter,
        target_filter,
        chunking_columns: columns.chunking,
        uniqueness_columns: columns.uniqueness,
        sort_columns: columns.sort,
        watermark: columns.watermark,
        column_mapping: columns.mapping,
        column_policies: columns.policies,
        settings: inherited.settings(),
    };
    settle_full_load(reader, &mut table);
    Some(Draft { spot: reader.at("target"), table })
}

fn source(item: &Item<'_>, kind: &SourceKind) -> Option<TableRef> {
    Some(match kind {
        SourceKind::Snowflake { database, schema, .. } => {
            TableRef::qualified(database, schema, item.identifier(Dialect::Snowflake)?)
        }
        SourceKind::Parquet { .. } | SourceKind::Registered { .. } => TableRef::bare(item.text()?),
    })
}

/// A name in the case of its system, or exact.
pub(super) fn name(item: &Item<'_>, dialect: Option<Dialect>) -> Option<String> {
    match dialect {
        Some(dialect) => item.identifier(dialect),
        None => item.text(),
    }
}

/// One closed condition; one that every row meets is none.
fn filter(item: &Item<'_>, dialect: Option<Dialect>) -> Option<String> {
    let text = item.text()?;
    if let Some(error) = dialect.and_then(|dialect| check_filter(dialect, &text).err()) {
        item.error(error.message().to_owned(), error.hint().unwrap_or_default().to_owned());
        return None;
    }
    let bare: String = text.chars().filter(|c| !c.is_whitespace() && !"()".contains(*c)).collect();
    let is_always_true = bare == "1=1" || bare.eq_ignore_ascii_case("true");
    (!is_always_true).then(|| text.trim().to_owned())
}

/// Keys that say nothing without another one. Only those of the table itself: an inherited value is
/// meant for the tables that it fits.
fn check_own(reader: &Reader<'_>, own: &Inherited, outer: &Inherited) {
    let idle = |is_set: bool, key: &str, why: &str, hint: &str| {
        if is_set {
            reader.at(key).warning(format!("\"{key}\" has no effect {why}"), hint);
        }
    };
    let on_bad_row = own.on_bad_row.or(outer.on_bad_row).unwrap_or(defaults::ON_BAD_ROW);
    if on_bad_row == OnBadRow::Fail {
        let why = "because the first bad row fails the chunk";
        let hint = "set \"on_bad_row\": \"quarantine\", or remove the limit";
        idle(own.max_bad_rows.is_some(), "max_bad_rows", why, hint);
        idle(own.max_bad_fraction.is_some(), "max_bad_fraction", why, hint);
    }
    if !reader.has("source_watermark") && !reader.has("target_watermark") {
        let why = "without watermarks";
        let hint = "set \"source_watermark\" and \"target_watermark\", or remove it";
        idle(own.watermark_low.is_some(), "watermark_low", why, hint);
        idle(own.watermark_nulls.is_some(), "watermark_nulls", why, hint);
        idle(own.watermark_overlap.is_some(), "watermark_overlap_seconds", why, hint);
    }
}

/// Truncation and replacement load everything: watermarks and keys play no part.
fn settle_full_load(reader: &Reader<'_>, table: &mut TableConfig) {
    if !table.load_mode().is_full_load() {
        return;
    }
    let is_replaced = table.settings.replace == Replace::Atomic;
    let key = if is_replaced { "replace" } else { "truncate_onstart" };
    if table.watermark.take().is_some() || !table.uniqueness_columns.is_empty() {
        reader.at(key).note(
            format!(
                "With {key} all rows are loaded; watermarks and uniqueness_columns play no part"
            ),
            format!("for incremental loads remove {key}"),
        );
    }
    if is_replaced && table.settings.truncate_onstart {
        reader.at(key).note(
            "The table is replaced in one step and not truncated first",
            "remove truncate_onstart, or set \"replace\": \"off\"",
        );
    }
}
