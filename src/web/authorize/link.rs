//! What the links in the gateway's letters open: choosing a password, confirming an address.
//!
//! Invariants: reading a link changes nothing, because programs that look at mail read them; it is used by a post, once. Whoever
//! has chosen a password signs in with it like everybody else.

use axum::{
    body::Bytes,
    extract::{Extension, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, Uri};

use super::{
    Desk,
    password::{busy, chosen},
    query::{PASSWORD_SET, Query},
    store_failed,
};
use crate::{
    model::{
        event::Author,
        link::{Link, LinkKind},
        user::User,
    },
    oauth::{error::OAuthError, form::Form},
    proxy::gate::{Caller, Outcome},
    registry::{
        links,
        users::{self, PeopleError},
    },
    texts::Language,
    web::{
        Control,
        browser::language_of,
        endpoint::Endpoint,
        pages::{Mailed, NewPassword},
    },
};

/// `GET …/auth/link`
pub(in crate::web) async fn page(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    match desk.opened(uri.query().unwrap_or_default()).await {
        Ok(Some((token, link, user))) => desk.link_page(&token, &link, &user, None),
        Ok(None) => desk.over(),
        Err(error) => desk.problem(&error, None),
    }
}

/// `POST …/auth/link`
pub(in crate::web) async fn post(
    state: State<Control>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let desk = Desk { control: &state, caller: &caller, headers: &headers };
    match desk.use_link(uri.query().unwrap_or_default(), &body).await {
        Ok(response) => response,
        Err(error) => desk.problem(&error, None),
    }
}

impl Desk<'_> {
    /// The link that a query names, if it is good.
    async fn opened(&self, query: &str) -> Result<Option<(String, Link, User)>, OAuthError> {
        let query = Query::read(query)?;
        let Some(token) = query.form().get("token") else { return Ok(None) };
        let (store, clock) = (self.control.store.as_ref(), self.control.clock.as_ref());
        let found = links::find(store, token, clock).await.map_err(store_failed)?;
        Ok(found.map(|(link, user)| (token.to_owned(), link, user)))
    }

    fn link_page(&self, token: &str, link: &Link, user: &User, notice: Option<&str>) -> Response {
        let hub = &self.caller.snapshot.desk.hub_url;
        let action = format!("{}?token={token}", Endpoint::Link.url(hub));
        let pages = self.pages_for(user);
        let t = pages.language();
        let intro = match link.kind {
            LinkKind::Restore => t.link_restore(),
            LinkKind::Invitation => t.link_invitation(),
            LinkKind::Address => {
                let text = t.confirm_text(&link.address, &user.login);
                return pages.mailed(&Mailed {
                    title: t.confirm_title(),
                    text: &text,
                    action: Some(&action),
                    button: t.confirm_yes(),
                    ..Mailed::default()
                });
            }
        };
        let (login, action) = (user.login.as_str(), action.as_str());
        pages.new_password(&NewPassword { login, intro, notice, action, fields: &[] })
    }

    /// A link that is used, over, replaced by another, or never was one.
    fn over(&self) -> Response {
        self.caller.snapshot.quota.refused(self.caller.source);
        let hub = &self.caller.snapshot.desk.hub_url;
        let (restore, login) = (Endpoint::RestorePage.url(hub), Endpoint::LoginPage.url(hub));
        let t = self.pages().language();
        let again = if self.control.mailer.is_ready() {
            (restore.as_str(), t.link_again())
        } else {
            (login.as_str(), t.restore_back())
        };
        let mut response = self.pages().mailed(&Mailed {
            title: t.link_over_title(),
            text: t.link_over(),
            back: Some(again),
            ..Mailed::default()
        });
        *response.status_mut() = StatusCode::GONE;
        let reason = "a link that is no longer good".to_owned();
        response.extensions_mut().insert(Outcome { decision: "refused", reason, ..Outcome::default() });
        response
    }

    async fn use_link(&self, query: &str, body: &[u8]) -> Result<Response, OAuthError> {
        self.same_origin()?;
        let Some((token, link, user)) = self.opened(query).await? else { return Ok(self.over()) };
        if link.kind == LinkKind::Address {
            return self.confirm_address(&token, &user).await;
        }
        let form = Form::parse(body)?;
        let again = |why: &str| Ok(self.link_page(&token, &link, &user, Some(why)));
        let new = match chosen(&form, language_of(&user, self.headers)) {
            Ok(new) => new,
            Err(why) => return again(why),
        };
        let hashed = match users::NewPassword::of(&new, false, self.control.hasher.as_ref()).await {
            Ok(hashed) => hashed,
            Err(PeopleError::Refused { why, .. }) => return again(why),
            Err(PeopleError::Store(error)) => return Err(store_failed(error)),
            Err(_) => return Err(busy()),
        };
        let control = self.control.acting(self.caller, Author::from(&user));
        let clock = control.clock.as_ref();
        let user = match links::choose_password(control.store.as_ref(), &token, hashed, clock).await {
            Ok(Some(user)) => user,
            Ok(None) => return Ok(self.over()),
            Err(PeopleError::Store(error)) => return Err(store_failed(error)),
            Err(other) => return again(&other.to_string()),
        };
        self.control.in_force().await?;
        if link.kind == LinkKind::Restore {
            control.tell_password_changed(self.caller, &user, Language::wanted(self.headers));
        }
        let query = Query::read(&link.query)?;
        let login = Endpoint::LoginPage.url(&self.caller.snapshot.desk.hub_url);
        let next = query.with(&[("problem", PASSWORD_SET), ("login_hint", &user.login)]);
        let mut response = self.go(StatusCode::SEE_OTHER, &format!("{login}?{next}"));
        let reason = format!("user {} chose a password by a link ({})", user.id, link.kind.name());
        response.extensions_mut().insert(Outcome { decision: "public", reason, ..Outcome::default() });
        Ok(response)
    }

    async fn confirm_address(&self, token: &str, user: &User) -> Result<Response, OAuthError> {
        let control = self.control.acting(self.caller, Author::from(user));
        let confirmed = links::confirm(control.store.as_ref(), token, control.clock.as_ref()).await;
        match confirmed {
            Ok(Some(_)) => {}
            Err(PeopleError::Store(error)) => return Err(store_failed(error)),
            Ok(None) | Err(_) => return Ok(self.over()),
        }
        let home = Endpoint::Home.url(&self.caller.snapshot.desk.hub_url);
        let pages = self.pages_for(user);
        let t = pages.language();
        Ok(pages.mailed(&Mailed {
            title: t.confirmed_title(),
            text: t.confirmed_text(),
            back: Some((&home, t.continue_())),
            ..Mailed::default()
        }))
    }
}
