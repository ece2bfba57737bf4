//! One Parquet file: its footer, its identity, its columns as ours.

use std::fs::File;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use migrate_core::arrow::datatypes::{DataType, SchemaRef};
use migrate_core::value::Bytes;
use migrate_core::{Column, ColumnType, Error, ErrorKind, ObjectStat, Result, code};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::LogicalType;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::{ChunkReader, Length};

use super::batch_size::GroupColumns;

/// A file whose footer has been read.
#[derive(Debug, Clone)]
pub(super) struct ParquetFile {
    pub(super) path: PathBuf,
    /// The path as text, exact: it names the file in stored plans.
    pub(super) uri: String,
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) fingerprint: String,
}

impl ParquetFile {
    /// Reads the footer.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Auth` or `DataInvalid`, naming the file; `Config` for a name that is not UTF-8.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|cause| unreadable(path, cause))?;
        // Types come from Parquet itself; what a writer noted of its own in-memory types would
        // only add casts.
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            // It tells how large pages are.
            .with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata =
            ArrowReaderMetadata::load(&file, options).map_err(|cause| damaged(path, cause))?;
        let fingerprint = fingerprint(&file).map_err(|cause| damaged(path, cause))?;
        let uri = path.to_str().ok_or_else(|| not_text(path))?.to_owned();
        Ok(Self { path: path.to_owned(), uri, metadata, fingerprint })
    }

    /// Opens the file again for reading rows, with the footer that is known.
    ///
    /// # Errors
    ///
    /// [`code::SNAPSHOT_EXPIRED`] when it is not the same file any more.
    pub(super) fn reader(&self) -> Result<File> {
        let file = File::open(&self.path).map_err(|cause| unreadable(&self.path, cause))?;
        let found = fingerprint(&file).map_err(|cause| damaged(&self.path, cause))?;
        if found == self.fingerprint {
            return Ok(file);
        }
        Err(Error::new(code::SNAPSHOT_EXPIRED, "A file has changed since it was planned")
            .with("file", self.path.display())
            .with_hint("leave files alone while they are loaded; start anew with --no-resume"))
    }

    pub(super) fn arrow_schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    pub(super) fn stat(&self) -> ObjectStat {
        let groups = self.metadata.metadata().row_groups();
        ObjectStat {
            uri: self.uri.clone(),
            fingerprint: self.fingerprint.clone(),
            row_group_rows: groups
                .iter()
                .map(|group| u64::try_from(group.num_rows()).unwrap_or_default())
                .collect(),
        }
    }

    /// Uncompressed bytes of all row groups.
    pub(super) fn bytes(&self) -> u64 {
        let groups = self.metadata.metadata().row_groups();
        groups.iter().map(|group| u64::try_from(group.total_byte_size()).unwrap_or_default()).sum()
    }

    /// Positions of columns.
    pub(super) fn positions<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<usize> {
        names.filter_map(|name| self.arrow_schema().index_of(name).ok()).collect()
    }

    /// A row group and those of its columns that are read.
    pub(super) fn group<'a>(&'a self, group: usize, wanted: &'a [usize]) -> GroupColumns<'a> {
        let (metadata, schema) = (self.metadata.metadata(), self.arrow_schema());
        GroupColumns { metadata, group, schema, wanted }
    }

    /// The columns in our types.
    ///
    /// # Errors
    ///
    /// `Unsupported` for nested columns, naming file and column.
    pub(super) fn columns(&self) -> Result<Vec<Column>> {
        let roots = self.metadata.parquet_schema().root_schema().get_fields();
        self.arrow_schema()
            .fields()
            .iter()
            .zip(roots)
            .map(|(field, root)| {
                let logical = root.get_basic_info().logical_type_ref();
                let column_type = match (logical, field.data_type()) {
                    (Some(LogicalType::Uuid), _) => Some(ColumnType::Uuid),
                    (Some(LogicalType::Json), _) => Some(ColumnType::Json),
                    (_, data_type) => ColumnType::of_arrow(data_type),
                };
                let column_type =
                    column_type.ok_or_else(|| self.unsupported(field.name(), field.data_type()))?;
                let native = field.data_type().to_string();
                Ok(Column::new(field.name().as_str(), column_type, native)
                    .with_nullable(field.is_nullable()))
            })
            .collect()
    }

    fn unsupported(&self, column: &str, data_type: &DataType) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            format!("Column \"{column}\" has the unsupported type {data_type}"),
        )
        .with("file", self.path.display())
        .with_hint("write the file again with this column as JSON text, or without it")
    }
}

/// Length and a digest of the footer, which holds the sizes and places of all pages.
fn fingerprint(file: &File) -> parquet::errors::Result<String> {
    const TAIL: u64 = 8;
    let length = file.len();
    let tail = file.get_bytes(length.saturating_sub(TAIL), 8)?;
    let footer_length = tail
        .get(..4)
        .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
        .map(u32::from_le_bytes)
        .unwrap_or_default();
    let start = length.saturating_sub(TAIL + u64::from(footer_length));
    let footer = file.get_bytes(start, usize::try_from(footer_length).unwrap_or_default())?;
    let digest = Bytes::from(Md5::digest(&footer).to_vec());
    Ok(format!("{length}-{digest}"))
}

/// Two names that are not UTF-8 could become one in a stored plan.
fn not_text(path: &Path) -> Error {
    Error::new(ErrorKind::Config, "The name of a Parquet file is not UTF-8")
        .with("file", path.display())
        .with_hint("rename the file")
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    let kind = match cause.kind() {
        std::io::ErrorKind::PermissionDenied => ErrorKind::Auth,
        _ => ErrorKind::NotFound,
    };
    Error::new(kind, "Cannot open a Parquet file")
        .with("file", path.display())
        .with_hint("check that the file is there and readable")
        .with_source(cause)
}

pub(super) fn damaged(path: &Path, cause: parquet::errors::ParquetError) -> Error {
    Error::new(ErrorKind::DataInvalid, "Cannot read a Parquet file")
        .with("file", path.display())
        .with_hint("check that the file is complete Parquet; fetch or write it again")
        .with_source(cause)
}
