//! Where people arrive who come without a request: who is signed in, and the way in or out.

use axum::{
    extract::{Extension, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};

use super::{Desk, query::Query, store_failed};
use crate::{
    proxy::gate::Caller,
    web::{Control, browser::Browser, endpoint::Endpoint, pages::Home},
};

/// `GET` of the hub's root.
pub(in crate::web) async fn page(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    let browser = match Browser::find(&state, &caller, &headers).await {
        Ok(browser) => browser,
        Err(error) => return desk.problem(&store_failed(error), None),
    };
    let hub = &caller.snapshot.desk.hub_url;
    let Some(who) = browser.signed_in() else {
        return desk.go(StatusCode::FOUND, &format!("{hub}{}", Endpoint::LoginPage.path()));
    };
    if who.user.password.as_ref().is_some_and(|password| password.must_change) {
        return match Query::read("") {
            Ok(nothing) => desk.go(StatusCode::FOUND, &desk.own(Endpoint::PasswordPage, &nothing)),
            Err(error) => desk.problem(&error, None),
        };
    }
    let sign_out = format!("{hub}{}", Endpoint::Logout.path());
    desk.pages().home(&Home { name: &who.user.name, login: &who.user.login, sign_out: &sign_out })
}
