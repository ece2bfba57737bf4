//! Both sources keep every rule of a source.

use std::sync::Arc;
use std::time::Duration;

use migrate_core::testkit::Testkit;
use migrate_core::testkit::source::{SHRUNK_ROWS, SourceFixture, sample};
use migrate_core::{Result, Source, TableRef, async_trait};

fn kit() -> Testkit {
    Testkit::new().with_patience(|| tokio::time::sleep(Duration::from_mins(2)))
}

#[cfg(feature = "parquet")]
mod parquet_source {
    use migrate_core::arrow::array::RecordBatch;
    use migrate_sources::ParquetSource;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// Two files of one table, in row groups of 25 rows.
    #[derive(Debug)]
    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Result<Self> {
            let files = Self(tempfile::tempdir().expect("folder"));
            let rows = sample()?;
            files.write("a.parquet", &rows.slice(0, 90));
            files.write("b.parquet", &rows.slice(90, rows.num_rows() - 90));
            Ok(files)
        }

        fn write(&self, name: &str, rows: &RecordBatch) {
            let properties =
                WriterProperties::builder().set_max_row_group_row_count(Some(25)).build();
            let file = std::fs::File::create(self.0.path().join(name)).expect("file");
            let writer = ArrowWriter::try_new(file, rows.schema(), Some(properties));
            let mut writer = writer.expect("writer");
            writer.write(rows).expect("rows");
            writer.close().expect("footer");
        }
    }

    #[async_trait]
    impl SourceFixture for Files {
        fn source(&self) -> Arc<dyn Source> {
            Arc::new(ParquetSource::new(self.0.path()))
        }

        fn table(&self) -> TableRef {
            TableRef::bare("*.parquet")
        }

        async fn shrink(&self) -> Result<()> {
            let left = usize::try_from(SHRUNK_ROWS).expect("small");
            self.write("b.parquet", &sample()?.slice(90, left - 90));
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_source_of_parquet_keeps_every_rule() {
        let report = kit().source(|| async { Files::new() }).await;
        report.expect_kept();
        assert_eq!(report.skipped(), ["rows_come_in_the_order_that_was_asked_for"]);
    }
}

#[cfg(feature = "snowflake")]
mod snowflake_source {
    use migrate_core::arrow::array::{Array, AsArray, RecordBatch};
    use migrate_core::arrow::datatypes::{Date32Type, Int64Type};
    use snowflake_double::{Double, Table, Type, Value};

    use super::*;
    use crate::snowflake_support::{double, source, table};

    #[derive(Debug)]
    struct Account(Double);

    fn number(of: &RecordBatch, column: usize, row: usize) -> Value {
        let column = of.column(column).as_primitive::<Int64Type>();
        if column.is_null(row) { Value::Null } else { Value::from(column.value(row)) }
    }

    fn values(of: &RecordBatch) -> Vec<[Value; 4]> {
        let names = of.column(2).as_string::<i32>();
        let days = of.column(3).as_primitive::<Date32Type>();
        let values = |row| {
            let name = if names.is_null(row) { Value::Null } else { names.value(row).into() };
            let day = if days.is_null(row) { Value::Null } else { Value::Date(days.value(row)) };
            [number(of, 0, row), number(of, 1, row), name, day]
        };
        (0..of.num_rows()).map(values).collect()
    }

    async fn account() -> Result<Account> {
        let rows = Table::new("DB.PUBLIC.T")
            .required_column("row", Type::number(38, 0))
            .column("id", Type::number(18, 0))
            .column("name", Type::varchar())
            .column("day", Type::Date)
            .rows(values(&sample()?));
        Ok(Account(double().table(rows).start().await.expect("starts")))
    }

    #[async_trait]
    impl SourceFixture for Account {
        fn source(&self) -> Arc<dyn Source> {
            Arc::new(source(&self.0))
        }

        fn table(&self) -> TableRef {
            table("T")
        }

        async fn shrink(&self) -> Result<()> {
            let left = usize::try_from(SHRUNK_ROWS).expect("small");
            let rows = values(&sample()?.slice(0, left));
            self.0.replace_rows("DB.PUBLIC.T", rows).expect("the table is there");
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_source_of_snowflake_keeps_every_rule() {
        let report = kit().source(account).await;
        report.expect_kept();
        assert_eq!(report.skipped(), ["objects_hold_each_row_once"]);
    }
}
