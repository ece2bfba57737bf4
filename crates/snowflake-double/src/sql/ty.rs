//! Types of expressions: a Snowflake type, or none yet for NULL, and a collation.

use std::sync::Arc;

use crate::number::Shape;
use crate::table::Kind;
use crate::types::{MAX_VARCHAR, Type};

use super::failure::Failure;

/// How texts compare.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Collation {
    /// By bytes: no collation, or the empty one.
    #[default]
    Binary,
    /// `en-ci`: by the lower-case form.
    CaseInsensitive,
    /// Kept as metadata; comparisons refuse it.
    Other(Arc<str>),
}

impl Collation {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "" | "utf8" | "bin" => Self::Binary,
            "en-ci" => Self::CaseInsensitive,
            other => Self::Other(Arc::from(other)),
        }
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Binary => None,
            Self::CaseInsensitive => Some("en-ci"),
            Self::Other(name) => Some(name),
        }
    }
}

/// The type of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ty {
    /// `None` for a NULL that nothing has given a type yet.
    pub(crate) base: Option<Type>,
    pub(crate) collation: Collation,
}

impl From<Type> for Ty {
    fn from(base: Type) -> Self {
        Self { base: Some(base), collation: Collation::Binary }
    }
}

impl Ty {
    pub(crate) const NULL: Self = Self { base: None, collation: Collation::Binary };

    pub(crate) fn text() -> Self {
        Type::varchar().into()
    }

    pub(crate) fn number(precision: u8, scale: u8) -> Self {
        Type::number(precision, scale).into()
    }

    pub(crate) fn shaped(shape: Shape) -> Self {
        Type::number(shape.precision, shape.scale).into()
    }

    /// The type in answers: an untyped NULL is a VARCHAR there.
    pub(crate) fn reported(&self) -> Type {
        self.base.unwrap_or(Type::Varchar { length: MAX_VARCHAR })
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::of(self.reported())
    }

    /// Precision and scale of a NUMBER.
    pub(crate) fn shape(&self) -> Option<Shape> {
        match self.base {
            Some(Type::Number { precision, scale }) => Some(Shape::new(precision, scale)),
            _ => None,
        }
    }

    pub(crate) fn scale(&self) -> u8 {
        self.shape().map_or(0, |shape| shape.scale)
    }

    pub(crate) const fn is_text(&self) -> bool {
        matches!(self.base, Some(Type::Varchar { .. }))
    }

    pub(crate) const fn is_float(&self) -> bool {
        matches!(self.base, Some(Type::Float))
    }

    pub(crate) const fn is_number(&self) -> bool {
        matches!(self.base, Some(Type::Number { .. }))
    }

    pub(crate) const fn is_timestamp(&self) -> bool {
        matches!(
            self.base,
            Some(Type::TimestampNtz { .. } | Type::TimestampLtz { .. } | Type::TimestampTz { .. })
        )
    }

    /// The name in messages.
    pub(crate) fn shown(&self) -> String {
        self.base.map_or_else(|| "NULL".to_owned(), |base| base.to_string())
    }

    /// The type that holds the values of both: of CASE branches, COALESCE, UNION and GREATEST.
    pub(crate) fn common(&self, other: &Self) -> Result<Self, Failure> {
        let (a, b) = match (self.base, other.base) {
            (None, _) => return Ok(other.clone()),
            (_, None) => return Ok(self.clone()),
            (Some(a), Some(b)) => (a, b),
        };
        let collation = self.common_collation(other)?;
        Ok(Self { base: Some(common_base(a, b)?), collation })
    }

    pub(crate) fn common_collation(&self, other: &Self) -> Result<Collation, Failure> {
        match (&self.collation, &other.collation) {
            (a, b) if a == b => Ok(a.clone()),
            (Collation::Binary, named) | (named, Collation::Binary) => Ok(named.clone()),
            _ => Err(Failure::unsupported("a mix of two collations")),
        }
    }
}

fn common_base(a: Type, b: Type) -> Result<Type, Failure> {
    let fraction = || a.fraction_digits().unwrap_or(0).max(b.fraction_digits().unwrap_or(0));
    Ok(match (a, b) {
        (a, b) if a == b => a,
        (Type::Number { precision: p1, scale: s1 }, Type::Number { precision: p2, scale: s2 }) => {
            let shape = Shape::new(p1, s1).common(Shape::new(p2, s2));
            Type::number(shape.precision, shape.scale)
        }
        (Type::Number { .. }, Type::Float) | (Type::Float, Type::Number { .. }) => Type::Float,
        (Type::Varchar { length: a }, Type::Varchar { length: b }) => {
            Type::Varchar { length: a.max(b) }
        }
        (Type::Binary { length: a }, Type::Binary { length: b }) => {
            Type::Binary { length: a.max(b) }
        }
        (Type::Time { .. }, Type::Time { .. }) => Type::time(fraction()),
        (Type::TimestampNtz { .. }, Type::TimestampNtz { .. } | Type::Date)
        | (Type::Date, Type::TimestampNtz { .. }) => Type::timestamp_ntz(fraction()),
        (Type::TimestampLtz { .. }, Type::TimestampLtz { .. } | Type::Date)
        | (Type::Date, Type::TimestampLtz { .. }) => Type::timestamp_ltz(fraction()),
        (Type::TimestampTz { .. }, Type::TimestampTz { .. }) => Type::timestamp_tz(fraction()),
        (a, b) => {
            return Err(Failure::unsupported(format!("a common type of {a} and {b}")));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_types_hold_both() {
        let common = |a: Type, b: Type| Ty::from(a).common(&b.into()).map(|ty| ty.base);
        assert_eq!(common(Type::number(5, 2), Type::number(5, 0)), Ok(Some(Type::number(7, 2))));
        assert_eq!(
            common(Type::number(38, 0), Type::number(38, 37)),
            Ok(Some(Type::number(38, 37)))
        );
        assert_eq!(common(Type::number(5, 2), Type::Float), Ok(Some(Type::Float)));
        assert_eq!(common(Type::Date, Type::timestamp_ntz(6)), Ok(Some(Type::timestamp_ntz(6))));
        assert!(common(Type::varchar(), Type::Date).is_err());
        assert_eq!(Ty::NULL.common(&Type::Date.into()), Ok(Type::Date.into()));
    }
}
