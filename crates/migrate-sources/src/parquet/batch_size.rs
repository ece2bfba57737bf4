//! How many rows of a file are decoded at once, so that they take about as many bytes as asked for.
//!
//! A reader is told rows, not bytes. The footer tells what they take: of texts the bytes of each page,
//! where the writer has noted them, or else of each row group. The heaviest page counts, so that large
//! cells that lie together do not meet in one batch; where pages differ much, rows are read in stretches
//! with batches of their own. Where equal texts are kept once, in a dictionary, and nothing is noted,
//! only the dictionary itself tells how large a row can be.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use migrate_core::arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::basic::Type;
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

/// How large writers let a page or a dictionary become, by the habit of nearly all of them.
const PAGE_BYTES: u64 = 1 << 20;

/// With so many rows in a batch, fewer would not make reading slower. Pages that allow fewer are read
/// by themselves.
const ENOUGH_ROWS: u64 = 1024;

/// More stretches of a row group cost more than small batches do: each is opened anew.
const MOST_STRETCHES: usize = 64;

/// The columns of a row group that are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupColumns<'a> {
    pub(super) metadata: &'a ParquetMetaData,
    pub(super) group: usize,
    /// All columns of the file.
    pub(super) schema: &'a SchemaRef,
    /// Which of them are read.
    pub(super) wanted: &'a [usize],
}

/// Rows of a row group that have batches of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) rows: Range<u64>,
    pub(super) row_bytes: RowBytes,
}

/// What decoded rows take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RowBytes {
    /// A row, on average of the heaviest page of each column.
    row: u64,
    /// Large cells that may stand in a single row.
    lumps: u64,
}

impl Stretch {
    /// These rows and no others of the row group.
    pub(super) fn selection(&self) -> RowSelection {
        let rows = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        let count = self.rows.end.saturating_sub(self.rows.start);
        RowSelection::from(vec![
            RowSelector::skip(rows(self.rows.start)),
            RowSelector::select(rows(count)),
        ])
    }
}

impl RowBytes {
    /// Rows of a batch of at most so many rows and about so many bytes.
    pub(super) fn batch_rows(self, most_rows: u64, bytes: u64) -> u64 {
        most_rows.min(bytes / self.row.max(1)).max(1)
    }

    /// The most bytes of so many rows.
    pub(super) fn of_rows(self, rows: u64) -> u64 {
        self.row.saturating_mul(rows).max(self.lumps)
    }
}

impl GroupColumns<'_> {
    /// Of the heaviest row, by the footer alone.
    pub(super) fn row_bytes(&self) -> RowBytes {
        self.row_bytes_within(&(0..self.rows()), &[])
    }

    /// All rows, in order, with a look into dictionaries where the footer does not tell enough.
    ///
    /// # Errors
    ///
    /// What the file answers.
    pub(super) fn stretches(
        &self,
        file: &File,
        batch_bytes: u64,
    ) -> parquet::errors::Result<Vec<Stretch>> {
        let rows = self.rows();
        let longest: Vec<u64> =
            self.chunks()
                .map(|(_, chunk, _)| {
                    if hides_sizes(chunk) {
                        longest_of_dictionary(file, chunk, rows)
                    } else {
                        Ok(0)
                    }
                })
                .collect::<parquet::errors::Result<_>>()?;
        let stretch = |rows: Range<u64>| {
            let row_bytes = self.row_bytes_within(&rows, &longest);
            Stretch { rows, row_bytes }
        };
        let mut stretches = Vec::new();
        let mut next = 0;
        for heavy in self.heavy_rows(batch_bytes / ENOUGH_ROWS) {
            stretches.extend((next < heavy.start).then(|| stretch(next..heavy.start)));
            next = heavy.end;
            stretches.push(stretch(heavy));
        }
        stretches.extend((next < rows).then(|| stretch(next..rows)));
        if stretches.len() > MOST_STRETCHES {
            stretches = vec![stretch(0..rows)];
        }
        Ok(stretches)
    }

    /// Rows of pages whose cells have more bytes on average, or that have a large one, in order.
    fn heavy_rows(&self, most_bytes: u64) -> Vec<Range<u64>> {
        let texts = self.chunks().filter(|(_, chunk, _)| is_text(chunk));
        let pages = texts.flat_map(|(at, chunk, _)| self.pages(at, chunk));
        let is_heavy = |page: &PageRows| page.cell_bytes() > most_bytes || page.lump().is_some();
        let mut heavy: Vec<_> = pages.filter(is_heavy).map(|page| page.rows).collect();
        heavy.sort_unstable_by_key(|rows| rows.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for rows in heavy {
            match merged.last_mut() {
                Some(last) if rows.start <= last.end => last.end = last.end.max(rows.end),
                _ => merged.push(rows),
            }
        }
        merged
    }

    /// Of the heaviest of these rows; `longest` has a text of each column that any of them may have.
    fn row_bytes_within(&self, rows: &Range<u64>, longest: &[u64]) -> RowBytes {
        let mut all = RowBytes::default();
        for (number, (at, chunk, field)) in self.chunks().enumerate() {
            let longest = longest.get(number).copied().unwrap_or_default();
            let cell = self.cell_bytes(at, chunk, field, rows).max(longest);
            all.row = all.row.saturating_add(cell);
            let lumps = self.pages_among(at, chunk, rows).filter_map(|page| page.lump());
            all.lumps = all.lumps.saturating_add(lumps.max().unwrap_or_default());
        }
        all
    }

    /// What a reader holds beside its batch: of each column the dictionary and one page.
    pub(super) fn page_bytes(&self) -> u64 {
        let bytes = self.chunks().map(|(at, chunk, _)| {
            let all = unsigned(chunk.uncompressed_size());
            let dictionary = chunk.dictionary_page_offset().map_or(0, |_| PAGE_BYTES.min(all));
            let index = self.offset_index(at);
            let largest = index.into_iter().flat_map(OffsetIndexMetaData::page_locations);
            let largest = largest.map(|page| i64::from(page.compressed_page_size)).max();
            let page = largest.map_or(PAGE_BYTES, |bytes| inflated(chunk, unsigned(bytes)));
            dictionary.saturating_add(page.min(all))
        });
        bytes.fold(0, u64::saturating_add)
    }

    fn rows(&self) -> u64 {
        self.metadata.row_groups().get(self.group).map_or(0, |group| unsigned(group.num_rows()))
    }

    fn chunks(&self) -> impl Iterator<Item = (usize, &ColumnChunkMetaData, &DataType)> {
        let chunks = self.metadata.row_groups().get(self.group).map(RowGroupMetaData::columns);
        // Nested columns are refused, so that leaves and columns are the same.
        self.wanted.iter().filter_map(move |at| {
            let field = self.schema.fields().get(*at)?;
            Some((*at, chunks?.get(*at)?, field.data_type()))
        })
    }

    fn offset_index(&self, at: usize) -> Option<&OffsetIndexMetaData> {
        self.metadata.page_index()?.offset_index(self.group, at)
    }

    /// Bytes of a cell, on the heaviest page with any of these rows.
    fn cell_bytes(
        &self,
        at: usize,
        chunk: &ColumnChunkMetaData,
        field: &DataType,
        rows: &Range<u64>,
    ) -> u64 {
        /// Of a cell without a fixed width, beside its text.
        const OFFSET_BYTES: u64 = 4;
        if !is_text(chunk) {
            return field.primitive_width().map_or(16, |width| width as u64);
        }
        let heaviest = self.pages_among(at, chunk, rows).map(|page| page.cell_bytes()).max();
        let average = || {
            let noted = chunk.unencoded_byte_array_data_bytes();
            unsigned(noted.unwrap_or(chunk.uncompressed_size())).div_ceil(self.rows().max(1))
        };
        heaviest.unwrap_or_else(average).saturating_add(OFFSET_BYTES)
    }

    /// Those with any of these rows.
    fn pages_among<'a>(
        &'a self,
        at: usize,
        chunk: &'a ColumnChunkMetaData,
        rows: &'a Range<u64>,
    ) -> impl Iterator<Item = PageRows> + 'a {
        let is_among = |page: &PageRows| page.rows.start < rows.end && rows.start < page.rows.end;
        let is_read = is_text(chunk);
        self.pages(at, chunk).filter(move |page| is_read && is_among(page))
    }

    /// The pages of a column, where the file has an index of them.
    fn pages(&self, at: usize, chunk: &ColumnChunkMetaData) -> impl Iterator<Item = PageRows> {
        let index = self.offset_index(at);
        let pages = index.map(|index| index.page_locations().as_slice()).unwrap_or_default();
        let noted = index.and_then(OffsetIndexMetaData::unencoded_byte_array_data_bytes);
        let ends = pages.iter().skip(1).map(|page| page.first_row_index);
        let ends = ends.map(unsigned).chain([self.rows()]);
        pages.iter().zip(ends).enumerate().map(move |(number, (page, end))| {
            let rows = unsigned(page.first_row_index)..end;
            let noted = noted.and_then(|noted| noted.get(number)).map(|bytes| unsigned(*bytes));
            let packed = || inflated(chunk, unsigned(page.compressed_page_size.into()));
            PageRows { rows, bytes: noted.unwrap_or_else(packed) }
        })
    }
}

/// A page of one column: its rows, and what their cells take.
#[derive(Debug)]
struct PageRows {
    rows: Range<u64>,
    bytes: u64,
}

impl PageRows {
    /// Of a cell, on average.
    fn cell_bytes(&self) -> u64 {
        self.bytes.div_ceil(self.rows.end.saturating_sub(self.rows.start).max(1))
    }

    /// All of it where it is far larger than writers want a page to be: they end one as soon as it has
    /// enough, so most of it is its last cell.
    fn lump(&self) -> Option<u64> {
        (self.bytes > 2 * PAGE_BYTES).then_some(self.bytes)
    }
}

/// About how large that part of a column is without compression.
fn inflated(chunk: &ColumnChunkMetaData, compressed: u64) -> u64 {
    let (all, packed) = (unsigned(chunk.uncompressed_size()), unsigned(chunk.compressed_size()));
    let bytes = u128::from(compressed) * u128::from(all) / u128::from(packed.max(1));
    u64::try_from(bytes).unwrap_or(u64::MAX).max(compressed)
}

fn is_text(chunk: &ColumnChunkMetaData) -> bool {
    chunk.column_type() == Type::BYTE_ARRAY
}

/// Whether rows may be larger than the footer tells.
fn hides_sizes(chunk: &ColumnChunkMetaData) -> bool {
    is_text(chunk)
        && chunk.dictionary_page_offset().is_some()
        && chunk.unencoded_byte_array_data_bytes().is_none()
}

/// Bytes of the longest text of a column's dictionary.
fn longest_of_dictionary(
    file: &File,
    chunk: &ColumnChunkMetaData,
    rows: u64,
) -> parquet::errors::Result<u64> {
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    let file = Arc::new(file.try_clone()?);
    let first = SerializedPageReader::new(file, chunk, rows, None)?.get_next_page()?;
    let Some(Page::DictionaryPage { buf, .. }) = first else { return Ok(0) };
    let mut longest = 0;
    let mut rest: &[u8] = &buf;
    // Each text follows its length, in four bytes.
    while let Some((length, texts)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        longest = longest.max(u64::from(length));
        rest = texts.get(usize::try_from(length).unwrap_or(usize::MAX)..).unwrap_or_default();
    }
    Ok(longest)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
