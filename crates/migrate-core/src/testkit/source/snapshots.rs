//! Frozen moments.

use super::{
    SHRUNK_ROWS, SourceFixture, columns, everything, expected_cells, open, read, same_rows,
};
use crate::code;
use crate::error::ErrorKind;
use crate::predicate::Predicate;
use crate::source::ScanRequest;
use crate::testkit::{Kept, Unkept, same};

async fn shrink(fixture: &dyn SourceFixture) -> Kept {
    match fixture.shrink().await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            Err(Unkept::Skipped("the table of the fixture cannot change"))
        }
        answer => Ok(answer?),
    }
}

/// Whoever opens a table at a moment reads that moment, or hears that it is gone.
pub(super) async fn a_frozen_moment_does_not_move(fixture: &dyn SourceFixture) -> Kept {
    let source = fixture.source();
    let pinned = source.pin().await?;
    let opened = source.open(&fixture.table(), pinned.as_ref()).await?;
    let Some(moment) = opened.snapshot().cloned() else {
        return Err(Unkept::Skipped("it reads the changing present"));
    };
    shrink(fixture).await?;
    let all = expected_cells(&Predicate::All)?;
    match source.open(&fixture.table(), Some(&moment)).await {
        Err(error) => same("the error", &error.code(), &code::SNAPSHOT_EXPIRED),
        Ok(again) => {
            same("its moment", &again.snapshot(), &Some(&moment))?;
            for table in [opened, again] {
                same("the count", &table.count(&Predicate::All).await?, &(all.len() as u64))?;
                let rows = read(&*table, ScanRequest::new(columns(), everything())).await?;
                same_rows("the frozen moment", &rows, &all)?;
            }
            Ok(())
        }
    }
}

pub(super) async fn the_present_does(fixture: &dyn SourceFixture) -> Kept {
    open(fixture).await?;
    shrink(fixture).await?;
    let table = open(fixture).await?;
    let left = Predicate::range("row", None, Some(SHRUNK_ROWS.into()));
    let rows = read(&*table, ScanRequest::new(columns(), everything())).await?;
    same_rows("the present", &rows, &expected_cells(&left)?)
}
