//! Which tables of a run wait for which.
//!
//! Making a table ready locks what its plan touches, so no chunk may be on its way into one of those
//! tables. And a row with a foreign key that stays for the load needs the row that it refers to.

use std::collections::BTreeSet;

use migrate_core::{Return, SetAside, TablePlan, TableRef};

/// What one table waits for: numbers of other tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_field_names, reason = "each says what is waited for")]
pub(crate) struct Waits {
    /// Its chunks, until these are made ready.
    pub(crate) for_preparation: Vec<usize>,
    /// Its chunks, until these have their rows, or never will have.
    pub(crate) for_rows: Vec<usize>,
    /// Its foreign keys, until these have their rows and unique constraints, also where others see to
    /// that.
    pub(crate) for_links: Vec<usize>,
}

/// Decides for plans of one database, by their numbers, and for the targets of tables that are left to
/// other processes: their plans are not known here. References that run in a circle are not
/// waited for: whoever has such tables sets their foreign keys aside or defers them.
pub(crate) fn waits(
    plans: &[(usize, &TablePlan)],
    left: &[(usize, &TableRef)],
) -> Vec<(usize, Waits)> {
    let mut references: Vec<(usize, usize)> = Vec::new();
    for (child, plan) in plans {
        for (parent, of_parent) in plans {
            let is_new = child != parent && !references.contains(&(*child, *parent));
            if is_new && refers(plan, of_parent) && !reaches(&references, *parent, *child) {
                references.push((*child, *parent));
            }
        }
    }
    plans
        .iter()
        .map(|(number, plan)| {
            let others = plans.iter().filter(|(other, _)| other != number);
            let touching = others.filter(|(_, other)| touched(other).contains(&plan.target));
            let for_preparation = touching.map(|(other, _)| *other).collect();
            let mine = references.iter().filter(|(child, _)| child == number);
            let unknown = left.iter().filter(|(_, target)| {
                plan.references.contains(target) && !is_away(plan, &plan.load.set_aside)
            });
            let for_rows =
                mine.map(|(_, parent)| *parent).chain(unknown.map(|(other, _)| *other)).collect();
            let linked = linked(plan);
            let targets = plans.iter().map(|(other, of_other)| (*other, &of_other.target));
            let for_links = targets
                .chain(left.iter().copied())
                .filter(|(other, target)| other != number && linked.contains(target))
                .map(|(other, _)| other)
                .collect();
            (*number, Waits { for_preparation, for_rows, for_links })
        })
        .collect()
}

/// Every table that making this one ready locks.
fn touched(plan: &TablePlan) -> BTreeSet<&TableRef> {
    let away = plan.load.set_aside.iter().chain(&plan.load.restore).map(|object| &object.table);
    std::iter::once(&plan.target).chain(&plan.load.truncate).chain(away).collect()
}

/// Whether a foreign key of the one to the other stays for the load.
fn refers(child: &TablePlan, parent: &TablePlan) -> bool {
    let away = parent.load.set_aside.iter().chain(&child.load.set_aside);
    child.references.contains(&parent.target) && !is_away(child, away)
}

/// Whether foreign keys of the table are among what is set aside.
fn is_away<'a>(child: &TablePlan, away: impl IntoIterator<Item = &'a SetAside>) -> bool {
    let mut away = away.into_iter();
    away.any(|object| object.returns == Return::Relink && object.table == child.target)
}

/// Every table that has a part in the foreign keys which this one brings back.
fn linked(plan: &TablePlan) -> BTreeSet<&TableRef> {
    let keys = plan.load.restore.iter().filter(|object| object.returns == Return::Relink);
    keys.map(|object| &object.table).chain(&plan.references).collect()
}

/// Whether somebody at `from` waits, at first or second hand, for `to`.
fn reaches(references: &[(usize, usize)], from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        let next = references.iter().filter(|(child, _)| *child == at).map(|(_, parent)| *parent);
        open.extend(next.filter(|parent| seen.insert(*parent)));
    }
    false
}

#[cfg(test)]
mod tests {
    use migrate_core::LoadPlan;

    use super::*;

    fn plan(target: &str, references: &[&str]) -> TablePlan {
        let load = LoadPlan::append(Vec::new());
        let mut plan = TablePlan::new(TableRef::bare("from"), TableRef::bare(target), load);
        plan.references = references.iter().map(|name| TableRef::bare(*name)).collect();
        plan
    }

    fn decided(plans: &[TablePlan]) -> Vec<Waits> {
        let numbered: Vec<_> = plans.iter().enumerate().collect();
        waits(&numbered, &[]).into_iter().map(|(_, waits)| waits).collect()
    }

    #[test]
    fn children_wait_for_parents_and_circles_are_cut_open() {
        let of_rows = |plans: &[TablePlan]| -> Vec<Vec<usize>> {
            decided(plans).into_iter().map(|waits| waits.for_rows).collect()
        };
        let chain =
            [plan("lines", &["orders"]), plan("orders", &["regions"]), plan("regions", &[])];
        assert_eq!(of_rows(&chain), [vec![1], vec![2], vec![]]);
        let circle = [plan("a", &["b"]), plan("b", &["c"]), plan("c", &["a", "c"])];
        assert_eq!(of_rows(&circle), [vec![1], vec![2], vec![]], "somebody has to begin");
    }

    #[test]
    fn a_foreign_key_that_is_away_is_not_waited_for() {
        let key = SetAside::new("foreign key f", TableRef::bare("lines"), Return::Relink, "");
        for at in [0, 1] {
            let mut plans = [plan("lines", &["orders"]), plan("orders", &[])];
            plans[at].load.set_aside.push(key.clone());
            assert!(decided(&plans)[0].for_rows.is_empty());
        }
    }

    #[test]
    fn a_table_that_is_left_to_others_is_waited_for() {
        let key = SetAside::new("foreign key f", TableRef::bare("lines"), Return::Relink, "");
        let mut without_keys = plan("lines", &["orders"]);
        without_keys.load.set_aside.push(key.clone());
        let mut referenced = plan("orders", &[]);
        referenced.load.restore.push(key);
        for (plan, left, for_rows, for_links) in [
            (plan("lines", &["orders"]), "orders", vec![1], vec![1]),
            (without_keys, "orders", vec![], vec![1]),
            (referenced, "lines", vec![], vec![1]),
            (plan("other", &["regions"]), "orders", vec![], vec![]),
        ] {
            let left = TableRef::bare(left);
            let decided = waits(&[(0, &plan)], &[(1, &left)]);
            let wanted = Waits { for_preparation: vec![], for_rows, for_links };
            assert_eq!(decided, [(0, wanted)], "{}", plan.target);
        }
    }

    #[test]
    fn whatever_a_preparation_locks_waits_for_it() {
        let mut orders = plan("orders", &[]);
        let key = SetAside::new("foreign key f", TableRef::bare("lines"), Return::Relink, "");
        orders.load.set_aside.push(key);
        let twin = plan("orders", &[]);
        let decided = decided(&[plan("lines", &[]), orders, twin, plan("other", &[])]);
        let of: Vec<_> = decided.into_iter().map(|waits| waits.for_preparation).collect();
        assert_eq!(of, [vec![1], vec![2], vec![1], vec![]]);
    }
}
