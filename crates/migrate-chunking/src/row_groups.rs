//! Row groups of immutable files.

use async_trait::async_trait;
use migrate_core::{
    ChunkPlan, ChunkingStrategy, Error, ErrorKind, Extent, ObjectStat, PlanInput, Predicate, Result,
};
use serde::Deserialize;

/// Runs of neighbouring row groups, about the aimed number of rows each. A chunk never spans files.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowGroups {}

#[async_trait]
impl ChunkingStrategy for RowGroups {
    fn name(&self) -> &'static str {
        "row_groups"
    }

    async fn plan(&self, input: PlanInput<'_>) -> Result<ChunkPlan> {
        let objects = input.table.objects().await?;
        if objects.is_empty() {
            return Err(Error::new(ErrorKind::Config, "This table is not made of files")
                .with("table", &input.table.schema().table)
                .with_hint("leave `chunking.strategy` out, or choose another one"));
        }
        // With a filter the file's own counts are only an upper bound.
        let is_exact = *input.filter == Predicate::All;
        let mut chunks = Vec::new();
        for object in &objects {
            pack(object, input.chunk_rows.get(), &mut chunks);
        }
        let rationale = format!(
            "row groups of {} file(s), about {} rows each",
            objects.len(),
            input.chunk_rows
        );
        let mut plan = ChunkPlan::new(self.name(), rationale, chunks);
        if !is_exact {
            plan.forget_exact_counts();
        }
        Ok(plan)
    }
}

fn pack(object: &ObjectStat, aim: u64, chunks: &mut Vec<(Extent, Option<u64>)>) {
    let mut start = 0;
    let mut rows = 0;
    let mut cut = |end: u32, start: &mut u32, rows: &mut u64| {
        let extent = Extent::Object {
            uri: object.uri.clone(),
            row_groups: *start..end,
            fingerprint: object.fingerprint.clone(),
        };
        chunks.push((extent, Some(*rows)));
        *start = end;
        *rows = 0;
    };
    let mut end = 0;
    for group_rows in &object.row_group_rows {
        if end > start && rows + group_rows > aim {
            cut(end, &mut start, &mut rows);
        }
        rows += group_rows;
        end += 1;
    }
    // A file without row groups has no rows, and still a chunk: somebody looked at it.
    cut(end, &mut start, &mut rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(row_group_rows: Vec<u64>, aim: u64) -> Vec<(std::ops::Range<u32>, u64)> {
        let object = ObjectStat { uri: "f".into(), fingerprint: "x".into(), row_group_rows };
        let mut chunks = Vec::new();
        pack(&object, aim, &mut chunks);
        chunks
            .into_iter()
            .map(|(extent, rows)| match extent {
                Extent::Object { row_groups, .. } => (row_groups, rows.expect("counted")),
                other => panic!("{other}"),
            })
            .collect()
    }

    #[test]
    fn neighbours_are_packed_up_to_the_aim() {
        assert_eq!(packed(vec![4, 4, 4, 9, 1], 8), [(0..2, 8), (2..3, 4), (3..4, 9), (4..5, 1)]);
        assert_eq!(packed(vec![100], 8), [(0..1, 100)]);
        assert_eq!(packed(vec![], 8), [(0..0, 0)]);
    }
}
