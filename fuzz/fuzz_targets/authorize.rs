//! Authorization requests: whatever is asked, an answer goes to a registered address or to nobody, it carries what was sent
//! as `state` and no parameter twice, and its location is one line of visible ASCII.
#![no_main]

use std::sync::{Arc, LazyLock};

use hubgate::{
    base::{id::ServiceId, time::Timestamp},
    model::{
        flow::Flows,
        registry::Registry,
        service::{Profile, Service, Trust},
    },
    oauth::{
        authorize::{
            answer::Answer,
            request::{Context, Refused, read},
        },
        error::{ErrorCode, OAuthError},
        form::Form,
    },
};
use libfuzzer_sys::fuzz_target;

const REGISTERED: [&str; 4] =
    ["https://a.example/cb", "https://a.example/cb?x=1", "app://cb", "http://127.0.0.1/cb"];
const LOOPBACK: &str = "http://127.0.0.1";
const ISSUER: &str = "https://g.example/hub";

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let service = |id: &str, public: bool| Service {
        id: ServiceId::parse(id).expect("an id"),
        name: format!("The {id}"),
        trust: Trust { public, ..Trust::default() },
        profile: Profile { redirect_uris: REGISTERED.map(str::to_owned).to_vec(), ..Profile::default() },
        secrets: Vec::new(),
        declared: false,
        created: Timestamp::default(),
        updated: Timestamp::default(),
    };
    Registry::new([service("app", false), service("public", true)], ISSUER)
});

fn is_registered(uri: &str) -> bool {
    let port = uri.strip_prefix(LOOPBACK).and_then(|rest| rest.strip_prefix(':')?.strip_suffix("/cb"));
    REGISTERED.contains(&uri)
        || port.is_some_and(|port| port.parse::<u16>().is_ok_and(|n| n != 0 && n.to_string() == port))
}

fn check(answer: Answer, form: &Form) {
    let asked = form.get("redirect_uri").expect("an address");
    assert!(is_registered(asked), "{asked:?} was taken for a registered address");
    let pairs: Vec<(String, String)> = match answer {
        Answer::FormPost { action, fields } => {
            assert_eq!(action, asked);
            assert!(action.starts_with("https://") || action.starts_with("http://"));
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
        }
        Answer::Redirect(location) => {
            assert!(location.bytes().all(|b| b.is_ascii_graphic()), "{location:?}");
            let rest = location.strip_prefix(asked).expect("the address comes first");
            assert!(rest.starts_with(['?', '&', '#']), "{location:?}");
            let rest = &rest[1..];
            assert!(!rest.contains(['#', ';', ' ']), "{location:?}");
            let pairs = Form::parse(rest.as_bytes());
            // What a state may be is more than what a form may be.
            let Ok(read) = pairs else { return };
            read.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        }
    };
    let value = |name: &str| {
        let mut found = pairs.iter().filter(|(known, _)| known == name);
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice");
        first
    };
    assert_eq!(value("state"), form.get("state"));
    assert_eq!(value("iss"), Some(ISSUER));
}

fuzz_target!(|data: &[u8]| {
    let Ok(form) = Form::parse(data) else { return };
    for (flows, strict) in [(Flows::all(), false), (Flows::all(), true)] {
        let context = Context { registry: &REGISTRY, flows, strict, issuer: Arc::from(ISSUER) };
        match read(&form, &context) {
            Ok(request) => {
                let wanted = &request.wanted;
                assert!(!wanted.scope.services.is_empty() && !wanted.scope.spelled.is_empty());
                assert_eq!(wanted.offline, wanted.offline && wanted.response.code);
                let proof = wanted.challenge.as_ref();
                assert!(
                    !wanted.response.code
                        || proof.is_some()
                        || !strict && request.client.id.as_str() == "app"
                );
                assert!(!wanted.response.id_token || wanted.nonce.is_some() && wanted.is_openid());
                check(request.address.answer(vec![("code", "x".to_owned())]), &form);
            }
            Err(Refused::Client { address, error }) => {
                check(address.refuse(&error, format!("{ISSUER}/errors/x")), &form);
                let text = OAuthError::new(ErrorCode::InvalidRequest, error.description.clone().into_owned());
                assert_eq!(text.description, error.description, "a description that may not be sent");
            }
            Err(Refused::Page { rejected, .. }) => {
                if let Some((_, uri)) = rejected {
                    assert!(uri.len() <= 2000 && !uri.starts_with("javascript:") && !is_registered(&uri));
                }
            }
        }
    }
});
