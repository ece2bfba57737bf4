//! JSON documents compared by what they say, without the server: keys that are there twice count,
//! and so do the sign of zero and every digit.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tree {
    Word(String),
    Text(String),
    /// Whether it is negative, its digits without zeros at either end, and the power of ten.
    Number(bool, String, i64),
    List(Vec<Tree>),
    /// All values of each key, in order.
    Object(BTreeMap<String, Vec<Tree>>),
}

struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

fn number(text: &str) -> Tree {
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (digits, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_end_matches('0');
    let power = power.parse::<i64>().expect("a power")
        - i64::try_from(fraction.len()).expect("few")
        + i64::try_from(all.len() - digits.len()).expect("few");
    let digits = digits.trim_start_matches('0');
    let power = if digits.is_empty() { 0 } else { power };
    Tree::Number(is_negative, digits.to_owned(), power)
}

fn tree(raw: &RawValue) -> Tree {
    let text = raw.get();
    match text.chars().next().expect("a value") {
        '{' => {
            let mut object: BTreeMap<String, Vec<Tree>> = BTreeMap::new();
            for (key, value) in serde_json::from_str::<Pairs<'_>>(text).expect("an object").0 {
                object.entry(key).or_default().push(tree(value));
            }
            Tree::Object(object)
        }
        '[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).expect("a list");
            Tree::List(items.into_iter().map(tree).collect())
        }
        '"' => Tree::Text(serde_json::from_str(text).expect("a text")),
        '-' | '0'..='9' => number(text),
        _ => Tree::Word(text.to_owned()),
    }
}

/// Whether both are JSON and say the same.
pub(crate) fn says_the_same(left: &str, right: &str) -> bool {
    let read = |text| serde_json::from_str::<&RawValue>(text).ok().map(tree);
    read(left).is_some_and(|left| read(right) == Some(left))
}

#[test]
fn what_jsonb_drops_makes_a_difference_and_spelling_does_not() {
    assert!(says_the_same(r#"{"a":1.10,"b":[1e2]}"#, r#"{ "b": [100], "\u0061": 1.1 }"#));
    for (left, right) in [
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        ("-0.0", "0.0"),
        ("12345678901234567890", "12345678901234567891"),
        ("\"1\"", "1"),
    ] {
        assert!(!says_the_same(left, right), "{left} {right}");
    }
}
