//! `…/account/sessions`: where a person is signed in.

use askama::Template;
use axum::response::Response;

use super::super::{
    frame::{Frame, Section},
    visit::{Post, Visit},
};
use crate::{
    base::{id::SessionId, time::Timestamp},
    model::{device::Device, session::Session},
    texts::Language,
};

#[derive(Template)]
#[template(path = "console/account/sessions.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    id: SessionId,
    device: String,
    user_agent: String,
    address: String,
    begun: Timestamp,
    used: Timestamp,
    this: bool,
}

/// A browser as people call it.
pub(in crate::web::console) fn device(t: Language, user_agent: &str) -> String {
    match Device::of(user_agent) {
        Device { browser: Some(browser), system: Some(system) } => t.device_on(browser, system),
        Device { browser: Some(known), .. } | Device { system: Some(known), .. } => known.to_owned(),
        Device { browser: None, system: None } => t.device_unknown().to_owned(),
    }
}

/// `GET …/account/sessions`
pub(super) async fn page(visit: Visit) -> Response {
    let found = match visit.control.sessions.list(&visit.who.user.id).await {
        Ok(found) => found,
        Err(error) => return visit.store_failed(&error),
    };
    let row = |session: Session| Row {
        device: device(visit.t, &session.user_agent),
        this: session.id == visit.who.session.id,
        id: session.id,
        user_agent: session.user_agent,
        address: session.address,
        begun: session.authenticated,
        used: session.used,
    };
    let mut rows: Vec<Row> = found.into_iter().map(row).collect();
    rows.sort_by_key(|row| !row.this);
    visit.show(&Page { frame: visit.frame(Section::Sessions), rows })
}

/// `POST …/account/sessions/end-others`
pub(super) async fn end_others(post: Post) -> Response {
    let visit = &post.visit;
    let who = &visit.who;
    if let Err(error) = visit.acting().sessions.end_all(&who.user.id, Some(&who.session.id)).await {
        return visit.store_failed(&error);
    }
    match visit.in_force().await {
        Ok(()) => visit.done(Section::Sessions.path(), "done"),
        Err(response) => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_as_far_as_it_is_known() {
        for (agent, en, de) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Firefox/146.0",
                "Firefox on Linux",
                "Firefox auf Linux",
            ),
            ("curl/8.16.0", "curl", "curl"),
            ("Something for Windows", "Windows", "Windows"),
            ("<b>", "Unknown device", "Unbekanntes Gerät"),
        ] {
            assert_eq!((device(Language::En, agent), device(Language::De, agent)), (en.into(), de.into()));
        }
    }
}
