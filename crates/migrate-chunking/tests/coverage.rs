//! Each row is in one chunk, whatever the table holds and whatever arrives late.

use std::sync::Arc;

use migrate_chunking::{
    ChunkingStrategy, DateRange, GroupedValues, HashBucket, NumericRange, Single,
};
use migrate_core::Key;
use migrate_core::arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::support::{counts, table, true_counts, try_plan};

prop_compose! {
    /// Values that collide, and some far away from the others.
    fn tables(most: usize)(
        ids in vec(option::weighted(0.9, prop_oneof![-9_i64..9, any::<i64>()]), 0..most),
        floats in vec(option::of(prop_oneof![-2.0..2.0, Just(f64::NAN), Just(-0.0), Just(f64::INFINITY)]), most),
        texts in vec(option::of("[abAB é🚀0-9.]{0,3}"), most),
        days in vec(option::weighted(0.9, prop_oneof![-40_i32..40, -700_000_i32..2_000_000]), most),
        times in vec(option::of(prop_oneof![
            -5_000_000_000_i64..5_000_000_000, -60_000_000_000_000_000_i64..200_000_000_000_000_000,
        ]), most),
    ) -> RecordBatch {
        let columns: [(&'static str, ArrayRef); 5] = [
            ("id", Arc::new(Int64Array::from(ids.clone()))),
            ("float", Arc::new(Float64Array::from(floats[..ids.len()].to_vec()))),
            ("text", Arc::new(StringArray::from(texts[..ids.len()].to_vec()))),
            ("day", Arc::new(Date32Array::from(days[..ids.len()].to_vec()))),
            ("time", Arc::new(TimestampMicrosecondArray::from(times[..ids.len()].to_vec()))),
        ];
        table(columns)
    }
}

fn cases() -> Vec<(Box<dyn ChunkingStrategy>, Vec<Key>)> {
    vec![
        (Box::new(Single {}), vec![]),
        (Box::new(NumericRange {}), vec!["id".into()]),
        (Box::new(NumericRange {}), vec!["float".into()]),
        (Box::new(NumericRange {}), vec![Key::number_in("text")]),
        (Box::new(GroupedValues {}), vec!["text".into()]),
        (Box::new(DateRange {}), vec!["day".into()]),
        (Box::new(DateRange {}), vec!["time".into()]),
        (Box::new(HashBucket {}), vec!["id".into()]),
        (Box::new(HashBucket {}), vec!["text".into()]),
        (Box::new(HashBucket {}), vec!["day".into()]),
        (Box::new(NumericRange {}), vec!["id".into(), "day".into(), "text".into()]),
        (Box::new(DateRange {}), vec!["day".into(), "time".into(), "id".into()]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_is_in_one_chunk_and_counted_right(
        planned in tables(80),
        late in tables(20),
        chunk_rows in 1_u64..30,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        for (strategy, keys) in cases() {
            let plan = try_plan(strategy.as_ref(), planned.clone(), &keys, chunk_rows);
            let plan = runtime.block_on(plan).expect("plans");
            let planned_counts = true_counts(&plan, &planned);
            let is_cut = planned_counts.len() > 1;
            prop_assert!(!is_cut || planned_counts.iter().all(|rows| *rows > 0), "{plan:?}");
            // Late rows have a home too, wherever they lie.
            counts(&plan, &late);
        }
    }
}
