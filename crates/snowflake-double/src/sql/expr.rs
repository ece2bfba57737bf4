//! Bound expressions: names resolved, types known, conversions explicit.

use std::fmt;
use std::sync::Arc;

use crate::table::{Cell, Datum};

use super::aggregate::Aggregate;
use super::failure::Failure;
use super::ty::Ty;
use super::window::Window;

/// The work of a scalar function on one row.
pub(crate) type Run = Arc<dyn Fn(&[Cell<'_>]) -> Result<Datum, Failure> + Send + Sync>;

/// An expression with its type.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) node: Node,
    pub(crate) ty: Ty,
    pub(crate) nullable: bool,
}

/// What an expression does.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// A column of the input.
    Column(usize),
    /// A column of a later stage: a group key, an aggregate, a window result.
    Slot(usize),
    Const(Datum),
    Call(Call),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// Conditions with their results, tried in order, and the result if none is true.
    Case(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// The first value that is not NULL.
    Coalesce(Vec<Expr>),
    Aggregate(Box<Aggregate>),
    Window(Box<Window>),
}

/// A scalar function with its arguments.
#[derive(Clone)]
pub(crate) struct Call {
    /// Name and constant parameters; equal labels with equal arguments mean equal values.
    pub(crate) label: String,
    pub(crate) args: Vec<Expr>,
    /// Whether any NULL argument makes the result NULL.
    pub(crate) strict: bool,
    pub(crate) run: Run,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("label", &self.label)
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

impl Expr {
    pub(crate) fn new(node: Node, ty: impl Into<Ty>, nullable: bool) -> Self {
        Self { node, ty: ty.into(), nullable }
    }

    pub(crate) fn constant(datum: Datum, ty: impl Into<Ty>) -> Self {
        let nullable = datum == Datum::Null;
        Self::new(Node::Const(datum), ty, nullable)
    }

    pub(crate) fn null() -> Self {
        Self::constant(Datum::Null, Ty::NULL)
    }

    /// A function that is NULL whenever an argument is.
    pub(crate) fn strict(
        label: impl Into<String>,
        args: Vec<Self>,
        ty: impl Into<Ty>,
        run: impl Fn(&[Cell<'_>]) -> Result<Datum, Failure> + Send + Sync + 'static,
    ) -> Self {
        let nullable = args.iter().any(|arg| arg.nullable);
        let call = Call { label: label.into(), args, strict: true, run: Arc::new(run) };
        Self::new(Node::Call(call), ty, nullable)
    }

    /// A function that sees its NULL arguments.
    pub(crate) fn lenient(
        label: impl Into<String>,
        args: Vec<Self>,
        ty: impl Into<Ty>,
        nullable: bool,
        run: impl Fn(&[Cell<'_>]) -> Result<Datum, Failure> + Send + Sync + 'static,
    ) -> Self {
        let call = Call { label: label.into(), args, strict: false, run: Arc::new(run) };
        Self::new(Node::Call(call), ty, nullable)
    }

    /// The value of a constant.
    pub(crate) fn as_const(&self) -> Option<&Datum> {
        match &self.node {
            Node::Const(datum) => Some(datum),
            _ => None,
        }
    }

    /// Whether two expressions have the same value in every row.
    pub(crate) fn same(&self, other: &Self) -> bool {
        if self.ty != other.ty {
            return false;
        }
        match (&self.node, &other.node) {
            (Node::Column(a), Node::Column(b)) | (Node::Slot(a), Node::Slot(b)) => a == b,
            (Node::Const(a), Node::Const(b)) => a == b,
            (Node::Call(a), Node::Call(b)) => a.label == b.label && all_same(&a.args, &b.args),
            (Node::And(a), Node::And(b))
            | (Node::Or(a), Node::Or(b))
            | (Node::Coalesce(a), Node::Coalesce(b)) => all_same(a, b),
            (Node::Case(a, a_else), Node::Case(b, b_else)) => {
                let branches = a.len() == b.len()
                    && a.iter().zip(b).all(|((c1, r1), (c2, r2))| c1.same(c2) && r1.same(r2));
                let otherwise = match (a_else, b_else) {
                    (None, None) => true,
                    (Some(a), Some(b)) => a.same(b),
                    _ => false,
                };
                branches && otherwise
            }
            (Node::Aggregate(a), Node::Aggregate(b)) => a.same(b),
            (Node::Window(a), Node::Window(b)) => a.same(b),
            _ => false,
        }
    }

    /// Replaces parts of the tree, from the top; a replaced part is not looked into.
    pub(crate) fn rewrite(&mut self, change: &mut impl FnMut(&Self) -> Option<Self>) {
        if let Some(new) = change(self) {
            *self = new;
            return;
        }
        self.each_child(&mut |child| child.rewrite(change));
    }

    fn each_child(&mut self, visit: &mut dyn FnMut(&mut Self)) {
        match &mut self.node {
            Node::Column(_) | Node::Slot(_) | Node::Const(_) => {}
            Node::Call(call) => call.args.iter_mut().for_each(visit),
            Node::Case(branches, otherwise) => {
                for (condition, result) in branches {
                    visit(condition);
                    visit(result);
                }
                if let Some(expr) = otherwise {
                    visit(expr);
                }
            }
            Node::And(args) | Node::Or(args) | Node::Coalesce(args) => {
                args.iter_mut().for_each(visit);
            }
            Node::Aggregate(aggregate) => aggregate.args.iter_mut().for_each(visit),
            Node::Window(window) => window.each_child(visit),
        }
    }

    /// Looks at every part of the tree, from the top.
    pub(crate) fn walk(&self, look: &mut dyn FnMut(&Self)) {
        look(self);
        match &self.node {
            Node::Column(_) | Node::Slot(_) | Node::Const(_) => {}
            Node::Call(call) => call.args.iter().for_each(|arg| arg.walk(look)),
            Node::Case(branches, otherwise) => {
                for (condition, result) in branches {
                    condition.walk(look);
                    result.walk(look);
                }
                if let Some(expr) = otherwise {
                    expr.walk(look);
                }
            }
            Node::And(args) | Node::Or(args) | Node::Coalesce(args) => {
                for arg in args {
                    arg.walk(look);
                }
            }
            Node::Aggregate(aggregate) => aggregate.args.iter().for_each(|arg| arg.walk(look)),
            Node::Window(window) => window.walk(look),
        }
    }

    /// Whether any part fulfils a condition.
    pub(crate) fn contains(&self, condition: impl Fn(&Node) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |part| found |= condition(&part.node));
        found
    }
}

fn all_same(a: &[Expr], b: &[Expr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
}
