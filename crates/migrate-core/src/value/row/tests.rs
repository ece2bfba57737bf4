use super::*;

fn offset_parts(rows: &[Option<(i64, i32, i32)>]) -> ArrayRef {
    let DataType::Struct(fields) = (ColumnType::OffsetTimestamp { scale: 9 }).arrow() else {
        panic!("a struct")
    };
    let value = |row: &Option<(i64, i32, i32)>| row.unwrap_or_default();
    let seconds = Int64Array::from_iter_values(rows.iter().map(|row| value(row).0));
    let nanos = Int32Array::from_iter_values(rows.iter().map(|row| value(row).1));
    let offsets = Int32Array::from_iter_values(rows.iter().map(|row| value(row).2));
    let nulls: NullBuffer = rows.iter().map(Option::is_some).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(seconds), Arc::new(nanos), Arc::new(offsets)];
    Arc::new(StructArray::new(fields, columns, Some(nulls)))
}

/// Three rows of every type: an ordinary value, an extreme one, NULL.
fn samples() -> Vec<(ColumnType, ArrayRef)> {
    let wide =
        Decimal128Array::from(vec![Some(i128::from(-7_i8)), Some(10_i128.pow(38) - 1), None])
            .with_precision_and_scale(38, 10)
            .expect("fits");
    let wall = (ColumnType::Timestamp { scale: 9 }).arrow();
    let DataType::Struct(wall_fields) = wall else { panic!("a struct") };
    let wall = StructArray::new(
        wall_fields,
        vec![
            Arc::new(Int64Array::from(vec![-1, i64::MAX, 0])),
            Arc::new(Int32Array::from(vec![999_999_999, 5, 0])),
        ],
        Some(NullBuffer::from(vec![true, true, false])),
    );
    let number = ColumnType::Number { precision: 38, scale: 10 };
    let text = ColumnType::Text { max_chars: None };
    let uuids = [Some([7_u8; 16]), Some([255; 16]), None];
    let uuids = FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids.into_iter(), 16);
    let instants = TimestampMicrosecondArray::from(vec![Some(-1), Some(i64::MIN), None]);
    vec![
        (ColumnType::Boolean, Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        (ColumnType::Int16, Arc::new(Int16Array::from(vec![Some(1), Some(i16::MIN), None]))),
        (ColumnType::Int32, Arc::new(Int32Array::from(vec![Some(1), Some(i32::MIN), None]))),
        (ColumnType::Int64, Arc::new(Int64Array::from(vec![Some(1), Some(i64::MIN), None]))),
        (number, Arc::new(wide)),
        (ColumnType::Float32, Arc::new(Float32Array::from(vec![Some(0.1), Some(f32::MIN), None]))),
        (
            ColumnType::Float64,
            Arc::new(Float64Array::from(vec![Some(-0.0), Some(f64::INFINITY), None])),
        ),
        (text, Arc::new(StringArray::from(vec![Some("été 🚀"), Some("a\u{0}\"\\\n"), None]))),
        (
            ColumnType::Binary,
            Arc::new(BinaryArray::from(vec![Some(&[0_u8, 255][..]), Some(&[]), None])),
        ),
        (ColumnType::Date, Arc::new(Date32Array::from(vec![Some(-719_162), Some(i32::MAX), None]))),
        (
            ColumnType::Time { scale: 9 },
            Arc::new(Time64NanosecondArray::from(vec![Some(1), Some(i64::MAX), None])),
        ),
        (
            ColumnType::Timestamp { scale: 6 },
            Arc::new(TimestampMicrosecondArray::from(vec![Some(1), Some(i64::MAX), None])),
        ),
        (ColumnType::Instant { scale: 6 }, Arc::new(instants.with_timezone("UTC"))),
        (ColumnType::Timestamp { scale: 9 }, Arc::new(wall)),
        (
            ColumnType::OffsetTimestamp { scale: 9 },
            offset_parts(&[Some((-1, 1, 330)), Some((i64::MIN, 0, -720)), None]),
        ),
        (ColumnType::Uuid, Arc::new(uuids.expect("16 bytes each"))),
        (ColumnType::Json, Arc::new(StringArray::from(vec![Some("{\"a\":1.10}"), Some(""), None]))),
    ]
}

#[test]
fn every_value_of_every_type_comes_back_as_it_was() {
    for (column_type, array) in samples() {
        let name = ColumnName::from("ç");
        let field = Field::new("c", array.data_type().clone(), true);
        let batch =
            RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::clone(&array)]);
        let batch = batch.expect("one column");
        let rows: Vec<String> = (0..array.len())
            .map(|row| row_to_json(std::slice::from_ref(&name), &batch, row).expect("writes"))
            .collect();
        assert!(rows.iter().all(|row| row.is_ascii()), "{rows:?}");
        let columns = [(name, column_type.clone())];
        let back = rows_from_json(&columns, rows.iter().map(String::as_str));
        let back = back.unwrap_or_else(|error| panic!("{column_type}: {error} in {rows:?}"));
        assert_eq!(back.column(0), &array, "{column_type}: {rows:?}");
    }
}

#[test]
fn numbers_are_texts_and_say_their_kind() {
    let number = Decimal128Array::from(vec![12_345_678_901_234_567_890_123_456_789_012_345_678])
        .with_precision_and_scale(38, 0)
        .expect("fits");
    let batch = RecordBatch::try_from_iter([("n", Arc::new(number) as ArrayRef)]).expect("a batch");
    assert_eq!(
        row_to_json(&["n".into()], &batch, 0).expect("writes"),
        r#"{"n":{"number":"12345678901234567890123456789012345678"}}"#
    );
}

#[test]
fn a_row_of_other_columns_is_refused_and_not_filled_with_null() {
    let columns = [(ColumnName::from("a"), ColumnType::Int64)];
    for row in [r#"{"b":null}"#, r#"{"a":{"text":"1"}}"#, r#"{"a":{"number":"1.5"}}"#, "[]"] {
        let error = rows_from_json(&columns, [row]).expect_err(row);
        assert_eq!(error.code(), code::PLAN_UNREADABLE, "{row}");
    }
}
