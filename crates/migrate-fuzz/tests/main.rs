//! Every seed, also each that was a bug once, through its target; and each of them changed at random,
//! always in the same ways, which finds what is near without a fuzzer.
#![expect(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;

use fastrand::Rng;
use migrate_fuzz::TARGETS;

/// Changed inputs for each target; `FUZZ_CHANGES` for another number.
const CHANGES: usize = 3_000;

/// What means something to one of the readers.
const WORDS: [&str; 24] = [
    "null",
    "true",
    "{}",
    "[]",
    "\"",
    "'",
    "''",
    "\\",
    "$$",
    "--",
    "/*",
    "*/",
    "(",
    ")",
    ";",
    "\u{0}",
    "é",
    "-0",
    "1e400",
    "99999999999999999999",
    ".5",
    "NaN",
    "${CANARY}",
    "\n",
];

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|cause| panic!("{}: {cause}", folder.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("listed").path();
            (path.display().to_string(), std::fs::read(&path).expect("readable"))
        })
        .collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds.sort();
    seeds
}

/// A byte, a word or a piece of another seed takes the place of something.
fn changed(seed: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.usize(1..4) {
        let from = rng.usize(..=bytes.len());
        let to = rng.usize(from..=bytes.len().min(from + 8));
        let piece: Vec<u8> = match rng.u8(..5) {
            0 => vec![rng.u8(..)],
            1 => vec![rng.u8(b' '..b'~')],
            2 => Vec::new(),
            3 => rng.choice(WORDS).unwrap_or_default().into(),
            _ => {
                let start = rng.usize(..=other.len());
                other[start..rng.usize(start..=other.len())].to_vec()
            }
        };
        bytes.splice(from..to, piece);
    }
    bytes
}

#[test]
fn every_seed_keeps_the_promises_of_its_target() {
    for (name, target) in TARGETS {
        for (path, seed) in seeds(name) {
            println!("{path}");
            target(&seed);
        }
    }
}

#[test]
fn seeds_that_are_changed_keep_them_too() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        let mut rng = Rng::with_seed(4711);
        for _ in 0..changes() {
            let [one, other] = [(), ()].map(|()| &seeds[rng.usize(..seeds.len())].1);
            let input = changed(one, other, &mut rng);
            let is_kept = std::panic::catch_unwind(|| target(&input)).is_ok();
            assert!(is_kept, "{name} fails on {input:?}: {}", String::from_utf8_lossy(&input));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "whoever looks for more says how long")]
fn changes() -> usize {
    std::env::var("FUZZ_CHANGES").ok().and_then(|text| text.parse().ok()).unwrap_or(CHANGES)
}
