//! The one way in which keys are taken out of a configuration.
//!
//! A [`Reader`] stands on one object. Whoever needs a key takes it here; so the reader knows the path
//! and the line for every complaint, replaces `${}` exactly once, and in the end knows the keys that
//! nobody took. It never stops at a mistake: complaints are collected in the [`Scope`].

mod free;
mod item;
mod spot;

use std::cell::RefCell;
use std::collections::BTreeSet;

use jsonc_parser::ast::{Object, ObjectProp};
use migrate_core::closest;

use crate::document::{Document, child_path};
use crate::environment::Environment;
use crate::issue::ConfigIssue;
use crate::options::Options;

pub(crate) use item::{Item, Word};
pub(crate) use spot::Spot;

use item::Found;

/// One reading of one document: what it needs, and what it complained about.
pub(crate) struct Scope<'d> {
    document: &'d Document<'d>,
    environment: &'d Environment,
    issues: RefCell<Vec<ConfigIssue>>,
}

impl<'d> Scope<'d> {
    pub(crate) fn new(document: &'d Document<'d>, environment: &'d Environment) -> Self {
        let issues = [environment.notes(), &document.flaws()].concat();
        Self { document, environment, issues: RefCell::new(issues) }
    }

    /// A reader on the root object.
    pub(crate) fn root(&'d self) -> Reader<'d> {
        let root = self.document.root();
        Reader::new(Spot::new(self, String::new(), root.range.start), root)
    }

    /// All complaints so far.
    pub(crate) fn issues(&self) -> Vec<ConfigIssue> {
        self.issues.borrow().clone()
    }
}

/// Takes the keys of one object.
pub(crate) struct Reader<'d> {
    spot: Spot<'d>,
    object: &'d Object<'d>,
    taken: RefCell<BTreeSet<&'static str>>,
    broken: RefCell<BTreeSet<&'static str>>,
}

impl<'d> Reader<'d> {
    fn new(spot: Spot<'d>, object: &'d Object<'d>) -> Self {
        Self { spot, object, taken: RefCell::default(), broken: RefCell::default() }
    }

    /// The path of the object.
    pub(crate) fn path(&self) -> &str {
        self.spot.path()
    }

    /// From now on this object and all in it is only checked for unknown keys: its variables may be
    /// unset and its values wrong, because nothing will use them.
    pub(crate) fn disable(&mut self) {
        self.spot.disable();
    }

    /// Takes the key `enabled` (absent means true) and disables the reader if it says so.
    pub(crate) fn take_enabled(&mut self) -> bool {
        let enabled = self.take("enabled").and_then(|item| item.flag()).unwrap_or(true);
        if !enabled {
            self.disable();
        }
        enabled
    }

    /// Takes an optional key. `null` and blank text mean that it is not set.
    pub(crate) fn take(&self, key: &'static str) -> Option<Item<'d>> {
        self.find(key).into_item()
    }

    /// Takes an optional key whose value is never shown.
    pub(crate) fn take_secret(&self, key: &'static str) -> Option<Item<'d>> {
        self.take(key).map(Item::into_secret)
    }

    /// Takes a key that must be there and say something; `example` goes into the hint.
    pub(crate) fn require(&self, key: &'static str, example: &str) -> Option<Item<'d>> {
        let hint = || format!("add \"{key}\": {example}");
        match self.find(key) {
            Found::Absent => {
                let spot = self.at(key);
                spot.error(format!("Key \"{key}\" is missing"), None, hint());
                None
            }
            Found::Blank(spot, shown) => {
                spot.error(format!("Key \"{key}\" is empty"), Some(shown), hint());
                None
            }
            found => found.into_item(),
        }
    }

    /// Takes a key that holds an object; an absent one is `None`.
    pub(crate) fn take_object(&self, key: &'static str) -> Option<Self> {
        self.take(key).and_then(|item| item.object())
    }

    /// Takes a key that must hold an object.
    pub(crate) fn require_object(&self, key: &'static str, example: &str) -> Option<Self> {
        self.require(key, example).and_then(|item| item.object())
    }

    /// Whether the variables of a key that was taken could not be replaced, which has been told.
    pub(crate) fn is_broken(&self, key: &str) -> bool {
        self.broken.borrow().contains(key)
    }

    /// Whether the key is written here, also as `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.property(key).is_some()
    }

    /// The place of a key for complaints; that of the object where the key is not written.
    pub(crate) fn at(&self, key: &str) -> Spot<'d> {
        let offset = self.property(key).map(|property| property.range.start);
        self.spot.child(child_path(self.path(), key), offset)
    }

    /// Complains about every key that nobody took. `hint` knows keys that people look for in the
    /// wrong place; else the nearest known key is named, else all of them.
    pub(crate) fn finish(&self, hint: impl Fn(&str) -> Option<String>) {
        let taken = self.taken.borrow();
        for property in self.leftovers() {
            let key = property.name.as_str();
            let nearest = || closest(key, taken.iter().copied());
            let hint = hint(key)
                .or_else(|| nearest().map(|known| format!("did you mean \"{known}\"?")))
                .unwrap_or_else(|| {
                    let known: Vec<_> = taken.iter().copied().collect();
                    format!("remove it; known keys here: {}", known.join(", "))
                });
            // Also in disabled parts: a typing mistake would come to light when they are enabled.
            self.at(key).enabled().error(format!("Unknown key \"{key}\""), None, hint);
        }
    }

    /// Every key that nobody took, for connectors that know what they mean.
    pub(crate) fn into_options(self) -> Options {
        free::options(&self.spot, self.leftovers())
    }

    fn leftovers(&self) -> impl Iterator<Item = &'d ObjectProp<'d>> {
        let taken = self.taken.borrow().clone();
        let is_left = move |property: &&ObjectProp<'_>| !taken.contains(property.name.as_str());
        self.object.properties.iter().filter(is_left)
    }

    fn property(&self, key: &str) -> Option<&'d ObjectProp<'d>> {
        self.object.properties.iter().find(|property| property.name.as_str() == key)
    }

    fn find(&self, key: &'static str) -> Found<'d> {
        self.taken.borrow_mut().insert(key);
        let Some(property) = self.property(key) else { return Found::Absent };
        let found = Item::resolve(self.at(key), &property.value);
        if matches!(found, Found::Broken) {
            self.broken.borrow_mut().insert(key);
        }
        found
    }
}
