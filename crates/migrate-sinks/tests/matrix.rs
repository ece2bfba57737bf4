//! Every pair of types with a real PostgreSQL as judge.
//!
//! For each value, what the server's own casts say is compared with what the sink did: a value that
//! the target type keeps (cast there and back it is the same) must be stored as the cast stores it;
//! any other must be refused. Nothing may be altered, whatever the verdict.

use std::sync::Arc;

use futures::{StreamExt, stream};
use migrate_core::{
    ColumnPair, ColumnType, Fidelity, LoadPlan, RunContext, SinkTable, ValuePart, code,
};

use crate::json_tree;
use crate::samples::{Sample, array, samples};
use crate::support::{Given, Target, batch, batches, chunk};

/// Every target type that has a column in the table `m`.
pub(crate) const TARGETS: [&str; 36] = [
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "numeric(12,2)",
    "numeric(38,10)",
    "real",
    "double precision",
    "boolean",
    "text",
    "varchar(5)",
    "char(5)",
    "uuid",
    "bytea",
    "date",
    "time",
    "time(3)",
    "timestamp",
    "timestamp(3)",
    "timestamptz",
    "interval",
    "json",
    "jsonb",
    "mood",
    "positive",
    "amount",
    "short_code",
    "text[]",
    "smallint[]",
    "integer[]",
    "bigint[]",
    "numeric[]",
    "real[]",
    "double precision[]",
    "boolean[]",
    "jsonb[]",
];

/// The type that a domain is over; other types are their own.
pub(crate) fn base(pg_type: &'static str) -> &'static str {
    match pg_type {
        "positive" => "integer",
        "amount" => "numeric(12,2)",
        "short_code" => "varchar(5)",
        other => other,
    }
}

pub(crate) async fn world() -> Target {
    let target = Target::with(
        "create type mood as enum ('sad', 'ok'); \
         create domain positive as integer check (value > 0); \
         create domain amount as numeric(12,2) check (value >= 0); \
         create domain short_code as varchar(5) check (value !~ 'x'); \
         create function kept(sql text) returns text language plpgsql as \
            'declare answer text; begin execute sql into answer; return answer; \
             exception when data_exception or check_violation or feature_not_supported \
                or undefined_function or cannot_coerce or datatype_mismatch \
                or invalid_text_representation or untranslatable_character then return null; end'",
    )
    .await;
    for (at, pg_type) in TARGETS.iter().enumerate() {
        target.execute(&format!("create table m{at} (v {pg_type})")).await;
    }
    target
}

/// A column of one target type, in a table of its own.
pub(crate) struct Spot {
    table: String,
    pub(crate) pg_type: &'static str,
    pub(crate) sink: Arc<dyn SinkTable>,
}

impl Spot {
    pub(crate) async fn all(target: &Target) -> Vec<Self> {
        let mut spots = Vec::new();
        for (at, pg_type) in TARGETS.into_iter().enumerate() {
            let table = format!("m{at}");
            let sink = target.table(&table).await;
            spots.push(Self { table, pg_type, sink });
        }
        spots
    }
}

/// Writes one value; what is stored then, as the server shows it in UTC.
async fn outcome(
    target: &Target,
    spot: &Spot,
    column_type: &ColumnType,
    text: Option<&str>,
) -> Result<Option<String>, migrate_core::Error> {
    let given = vec![Given("v", column_type.clone(), array(column_type, text))];
    let plan = LoadPlan::append(vec![ColumnPair::new("v", "v", column_type.clone())])
        .with_truncate(Vec::new());
    let rows = batches(vec![Ok(batch(given))]);
    spot.sink.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await?;
    // The shortest text of a single need not be that of the double with the same value.
    let cast = match (column_type, spot.pg_type) {
        (ColumnType::Float64, "real") => "::double precision",
        _ => "",
    };
    let shown = target.text(&format!("select v{cast}::text from {}", spot.table)).await;
    target.execute(&format!("truncate {}", spot.table)).await;
    Ok(shown)
}

/// A text in the form of a cast.
fn literal(text: &str) -> String {
    migrate_core::Dialect::Postgres.literal(text)
}

/// What the server makes of the text in the target type, if that type keeps the value.
async fn judged(
    target: &Target,
    sample: &Sample,
    text: &str,
    pg_type: &'static str,
) -> Option<String> {
    let value = format!("{}::{}", literal(text), sample.native);
    let kept =
        |sql: String| async move { target.text(&format!("select kept({})", literal(&sql))).await };
    // Binary to UUID, booleans to numbers and the like have no direct cast; texts lead everywhere.
    let by_text = format!("({value})::text::{pg_type}");
    let direct = match (&sample.column_type, base(pg_type)) {
        (ColumnType::Binary, "uuid") => format!("encode({value}, 'hex')::uuid"),
        (
            ColumnType::Boolean,
            "smallint" | "integer" | "bigint" | "numeric" | "numeric(12,2)" | "numeric(38,10)",
        ) => {
            format!("({value})::int::{pg_type}")
        }
        (ColumnType::Time { .. }, "interval") => format!("({value})::interval"),
        (
            ColumnType::Instant { .. } | ColumnType::OffsetTimestamp { .. },
            "timestamp" | "timestamp(3)",
        ) => {
            format!("({value} at time zone 'UTC')::{pg_type}")
        }
        // By value, not by the shortest text, which both may share.
        (ColumnType::Float64, "real") => format!("({value})::real::double precision"),
        _ => by_text,
    };
    // A cast to a limited text cuts without a word.
    let fits = match base(pg_type) {
        "varchar(5)" | "char(5)" => format!(" where length(({value})::text) <= 5"),
        _ => String::new(),
    };
    kept(format!("select ({direct})::text{fits}")).await
}

/// The type in which two texts are compared: that of the source, or where a text has been read, that
/// of what it spells.
fn common_type(sample: &Sample, pg_type: &'static str) -> &'static str {
    match &sample.column_type {
        ColumnType::Json | ColumnType::Geography | ColumnType::Vector { .. } => "jsonb",
        ColumnType::Int16
        | ColumnType::Int32
        | ColumnType::Int64
        | ColumnType::Number { .. }
        | ColumnType::DecFloat => "numeric",
        ColumnType::Text { .. } => match base(pg_type) {
            "smallint" | "integer" | "bigint" | "real" | "double precision" => "numeric",
            base if base.starts_with("numeric") => "numeric",
            // A time of day would be lost in a comparison of dates.
            "date" | "timestamp" | "timestamp(3)" => "timestamp",
            "time" | "time(3)" => "time",
            "timestamptz" => "timestamptz",
            "uuid" => "uuid",
            "boolean" => "boolean",
            "json" | "jsonb" => "jsonb",
            "char(5)" => "bpchar",
            _ => "text",
        },
        _ => sample.native,
    }
}

/// Whether a stored text says what the source's text says.
async fn says_the_same(
    target: &Target,
    sample: &Sample,
    text: &str,
    stored: &str,
    pg_type: &'static str,
) -> bool {
    let common = common_type(sample, pg_type);
    if common == "jsonb" {
        // The server's own comparison would forget what its type forgets.
        return json_tree::says_the_same(text, stored);
    }
    // It ignores blanks at the end, which are a part of the value.
    let is_cut = |text: &str| common == "bpchar" && text.ends_with(' ');
    if is_cut(text) {
        return false;
    }
    if matches!(sample.column_type, ColumnType::Float32 | ColumnType::Float64)
        && text.starts_with("-0")
        && text.parse() == Ok(0.0)
    {
        return stored.starts_with('-');
    }
    if has_nanos(&sample.column_type)
        && is_text(pg_type)
        && second_digits(text) != second_digits(stored)
    {
        return false;
    }
    let same =
        format!("select ({}::{common} = {}::{common})::text", literal(text), literal(stored));
    target.text(&format!("select kept({})", literal(&same))).await.as_deref() == Some("true")
}

/// Judges one value of one pair: whether it is stored, or the reason for a complaint.
pub(crate) async fn judge(
    target: &Target,
    spot: &Spot,
    sample: &Sample,
    text: &str,
) -> Result<bool, String> {
    let pg_type = spot.pg_type;
    let pair = ColumnPair::new("v", "v", sample.column_type.clone());
    let verdict = spot.sink.assess(&pair);
    let found = outcome(target, spot, &sample.column_type, Some(text)).await;
    let said = format!("{} {text:?} to {pg_type} ({verdict})", sample.column_type);
    if let Fidelity::Impossible { .. } = verdict {
        return match found {
            Err(error) if error.code() == code::TYPE_MISMATCH => Ok(false),
            other => Err(format!("{said}: not refused: {other:?}")),
        };
    }
    // Digits beyond microseconds are cut, where the target has no place for them.
    let text = if is_text(pg_type) { text } else { &to_micros(&sample.column_type, text) };
    match found {
        Ok(stored) => {
            let stored = stored.ok_or_else(|| format!("{said}: stored NULL"))?;
            let expected = judged(target, sample, text, pg_type).await;
            // Arrays have no cast from JSON: their elements are compared.
            if pg_type.ends_with("[]") {
                let back = format!("select to_json({}::{pg_type})::text", literal(&stored));
                let back = target.text(&back).await.unwrap_or_default();
                return if says_the_same(target, sample, text, &back, pg_type).await {
                    Ok(true)
                } else {
                    Err(format!("{said}: stored {stored}"))
                };
            }
            let is_lossy = matches!(verdict, Fidelity::Lossy { by_choice: false, .. });
            if expected.as_deref() != Some(stored.as_str())
                && !keeps(target, sample, text, &stored, pg_type).await
            {
                return Err(format!("{said}: stored {stored}, the server has {expected:?}"));
            }
            if !is_lossy && !keeps(target, sample, text, &stored, pg_type).await {
                return Err(format!("{said}: stored {stored}, which is another value"));
            }
            Ok(true)
        }
        Err(error) if error.code() == code::VALUE_REFUSED => {
            let may_refuse = matches!(verdict, Fidelity::Checked | Fidelity::Lossy { .. });
            // A domain has conditions of its own.
            if !may_refuse && base(pg_type) == pg_type {
                return Err(format!("{said}: refused: {}", error.report()));
            }
            if pg_type.ends_with("[]") || is_beyond_the_rules(sample, text, pg_type) {
                return Ok(false);
            }
            match judged(target, sample, text, pg_type).await {
                Some(stored) if keeps(target, sample, text, &stored, pg_type).await => {
                    Err(format!("{said}: refused, but the server keeps it as {stored}"))
                }
                _ => Ok(false),
            }
        }
        Err(error) => Err(format!("{said}: {}", error.report())),
    }
}

fn is_text(pg_type: &'static str) -> bool {
    matches!(base(pg_type), "text" | "varchar(5)" | "char(5)")
}

pub(crate) fn has_nanos(column_type: &ColumnType) -> bool {
    matches!(
        column_type,
        ColumnType::Time { scale: 7.. }
            | ColumnType::Timestamp { scale: 7.. }
            | ColumnType::Instant { scale: 7.. }
            | ColumnType::OffsetTimestamp { scale: 7.. }
    )
}

/// A time with no more than six digits of a second.
fn to_micros(column_type: &ColumnType, text: &str) -> String {
    match text.split_once('.') {
        Some((clock, digits)) if has_nanos(column_type) && digits.len() > 6 => {
            format!("{clock}.{}", &digits[..6])
        }
        _ => text.to_owned(),
    }
}

/// The digits of a second that a text spells, which the server would round.
fn second_digits(text: &str) -> &str {
    let digits = text.split_once('.').map_or("", |(_, digits)| digits);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].trim_end_matches('0')
}

/// What the sink refuses although the server might keep it: texts that spell values in a loose way.
fn is_beyond_the_rules(sample: &Sample, text: &str, pg_type: &str) -> bool {
    if !matches!(sample.column_type, ColumnType::Text { .. }) {
        return false;
    }
    let is_loose = text.trim() != text
        || !text.starts_with(['-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        || text.contains(|c: char| c.is_alphabetic() && !"eETZ".contains(c));
    let fraction = text.rsplit_once('.').map_or("", |(_, fraction)| fraction);
    let clock = text.find(':').unwrap_or(text.len());
    let has_plain_year = text.find('-') == Some(4);
    let has_zone = text.ends_with('Z') || text.rfind(['+', '-']) > Some(clock);
    is_loose
        || match pg_type {
            // The server rounds without a word, and takes digits without colons and whole days.
            "time" | "time(3)" => fraction.len() > 6 || has_zone || text.find(':') != Some(2),
            // It drops a zone, and digits beyond nanoseconds, and takes digits alone for days.
            "date" | "timestamp" | "timestamp(3)" => {
                has_zone || fraction.len() > 9 || !has_plain_year
            }
            // It takes the zone of the session, and rounds.
            "timestamptz" => {
                let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
                !has_zone || digits > 6 || !has_plain_year
            }
            _ => false,
        }
}

/// Whether the target's value, back in the source's type, is the source's value.
async fn keeps(
    target: &Target,
    sample: &Sample,
    text: &str,
    stored: &str,
    pg_type: &'static str,
) -> bool {
    let back = match (&sample.column_type, pg_type) {
        (ColumnType::Binary, "uuid") => return stored.replace('-', "") == text[2..],
        (ColumnType::Boolean, _) => match stored.parse::<f64>() {
            Ok(number) => (number > 0.5).to_string(),
            Err(_word) => stored.to_owned(),
        },
        (_, "boolean") if common_type(sample, pg_type) == "numeric" => {
            i32::from(stored == "true").to_string()
        }
        _ => stored.to_owned(),
    };
    says_the_same(target, sample, text, &back, pg_type).await
}

#[tokio::test]
async fn every_pair_keeps_every_value_or_refuses_it() {
    let target = world().await;
    let spots = Spot::all(&target).await;
    let judged = spots.iter().map(|spot| complaints(&target, spot));
    // Each type has a table of its own, so that they can be tried at the same time.
    let complaints: Vec<Vec<String>> = stream::iter(judged).buffered(4).collect().await;
    let complaints = complaints.concat();
    assert!(complaints.is_empty(), "{}:\n{}", complaints.len(), complaints.join("\n"));
}

/// All samples in one target type.
async fn complaints(target: &Target, spot: &Spot) -> Vec<String> {
    let mut complaints = Vec::new();
    for sample in samples() {
        for text in &sample.texts {
            complaints.extend(judge(target, spot, &sample, text).await.err());
        }
        let null = outcome(target, spot, &sample.column_type, None).await;
        let verdict = spot.sink.assess(&ColumnPair::new("v", "v", sample.column_type.clone()));
        let is_possible = !matches!(verdict, Fidelity::Impossible { .. });
        if is_possible && !matches!(null, Ok(None)) {
            complaints.push(format!("{} NULL to {}: {null:?}", sample.column_type, spot.pg_type));
        }
    }
    complaints
}

#[tokio::test]
async fn a_part_of_a_value_has_a_column_of_its_own() {
    let target =
        Target::with("create table t (at timestamptz, mins smallint, iv interval, tx text)").await;
    let sink = target.table("t").await;
    let column_type = ColumnType::OffsetTimestamp { scale: 9 };
    let part = |name: &str| {
        let mut pair = ColumnPair::new("at", name, column_type.clone());
        pair.part = ValuePart::Offset;
        pair
    };
    let mut whole = ColumnPair::new("at", "at", column_type.clone());
    whole.policy.offset_is_kept = true;
    assert_eq!(sink.assess(&part("mins")), Fidelity::Exact);
    let plan = LoadPlan::append(vec![whole, part("mins"), part("iv"), part("tx")]);
    assert_eq!(plan.read_columns().len(), 1);
    for minutes in [330, -480, 0, 840] {
        let time = "2024-01-01 10:11:12.123456".parse().expect("a time");
        let array = crate::samples::parts(&column_type, Some((time, minutes)));
        let given = vec![Given("at", column_type.clone(), array)];
        let rows = batches(vec![Ok(batch(given))]);
        sink.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await.expect("fits");
    }
    let found = target
        .text("select string_agg(at || '|' || mins || '|' || iv || '|' || tx, ' ' order by mins) from t")
        .await
        .expect("rows");
    assert_eq!(
        found,
        "2024-01-01 10:11:12.123456+00|-480|-08:00:00|-08:00 \
         2024-01-01 10:11:12.123456+00|0|00:00:00|+00:00 \
         2024-01-01 10:11:12.123456+00|330|05:30:00|+05:30 \
         2024-01-01 10:11:12.123456+00|840|14:00:00|+14:00"
    );
}
