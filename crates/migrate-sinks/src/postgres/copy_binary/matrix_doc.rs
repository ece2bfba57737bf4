//! The matrix of `docs/types.md`, written from the table that decides.

use std::fmt::Write as _;

use migrate_core::{ColumnPair, ColumnType, Fidelity, OnFraction, OnNonjson, OnNul};

use super::super::pg_type::{NumericLimits, PgType};
use super::choose;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/types.md");
const START: &str = "<!-- matrix: written by a test, UPDATE_GOLDEN=1 renews it -->\n";
const END: &str = "<!-- end of matrix -->";

fn sources() -> Vec<(&'static str, ColumnType)> {
    let number = |precision, scale| ColumnType::Number { precision, scale };
    vec![
        ("NUMBER(4,0)", number(4, 0)),
        ("NUMBER(9,0)", number(9, 0)),
        ("NUMBER(18,0)", number(18, 0)),
        ("NUMBER(38,0)", number(38, 0)),
        ("NUMBER(12,2)", number(12, 2)),
        ("NUMBER(38,10)", number(38, 10)),
        ("FLOAT", ColumnType::Float64),
        ("DECFLOAT", ColumnType::DecFloat),
        ("BOOLEAN", ColumnType::Boolean),
        ("VARCHAR", ColumnType::Text { max_chars: None }),
        ("VARCHAR(20), CHAR(20)", ColumnType::Text { max_chars: Some(20) }),
        ("BINARY", ColumnType::Binary),
        ("DATE", ColumnType::Date),
        ("TIME(0) to TIME(6)", ColumnType::Time { scale: 6 }),
        ("TIME(7) to TIME(9)", ColumnType::Time { scale: 9 }),
        ("TIMESTAMP_NTZ(0 to 6)", ColumnType::Timestamp { scale: 6 }),
        ("TIMESTAMP_NTZ(7 to 9)", ColumnType::Timestamp { scale: 9 }),
        ("TIMESTAMP_LTZ(0 to 6)", ColumnType::Instant { scale: 6 }),
        ("TIMESTAMP_LTZ(7 to 9)", ColumnType::Instant { scale: 9 }),
        ("TIMESTAMP_TZ(0 to 6)", ColumnType::OffsetTimestamp { scale: 6 }),
        ("TIMESTAMP_TZ(7 to 9)", ColumnType::OffsetTimestamp { scale: 9 }),
        ("VARIANT, OBJECT, ARRAY", ColumnType::Json),
        ("GEOGRAPHY", ColumnType::Geography),
        ("GEOMETRY", ColumnType::Geometry),
        ("VECTOR(FLOAT, 3)", ColumnType::Vector { dimension: Some(3) }),
        ("UUID (Parquet)", ColumnType::Uuid),
        ("real (Parquet)", ColumnType::Float32),
        ("64-bit integer (Parquet)", ColumnType::Int64),
    ]
}

fn targets() -> Vec<PgType> {
    let limits =
        |precision, scale| PgType::Numeric { limits: Some(NumericLimits { precision, scale }) };
    let array = |element: PgType| PgType::Array { element: Box::new(element), element_oid: 0 };
    vec![
        PgType::Int2,
        PgType::Int4,
        PgType::Int8,
        PgType::Numeric { limits: None },
        limits(38, 10),
        PgType::Float4,
        PgType::Float8,
        PgType::Bool,
        PgType::Text,
        PgType::Varchar { max_chars: Some(20) },
        PgType::Char { max_chars: 20 },
        PgType::Uuid,
        PgType::Bytea,
        PgType::Date,
        PgType::Time { digits: 6 },
        PgType::Timestamp { digits: 6 },
        PgType::Timestamp { digits: 3 },
        PgType::Timestamptz { digits: 6 },
        PgType::Interval { digits: 6 },
        PgType::Json,
        PgType::Jsonb,
        PgType::Enum { labels: Vec::new().into() },
        array(PgType::Text),
        array(PgType::Int4),
        array(PgType::Float8),
        PgType::Geometry,
        PgType::Geography,
        PgType::Vector { dimension: Some(3) },
    ]
}

/// A verdict as a word, with the number of its reason.
fn cell(fidelity: &Fidelity, reasons: &mut Vec<String>) -> String {
    let mut number = |why: &str| match reasons.iter().position(|known| known == why) {
        Some(at) => at + 1,
        None => {
            reasons.push(why.to_owned());
            reasons.len()
        }
    };
    match fidelity {
        Fidelity::Lossy { why, by_choice: true } => format!("by choice ({})", number(why)),
        Fidelity::Lossy { why, by_choice: false } => format!("lossy ({})", number(why)),
        other => other.to_string(),
    }
}

fn matrix() -> String {
    let mut page = String::new();
    let mut reasons = Vec::new();
    for (name, source) in sources() {
        let pair = ColumnPair::new("c", "c", source);
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for target in targets() {
            let Ok((_, fidelity)) = choose(&pair, &target) else { continue };
            let word = cell(&fidelity, &mut reasons);
            match groups.iter_mut().find(|(known, _)| *known == word) {
                Some((_, names)) => names.push(target.to_string()),
                None => groups.push((word, vec![target.to_string()])),
            }
        }
        writeln!(page, "| **{name}** | | |").expect("memory");
        for (word, names) in groups {
            writeln!(page, "| | {word} | `{}` |", names.join("`, `")).expect("memory");
        }
    }
    let head = "| from | verdict | to |\n|---|---|---|\n".to_owned();
    let notes = reasons.iter().enumerate().map(|(at, why)| format!("{}. {why}\n", at + 1));
    format!("{head}{page}\n{}", notes.collect::<String>())
}

#[test]
fn the_page_says_what_the_table_decides() {
    let page = std::fs::read_to_string(PAGE).expect("docs/types.md");
    let (before, rest) = page.split_once(START).expect("the start of the matrix");
    let (found, after) = rest.split_once(END).expect("the end of the matrix");
    let expected = matrix();
    #[expect(clippy::disallowed_methods, reason = "a wish of whoever runs the tests")]
    let is_wished = std::env::var_os("UPDATE_GOLDEN").is_some();
    if is_wished {
        std::fs::write(PAGE, format!("{before}{START}{expected}{END}{after}")).expect("writes");
        return;
    }
    assert!(found == expected, "docs/types.md is out of date: run the test with UPDATE_GOLDEN=1");
}

/// Choices make a pair possible or impossible in no case; they only change what is refused.
#[test]
fn policies_change_verdicts_and_never_whether_there_is_an_encoder() {
    for (name, source) in sources() {
        for target in targets() {
            let plain = ColumnPair::new("c", "c", source.clone());
            let mut chosen = plain.clone();
            chosen.policy.on_fraction = Some(OnFraction::Round);
            chosen.policy.on_nul = OnNul::Remove;
            chosen.policy.on_nonjson = OnNonjson::Null;
            chosen.policy.offset_is_kept = true;
            assert_eq!(
                choose(&plain, &target).is_ok(),
                choose(&chosen, &target).is_ok(),
                "{name} {target}"
            );
            let mut strict = plain.clone();
            strict.policy.on_fraction = Some(OnFraction::Reject);
            strict.policy.offset_is_kept = true;
            // The offset that a text spells has no column to go to.
            if matches!((&source, &target), (ColumnType::Text { .. }, PgType::Timestamptz { .. })) {
                continue;
            }
            let verdict = choose(&strict, &target).map(|(_, fidelity)| fidelity);
            assert!(
                !matches!(verdict, Ok(Fidelity::Lossy { by_choice: true, .. })),
                "{name} {target}: nothing was given up"
            );
        }
    }
}
