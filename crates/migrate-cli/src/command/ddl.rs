//! `migrate ddl`: print what would create the target tables.

use migrate_core::{Result, RunContext};
use migrate_engine::assembly::Assembly;

use super::Invocation;
use crate::exit::Exit;
use crate::output::print;

pub(crate) async fn ddl(invocation: &Invocation, cx: &RunContext) -> Result<Exit> {
    let config = invocation.config()?;
    let assembly = Assembly::new(&config, &invocation.registry);
    let migration = cx.unless_cancelled(assembly.build()).await?;
    let tables = Box::pin(migration.define(cx)).await?;
    let mut script = String::new();
    let mut exit = Exit::Completed;
    for table in &tables {
        match &table.statements {
            Ok(statements) => {
                let (source, target) = (one_line(&table.source), one_line(&table.target));
                script.extend(["-- ", &source, " -> ", &target, "\n"]);
                script.extend(statements.iter().flat_map(|statement| [statement.as_str(), ";\n"]));
                script.push('\n');
            }
            Err(error) => {
                tracing::error!("{}", error.report());
                exit = Exit::Failed;
            }
        }
    }
    print(&script);
    Ok(exit)
}

/// A name with a line end would leave its comment and become SQL.
fn one_line(name: &impl ToString) -> String {
    name.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
