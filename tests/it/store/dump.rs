//! Whoever gets hold of the database gets hold of no credential.

use std::fs;

use hubgate::{
    base::{random::SystemRandom, secret::Secret},
    crypto::{
        opaque::{self, Kind},
        permanent,
    },
    model::{
        credential::{ApplicationPassword, PermanentToken},
        grant::{AuthorizationCode, RefreshToken},
    },
    store::{
        credentials::CredentialStore as _,
        grants::{Exchange, GrantStore as _, Rotation},
        people::{SessionStore as _, UserStore as _},
        sqlite::SqliteStore,
    },
};

use super::conformance::samples::{
    application, at, code, grant, permanent as permanent_token, refresh, session, user,
};

/// A new credential and its digest.
fn credential(kind: Kind) -> (Secret, hubgate::crypto::digest::TokenDigest) {
    let secret = opaque::generate(kind, &SystemRandom);
    let digest = opaque::digest(kind, secret.expose()).unwrap();
    (secret, digest)
}

#[tokio::test]
async fn a_dump_has_no_credential_that_could_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("hubgate.db")).await.unwrap();
    store.add_user(&user("ann", "the-login-of-ann")).await.unwrap();

    let (cookie, cookie_digest) = credential(Kind::Session);
    store.begin_session(&session("s", "ann", 10), &cookie_digest, None).await.unwrap();
    let (code_text, code_digest) = credential(Kind::Code);
    let code = AuthorizationCode { digest: code_digest, ..code(grant("g", "ann", "yt")) };
    store.add_code(&code).await.unwrap();
    let (first, digest) = credential(Kind::Refresh);
    let token = RefreshToken { digest, ..refresh("", "g") };
    assert_eq!(store.exchange_code(&code_digest, Some(&token), at(2000)).await.unwrap(), Exchange::First);
    let (second, digest) = credential(Kind::Refresh);
    let successor = RefreshToken { digest, ..token.clone() };
    let rotated = store.rotate_refresh(&token.digest, &successor, b"sealed", at(3000)).await.unwrap();
    assert_eq!(rotated, Rotation::First);

    let (application_text, digest) = credential(Kind::ApplicationPassword);
    store.add_application_password(&ApplicationPassword { digest, ..application(1, "ann") }).await.unwrap();
    let token_text = permanent::generate("ann", "ci", &SystemRandom);
    let digest = permanent::digest(token_text.expose().as_bytes()).unwrap();
    let token = PermanentToken { digest, ..permanent_token(2, "ann", &["0-0-0-0-0"]) };
    store.add_permanent_token(&token).await.unwrap();
    // What is random of it, as long as that of the others with their prefix.
    let token_text = Secret::new(format!("    {}", token_text.expose().rsplit('.').next().unwrap()));

    // While it is open, the log and the shared memory too; then the file alone.
    for round in ["open", "closed"] {
        let mut dump = Vec::new();
        for entry in fs::read_dir(folder.path()).unwrap() {
            dump.extend(fs::read(entry.unwrap().path()).unwrap());
        }
        let has = |part: &[u8]| dump.windows(part.len()).any(|window| window == part);
        assert!(has(b"the-login-of-ann") && has(code_digest.as_bytes()), "{round}: nothing was written");
        for secret in [&cookie, &code_text, &first, &second, &application_text, &token_text] {
            let text = secret.expose();
            // Neither with its prefix nor without it, nor any half of it.
            for part in [&text[4..], &text[4..25], &text[25..]] {
                assert!(!has(part.as_bytes()), "{round}: {text}");
            }
        }
        store.close().await.unwrap();
    }
}
