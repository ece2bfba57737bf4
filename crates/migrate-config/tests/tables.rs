//! What the keys of one table mean.

use std::time::Duration;

use migrate_config::{
    DeclaredType, LoadMode, OnFraction, OnNonjson, OnNul, Severity, WatermarkLow, WatermarkNulls,
};
use migrate_core::ColumnName;
use serde_json::{Value, json};

use crate::support::{base, config, error, notices, table, with, with_table};

fn with_keys(keys: &[(&str, Value)]) -> Value {
    keys.iter().fold(base(), |config, (key, value)| {
        with(config, &format!("/sources/0/tables/0/{key}"), value.clone())
    })
}

#[test]
fn names_of_tables_fold_and_names_of_columns_do_not() {
    let mut odd = with_keys(&[
        ("source", json!("\"multipayer_payer\"")),
        ("target", json!("DimPayer")),
        ("uniqueness_columns", json!(["Payer Id", "payer id"])),
    ]);
    odd["sources"][0]["source_sf_schema"] = json!("bi");
    odd["sources"][0]["target_pg_database"] = json!("\"DWH\"");
    let table = table(&odd);
    assert_eq!(table.source.to_string(), "ANALYTICS.BI.multipayer_payer");
    assert_eq!(table.target.to_string(), "DWH.public.dimpayer");
    assert_eq!(table.uniqueness_columns.len(), 2);
    assert_eq!(config(&odd).notices, []);
}

#[test]
fn a_database_name_that_sql_would_refuse_is_exact() {
    let mut odd = base();
    odd["sources"][0]["target_pg_database"] = json!("Conflict-Management");
    assert_eq!(table(&odd).target.database.as_deref(), Some("Conflict-Management"));
    assert_eq!(config(&odd).notices, []);
}

#[test]
fn filters_that_every_row_meets_are_none() {
    for text in ["1=1", " ( 1 = 1 ) ", "TRUE", "", " "] {
        assert_eq!(table(&with_table("source_filter", json!(text))).source_filter, None, "{text}");
    }
    let filtered = table(&with_table("source_filter", json!(" A = 1 -- why")));
    assert_eq!(filtered.source_filter.as_deref(), Some("A = 1 -- why"));
}

#[test]
fn a_filter_that_could_widen_a_chunk_is_refused() {
    for text in ["1=1) OR (1=1", "a = 'open", "a = 1; drop table t", "-- A = 1", "A = ?"] {
        let issue = error(&with_table("source_filter", json!(text)));
        assert_eq!(issue.path, "sources[0].tables[0].source_filter", "{text}");
    }
}

#[test]
fn hollow_lists_are_none() {
    for hollow in [json!(null), json!([]), json!([null])] {
        let table = table(&with_keys(&[
            ("chunking_columns", hollow.clone()),
            ("chunking_column_types", hollow.clone()),
            ("sort_columns", hollow),
        ]));
        assert!(table.chunking_columns.is_empty() && table.sort_columns.is_empty());
    }
}

#[test]
fn a_chunking_column_that_stands_twice_is_one() {
    let twice = with_keys(&[
        ("chunking_columns", json!(["A", "A", "B"])),
        ("chunking_column_types", json!(["int", "int", "date"])),
    ]);
    let columns = table(&twice).chunking_columns;
    let found: Vec<_> = columns.iter().map(|one| (one.name.as_str(), one.declared)).collect();
    assert_eq!(found, [("A", Some(DeclaredType::Int)), ("B", Some(DeclaredType::Date))]);
    let notices = config(&twice).notices;
    assert!(notices.iter().any(|notice| notice.message.contains("twice")), "{notices:?}");
}

#[test]
fn every_type_word_is_known_in_any_case() {
    for word in [
        "int",
        "bigint",
        "integer",
        "number",
        "numeric",
        "decimal",
        "varchar_numeric",
        "uuid",
        "varchar",
        "string",
        "text",
        "char",
        "date",
        "datetime",
        "timestamp",
        "timestamp_ntz",
        "timestamp_ltz",
        "timestamp_tz",
        "UUID",
        "Varchar(36)",
        "NUMBER (38, 0)",
    ] {
        let table = table(&with_keys(&[
            ("chunking_columns", json!(["A"])),
            ("chunking_column_types", json!([word])),
        ]));
        let declared = table.chunking_columns[0].declared.expect("declared");
        assert!(word.to_lowercase().starts_with(declared.as_str()), "{word}");
    }
}

#[test]
fn chunking_columns_and_types_are_as_many() {
    let issue = error(&with_keys(&[
        ("chunking_columns", json!(["A", "B"])),
        ("chunking_column_types", json!(["int"])),
    ]));
    assert_eq!(issue.path, "sources[0].tables[0].chunking_column_types");
    let untyped = table(&with_table("chunking_columns", json!(["A", "B"])));
    assert!(untyped.chunking_columns.iter().all(|column| column.declared.is_none()));
}

#[test]
fn watermarks_carry_their_policies_and_map_their_names() {
    let keys = [
        ("source_watermark", json!("Updated")),
        ("target_watermark", json!("updated_at")),
        ("uniqueness_columns", json!(["id"])),
        ("watermark_overlap_seconds", json!(60)),
        ("watermark_low", json!("target")),
    ];
    let with_key = table(&with_keys(&keys));
    let watermark = with_key.watermark.clone().expect("both are set");
    assert_eq!(watermark.overlap, Duration::from_mins(1));
    assert_eq!((watermark.low, watermark.nulls), (WatermarkLow::Target, None));
    assert_eq!(with_key.watermark_nulls(), Some(WatermarkNulls::Always));
    assert_eq!(with_key.column_mapping["Updated"].as_str(), "updated_at");

    let without_key =
        table(&with(with_keys(&keys), "/sources/0/tables/0/uniqueness_columns", json!(null)));
    assert_eq!(without_key.watermark_nulls(), Some(WatermarkNulls::FirstLoad));
    let written = with(with_keys(&keys), "/sources/0/tables/0/watermark_nulls", json!("never"));
    assert_eq!(table(&written).watermark_nulls(), Some(WatermarkNulls::Never));
}

#[test]
fn watermarks_and_mapping_must_agree() {
    let with_mapping = |source: &str, target: &str, mapping: Value| {
        with_keys(&[
            ("source_watermark", json!(source)),
            ("target_watermark", json!(target)),
            ("column_mapping", mapping),
        ])
    };
    table(&with_mapping("U", "u", json!({"U": "u"})));
    table(&with_mapping("U", "u", json!({"A": "b"})));
    for (source, target, mapping) in [
        ("U", "u", json!({"U": "v"})),
        ("U", "u", json!({"V": "u"})),
        ("U", "U", json!({"U": "v"})),
    ] {
        let issue = error(&with_mapping(source, target, mapping));
        assert_eq!(issue.path, "sources[0].tables[0].target_watermark");
    }
}

#[test]
fn the_load_mode_follows_from_the_keys() {
    let keys = ("uniqueness_columns", json!(["id"]));
    let mode = |keys: &[(&str, Value)]| table(&with_keys(keys)).load_mode();
    assert_eq!(mode(&[]), LoadMode::Append);
    assert_eq!(mode(std::slice::from_ref(&keys)), LoadMode::Upsert);
    let insert_only = ("insert_only_mode", json!(true));
    assert_eq!(mode(&[keys.clone(), insert_only.clone()]), LoadMode::InsertOnly);
    let truncate = ("truncate_onstart", json!(true));
    assert_eq!(mode(&[keys.clone(), insert_only, truncate.clone()]), LoadMode::Truncate);
    assert_eq!(mode(&[keys, truncate, ("replace", json!("atomic"))]), LoadMode::Replace);
}

#[test]
fn a_full_load_has_no_watermark_and_says_so() {
    let keys = [
        ("source_watermark", json!("U")),
        ("target_watermark", json!("u")),
        ("truncate_onstart", json!(true)),
    ];
    let full = with_keys(&keys);
    assert_eq!(table(&full).watermark, None);
    assert_eq!(table(&full).column_mapping.len(), 1);
    let told = notices(&full, Severity::Note);
    assert!(told.len() == 1 && told[0].starts_with("sources[0].tables[0].truncate_onstart: With"));
    assert_eq!(notices(&with_table("truncate_onstart", json!(true)), Severity::Note).len(), 0);
}

#[test]
fn zero_attempts_mean_one() {
    for (written, attempts) in [(0, 1), (1, 1), (7, 7)] {
        let table = table(&with_table("max_retry_attempts", json!(written)));
        assert_eq!(table.settings.max_retry_attempts.get(), attempts);
    }
}

#[test]
fn a_column_inherits_the_policies_that_it_does_not_set() {
    let config = with(
        with_keys(&[
            ("on_fraction", json!("round")),
            (
                "column_policies",
                json!({
                    "At": {"offset_column": "at_offset", "on_nul": "remove"},
                    "Exact": {"on_fraction": "reject"},
                }),
            ),
        ]),
        "/on_nonjson",
        json!("null"),
    );
    let table = table(&config);
    let at = &table.column_policies["At"];
    assert_eq!(at.offset_column.as_ref().map(ColumnName::as_str), Some("at_offset"));
    assert_eq!(at.values.on_fraction, Some(OnFraction::Round));
    assert_eq!((at.values.on_nul, at.values.on_nonjson), (OnNul::Remove, OnNonjson::Null));
    let exact = &table.column_policies["Exact"];
    assert_eq!(exact.values.on_fraction, Some(OnFraction::Reject));
    assert_eq!(table.settings.values.on_nul, OnNul::Reject);
}

#[test]
fn mistakes_in_policies_are_named() {
    let path = "sources[0].tables[0].column_policies.At";
    for (policy, place, said) in [
        (json!({"on_fractoin": "round"}), ".on_fractoin", "did you mean \"on_fraction\"?"),
        (json!({"on_fraction": "rond"}), ".on_fraction", "did you mean \"round\"?"),
        (json!("round"), "", ""),
    ] {
        let issue = error(&with_table("column_policies", json!({"At": policy})));
        assert_eq!(issue.path, format!("{path}{place}"));
        let hint = issue.hint.unwrap_or_default();
        assert!(hint.contains(said), "{hint}");
    }
    let twice = json!({"A": {"offset_column": "x"}, "B": {"offset_column": "x"}});
    assert!(error(&with_table("column_policies", twice)).message.contains("same target"));
}
