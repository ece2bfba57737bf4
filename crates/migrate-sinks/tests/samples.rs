//! Values of each source type as texts, and the arrays that carry them.

use std::sync::Arc;

use migrate_core::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, StringArray, StructArray,
    Time64NanosecondArray, TimestampMicrosecondArray,
};
use migrate_core::arrow::datatypes::DataType;
use migrate_core::value::{DayTime, EpochDay, EpochTime};
use migrate_core::{ColumnType, Decimal};

/// A source type, the PostgreSQL type in which its texts are values, and some of them.
pub(crate) struct Sample {
    pub(crate) column_type: ColumnType,
    pub(crate) native: &'static str,
    pub(crate) texts: Vec<&'static str>,
}

fn sample(column_type: ColumnType, native: &'static str, texts: &[&'static str]) -> Sample {
    Sample { column_type, native, texts: texts.to_vec() }
}

/// Every source type with its extremes.
pub(crate) fn samples() -> Vec<Sample> {
    [numbers(), floats(), texts(), times(), others()].into_iter().flatten().collect()
}

fn numbers() -> Vec<Sample> {
    let number = |precision, scale| ColumnType::Number { precision, scale };
    vec![
        sample(ColumnType::Boolean, "boolean", &["true", "false"]),
        sample(ColumnType::Int16, "smallint", &["-32768", "32767", "0", "1"]),
        sample(ColumnType::Int32, "integer", &["-2147483648", "2147483647", "7"]),
        sample(
            ColumnType::Int64,
            "bigint",
            &["-9223372036854775808", "9223372036854775807", "9007199254740993"],
        ),
        sample(number(4, 0), "numeric", &["-9999", "9999", "0"]),
        sample(number(9, 0), "numeric", &["999999999", "-1", "1"]),
        sample(
            number(38, 0),
            "numeric",
            &[
                "12345678901234567890123456789012345678",
                "-99999999999999999999999999999999999999",
                "9223372036854775808",
                "-9223372036854775808",
                "9007199254740993",
                "16777217",
                "32768",
                "1",
                "0",
            ],
        ),
        sample(
            number(12, 2),
            "numeric",
            &["1234567890.12", "-0.01", "12.00", "1.50", "0.00", "99999.99"],
        ),
        sample(
            number(38, 10),
            "numeric",
            &[
                "1234567890123456789012345678.1234567891",
                "-0.0000000001",
                "0.1000000000",
                "5.0000000000",
            ],
        ),
    ]
}

fn floats() -> Vec<Sample> {
    vec![
        sample(
            ColumnType::Float32,
            "real",
            &["0.1", "1e+38", "1e-37", "16777216", "-0.5", "NaN", "Infinity", "-Infinity", "0"],
        ),
        sample(
            ColumnType::Float64,
            "double precision",
            &[
                "0.1",
                "1e+308",
                "5e-324",
                "9007199254740993",
                "-1.5",
                "1e+15",
                "1e-05",
                "0.0001",
                "123456789012345.6",
                "1000",
                "0.30000000000000004",
                "NaN",
                "Infinity",
                "-Infinity",
                "0",
                "-0",
                "1.7976931348623157e+308",
            ],
        ),
        sample(
            ColumnType::DecFloat,
            "numeric",
            &[
                "1.5e-40",
                "12345678901234567890123456789012345678e100",
                "-7",
                "0",
                "100.50",
                "1E+2",
                "0.30000000000000004",
                "16777216",
                "16777217",
                "1.00000005960464484",
                "9007199254740993",
                "1e308",
                "1e-320",
                "1e400",
            ],
        ),
    ]
}

fn texts() -> Vec<Sample> {
    vec![
        sample(
            ColumnType::Text { max_chars: None },
            "text",
            &[
                "",
                "plain",
                "line1\nline2\t\"q\"\\N\\back",
                "\\N",
                "été 🚀",
                "ab",
                "ab ",
                " ",
                "{\"k\":1,\"k\":2}",
                "[-0.0]",
                "sad",
                "true",
                "FALSE",
                "12",
                "-1.50",
                "1e3",
                "32768",
                "NaN",
                "-Infinity",
                " 1",
                "0.30000000000000004",
                "16777216",
                "16777217",
                "9007199254740993",
                "1e39",
                "1e309",
                "-0",
                "5e-324",
                "10:11",
                "10:11:12.123456",
                "23:59:59.9999995",
                "24:00:01",
                "2024-01-01T10:11:12Z",
                "2024-01-01 10:11:12.123456+05:30",
                "0001-01-01 00:00:00+14:00",
                "9999-12-31 23:59:59.999999-14",
                "2024-01-01 10:11:12.1234567+00",
                "2024-02-29",
                "2023-02-29",
                "0001-01-01",
                "2024-01-01 10:11:12.123456",
                "9999-12-31 23:59:59.999999",
                "2024-01-01 10:11:12.0000000001",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "{\"k\": 1}",
                "[1,",
                "123456789012345678901",
            ],
        ),
        sample(
            ColumnType::Text { max_chars: Some(5) },
            "text",
            &["", "12345", "ééééé", "ab", "ab ", " "],
        ),
        sample(
            ColumnType::Binary,
            "bytea",
            &["\\x", "\\x00ff10", "\\xa0eebc999c0b4ef8bb6d6bb9bd380a11"],
        ),
    ]
}

fn times() -> Vec<Sample> {
    let times = [
        "0001-01-01 00:00:00",
        "1969-12-31 23:59:59.999999",
        "1970-01-01 00:00:00",
        "2024-02-29 10:11:12.123456",
        "2000-01-01 00:00:00.5",
        "9999-12-31 23:59:59.999999",
    ];
    vec![
        sample(
            ColumnType::Date,
            "date",
            &["0001-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31"],
        ),
        sample(
            ColumnType::Time { scale: 6 },
            "time",
            &["00:00:00", "10:11:12.123456", "23:59:59.999999", "01:02:03"],
        ),
        sample(
            ColumnType::Time { scale: 9 },
            "time",
            &["00:00:00", "10:11:12.123456", "23:59:59.999999"],
        ),
        sample(ColumnType::Timestamp { scale: 6 }, "timestamp", &times),
        sample(ColumnType::Timestamp { scale: 9 }, "timestamp", &times),
        sample(ColumnType::Instant { scale: 6 }, "timestamptz", &times),
        sample(ColumnType::Instant { scale: 9 }, "timestamptz", &times),
        sample(ColumnType::OffsetTimestamp { scale: 6 }, "timestamptz", &times),
        sample(ColumnType::OffsetTimestamp { scale: 9 }, "timestamptz", &times),
    ]
}

fn others() -> Vec<Sample> {
    vec![
        sample(
            ColumnType::Uuid,
            "uuid",
            &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"],
        ),
        sample(
            ColumnType::Json,
            "json",
            &[
                "{\"n\":12345678901234567890,\"f\":1.10,\"z\":null}",
                "[1,null,\"a\"]",
                "null",
                "\"str\"",
                "{}",
                "[]",
                "[1,2,3]",
                "[true,false,null]",
                "[\"a\",\"é\\n\\\"\"]",
                "[0.1,1e300]",
                "[[1],[2]]",
                "12",
                "[32768]",
                "[1.5]",
                "[\"2024-02-29\"]",
                "[\"2024-02-29 10:11:12.5\"]",
                "[\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"]",
                "[{\"k\":[1]}]",
                "{\"k\":1,\"k\":2}",
                "[{\"k\":1,\"\\u006b\":1}]",
                "-0.0",
                "[9223372036854775808]",
                "[null,null]",
                "[-1,null,2147483647]",
                "[2147483648]",
                "[16777216,16777217]",
                "[\"a\",null]",
                "[true,null]",
                "[[],[]]",
            ],
        ),
        sample(ColumnType::Geography, "json", &["{\"type\":\"Point\",\"coordinates\":[1.5,-2]}"]),
        sample(ColumnType::Geometry, "text", &["SRID=4326;POINT(1 2)"]),
        sample(
            ColumnType::Vector { dimension: Some(3) },
            "json",
            &["[1,2.5,-3]", "[0.5,0,1000000]"],
        ),
        sample(ColumnType::Other, "text", &["anything", ""]),
    ]
}

/// An array of one value, in the Arrow form of its type; `None` is NULL.
pub(crate) fn array(column_type: &ColumnType, text: Option<&str>) -> ArrayRef {
    let decimal = |text: &str| -> Decimal { text.parse().expect("a decimal") };
    let time = |text: &str| -> EpochTime { text.parse().expect("a time") };
    match column_type {
        ColumnType::Boolean => Arc::new(BooleanArray::from(vec![text.map(|text| text == "true")])),
        ColumnType::Int16 => {
            Arc::new(Int16Array::from(vec![text.map(|t| t.parse().expect("fits"))]))
        }
        ColumnType::Int32 => {
            Arc::new(Int32Array::from(vec![text.map(|t| t.parse().expect("fits"))]))
        }
        ColumnType::Int64 => {
            Arc::new(Int64Array::from(vec![text.map(|t| t.parse().expect("fits"))]))
        }
        ColumnType::Number { precision, scale } => {
            let value = text.map(|text| decimal(text).rescaled(*scale).expect("fits"));
            let array = Decimal128Array::from(vec![value]);
            let scale = i8::try_from(*scale).expect("small");
            Arc::new(array.with_precision_and_scale(*precision, scale).expect("a type"))
        }
        ColumnType::Float32 => {
            Arc::new(Float32Array::from(vec![text.map(|t| t.parse().expect("fits"))]))
        }
        ColumnType::Float64 => {
            Arc::new(Float64Array::from(vec![text.map(|t| t.parse().expect("fits"))]))
        }
        ColumnType::Binary => {
            let bytes = text.map(|text| {
                let digits = text.trim_start_matches("\\x").as_bytes();
                digits
                    .chunks(2)
                    .map(|pair| {
                        u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16)
                            .expect("hex")
                    })
                    .collect::<Vec<u8>>()
            });
            Arc::new(BinaryArray::from(vec![bytes.as_deref()]))
        }
        ColumnType::Date => {
            let days = text.map(|text| text.parse::<EpochDay>().expect("a date").days());
            Arc::new(Date32Array::from(vec![days]))
        }
        ColumnType::Time { .. } => {
            let nanos = text.map(|text| text.parse::<DayTime>().expect("a time").nanos());
            Arc::new(Time64NanosecondArray::from(vec![
                nanos.map(|n| i64::try_from(n).expect("small")),
            ]))
        }
        ColumnType::Timestamp { scale: ..=6 } => Arc::new(TimestampMicrosecondArray::from(vec![
            text.map(|t| time(t).to_micros().expect("fits")),
        ])),
        ColumnType::Instant { scale: ..=6 } => {
            let micros = text.map(|text| time(text).to_micros().expect("fits"));
            Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"))
        }
        ColumnType::Timestamp { .. }
        | ColumnType::Instant { .. }
        | ColumnType::OffsetTimestamp { .. } => {
            // No clock shows a year after 9999.
            let minutes = |text: &str| if text.starts_with('9') { -480 } else { 330 };
            parts(column_type, text.map(|text| (time(text), minutes(text))))
        }
        ColumnType::Uuid => {
            let uuid = text.map(|text| uuid::Uuid::parse_str(text).expect("a UUID"));
            let bytes = uuid.as_ref().map(|uuid| uuid.as_bytes().as_slice());
            let array =
                FixedSizeBinaryArray::try_from_sparse_iter_with_size([bytes].into_iter(), 16);
            Arc::new(array.expect("16 bytes"))
        }
        _ => Arc::new(StringArray::from(vec![text])),
    }
}

/// A time in two or three parts: seconds, nanoseconds, minutes.
pub(crate) fn parts(column_type: &ColumnType, value: Option<(EpochTime, i32)>) -> ArrayRef {
    let DataType::Struct(fields) = column_type.arrow() else {
        unreachable!("{column_type} has no parts")
    };
    let seconds = value.map_or(0, |(time, _)| time.seconds());
    let nanos = value.map_or(0, |(time, _)| i32::try_from(time.nanos()).expect("below a second"));
    let mut arrays: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![seconds])), Arc::new(Int32Array::from(vec![nanos]))];
    if fields.len() == 3 {
        let minutes = value.map_or(0, |(_, minutes)| minutes);
        arrays.push(Arc::new(Int32Array::from(vec![minutes])));
    }
    Arc::new(StructArray::new(fields, arrays, Some(vec![value.is_some()].into())))
}
