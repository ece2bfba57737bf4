//! Numbers and tables for people, on stdout.

use std::io::{self, Write};
use std::time::Duration;

/// Writes results to stdout. A reader that has gone away (`| head`) is no failure.
pub(crate) fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    if let Err(cause) = written
        && cause.kind() != io::ErrorKind::BrokenPipe
    {
        tracing::warn!(cause = %cause, "stdout cannot be written");
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.8 s`, `12.3 s`, `4 min 05 s`, `3 h 07 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Rows per second, over at least a millisecond.
pub(crate) fn rate(rows: u64, over: Duration) -> String {
    let millis = u64::try_from(over.as_millis()).unwrap_or(u64::MAX).max(1);
    format!("{} rows/s", grouped(rows.saturating_mul(1000) / millis))
}

/// `1 table`, `2 tables`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// Text for people: titles, and labelled values below them.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    /// A line as it is.
    pub(crate) fn line(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self.0.push('\n');
        self
    }

    /// A value with its label, indented.
    pub(crate) fn field(&mut self, label: &str, value: &str) -> &mut Self {
        self.line(&format!("  {label:<9} {value}"))
    }

    pub(crate) fn render(&self) -> &str {
        &self.0
    }
}

/// Columns of text; numbers are set to the right.
#[derive(Debug)]
pub(crate) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|text| (*text).to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let cell = |row: &Vec<String>, at: usize| row.get(at).cloned().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|at| self.rows.iter().map(|row| cell(row, at).chars().count()).max().unwrap_or(0))
            .collect();
        let is_number = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_digit())
                && text.chars().all(|c| c.is_ascii_digit() || ",.".contains(c))
        };
        let mut page = Page::default();
        for row in &self.rows {
            let cells = widths.iter().enumerate().map(|(at, width)| {
                let cell = cell(row, at);
                if is_number(&cell) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            page.line(cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        page.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(duration(Duration::from_millis(850)), "0.8 s");
        assert_eq!(duration(Duration::from_secs(245)), "4 min 05 s");
        assert_eq!(duration(Duration::from_mins(187)), "3 h 07 min");
        assert_eq!(rate(1000, Duration::from_millis(500)), "2,000 rows/s");
        assert_eq!(count(1, "table"), "1 table");
    }

    #[test]
    fn columns_are_aligned() {
        let mut columns = Columns::new(&["table", "rows"]);
        columns.row(["flights".into(), "336,776".into()]);
        columns.row(["airlines".into(), "16".into()]);
        assert_eq!(columns.render(), "table     rows\nflights   336,776\nairlines       16\n");
    }
}
