//! What tokens and other credentials are judged by, and what holds of all of them: that those whom they concern are there.
//!
//! Invariant: whoever passes has passed [`Judge::parties`], and does so again whenever there is news.

use std::sync::Arc;

use super::{
    credentials::{Credential, Credentials},
    directory::Directory,
    revocations::Revocations,
    scheme::basic::Basic,
};
use crate::{
    base::{id::KeyId, time::Timestamp},
    crypto::{digest::TokenDigest, keyring::Keyring, permanent},
    model::{credential::CredentialKind, registry::Registry, user::Person},
    oauth::token::{
        claims::AccessClaims,
        verify::{self, TokenError},
    },
};

/// What a verdict is made of; last the key that has signed, where one has.
pub type Judged = (AccessClaims, Option<Arc<Person>>, Option<Arc<Credential>>, Option<KeyId>);

/// Where keys and revocations are looked up.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// The keys.
    pub keyring: &'a Keyring,
    /// The services.
    pub registry: &'a Registry,
    /// `iss`
    pub issuer: &'a str,
    /// The revocations.
    pub revocations: &'a Revocations,
    /// The people.
    pub people: &'a Directory,
    /// Permanent tokens and application passwords.
    pub credentials: &'a Credentials,
    /// The moment.
    pub now: Timestamp,
}

impl Judge<'_> {
    /// What is known of a token, whether it is good, without remembering anything.
    ///
    /// # Errors
    /// [`TokenError`], why it is not accepted.
    pub fn token(&self, token: &[u8]) -> Result<Judged, TokenError> {
        if permanent::is_meant(token) {
            let digest = permanent::digest(token).ok_or(TokenError::Unknown)?;
            return self.credential(&digest, CredentialKind::PermanentToken);
        }
        let (claims, key) = verify::verify_by(token, self.keyring, self.issuer, self.now)?;
        let person = self.parties(&claims)?;
        Ok((claims, person, None, Some(key)))
    }

    /// The same of an application password, which is good with its owner's login alone.
    ///
    /// # Errors
    /// [`TokenError`], why it is not accepted. Whether the login or the password is wrong is not told.
    pub fn password(&self, basic: &Basic) -> Result<Judged, TokenError> {
        let judged = self.credential(&basic.digest, CredentialKind::ApplicationPassword)?;
        let is_owner = judged.1.as_ref().is_some_and(|person| basic.is_of(person));
        if is_owner { Ok(judged) } else { Err(TokenError::Unknown) }
    }

    /// Whether client and user are still there, and nothing of it revoked. Returns the user; `None` where a service acts
    /// for itself. The guest is a user like others: while it is banned, nobody acts as the guest.
    pub(super) fn parties(&self, claims: &AccessClaims) -> Result<Option<Arc<Person>>, TokenError> {
        if self.registry.by_id(claims.client_id.as_str()).is_none() {
            return Err(TokenError::ClientGone);
        }
        if self.revocations.hit(claims) || !self.credentials.stand_behind(claims) {
            return Err(TokenError::Revoked);
        }
        if claims.is_service() {
            return Ok(None);
        }
        let person = self.people.find(&claims.sub).ok_or(TokenError::UserGone)?;
        if person.banned { Err(TokenError::UserBanned) } else { Ok(Some(person)) }
    }

    /// What is known of the credential of this kind with this digest.
    ///
    /// # Errors
    /// [`TokenError`], why it is not accepted.
    pub fn credential(&self, digest: &TokenDigest, kind: CredentialKind) -> Result<Judged, TokenError> {
        let found = self.credentials.find(digest).filter(|credential| credential.known.kind == kind);
        let credential = found.ok_or(TokenError::Unknown)?;
        let claims = credential.claims(self.issuer);
        if claims.aud.is_empty() && !claims.every_service {
            return Err(TokenError::NoAudience);
        }
        let person = self.parties(&claims)?;
        Ok((claims, person, Some(credential), None))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        access::{
            scheme::basic::Basic,
            verdict::{Standing, Verdict, Verdicts},
        },
        base::{
            id::{ServiceId, TokenId, UserId},
            random::SystemRandom,
        },
        crypto::{
            keyring,
            opaque::{self, Kind},
            permanent,
            seal::SealingKey,
        },
        model::{
            credential::KnownCredential,
            key::Algorithm,
            revocation::{Revocation, RevocationTarget},
            user::Email,
        },
        store::{credentials::Credentials as Changes, people::People},
    };

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    /// Everything that credentials are judged by, and one of each kind that is jane's.
    struct Bench {
        keyring: Keyring,
        registry: Registry,
        revocations: Revocations,
        people: Directory,
        credentials: Credentials,
        verdicts: Verdicts,
        token: String,
        password: String,
    }

    fn jane(login: &str, banned: bool) -> Person {
        Person {
            id: UserId::parse("u-1").unwrap(),
            login: login.into(),
            name: "Jane".into(),
            email: Some(Email { address: "Jane@example.org".into(), verified: false }),
            groups: vec![],
            banned,
            guest: false,
            administrator: false,
        }
    }

    impl Bench {
        fn new() -> Self {
            let sealing = SealingKey::new(&[1; 32]).unwrap();
            let key = keyring::generate(Algorithm::Es256, &sealing, NOW, &SystemRandom).unwrap();
            let token = permanent::generate("jane", "ci", &SystemRandom).expose().to_owned();
            let password = opaque::generate(Kind::ApplicationPassword, &SystemRandom).expose().to_owned();
            let bench = Self {
                keyring: Keyring::open(&[key], &sealing).unwrap(),
                registry: Registry::new([], "u"),
                revocations: Revocations::default(),
                people: Directory::default(),
                credentials: Credentials::default(),
                verdicts: Verdicts::new(10),
                token,
                password,
            };
            bench.enter_person(jane("jane", false));
            let scope = bench.known(CredentialKind::PermanentToken, &["yt"]);
            bench.enter(vec![scope, bench.known(CredentialKind::ApplicationPassword, &[])], vec![]);
            bench
        }

        fn known(&self, kind: CredentialKind, scope: &[&str]) -> KnownCredential {
            let (number, text) = match kind {
                CredentialKind::PermanentToken => (1, &self.token),
                CredentialKind::ApplicationPassword => (2, &self.password),
            };
            KnownCredential {
                kind,
                id: TokenId::from_bytes([number; 16]),
                digest: TokenDigest::of(text.as_bytes()),
                user: UserId::parse("u-1").unwrap(),
                scope: scope.iter().map(|id| ServiceId::parse(id).unwrap()).collect(),
                created: NOW.minus(Duration::from_secs(60)),
            }
        }

        fn enter(&self, changed: Vec<KnownCredential>, removed: Vec<TokenDigest>) {
            self.credentials.enter(1, Changes { version: 1, changed, removed }, &self.revocations);
        }

        fn enter_person(&self, person: Person) {
            let people = People { version: 1, changed: vec![person], removed: vec![] };
            self.people.enter(1, people, &self.revocations);
        }

        fn remove(&self, text: &str) {
            self.enter(vec![], vec![TokenDigest::of(text.as_bytes())]);
        }

        /// As a new password, a ban and a removal do.
        fn revoke_jane(&self) {
            let target = RevocationTarget::User(UserId::parse("u-1").unwrap());
            self.revocations.enter(&[Revocation::at(NOW, target)]);
        }

        fn judge(&self) -> Judge<'_> {
            let Self { keyring, registry, revocations, people, credentials, .. } = self;
            Judge { keyring, registry, issuer: "i", revocations, people, credentials, now: NOW }
        }

        fn ask(&self, token: &str) -> Result<Arc<Verdict>, TokenError> {
            let (judge, token) = (self.judge(), token.as_bytes());
            self.verdicts.recall(token, judge).unwrap_or_else(|| self.verdicts.verify(token, judge))
        }

        fn ask_as(&self, login: &str) -> Result<Arc<Verdict>, TokenError> {
            let digest = TokenDigest::of(self.password.as_bytes());
            let key = TokenDigest::of(login.as_bytes());
            let (judge, basic) = (self.judge(), Basic { login: login.into(), digest, key });
            let recalled = self.verdicts.recall_password(&basic, judge);
            recalled.unwrap_or_else(|| self.verdicts.verify_password(&basic, judge))
        }

        fn stands(&self, verdict: &Verdict) -> Result<Standing, TokenError> {
            verdict.still_good(&self.verdicts, self.judge())
        }
    }

    #[test]
    fn a_permanent_token_is_good_for_its_scope_and_remembered() {
        let bench = Bench::new();
        let first = bench.ask(&bench.token).unwrap();
        assert!(Arc::ptr_eq(&first, &bench.ask(&bench.token).unwrap()));
        assert_eq!(bench.verdicts.hits_and_misses(), (1, 1));
        assert_eq!(first.person.as_ref().unwrap().login, "jane");
        let covers = |id: &str| first.covers(&ServiceId::parse(id).unwrap());
        assert!(covers("yt") && !covers("other") && !covers(ServiceId::HUB));
        assert_eq!(bench.credentials.take_uses(9).len(), 1);
    }

    #[test]
    fn what_is_no_permanent_token_of_ours_is_refused_and_not_remembered() {
        let bench = Bench::new();
        let other = permanent::generate("jane", "ci", &SystemRandom).expose().to_owned();
        let dashed = bench.token.replacen(':', "-", 1);
        let renamed = bench.token.replacen("amFuZQ==", "cm9vdA==", 1);
        for bad in
            [&other, &dashed, &renamed, "perm:", "perm-x", &bench.password, &format!("{}x", bench.token)]
        {
            assert!(bench.ask(bad).is_err(), "{bad}");
        }
        assert_eq!(bench.ask(&dashed).unwrap_err(), TokenError::Unknown);
        assert!(bench.verdicts.is_empty());
        // Nor is one kind taken for the other, whatever is digested.
        bench.enter(
            vec![KnownCredential {
                kind: CredentialKind::ApplicationPassword,
                ..bench.known(CredentialKind::PermanentToken, &["yt"])
            }],
            vec![],
        );
        assert_eq!(bench.ask(&bench.token).unwrap_err(), TokenError::Unknown);
        bench.enter(vec![bench.known(CredentialKind::PermanentToken, &[])], vec![]);
        assert_eq!(bench.ask(&bench.token).unwrap_err(), TokenError::NoAudience);
    }

    #[test]
    fn one_that_is_taken_back_opens_nothing_from_then_on() {
        let bench = Bench::new();
        let (token, password) = (bench.ask(&bench.token).unwrap(), bench.ask_as("jane").unwrap());
        bench.remove(&bench.token);
        assert!(bench.stands(&token).is_err());
        assert!(bench.ask(&bench.token).is_err() && bench.ask(&bench.token).is_err());
        assert!(bench.ask_as("jane").is_ok());
        bench.remove(&bench.password);
        assert!(bench.stands(&password).is_err() && bench.ask_as("jane").is_err());
    }

    #[test]
    fn a_narrowed_scope_is_in_force_at_once() {
        let bench = Bench::new();
        bench.enter(vec![bench.known(CredentialKind::PermanentToken, &["yt", "other"])], vec![]);
        let other = ServiceId::parse("other").unwrap();
        let wide = bench.ask(&bench.token).unwrap();
        assert!(wide.covers(&other));
        bench.enter(vec![bench.known(CredentialKind::PermanentToken, &["yt"])], vec![]);
        assert!(matches!(bench.stands(&wide), Ok(Standing::Stale)));
        assert!(!bench.ask(&bench.token).unwrap().covers(&other));
    }

    #[test]
    fn a_ban_holds_while_it_lasts_and_a_changed_person_is_seen() {
        let bench = Bench::new();
        let held = bench.ask(&bench.token).unwrap();
        bench.enter_person(jane("jane", true));
        assert_eq!(bench.stands(&held).unwrap_err(), TokenError::UserBanned);
        assert_eq!(bench.ask(&bench.token).unwrap_err(), TokenError::UserBanned);
        bench.enter_person(jane("jane.doe", false));
        assert_eq!(bench.ask(&bench.token).unwrap().person.as_ref().unwrap().login, "jane.doe");
        let people = People { version: 1, changed: vec![], removed: vec![UserId::parse("u-1").unwrap()] };
        bench.people.enter(1, people, &bench.revocations);
        assert_eq!(bench.ask(&bench.token).unwrap_err(), TokenError::UserGone);
    }

    #[test]
    fn what_an_upstream_gets_in_its_place_lives_as_long_as_it_does() {
        let bench = Bench::new();
        let service = ServiceId::parse("yt").unwrap();
        for held in [bench.ask(&bench.token).unwrap(), bench.ask_as("jane").unwrap()] {
            let scoped = held.scoped(&service, bench.keyring.signing(), NOW).unwrap();
            let scoped = scoped.authorization.to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
            let verdict = bench.ask(&scoped).unwrap();
            assert_eq!(verdict.claims.aud, std::slice::from_ref(&service));
            assert!(!verdict.covers(&ServiceId::hub()) && verdict.credential.is_none());
            assert_eq!(verdict.claims.jti, held.claims.jti);
            // A new password of the person is no reason.
            bench.revoke_jane();
            assert!(bench.ask(&scoped).is_ok());
            bench.enter(vec![], vec![held.credential.as_ref().unwrap().known.digest]);
            assert_eq!(bench.stands(&verdict).unwrap_err(), TokenError::Revoked);
            assert_eq!(bench.ask(&scoped).unwrap_err(), TokenError::Revoked);
        }
    }

    #[test]
    fn an_application_password_goes_with_its_owners_names_and_no_others() {
        let bench = Bench::new();
        for login in ["jane", "JANE", "jane@EXAMPLE.org", "u-1"] {
            let verdict = bench.ask_as(login).unwrap();
            assert!(
                verdict.covers(&ServiceId::hub()) && verdict.covers(&ServiceId::parse("any").unwrap()),
                "{login}"
            );
        }
        for login in ["joe", "", "jane ", "Jane Doe"] {
            assert_eq!(bench.ask_as(login).unwrap_err(), TokenError::Unknown, "{login}");
        }
        let held = bench.ask_as("jane").unwrap();
        bench.enter_person(jane("jane.doe", false));
        assert!(matches!(bench.stands(&held), Ok(Standing::Stale)));
        assert_eq!(bench.ask_as("jane").unwrap_err(), TokenError::Unknown);
        assert!(bench.ask_as("jane.doe").is_ok());
    }

    #[test]
    fn neither_new_keys_nor_a_new_address_end_them() {
        let bench = Bench::new();
        let held = bench.ask(&bench.token).unwrap();
        bench.verdicts.forget_all(&bench.revocations);
        assert!(matches!(bench.stands(&held), Ok(Standing::Stale)));
        assert!(bench.ask(&bench.token).is_ok());
        bench.revocations.advance();
        let moved = Judge { issuer: "elsewhere", ..bench.judge() };
        let recalled = bench.verdicts.recall(bench.token.as_bytes(), moved).unwrap().unwrap();
        assert_eq!(recalled.claims.iss, "elsewhere");
    }
}
