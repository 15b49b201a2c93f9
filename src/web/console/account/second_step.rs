//! `…/account/security/second-step`: a second step is set up, its recovery codes are shown, it is turned off.
//!
//! Invariant: recovery codes are on the answer to the form that made them, and to the same form when it is sent twice.

use std::fmt::Write as _;

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use qrcodegen::{QrCode, QrCodeEcc};

use super::{
    super::{
        form::Mistakes,
        frame::{Frame, Section},
        parts::Input,
        visit::{Once, Post, Visit},
    },
    password_refused, security,
};
use crate::{
    base::secret::Secret,
    registry::second_step::{self, SecondStepError, SetUp},
};

/// White modules around the picture, as ISO/IEC 18004 asks for.
const MARGIN: i32 = 4;

#[derive(Template)]
#[template(path = "console/account/second_step.html")]
struct Page<'a> {
    frame: Frame,
    login: &'a str,
    secret: String,
    uri: &'a str,
    sealed: &'a str,
    picture: Option<Picture>,
    once: String,
    stale: bool,
    mistakes: &'a Mistakes,
}

/// A QR code as the path of its black modules.
struct Picture {
    side: i32,
    path: String,
}

impl Page<'_> {
    fn code(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::text(t, "code", t.step_code(), "").autocomplete("one-time-code").checked(self.mistakes)
    }

    fn current_password(&self) -> Input<'_> {
        let t = self.frame.t;
        Input::password(t, "currentPassword", t.security_your_password(), "current-password")
            .hint(t.security_password_proof())
            .checked(self.mistakes)
    }
}

#[derive(Template)]
#[template(path = "console/account/recovery_codes.html")]
struct Codes<'a> {
    frame: Frame,
    codes: &'a str,
}

/// `GET …/account/security/second-step`
pub(super) async fn page(visit: Visit) -> Response {
    begin(&visit, false).await
}

/// What the device calls the gateway.
fn issuer(visit: &Visit) -> String {
    let origin = visit.caller.snapshot.origin.as_ref();
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    // A label ends at a colon.
    format!("hubgate {}", host.replace(':', " "))
}

/// A new secret, which nobody has until the form comes back.
async fn begin(visit: &Visit, stale: bool) -> Response {
    let control = &visit.control;
    let (clock, random) = (control.clock.as_ref(), control.random.as_ref());
    let store = control.store.as_ref();
    let begun =
        second_step::begin(store, &visit.who.user, &issuer(visit), &control.sealing, clock, random).await;
    match begun {
        Ok(set_up) => {
            let status = if stale { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            show(visit, status, &set_up, &Mistakes::default(), stale)
        }
        Err(error) => refused(visit, &error),
    }
}

fn show(visit: &Visit, status: StatusCode, set_up: &SetUp, mistakes: &Mistakes, stale: bool) -> Response {
    visit.show_as(
        status,
        &Page {
            frame: visit.frame(Section::Security),
            login: &visit.who.user.login,
            secret: in_groups(set_up.secret.expose()),
            uri: set_up.uri.expose(),
            sealed: set_up.sealed.expose(),
            picture: picture(set_up.uri.expose()),
            once: visit.once(),
            stale,
            mistakes,
        },
    )
}

/// Everything but a mistake of the form.
fn refused(visit: &Visit, error: &SecondStepError) -> Response {
    match error {
        SecondStepError::Store(error) => visit.store_failed(error),
        SecondStepError::Sealing(_) => {
            tracing::error!(%error, "a second step could not be set up");
            visit.not_found()
        }
        // The page of the section shows how it stands.
        _ => visit.go(Section::Security.path()),
    }
}

/// `POST …/account/security/second-step`
pub(super) async fn confirm(post: Post) -> Response {
    match post.once().await {
        Once::New => {}
        Once::Made(codes) => return shown(&post.visit, &codes),
        Once::Done(_) => return post.visit.go(Section::Security.path()),
    }
    match carry_out(&post).await {
        Ok(response) => response,
        Err(response) => {
            post.again();
            response
        }
    }
}

async fn carry_out(post: &Post) -> Result<Response, Response> {
    let (visit, fields) = (&post.visit, &post.fields);
    let sealed = fields.secret("sealed");
    let control = visit.acting();
    let (store, clock) = (control.store.as_ref(), control.clock.as_ref());
    let user = &visit.who.user;
    let again = second_step::reopen(user, &issuer(visit), &sealed, &control.sealing, clock);
    let Ok(set_up) = again else { return Err(begin(visit, true).await) };
    let refuse = |field: &'static str, text: &str| {
        let mut mistakes = Mistakes::default();
        mistakes.add(field, text);
        show(visit, StatusCode::UNPROCESSABLE_ENTITY, &set_up, &mistakes, false)
    };
    if let Some(text) = password_refused(post, "currentPassword").await? {
        return Err(refuse("currentPassword", &text));
    }
    let (code, random) = (fields.secret("code"), control.random.as_ref());
    let confirmed =
        second_step::confirm(store, &user.id, (&sealed, &code), &control.sealing, clock, random).await;
    match confirmed {
        Ok(codes) => Ok(made(post, &codes)),
        Err(SecondStepError::WrongCode) => Err(refuse("code", visit.t.step_code_wrong())),
        Err(error) => Err(refused(visit, &error)),
    }
}

/// `POST …/account/security/second-step/change`: new recovery codes, or no second step any more.
pub(super) async fn change(post: Post) -> Response {
    match post.once().await {
        Once::New => {}
        Once::Made(codes) => return shown(&post.visit, &codes),
        Once::Done(_) => return post.visit.go(Section::Security.path()),
    }
    match carry_out_change(&post).await {
        Ok(response) => response,
        Err(response) => {
            post.again();
            response
        }
    }
}

async fn carry_out_change(post: &Post) -> Result<Response, Response> {
    let visit = &post.visit;
    if let Some(text) = password_refused(post, "currentPassword").await? {
        let mut mistakes = Mistakes::default();
        mistakes.add("currentPassword", text);
        return Err(security::show(visit, StatusCode::UNPROCESSABLE_ENTITY, &mistakes).await);
    }
    let control = visit.acting();
    let (store, user) = (control.store.as_ref(), &visit.who.user.id);
    match post.fields.text("do") {
        "off" => match second_step::turn_off(store, user).await {
            Ok(()) => Ok(post.led(Section::Security.path(), "done")),
            Err(error) => Err(refused(visit, &error)),
        },
        "codes" => {
            let codes = second_step::replace_recovery_codes(store, user, control.random.as_ref()).await;
            codes.map(|codes| made(post, &codes)).map_err(|error| refused(visit, &error))
        }
        _ => Err(visit.go(Section::Security.path())),
    }
}

fn made(post: &Post, codes: &[Secret]) -> Response {
    let lines: Vec<&str> = codes.iter().map(Secret::expose).collect();
    let codes = Secret::new(lines.join("\n"));
    post.made(&codes);
    shown(&post.visit, &codes)
}

fn shown(visit: &Visit, codes: &Secret) -> Response {
    visit.show(&Codes { frame: visit.frame(Section::Security), codes: codes.expose() })
}

/// In groups of four, as people type it.
fn in_groups(secret: &str) -> String {
    let mut text = String::with_capacity(secret.len() * 5 / 4);
    for (at, c) in secret.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push(' ');
        }
        text.push(c);
    }
    text
}

/// The picture of an address. Without one, the secret is typed.
fn picture(uri: &str) -> Option<Picture> {
    let code = QrCode::encode_text(uri, QrCodeEcc::Medium).ok()?;
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        let mut x = 0;
        while x < size {
            let run = (x..size).take_while(|x| code.get_module(*x, y)).count();
            let run = i32::try_from(run).unwrap_or_default();
            if run > 0 {
                let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + MARGIN, y + MARGIN);
            }
            x += run.max(1);
        }
    }
    Some(Picture { side: size + 2 * MARGIN, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_corners_that_cameras_look_for() {
        let picture = picture("otpauth://totp/a:b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap();
        let far = picture.side - MARGIN - 7;
        for corner in ["M4 4h7v1h-7z".to_owned(), format!("M{far} 4h7v1h-7z"), format!("M4 {far}h7v1h-7z")] {
            assert!(picture.path.contains(&corner), "{corner}");
        }
        assert!(picture.path.bytes().all(|b| b.is_ascii_digit() || b" Mhvz-".contains(&b)));
        assert_eq!(in_groups("ABCDEFGHIJ"), "ABCD EFGH IJ");
    }
}
