//! "Did you mean": the nearest known name for one that is not known.

/// The candidate that differs only in case, or else the nearest one if it is near enough to be a
/// typing mistake (Jaro-Winkler similarity of at least 0.84).
///
/// ```
/// use migrate_core::closest;
/// assert_eq!(closest("payer id", ["Payer Id", "Payer Name"]), Some("Payer Id"));
/// assert_eq!(closest("batchsize", ["batch_size", "sources"]), Some("batch_size"));
/// assert_eq!(closest("zebra", ["batch_size", "sources"]), None);
/// ```
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.84;
    let normal = normalized(name);
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&normal, &normalized(candidate)), candidate))
        .filter(|(similarity, _)| *similarity >= NEAR_ENOUGH)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// Case, spaces and underscores are what people get wrong most.
fn normalized(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
