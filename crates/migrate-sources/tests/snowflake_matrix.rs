//! Every fault in every phase of reading a table: it heals to exactly the rows, or it ends in the
//! kind and with the next step that are written here.

use futures::StreamExt;
use futures::stream;
use migrate_core::{Error, ErrorKind, Predicate, Source, code};
use migrate_sources::SnowflakeSource;
use snowflake_double::{Double, Fault, RequestKind, Rule};

use crate::snowflake_support::{
    are_all_orders, double, everything, fast_time, orders, patient, read, table,
};

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Login,
    Submit,
    Poll,
    Part,
    Count,
}

const PHASES: [Phase; 5] = [Phase::Login, Phase::Submit, Phase::Poll, Phase::Part, Phase::Count];

impl Phase {
    fn rule(self, fault: Fault) -> Rule {
        let scan = "SELECT \"ID\"";
        match self {
            Self::Login => Rule::new(RequestKind::Login, fault),
            Self::Submit => Rule::new(RequestKind::Query, fault).sql_containing(scan),
            Self::Poll => Rule::new(RequestKind::Poll, fault).sql_containing(scan),
            // For good means also for the links of a result that is read again.
            Self::Part => Rule::new(RequestKind::Chunk, fault),
            Self::Count => Rule::new(RequestKind::Query, fault).sql_containing("COUNT(*)"),
        }
    }
}

/// How a fault that stays ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// It heals all the same: there is another way.
    Heals,
    /// A kind, and a word of the hint.
    Fails(ErrorKind, &'static str),
}

use End::{Fails, Heals};

fn failure(number: &str) -> Fault {
    Fault::Failure { code: number.into(), sql_state: "08001".into(), message: "scripted".into() }
}

/// Faults, and how each ends where it stays. A lost poll has another way in every case.
fn matrix() -> Vec<(Phase, Fault, End)> {
    let (net, slow) = (ErrorKind::Connection, ErrorKind::Timeout);
    let mut cases = Vec::new();
    for phase in PHASES {
        let or_heals = |end| if phase == Phase::Poll { Heals } else { end };
        cases.extend([
            (phase, Fault::Status(503), or_heals(Fails(net, "service is not available"))),
            (phase, Fault::Status(429), or_heals(Fails(ErrorKind::Throttled, "parallel_threads"))),
            (phase, Fault::Cut, or_heals(Fails(net, "network"))),
            (phase, Fault::CutMidBody, or_heals(Fails(net, "network"))),
            (phase, Fault::Garbage, or_heals(Fails(net, "run again"))),
            (
                phase,
                Fault::Stall,
                or_heals(Fails(
                    slow,
                    if phase == Phase::Part { "partition_timeout_seconds" } else { "network" },
                )),
            ),
        ]);
        let refused = match phase {
            Phase::Login => Fails(ErrorKind::NotFound, "snowflake.account"),
            Phase::Part => Fails(net, "proxy and firewall"),
            _ => or_heals(Fails(net, "service is not available")),
        };
        cases.push((phase, Fault::Status(403), refused));
    }
    for phase in [Phase::Submit, Phase::Count] {
        for number in ["390111", "390112", "390113", "390114", "390115"] {
            cases.push((phase, failure(number), Fails(net, "new session")));
        }
        cases.extend([
            (phase, failure("000603"), Fails(net, "run again later")),
            (phase, failure("000604"), Fails(net, "cancelled")),
            (phase, failure("000630"), Fails(slow, "statement_timeout_seconds")),
            (phase, failure("000606"), Fails(ErrorKind::Config, "snowflake.warehouse")),
            (phase, failure("003001"), Fails(ErrorKind::Auth, "grant")),
            (phase, failure("999999"), Fails(ErrorKind::Config, "list of errors")),
        ]);
    }
    cases
}

/// Numbers that are nobody's mistake but are left to whoever tries the chunk again, and numbers that
/// ask for somebody: these fail at once, although they came only once.
fn fails_at_once(fault: &Fault, phase: Phase) -> bool {
    match fault {
        Fault::Failure { code, .. } => {
            ["000604", "000630", "000606", "003001"].contains(&code.as_str())
        }
        Fault::Status(403) => phase == Phase::Login,
        _ => false,
    }
}

async fn arrange(phase: Phase) -> (Double, SnowflakeSource) {
    let double = double().table(orders()).start().await.expect("starts");
    double.knobs().set_inline_rows(0);
    double.knobs().set_chunk_rows(400).expect("not zero");
    if phase == Phase::Poll {
        double.knobs().set_in_progress_answers(1);
    }
    let source = SnowflakeSource::new(patient(&double)).expect("valid");
    (double, source)
}

/// Reads the table, and counts it by a statement of its own.
async fn attempt(source: &SnowflakeSource) -> Result<bool, Error> {
    let orders = source.open(&table("ORDERS"), None).await?;
    let rows = read(orders.as_ref(), everything(&["ID"])).await?;
    let count = orders.count(&Predicate::All).await?;
    Ok(are_all_orders(&rows) && count == 1000)
}

/// Cases under way at once.
const AT_ONCE: usize = 6;

#[tokio::test]
async fn what_strikes_once_heals_to_exactly_the_rows() {
    let _clock = fast_time(100);
    let cases = stream::iter(matrix()).map(|(phase, fault, _end)| async move {
        let (double, source) = arrange(phase).await;
        let injected = double.knobs().inject(phase.rule(fault.clone())).expect("fits");
        let outcome = attempt(&source).await;
        assert_eq!(injected.fired(), 1, "{phase:?} {fault}");
        if fails_at_once(&fault, phase) {
            outcome.expect_err(&format!("{phase:?} {fault}"));
            return;
        }
        match outcome {
            Ok(is_right) => assert!(is_right, "{phase:?} {fault}"),
            Err(error) => panic!("{phase:?} {fault}: {}", error.report()),
        }
    });
    cases.buffer_unordered(AT_ONCE).collect::<()>().await;
}

#[tokio::test]
async fn what_stays_ends_in_its_kind_with_the_next_step() {
    let _clock = fast_time(100);
    let cases = stream::iter(matrix()).map(|(phase, fault, end)| async move {
        let (double, source) = arrange(phase).await;
        double.knobs().inject(phase.rule(fault.clone()).always()).expect("fits");
        match (attempt(&source).await, end) {
            (Ok(is_right), Heals) => assert!(is_right, "{phase:?} {fault}"),
            (Err(error), Fails(kind, word)) => {
                let said = error.report().to_string();
                assert_eq!(error.kind(), kind, "{phase:?} {fault}: {said}");
                let hint = error.hint().unwrap_or_default();
                assert!(hint.contains(word), "{phase:?} {fault}: {hint}");
                assert!(!said.contains("http://"), "{phase:?} {fault}: {said}");
            }
            (outcome, end) => panic!("{phase:?} {fault}: {outcome:?} instead of {end:?}"),
        }
        let requests = double.requests().len();
        assert!(requests < 100, "{phase:?} {fault}: {requests} requests are no bounded number");
    });
    cases.buffer_unordered(AT_ONCE).collect::<()>().await;
}

#[tokio::test]
async fn rows_that_are_missing_or_doubled_never_pass() {
    let faults = [
        (RequestKind::Chunk, Fault::ShortRows(1)),
        (RequestKind::Query, Fault::MissingChunk),
        (RequestKind::Query, Fault::DuplicateChunk),
        (RequestKind::Query, Fault::EmptyInline),
        (RequestKind::Poll, Fault::MissingChunk),
        (RequestKind::Poll, Fault::ShortRows(1)),
    ];
    for (kind, fault) in faults {
        let phase = if kind == RequestKind::Poll { Phase::Poll } else { Phase::Submit };
        let (double, source) = arrange(phase).await;
        if matches!(fault, Fault::ShortRows(_)) && kind == RequestKind::Poll {
            double.knobs().set_inline_rows(5000);
        }
        let rule = Rule::new(kind, fault.clone()).sql_containing("SELECT \"ID\"");
        let injected = double.knobs().inject(rule).expect("fits");
        let orders = source.open(&table("ORDERS"), None).await.expect("opens");
        let error = read(orders.as_ref(), everything(&["ID"])).await.expect_err("lacks rows");
        assert_eq!(injected.fired(), 1, "{kind:?} {fault}");
        assert_eq!(error.code(), code::ROW_COUNT_MISMATCH, "{kind:?} {fault}");
        let again = read(orders.as_ref(), everything(&["ID"])).await.expect("whole");
        assert!(are_all_orders(&again), "{kind:?} {fault}");
    }
}
