//! What each of Snowflake's error numbers means for the caller: one table.
//!
//! The numbers are those that the service's manual and its drivers name for reading. What is not
//! listed falls to its class, and an unknown class to a verdict that is safe either way: the
//! statement is asked once more, then it has failed.

use migrate_core::{ErrorCode, ErrorKind, code};

/// What to do about a failure that the server names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Log in anew; the statement itself is fine.
    NewSession,
    /// It passes: ask again after a rest.
    AskAgain,
    /// It may pass, but not within seconds, or it costs as much again: the chunk is tried again
    /// later.
    LeaveToEngine,
    /// Nobody knows: ask once more.
    AskOnce,
    /// Somebody has to change something.
    GiveUp,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) code: ErrorCode,
    pub(super) remedy: Remedy,
    pub(super) hint: &'static str,
}

/// Numbers with one verdict.
struct Row {
    numbers: &'static [&'static str],
    kind: Meaning,
    remedy: Remedy,
    hint: &'static str,
}

/// A kind, or a code of its own.
enum Meaning {
    Kind(ErrorKind),
    Code(ErrorCode),
}

use Meaning::{Code, Kind};

const REPORT: &str = "look the number up in Snowflake's list of errors, and report it with the \
                      query id if the statement is one of this tool";

const TABLE: &[Row] = &[
    // Sessions. The client renews none, so each of these costs a login and nothing else.
    Row {
        numbers: &[
            "390104", "390110", "390111", "390112", "390113", "390114", "390115", "390195",
            "390400",
        ],
        kind: Kind(ErrorKind::Connection),
        remedy: Remedy::NewSession,
        hint: "run again: a new session is opened",
    },
    // Who one is.
    Row {
        numbers: &["390100", "390101", "390144", "394300", "394302", "394303", "394304"],
        kind: Kind(ErrorKind::Auth),
        remedy: Remedy::GiveUp,
        hint: "correct `snowflake.user` and its key, password or token",
    },
    Row {
        numbers: &["390303", "390318"],
        kind: Kind(ErrorKind::Auth),
        remedy: Remedy::GiveUp,
        hint: "fetch a new OAuth token and set it as `snowflake.oauth_token`",
    },
    Row {
        numbers: &["390420", "390422"],
        kind: Kind(ErrorKind::Auth),
        remedy: Remedy::GiveUp,
        hint: "allow this machine's address in the account's network policy",
    },
    Row {
        numbers: &["390186", "390189", "390201"],
        kind: Kind(ErrorKind::NotFound),
        remedy: Remedy::GiveUp,
        hint: "correct `snowflake.role`",
    },
    Row {
        numbers: &["003001"],
        kind: Kind(ErrorKind::Auth),
        remedy: Remedy::GiveUp,
        hint: "grant the role the missing right",
    },
    // The warehouse.
    Row {
        numbers: &["000606"],
        kind: Kind(ErrorKind::Config),
        remedy: Remedy::GiveUp,
        hint: "correct `snowflake.warehouse`, or grant its usage to the role",
    },
    Row {
        numbers: &["090073"],
        kind: Kind(ErrorKind::Config),
        remedy: Remedy::GiveUp,
        hint: "raise the quota of the resource monitor, or set another `snowflake.warehouse`",
    },
    // The end of a statement that is nobody's mistake.
    Row {
        // Cancelled by somebody else: where this tool cancels, nobody waits for the answer.
        numbers: &["000604"],
        kind: Kind(ErrorKind::Connection),
        remedy: Remedy::LeaveToEngine,
        hint: "somebody cancelled the statement; run again",
    },
    Row {
        numbers: &["000630"],
        kind: Kind(ErrorKind::Timeout),
        remedy: Remedy::LeaveToEngine,
        hint: "raise `snowflake.statement_timeout_seconds` and the warehouse's own limit, or cut \
               smaller chunks",
    },
    Row {
        numbers: &["000625"],
        kind: Kind(ErrorKind::Connection),
        remedy: Remedy::LeaveToEngine,
        hint: "a lock on the table was not given in time; run again",
    },
    Row {
        numbers: &["000603", "300002", "370001"],
        kind: Kind(ErrorKind::Connection),
        remedy: Remedy::AskAgain,
        hint: "an internal error of Snowflake; run again later",
    },
    Row {
        // The protocol's own words for "in progress" are no answer to anything else.
        numbers: &["333333", "333334"],
        kind: Kind(ErrorKind::Connection),
        remedy: Remedy::AskAgain,
        hint: "run again",
    },
    Row {
        numbers: &["000605", "000709", "000710"],
        kind: Kind(ErrorKind::Connection),
        remedy: Remedy::AskAgain,
        hint: "the result is not kept any more; run again",
    },
    // What was asked for.
    Row {
        numbers: &["002003", "002043", "003030"],
        kind: Code(code::SOURCE_TABLE_MISSING),
        remedy: Remedy::GiveUp,
        hint: "correct `source`, `source_sf_schema` and `source_sf_database`, or grant the role \
               access",
    },
    Row {
        numbers: &["090105", "090106"],
        kind: Kind(ErrorKind::Config),
        remedy: Remedy::GiveUp,
        hint: "set `source_sf_database` and `source_sf_schema`",
    },
    Row {
        numbers: &["000904"],
        kind: Code(code::COLUMN_MISSING),
        remedy: Remedy::GiveUp,
        hint: "use the exact case of the column's name",
    },
    Row {
        numbers: &["000707"],
        kind: Code(code::SNAPSHOT_EXPIRED),
        remedy: Remedy::GiveUp,
        hint: "the moment is past the table's time-travel retention, or before its creation; start \
               anew with --no-resume",
    },
    Row {
        numbers: &["001003", "000939", "000979", "001007", "001038", "001044", "002140", "002141"],
        kind: Kind(ErrorKind::Config),
        remedy: Remedy::GiveUp,
        hint: "correct the SQL of `source_filter`",
    },
    Row {
        numbers: &["000002"],
        kind: Kind(ErrorKind::Unsupported),
        remedy: Remedy::GiveUp,
        hint: "the account does not have what the statement needs; correct `source_filter`, or \
               leave the column out",
    },
];

/// Classes of numbers that are not listed, by their first digits.
const CLASSES: &[(&str, Row)] = &[
    (
        "100",
        Row {
            numbers: &[],
            kind: Code(code::VALUE_REFUSED),
            remedy: Remedy::GiveUp,
            hint: "a value cannot be computed; correct `source_filter` or the rows",
        },
    ),
    (
        // Numbers of the engine's own trouble.
        "300",
        Row {
            numbers: &[],
            kind: Kind(ErrorKind::Connection),
            remedy: Remedy::AskAgain,
            hint: "an internal error of Snowflake; run again later",
        },
    ),
    (
        "370",
        Row {
            numbers: &[],
            kind: Kind(ErrorKind::Connection),
            remedy: Remedy::AskAgain,
            hint: "an internal error of Snowflake; run again later",
        },
    ),
    (
        "390",
        Row {
            numbers: &[],
            kind: Kind(ErrorKind::Auth),
            remedy: Remedy::GiveUp,
            hint: "look the number up in Snowflake's list of errors: it is about the login",
        },
    ),
    (
        "394",
        Row {
            numbers: &[],
            kind: Kind(ErrorKind::Auth),
            remedy: Remedy::GiveUp,
            hint: "look the number up in Snowflake's list of errors: it is about the login",
        },
    ),
];

const UNKNOWN: Verdict = Verdict {
    code: ErrorCode::new("config", ErrorKind::Config),
    remedy: Remedy::AskOnce,
    hint: REPORT,
};

impl Row {
    fn verdict(&self) -> Verdict {
        let code = match self.kind {
            Kind(kind) => kind.into(),
            Code(code) => code,
        };
        Verdict { code, remedy: self.remedy, hint: self.hint }
    }
}

/// What a number means. Numbers come with six digits.
pub(super) fn verdict(number: &str) -> Verdict {
    let listed = TABLE.iter().find(|row| row.numbers.contains(&number));
    let class = || CLASSES.iter().find(|(class, _)| number.starts_with(class)).map(|(_, row)| row);
    listed.or_else(class).map_or(UNKNOWN, Row::verdict)
}

#[cfg(test)]
mod tests {
    use migrate_core::Retry;

    use super::*;

    fn listed() -> impl Iterator<Item = (&'static str, Verdict)> {
        TABLE.iter().flat_map(|row| row.numbers.iter().map(|number| (*number, verdict(number))))
    }

    #[test]
    fn every_number_has_six_digits_and_stands_once() {
        let mut numbers: Vec<_> = listed().map(|(number, _)| number).collect();
        assert!(numbers.iter().all(|n| n.len() == 6 && n.bytes().all(|b| b.is_ascii_digit())));
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }

    /// Kind and remedy must agree on whether somebody has to act, and every row says what to do.
    #[test]
    fn a_remedy_fits_its_kind_and_every_number_has_a_next_step() {
        let classes = CLASSES.iter().map(|(class, row)| (*class, row.verdict()));
        for (number, verdict) in listed().chain(classes) {
            let passes = verdict.code.kind().retry() == Retry::AfterDelay;
            let is_waited_for = verdict.remedy != Remedy::GiveUp;
            assert_eq!(passes, is_waited_for, "{number}: {verdict:?}");
            assert!(!verdict.hint.is_empty() && !verdict.hint.ends_with('.'), "{number}");
        }
    }

    /// Which numbers cost a login, written down a second time.
    #[test]
    fn exactly_the_numbers_of_sessions_ask_for_a_new_one() {
        let sessions: Vec<_> = listed()
            .filter(|(_, verdict)| verdict.remedy == Remedy::NewSession)
            .map(|(number, _)| number)
            .collect();
        let expected = [
            "390104", "390110", "390111", "390112", "390113", "390114", "390115", "390195",
            "390400",
        ];
        assert_eq!(sessions, expected);
    }

    #[test]
    fn what_costs_hours_is_not_repeated_within_seconds() {
        for number in ["000604", "000630"] {
            assert_eq!(verdict(number).remedy, Remedy::LeaveToEngine, "{number}");
        }
    }

    #[test]
    fn unlisted_numbers_fall_to_their_class_and_unknown_ones_are_asked_once() {
        assert_eq!(verdict("100999").code, code::VALUE_REFUSED);
        assert_eq!(verdict("300999").remedy, Remedy::AskAgain);
        assert_eq!(verdict("390999").code.kind(), ErrorKind::Auth);
        for number in ["999999", "", "abc", "002999"] {
            let unknown = verdict(number);
            assert_eq!(unknown.remedy, Remedy::AskOnce, "{number}");
            assert_eq!(unknown.code.kind().retry(), Retry::Never, "{number}: then it has failed");
        }
    }
}
