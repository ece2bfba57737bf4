//! Texts that hold no number, where a text column is read as numbers: said before anything is read.

use migrate_core::{Key, KeyHistogram, PlanInput, Predicate, Reading, Result};

/// What the histograms say of a key. Those of a second key know only the rows that are cut by it.
pub(crate) fn note(
    input: &PlanInput<'_>,
    key: &Key,
    depth: usize,
    histograms: &[KeyHistogram],
) -> Option<String> {
    let rows = histograms.iter().map(|histogram| histogram.unreadable).sum();
    let of = if depth > 0 { " of those that are cut by it" } else { "" };
    said(input, key, rows, of)
}

/// Counts them where no histogram is asked for, if texts are read as numbers.
///
/// # Errors
///
/// What the table answers.
pub(crate) async fn count(input: &PlanInput<'_>, key: &Key) -> Result<Option<String>> {
    if key.read_as != Reading::Number {
        return Ok(None);
    }
    let rows = input.table.count(&unreadable(key).and(input.filter.clone())).await?;
    Ok(said(input, key, rows, ""))
}

fn unreadable(key: &Key) -> Predicate {
    Predicate::is_null(key).and(Predicate::range(&key.column, None, None))
}

fn said(input: &PlanInput<'_>, key: &Key, rows: u64, of: &str) -> Option<String> {
    if rows == 0 {
        return None;
    }
    let see = |rows: Predicate| input.table.statement_to_see(&key.column, &rows);
    // The bounds of a window are parameters, which cannot be copied: then it shows some rows more.
    let see = see(unreadable(key).and(input.filter.clone()))
        .map(|sql| format!("; see them with: {sql}"))
        .or_else(|| see(unreadable(key)).map(|sql| format!("; see them among others with: {sql}")))
        .unwrap_or_default();
    Some(format!(
        "{rows} row(s){of} hold no number in {}, and are copied with the NULLs{see}",
        key.column
    ))
}
