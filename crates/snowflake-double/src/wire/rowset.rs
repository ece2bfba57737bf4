//! Rows of a result as JSON, whole or in chunks.

use std::ops::Range;

use crate::sql::ResultSet;
use crate::types::Type;

use super::cell::{self, Style};

/// Which rows of a result go where: some inline, the rest in chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) inline: Range<usize>,
    pub(crate) chunks: Vec<Range<usize>>,
}

impl Layout {
    pub(crate) fn new(rows: usize, inline_rows: usize, chunk_rows: usize) -> Self {
        let inline = 0..rows.min(inline_rows);
        let step = chunk_rows.max(1);
        let chunks = (inline.end..rows)
            .step_by(step)
            .map(|start| start..start.saturating_add(step).min(rows))
            .collect();
        Self { inline, chunks }
    }
}

/// Writes rows of a result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowWriter<'r> {
    result: &'r ResultSet,
    style: Style,
}

impl<'r> RowWriter<'r> {
    /// `indent` is the number of blanks per level of semi-structured values.
    pub(crate) fn new(result: &'r ResultSet, indent: usize, ascii: bool) -> Self {
        Self { result, style: Style { indent, ascii } }
    }

    /// Appends a row, without its last `missing` cells.
    pub(crate) fn row(&self, out: &mut Vec<u8>, row: usize, missing: usize) {
        let columns = &self.result.relation.columns;
        let width = columns.len().saturating_sub(missing);
        out.push(b'[');
        for (position, (column, ty)) in columns.iter().zip(self.types()).take(width).enumerate() {
            if position > 0 {
                out.push(b',');
            }
            cell::write(out, column.get(row), ty, self.style);
        }
        out.push(b']');
    }

    /// Appends rows with commas between them, without outer brackets. With `narrow_last`, the last
    /// row lacks its last cell.
    pub(crate) fn rows(&self, out: &mut Vec<u8>, rows: Range<usize>, narrow_last: bool) {
        let last = rows.end.saturating_sub(1);
        let first = rows.start;
        for row in rows {
            if row > first {
                out.push(b',');
            }
            self.row(out, row, usize::from(narrow_last && row == last));
        }
    }

    fn types(&self) -> impl Iterator<Item = Type> + '_ {
        self.result.fields.iter().map(|field| field.ty.reported())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Field;
    use crate::table::Datum;

    #[test]
    fn every_row_has_exactly_one_place() {
        let layout = Layout::new(10, 3, 4);
        assert_eq!(layout.inline, 0..3);
        assert_eq!(layout.chunks, vec![3..7, 7..10]);
        assert!(Layout::new(2, 5, 1).chunks.is_empty());
        assert_eq!(Layout::new(2, 0, usize::MAX).chunks, vec![0..2]);
        assert!(Layout::new(0, 0, 1).chunks.is_empty());
    }

    #[test]
    fn rows_are_fragments_without_outer_brackets() {
        let fields = vec![
            Field::new("A", Type::number(38, 0), true),
            Field::new("B", Type::varchar(), true),
        ];
        let rows = [vec![Datum::Number(1), Datum::text("a")], vec![Datum::Number(2), Datum::Null]];
        let result = ResultSet::from_rows(fields, &rows).unwrap();
        let text = |rows, narrow| {
            let mut out = Vec::new();
            RowWriter::new(&result, 2, false).rows(&mut out, rows, narrow);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0..2, false), r#"["1","a"],["2",null]"#);
        assert_eq!(text(1..2, false), r#"["2",null]"#);
        assert_eq!(text(0..2, true), r#"["1","a"],["2"]"#);
        assert_eq!(text(0..0, false), "");
    }
}
