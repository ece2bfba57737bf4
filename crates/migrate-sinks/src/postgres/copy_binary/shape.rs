//! GeoJSON and well-known text as the extended well-known binary that PostGIS receives.
//!
//! PostGIS: `postgis/lwgeom_inout.c` (`LWGEOM_recv`) and `liblwgeom/lwin_wkb.c`. A shape is a byte
//! order, a type with flags, the reference system if the flags say so, and its points.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::misfit::Misfit;
use super::wire;

/// Longitude and latitude on the globe (EPSG 4326), which is what GEOGRAPHY has.
pub(super) const WGS84: u32 = 4326;

const LITTLE_ENDIAN: u8 = 1;
const HAS_Z: u32 = 0x8000_0000;
const HAS_SRID: u32 = 0x2000_0000;

/// Collections within collections; deeper ones are nobody's data.
const MOST_DEPTH: usize = 32;

/// Names and numbers of the types of shapes, and how deep their coordinates are nested.
const KINDS: [(&str, u32, usize); 6] = [
    ("Point", 1, 0),
    ("LineString", 2, 1),
    ("Polygon", 3, 2),
    ("MultiPoint", 4, 1),
    ("MultiLineString", 5, 2),
    ("MultiPolygon", 6, 3),
];
const COLLECTION: (&str, u32) = ("GeometryCollection", 7);

/// Appends the shape that a text describes. `default_srid` holds where the text names none.
pub(super) fn write(
    text: &str,
    default_srid: Option<u32>,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let (srid, body) = match text.strip_prefix("SRID=").and_then(|rest| rest.split_once(';')) {
        Some((srid, body)) => (Some(srid.parse().map_err(|_text| Misfit::NotShape)?), body),
        None => (default_srid, text),
    };
    let shape = if body.trim_start().starts_with('{') {
        geojson(body, 0)?
    } else {
        let mut words = Words { rest: body };
        let shape = well_known(&mut words, 0)?;
        if words.next().is_some() {
            return Err(Misfit::NotShape);
        }
        shape
    };
    // 0 means that there is no reference system.
    let srid = srid.filter(|srid| *srid != 0);
    wire::measured(out, |out| shape.write(srid, shape.has_z()?, out))
}

/// A shape of one of the kinds.
enum Shape {
    Simple { kind: u32, coordinates: Nested },
    Collection(Vec<Self>),
}

/// Numbers in lists in lists.
enum Nested {
    Point(Vec<f64>),
    List(Vec<Self>),
}

impl Shape {
    /// Whether points have a height; all or none do. Empty shapes have none.
    fn has_z(&self) -> Result<bool, Misfit> {
        let mut sizes = Vec::new();
        self.point_sizes(&mut sizes);
        sizes.retain(|size| *size > 0);
        match sizes.first() {
            None | Some(2) if sizes.iter().all(|size| *size == 2) => Ok(false),
            Some(3) if sizes.iter().all(|size| *size == 3) => Ok(true),
            _ => Err(Misfit::NotShape),
        }
    }

    fn point_sizes(&self, sizes: &mut Vec<usize>) {
        match self {
            Self::Simple { coordinates, .. } => coordinates.point_sizes(sizes),
            Self::Collection(shapes) => shapes.iter().for_each(|shape| shape.point_sizes(sizes)),
        }
    }

    fn write(&self, srid: Option<u32>, has_z: bool, out: &mut Vec<u8>) -> Result<(), Misfit> {
        let kind = match self {
            Self::Simple { kind, .. } => *kind,
            Self::Collection(_) => COLLECTION.1,
        };
        header(kind, srid, has_z, out);
        match self {
            Self::Collection(shapes) => {
                count(shapes.len(), out)?;
                // Parts do not repeat the reference system.
                shapes.iter().try_for_each(|shape| shape.write(None, has_z, out))
            }
            Self::Simple { coordinates, .. } => body(kind, coordinates, has_z, out),
        }
    }
}

fn header(kind: u32, srid: Option<u32>, has_z: bool, out: &mut Vec<u8>) {
    let flags = if has_z { HAS_Z } else { 0 } | if srid.is_some() { HAS_SRID } else { 0 };
    out.push(LITTLE_ENDIAN);
    out.extend_from_slice(&(kind | flags).to_le_bytes());
    if let Some(srid) = srid {
        out.extend_from_slice(&srid.to_le_bytes());
    }
}

fn count(items: usize, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let count = u32::try_from(items).map_err(|_many| Misfit::TooLarge)?;
    out.extend_from_slice(&count.to_le_bytes());
    Ok(())
}

/// What follows the header of a shape.
fn body(kind: u32, coordinates: &Nested, has_z: bool, out: &mut Vec<u8>) -> Result<(), Misfit> {
    // Parts of a collection of one kind are whole shapes; rings and lines are bare lists.
    let part = match kind {
        4 => Some(1),
        5 => Some(2),
        6 => Some(3),
        _ => None,
    };
    match (coordinates, part) {
        (Nested::Point(point), None) if kind == 1 => {
            // A point without coordinates is one of NaN.
            let size = if has_z { 3 } else { 2 };
            let padded = point.iter().copied().chain(std::iter::repeat(f64::NAN));
            out.extend(padded.take(size).flat_map(f64::to_le_bytes));
            Ok(())
        }
        (Nested::List(parts), Some(part_kind)) => {
            count(parts.len(), out)?;
            parts.iter().try_for_each(|part| {
                header(part_kind, None, has_z, out);
                body(part_kind, part, has_z, out)
            })
        }
        (Nested::List(_), None) if kind != 1 => bare(coordinates, out),
        _ => Err(Misfit::NotShape),
    }
}

/// Lists of points with their lengths.
fn bare(nested: &Nested, out: &mut Vec<u8>) -> Result<(), Misfit> {
    match nested {
        Nested::Point(point) if !point.is_empty() => {
            out.extend(point.iter().flat_map(|number| number.to_le_bytes()));
            Ok(())
        }
        Nested::Point(_) => Err(Misfit::NotShape),
        Nested::List(items) => {
            count(items.len(), out)?;
            items.iter().try_for_each(|item| bare(item, out))
        }
    }
}

impl Nested {
    fn point_sizes(&self, sizes: &mut Vec<usize>) {
        match self {
            Self::Point(numbers) => sizes.push(numbers.len()),
            Self::List(items) => items.iter().for_each(|item| item.point_sizes(sizes)),
        }
    }

    /// Reads `[[1,2],[3,4]]` of a known depth.
    fn of_json(json: &str, depth: usize) -> Result<Self, Misfit> {
        let items: Vec<&RawValue> =
            serde_json::from_str(json).map_err(|_other| Misfit::NotShape)?;
        if depth == 0 {
            return items
                .iter()
                .map(|item| finite(item.get()))
                .collect::<Result<_, _>>()
                .map(Self::Point);
        }
        let items = items.iter().map(|item| Self::of_json(item.get(), depth - 1));
        items.collect::<Result<_, _>>().map(Self::List)
    }
}

/// A number; both forms spell them as JSON does.
fn finite(text: &str) -> Result<f64, Misfit> {
    let number: f64 = text.parse().map_err(|_text| Misfit::NotShape)?;
    if number.is_finite() { Ok(number) } else { Err(Misfit::NotShape) }
}

#[derive(Deserialize)]
struct GeoJson<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    coordinates: Option<&'a RawValue>,
    #[serde(borrow)]
    geometries: Option<Vec<&'a RawValue>>,
}

fn geojson(text: &str, depth: usize) -> Result<Shape, Misfit> {
    let read: GeoJson<'_> = serde_json::from_str(text).map_err(|_other| Misfit::NotShape)?;
    if depth > MOST_DEPTH {
        return Err(Misfit::NotShape);
    }
    if read.kind == COLLECTION.0 {
        let shapes = read.geometries.ok_or(Misfit::NotShape)?;
        let shapes = shapes.iter().map(|shape| geojson(shape.get(), depth + 1));
        return shapes.collect::<Result<_, _>>().map(Shape::Collection);
    }
    let (_, kind, depth) =
        KINDS.into_iter().find(|(name, ..)| *name == read.kind).ok_or(Misfit::NotShape)?;
    let coordinates = read.coordinates.ok_or(Misfit::NotShape)?;
    Ok(Shape::Simple { kind, coordinates: Nested::of_json(coordinates.get(), depth)? })
}

/// Words, brackets and commas of well-known text.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        let length = match first {
            '(' | ')' | ',' => 1,
            _ => self
                .rest
                .find(|c: char| c.is_whitespace() || "(),".contains(c))
                .unwrap_or(self.rest.len()),
        };
        let (word, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(word)
    }
}

fn well_known(words: &mut Words<'_>, depth: usize) -> Result<Shape, Misfit> {
    let name = words.next().ok_or(Misfit::NotShape)?;
    if depth > MOST_DEPTH {
        return Err(Misfit::NotShape);
    }
    // `POINT Z (…)` and `POINTZ(…)`; the numbers tell the dimensions. Measures have no place here.
    let bare = name.strip_suffix(['Z', 'z']).unwrap_or(name);
    let mut next = words.next().ok_or(Misfit::NotShape)?;
    if next.eq_ignore_ascii_case("z") {
        next = words.next().ok_or(Misfit::NotShape)?;
    }
    let is_empty = next.eq_ignore_ascii_case("empty");
    if !is_empty && next != "(" {
        return Err(Misfit::NotShape);
    }
    if bare.eq_ignore_ascii_case(COLLECTION.0) {
        let mut shapes = Vec::new();
        if is_empty {
            return Ok(Shape::Collection(shapes));
        }
        loop {
            shapes.push(well_known(words, depth + 1)?);
            if words.next().ok_or(Misfit::NotShape)? == ")" {
                return Ok(Shape::Collection(shapes));
            }
        }
    }
    let (_, kind, nesting) = KINDS
        .into_iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(bare))
        .ok_or(Misfit::NotShape)?;
    let coordinates = match (is_empty, nesting) {
        (true, 0) => Nested::Point(Vec::new()),
        (true, _) => Nested::List(Vec::new()),
        (false, 0) => point(words)?.0,
        (false, nesting) => list(words, nesting)?,
    };
    Ok(Shape::Simple { kind, coordinates })
}

/// Numbers up to a bracket or comma, and whether it was a bracket.
fn point(words: &mut Words<'_>) -> Result<(Nested, bool), Misfit> {
    let mut numbers = Vec::new();
    loop {
        match words.next().ok_or(Misfit::NotShape)? {
            ")" => return Ok((Nested::Point(numbers), true)),
            "," => return Ok((Nested::Point(numbers), false)),
            // The points of a MULTIPOINT may have brackets of their own.
            "(" if numbers.is_empty() => {
                let (inner, _) = point(words)?;
                let is_last = words.next().ok_or(Misfit::NotShape)? == ")";
                return Ok((inner, is_last));
            }
            number => numbers.push(finite(number)?),
        }
    }
}

/// The rest of a list after its opening bracket.
fn list(words: &mut Words<'_>, nesting: usize) -> Result<Nested, Misfit> {
    let mut items = Vec::new();
    loop {
        let is_last = if nesting == 1 {
            let (item, is_last) = point(words)?;
            items.push(item);
            is_last
        } else {
            if words.next().ok_or(Misfit::NotShape)? != "(" {
                return Err(Misfit::NotShape);
            }
            items.push(list(words, nesting - 1)?);
            words.next().ok_or(Misfit::NotShape)? == ")"
        };
        if is_last {
            return Ok(Nested::List(items));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hexadecimal form that `select ewkb` of PostGIS prints, without the length.
    fn hex(text: &str, srid: Option<u32>) -> Result<String, Misfit> {
        let mut out = Vec::new();
        write(text, srid, &mut out)?;
        assert_eq!(u32::from_be_bytes([out[0], out[1], out[2], out[3]]) as usize, out.len() - 4);
        Ok(out[4..].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}")))
    }

    /// Values as PostGIS's manual and its regression tests print them.
    #[test]
    fn shapes_have_the_bytes_of_postgis() {
        let one = "000000000000F03F";
        let two = "0000000000000040";
        for (text, srid, expected) in [
            ("POINT(1 2)", None, format!("0101000000{one}{two}")),
            ("SRID=4326;POINT(1 2)", None, format!("0101000020E6100000{one}{two}")),
            (
                r#"{"type":"Point","coordinates":[1,2]}"#,
                Some(WGS84),
                format!("0101000020E6100000{one}{two}"),
            ),
            ("POINT Z (1 2 1)", None, format!("0101000080{one}{two}{one}")),
            ("LINESTRING(1 2,2 1)", None, format!("010200000002000000{one}{two}{two}{one}")),
            (
                "POLYGON((1 1,2 1,2 2,1 1))",
                None,
                format!("01030000000100000004000000{one}{one}{two}{one}{two}{two}{one}{one}"),
            ),
            (
                "MULTIPOINT((1 2),(2 1))",
                None,
                format!("0104000000020000000101000000{one}{two}0101000000{two}{one}"),
            ),
            (
                "MULTIPOINT(1 2,2 1)",
                None,
                format!("0104000000020000000101000000{one}{two}0101000000{two}{one}"),
            ),
            (
                "GEOMETRYCOLLECTION(POINT(1 2))",
                Some(7),
                format!("010700002007000000010000000101000000{one}{two}"),
            ),
            ("GEOMETRYCOLLECTION EMPTY", None, "010700000000000000".to_owned()),
        ] {
            assert_eq!(hex(text, srid), Ok(expected), "{text}");
        }
    }

    #[test]
    fn json_and_text_of_one_shape_have_the_same_bytes() {
        for (json, text) in [
            (
                r#"{"type":"MultiPolygon","coordinates":[[[[0,0],[1,0],[1,1],[0,0]]]]}"#,
                "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))",
            ),
            (
                r#"{"type":"MultiLineString","coordinates":[[[0.1,-2e-7],[1,0]],[[3,4],[5,6]]]}"#,
                "MULTILINESTRING((0.1 -2e-7,1 0),(3 4,5 6))",
            ),
            (
                r#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2,3]}]}"#,
                "GEOMETRYCOLLECTION Z (POINT Z (1 2 3))",
            ),
        ] {
            assert_eq!(hex(json, None), hex(text, None), "{text}");
        }
    }

    #[test]
    fn what_is_no_shape_is_refused() {
        for text in [
            "",
            "POINT",
            "POINT(1)",
            "POINT(1 2",
            "POINT(1 2) x",
            "CIRCLE(1 2)",
            "POINT(1 NaN)",
            "POINT M (1 2 3 4)",
            "LINESTRING(1 2,1 2 3)",
            "SRID=x;POINT(1 2)",
            "{}",
            "{\"type\":\"Feature\"}",
            r#"{"type":"Point","coordinates":[[1,2]]}"#,
            r#"{"type":"Point","coordinates":[1]}"#,
        ] {
            assert_eq!(hex(text, None), Err(Misfit::NotShape), "{text}");
        }
    }
}
