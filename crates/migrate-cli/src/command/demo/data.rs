//! What the demo moves: data, keys and target tables, carried inside the program.

/// A table: its name on both sides, and its rows as Parquet.
pub(super) struct DemoTable {
    pub(super) name: &'static str,
    pub(super) parquet: &'static [u8],
}

macro_rules! tables {
    ($($name:literal),*) => {
        [$(DemoTable {
            name: $name,
            parquet: include_bytes!(concat!("../../../demo/", $name, ".parquet")),
        }),*]
    };
}

/// The New York flights of 2013, with their airlines, airports, planes and weather.
// Not a constant: the program would carry the rows once for each place that names it.
pub(super) static TABLES: [DemoTable; 5] =
    tables!["airlines", "airports", "planes", "weather", "flights"];

/// The target tables.
pub(super) const TARGET_SQL: &str = include_str!("../../../demo/target.sql");

/// A key that opens nothing but the stand-in on this machine.
pub(super) const PRIVATE_KEY: &str = include_str!("../../../demo/key.p8");
pub(super) const PUBLIC_KEY: &str = include_str!("../../../demo/key.pub");

/// How the demo names things in Snowflake and in PostgreSQL.
pub(super) const ACCOUNT: &str = "DEMO";
pub(super) const USER: &str = "DEMO_USER";
pub(super) const WAREHOUSE: &str = "DEMO_WH";
pub(super) const SOURCE_DATABASE: &str = "NYC";
pub(super) const SOURCE_SCHEMA: &str = "FLIGHTS_2013";
pub(super) const TARGET_DATABASE: &str = "postgres";
pub(super) const TARGET_SCHEMA: &str = "nyc";
