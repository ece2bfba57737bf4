//! One case: what it cost, what it cost PostgreSQL alone, and what it may cost.

use std::time::Duration;

use serde_json::{Value, json};

use migrate_bench::measure::Cost;

/// What was measured.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) ours: Cost,
    /// The same rows without us; none where there is nothing to compare with.
    pub(crate) limit: Option<Cost>,
    pub(crate) bounds: Bounds,
}

/// What a case may cost. What is absent is only shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    /// As a multiple of what psql takes.
    pub(crate) ratio: Option<f64>,
    /// Resident memory of the process at its peak.
    pub(crate) peak_mib: Option<u64>,
    /// From start to end.
    pub(crate) wall: Option<Duration>,
}

impl Bounds {
    pub(crate) const NONE: Self = Self { ratio: None, peak_mib: None, wall: None };

    pub(crate) const fn ratio(most: f64) -> Self {
        Self { ratio: Some(most), ..Self::NONE }
    }

    pub(crate) const fn with_peak_mib(self, most: u64) -> Self {
        Self { peak_mib: Some(most), ..self }
    }

    pub(crate) const fn wall(most: Duration) -> Self {
        Self { wall: Some(most), ..Self::NONE }
    }
}

impl Case {
    /// Our time as a multiple of the limit's.
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.limit.map(|limit| self.ours.wall.as_secs_f64() / limit.wall.as_secs_f64())
    }

    /// The bounds that were not kept.
    pub(crate) fn missed(&self) -> Vec<String> {
        let Self { name, ours, bounds, .. } = self;
        let mut missed = Vec::new();
        if let (Some(ratio), Some(most)) = (self.ratio(), bounds.ratio)
            && ratio > most
        {
            missed.push(format!("{name} took {ratio:.2} times as long as psql, at most {most:.2}"));
        }
        if let Some(most) = bounds.peak_mib
            && ours.peak_mib > most
        {
            missed.push(format!("{name} held {} MiB, at most {most}", ours.peak_mib));
        }
        if let Some(most) = bounds.wall
            && ours.wall > most
        {
            missed.push(format!("{name} took {:?}, at most {most:?}", ours.wall));
        }
        missed
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "case": self.name,
            "psql_seconds": self.limit.map(|limit| limit.wall.as_secs_f64()),
            "seconds": self.ours.wall.as_secs_f64(),
            "ratio": self.ratio(),
            "most_ratio": self.bounds.ratio,
            "cpu_seconds": self.ours.cpu.as_secs_f64(),
            "peak_mib": self.ours.peak_mib,
            "most_peak_mib": self.bounds.peak_mib,
        })
    }
}
