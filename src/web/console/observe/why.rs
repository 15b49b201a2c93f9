//! `…/admin/why`: why a request was refused, by its id; or what would become of one, by a token and an address.
//!
//! Invariant: a token that is pasted here is judged and forgotten: it is in no address, no log, no memory and no answer.

use askama::Template;
use axum::{Router, response::Response, routing::get};
use http::StatusCode;

use super::{
    explained::Explained,
    form::{Fields, Mistakes},
    parts::{Frame, Input, Section, Select},
    visit::{Administrator, AdministratorPost, Visit},
};
use crate::{
    proxy::explain::{Asked, Ground, Presented, authorization, explain},
    web::{Control, endpoint, reply},
};

/// The methods to choose from.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// The longest request id that is shown again.
const LONGEST_ID: usize = 200;

pub(super) fn routes() -> Router<Control> {
    Router::new().route(Section::Why.path(), get(page).post(ask).fallback(reply::get_or_post))
}

#[derive(Template)]
#[template(path = "console/why.html")]
struct Page<'a> {
    frame: Frame,
    answer: Option<Explained>,
    unknown: bool,
    id: Input<'a>,
    token: Input<'a>,
    method: Select<'a>,
    address: Input<'a>,
}

fn view<'a>(
    visit: &Visit,
    (id, fields): (&'a str, &'a Fields),
    answer: Option<Explained>,
    mistakes: &'a Mistakes,
) -> Page<'a> {
    let t = visit.t;
    let method = METHODS.into_iter().find(|method| *method == fields.text("method")).unwrap_or("GET");
    let kinds = METHODS.iter().map(|method| (*method, *method)).collect();
    Page {
        frame: visit.frame(Section::Why),
        unknown: answer.is_none() && !id.is_empty(),
        answer,
        id: Input::text(t, "request", t.request_id(), id),
        token: Input::password(t, "token", t.why_token(), "off")
            .optional()
            .hint(t.why_token_hint())
            .checked(mistakes),
        method: Select::new("method", t.why_method(), kinds, method),
        address: Input::text(t, "address", t.why_address(), fields.text("address"))
            .hint(t.why_address_hint())
            .checked(mistakes),
    }
}

async fn page(Administrator(visit): Administrator) -> Response {
    let query = visit.query();
    let id: String = query.text("request").chars().take(LONGEST_ID).collect();
    let found = visit.control.gate.refusals.find(&id).filter(|_| !id.is_empty());
    let answer = found.map(|refused| Explained::refused(&visit, &refused));
    visit.show(&view(&visit, (&id, &Fields::default()), answer, &Mistakes::default()))
}

async fn ask(AdministratorPost(post): AdministratorPost) -> Response {
    let (visit, fields) = (&post.visit, &post.fields);
    let mut mistakes = Mistakes::default();
    let host = visit.caller.snapshot.origin.trim_start_matches("https://");
    let asked = match Asked::parse(fields.text("method"), fields.text("address"), host) {
        _ if fields.given("address").is_none() => {
            mistakes.add("address", visit.t.must_be_given());
            None
        }
        Ok(asked) => Some(asked),
        Err(why) => {
            mistakes.add("address", why);
            None
        }
    };
    let header = match fields.given("token").map(authorization).transpose() {
        Ok(header) => header,
        Err(why) => {
            mistakes.add("token", why);
            None
        }
    };
    let answer = asked.filter(|_| mistakes.is_empty()).map(|asked| {
        let (gate, snapshot) = (&visit.control.gate, &visit.caller.snapshot);
        let judge = gate.judge(snapshot, visit.now());
        let ground = Ground {
            routes: &snapshot.routes,
            registry: &snapshot.registry,
            owns: &|path| endpoint::is_ours(&snapshot.hub_path, path),
            rates: &snapshot.quota.stated,
            splits: &|path| endpoint::is_rest(&snapshot.hub_path, path),
        };
        let presented = header.as_ref().map_or(Presented::Nothing, |header| Presented::Sent(header, judge));
        Explained::foreseen(visit, &explain(&asked, presented, ground))
    });
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    visit.show_as(status, &view(visit, ("", fields), answer, &mistakes))
}
