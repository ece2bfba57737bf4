//! Which tables of a run wait for which.
//!
//! Making a table ready locks what its plan touches, so no chunk may be on its way into one of those
//! tables. And a row with a foreign key that stays for the load needs the row that it refers to.

use std::collections::BTreeSet;

use migrate_core::{Return, TablePlan, TableRef};

/// What the chunks of one table wait for: numbers of other tables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Waits {
    /// Until these are made ready.
    pub(crate) for_preparation: Vec<usize>,
    /// Until these have their rows, or never will have.
    pub(crate) for_rows: Vec<usize>,
}

/// Decides for plans of one database, by their numbers. References that run in a circle are not
/// waited for: whoever has such tables sets their foreign keys aside or defers them.
pub(crate) fn waits(plans: &[(usize, &TablePlan)]) -> Vec<(usize, Waits)> {
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
            (
                *number,
                Waits { for_preparation, for_rows: mine.map(|(_, parent)| *parent).collect() },
            )
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
    let mut away = parent.load.set_aside.iter().chain(&child.load.set_aside);
    child.references.contains(&parent.target)
        && !away.any(|object| object.returns == Return::Relink && object.table == child.target)
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
    use migrate_core::{LoadPlan, SetAside};

    use super::*;

    fn plan(target: &str, references: &[&str]) -> TablePlan {
        let load = LoadPlan::append(Vec::new());
        let mut plan = TablePlan::new(TableRef::bare("from"), TableRef::bare(target), load);
        plan.references = references.iter().map(|name| TableRef::bare(*name)).collect();
        plan
    }

    fn decided(plans: &[TablePlan]) -> Vec<Waits> {
        let numbered: Vec<_> = plans.iter().enumerate().collect();
        waits(&numbered).into_iter().map(|(_, waits)| waits).collect()
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
