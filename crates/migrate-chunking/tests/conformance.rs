//! Every strategy keeps every rule of a strategy.

use std::sync::Arc;

use migrate_chunking::{
    Auto, ChunkingStrategy, DateRange, GroupedValues, HashBucket, NumericRange, Single,
};
use migrate_core::Key;
use migrate_core::testkit::Testkit;
use migrate_core::testkit::chunking::StrategyFixture;

#[derive(Debug, Clone)]
struct Case {
    strategy: Arc<dyn ChunkingStrategy>,
    keys: Vec<Key>,
    keeps_chunk_rows: bool,
}

impl StrategyFixture for Case {
    fn strategy(&self) -> Arc<dyn ChunkingStrategy> {
        Arc::clone(&self.strategy)
    }

    fn keys(&self) -> Vec<Key> {
        self.keys.clone()
    }

    fn keeps_chunk_rows(&self) -> bool {
        self.keeps_chunk_rows
    }
}

async fn keeps(strategy: impl ChunkingStrategy + 'static, keys: &[Key]) {
    let case = Case {
        strategy: Arc::new(strategy),
        keys: keys.to_vec(),
        keeps_chunk_rows: !keys.is_empty(),
    };
    let name = format!("{case:?}");
    let report = Testkit::new()
        .strategy(move || {
            let case = case.clone();
            async { Ok(case) }
        })
        .await;
    assert!(report.broken().is_empty(), "{name}: {report}");
}

#[tokio::test]
async fn every_strategy_keeps_every_rule() {
    keeps(Single {}, &[]).await;
    keeps(NumericRange {}, &["number".into()]).await;
    keeps(NumericRange {}, &[Key::number_in("digits")]).await;
    keeps(GroupedValues {}, &["text".into()]).await;
    keeps(DateRange {}, &["day".into()]).await;
    keeps(DateRange {}, &["time".into()]).await;
    keeps(HashBucket {}, &["number".into()]).await;
    keeps(HashBucket {}, &["text".into()]).await;
    keeps(Auto {}, &[]).await;
    for column in ["number", "text", "day", "time"] {
        keeps(Auto {}, &[column.into()]).await;
    }
    keeps(Auto {}, &["text".into(), "number".into()]).await;
}
