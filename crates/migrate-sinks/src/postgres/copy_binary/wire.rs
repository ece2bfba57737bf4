//! Fields on the wire: a length and the value in network byte order.

use std::borrow::Cow;

use migrate_core::OnNul;
use migrate_core::arrow::buffer::Buffer;

use super::misfit::Misfit;
use super::rows::EncodedRows;

/// Bytes of the longest type of fixed length.
const MOST_FIXED: usize = 16;

#[inline]
pub(super) fn fixed<const N: usize>(out: &mut Vec<u8>, value: [u8; N]) {
    const { assert!(N <= MOST_FIXED, "a longer type") };
    // Both at once: a buffer that may have to grow is asked once.
    let mut field = [0; 4 + MOST_FIXED];
    if let Some((length, rest)) = field.split_first_chunk_mut::<4>()
        && let Some(place) = rest.first_chunk_mut::<N>()
    {
        #[expect(clippy::cast_possible_truncation, reason = "fixed types have at most 16 bytes")]
        let bytes = N as u32;
        *length = bytes.to_be_bytes();
        *place = value;
    }
    out.extend_from_slice(field.get(..4 + N).unwrap_or_default());
}

#[inline]
pub(super) fn variable(out: &mut Vec<u8>, value: &[u8]) -> Result<(), Misfit> {
    out.extend_from_slice(&length(value.len())?);
    out.extend_from_slice(value);
    Ok(())
}

/// A field whose length is known when it has been written.
pub(super) fn measured(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let bytes = length(out.len() - start - 4)?;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&bytes);
    }
    Ok(())
}

/// A large field: lent as it lies, after a prefix.
pub(super) fn lend(rows: &mut EncodedRows, prefix: &[u8], cell: Buffer) -> Result<(), Misfit> {
    rows.push(&length(prefix.len() + cell.len())?);
    rows.push(prefix);
    rows.lend(cell);
    Ok(())
}

/// A large text: lent where it is the `cell` as it lies, copied where a policy has changed it.
pub(super) fn large(
    rows: &mut EncodedRows,
    prefix: &[u8],
    text: Cow<'_, str>,
    cell: Buffer,
) -> Result<(), Misfit> {
    match text {
        Cow::Borrowed(_) => lend(rows, prefix, cell),
        Cow::Owned(changed) => {
            rows.push(&length(prefix.len() + changed.len())?);
            rows.push(prefix);
            rows.push(changed.as_bytes());
            Ok(())
        }
    }
}

/// PostgreSQL's limit of one field is 1 GiB.
pub(super) fn length(bytes: usize) -> Result<[u8; 4], Misfit> {
    match i32::try_from(bytes) {
        Ok(length) if length < 0x4000_0000 => Ok(length.to_be_bytes()),
        _ => Err(Misfit::TooLarge),
    }
}

/// What a text column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct TextRules {
    /// Most characters.
    pub(super) max_chars: Option<usize>,
    /// Whether blanks at the end mean nothing to the column.
    pub(super) is_padded: bool,
    /// What becomes of U+0000.
    pub(super) nul: OnNul,
}

pub(super) fn text(out: &mut Vec<u8>, value: &str, rules: TextRules) -> Result<(), Misfit> {
    variable(out, rules.clean(value)?.as_bytes())
}

impl TextRules {
    /// The text as the column takes it.
    pub(super) fn clean(self, value: &str) -> Result<Cow<'_, str>, Misfit> {
        let value = without_nul(value, self.nul)?;
        self.check_form(&value)?;
        Ok(value)
    }

    /// What the column would change of a text without U+0000.
    #[inline]
    pub(super) fn check_form(self, value: &str) -> Result<(), Misfit> {
        // The server would cut surplus blanks without a word, so the limit is tested here.
        if let Some(most) = self.max_chars
            && value.len() > most
            && value.chars().count() > most
        {
            return Err(Misfit::TooLong(most));
        }
        if self.is_padded && value.ends_with(' ') {
            return Err(Misfit::BlankAtEnd);
        }
        Ok(())
    }
}

fn without_nul(value: &str, policy: OnNul) -> Result<Cow<'_, str>, Misfit> {
    if memchr::memchr(0, value.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(value));
    }
    match policy {
        OnNul::Remove => Ok(value.replace('\0', "").into()),
        OnNul::Replace => Ok(value.replace('\0', "\u{fffd}").into()),
        _ => Err(Misfit::NulCharacter),
    }
}
