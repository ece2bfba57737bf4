//! Encoded rows in which large cells are lent by their arrays.
//!
//! A cell of sixteen megabytes is in memory once, in its batch. Copied into a row it would be there
//! twice, and the buffer would keep that size for the rest of the chunk.

use std::ops::Range;

use migrate_core::arrow::buffer::Buffer;

/// Cells from this size on are lent. Smaller ones are cheaper to copy than to send by themselves.
pub(in super::super) const LARGE_CELL_BYTES: usize = 64 << 10;

/// Rows as they are sent.
#[derive(Debug, Default)]
pub(in super::super) struct EncodedRows {
    /// Everything but the large cells.
    pub(super) copied: Vec<u8>,
    lent: Vec<LentCell>,
    lent_bytes: usize,
}

/// A cell that lies in its array.
#[derive(Debug)]
struct LentCell {
    /// Where it belongs among the copied bytes.
    at: usize,
    cell: Buffer,
}

/// A place between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Mark {
    copied: usize,
    lent: usize,
    lent_bytes: usize,
}

impl Mark {
    /// Bytes before it.
    pub(in super::super) const fn bytes(self) -> usize {
        self.copied + self.lent_bytes
    }
}

impl EncodedRows {
    pub(in super::super) fn with_capacity(bytes: usize) -> Self {
        Self { copied: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Appends bytes that belong to no cell.
    pub(in super::super) fn push(&mut self, bytes: &[u8]) {
        self.copied.extend_from_slice(bytes);
    }

    /// Appends a cell without copying it.
    pub(super) fn lend(&mut self, cell: Buffer) {
        self.lent_bytes += cell.len();
        self.lent.push(LentCell { at: self.copied.len(), cell });
    }

    /// All bytes, copied and lent.
    pub(in super::super) fn len(&self) -> usize {
        self.copied.len() + self.lent_bytes
    }

    /// Whether it keeps arrays alive.
    pub(in super::super) fn has_lent(&self) -> bool {
        !self.lent.is_empty()
    }

    /// The end of what there is.
    pub(in super::super) fn mark(&self) -> Mark {
        Mark { copied: self.copied.len(), lent: self.lent.len(), lent_bytes: self.lent_bytes }
    }

    /// Drops everything behind a mark.
    pub(super) fn truncate(&mut self, end: Mark) {
        self.copied.truncate(end.copied);
        self.lent.truncate(end.lent);
        self.lent_bytes = end.lent_bytes;
    }

    pub(in super::super) fn clear(&mut self) {
        self.truncate(Mark::default());
    }

    /// What lies between two marks, in order, in pieces of at most `most_bytes`.
    pub(in super::super) fn pieces(
        &self,
        between: Range<Mark>,
        most_bytes: usize,
    ) -> impl Iterator<Item = &[u8]> {
        let lent = self.lent.get(between.start.lent..between.end.lent).unwrap_or_default();
        let starts = std::iter::once(between.start.copied).chain(lent.iter().map(|cell| cell.at));
        let ends = lent.iter().map(|cell| (cell.at, cell.cell.as_slice()));
        let ends = ends.chain([(between.end.copied, &[][..])]);
        starts
            .zip(ends)
            .flat_map(|(start, (end, cell))| {
                [self.copied.get(start..end).unwrap_or_default(), cell]
            })
            .flat_map(move |bytes| bytes.chunks(most_bytes.max(1)))
    }

    /// All of it in one piece, for which large cells are copied after all.
    pub(in super::super) fn into_vec(self) -> Vec<u8> {
        if self.lent.is_empty() {
            self.copied
        } else {
            self.all(usize::MAX).collect::<Vec<_>>().concat()
        }
    }

    /// All of it.
    pub(in super::super) fn all(&self, most_bytes: usize) -> impl Iterator<Item = &[u8]> {
        self.pieces(Mark::default()..self.mark(), most_bytes)
    }
}

impl From<Vec<u8>> for EncodedRows {
    fn from(copied: Vec<u8>) -> Self {
        Self { copied, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_order_and_none_is_too_large() {
        let mut rows = EncodedRows::default();
        rows.push(b"head");
        let first = rows.mark();
        rows.lend(Buffer::from(b"0123456789"));
        rows.lend(Buffer::from(b"abc"));
        rows.push(b"-");
        let second = rows.mark();
        rows.lend(Buffer::from(b"XYZ"));
        assert_eq!(rows.len(), 21);
        let between = |marks| rows.pieces(marks, 4).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(rows.all(100).collect::<Vec<_>>().concat(), b"head0123456789abc-XYZ");
        assert_eq!(between(first..second).concat(), b"0123456789abc-");
        assert_eq!(between(second..rows.mark()), [b"XYZ".to_vec()]);
        assert!(between(Mark::default()..rows.mark()).iter().all(|piece| piece.len() <= 4));
        assert_eq!(second.bytes() - first.bytes(), 14);
        assert_eq!(rows.into_vec(), b"head0123456789abc-XYZ");
    }

    #[test]
    fn what_is_dropped_lends_nothing_any_more() {
        let mut rows = EncodedRows::default();
        rows.push(b"kept");
        let end = rows.mark();
        rows.lend(Buffer::from(b"gone"));
        rows.push(b"gone");
        rows.truncate(end);
        assert_eq!(rows.all(100).collect::<Vec<_>>().concat(), b"kept");
        assert!(!rows.has_lent());
    }
}
