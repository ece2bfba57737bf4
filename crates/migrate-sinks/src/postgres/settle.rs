//! What only the database knows of a plan: its keys, and what the load does better without.

use std::collections::BTreeSet;

use migrate_core::{
    ColumnName, ColumnPair, Dialect, Error, LoadPlan, PlanFacts, Result, Return, SetAside,
    SettledPlan, SqlBuilder, TableRef, WriteMode, code,
};
use migrate_postgres::{Database, classify};
use sqlx::Row;

use super::catalog::LoadedTable;
use super::copy_binary::{Twins, choose};
use super::keys::Keys;
use super::replaceable::{is_referenced, may_drop_rows, refuse_followers, refuse_row_policies};
use super::rights;
use super::surgery::capture;
use super::waiting::look_at;

/// Below this part of the table, bringing indexes back costs more than loading with them.
const ONE_PART_IN: u64 = 5;

/// A table as it is while a plan for it is made.
pub(super) struct Settling<'a> {
    pub(super) database: &'a Database,
    pub(super) loaded: &'a LoadedTable,
    pub(super) keys: &'a Keys,
    /// Key columns of the plan in which NULL stops a chunk.
    pub(super) nullable_keys: Vec<ColumnName>,
}

impl Settling<'_> {
    pub(super) async fn settle(self, mut plan: LoadPlan, facts: PlanFacts) -> Result<SettledPlan> {
        let mut notes = Vec::new();
        self.settle_keys(&mut plan, &mut notes).await?;
        let captured = self.captured(&plan, &facts, &mut notes).await?;
        if !facts.missing.is_empty() {
            notes.push(format!("brings back what an earlier run left: {}", listed(&facts.missing)));
        }
        // Where both are there, the earlier one knows what it was before anybody touched it.
        let is_known = |object: &SetAside| facts.missing.iter().any(|known| known.is_same(object));
        plan.restore = captured.iter().filter(|object| !is_known(object)).cloned().collect();
        plan.restore.extend(facts.missing.into_iter().map(|mut object| {
            object.is_missing = true;
            object
        }));
        plan.restore.sort_by_key(|object| object.returns);
        plan.set_aside = captured;
        let mut connection = self.database.acquire().await?;
        rights::require(&mut connection, self.loaded.oid, self.table(), &plan).await?;
        Ok(SettledPlan { plan, notes })
    }

    fn table(&self) -> &TableRef {
        &self.loaded.schema.table
    }

    async fn settle_keys(&self, plan: &mut LoadPlan, notes: &mut Vec<String>) -> Result<()> {
        match &mut plan.mode {
            WriteMode::Replace { keys } => {
                let mut connection = self.database.acquire().await?;
                let columns: BTreeSet<_> = plan.columns.iter().map(|pair| &pair.target).collect();
                *keys = self.keys.of_every_row(&columns, &self.loaded.schema);
                let oid = self.loaded.oid;
                refuse_row_policies(&mut connection, oid, self.table()).await?;
                refuse_followers(&mut connection, oid, self.table(), &plan.columns, keys).await?;
                let failed = |cause| {
                    classify("Cannot read PostgreSQL's catalog", cause).with("table", self.table())
                };
                // Rows that others reference are updated; elsewhere they are inserted anew.
                if !keys.is_empty() && is_referenced(&mut connection, oid).await.map_err(failed)? {
                    let others = columns.into_iter().filter(|column| !keys.contains(column));
                    self.keys.require_updatable(self.table(), others)?;
                }
                if may_drop_rows(&mut connection, oid).await.map_err(failed)? {
                    let but =
                        if plan.bad_rows.is_quarantine() { " and sets no row aside" } else { "" };
                    notes.push(format!(
                        "a trigger or rule of the table works when the new rows are shown{but}: one \
                         that it refuses or drops keeps all of them from being shown"
                    ));
                }
                if keys.is_empty() {
                    notes.push(
                        "has no unique key without NULL, so every row is written anew".into(),
                    );
                }
            }
            WriteMode::Upsert { keys, .. } | WriteMode::InsertOnly { keys, .. } => {
                self.keys.require(self.table(), keys)?;
                self.refuse_twins(keys, &plan.columns, notes)?;
            }
            _ => {}
        }
        if !self.nullable_keys.is_empty() {
            let listed = self.nullable_keys.iter().map(ToString::to_string).collect::<Vec<_>>();
            let fate =
                if plan.bad_rows.is_quarantine() { "is set aside" } else { "stops its chunk" };
            notes.push(format!(
                "a row with NULL in {} {fate}: the unique index takes such rows for \
                 different ones",
                listed.join(" or ")
            ));
        }
        if let WriteMode::Upsert { keys, .. } = &plan.mode {
            let others = plan.columns.iter().map(|pair| &pair.target);
            let others = others.filter(|column| !keys.contains(column));
            self.keys.require_updatable(self.table(), others)?;
        }
        Ok(())
    }

    /// Refuses keys in which rows that differ in the source would be one in the target: all of them
    /// but one would be lost without a word.
    fn refuse_twins(
        &self,
        keys: &[ColumnName],
        columns: &[ColumnPair],
        notes: &mut Vec<String>,
    ) -> Result<()> {
        let refuse = |column: &ColumnName, what: &str, hint: &str| {
            let message =
                format!("Rows of different keys would be merged: {what} are one in {column}");
            let error = Error::new(code::KEY_NOT_UNIQUE, message).with("table", self.table());
            Err(error.with("column", column).with_hint(hint.to_owned()))
        };
        for pair in columns.iter().filter(|pair| keys.contains(&pair.target)) {
            // A pair without a form has been refused, and is again by whoever writes.
            let Ok((codec, _)) = choose(pair, self.loaded.type_of(&pair.target)?) else { continue };
            match codec.twins(&pair.column_type) {
                // Whoever keeps UUIDs as texts spells them in one way.
                Some(twins @ Twins::UuidSpelling) => {
                    notes.push(format!("{} are one key in {}", twins.what(), pair.target));
                }
                Some(twins) => return refuse(&pair.target, twins.what(), twins.hint()),
                None => {}
            }
        }
        match self.keys.folding(keys) {
            Some(column) => refuse(
                column,
                "texts that differ in their letters only",
                "make the target column text with a deterministic collation, instead of citext or a \
                 collation that takes different letters for equal",
            ),
            None => Ok(()),
        }
    }

    /// What is taken away for the load, if anything is.
    async fn captured(
        &self,
        plan: &LoadPlan,
        facts: &PlanFacts,
        notes: &mut Vec<String>,
    ) -> Result<Vec<SetAside>> {
        if !facts.sets_aside {
            return Ok(Vec::new());
        }
        if matches!(plan.mode, WriteMode::Replace { .. }) {
            notes.push("indexes stay: rows are loaded beside the table".into());
            return Ok(Vec::new());
        }
        if let Some(expected) = facts.expected_rows
            && plan.truncate.is_empty()
            && self.has_more_rows_than(expected.saturating_mul(ONE_PART_IN)).await?
        {
            notes.push(format!("indexes stay: {expected} rows are less than 20 % of the table"));
            return Ok(Vec::new());
        }
        let captured =
            capture(self.database, self.loaded.oid, self.table(), plan.mode.keys()).await?;
        if !captured.is_empty() {
            notes.push(format!("set aside for the load: {}", listed(&captured)));
        }
        Ok(captured)
    }

    /// By the planner's estimate, or else by a look at no more rows than the question needs.
    async fn has_more_rows_than(&self, limit: u64) -> Result<bool> {
        let failed = "Cannot look into the target table";
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        sql.text("select case when c.reltuples >= 0 then c.reltuples > ").value(&limit.into());
        sql.text(" else (select count(*) from (select from ").table(self.table());
        sql.text(" limit ").value(&limit.saturating_add(1).into()).text(") as first) > ");
        sql.value(&limit.into()).text(" end as has_more from pg_class c where c.oid = ");
        sql.value(&self.loaded.oid.into()).text("::bigint::oid");
        let row = look_at(self.database, self.table(), &sql.finish(), failed).await?;
        row.try_get("has_more").map_err(|cause| classify(failed, cause).with("table", self.table()))
    }
}

fn listed(objects: &[SetAside]) -> String {
    let names = objects.iter().map(|object| match object.returns {
        Return::Relink => format!("{} of {}", object.what, object.table.name),
        Return::Rebuild => object.what.clone(),
    });
    names.collect::<Vec<_>>().join(", ")
}
