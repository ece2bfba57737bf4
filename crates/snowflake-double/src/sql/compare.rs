//! Equality and order of values: comparisons, ORDER BY, GROUP BY, DISTINCT, joins, IN.

use std::cmp::Ordering;

use crate::float;
use crate::number;
use crate::table::Cell;
use crate::types::Type;

use super::failure::Failure;
use super::ty::{Collation, Ty};

/// How two values of one common type compare. Numbers may differ in scale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    left_scale: u8,
    right_scale: u8,
    folds_case: bool,
}

impl Order {
    /// The order of values of these types, which were brought to one kind before.
    pub(crate) fn of(left: &Ty, right: &Ty) -> Result<Self, Failure> {
        for ty in [left, right] {
            if let Some(base) = ty.base
                && !base.is_comparable()
            {
                return Err(Failure::unsupported(format!(
                    "comparing, sorting or grouping values of type {base}"
                )));
            }
        }
        let folds_case = match left.common_collation(right)? {
            Collation::Binary => false,
            Collation::CaseInsensitive => true,
            Collation::Other(name) => {
                return Err(Failure::unsupported(format!("comparisons with collation '{name}'")));
            }
        };
        Ok(Self { left_scale: left.scale(), right_scale: right.scale(), folds_case })
    }

    /// The order within one column.
    pub(crate) fn within(ty: &Ty) -> Result<Self, Failure> {
        Self::of(ty, ty)
    }

    /// Compares two values, neither of them NULL.
    pub(crate) fn compare(&self, left: Cell<'_>, right: Cell<'_>) -> Ordering {
        match (left, right) {
            (Cell::Number(a), Cell::Number(b)) => {
                number::compare(a, self.left_scale, b, self.right_scale)
            }
            (Cell::Float(a), Cell::Float(b)) => float::compare(a, b),
            (Cell::Boolean(a), Cell::Boolean(b)) => a.cmp(&b),
            (Cell::Text(a), Cell::Text(b)) if self.folds_case => fold(a).cmp(fold(b)),
            (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Cell::Bytes(a), Cell::Bytes(b)) => a.cmp(b),
            (Cell::Date(a), Cell::Date(b)) => a.cmp(&b),
            (Cell::Time(a), Cell::Time(b)) => a.cmp(&b),
            (Cell::Stamp(a) | Cell::Zoned(a, _), Cell::Stamp(b) | Cell::Zoned(b, _)) => a.cmp(&b),
            _ => Ordering::Equal,
        }
    }

    /// Compares with NULLs at one end.
    pub(crate) fn sort(&self, left: Cell<'_>, right: Cell<'_>, key: SortOrder) -> Ordering {
        match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if key.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if key.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if key.descending => self.compare(right, left),
            (false, false) => self.compare(left, right),
        }
    }
}

/// Direction of a sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SortOrder {
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// The lower-case form that `en-ci` compares.
fn fold(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

/// Turns values into bytes that are equal exactly if the values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyMaker {
    scale: u8,
    folds_case: bool,
}

impl KeyMaker {
    pub(crate) fn of(ty: &Ty) -> Result<Self, Failure> {
        let order = Order::within(ty)?;
        Ok(Self { scale: order.left_scale, folds_case: order.folds_case })
    }

    /// Makers for the two sides of an equality; equal values have equal keys over both.
    pub(crate) fn paired(left: &Ty, right: &Ty) -> Result<(Self, Self), Failure> {
        let order = Order::of(left, right)?;
        let maker = |scale| Self { scale, folds_case: order.folds_case };
        Ok((maker(order.left_scale), maker(order.right_scale)))
    }

    /// Appends the key of a value; NULLs are equal to each other.
    pub(crate) fn append(&self, cell: Cell<'_>, out: &mut Vec<u8>) {
        match cell {
            Cell::Null => out.push(0),
            Cell::Number(value) => {
                out.push(1);
                self.append_number(value, out);
            }
            Cell::Float(value) => {
                out.push(2);
                out.extend(float::canonical_bits(value).to_le_bytes());
            }
            Cell::Boolean(value) => out.extend([3, u8::from(value)]),
            Cell::Text(text) => {
                out.push(4);
                if self.folds_case {
                    let folded: String = fold(text).collect();
                    append_bytes(folded.as_bytes(), out);
                } else {
                    append_bytes(text.as_bytes(), out);
                }
            }
            Cell::Bytes(bytes) => {
                out.push(5);
                append_bytes(bytes, out);
            }
            Cell::Date(days) => {
                out.push(6);
                out.extend(days.to_le_bytes());
            }
            Cell::Time(nanos) => {
                out.push(7);
                out.extend(nanos.to_le_bytes());
            }
            Cell::Stamp(stamp) | Cell::Zoned(stamp, _) => {
                out.push(8);
                out.extend(stamp.seconds.to_le_bytes());
                out.extend(stamp.nanos.to_le_bytes());
            }
        }
    }

    /// Equal numbers of different scales have one key: trailing zeros are cut.
    fn append_number(&self, value: i128, out: &mut Vec<u8>) {
        let mut value = value;
        let mut scale = self.scale;
        while scale > 0 && value % 10 == 0 {
            value /= 10;
            scale -= 1;
        }
        out.push(scale);
        out.extend(value.to_le_bytes());
    }
}

fn append_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(bytes.len().to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Whether values of a type have text that LIKE and its kin can look into.
pub(crate) fn need_plain_text(what: &str, ty: &Ty) -> Result<(), Failure> {
    match (&ty.base, &ty.collation) {
        (None | Some(Type::Varchar { .. }), Collation::Binary) => Ok(()),
        (None | Some(Type::Varchar { .. }), named) => Err(Failure::unsupported(format!(
            "{what} with collation '{}'",
            named.name().unwrap_or_default()
        ))),
        (Some(other), _) => Err(Failure::unsupported(format!("{what} of values of type {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Stamp;

    fn ci() -> Ty {
        Ty { collation: Collation::CaseInsensitive, ..Ty::text() }
    }

    #[test]
    fn texts_compare_by_bytes_unless_collated() {
        let plain = Order::within(&Ty::text()).unwrap();
        assert_eq!(plain.compare(Cell::Text("Z"), Cell::Text("a")), Ordering::Less);
        assert_eq!(plain.compare(Cell::Text("é"), Cell::Text("z")), Ordering::Greater);
        let folded = Order::within(&ci()).unwrap();
        assert_eq!(folded.compare(Cell::Text("ÉTÉ"), Cell::Text("été")), Ordering::Equal);
        assert_eq!(folded.compare(Cell::Text("Z"), Cell::Text("a")), Ordering::Greater);
        let other = Ty { collation: Collation::named("de-pi"), ..Ty::text() };
        assert!(Order::within(&other).unwrap_err().message.contains("de-pi"));
    }

    #[test]
    fn nulls_go_where_the_key_says() {
        let order = Order::within(&Ty::number(5, 0)).unwrap();
        for (descending, nulls_first, expected) in [
            (false, false, Ordering::Greater),
            (false, true, Ordering::Less),
            (true, true, Ordering::Less),
        ] {
            let key = SortOrder { descending, nulls_first };
            assert_eq!(order.sort(Cell::Null, Cell::Number(1), key), expected);
        }
    }

    #[test]
    fn equal_values_have_equal_keys() {
        let key = |ty: &Ty, cell| {
            let mut out = Vec::new();
            KeyMaker::of(ty).unwrap().append(cell, &mut out);
            out
        };
        assert_eq!(
            key(&Ty::number(5, 2), Cell::Number(150)),
            key(&Ty::number(5, 1), Cell::Number(15))
        );
        let float = Type::Float.into();
        assert_eq!(key(&float, Cell::Float(-0.0)), key(&float, Cell::Float(0.0)));
        assert_eq!(key(&ci(), Cell::Text("ABC")), key(&ci(), Cell::Text("abc")));
        let zoned = Type::timestamp_tz(9).into();
        assert_eq!(
            key(&zoned, Cell::Zoned(Stamp::new(1, 0), 60)),
            key(&zoned, Cell::Zoned(Stamp::new(1, 0), -60))
        );
        assert_ne!(key(&Ty::text(), Cell::Text("")), key(&Ty::text(), Cell::Null));
    }

    #[test]
    fn semi_structured_values_do_not_compare() {
        assert!(Order::within(&Type::Variant.into()).is_err());
        assert!(KeyMaker::of(&Type::Geography.into()).is_err());
    }
}
