//! Values drawn at random, for every pair of types, under the same judge as the
//! [matrix](crate::matrix).

use futures::{StreamExt, stream};
use migrate_core::value::{DayTime, EpochDay, EpochTime};
use migrate_core::{ColumnPair, ColumnType, Fidelity};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use crate::matrix::{Spot, base, has_nanos, judge, world};
use crate::samples::{Sample, samples};
use crate::support::Target;

/// Random texts of the values of a source type.
fn random(column_type: &ColumnType) -> BoxedStrategy<String> {
    let decimal = |scale: u8, digits: u32| {
        (any::<i128>(), 1..=digits).prop_map(move |(value, digits)| {
            let value = value % 10_i128.pow(digits);
            migrate_core::Decimal::new(value, scale).to_string()
        })
    };
    let micros = -62_135_596_800_000_000..=253_402_300_799_999_999_i64;
    match column_type {
        ColumnType::Boolean => any::<bool>().prop_map(|value| value.to_string()).boxed(),
        ColumnType::Int16 => any::<i16>().prop_map(|value| value.to_string()).boxed(),
        ColumnType::Int32 => any::<i32>().prop_map(|value| value.to_string()).boxed(),
        ColumnType::Int64 => any::<i64>().prop_map(|value| value.to_string()).boxed(),
        ColumnType::Number { precision, scale } => decimal(*scale, (*precision).into()).boxed(),
        ColumnType::Float32 => any::<f32>().prop_map(|value| value.to_string()).boxed(),
        ColumnType::Float64 => any::<f64>().prop_map(|value| value.to_string()).boxed(),
        ColumnType::Text { max_chars: None } => "[^\0]{0,8}|-?[0-9]{1,20}(\\.[0-9]{1,3})?".boxed(),
        ColumnType::Text { .. } => "[^\0]{0,5}".boxed(),
        ColumnType::Binary => proptest::collection::vec(any::<u8>(), 0..20)
            .prop_map(|bytes| {
                bytes.iter().fold("\\x".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
            })
            .boxed(),
        ColumnType::Date => (-719_162..=2_932_896_i32)
            .prop_map(|days| EpochDay::new(days).expect("a day").to_string())
            .boxed(),
        ColumnType::Time { scale: 7.. } => (0..86_400_000_000_000_u64)
            .prop_map(|nanos| DayTime::new(nanos).expect("within a day").to_string())
            .boxed(),
        ColumnType::Time { .. } => (0..86_400_000_000_u64)
            .prop_map(|micros| DayTime::new(micros * 1_000).expect("within a day").to_string())
            .boxed(),
        finer if has_nanos(finer) => (micros, 0..1_000_u32)
            .prop_map(|(micros, nanos)| {
                let time = EpochTime::from_micros(micros).expect("a time");
                let time = EpochTime::new(time.seconds(), time.nanos() + nanos);
                time.expect("a time").to_string()
            })
            .boxed(),
        ColumnType::Timestamp { .. }
        | ColumnType::Instant { .. }
        | ColumnType::OffsetTimestamp { .. } => micros
            .prop_map(|micros| EpochTime::from_micros(micros).expect("a time").to_string())
            .boxed(),
        ColumnType::Uuid => {
            any::<u128>().prop_map(|bits| uuid::Uuid::from_u128(bits).to_string()).boxed()
        }
        ColumnType::Json => {
            let scalar = prop_oneof![
                Just("null".to_owned()),
                any::<bool>().prop_map(|value| value.to_string()),
                any::<i64>().prop_map(|value| value.to_string()),
                "[a-zé]{0,5}".prop_map(|text| format!("\"{text}\"")),
            ];
            proptest::collection::vec(scalar, 0..4)
                .prop_map(|items| format!("[{}]", items.join(",")))
                .boxed()
        }
        ColumnType::DecFloat => (any::<i64>(), -30..30_i32)
            .prop_map(|(digits, power)| format!("{digits}e{power}"))
            .boxed(),
        _ => Just(String::new()).boxed(),
    }
}

/// Texts of values that the target has a place for, where random ones seldom have: spellings of what
/// a text is read as, small numbers, midnights.
fn fitting(column_type: &ColumnType, pg_type: &'static str) -> Option<BoxedStrategy<String>> {
    let millis = |column_type| {
        random(column_type).prop_map(|text| match text.split_once('.') {
            Some((clock, digits)) if digits.len() > 3 => format!("{clock}.{}", &digits[..3]),
            _ => text,
        })
    };
    let of = |column_type: ColumnType| Some(random(&column_type));
    let fitting = match (column_type, base(pg_type)) {
        (ColumnType::Text { .. }, target) => return spelled(target),
        (ColumnType::Binary, "uuid") => {
            any::<u128>().prop_map(|bits| format!("\\x{bits:032x}")).boxed()
        }
        (ColumnType::Json, "text[]") => Just("[\"a\",null,\"é\"]".to_owned()).boxed(),
        (ColumnType::Json, "boolean[]") => Just("[true,null,false]".to_owned()).boxed(),
        (ColumnType::Json, array) if array.ends_with("[]") => {
            (0..100_u8).prop_map(|number| format!("[{number},1]")).boxed()
        }
        (ColumnType::Number { scale, .. }, _) => {
            let (scale, unit) = (*scale, 10_i128.pow((*scale).into()));
            (0..2_i128)
                .prop_map(move |n| migrate_core::Decimal::new(n * unit, scale).to_string())
                .boxed()
        }
        (ColumnType::Timestamp { .. }, "date") => {
            return of(ColumnType::Date).map(|day| day.prop_map(|day| day + " 00:00:00").boxed());
        }
        (
            ColumnType::Time { .. }
            | ColumnType::Timestamp { .. }
            | ColumnType::Instant { .. }
            | ColumnType::OffsetTimestamp { .. },
            "time(3)" | "timestamp(3)",
        ) => millis(column_type).boxed(),
        (
            ColumnType::Int16
            | ColumnType::Int32
            | ColumnType::Int64
            | ColumnType::Float32
            | ColumnType::Float64
            | ColumnType::DecFloat,
            _,
        ) => (0..2_u8).prop_map(|number| number.to_string()).boxed(),
        _ => return None,
    };
    Some(fitting)
}

/// Texts that spell values of the target type.
fn spelled(target: &str) -> Option<BoxedStrategy<String>> {
    let of = |column_type: ColumnType| random(&column_type);
    let time = || of(ColumnType::Timestamp { scale: 6 });
    Some(match target {
        "smallint" | "integer" | "bigint" => (0..32_768_u16).prop_map(|n| n.to_string()).boxed(),
        "numeric" | "numeric(12,2)" | "numeric(38,10)" => {
            of(ColumnType::Number { precision: 12, scale: 2 })
        }
        "real" => of(ColumnType::Float32),
        "double precision" => of(ColumnType::Float64),
        "boolean" => "(true|false|TRUE|False|0|1)".boxed(),
        "uuid" => of(ColumnType::Uuid),
        "date" => of(ColumnType::Date),
        "time" => of(ColumnType::Time { scale: 6 }),
        "time(3)" => fitting(&ColumnType::Time { scale: 6 }, "time(3)")?,
        "timestamp" => (time(), any::<bool>())
            .prop_map(|(time, is_iso)| if is_iso { time.replacen(' ', "T", 1) } else { time })
            .boxed(),
        "timestamp(3)" => fitting(&ColumnType::Timestamp { scale: 6 }, "timestamp(3)")?,
        "timestamptz" => (time(), "(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)")
            .prop_map(|(time, zone)| time + &zone)
            .boxed(),
        "mood" => "(sad|ok)".boxed(),
        "json" | "jsonb" => of(ColumnType::Json),
        _ => return None,
    })
}

/// Whether a text of five characters has no place for any value.
fn is_too_short(column_type: &ColumnType, pg_type: &'static str) -> bool {
    let is_long = match column_type {
        ColumnType::Number { scale, .. } => *scale > 2,
        other => !matches!(
            other,
            ColumnType::Boolean
                | ColumnType::Int16
                | ColumnType::Int32
                | ColumnType::Int64
                | ColumnType::Float32
                | ColumnType::Float64
                | ColumnType::DecFloat
                | ColumnType::Text { .. }
                | ColumnType::Json
        ),
    };
    is_long && matches!(base(pg_type), "varchar(5)" | "char(5)")
}

/// A type whose values can be made up.
fn has_random(sample: &Sample) -> bool {
    !matches!(
        sample.column_type,
        ColumnType::Geography
            | ColumnType::Geometry
            | ColumnType::Vector { .. }
            | ColumnType::Other
    )
}

#[tokio::test]
async fn random_values_of_every_pair_come_back_equal_or_are_refused() {
    let target = world().await;
    let spots = Spot::all(&target).await;
    #[expect(clippy::disallowed_methods, reason = "a wish of whoever runs the tests")]
    let wished = std::env::var("MATRIX_CASES").ok();
    let values: usize = wished.and_then(|text| text.parse().ok()).unwrap_or(3);
    let judged = spots.iter().map(|spot| randomly(&target, spot, values));
    let judged: Vec<(usize, Vec<String>)> = stream::iter(judged).buffered(4).collect().await;
    let complaints: Vec<String> = judged.iter().flat_map(|(_, said)| said.clone()).collect();
    assert!(complaints.is_empty(), "{}:\n{}", complaints.len(), complaints.join("\n"));
    let pairs: usize = judged.iter().map(|(pairs, _)| pairs).sum();
    assert!(pairs > 250, "only {pairs} pairs are possible");
}

/// So many random values of every type that can enter one target type; how many types those are. Of
/// each pair some value is stored, or nothing is known of what comes back.
#[expect(clippy::future_not_send, reason = "a strategy of proptest stays on its thread")]
async fn randomly(target: &Target, spot: &Spot, values: usize) -> (usize, Vec<String>) {
    /// As many more as chance may ask for.
    const MOST_TRIES: usize = 40;
    let (mut pairs, mut complaints) = (0, Vec::new());
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    for sample in samples().into_iter().filter(has_random) {
        let pair = ColumnPair::new("v", "v", sample.column_type.clone());
        if matches!(spot.sink.assess(&pair), Fidelity::Impossible { .. }) {
            continue;
        }
        pairs += 1;
        let any = random(&sample.column_type);
        let values_of = match fitting(&sample.column_type, spot.pg_type) {
            Some(fitting) => prop_oneof![any, fitting].boxed(),
            None => any,
        };
        let mut is_stored = is_too_short(&sample.column_type, spot.pg_type);
        for tried in 0..values + MOST_TRIES {
            if tried >= values && is_stored {
                break;
            }
            let text = values_of.new_tree(&mut runner).expect("a value").current();
            match judge(target, spot, &sample, &text).await {
                Ok(stored) => is_stored |= stored,
                Err(complaint) => complaints.push(complaint),
            }
        }
        if !is_stored {
            complaints.push(format!("{} to {}: no value fits", sample.column_type, spot.pg_type));
        }
    }
    (pairs, complaints)
}
