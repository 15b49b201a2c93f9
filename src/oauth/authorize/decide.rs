//! What follows from an authorization request, given who is signed in and what was consented to.
//!
//! Invariant: pure. Every page that a decision asks for comes back with the same request and is decided anew, so no page
//! leads past another (hub-contract sections 2.2, 6; OpenID Connect Core section 3.1.2).

use std::time::Duration;

use super::request::{AuthorizationRequest, Credentials};
use crate::{
    base::time::Timestamp,
    model::{
        grant::Consent,
        session::Session,
        user::{Ban, User},
    },
    oauth::error::{ErrorCode, OAuthError},
};

/// How old a sign-in may seem when two nodes' clocks differ, before `max_age` counts.
const CLOCK_SKEW: Duration = Duration::from_secs(1);

/// What a request is decided by.
pub struct Facts<'a> {
    /// The live session of the browser, and whose it is.
    pub session: Option<(&'a Session, &'a User)>,
    /// The guest, if there is one.
    pub guest: Option<&'a User>,
    /// What the person has let this client have.
    pub consent: Option<&'a Consent>,
    /// The moment.
    pub now: Timestamp,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Show the login page; the session ends before when `end_session` says so.
    LogIn {
        /// `request_credentials=required` ends it, a request for a fresh sign-in does not.
        end_session: bool,
    },
    /// Have the person choose a new password: the one they signed in with was for one time.
    ChangePassword,
    /// Ask the person.
    AskConsent,
    /// Answer for the person who is signed in.
    Issue,
    /// Answer for the guest.
    IssueForGuest,
    /// End the session, if there is one, and go back.
    SignOut,
    /// Tell the client no.
    Refuse(OAuthError),
}

/// Decides.
#[must_use]
pub fn decide(request: &AuthorizationRequest, facts: &Facts<'_>) -> Decision {
    let wanted = &request.wanted;
    let silent = wanted.is_silent();
    match wanted.credentials {
        Credentials::SilentLogout => return Decision::SignOut,
        Credentials::Required if wanted.prompt.none => {
            return silently(request, ErrorCode::LoginRequired, "the person has to sign in again");
        }
        Credentials::Required => return Decision::LogIn { end_session: true },
        Credentials::Default | Credentials::Skip | Credentials::Silent => {}
    }
    let Some((session, user)) = facts.session else { return without_session(request, facts) };
    if let Some(Ban { .. }) = user.ban {
        return refuse(ErrorCode::AccessDenied, "Logged in user is banned");
    }
    let old = wanted.max_age.is_some_and(|age| facts.now.since(session.authenticated) > age + CLOCK_SKEW);
    if wanted.prompt.login || old {
        return if silent {
            silently(request, ErrorCode::LoginRequired, "the person has to sign in again")
        } else {
            Decision::LogIn { end_session: false }
        };
    }
    if user.password.as_ref().is_some_and(|password| password.must_change) {
        return if silent {
            silently(request, ErrorCode::InteractionRequired, "the person has to choose a new password")
        } else {
            Decision::ChangePassword
        };
    }
    if must_ask(request, facts) {
        return if silent {
            silently(request, ErrorCode::ConsentRequired, "the person has not consented yet")
        } else {
            Decision::AskConsent
        };
    }
    Decision::Issue
}

fn without_session(request: &AuthorizationRequest, facts: &Facts<'_>) -> Decision {
    let wanted = &request.wanted;
    let guest_may = matches!(wanted.credentials, Credentials::Skip | Credentials::Silent)
        && !wanted.prompt.login
        && !wanted.prompt.none
        && facts.guest.is_some_and(User::is_active);
    if guest_may {
        Decision::IssueForGuest
    } else if wanted.is_silent() {
        silently(request, ErrorCode::LoginRequired, "nobody is signed in")
    } else {
        Decision::LogIn { end_session: false }
    }
}

fn must_ask(request: &AuthorizationRequest, facts: &Facts<'_>) -> bool {
    let wanted = &request.wanted;
    if wanted.force_consent || wanted.prompt.consent {
        return true;
    }
    let covered =
        || facts.consent.is_some_and(|consent| consent.covers(&wanted.scope, wanted.offline, facts.now));
    request.client.trust.consent_required && !covered()
}

/// Hub's protocol has one word for all of it; OpenID Connect has several.
fn silently(request: &AuthorizationRequest, openid: ErrorCode, description: &'static str) -> Decision {
    let code = if request.wanted.is_openid() { openid } else { ErrorCode::AccessDenied };
    refuse(code, description)
}

fn refuse(code: ErrorCode, description: &'static str) -> Decision {
    Decision::Refuse(OAuthError::new(code, description))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        base::id::{ConsentId, ServiceId, SessionId, UserId},
        model::{
            flow::Flows,
            registry::Registry,
            service::{Profile, Service, Trust},
            user::Password,
        },
        oauth::{
            authorize::request::{Context, read},
            form::Form,
        },
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn request(rest: &str, consent_required: bool) -> AuthorizationRequest {
        let client = Service {
            id: ServiceId::parse("app").unwrap(),
            name: "App".into(),
            trust: Trust { consent_required, ..Trust::default() },
            profile: Profile { redirect_uris: vec!["https://a/cb".into()], ..Profile::default() },
            secrets: vec![],
            declared: false,
            created: NOW,
            updated: NOW,
        };
        let registry = Registry::new([client], "https://g/hub");
        let context = Context {
            registry: &registry,
            flows: Flows::all(),
            strict: false,
            issuer: Arc::from("https://g/hub"),
        };
        let query = format!("client_id=app&redirect_uri=https%3A%2F%2Fa%2Fcb&response_type=code&{rest}");
        read(&Form::parse(query.as_bytes()).unwrap(), &context).unwrap()
    }

    fn user(name: &str, banned: bool) -> User {
        User {
            id: UserId::parse(name).unwrap(),
            login: name.into(),
            name: name.into(),
            email: None,
            password: None,
            ban: banned.then(|| Ban { reason: String::new(), since: NOW, badge: String::new() }),
            guest: name == "guest",
            administrator: false,
            groups: vec![],
            profile: crate::model::user::UserProfile::default(),
            erased: None,
            declared: false,
            created: NOW,
            updated: NOW,
        }
    }

    fn session() -> Session {
        Session {
            id: SessionId::parse("s").unwrap(),
            user: UserId::parse("jane").unwrap(),
            authenticated: NOW.minus(MINUTE),
            used: NOW,
            remember: false,
            user_agent: String::new(),
            address: String::new(),
        }
    }

    /// The table of hub-contract section 2.2, cell by cell.
    #[test]
    fn request_credentials_is_a_truth_table() {
        let (jane, session) = (user("jane", false), session());
        let (guest, banned) = (user("guest", false), user("guest", true));
        let log_in = || Decision::LogIn { end_session: false };
        let afresh = || Decision::LogIn { end_session: true };
        let denied = || refuse(ErrorCode::AccessDenied, "nobody is signed in");
        for (mode, with_session, with_guest, with_neither) in [
            ("default", Decision::Issue, log_in(), log_in()),
            ("skip", Decision::Issue, Decision::IssueForGuest, log_in()),
            ("silent", Decision::Issue, Decision::IssueForGuest, denied()),
            ("required", afresh(), afresh(), afresh()),
            ("silent_logout", Decision::SignOut, Decision::SignOut, Decision::SignOut),
        ] {
            let request = request(&format!("request_credentials={mode}"), false);
            let ask = |signed_in: bool, guest| {
                let session = signed_in.then_some((&session, &jane));
                decide(&request, &Facts { session, guest, consent: None, now: NOW })
            };
            for guest in [Some(&guest), Some(&banned), None] {
                assert_eq!(ask(true, guest), with_session, "{mode}");
            }
            assert_eq!(ask(false, Some(&guest)), with_guest, "{mode}");
            assert_eq!(ask(false, Some(&banned)), with_neither, "{mode}");
            assert_eq!(ask(false, None), with_neither, "{mode}");
        }
    }

    #[test]
    fn a_fresh_sign_in_is_asked_for_in_three_ways() {
        let (jane, session) = (user("jane", false), session());
        let ask = |rest: &str| {
            let request = request(rest, false);
            let facts = Facts { session: Some((&session, &jane)), guest: None, consent: None, now: NOW };
            decide(&request, &facts)
        };
        let log_in = Decision::LogIn { end_session: false };
        assert_eq!(ask("prompt=login"), log_in);
        assert_eq!(ask("prompt=select_account"), log_in);
        assert_eq!(ask("max_age=30"), log_in);
        assert_eq!(ask("max_age=60"), Decision::Issue);
        assert_eq!(ask("max_age=0"), log_in);
        for silent in [
            "max_age=30&prompt=none",
            "request_credentials=silent&prompt=login",
            "prompt=none&request_credentials=required",
        ] {
            assert!(
                matches!(ask(silent), Decision::Refuse(e) if e.code == ErrorCode::AccessDenied),
                "{silent}"
            );
            let openid = ask(&format!("{silent}&scope=openid"));
            assert!(matches!(openid, Decision::Refuse(e) if e.code == ErrorCode::LoginRequired), "{silent}");
        }
    }

    #[test]
    fn consent_is_asked_for_what_it_does_not_cover() {
        let (jane, session) = (user("jane", false), session());
        let consent = Consent {
            id: ConsentId::parse("c").unwrap(),
            user: jane.id.clone(),
            client: ServiceId::parse("app").unwrap(),
            services: vec![ServiceId::parse("app").unwrap()],
            claims: vec!["openid".into()],
            given: NOW,
            expires: NOW.plus(MINUTE),
        };
        let ask = |rest: &str, required: bool, consent: Option<&Consent>, now| {
            let request = request(rest, required);
            decide(&request, &Facts { session: Some((&session, &jane)), guest: None, consent, now })
        };
        assert_eq!(ask("", true, None, NOW), Decision::AskConsent);
        assert_eq!(ask("", false, None, NOW), Decision::Issue);
        assert_eq!(ask("scope=app+openid", true, Some(&consent), NOW), Decision::Issue);
        assert_eq!(ask("scope=app", true, Some(&consent), NOW.plus(MINUTE)), Decision::AskConsent);
        for more in ["scope=app+Hub", "scope=openid+email", "approval_prompt=force", "prompt=consent"] {
            assert_eq!(ask(more, true, Some(&consent), NOW), Decision::AskConsent, "{more}");
        }
        for forced in ["approval_prompt=force", "prompt=consent"] {
            assert_eq!(ask(forced, false, Some(&consent), NOW), Decision::AskConsent, "{forced}");
        }
        let silent = |rest: &str| match ask(rest, true, None, NOW) {
            Decision::Refuse(error) => error.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(silent("request_credentials=silent"), ErrorCode::AccessDenied);
        assert_eq!(silent("request_credentials=silent&scope=openid"), ErrorCode::ConsentRequired);
        assert_eq!(silent("prompt=none&scope=openid"), ErrorCode::ConsentRequired);
    }

    #[test]
    fn banned_people_and_one_time_passwords_get_no_further() {
        let (banned, session) = (user("jane", true), session());
        let mut fresh = user("jane", false);
        fresh.password = Some(Password { hash: String::new(), set: NOW, must_change: true });
        let guest = user("guest", false);
        let ask = |rest: &str, user: &User| {
            let facts =
                Facts { session: Some((&session, user)), guest: Some(&guest), consent: None, now: NOW };
            decide(&request(rest, false), &facts)
        };
        assert_eq!(ask("", &banned), refuse(ErrorCode::AccessDenied, "Logged in user is banned"));
        assert_eq!(ask("", &fresh), Decision::ChangePassword);
        assert!(
            matches!(ask("prompt=none&scope=openid", &fresh), Decision::Refuse(e) if e.code == ErrorCode::InteractionRequired)
        );
        // prompt=none is a question about a person, whom the guest is not.
        let facts = Facts { session: None, guest: Some(&guest), consent: None, now: NOW };
        assert!(
            matches!(decide(&request("prompt=none&scope=openid&request_credentials=silent", false), &facts),
            Decision::Refuse(e) if e.code == ErrorCode::LoginRequired)
        );
    }
}
