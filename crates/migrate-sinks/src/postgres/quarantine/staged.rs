//! The merge of a chunk whose bad rows are set aside.
//!
//! As ever, the waiting rows are merged by one ordered, guarded statement. Only when that is refused
//! they get places in the order of their keys, and ranges of places are merged one after the other:
//! locks are taken in the same order as before. A refused row counts as one that was not delivered,
//! so an older row of its key may take its place.

use std::collections::BTreeSet;

use migrate_core::{ColumnName, Dialect, Error, Result, SqlBuilder, SqlStatement};
use migrate_postgres::{bound, execute, is_about_row, sqlx};
use sqlx::{PgConnection, Row};

use super::super::merge::{Merge, Merged, Staged, record};
use super::bisection::Bisection;
use super::late::Late;
use super::piece::RowSource;
use super::rejects::Rejects;
use super::savepoint::{open, revert, settle};
use super::source_rows::SourceRows;

impl Merge<'_> {
    /// Moves the waiting rows into the table, but for those that are set aside.
    pub(super) async fn run_apart(
        &self,
        connection: &mut PgConnection,
        source_rows: &SourceRows<'_>,
        rows: RowSource<'_>,
        rejects: &mut Rejects<'_>,
    ) -> Result<Merged> {
        let mut merged = Merged::default();
        let mut apart = Apart { merge: self, source_rows, rows, rejects };
        loop {
            let staged = apart.without_doubtful_keys(connection).await?;
            let has_refused = apart.merge_all(connection, &staged, &mut merged).await?;
            if !has_refused || !staged.has_twins || !apart.has_successors(connection).await? {
                return Ok(merged);
            }
        }
    }
}

/// A merge on its way.
struct Apart<'a, 'r> {
    merge: &'a Merge<'a>,
    source_rows: &'a SourceRows<'a>,
    rows: RowSource<'a>,
    rejects: &'a mut Rejects<'r>,
}

impl<'a> Apart<'a, '_> {
    /// Sets rows aside whose key says nothing: NULL where it would never be recognised, and rows that
    /// contradict each other. Of these nobody knows which is right, so all rows of the key go.
    async fn without_doubtful_keys(&mut self, connection: &mut PgConnection) -> Result<Staged<'a>> {
        loop {
            let staged = self.merge.look(connection).await?;
            if let Some(column) = staged.null_key {
                let statement = self.take_null_keys(column);
                let error = self.merge.without_key(column);
                self.set_aside(connection, &statement, &error).await?;
            } else if staged.has_twins
                && let Some(key) = self.merge.ambiguous_key(connection).await?
            {
                let error = self.merge.ambiguous(key);
                self.set_aside(connection, &self.take_ambiguous(), &error).await?;
            } else {
                return Ok(staged);
            }
        }
    }

    /// Merges what waits; whether a row was refused.
    async fn merge_all(
        &mut self,
        connection: &mut PgConnection,
        staged: &Staged<'_>,
        merged: &mut Merged,
    ) -> Result<bool> {
        self.control(open(connection).await)?;
        match self.merge.merge(connection, staged, None).await {
            Ok(all) => {
                self.control(settle(connection).await)?;
                add(merged, all);
                return Ok(false);
            }
            Err(error) if is_refusal(&error) => self.control(revert(connection).await)?,
            Err(error) => return Err(error),
        }
        let count = self.run(connection, &self.give_places()).await?;
        self.control(settle(connection).await)?;
        let mut late = Late::new(self.merge.table, self.merge.oid);
        let mut refused: Vec<(u64, Error)> = Vec::new();
        let mut for_good = 0;
        let mut bisection = Bisection::of(1..count + 1);
        while let Some(places) = bisection.next() {
            match self.merge.merge(connection, staged, Some(&places)).await {
                Ok(part) => {
                    self.control(settle(connection).await)?;
                    add(merged, part);
                }
                Err(error) if is_refusal(&error) => {
                    self.control(revert(connection).await)?;
                    if let Some(place) = bisection.split(&places, None) {
                        if !late.is_late(connection, error.context("sqlstate")).await? {
                            for_good += 1;
                            self.rejects.ensure_room(for_good)?;
                        }
                        refused.push((place, error));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let refused = self.try_again(connection, staged, refused, &mut late, merged).await?;
        for (place, error) in &refused {
            self.set_aside(connection, &self.take_place(*place), error).await?;
        }
        Ok(!refused.is_empty())
    }

    /// Merges rows once more that lacked a row of their own table, which may be there by now.
    async fn try_again(
        &mut self,
        connection: &mut PgConnection,
        staged: &Staged<'_>,
        mut refused: Vec<(u64, Error)>,
        late: &mut Late<'_>,
        merged: &mut Merged,
    ) -> Result<Vec<(u64, Error)>> {
        loop {
            let before = refused.len();
            let mut left = Vec::with_capacity(before);
            // The other way round each time: what was missing came later, or before.
            for (place, error) in refused.into_iter().rev() {
                if !late.is_late(connection, error.context("sqlstate")).await? {
                    left.push((place, error));
                    continue;
                }
                match self.merge.merge(connection, staged, Some(&(place..place + 1))).await {
                    Ok(part) => {
                        self.control(settle(connection).await)?;
                        add(merged, part);
                    }
                    Err(error) if is_refusal(&error) => {
                        self.control(revert(connection).await)?;
                        left.push((place, error));
                    }
                    Err(error) => return Err(error),
                }
            }
            if left.len() == before {
                return Ok(left);
            }
            refused = left;
        }
    }

    /// Whether rows wait that have no place, because a row of their key was newer and is set aside.
    async fn has_successors(&self, connection: &mut PgConnection) -> Result<bool> {
        self.run(connection, &self.drop_settled_keys()).await?;
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("select exists (select from ").table(&self.merge.staging()).text(") as found");
        let row = self.merge.fetch(connection, &sql.finish()).await?;
        row.try_get("found").map_err(|cause| self.merge.failed(cause))
    }

    /// Runs a statement that takes rows out of the waiting ones and answers their numbers.
    async fn set_aside(
        &mut self,
        connection: &mut PgConnection,
        take: &SqlStatement,
        error: &Error,
    ) -> Result<()> {
        let taken = bound(take).fetch_all(&mut *connection).await;
        let taken = taken.map_err(|cause| self.merge.failed(cause))?;
        self.rejects.ensure_room(taken.len() as u64)?;
        let numbers = taken.iter().map(|row| row.try_get(0)).collect::<Result<BTreeSet<i64>, _>>();
        let numbers = numbers.map_err(|cause| self.merge.failed(cause))?;
        self.source_rows.set_aside(connection, &numbers, error, self.rows, self.rejects).await
    }

    async fn run(&self, connection: &mut PgConnection, sql: &SqlStatement) -> Result<u64> {
        execute(connection, sql).await.map_err(|cause| self.merge.failed(cause))
    }

    fn control(&self, outcome: Result<(), sqlx::Error>) -> Result<()> {
        outcome.map_err(|cause| self.merge.failed(cause))
    }

    /// The newest row of each key gets a place in the order of keys; the others keep none.
    fn give_places(&self) -> SqlStatement {
        let (number, place) = (self.merge.number_column(), self.merge.place_column());
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("update ").table(&self.merge.staging()).text(" t set ").name(&place);
        sql.text(" = n.place from (select w.").name(&number).text(", row_number() over (order by ");
        sql.names(self.merge.keys()).text(") from (select distinct on (").names(self.merge.keys());
        sql.text(") ").name(&number).text(", ").names(self.merge.keys()).text(" from ");
        sql.table(&self.merge.staging()).text(" order by ").names(self.merge.keys());
        self.merge.newest_first(", ", &mut sql);
        sql.text(") w) as n (number, place) where t.").name(&number).text(" = n.number");
        sql.finish()
    }

    fn take_place(&self, place: u64) -> SqlStatement {
        let mut sql = self.take();
        sql.name(&self.merge.place_column()).text(" = ");
        sql.value(&migrate_core::Scalar::Number(place.into()));
        self.numbers_of(sql)
    }

    fn take_null_keys(&self, column: &ColumnName) -> SqlStatement {
        let mut sql = self.take();
        sql.name(column.as_str()).text(" is null");
        self.numbers_of(sql)
    }

    /// All rows of the keys whose newest rows differ. Columns get names by position, which no name of
    /// the user can meet.
    fn take_ambiguous(&self) -> SqlStatement {
        let keys: Vec<String> = (0..self.merge.keys().count()).map(|at| format!("k{at}")).collect();
        let keys = keys.join(", ");
        let number = self.merge.number_column();
        let mut sql = self.take();
        sql.name(&number).text(" in (select number from (select number, ");
        sql.text(&format!(
            "bool_or(age = 1 and own *<> first) over (partition by {keys}) as is_bad"
        ));
        sql.text(" from (select s.").name(&number).text(", ").names(self.merge.keys()).text(", ");
        record(&mut sql, "s", self.merge.targets());
        sql.text(", first_value(");
        record(&mut sql, "s", self.merge.targets());
        sql.text(") over newest, rank() over newest from ").table(&self.merge.staging());
        sql.text(" s window newest as (partition by ").names(self.merge.keys());
        self.merge.newest_first(" order by ", &mut sql);
        sql.text(&format!(")) as g (number, {keys}, own, first, age)) as b where is_bad)"));
        self.numbers_of(sql)
    }

    /// Rows of keys whose newest row is in the table are done, the newest ones and the older ones.
    fn drop_settled_keys(&self) -> SqlStatement {
        let place = self.merge.place_column();
        let mut sql = self.take();
        sql.name(&place).text(" is not null or (").names(self.merge.keys()).text(") in (select ");
        sql.names(self.merge.keys()).text(" from ").table(&self.merge.staging()).text(" where ");
        sql.name(&place).text(" is not null)");
        sql.finish()
    }

    fn take(&self) -> SqlBuilder {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text("delete from ").table(&self.merge.staging()).text(" where ");
        sql
    }

    fn numbers_of(&self, mut sql: SqlBuilder) -> SqlStatement {
        sql.text(" returning ").name(&self.merge.number_column());
        sql.finish()
    }
}

fn add(merged: &mut Merged, part: Merged) {
    merged.written += part.written;
    merged.inserted += part.inserted;
}

fn is_refusal(error: &Error) -> bool {
    error.context("sqlstate").is_some_and(is_about_row)
}
