//! A chunking strategy of one's own, by name from a configuration, with the whole command line:
//! `"chunking": {"strategy": "calendar", "options": {"unit": "month"}}`
//!
//! `cargo run -p migrate-examples --example custom_strategy -- plan --config config.json`

use migrate_core::{
    Buckets, CalendarUnit, ChunkPlan, ChunkingStrategy, Error, ErrorKind, HistogramRequest,
    PlanInput, Predicate, Result, async_trait,
};

/// One chunk per unit of the calendar; rows without a date join the first.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Calendar {
    unit: CalendarUnit,
}

#[async_trait]
impl ChunkingStrategy for Calendar {
    fn name(&self) -> &'static str {
        "calendar"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        let no_key = || Error::new(ErrorKind::Config, "Cutting by the calendar needs a date");
        let key = input.keys.first().ok_or_else(|| no_key().with_hint("set chunking_columns"))?;
        let buckets = Buckets::Each(self.unit);
        let request = HistogramRequest::new(key, input.chunk_rows).with_buckets(buckets);
        let found = input.table.histograms(&request.with_filter(input.filter)).await?;
        let units = found.into_iter().flat_map(|histogram| histogram.buckets);
        let cuts: Vec<_> = units.skip(1).map(|bucket| bucket.first).collect();
        let chunks = Predicate::partition(key, &cuts);
        Ok(ChunkPlan::from_predicates(self.name(), "as the calendar goes", chunks))
    }
}

fn main() -> std::process::ExitCode {
    migrate_cli::Cli::new().strategy::<Calendar>("calendar").run()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use migrate_core::Key;
    use migrate_core::testkit::Testkit;
    use migrate_core::testkit::chunking::StrategyFixture;

    use super::*;

    #[derive(Debug)]
    struct ByDay;

    impl StrategyFixture for ByDay {
        fn strategy(&self) -> Arc<dyn ChunkingStrategy> {
            Arc::new(Calendar { unit: CalendarUnit::Month })
        }

        fn keys(&self) -> Vec<Key> {
            vec!["day".into()]
        }

        fn keeps_chunk_rows(&self) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn a_strategy_of_ones_own_keeps_every_rule() {
        Testkit::new().strategy(|| async { Ok(ByDay) }).await.expect_kept();
    }
}
