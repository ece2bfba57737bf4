//! Which sources a run takes, and with how many workers.

use std::num::NonZeroU16;

use serde_json::{Value, json};

use crate::support::{base, config, with};

fn three_sources() -> Value {
    let mut config = base();
    for (name, enabled) in [("billing", true), ("archive", false)] {
        let mut source = config["sources"][0].clone();
        source["source_name"] = json!(name);
        source["enabled"] = json!(enabled);
        config["sources"].as_array_mut().expect("an array").push(source);
    }
    config
}

#[test]
fn sources_are_selected_by_name_in_the_order_of_the_file() {
    let config = config(&three_sources());
    let names = |names: &[&str]| {
        let selected = config.select(names).expect("known");
        selected.sources.into_iter().map(|source| source.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&["billing", "analytics"]), ["analytics", "billing"]);
    assert_eq!(names(&["billing"]), ["billing"]);
}

#[test]
fn names_that_cannot_be_selected_are_told_with_the_known_ones() {
    let config = config(&three_sources());
    for (name, words) in [
        ("analytic", "did you mean \"analytics\"? Known sources: analytics, billing"),
        ("zebra", "known sources: analytics, billing"),
        ("archive", "Source \"archive\" is disabled; fix: set \"enabled\": true"),
    ] {
        let error = config.select(&[name]).expect_err(name).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_process_has_as_many_workers_as_the_largest_wish() {
    let workers =
        |value: &Value| config(value).workers(NonZeroU16::new(6).expect("not zero")).get();
    let global = with(base(), "/parallel_threads", json!(4));
    assert_eq!(workers(&base()), 6);
    assert_eq!(workers(&global), 4);
    let of_table =
        |config, threads: u16| with(config, "/sources/0/tables/0/parallel_threads", json!(threads));
    assert_eq!(workers(&of_table(global.clone(), 8)), 8);
    assert_eq!(workers(&of_table(global, 2)), 4);
    assert_eq!(workers(&of_table(base(), 2)), 6);
}
