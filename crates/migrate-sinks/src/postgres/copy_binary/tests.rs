use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use migrate_core::{ColumnPair, ColumnType, Fidelity, OnNul, arrow};

use super::super::pg_type::{NumericLimits, PgType};
use super::*;

fn batch(array: ArrayRef) -> RecordBatch {
    let field = Field::new("c", array.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).expect("one column")
}

/// An encoder of one column under default policies.
fn encoder(source: &ColumnType, target: &PgType) -> RowEncoder {
    let pair = ColumnPair::new("c", "c", source.clone());
    let (codec, _) = choose(&pair, target).expect("a codec");
    RowEncoder::new(vec![EncodedColumn { name: "c".into(), position: 0, codec }])
}

fn encoded(source: &ColumnType, target: &PgType, array: ArrayRef) -> Result<Vec<u8>, Refusal> {
    let mut out = EncodedRows::default();
    let encoder = encoder(source, target);
    let batch = batch(array);
    let written = encoder.encode(&batch, 0, usize::MAX, &mut out)?;
    assert_eq!(written, batch.num_rows());
    Ok(out.all(usize::MAX).collect::<Vec<_>>().concat())
}

fn limits(precision: i32, scale: i32) -> PgType {
    PgType::Numeric { limits: Some(NumericLimits { precision, scale }) }
}

#[test]
fn a_row_is_a_field_count_and_its_fields() {
    let array = Int64Array::from(vec![Some(-2), None]);
    let bytes = encoded(&ColumnType::Int64, &PgType::Int4, Arc::new(array)).expect("fits");
    assert_eq!(bytes, [0, 1, 0, 0, 0, 4, 255, 255, 255, 254, 0, 1, 255, 255, 255, 255]);
}

#[test]
fn encoding_pauses_when_the_buffer_is_full_and_goes_on_where_it_stopped() {
    let encoder = encoder(&ColumnType::Int64, &PgType::Int8);
    let batch = batch(Arc::new(Int64Array::from(vec![1, 2, 3])));
    let mut out = EncodedRows::default();
    let next = encoder.encode(&batch, 0, 15, &mut out).expect("fits");
    assert_eq!((next, out.len()), (2, 28));
    assert_eq!(encoder.encode(&batch, next, usize::MAX, &mut out).expect("fits"), 3);
}

/// Each of these would be altered by the server without a word.
#[test]
fn what_the_server_would_alter_is_refused_before_it_is_sent() {
    let decimal = |unscaled: i128, precision, scale| {
        let array = Decimal128Array::from(vec![unscaled]);
        Arc::new(array.with_precision_and_scale(precision, scale).expect("type"))
    };
    let number = |precision, scale| ColumnType::Number { precision, scale };
    let refused = [
        encoded(&number(10, 3), &limits(10, 2), decimal(1_005, 10, 3)),
        encoded(&number(10, 0), &limits(4, 2), decimal(100, 10, 0)),
        encoded(&number(10, 2), &PgType::Int4, decimal(150, 10, 2)),
        encoded(&number(38, 0), &PgType::Int8, decimal(1 << 63, 38, 0)),
        encoded(
            &ColumnType::Text { max_chars: None },
            &PgType::Varchar { max_chars: Some(2) },
            Arc::new(StringArray::from(vec!["ab "])),
        ),
        encoded(
            &ColumnType::Text { max_chars: None },
            &PgType::Text,
            Arc::new(StringArray::from(vec!["a\0b"])),
        ),
        encoded(
            &ColumnType::Timestamp { scale: 6 },
            &PgType::Timestamp { digits: 3 },
            Arc::new(TimestampMicrosecondArray::from(vec![1])),
        ),
    ];
    for (case, result) in refused.into_iter().enumerate() {
        let Refusal { row, error } = result.map(|_| case).expect_err("refused");
        assert_eq!(row, Some(0));
        assert_eq!(error.code(), code::VALUE_REFUSED, "case {case}");
        assert_eq!(error.context("column"), Some("c"));
    }
}

#[test]
fn values_within_the_limits_pass() {
    let decimal = |unscaled: i128, precision, scale| {
        let array = Decimal128Array::from(vec![unscaled]);
        Arc::new(array.with_precision_and_scale(precision, scale).expect("type"))
    };
    let number = |precision, scale| ColumnType::Number { precision, scale };
    encoded(&number(10, 3), &limits(10, 2), decimal(1_000, 10, 3)).expect("a zero to spare");
    encoded(&number(10, 0), &limits(4, 2), decimal(-99, 10, 0)).expect("two whole digits");
    encoded(&number(10, 2), &PgType::Int4, decimal(-100, 10, 2)).expect("a whole number");
    encoded(
        &ColumnType::Text { max_chars: None },
        &PgType::Varchar { max_chars: Some(2) },
        Arc::new(StringArray::from(vec!["éé"])),
    )
    .expect("two characters in four bytes");
}

#[test]
fn verdicts_say_what_becomes_of_the_values() {
    let verdict = |source: &ColumnType, target: &PgType| {
        let pair = ColumnPair::new("c", "c", source.clone());
        choose(&pair, target).map(|chosen| chosen.1)
    };
    let number = |precision, scale| ColumnType::Number { precision, scale };
    let text = |max_chars| ColumnType::Text { max_chars };
    assert_eq!(verdict(&number(38, 0), &PgType::Int8), Ok(Fidelity::Checked));
    assert_eq!(verdict(&number(9, 0), &PgType::Int4), Ok(Fidelity::Exact));
    assert_eq!(verdict(&number(38, 10), &limits(38, 10)), Ok(Fidelity::Exact));
    assert_eq!(verdict(&number(38, 10), &limits(38, 2)), Ok(Fidelity::Checked));
    assert_eq!(verdict(&number(19, 0), &PgType::Numeric { limits: None }), Ok(Fidelity::Widened));
    assert_eq!(verdict(&text(Some(20)), &PgType::Text), Ok(Fidelity::Widened));
    assert_eq!(
        verdict(&text(None), &PgType::Varchar { max_chars: Some(9) }),
        Ok(Fidelity::Checked)
    );
    let zoneless = verdict(&ColumnType::Timestamp { scale: 6 }, &PgType::Timestamptz { digits: 6 });
    assert!(
        matches!(zoneless, Ok(Fidelity::Lossy { by_choice: false, .. })),
        "a time without zone names no instant"
    );
}

/// A large cell is sent from where it lies, byte for byte what a copied one would be.
#[test]
fn large_cells_are_not_copied_into_the_row() {
    let large = "é".repeat(LARGE_CELL_BYTES / 2);
    let document = format!("[\"{large}\"]");
    let bytes = vec![7_u8; LARGE_CELL_BYTES];
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![None, Some(value)])) };
    let binary: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![None, Some(&bytes[..])]));
    let jsonb = [&[1], document.as_bytes()].concat();
    for (source, target, array, cell) in [
        (ColumnType::Text { max_chars: None }, PgType::Text, text(&large), large.as_bytes()),
        (ColumnType::Json, PgType::Json, text(&document), document.as_bytes()),
        (ColumnType::Json, PgType::Jsonb, text(&document), &jsonb[..]),
        (ColumnType::Binary, PgType::Bytea, binary, &bytes[..]),
    ] {
        let (encoder, mut out) = (encoder(&source, &target), EncodedRows::default());
        encoder.encode(&batch(array), 1, usize::MAX, &mut out).expect("fits");
        let length = i32::try_from(cell.len()).expect("short").to_be_bytes();
        assert_eq!(
            out.all(usize::MAX).collect::<Vec<_>>().concat(),
            [&[0, 1], &length[..], cell].concat()
        );
        assert!(out.has_lent() && out.copied.len() < 8, "{target:?}");
    }
}

/// What a policy changes has to be copied; what a column refuses is refused at any size.
#[test]
fn rules_hold_for_large_cells_too() {
    let large = format!("{}\0", "x".repeat(LARGE_CELL_BYTES));
    let text = ColumnType::Text { max_chars: None };
    let array = || -> ArrayRef { Arc::new(StringArray::from(vec![large.as_str()])) };
    assert!(encoded(&text, &PgType::Text, array()).is_err());
    let mut pair = ColumnPair::new("c", "c", text.clone());
    pair.policy.on_nul = OnNul::Remove;
    let (codec, _) = choose(&pair, &PgType::Text).expect("a codec");
    let encoder = RowEncoder::new(vec![EncodedColumn { name: "c".into(), position: 0, codec }]);
    let mut out = EncodedRows::default();
    encoder.encode(&batch(array()), 0, usize::MAX, &mut out).expect("fits");
    assert!(!out.has_lent());
    assert_eq!(out.len(), 2 + 4 + LARGE_CELL_BYTES);
    let short = PgType::Varchar { max_chars: Some(LARGE_CELL_BYTES - 1) };
    let plain: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(LARGE_CELL_BYTES)]));
    assert!(encoded(&text, &short, plain).is_err());
}
