//! `migrate repair`: bring back what dead runs left set aside.

use migrate_core::{Result, RunContext};
use migrate_engine::assembly::Assembly;

use super::Invocation;
use crate::exit::Exit;
use crate::output::{Page, count, print};

pub(crate) async fn repair(invocation: &Invocation, cx: &RunContext) -> Result<Exit> {
    let config = invocation.config()?;
    let assembly = Assembly::new(&config, &invocation.registry);
    let migration = cx.unless_cancelled(assembly.build()).await?;
    let repaired = migration.repair(cx).await?;
    let mut page = Page::default();
    for one in &repaired {
        let said = match &one.outcome {
            Ok(()) => "is back".to_owned(),
            Err(error) => error.report().to_string(),
        };
        page.line(&format!("{} of {}: {said}", one.what, one.table));
    }
    let failed = repaired.iter().filter(|one| one.outcome.is_err()).count();
    let all = repaired.len() as u64;
    page.line(&match (all, failed) {
        (0, _) => "Nothing was left set aside.".to_owned(),
        (_, 0) => format!("{} brought back.", count(all, "object")),
        (_, failed) => format!("{failed} of {} could not be brought back.", count(all, "object")),
    });
    print(page.render());
    Ok(if failed == 0 { Exit::Completed } else { Exit::Failed })
}
