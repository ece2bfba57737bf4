//! Tables that are made of immutable objects.

use super::{SourceFixture, columns, expected_cells, open, read, same_rows, sort};
use crate::chunk::Extent;
use crate::predicate::Predicate;
use crate::source::{ObjectStat, ScanRequest};
use crate::testkit::{Kept, Unkept, found, refused, same};

fn group(object: &ObjectStat, number: u32) -> Extent {
    Extent::Object {
        uri: object.uri.clone(),
        row_groups: number..number + 1,
        fingerprint: object.fingerprint.clone(),
    }
}

pub(super) async fn objects_hold_each_row_once(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let objects = table.objects().await?;
    if objects.is_empty() {
        return Err(Unkept::Skipped("its table is not made of objects"));
    }
    let filter = Predicate::is_null("day");
    let (mut rows, mut filtered) = (Vec::new(), Vec::new());
    for object in &objects {
        for (number, count) in (0..).zip(&object.row_group_rows) {
            let request = ScanRequest::new(columns(), group(object, number));
            filtered.extend(read(&*table, request.clone().with_filter(filter.clone())).await?);
            let found = read(&*table, request).await?;
            same("rows of a group", &(found.len() as u64), count)?;
            rows.extend(found);
        }
    }
    sort(&mut rows);
    sort(&mut filtered);
    same_rows("all objects", &rows, &expected_cells(&Predicate::All)?)?;
    same_rows("all objects where the filter holds", &filtered, &expected_cells(&filter)?)
}

pub(super) async fn an_object_with_another_content_is_refused(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let objects = table.objects().await?;
    let mut object = match objects.into_iter().next() {
        Some(object) => object,
        None => ObjectStat { uri: "o".into(), fingerprint: "f".into(), row_group_rows: vec![1] },
    };
    object.fingerprint.push_str(" of another version");
    let request = ScanRequest::new(columns(), group(&object, 0));
    let answer = super::batches(&*table, request).await;
    let error = refused("an object that has changed", answer)?;
    found("hint", error.hint()).map(drop)
}
