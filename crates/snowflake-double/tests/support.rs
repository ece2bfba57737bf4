//! Doubles and clients for the tests.

use std::time::Duration;

use snowflake_connector_rs::decode::{PlanBuildResult, RowDecodeResult};
use snowflake_connector_rs::{
    AuthConfig, Client, ClientConfig, EndpointConfig, FromRow, QueryConfig, RowPlanContext, RowRef,
    Session, SessionConfig,
};
use snowflake_double::{Double, DoubleBuilder, Table, Type, User, Value};

/// Longest wait for something that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A builder with an account, a user with a password, and a table of 1,000 rows.
pub(crate) fn builder() -> DoubleBuilder {
    Double::builder().account("acme").user(User::password("mover", "secret")).table(thousand())
}

pub(crate) async fn double() -> Double {
    builder().start().await.unwrap()
}

/// `DB.SC.T`: ID 1..1000, NAME with letters that need escapes, N with NULLs.
pub(crate) fn thousand() -> Table {
    let rows = (1..=1_000).map(|id: i32| {
        [
            Value::from(id),
            Value::from(format!("name \"{id}\" é🚀\n")),
            if id % 7 == 0 { Value::Null } else { Value::lit(format!("{id}.25")) },
        ]
    });
    Table::new("DB.SC.T")
        .required_column("ID", Type::number(38, 0))
        .column("NAME", Type::varchar())
        .column("N", Type::number(12, 2))
        .primary_key(["ID"])
        .rows(rows)
}

pub(crate) fn config(double: &Double, auth: AuthConfig) -> ClientConfig {
    let url = url::Url::parse(double.base_url()).unwrap();
    let session = SessionConfig::new()
        .with_database("DB")
        .with_schema("SC")
        .with_session_parameter("TIMEZONE", "UTC".into())
        .with_session_parameter("JSON_INDENT", 0.into());
    ClientConfig::new("mover", "acme", auth)
        .with_endpoint(EndpointConfig::custom_base_url(url))
        .with_session(session)
        .with_query(QueryConfig::new().with_query_response_timeout(SOON))
}

/// A session with the password.
pub(crate) async fn session(double: &Double) -> Session {
    let client = Client::new(config(double, AuthConfig::password("secret"))).unwrap();
    client.create_session().await.unwrap()
}

/// A row as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Texts(pub(crate) Vec<Option<String>>);

impl FromRow for Texts {
    type Plan = usize;

    fn build_plan(context: RowPlanContext<'_>) -> PlanBuildResult<usize> {
        Ok(context.schema().len())
    }

    fn from_row_with_plan(row: RowRef<'_>, width: &usize) -> RowDecodeResult<Self> {
        let cell = |index| row.cell_at(index).unwrap().raw().map(str::to_owned);
        Ok(Self((0..*width).map(cell).collect()))
    }
}

/// All rows of a statement as texts.
pub(crate) async fn rows(
    session: &Session,
    sql: &str,
) -> snowflake_connector_rs::Result<Vec<Vec<Option<String>>>> {
    let table = session.query(sql.to_owned()).await?.collect_table().await?;
    Ok(table.rows::<Texts>()?.map(|row| row.unwrap().0).collect())
}

/// The only cell of the only row.
pub(crate) async fn value(session: &Session, sql: &str) -> Option<String> {
    let rows = rows(session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(rows.len(), 1, "{sql}");
    rows[0][0].clone()
}
