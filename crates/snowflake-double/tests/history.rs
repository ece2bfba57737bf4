//! What the account tells of statements, and how others end them.

use snowflake_double::{Fault, RequestKind, Rule};

use crate::support::{SOON, double, rows, session, value};

fn status_of(part: &str) -> String {
    format!(
        "select execution_status || ' ' || coalesce(error_code::varchar, '-') \
         from table(db.information_schema.query_history_by_user(result_limit => 100)) \
         where query_text = '{part}'"
    )
}

#[tokio::test]
async fn the_history_tells_what_runs_what_ended_and_how_it_failed() {
    let double = double().await;
    let session = session(&double).await;
    session.query("select id from t").await.unwrap();
    session.query("select nonsense from t").await.unwrap_err();
    let of = async |part: &str| value(&session, &status_of(part)).await;
    assert_eq!(of("select id from t").await.as_deref(), Some("SUCCESS -"));
    assert_eq!(of("select nonsense from t").await.as_deref(), Some("FAILED_WITH_ERROR 904"));
    assert!(rows(&session, &status_of("select never")).await.unwrap().is_empty());
    let refused = "select * from table(db.information_schema.query_history_by_user(1))";
    let error = session.query(refused).await.unwrap_err();
    assert_eq!(error.snowflake_code(), Some("000002"), "no argument is guessed at");
}

#[tokio::test]
async fn a_statement_is_ended_by_its_id_from_another_session() {
    let double = double().await;
    let (runs, ends) = (session(&double).await, session(&double).await);
    let held = Rule::new(RequestKind::Query, Fault::Hold).sql_containing("from t");
    double.knobs().inject(held).unwrap();
    let statement = runs.query("select id from t");
    let ending = async {
        let runs = |requests: &[snowflake_double::Request]| {
            requests.iter().any(|request| request.query_id.is_some())
        };
        double.wait_for(SOON, runs).await.unwrap();
        assert_eq!(
            value(&ends, &status_of("select id from t")).await.as_deref(),
            Some("RUNNING -")
        );
        let id = double.requests().into_iter().find_map(|request| request.query_id).unwrap();
        let sql = format!("select system$cancel_query('{id}')");
        let expected = format!("query [{id}] terminated.");
        assert_eq!(value(&ends, &sql).await, Some(expected));
    };
    let (ended, ()) = tokio::join!(statement, ending);
    assert_eq!(ended.unwrap_err().snowflake_code(), Some("000604"));
}
