//! Session parameters: the ones that matter here, and their defaults in a new account.

/// Names, defaults, types and descriptions, in the order of names.
pub(crate) const KNOWN: [(&str, &str, &str, &str); 25] = [
    ("ABORT_DETACHED_QUERY", "false", "BOOLEAN", "Abort statements whose client is gone"),
    ("AUTOCOMMIT", "true", "BOOLEAN", "Commit each statement by itself"),
    ("BINARY_OUTPUT_FORMAT", "HEX", "STRING", "Text form of BINARY"),
    ("CLIENT_RESULT_CHUNK_SIZE", "160", "NUMBER", "Largest chunk of a result in MB"),
    ("CLIENT_SESSION_KEEP_ALIVE", "false", "BOOLEAN", "Renew the session without end"),
    ("DATE_INPUT_FORMAT", "AUTO", "STRING", "Form in which DATE is read"),
    ("DATE_OUTPUT_FORMAT", "YYYY-MM-DD", "STRING", "Text form of DATE"),
    ("ERROR_ON_NONDETERMINISTIC_MERGE", "true", "BOOLEAN", "Refuse ambiguous merges"),
    ("GEOGRAPHY_OUTPUT_FORMAT", "GeoJSON", "STRING", "Form of GEOGRAPHY in results"),
    ("GEOMETRY_OUTPUT_FORMAT", "GeoJSON", "STRING", "Form of GEOMETRY in results"),
    ("JSON_INDENT", "2", "NUMBER", "Blanks per level in JSON results"),
    ("QUERY_TAG", "", "STRING", "Text kept with each statement"),
    ("ROWS_PER_RESULTSET", "0", "NUMBER", "Most rows of a result, 0 for all"),
    ("STATEMENT_TIMEOUT_IN_SECONDS", "172800", "NUMBER", "Longest run of a statement"),
    ("TIMESTAMP_INPUT_FORMAT", "AUTO", "STRING", "Form in which timestamps are read"),
    ("TIMESTAMP_LTZ_OUTPUT_FORMAT", "", "STRING", "Text form of TIMESTAMP_LTZ"),
    (
        "TIMESTAMP_NTZ_OUTPUT_FORMAT",
        "YYYY-MM-DD HH24:MI:SS.FF3",
        "STRING",
        "Text form of TIMESTAMP_NTZ",
    ),
    (
        "TIMESTAMP_OUTPUT_FORMAT",
        "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM",
        "STRING",
        "Text form of timestamps with a zone",
    ),
    ("TIMESTAMP_TYPE_MAPPING", "TIMESTAMP_NTZ", "STRING", "What TIMESTAMP means"),
    ("TIMESTAMP_TZ_OUTPUT_FORMAT", "", "STRING", "Text form of TIMESTAMP_TZ"),
    ("TIMEZONE", "America/Los_Angeles", "STRING", "Zone of TIMESTAMP_LTZ"),
    ("TIME_INPUT_FORMAT", "AUTO", "STRING", "Form in which TIME is read"),
    ("TIME_OUTPUT_FORMAT", "HH24:MI:SS", "STRING", "Text form of TIME"),
    ("USE_CACHED_RESULT", "true", "BOOLEAN", "Answer from earlier results"),
    ("WEEK_START", "0", "NUMBER", "First day of the week"),
];

/// The default of a parameter, by upper-case name.
pub(crate) fn default(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(known, ..)| *known == name).map(|(_, default, ..)| *default)
}

/// Values of parameters that would change what statements mean, and that the double does not
/// evaluate.
pub(crate) fn refused(name: &str, value: &str) -> bool {
    match name {
        "WEEK_START" => !matches!(value, "0" | "1"),
        "BINARY_OUTPUT_FORMAT" => !value.eq_ignore_ascii_case("HEX"),
        "TIMESTAMP_TYPE_MAPPING" => !value.eq_ignore_ascii_case("TIMESTAMP_NTZ"),
        "DATE_INPUT_FORMAT" | "TIME_INPUT_FORMAT" | "TIMESTAMP_INPUT_FORMAT" => {
            !value.eq_ignore_ascii_case("AUTO")
        }
        "ROWS_PER_RESULTSET" => value != "0",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sorted_and_their_defaults_are_evaluated() {
        assert!(KNOWN.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(KNOWN.iter().all(|(name, default, ..)| !refused(name, default)));
    }
}
