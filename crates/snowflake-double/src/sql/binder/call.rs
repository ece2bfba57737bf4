//! Function calls: scalar functions by name, aggregates, window functions.

use sqlparser::ast;

use crate::table::Datum;

use super::super::aggregate::{self, Aggregate};
use super::super::cast;
use super::super::compare::SortOrder;
use super::super::expr::{Expr, Node};
use super::super::failure::Failure;
use super::super::function;
use super::super::text;
use super::super::window::{self, Frame, Window};
use super::operator::sort_order;
use super::{Binder, Place};

/// A scalar function with its arguments as written.
pub(crate) struct FunctionCall<'c, 'b> {
    pub(crate) binder: &'c Binder<'b>,
    /// Upper case.
    pub(crate) name: String,
    pub(crate) raw: Vec<&'c ast::Expr>,
}

impl FunctionCall<'_, '_> {
    /// All arguments, which must be `least` to `most`.
    pub(crate) fn args(&self, least: usize, most: usize) -> Result<Vec<Expr>, Failure> {
        self.count(least, most)?;
        self.raw.iter().map(|arg| self.binder.bind(arg)).collect()
    }

    /// Exactly one argument.
    pub(crate) fn one(&self) -> Result<Expr, Failure> {
        self.count(1, 1)?;
        self.arg(0)
    }

    /// Exactly two arguments.
    pub(crate) fn two(&self) -> Result<(Expr, Expr), Failure> {
        self.count(2, 2)?;
        Ok((self.arg(0)?, self.arg(1)?))
    }

    pub(crate) fn count(&self, least: usize, most: usize) -> Result<(), Failure> {
        let got = self.raw.len();
        if got < least {
            Err(Failure::argument_count(&self.name, least, got))
        } else if got > most {
            Err(Failure::argument_count(&self.name, most, got))
        } else {
            Ok(())
        }
    }

    /// The argument at a position.
    pub(crate) fn arg(&self, position: usize) -> Result<Expr, Failure> {
        let missing = || Failure::argument_count(&self.name, position + 1, self.raw.len());
        self.binder.bind(self.raw.get(position).ok_or_else(missing)?)
    }

    /// A constant text argument.
    pub(crate) fn text(&self, position: usize) -> Result<String, Failure> {
        match self.arg(position)?.eval_constant(self.binder.env.cancel)? {
            Datum::Text(text) => Ok(text),
            _ => Err(self.wrong(position)),
        }
    }

    /// A constant whole-number argument.
    pub(crate) fn integer(&self, position: usize) -> Result<i128, Failure> {
        let arg = self.arg(position)?;
        let scale = arg.ty.scale();
        match arg.eval_constant(self.binder.env.cancel)? {
            Datum::Number(value) if scale == 0 => Ok(value),
            _ => Err(self.wrong(position)),
        }
    }

    /// A word such as a date part, written as a name or as a text.
    pub(crate) fn word(&self, position: usize) -> Result<String, Failure> {
        match self.raw.get(position) {
            Some(ast::Expr::Identifier(ident)) if ident.quote_style.is_none() => {
                Ok(ident.value.clone())
            }
            _ => self.text(position),
        }
    }

    fn wrong(&self, position: usize) -> Failure {
        Failure::unsupported(format!("this argument {} of {}", position + 1, self.name))
    }
}

impl Binder<'_> {
    /// Binds functions, and expressions whose syntax is that of a function.
    pub(super) fn bind_call(&self, expr: &ast::Expr) -> Result<Expr, Failure> {
        let scalar = |name: &str, raw: Vec<&ast::Expr>| {
            function::bind(&FunctionCall { binder: self, name: name.to_owned(), raw })
        };
        match expr {
            ast::Expr::Function(call) => self.bind_function(call),
            ast::Expr::Floor { expr, field } => self.bind_rounding("FLOOR", expr, field),
            ast::Expr::Ceil { expr, field } => self.bind_rounding("CEIL", expr, field),
            ast::Expr::Substring { expr, substring_from, substring_for, .. } => {
                let raw = [Some(expr), substring_from.as_ref(), substring_for.as_ref()];
                scalar("SUBSTR", raw.into_iter().flatten().map(AsRef::as_ref).collect())
            }
            ast::Expr::Trim { trim_where: None, trim_what: None, expr, trim_characters } => {
                let characters = trim_characters.iter().flatten();
                scalar("TRIM", std::iter::once(expr.as_ref()).chain(characters).collect())
            }
            ast::Expr::Position { expr, r#in } => scalar("POSITION", vec![expr, r#in]),
            ast::Expr::Extract { field, expr, .. } => {
                function::datetime::extract(self, &field.to_string(), self.bind(expr)?)
            }
            other => Err(Failure::unsupported(format!("the expression {other}"))),
        }
    }

    fn bind_rounding(
        &self,
        name: &str,
        expr: &ast::Expr,
        kind: &ast::CeilFloorKind,
    ) -> Result<Expr, Failure> {
        let scale = match kind {
            ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => None,
            ast::CeilFloorKind::Scale(value) => Some(ast::Expr::Value(value.clone())),
            ast::CeilFloorKind::DateTimeField(_) => {
                return Err(Failure::unsupported(format!("{name} to a date part")));
            }
        };
        let raw = std::iter::once(expr).chain(&scale).collect();
        function::bind(&FunctionCall { binder: self, name: name.to_owned(), raw })
    }

    fn bind_function(&self, call: &ast::Function) -> Result<Expr, Failure> {
        let name = text::name_parts(&call.name)?.join(".");
        let unusual = call.uses_odbc_syntax
            || !matches!(call.parameters, ast::FunctionArguments::None)
            || !call.within_group.is_empty()
            || call.filter.is_some()
            || call.null_treatment.is_some();
        if unusual {
            return Err(Failure::unsupported(format!("this form of {name}")));
        }
        let list = arguments(&name, &call.args)?;
        if let Some(over) = &call.over {
            return self.bind_window(&name, &list, over);
        }
        if let Some(function) = list.aggregate(&name) {
            return self.bind_aggregate(&name, function, &list);
        }
        if list.distinct || list.star {
            return Err(Failure::unsupported(format!("this form of {name}")));
        }
        if is_window_only(&name) {
            let message =
                format!("SQL compilation error:\nWindow function [{name}] requires an OVER clause");
            return Err(Failure::new("002062", "42601", message));
        }
        function::bind(&FunctionCall { binder: self, name, raw: list.raw })
    }

    fn bind_aggregate(
        &self,
        name: &str,
        function: aggregate::Function,
        list: &Arguments<'_>,
    ) -> Result<Expr, Failure> {
        if self.place == Place::Row {
            let message = format!("SQL compilation error:\nInvalid aggregate function [{name}]");
            return Err(Failure::new("002076", "42601", message));
        }
        let args = self.at(Place::Row).aggregate_args(name, function, list)?;
        let aggregate = Aggregate { function, distinct: list.counts_distinct(name), args };
        let (ty, nullable) = aggregate.ty()?;
        Ok(Expr::new(Node::Aggregate(Box::new(aggregate)), ty, nullable))
    }

    fn aggregate_args(
        &self,
        name: &str,
        function: aggregate::Function,
        list: &Arguments<'_>,
    ) -> Result<Vec<Expr>, Failure> {
        let most = if function == aggregate::Function::Count { usize::MAX } else { 1 };
        let least = usize::from(function != aggregate::Function::CountRows);
        let call = FunctionCall { binder: self, name: name.to_owned(), raw: list.raw.clone() };
        let mut args = call.args(least, most)?;
        if function == aggregate::Function::CountIf {
            args = args
                .into_iter()
                .map(|arg| cast::cast(self.env, arg, crate::types::Type::Boolean))
                .collect::<Result<_, _>>()?;
        }
        Ok(args)
    }

    fn bind_window(
        &self,
        name: &str,
        list: &Arguments<'_>,
        over: &ast::WindowType,
    ) -> Result<Expr, Failure> {
        if self.place != Place::Output {
            let message =
                format!("SQL compilation error:\nWindow function [{name}] is not allowed here");
            return Err(Failure::new("002061", "42601", message));
        }
        let ast::WindowType::WindowSpec(spec) = over else {
            return Err(Failure::unsupported("named windows"));
        };
        if spec.window_name.is_some() {
            return Err(Failure::unsupported("named windows"));
        }
        // Arguments and keys may hold aggregates, never other window functions.
        let inner = self.at(Place::Grouped);
        let partition =
            spec.partition_by.iter().map(|expr| inner.bind(expr)).collect::<Result<Vec<_>, _>>()?;
        let order = inner.window_order(&spec.order_by)?;
        let (function, args) = inner.window_function(name, list)?;
        let ranks = !matches!(function, window::Function::Aggregate(_));
        if ranks && order.is_empty() {
            let message = format!(
                "SQL compilation error:\nWindow function type [{name}] requires ORDER BY in \
                 window specification"
            );
            return Err(Failure::new("002303", "42601", message));
        }
        let frame = frame(spec.window_frame.as_ref(), !order.is_empty())?;
        if ranks && spec.window_frame.is_some() {
            return Err(Failure::unsupported(format!("a window frame for {name}")));
        }
        let distinct = list.counts_distinct(name);
        if distinct && !order.is_empty() {
            return Err(Failure::unsupported("DISTINCT in an ordered window"));
        }
        let window = Window { function, distinct, args, partition, order, frame };
        let (ty, nullable) = window.ty()?;
        Ok(Expr::new(Node::Window(Box::new(window)), ty, nullable))
    }

    fn window_order(&self, order: &[ast::OrderByExpr]) -> Result<Vec<(Expr, SortOrder)>, Failure> {
        order.iter().map(|key| Ok((self.bind(&key.expr)?, sort_order(&key.options)?))).collect()
    }

    fn window_function(
        &self,
        name: &str,
        list: &Arguments<'_>,
    ) -> Result<(window::Function, Vec<Expr>), Failure> {
        let call = FunctionCall { binder: self, name: name.to_owned(), raw: list.raw.clone() };
        let plain = |function| call.count(0, 0).map(|()| (function, Vec::new()));
        match name {
            "ROW_NUMBER" => plain(window::Function::RowNumber),
            "RANK" => plain(window::Function::Rank),
            "DENSE_RANK" => plain(window::Function::DenseRank),
            "NTILE" => {
                call.count(1, 1)?;
                match call.integer(0)? {
                    buckets if buckets > 0 => Ok((window::Function::Ntile(buckets), Vec::new())),
                    _ => Err(Failure::unsupported("NTILE with less than one bucket")),
                }
            }
            "LAG" | "LEAD" => {
                call.count(1, 2)?;
                let offset = if list.raw.len() == 2 { call.integer(1)? } else { 1 };
                let offset = i64::try_from(offset)
                    .map_err(|_| Failure::unsupported(format!("this offset of {name}")))?;
                let offset = if name == "LAG" { offset } else { -offset };
                Ok((window::Function::Lag(offset), vec![call.arg(0)?]))
            }
            _ => match list.aggregate(name) {
                Some(function) => {
                    let args = self.aggregate_args(name, function, list)?;
                    Ok((window::Function::Aggregate(function), args))
                }
                None => Err(Failure::unsupported(format!("the window function {name}"))),
            },
        }
    }
}

/// The arguments of a call as written.
struct Arguments<'a> {
    raw: Vec<&'a ast::Expr>,
    star: bool,
    distinct: bool,
}

impl Arguments<'_> {
    fn aggregate(&self, name: &str) -> Option<aggregate::Function> {
        Some(match name {
            "COUNT" if self.star => aggregate::Function::CountRows,
            "COUNT" | "APPROX_COUNT_DISTINCT" | "HLL" => aggregate::Function::Count,
            "COUNT_IF" => aggregate::Function::CountIf,
            "MIN" => aggregate::Function::Min,
            "MAX" => aggregate::Function::Max,
            "SUM" => aggregate::Function::Sum,
            _ => return None,
        })
    }

    /// The approximate count is exact here.
    fn counts_distinct(&self, name: &str) -> bool {
        self.distinct || matches!(name, "APPROX_COUNT_DISTINCT" | "HLL")
    }
}

fn arguments<'a>(name: &str, args: &'a ast::FunctionArguments) -> Result<Arguments<'a>, Failure> {
    let unusual = || Failure::unsupported(format!("this form of {name}"));
    let mut found = Arguments { raw: Vec::new(), star: false, distinct: false };
    let list = match args {
        ast::FunctionArguments::None => return Ok(found),
        ast::FunctionArguments::List(list) if list.clauses.is_empty() => list,
        _ => return Err(unusual()),
    };
    found.distinct = list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
    for arg in &list.args {
        match arg {
            ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => found.raw.push(expr),
            ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard) if list.args.len() == 1 => {
                found.star = true;
            }
            _ => return Err(unusual()),
        }
    }
    if found.star && (name != "COUNT" || found.distinct) {
        return Err(unusual());
    }
    Ok(found)
}

fn is_window_only(name: &str) -> bool {
    matches!(name, "ROW_NUMBER" | "RANK" | "DENSE_RANK" | "NTILE" | "LAG" | "LEAD")
}

/// Without a written frame, an ordered window reaches to the current row and its equals.
fn frame(written: Option<&ast::WindowFrame>, is_ordered: bool) -> Result<Frame, Failure> {
    let Some(frame) = written else {
        return Ok(if is_ordered { Frame::Range } else { Frame::Whole });
    };
    let from_start = matches!(frame.start_bound, ast::WindowFrameBound::Preceding(None));
    match (from_start, &frame.end_bound, &frame.units) {
        (true, Some(ast::WindowFrameBound::Following(None)), _) => Ok(Frame::Whole),
        (true, None | Some(ast::WindowFrameBound::CurrentRow), ast::WindowFrameUnits::Rows) => {
            Ok(Frame::Rows)
        }
        (true, None | Some(ast::WindowFrameBound::CurrentRow), ast::WindowFrameUnits::Range) => {
            Ok(Frame::Range)
        }
        _ => Err(Failure::unsupported(format!("the window frame {frame:?}"))),
    }
}
