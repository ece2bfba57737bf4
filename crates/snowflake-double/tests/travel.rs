//! Time travel while tables change.

use std::time::Duration;

use snowflake_double::Value;

use crate::support::{double, session, value};

#[tokio::test]
async fn a_pinned_instant_never_sees_later_changes() {
    let double = double().await;
    let session = session(&double).await;
    for extra in 0..20 {
        let sql = "select to_varchar(current_timestamp(), 'YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM')";
        let pin = value(&session, sql).await.unwrap();
        let row = [Value::from(2_000 + extra), Value::Null, Value::Null];
        double.insert("DB.SC.T", [row]).unwrap();
        let pinned = format!("select count(*) from t at(timestamp => '{pin}'::timestamp_ltz)");
        assert_eq!(value(&session, &pinned).await, Some((1_000 + extra).to_string()));
        assert_eq!(
            value(&session, "select count(*) from t").await,
            Some((1_001 + extra).to_string())
        );
    }
}

#[tokio::test]
async fn past_versions_end_with_the_retention() {
    let double = double().await;
    let session = session(&double).await;
    let pin = value(&session, "select current_timestamp()::varchar").await.unwrap();
    let pinned = format!("select count(*) from t at(timestamp => '{pin}'::timestamp_ltz)");
    double.replace_rows("DB.SC.T", [[Value::from(1), Value::Null, Value::Null]]).unwrap();
    assert_eq!(value(&session, "select count(*) from t").await.as_deref(), Some("1"));
    assert_eq!(value(&session, &pinned).await.as_deref(), Some("1000"));
    double.set_retention(Duration::from_mins(1));
    assert_eq!(value(&session, &pinned).await.as_deref(), Some("1000"));
    double.advance_clock(Duration::from_mins(2));
    let error = session.query(pinned).await.unwrap_err();
    assert_eq!(error.snowflake_code(), Some("000707"));
    assert!(error.snowflake_message().unwrap().contains("table T."));
}

#[tokio::test]
async fn tables_can_be_without_time_travel() {
    let double = double().await;
    let session = session(&double).await;
    double.deny_time_travel("DB.SC.T").unwrap();
    let sql = "select count(*) from t at(timestamp => current_timestamp())";
    let error = session.query(sql).await.unwrap_err();
    assert_eq!(error.snowflake_code(), Some("000707"));
    assert_eq!(value(&session, "select count(*) from t").await.as_deref(), Some("1000"));
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_and_change_nothing() {
    let double = double().await;
    let session = session(&double).await;
    let error = double.insert("DB.SC.T", [[Value::Null, Value::Null, Value::Null]]).unwrap_err();
    assert!(error.to_string().contains("NOT NULL"));
    assert!(
        double.insert("DB.SC.NOPE", [[Value::Null]]).unwrap_err().to_string().contains("DB.SC.T")
    );
    assert_eq!(value(&session, "select count(*) from t").await.as_deref(), Some("1000"));
}
