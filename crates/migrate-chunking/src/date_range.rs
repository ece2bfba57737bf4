//! Stretches of the calendar.

use async_trait::async_trait;
use migrate_core::{ChunkPlan, ChunkingStrategy, ColumnType, Key, PlanInput, Reading, Result};
use serde::Deserialize;

use crate::cut::{cut, first_key, rationale};

/// Years, months, days and hours, each as long as its rows allow and packed with its neighbours: a
/// chunk begins where a unit of the calendar begins, unless one hour has more rows than a bucket may
/// have; such an hour is cut inside. Units of instants are those of UTC.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateRange {}

impl DateRange {
    pub(crate) fn takes(column_type: &ColumnType, key: &Key) -> bool {
        let is_in_calendar = matches!(
            column_type,
            ColumnType::Date
                | ColumnType::Timestamp { .. }
                | ColumnType::Instant { .. }
                | ColumnType::OffsetTimestamp { .. }
                | ColumnType::Time { .. }
        );
        is_in_calendar && key.read_as == Reading::Value
    }
}

#[async_trait]
impl ChunkingStrategy for DateRange {
    fn name(&self) -> &'static str {
        "date_range"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        first_key(&input, "date, time or timestamp", Self::takes)?;
        cut(self.name(), rationale("stretches", &input), &input).await
    }
}
