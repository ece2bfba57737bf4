//! Which keys of a target can decide whether a row is known: `on conflict` takes a unique index over
//! exactly these columns, whole, immediate and valid, and nothing else.

use std::collections::BTreeSet;

use migrate_core::{ColumnName, Dialect, Error, Result, SqlBuilder, TableRef, TableSchema, code};
use migrate_postgres::sqlx;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::catalog::catalog;
use super::in_database;

const DEFERRABLE: &str = "belongs to a deferrable constraint";

/// What decides how rows can be merged into a table.
#[derive(Debug)]
pub(super) struct Keys {
    indexes: Vec<UniqueIndex>,
    /// Columns that only their sequence may change once a row is there.
    fixed_identities: Vec<ColumnName>,
    pub(super) is_partitioned: bool,
}

/// A unique index.
#[derive(Debug)]
struct UniqueIndex {
    name: String,
    /// Empty where an expression is part of it.
    columns: Vec<ColumnName>,
    /// Why it cannot decide conflicts, if it cannot.
    flaw: Option<&'static str>,
    /// Whether two rows may have NULL in it.
    takes_nulls_apart: bool,
    /// Columns in which it takes texts of different letters for one.
    folding: Vec<ColumnName>,
}

impl Keys {
    /// Reads them.
    pub(super) async fn load(
        connection: &mut PgConnection,
        oid: i64,
        table: &TableRef,
    ) -> Result<Self> {
        let failed = |cause| catalog(cause, table);
        // `indnullsnotdistinct` exists from PostgreSQL 15 on; a row as JSON lacks it quietly.
        let rows = sqlx::query(
            "select c.relname::text as name, \
                    case when i.indexprs is null then array( \
                        select a.attname::text from unnest(i.indkey::int2[]) \
                            with ordinality as k (attnum, position) \
                        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
                        where k.position <= i.indnkeyatts order by k.position) \
                    else '{}' end as columns, \
                    i.indpred is not null as has_predicate, not i.indimmediate as is_deferrable, \
                    i.indisvalid and i.indisready as is_valid, \
                    coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'false' \
                        as takes_nulls_apart, \
                    array(select a.attname::text from unnest(i.indkey::int2[]) \
                            with ordinality as k (attnum, position) \
                        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
                        where k.position <= i.indnkeyatts and (exists ( \
                            select from pg_collation l where not l.collisdeterministic and l.oid in \
                                (a.attcollation, i.indcollation[(k.position - 1)::int])) \
                          or exists (select from pg_opclass o join pg_type t on t.oid = o.opcintype \
                            where o.oid = i.indclass[(k.position - 1)::int] \
                              and t.typname = 'citext'))) as folding \
             from pg_index i join pg_class c on c.oid = i.indexrelid \
             where i.indrelid = $1::oid and i.indisunique \
             order by i.indisprimary desc, i.indexrelid",
        )
        .bind(oid)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
        let indexes = rows.iter().map(unique_index).collect::<Result<_, _>>().map_err(failed)?;
        let table_row = sqlx::query(
            "select relkind = 'p' as is_partitioned, array( \
                 select a.attname::text from pg_attribute a \
                 where a.attrelid = c.oid and a.attidentity = 'a' and not a.attisdropped) as fixed \
             from pg_class c where c.oid = $1::oid",
        )
        .bind(oid)
        .fetch_one(connection)
        .await
        .map_err(failed)?;
        Ok(Self {
            indexes,
            fixed_identities: names(table_row.try_get("fixed").map_err(failed)?),
            is_partitioned: table_row.try_get("is_partitioned").map_err(failed)?,
        })
    }

    /// Whether rows with NULL in these columns would never be recognised again.
    pub(super) fn takes_nulls_apart(&self, keys: &[ColumnName]) -> bool {
        self.arbiter(keys).is_none_or(|index| index.takes_nulls_apart)
    }

    /// A column of these keys in which texts that differ in their letters are one key.
    pub(super) fn folding(&self, keys: &[ColumnName]) -> Option<&ColumnName> {
        self.arbiter(keys)?.folding.first()
    }

    /// A key of the table by which each row is one: unique, at once, without NULL and among `columns`.
    pub(super) fn of_every_row(
        &self,
        columns: &BTreeSet<&ColumnName>,
        schema: &TableSchema,
    ) -> Vec<ColumnName> {
        let has_no_null =
            |name: &ColumnName| schema.column(name).is_some_and(|column| !column.nullable);
        let found = self.indexes.iter().find(|index| {
            self.can_be_arbiter(index)
                && !index.columns.is_empty()
                && index.columns.iter().all(|name| columns.contains(name) && has_no_null(name))
        });
        found.map(|index| index.columns.clone()).unwrap_or_default()
    }

    /// Refuses columns that are no key.
    ///
    /// # Errors
    ///
    /// [`code::KEY_NOT_UNIQUE`] with the statement that makes them one.
    pub(super) fn require(&self, table: &TableRef, keys: &[ColumnName]) -> Result<()> {
        if let Some(late) = self.deferrable_over(keys) {
            return Err(refuse_deferrable(table, late));
        }
        if self.arbiter(keys).is_some() {
            return Ok(());
        }
        let near = self.indexes.iter().find(|index| index.is_over(keys));
        let but = near.map_or_else(String::new, |index| {
            let name = ColumnName::from(index.name.as_str());
            format!("; {name} {}", index.flaw.unwrap_or_default())
        });
        let listed = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Err(Error::new(
            code::KEY_NOT_UNIQUE,
            format!("The target has no unique index on exactly ({listed}){but}"),
        )
        .with("table", table)
        .with_hint(format!("{}; or correct `uniqueness_columns`", create_index(table, keys))))
    }

    /// Refuses to update a column that PostgreSQL lets nobody update.
    pub(super) fn require_updatable<'a>(
        &self,
        table: &TableRef,
        mut columns: impl Iterator<Item = &'a ColumnName>,
    ) -> Result<()> {
        let Some(fixed) = columns.find(|column| self.fixed_identities.contains(column)) else {
            return Ok(());
        };
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("alter table ")
            .table(&in_database(table))
            .text(" alter column ")
            .name(fixed.as_str());
        sql.text(" set generated by default");
        Err(Error::new(
            code::KEY_NOT_UNIQUE,
            format!("The column {fixed} is generated always, so rows cannot be updated in it"),
        )
        .with("table", table)
        .with_hint(format!("{}; or make it part of the key", sql.finish().sql)))
    }

    /// PostgreSQL refuses `on conflict` if any index over exactly these columns is checked late, even
    /// beside one that could decide.
    fn deferrable_over(&self, keys: &[ColumnName]) -> Option<&UniqueIndex> {
        self.indexes.iter().find(|index| index.is_over(keys) && index.flaw == Some(DEFERRABLE))
    }

    fn can_be_arbiter(&self, index: &UniqueIndex) -> bool {
        index.can_decide() && self.deferrable_over(&index.columns).is_none()
    }

    fn arbiter(&self, keys: &[ColumnName]) -> Option<&UniqueIndex> {
        self.indexes.iter().find(|index| index.is_over(keys) && index.can_decide())
    }
}

impl UniqueIndex {
    /// Whether it is over these columns, in any order.
    fn is_over(&self, keys: &[ColumnName]) -> bool {
        let own: BTreeSet<_> = self.columns.iter().collect();
        !keys.is_empty() && own == keys.iter().collect()
    }

    fn can_decide(&self) -> bool {
        self.flaw.is_none()
    }
}

fn unique_index(row: &PgRow) -> Result<UniqueIndex, sqlx::Error> {
    let flaws = [
        (row.try_get("has_predicate")?, "covers some rows only"),
        (row.try_get("is_deferrable")?, DEFERRABLE),
        (!row.try_get::<bool, _>("is_valid")?, "is not valid"),
    ];
    Ok(UniqueIndex {
        name: row.try_get("name")?,
        columns: names(row.try_get("columns")?),
        flaw: flaws.into_iter().find(|(has_it, _)| *has_it).map(|(_, flaw)| flaw),
        takes_nulls_apart: row.try_get("takes_nulls_apart")?,
        folding: names(row.try_get("folding")?),
    })
}

fn names(texts: Vec<String>) -> Vec<ColumnName> {
    texts.into_iter().map(ColumnName::from).collect()
}

fn refuse_deferrable(table: &TableRef, index: &UniqueIndex) -> Error {
    let name = ColumnName::from(index.name.as_str());
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text("alter table ").table(&in_database(table)).text(" drop constraint ").name(&index.name);
    let create = create_index(table, &index.columns);
    Error::new(
        code::KEY_NOT_UNIQUE,
        format!("{name} {DEFERRABLE}, which PostgreSQL does not merge by"),
    )
    .with("table", table)
    .with_hint(format!(
        "{}; {create}, unless there is such an index; or correct `uniqueness_columns`",
        sql.finish().sql
    ))
}

fn create_index(table: &TableRef, keys: &[ColumnName]) -> String {
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text("create unique index on ").table(&in_database(table)).text(" (");
    sql.names(keys.iter().map(ColumnName::as_str)).text(")");
    sql.finish().sql
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(columns: &[&str]) -> UniqueIndex {
        UniqueIndex {
            name: "u".into(),
            columns: columns.iter().map(|name| ColumnName::from(*name)).collect(),
            flaw: None,
            takes_nulls_apart: true,
            folding: Vec::new(),
        }
    }

    fn keys(indexes: Vec<UniqueIndex>) -> Keys {
        Keys { indexes, fixed_identities: vec!["id".into()], is_partitioned: false }
    }

    #[test]
    fn only_a_whole_immediate_valid_index_on_exactly_these_columns_decides() {
        let table = TableRef::in_schema("s", "t");
        let wanted: [ColumnName; 2] = ["a".into(), "b".into()];
        keys(vec![index(&["b", "a"])]).require(&table, &wanted).expect("order does not matter");
        let flawed = [
            (index(&["a"]), "exactly (\"a\", \"b\")"),
            (index(&["a", "b", "c"]), "exactly"),
            (index(&[]), "exactly"),
            (
                UniqueIndex { flaw: Some("is not valid"), ..index(&["a", "b"]) },
                "\"u\" is not valid",
            ),
        ];
        for (index, said) in flawed {
            let error = keys(vec![index]).require(&table, &wanted).expect_err(said);
            assert_eq!(error.code(), code::KEY_NOT_UNIQUE);
            assert!(error.to_string().contains(said), "{error}");
            let statement = r#"create unique index on "s"."t" ("a", "b")"#;
            assert!(error.hint().is_some_and(|hint| hint.starts_with(statement)), "{error}");
        }
    }

    #[test]
    fn a_column_that_nobody_may_update_is_refused_with_the_remedy() {
        let table = TableRef::in_schema("s", "t");
        let columns: [ColumnName; 1] = ["id".into()];
        let error = keys(Vec::new()).require_updatable(&table, columns.iter()).expect_err("id");
        assert!(error.to_string().contains("set generated by default"), "{error}");
    }
}
