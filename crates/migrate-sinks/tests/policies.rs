//! Values under policies that give something up: exactly what was chosen is lost, and nothing else.

use migrate_core::value::{DayTime, EpochTime};
use migrate_core::{
    ColumnPair, ColumnType, Error, Fidelity, LoadPlan, OnFraction, OnNonjson, OnNul, RunContext,
    ValuePart, ValuePolicy, code,
};

use crate::samples::{array, parts};
use crate::support::{Given, Target, batch, batches, chunk};

/// A target with a table `t` of one column `v`.
async fn target(pg_type: &str) -> Target {
    let target = Target::with("create type mood as enum ('sad', 'ok')").await;
    target.execute(&format!("create table t (v {pg_type})")).await;
    target
}

fn pair(column_type: &ColumnType, change: impl FnOnce(&mut ValuePolicy)) -> ColumnPair {
    let mut pair = ColumnPair::new("v", "v", column_type.clone());
    change(&mut pair.policy);
    pair
}

/// Writes one value; what the server then says of it.
async fn stored(
    target: &Target,
    pair: &ColumnPair,
    text: &str,
    ask: &str,
) -> Result<String, Error> {
    target.execute("truncate t").await;
    let given = vec![Given("v", pair.column_type.clone(), array(&pair.column_type, Some(text)))];
    let plan = LoadPlan::append(vec![pair.clone()]);
    let rows = batches(vec![Ok(batch(given))]);
    let table = target.table("t").await;
    table.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await?;
    Ok(target.text(&format!("select ({ask})::text from t")).await.expect("a value"))
}

async fn verdict(target: &Target, pair: &ColumnPair) -> Fidelity {
    target.table("t").await.assess(pair)
}

fn is_chosen(fidelity: &Fidelity) -> bool {
    matches!(fidelity, Fidelity::Lossy { by_choice: true, .. })
}

/// Nanoseconds as a column of so many digits keeps them.
fn kept(nanos: i128, digits: u32, policy: OnFraction) -> i128 {
    let unit = 10_i128.pow(9 - digits);
    let half = if policy == OnFraction::Round { unit / 2 } else { 0 };
    (nanos + half).div_euclid(unit) * unit
}

/// The same as the server reads it.
fn expected(column_type: &ColumnType, text: &str, digits: u32, policy: OnFraction) -> String {
    let second = 1_000_000_000;
    if let ColumnType::Time { .. } = column_type {
        let nanos: DayTime = text.parse().expect("a time");
        let kept = u64::try_from(kept(nanos.nanos().into(), digits, policy)).expect("small");
        return DayTime::new(kept).map_or("24:00:00".to_owned(), |time| time.to_string());
    }
    let time: EpochTime = text.parse().expect("a time");
    let nanos = i128::from(time.seconds()) * second + i128::from(time.nanos());
    let kept = kept(nanos, digits, policy);
    let seconds = i64::try_from(kept.div_euclid(second)).expect("in range");
    let nanos = u32::try_from(kept.rem_euclid(second)).expect("below a second");
    let text = EpochTime::new(seconds, nanos).expect("a time").to_string();
    text.trim_start_matches('+').to_owned()
}

#[tokio::test]
async fn fractions_are_cut_or_rounded_as_a_model_says_or_refused() {
    let times = [
        "2024-02-29 10:11:12.1234565",
        "2024-02-29 10:11:12.123456499",
        "2024-02-29 23:59:59.999999999",
        "2000-01-01 00:00:00.0000005",
        "2000-01-01 00:00:00.000000499",
        "2024-02-29 10:11:12.1235",
        "1969-12-31 23:59:59.999999999",
        "1969-12-31 23:59:59.00000001",
        "0001-01-01 00:00:00.000000001",
        "9999-12-31 23:59:59.999999999",
    ];
    let days = ["00:00:00.000000001", "10:11:12.1234565", "23:59:59.999999499", "23:59:59.9999995"];
    let offset = ColumnType::OffsetTimestamp { scale: 9 };
    let text = ColumnType::Text { max_chars: None };
    for (column_type, pg_type, digits, texts) in [
        (ColumnType::Timestamp { scale: 9 }, "timestamp", 6, times.as_slice()),
        (ColumnType::Timestamp { scale: 9 }, "timestamp(3)", 3, &times),
        (ColumnType::Timestamp { scale: 9 }, "timestamp(0)", 0, &times),
        (ColumnType::Instant { scale: 9 }, "timestamptz", 6, &times),
        (offset, "timestamptz(3)", 3, &times),
        (ColumnType::Time { scale: 9 }, "time", 6, &days),
        (ColumnType::Time { scale: 9 }, "time(3)", 3, &days),
        (ColumnType::Time { scale: 9 }, "interval", 6, &days),
        (text.clone(), "timestamp", 6, &times),
        (text, "timestamp(3)", 3, &times),
    ] {
        let target = target(pg_type).await;
        for policy in [OnFraction::Truncate, OnFraction::Round, OnFraction::Reject] {
            let pair = pair(&column_type, |chosen| {
                chosen.on_fraction = Some(policy);
                chosen.offset_is_kept = true;
            });
            let fidelity = verdict(&target, &pair).await;
            let gives_up = policy != OnFraction::Reject;
            assert_eq!(is_chosen(&fidelity), gives_up, "{column_type} {pg_type}: {fidelity}");
            for text in texts {
                let said = format!("{column_type} {text} {policy:?} {pg_type}");
                let value = expected(&column_type, text, digits, policy);
                let found = stored(&target, &pair, text, &format!("v = '{value}'")).await;
                let is_finer = value != expected(&column_type, text, 9, policy);
                match found {
                    Ok(same) if gives_up || !is_finer => assert_eq!(same, "true", "{said} {value}"),
                    Err(error) if !gives_up => {
                        assert_eq!(error.code(), code::VALUE_REFUSED, "{said}");
                    }
                    other => panic!("{said}: {other:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn u0000_is_refused_left_out_or_replaced() {
    let text = || ColumnType::Text { max_chars: None };
    for (column_type, pg_type, value, removed, replaced) in [
        (text(), "text", "a\0b", Some("ab"), Some("a\u{fffd}b")),
        (text(), "varchar(3)", "\0a\0b", Some("ab"), None),
        (text(), "char(2)", "a\0b", Some("ab"), None),
        (text(), "char(3)", "a\0b", Some("ab"), Some("a\u{fffd}b")),
        (
            ColumnType::Json,
            "jsonb",
            r#"{"\u0000k":"a\u0000"}"#,
            Some(r#"{"k": "a"}"#),
            Some("{\"\u{fffd}k\": \"a\u{fffd}\"}"),
        ),
        (
            ColumnType::Json,
            "text[]",
            r#"["a\u0000",null]"#,
            Some("{a,NULL}"),
            Some("{a\u{fffd},NULL}"),
        ),
        (
            ColumnType::Json,
            "jsonb[]",
            r#"["\u0000"]"#,
            Some(r#"{"\"\""}"#),
            Some("{\"\\\"\u{fffd}\\\"\"}"),
        ),
    ] {
        let target = target(pg_type).await;
        for (policy, expected) in
            [(OnNul::Reject, None), (OnNul::Remove, removed), (OnNul::Replace, replaced)]
        {
            let pair = pair(&column_type, |chosen| chosen.on_nul = policy);
            let fidelity = verdict(&target, &pair).await;
            assert_eq!(is_chosen(&fidelity), policy != OnNul::Reject, "{pg_type}: {fidelity}");
            match (stored(&target, &pair, value, "v").await, expected) {
                (Ok(found), Some(expected)) => {
                    assert_eq!(found, expected, "{pg_type} {policy:?}");
                }
                (Err(error), None) => assert_eq!(error.code(), code::VALUE_REFUSED, "{pg_type}"),
                (other, _) => panic!("{pg_type} {policy:?}: {other:?}"),
            }
        }
    }
    // `json` and `text` keep the escape as it is, whatever the policy.
    for pg_type in ["json", "text"] {
        let target = target(pg_type).await;
        for policy in [OnNul::Reject, OnNul::Remove, OnNul::Replace] {
            let pair = pair(&ColumnType::Json, |chosen| chosen.on_nul = policy);
            let found = stored(&target, &pair, r#""\u0000""#, "v").await.expect("an escape");
            assert_eq!(found, r#""\u0000""#);
        }
    }
}

#[tokio::test]
async fn what_json_has_no_word_for_is_refused_nothing_or_a_text() {
    let variant = r#"{"a":[NaN,-Infinity,Infinity],"undefined":undefined,"t":"NaN"}"#;
    let null = r#"{"a":[null,null,null],"undefined":null,"t":"NaN"}"#;
    let text = r#"{"a":["NaN","-Infinity","Infinity"],"undefined":"undefined","t":"NaN"}"#;
    for (column_type, pg_type, value, null, text) in [
        (ColumnType::Json, "json", variant, null, text),
        (ColumnType::Json, "jsonb", variant, null, text),
        (ColumnType::Text { max_chars: None }, "json", variant, null, text),
        (ColumnType::Float64, "jsonb", "NaN", "null", "\"NaN\""),
        (ColumnType::Float64, "json", "-inf", "null", "\"-Infinity\""),
        (ColumnType::Float32, "json", "inf", "null", "\"Infinity\""),
    ] {
        let target = target(pg_type).await;
        for (policy, expected) in [
            (OnNonjson::Reject, None),
            (OnNonjson::Null, Some(null)),
            (OnNonjson::Text, Some(text)),
        ] {
            let pair = pair(&column_type, |chosen| chosen.on_nonjson = policy);
            let said = format!("{column_type} {pg_type} {policy:?}");
            let fidelity = verdict(&target, &pair).await;
            assert_eq!(is_chosen(&fidelity), policy != OnNonjson::Reject, "{said}: {fidelity}");
            let ask = expected.map_or("v".into(), |json| format!("v::jsonb = '{json}'::jsonb"));
            match (stored(&target, &pair, value, &ask).await, expected) {
                (Ok(same), Some(_)) => assert_eq!(same, "true", "{said}"),
                (Err(error), None) => assert_eq!(error.code(), code::VALUE_REFUSED, "{said}"),
                (other, _) => panic!("{said}: {other:?}"),
            }
        }
    }
    let target = target("integer[]").await;
    let nulls = pair(&ColumnType::Json, |chosen| chosen.on_nonjson = OnNonjson::Null);
    assert!(is_chosen(&verdict(&target, &nulls).await));
    assert_eq!(stored(&target, &nulls, "[1,NaN]", "v").await.expect("NULL"), "{1,NULL}");
}

/// Clocks from year 1 to 9999, up to 14 hours from UTC: the instants lie before and after that.
#[tokio::test]
async fn offsets_at_the_ends_of_the_calendar_come_back_with_their_instants() {
    let target = Target::with(
        "create table t (at timestamptz, mins smallint, iv interval, tx varchar(6), wall text)",
    )
    .await;
    let sink = target.table("t").await;
    let column_type = ColumnType::OffsetTimestamp { scale: 9 };
    let of = |name: &str, part| {
        let mut pair = ColumnPair::new("at", name, column_type.clone());
        pair.part = part;
        pair.policy.offset_is_kept = true;
        pair
    };
    let offsets = ["mins", "iv", "tx"].map(|name| of(name, ValuePart::Offset));
    let mut pairs = vec![of("at", ValuePart::Whole), of("wall", ValuePart::Whole)];
    pairs.extend(offsets);
    let plan = LoadPlan::append(pairs);
    for (wall, minutes, instant) in [
        ("0001-01-01 00:00:00", 840, "0001-12-31 10:00:00+00 BC"),
        ("0001-01-01 00:00:00.000001", -840, "0001-01-01 14:00:00.000001+00"),
        ("9999-12-31 23:59:59.999999", -840, "10000-01-01 13:59:59.999999+00"),
        ("9999-12-31 23:59:59.999999", 840, "9999-12-31 09:59:59.999999+00"),
        ("2024-02-29 00:00:00", -1, "2024-02-29 00:01:00+00"),
        ("2000-01-01 00:00:00", 59, "1999-12-31 23:01:00+00"),
    ] {
        target.execute("truncate t").await;
        let clock: EpochTime = wall.parse().expect("a time");
        let utc = EpochTime::new(clock.seconds() - i64::from(minutes) * 60, clock.nanos());
        let array = parts(&column_type, Some((utc.expect("in range"), minutes)));
        let rows = batches(vec![Ok(batch(vec![Given("at", column_type.clone(), array)]))]);
        sink.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await.expect(wall);
        let found = target.text("select at || '|' || mins || '|' || iv from t").await;
        let sign = if minutes < 0 { "-" } else { "" };
        let hours = format!("{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        assert_eq!(found, Some(format!("{instant}|{minutes}|{sign}{hours}:00")));
        let sign = if minutes < 0 { "-" } else { "+" };
        let found = target.text("select wall || '|' || tx from t").await;
        assert_eq!(found, Some(format!("{wall}{sign}{hours}|{sign}{hours}")));
        let again = target.text("select ((wall::timestamptz) = at)::text from t").await;
        assert_eq!(again.as_deref(), Some("true"), "{wall}");
    }
}
