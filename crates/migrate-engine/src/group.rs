//! Tables that reference each other can only be emptied in one statement.

use std::collections::BTreeMap;

use migrate_core::{Error, Result, TableId, TableRef, code};

/// A table that is to be emptied.
#[derive(Debug)]
pub(crate) struct Truncation<'a> {
    pub(crate) id: TableId,
    pub(crate) table: &'a TableRef,
    pub(crate) referenced_by: &'a [TableRef],
}

/// What one table's plan has to say about emptying.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Emptying {
    /// Every table of the statement.
    pub(crate) tables: Vec<TableRef>,
    /// Who has the step to lease, if it is another table.
    pub(crate) prepared_by: Option<TableId>,
}

/// Joins tables that reference each other. TRUNCATE never cascades: a table that is referenced from
/// outside of the run is refused.
pub(crate) fn group(truncations: &[Truncation<'_>]) -> BTreeMap<TableId, Result<Emptying>> {
    // The smallest id of each connected component leads it.
    let mut leader: BTreeMap<TableId, TableId> =
        truncations.iter().map(|one| (one.id, one.id)).collect();
    let id_of =
        |table: &TableRef| truncations.iter().find(|one| one.table == table).map(|one| one.id);
    for one in truncations {
        for other in one.referenced_by.iter().filter_map(id_of) {
            let joined = [one.id, other].map(|id| leader.get(&id).copied());
            for current in leader.values_mut().filter(|current| joined.contains(&Some(**current))) {
                *current = joined.into_iter().flatten().min().unwrap_or(*current);
            }
        }
    }
    let leader = &leader;
    let members = &|of: TableId| {
        let mine = leader.get(&of);
        truncations.iter().filter(move |other| leader.get(&other.id) == mine)
    };
    truncations
        .iter()
        .map(|one| {
            // One reference from outside keeps all of them from being emptied.
            let refused = members(one.id).find_map(|member| {
                let outside: Vec<_> =
                    member.referenced_by.iter().filter(|table| id_of(table).is_none()).collect();
                (!outside.is_empty()).then(|| referenced(member.table, &outside))
            });
            let emptying = match refused {
                Some(error) => Err(error),
                None => Ok(Emptying {
                    tables: members(one.id).map(|other| other.table.clone()).collect(),
                    prepared_by: leader.get(&one.id).copied().filter(|leader| *leader != one.id),
                }),
            };
            (one.id, emptying)
        })
        .collect()
}

fn referenced(table: &TableRef, outside: &[&TableRef]) -> Error {
    let names = outside.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Error::new(
        code::TRUNCATE_REFERENCED,
        format!("{table} cannot be emptied: it is referenced by {names}"),
    )
    .with_hint(
        "load those tables in the same run with truncate_onstart, or drop their foreign keys for \
         the load",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(names: &[&str]) -> Vec<TableRef> {
        names.iter().map(|name| TableRef::bare(*name)).collect()
    }

    #[test]
    fn tables_that_reference_each_other_go_in_one_statement() {
        let names = tables(&["orders", "lines", "notes", "lone"]);
        let by_lines = tables(&["lines"]);
        let by_notes = tables(&["notes"]);
        let truncations = [
            Truncation { id: TableId(7), table: &names[0], referenced_by: &by_lines },
            Truncation { id: TableId(5), table: &names[1], referenced_by: &by_notes },
            Truncation { id: TableId(9), table: &names[2], referenced_by: &[] },
            Truncation { id: TableId(1), table: &names[3], referenced_by: &[] },
        ];
        let grouped = group(&truncations);
        let of = |id| grouped[&TableId(id)].as_ref().expect("allowed");
        let together = tables(&["orders", "lines", "notes"]);
        assert_eq!(of(5), &Emptying { tables: together.clone(), prepared_by: None });
        assert_eq!(of(7), &Emptying { tables: together.clone(), prepared_by: Some(TableId(5)) });
        assert_eq!(of(9), &Emptying { tables: together, prepared_by: Some(TableId(5)) });
        assert_eq!(of(1), &Emptying { tables: tables(&["lone"]), prepared_by: None });
    }

    #[test]
    fn a_reference_from_outside_refuses_the_whole_group() {
        let names = tables(&["orders", "lines"]);
        let by_lines = tables(&["lines"]);
        let outside = tables(&["audit"]);
        let truncations = [
            Truncation { id: TableId(1), table: &names[0], referenced_by: &by_lines },
            Truncation { id: TableId(2), table: &names[1], referenced_by: &outside },
        ];
        for emptying in group(&truncations).values() {
            let error = emptying.as_ref().expect_err("refused");
            assert!(error.to_string().contains("audit"), "{error}");
        }
    }

    #[test]
    fn a_reference_from_outside_of_the_run_is_refused_by_name() {
        let names = tables(&["orders"]);
        let outside = tables(&["audit"]);
        let truncations =
            [Truncation { id: TableId(1), table: &names[0], referenced_by: &outside }];
        let grouped = group(&truncations);
        let error = grouped[&TableId(1)].as_ref().expect_err("refused");
        assert_eq!(error.code(), code::TRUNCATE_REFERENCED);
        assert!(error.to_string().contains("audit"), "{error}");
    }
}
