//! The SELECT list: stars, names, aliases.

use std::sync::Arc;

use sqlparser::ast;

use crate::table::TableName;

use super::binder::Binder;
use super::expr::{Expr, Node};
use super::failure::Failure;
use super::text;

/// An output column.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) expr: Expr,
    /// The table, for a column that is shown as it is.
    pub(crate) origin: Option<Arc<TableName>>,
}

/// The names that the list gives to expressions.
pub(crate) fn aliases(projection: &[ast::SelectItem]) -> Result<Vec<(String, ast::Expr)>, Failure> {
    projection
        .iter()
        .filter_map(|item| match item {
            ast::SelectItem::ExprWithAlias { expr, alias } => {
                Some(text::identifier(alias).map(|alias| (alias, expr.clone())))
            }
            _ => None,
        })
        .collect()
}

/// Binds the list.
pub(crate) fn items(
    binder: &Binder<'_>,
    projection: &[ast::SelectItem],
) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::with_capacity(projection.len());
    for item in projection {
        match item {
            ast::SelectItem::UnnamedExpr(expr) => items.push(named_by_itself(binder, expr)?),
            ast::SelectItem::ExprWithAlias { expr, alias } => {
                let name = text::identifier(alias)?;
                items.push(item_of(binder, name, binder.bind(expr)?));
            }
            ast::SelectItem::Wildcard(options) => star(binder, &[], options, &mut items)?,
            ast::SelectItem::QualifiedWildcard(
                ast::SelectItemQualifiedWildcardKind::ObjectName(name),
                options,
            ) => star(binder, &text::name_parts(name)?, options, &mut items)?,
            _ => return Err(Failure::unsupported("this item of a SELECT list")),
        }
    }
    Ok(items)
}

/// The output column that a bare name in ORDER BY means.
pub(crate) fn named(items: &[Item], expr: &ast::Expr) -> Result<Option<Expr>, Failure> {
    let ast::Expr::Identifier(ident) = expr else { return Ok(None) };
    let name = text::identifier(ident)?;
    let mut hits = items.iter().filter(|item| item.name == name);
    match (hits.next(), hits.next()) {
        (None, _) => Ok(None),
        (Some(item), None) => Ok(Some(item.expr.clone())),
        (Some(item), Some(other)) if item.expr.same(&other.expr) => Ok(Some(item.expr.clone())),
        (Some(_), Some(_)) => Err(Failure::ambiguous_column(&crate::table::shown(&name))),
    }
}

fn item_of(binder: &Binder<'_>, name: String, expr: Expr) -> Item {
    let origin = match expr.node {
        Node::Column(position) => {
            binder.scope.columns.get(position).and_then(|reach| reach.field.origin.clone())
        }
        _ => None,
    };
    Item { name, expr, origin }
}

/// A column keeps its name; an expression is named by its text.
fn named_by_itself(binder: &Binder<'_>, expr: &ast::Expr) -> Result<Item, Failure> {
    let name = match expr {
        ast::Expr::Identifier(ident) => text::identifier(ident)?,
        ast::Expr::CompoundIdentifier(idents) => match idents.last() {
            Some(last) => text::identifier(last)?,
            None => String::new(),
        },
        other => other.to_string().to_uppercase(),
    };
    Ok(item_of(binder, name, binder.bind(expr)?))
}

fn star(
    binder: &Binder<'_>,
    qualifier: &[String],
    options: &ast::WildcardAdditionalOptions,
    items: &mut Vec<Item>,
) -> Result<(), Failure> {
    let unusual = options.opt_ilike.is_some()
        || options.opt_except.is_some()
        || options.opt_replace.is_some()
        || options.opt_rename.is_some()
        || options.opt_alias.is_some();
    if unusual {
        return Err(Failure::unsupported("options of * other than EXCLUDE"));
    }
    let excluded = match &options.opt_exclude {
        None => Vec::new(),
        Some(ast::ExcludeSelectItem::Single(name)) => vec![only_part(name)?],
        Some(ast::ExcludeSelectItem::Multiple(names)) => {
            names.iter().map(only_part).collect::<Result<Vec<_>, _>>()?
        }
    };
    let positions = binder.scope.star(qualifier);
    if positions.is_empty() {
        let shown = super::scope::dotted(qualifier);
        return Err(if qualifier.is_empty() {
            Failure::syntax("SELECT * without FROM")
        } else {
            Failure::invalid_identifier(&format!("{shown}.*"))
        });
    }
    for position in positions {
        let Some(reach) = binder.scope.columns.get(position) else { continue };
        if excluded.contains(&reach.field.name) {
            continue;
        }
        let node = Node::Column(position);
        let expr = Expr::new(node, reach.field.ty.clone(), reach.field.nullable);
        items.push(item_of(binder, reach.field.name.clone(), expr));
    }
    Ok(())
}

fn only_part(name: &ast::ObjectName) -> Result<String, Failure> {
    match text::name_parts(name)?.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(Failure::unsupported("a qualified name in EXCLUDE")),
    }
}
