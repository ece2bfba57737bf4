//! The double's two HTTP servers: the account, and the storage that result chunks come from.

mod abort;
mod answer;
mod chunk;
mod kept;
mod listener;
mod login;
mod query;
mod reply;
mod route;
mod run;
mod state;
mod token;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State as Shared};

pub(crate) use kept::KeptAnswers;
pub(crate) use listener::{Bound, Connection, Connections};
pub(crate) use state::State;

/// Serves the account until the task is dropped.
pub(crate) async fn serve_account(bound: Bound, state: Arc<State>) -> io::Result<()> {
    let handler = |Shared(state): Shared<Arc<State>>,
                   ConnectInfo(connection): ConnectInfo<Connection>,
                   request: Request| route::account(state, connection, request);
    let router = Router::new().fallback(handler).with_state(state);
    let service = router.into_make_service_with_connect_info::<Connection>();
    axum::serve(bound, service).await
}

/// Serves the chunks until the task is dropped.
pub(crate) async fn serve_chunks(bound: Bound, state: Arc<State>) -> io::Result<()> {
    let handler = |Shared(state): Shared<Arc<State>>,
                   ConnectInfo(connection): ConnectInfo<Connection>,
                   request: Request| route::storage(state, connection, request);
    let router = Router::new().fallback(handler).with_state(state);
    let service = router.into_make_service_with_connect_info::<Connection>();
    axum::serve(bound, service).await
}
