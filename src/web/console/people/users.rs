//! The list of users.

use askama::Template;
use axum::response::Response;

use super::answered;
use crate::{
    base::time::Timestamp,
    model::{
        search::{Filter, Page as Part, UserFilter},
        user::User,
    },
    registry::query::{self, Expr, Item, Word},
    store::{Rule, StoreError},
    texts::Language,
    web::{
        console::{
            parts::{Frame, Pager, ROWS, Section},
            visit::{Administrator, Visit},
        },
        rest,
    },
};

#[derive(Template)]
#[template(path = "console/users.html")]
struct Page {
    frame: Frame,
    q: String,
    mistake: Option<String>,
    rows: Vec<Row>,
    pager: Pager,
}

struct Row {
    user: User,
    badges: Vec<(&'static str, &'static str)>,
    last: Option<Timestamp>,
}

/// What stands beside the name of a user: a class of the style, and a word.
pub(super) fn badges(t: Language, user: &User) -> Vec<(&'static str, &'static str)> {
    let all = [
        (user.erased.is_some(), ("bad", t.badge_erased())),
        (user.ban.is_some() && user.erased.is_none(), ("bad", t.badge_banned())),
        (user.guest, ("", t.badge_guest())),
        (user.administrator, ("mark", t.badge_administrator())),
        (user.declared, ("", t.badge_declared())),
        (user.password.as_ref().is_some_and(|password| password.must_change), ("warn", t.badge_one_time())),
        (user.password.is_none() && user.may_sign_in(), ("warn", t.badge_no_password())),
    ];
    all.into_iter().filter(|(is, _)| *is).map(|(_, badge)| badge).collect()
}

/// Free text as it is typed: its last word may not be whole yet.
fn as_typed(expr: Expr) -> Expr {
    match expr {
        Expr::And(all) => Expr::And(all.into_iter().map(as_typed).collect()),
        Expr::Or(any) => Expr::Or(any.into_iter().map(as_typed).collect()),
        Expr::Not(inner) => Expr::Not(Box::new(as_typed(*inner))),
        Expr::Item(Item::Text(word)) => Expr::Item(Item::Text(Word { prefix: true, ..word })),
        other @ Expr::Item(_) => other,
    }
}

/// The users that a text in the search field means; why it means none, in a sentence.
pub(super) fn wanted(t: Language, text: &str) -> Result<UserFilter, String> {
    let expr = query::parse(text).map_err(|error| t.search_wrong(error))?;
    match expr.map(as_typed) {
        None => Ok(Filter::default()),
        Some(expr) => rest::users_of_query(&expr).map_err(|why| t.search_wrong(why)),
    }
}

/// `GET …/admin/users`
pub(super) async fn page(Administrator(visit): Administrator) -> Response {
    answered(list(&visit).await)
}

async fn list(visit: &Visit) -> Result<Response, Response> {
    let (query, t) = (visit.query(), visit.t);
    let skip = Pager::skip(&query);
    let part = Part { skip: skip as u64, top: Some(ROWS as u64) };
    let store = &visit.control.store;
    let failed = |error: StoreError| visit.store_failed(&error);
    let _turn = visit.control.listings.acquire().await;
    let mut mistake = None;
    let mut found = None;
    match wanted(t, query.text("q")) {
        Ok(filter) => match store.find_users(&filter, &[], part).await {
            Ok(page) => found = Some(page),
            Err(StoreError::Against(Rule::Filter(error))) => mistake = Some(t.search_wrong(error)),
            Err(error) => return Err(failed(error)),
        },
        Err(why) => mistake = Some(why),
    }
    let (users, total) = found.map_or_else(|| (Vec::new(), 0), |found| (found.items, found.total));
    let ids: Vec<_> = users.iter().map(|user| user.id.clone()).collect();
    let accesses = store.last_accesses(&ids).await.map_err(failed)?;
    let rows: Vec<Row> = users
        .into_iter()
        .zip(accesses)
        .map(|(user, access)| Row { badges: badges(t, &user), last: access.map(|access| access.time), user })
        .collect();
    let path = visit.link(Section::Users.path());
    let pager = Pager::new(t, &path, &query, (skip, rows.len()), usize::try_from(total).ok(), false);
    let q = query.text("q").to_owned();
    Ok(visit.show(&Page { frame: visit.frame(Section::Users), q, mistake, rows, pager }))
}
