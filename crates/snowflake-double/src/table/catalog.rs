//! All tables of an account and their versions.
//!
//! A statement works on a copy of the catalog, which is one pointer; changes replace it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::cell::Kind;
use super::column::{Column, Parts, Relation};
use super::name::TableName;
use super::spec::{Built, Segment, Table, TableSpec};
use super::vector::VectorBuilder;
use crate::error::Error;
use crate::value::Value;

/// Appended rows are merged with the last segment below this size, so that many small inserts do
/// not make many small arrays.
const MERGE_ROWS: usize = 32_768;

/// The rows of a table from one instant on.
#[derive(Debug, Clone)]
struct Version {
    /// Milliseconds since the epoch.
    since: i64,
    segments: Vec<Arc<Segment>>,
}

/// A table with its versions, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) spec: Arc<TableSpec>,
    pub(crate) created: i64,
    pub(crate) time_travel: bool,
    versions: Vec<Version>,
}

/// Which version of a table a statement reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Travel {
    /// The newest.
    Now,
    /// The one of this instant, in milliseconds since the epoch, changes of that instant included.
    At(i64),
    /// The one just before this instant.
    Before(i64),
}

/// Why a past version cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TravelFault {
    /// Beyond the retention or before the table's creation.
    Unavailable,
    /// The instant has not come yet.
    Future,
}

impl Entry {
    /// The rows of a version as a relation over all columns.
    pub(crate) fn read(
        &self,
        travel: Travel,
        now: i64,
        retention: Duration,
    ) -> Result<Relation, TravelFault> {
        let newest = self.versions.last().ok_or(TravelFault::Unavailable)?;
        let version = match travel {
            Travel::Now => newest,
            Travel::At(instant) | Travel::Before(instant) => {
                let before = matches!(travel, Travel::Before(_));
                let oldest = now.saturating_sub(millis(retention));
                if instant > now {
                    return Err(TravelFault::Future);
                }
                if !self.time_travel || instant < oldest {
                    return Err(TravelFault::Unavailable);
                }
                self.versions
                    .iter()
                    .rev()
                    .find(|version| {
                        version.since < instant || (!before && version.since == instant)
                    })
                    .ok_or(TravelFault::Unavailable)?
            }
        };
        Ok(version.relation(self.spec.columns.len()))
    }

    pub(crate) fn rows(&self) -> usize {
        self.newest().iter().map(|segment| segment.rows).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.newest().iter().flat_map(|segment| &segment.vectors).map(|vector| vector.bytes()).sum()
    }

    /// When the newest version began.
    pub(crate) fn changed(&self) -> i64 {
        self.versions.last().map_or(self.created, |version| version.since)
    }

    fn newest(&self) -> &[Arc<Segment>] {
        self.versions.last().map_or(&[], |version| version.segments.as_slice())
    }
}

impl Version {
    fn relation(&self, width: usize) -> Relation {
        let rows = self.segments.iter().map(|segment| segment.rows).sum();
        let columns = (0..width)
            .map(|index| {
                let vectors = self
                    .segments
                    .iter()
                    .filter_map(|segment| segment.vectors.get(index).map(Arc::clone))
                    .collect();
                Column::stored(Arc::new(Parts::new(vectors)))
            })
            .collect();
        Relation::new(columns, rows)
    }
}

/// The tables of an account.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    tables: Arc<BTreeMap<TableName, Entry>>,
    /// Database and schema; they outlive their last table.
    schemas: Arc<BTreeSet<(String, String)>>,
    pub(crate) retention: Duration,
}

impl Catalog {
    pub(crate) fn new(retention: Duration) -> Self {
        Self { tables: Arc::default(), schemas: Arc::default(), retention }
    }

    pub(crate) fn get(&self, name: &TableName) -> Option<&Entry> {
        self.tables.get(name)
    }

    /// All tables in the order of their names.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.tables.values()
    }

    pub(crate) fn has_database(&self, database: &str) -> bool {
        self.schemas.iter().any(|(known, _)| known == database)
    }

    pub(crate) fn has_schema(&self, database: &str, schema: &str) -> bool {
        self.schemas.contains(&(database.to_owned(), schema.to_owned()))
    }

    /// All pairs of database and schema.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &(String, String)> {
        self.schemas.iter()
    }

    pub(crate) fn add_schema(&mut self, database: String, schema: String) {
        Arc::make_mut(&mut self.schemas).insert((database, schema));
    }

    pub(crate) fn create(&mut self, table: Table, now: i64) -> Result<(), Error> {
        let built = table.build()?;
        if self.tables.contains_key(&built.spec.name) {
            return Err(Error::TableExists { table: built.spec.name.to_string() });
        }
        self.put(built, now);
        Ok(())
    }

    /// Takes the place of a table of the same name, if there is one.
    pub(crate) fn replace(&mut self, table: Table, now: i64) -> Result<(), Error> {
        self.put(table.build()?, now);
        Ok(())
    }

    fn put(&mut self, built: Built, now: i64) {
        let Built { spec, segments, time_travel } = built;
        self.add_schema(spec.name.database.clone(), spec.name.schema.clone());
        let segments = segments.into_iter().map(Arc::new).collect();
        let versions = vec![Version { since: now, segments }];
        let entry = Entry { spec: Arc::new(spec), created: now, time_travel, versions };
        Arc::make_mut(&mut self.tables).insert(entry.spec.name.clone(), entry);
    }

    pub(crate) fn drop_table(&mut self, name: &TableName) -> Result<(), Error> {
        match Arc::make_mut(&mut self.tables).remove(name) {
            Some(_) => Ok(()),
            None => Err(self.missing(name)),
        }
    }

    /// Adds rows in a new version.
    pub(crate) fn insert(
        &mut self,
        name: &TableName,
        rows: &[Vec<Value>],
        now: i64,
    ) -> Result<(), Error> {
        let entry = self.entry(name)?;
        let added = entry.spec.segment(rows)?;
        let mut segments = entry.newest().to_vec();
        match segments.last() {
            Some(last) if last.rows + added.rows <= MERGE_ROWS => {
                let merged = merge(&entry.spec, last, &added)?;
                segments.pop();
                segments.push(Arc::new(merged));
            }
            _ => segments.push(Arc::new(added)),
        }
        entry.versions.push(Version { since: now, segments });
        Ok(())
    }

    /// Replaces all rows in a new version.
    pub(crate) fn replace_rows(
        &mut self,
        name: &TableName,
        rows: &[Vec<Value>],
        now: i64,
    ) -> Result<(), Error> {
        let entry = self.entry(name)?;
        let segments = vec![Arc::new(entry.spec.segment(rows)?)];
        entry.versions.push(Version { since: now, segments });
        Ok(())
    }

    pub(crate) fn set_time_travel(&mut self, name: &TableName, on: bool) -> Result<(), Error> {
        self.entry(name)?.time_travel = on;
        Ok(())
    }

    fn entry(&mut self, name: &TableName) -> Result<&mut Entry, Error> {
        if !self.tables.contains_key(name) {
            return Err(self.missing(name));
        }
        Arc::make_mut(&mut self.tables)
            .get_mut(name)
            .ok_or_else(|| Error::TableMissing { table: name.to_string(), known: String::new() })
    }

    fn missing(&self, name: &TableName) -> Error {
        let known: Vec<_> = self.tables.keys().map(ToString::to_string).collect();
        Error::TableMissing { table: name.to_string(), known: known.join(", ") }
    }
}

fn merge(spec: &TableSpec, first: &Segment, second: &Segment) -> Result<Segment, Error> {
    let rows = first.rows + second.rows;
    let mut vectors = Vec::with_capacity(spec.columns.len());
    for (column, (a, b)) in spec.columns.iter().zip(first.vectors.iter().zip(&second.vectors)) {
        let mut builder = VectorBuilder::new(Kind::of(column.ty), rows);
        let cells =
            (0..first.rows).map(|row| a.get(row)).chain((0..second.rows).map(|row| b.get(row)));
        for cell in cells {
            builder.push(cell).map_err(|fault| Error::Row {
                table: spec.name.to_string(),
                row: 0,
                reason: format!("{}: {fault:?}", column.name),
            })?;
        }
        vectors.push(Arc::new(builder.finish()));
    }
    Ok(Segment { vectors, rows })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Type;

    const DAY: Duration = Duration::from_hours(24);

    fn name() -> TableName {
        TableName::parse("D.S.T").unwrap()
    }

    fn catalog() -> Catalog {
        let mut catalog = Catalog::new(DAY);
        let table = Table::new("D.S.T").column("A", Type::number(5, 0)).row([Value::from(1)]);
        catalog.create(table, 1_000).unwrap();
        catalog.insert(&name(), &[vec![Value::from(2)]], 2_000).unwrap();
        catalog.replace_rows(&name(), &[], 3_000).unwrap();
        catalog
    }

    fn rows(catalog: &Catalog, travel: Travel, now: i64) -> Result<usize, TravelFault> {
        catalog.get(&name()).unwrap().read(travel, now, catalog.retention).map(|found| found.rows)
    }

    #[test]
    fn each_instant_has_its_version() {
        let catalog = catalog();
        assert_eq!(rows(&catalog, Travel::Now, 9_000), Ok(0));
        assert_eq!(rows(&catalog, Travel::At(1_000), 9_000), Ok(1));
        assert_eq!(rows(&catalog, Travel::At(1_999), 9_000), Ok(1));
        assert_eq!(rows(&catalog, Travel::At(2_000), 9_000), Ok(2));
        assert_eq!(rows(&catalog, Travel::Before(2_000), 9_000), Ok(1));
        assert_eq!(rows(&catalog, Travel::At(3_000), 9_000), Ok(0));
    }

    #[test]
    fn past_versions_end_with_the_retention_and_begin_with_the_table() {
        let catalog = catalog();
        assert_eq!(rows(&catalog, Travel::At(999), 9_000), Err(TravelFault::Unavailable));
        assert_eq!(
            rows(&catalog, Travel::At(3_000), 3_001 + 86_400_000),
            Err(TravelFault::Unavailable)
        );
        assert_eq!(rows(&catalog, Travel::At(9_001), 9_000), Err(TravelFault::Future));
        let mut without = catalog.clone();
        without.set_time_travel(&name(), false).unwrap();
        assert_eq!(rows(&without, Travel::At(2_000), 9_000), Err(TravelFault::Unavailable));
        assert_eq!(rows(&without, Travel::Now, 9_000), Ok(0));
    }

    #[test]
    fn a_copy_of_the_catalog_does_not_see_later_changes() {
        let mut catalog = catalog();
        let copy = catalog.clone();
        catalog.insert(&name(), &[vec![Value::from(3)]], 4_000).unwrap();
        assert_eq!(rows(&copy, Travel::Now, 9_000), Ok(0));
        assert_eq!(rows(&catalog, Travel::Now, 9_000), Ok(1));
        catalog.drop_table(&name()).unwrap();
        assert!(catalog.get(&name()).is_none());
        assert!(copy.get(&name()).is_some());
    }
}
