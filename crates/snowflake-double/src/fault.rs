//! Scripted faults: what goes wrong, for which requests, how often.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::error::Error;
use crate::log::RequestKind;

/// Something that goes wrong with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An HTTP status, with a body that is no answer. The request has no effect.
    Status(u16),
    /// The connection is cut before the first byte of the answer. The request has no effect.
    Cut,
    /// The connection is cut in the middle of the body. The request has its effect.
    CutMidBody,
    /// No answer ever, while the connection stays open. The request has no effect.
    Stall,
    /// The answer stops in the middle of the body, while the connection stays open. The request has
    /// its effect.
    StallMidBody,
    /// The answer comes later.
    Delay(Duration),
    /// A body that is not JSON, with status 200. The request has no effect.
    Garbage,
    /// The statement runs until it is aborted or times out.
    Hold,
    /// The statement fails with this code, SQL state and message.
    Failure {
        /// Six digits.
        code: String,
        /// Five characters.
        sql_state: String,
        /// What went wrong.
        message: String,
    },
    /// An answer without rows that claims to have them.
    EmptyInline,
    /// An answer without columns.
    NoColumns,
    /// The list of chunks lacks its first one.
    MissingChunk,
    /// The list of chunks names its first one twice.
    DuplicateChunk,
    /// The answer says that its rows are in Arrow format.
    ArrowFormat,
    /// The statement fails, and the answer does not name it.
    NoQueryId,
    /// The body lacks rows at its end.
    ShortRows(usize),
    /// The last row of the body lacks its last cell.
    WrongColumnCount,
    /// 403 with the storage's XML.
    Forbidden,
}

impl Fault {
    /// Whether it can happen to a kind of request.
    fn fits(&self, kind: RequestKind) -> bool {
        match self {
            Self::Status(_)
            | Self::Cut
            | Self::CutMidBody
            | Self::Stall
            | Self::StallMidBody
            | Self::Delay(_)
            | Self::Garbage => true,
            Self::Hold | Self::Failure { .. } => kind == RequestKind::Query,
            Self::EmptyInline
            | Self::NoColumns
            | Self::MissingChunk
            | Self::DuplicateChunk
            | Self::ArrowFormat
            | Self::NoQueryId => matches!(kind, RequestKind::Query | RequestKind::Poll),
            Self::ShortRows(_) | Self::WrongColumnCount => {
                matches!(kind, RequestKind::Query | RequestKind::Poll | RequestKind::Chunk)
            }
            Self::Forbidden => kind == RequestKind::Chunk,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// When a fault is played.
///
/// ```
/// use snowflake_double::{Fault, RequestKind, Rule};
///
/// // The second and third chunk request of results of `PEOPLE` fail.
/// let rule = Rule::new(RequestKind::Chunk, Fault::Status(503))
///     .sql_containing("PEOPLE")
///     .after(1)
///     .times(2);
/// # let _ = rule;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Rule {
    kind: RequestKind,
    fault: Fault,
    sql: Option<String>,
    after: usize,
    times: usize,
}

impl Rule {
    /// A fault for the next request of a kind.
    pub fn new(kind: RequestKind, fault: Fault) -> Self {
        Self { kind, fault, sql: None, after: 0, times: 1 }
    }

    /// Only for statements with this text in them, in any case.
    pub fn sql_containing(mut self, part: impl AsRef<str>) -> Self {
        self.sql = Some(part.as_ref().to_lowercase());
        self
    }

    /// Lets this many matching requests pass first.
    pub fn after(mut self, count: usize) -> Self {
        self.after = count;
        self
    }

    /// Plays the fault this often; once if not said.
    pub fn times(mut self, count: usize) -> Self {
        self.times = count;
        self
    }

    /// Plays the fault for every matching request.
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    fn matches(&self, kind: RequestKind, sql: Option<&str>) -> bool {
        self.kind == kind
            && self.sql.as_ref().is_none_or(|part| {
                sql.is_some_and(|sql| sql.to_lowercase().contains(part.as_str()))
            })
    }
}

/// A rule at work.
#[derive(Debug, Clone)]
pub struct Injected {
    fired: Arc<AtomicUsize>,
}

impl Injected {
    /// How often the fault was played.
    pub fn fired(&self) -> usize {
        self.fired.load(Ordering::SeqCst)
    }
}

/// All rules, and the generator of random failures.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<(Rule, Arc<AtomicUsize>)>,
    random: Option<Random>,
}

#[derive(Debug)]
struct Random {
    /// Of 2^32.
    threshold: u64,
    state: SplitMix,
    /// Drawn from evenly.
    faults: Vec<Fault>,
}

impl Faults {
    pub(crate) fn inject(&mut self, rule: Rule) -> Result<Injected, Error> {
        if !rule.fault.fits(rule.kind) {
            return Err(Error::Fault {
                fault: rule.fault.to_string(),
                kind: format!("{:?}", rule.kind),
            });
        }
        let fired = Arc::new(AtomicUsize::new(0));
        self.rules.push((rule, Arc::clone(&fired)));
        Ok(Injected { fired })
    }

    /// Fails a fraction of all requests.
    pub(crate) fn fail_fraction(
        &mut self,
        fraction: f64,
        seed: u64,
        faults: Vec<Fault>,
    ) -> Result<(), Error> {
        let wrong = |reason| Error::Knob {
            knob: "fail_fraction",
            value: format!("{fraction} {faults:?}"),
            reason,
        };
        if !(0.0..=1.0).contains(&fraction) {
            return Err(wrong("the fraction lies between 0 and 1"));
        }
        if faults.is_empty() || !faults.iter().all(|fault| fault.fits(RequestKind::Heartbeat)) {
            return Err(wrong("the fault does not fit every kind of request"));
        }
        // A fraction of 2^32, so that 0 is never and 1 always.
        let threshold = (fraction * 4_294_967_296.0).round();
        let threshold = format!("{threshold:.0}").parse().unwrap_or(0);
        self.random = Some(Random { threshold, state: SplitMix::new(seed), faults });
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
        self.random = None;
    }

    /// The fault for a request, if one is due.
    pub(crate) fn draw(&mut self, kind: RequestKind, sql: Option<&str>) -> Option<Fault> {
        for (rule, fired) in &mut self.rules {
            if !rule.matches(kind, sql) || rule.times == 0 {
                continue;
            }
            if rule.after > 0 {
                rule.after -= 1;
                continue;
            }
            if rule.times != usize::MAX {
                rule.times -= 1;
            }
            fired.fetch_add(1, Ordering::SeqCst);
            return Some(rule.fault.clone());
        }
        let random = self.random.as_mut()?;
        let roll = random.state.next();
        if roll >> 32 >= random.threshold {
            return None;
        }
        // The lower half is independent of the upper one.
        let kinds = u64::try_from(random.faults.len()).unwrap_or(1).max(1);
        let drawn = usize::try_from((roll & 0xffff_ffff) % kinds).unwrap_or(0);
        random.faults.get(drawn).cloned()
    }
}

/// A small generator of repeatable random numbers.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix {
    state: u64,
}

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_only_the_requests_they_match() {
        let mut faults = Faults::default();
        let rule = Rule::new(RequestKind::Query, Fault::Cut).sql_containing("T1").after(1).times(2);
        let injected = faults.inject(rule).unwrap();
        let mut draw = |kind, sql| faults.draw(kind, Some(sql)).is_some();
        assert!(!draw(RequestKind::Chunk, "select t1"));
        assert!(!draw(RequestKind::Query, "select t2"));
        assert!(!draw(RequestKind::Query, "select t1"), "the first passes");
        assert!(draw(RequestKind::Query, "select t1"));
        assert!(draw(RequestKind::Query, "select t1"));
        assert!(!draw(RequestKind::Query, "select t1"));
        assert_eq!(injected.fired(), 2);
    }

    #[test]
    fn faults_that_cannot_happen_are_refused() {
        let mut faults = Faults::default();
        assert!(faults.inject(Rule::new(RequestKind::Login, Fault::Forbidden)).is_err());
        assert!(faults.inject(Rule::new(RequestKind::Chunk, Fault::Hold)).is_err());
        assert!(faults.fail_fraction(1.5, 0, vec![Fault::Cut]).is_err());
        assert!(faults.fail_fraction(0.5, 0, vec![Fault::Cut, Fault::Hold]).is_err());
    }

    #[test]
    fn random_failures_repeat_with_their_seed_and_keep_their_share() {
        let run = |fraction: f64| {
            let mut faults = Faults::default();
            faults.fail_fraction(fraction, 7, vec![Fault::Status(503), Fault::Cut]).unwrap();
            (0..10_000).map(|_| faults.draw(RequestKind::Poll, None).is_some()).collect::<Vec<_>>()
        };
        let share = |fraction: f64| run(fraction).iter().filter(|hit| **hit).count();
        assert_eq!(run(0.1), run(0.1));
        assert!((900..1_100).contains(&share(0.1)));
        assert_eq!(share(0.0), 0);
        assert_eq!(share(1.0), 10_000);
    }
}
