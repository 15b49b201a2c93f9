//! Signing in and sessions, over users and sessions in memory and a hasher that remembers what it was asked.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{
    login::{HashError, Hasher, LoginError, LoginResult, Logins},
    second_step::{Halfway, Secrets},
    session::{Browser, Sessions, SignedIn},
    throttle::LoginLimits,
};
use crate::{
    base::{
        id::{SessionId, UserId},
        random::SystemRandom,
        secret::Secret,
        time::{Clock, ManualClock, Timestamp},
    },
    crypto::{
        digest::TokenDigest,
        password::NOBODYS,
        recovery,
        seal::SealingKey,
        totp::{self, TotpSecret},
    },
    model::{
        revocation::{Revocation, RevocationTarget},
        second_step::SecondStep,
        session::{Session, SessionLife},
        user::{Ban, Email, Password, User},
    },
    store::{
        Result, StoreError,
        people::{ChangeUser, People, SessionStore, UserStore},
        second_step::SecondStepStore,
    },
};

/// In the form of a hash that is made here; the last letter tells whose.
const CURRENT: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$RwLkxZGEhqucKKqjiDYyfw$tZJ+kM4ZsIJ4VVxPohub3l8kI+G5PHLQ1rwe2RZ7svQ";
const OLD: &str = "$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm";
const RIGHT: &str = "correct horse";

#[derive(Default)]
struct Memory {
    users: Mutex<Vec<User>>,
    sessions: Mutex<Vec<(Session, TokenDigest)>>,
    revoked: Mutex<Vec<RevocationTarget>>,
    broken: AtomicBool,
    /// How often a user was looked for.
    reads: AtomicUsize,
    /// The one second step that there is, with its recovery codes.
    step: Mutex<Option<(SecondStep, Vec<TokenDigest>)>>,
}

impl Memory {
    fn works(&self) -> Result<()> {
        if self.broken.load(Ordering::Relaxed) { Err(StoreError::Unavailable("test".into())) } else { Ok(()) }
    }

    fn note(&self, revocation: Option<&Revocation>) {
        self.revoked.lock().unwrap().extend(revocation.map(|r| r.target.clone()));
    }

    fn edit(&self, change: impl Fn(&mut User)) {
        self.users.lock().unwrap().iter_mut().for_each(change);
    }
}

#[async_trait]
impl UserStore for Memory {
    async fn list_users(&self) -> Result<Vec<User>> {
        Ok(self.users.lock().unwrap().clone())
    }
    async fn find_user(&self, id: &UserId) -> Result<Option<User>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self.users.lock().unwrap().iter().find(|user| user.id == *id).cloned())
    }
    async fn find_user_by_name(&self, name: &str) -> Result<Option<User>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.works()?;
        let is = |text: &str| text.eq_ignore_ascii_case(name);
        let by_email = |user: &User| user.email.as_ref().is_some_and(|email| is(&email.address));
        let users = self.users.lock().unwrap();
        Ok(users.iter().find(|u| is(&u.login) || by_email(u) || u.id.as_str() == name).cloned())
    }
    async fn find_guest(&self) -> Result<Option<User>> {
        Ok(None)
    }
    async fn add_user(&self, user: &User) -> Result<()> {
        self.users.lock().unwrap().push(user.clone());
        Ok(())
    }
    async fn change_user(&self, id: &UserId, change: ChangeUser<'_>, r: Option<&Revocation>) -> Result<User> {
        self.note(r);
        let mut users = self.users.lock().unwrap();
        let user = users.iter_mut().find(|u| u.id == *id).ok_or(StoreError::NotFound { what: "user" })?;
        change(user);
        Ok(user.clone())
    }
    async fn remove_user(&self, id: &UserId, revocation: &Revocation) -> Result<()> {
        self.note(Some(revocation));
        self.users.lock().unwrap().retain(|user| user.id != *id);
        Ok(())
    }
    async fn people(&self, _: i64) -> Result<People> {
        Ok(People::default())
    }
}

#[async_trait]
impl SecondStepStore for Memory {
    async fn find_second_step(&self, user: &UserId) -> Result<Option<SecondStep>> {
        self.works()?;
        let step = self.step.lock().unwrap();
        Ok(step.as_ref().map(|(step, _)| step.clone()).filter(|step| step.user == *user))
    }
    async fn add_second_step(&self, step: &SecondStep, codes: &[TokenDigest]) -> Result<()> {
        *self.step.lock().unwrap() = Some((step.clone(), codes.to_vec()));
        Ok(())
    }
    async fn spend_time_step(&self, _: &SecondStep, spent: i64) -> Result<bool> {
        let mut step = self.step.lock().unwrap();
        let later = step.as_mut().filter(|(step, _)| step.spent < spent);
        Ok(later.map(|(step, _)| step.spent = spent).is_some())
    }
    async fn spend_recovery_code(&self, _: &SecondStep, code: &TokenDigest) -> Result<bool> {
        let mut step = self.step.lock().unwrap();
        let Some((_, codes)) = step.as_mut() else { return Ok(false) };
        let before = codes.len();
        codes.retain(|known| known != code);
        Ok(codes.len() < before)
    }
    async fn replace_recovery_codes(&self, _: &UserId, codes: &[TokenDigest]) -> Result<bool> {
        let mut step = self.step.lock().unwrap();
        Ok(step.as_mut().map(|(_, known)| *known = codes.to_vec()).is_some())
    }
    async fn remove_second_step(&self, _: &UserId) -> Result<bool> {
        Ok(self.step.lock().unwrap().take().is_some())
    }
}

#[async_trait]
impl SessionStore for Memory {
    async fn begin_session(
        &self,
        session: &Session,
        digest: &TokenDigest,
        replaced: Option<(&SessionId, Option<&Revocation>)>,
    ) -> Result<()> {
        let mut sessions = self.sessions.lock().unwrap();
        if let Some((id, revocation)) = replaced {
            sessions.retain(|(session, _)| session.id != *id);
            self.note(revocation);
        }
        sessions.push((session.clone(), *digest));
        Ok(())
    }
    async fn find_session(&self, digest: &TokenDigest) -> Result<Option<(Session, User)>> {
        self.works()?;
        let found = self.sessions.lock().unwrap().iter().find(|(_, d)| d == digest).map(|(s, _)| s.clone());
        let Some(session) = found else { return Ok(None) };
        Ok(self.find_user(&session.user).await?.map(|user| (session, user)))
    }
    async fn touch_session(&self, id: &SessionId, used: Timestamp, address: &str) -> Result<()> {
        for (session, _) in self.sessions.lock().unwrap().iter_mut().filter(|(s, _)| s.id == *id) {
            session.used = used;
            address.clone_into(&mut session.address);
        }
        Ok(())
    }
    async fn end_session(&self, id: &SessionId, revocation: &Revocation) -> Result<bool> {
        let mut sessions = self.sessions.lock().unwrap();
        let before = sessions.len();
        sessions.retain(|(session, _)| session.id != *id);
        let ended = sessions.len() < before;
        self.note(Some(revocation).filter(|_| ended));
        Ok(ended)
    }
    async fn list_sessions(&self, user: &UserId) -> Result<Vec<Session>> {
        let sessions = self.sessions.lock().unwrap();
        Ok(sessions.iter().map(|(s, _)| s.clone()).filter(|s| s.user == *user).collect())
    }
    async fn purge_sessions(&self, _: SessionLife, _: Timestamp) -> Result<u64> {
        Ok(0)
    }
}

/// Whatever the hash, `RIGHT` is right.
#[derive(Default)]
struct Remembering {
    asked: Mutex<Vec<String>>,
    hashed: AtomicUsize,
    busy: AtomicBool,
    /// Done before each verdict.
    meanwhile: Mutex<Option<Box<dyn Fn() + Send>>>,
}

#[async_trait]
impl Hasher for Remembering {
    async fn verify(&self, hash: &str, password: &Secret) -> std::result::Result<bool, HashError> {
        if self.busy.load(Ordering::Relaxed) {
            return Err(HashError::Busy(Duration::from_secs(3)));
        }
        self.asked.lock().unwrap().push(hash.to_owned());
        tokio::task::yield_now().await;
        if let Some(meanwhile) = self.meanwhile.lock().unwrap().as_ref() {
            meanwhile();
        }
        Ok(password.expose() == RIGHT)
    }
    async fn hash(&self, _: &Secret) -> std::result::Result<String, HashError> {
        self.hashed.fetch_add(1, Ordering::Relaxed);
        Ok(CURRENT.to_owned())
    }
}

struct Door {
    memory: Arc<Memory>,
    hasher: Arc<Remembering>,
    clock: Arc<ManualClock>,
    logins: Logins,
    told: Arc<Mutex<Vec<LoginResult>>>,
}

fn user(id: &str, hash: Option<&str>) -> User {
    let set = Timestamp::from_seconds(1);
    User {
        id: UserId::parse(id).unwrap(),
        login: format!("{id}-login"),
        name: id.to_owned(),
        email: Some(Email { address: format!("{id}@example.org"), verified: true }),
        password: hash.map(|hash| Password { hash: hash.to_owned(), set, must_change: false }),
        ban: None,
        guest: false,
        administrator: false,
        groups: vec![],
        profile: crate::model::user::UserProfile::default(),
        erased: None,
        declared: false,
        created: set,
        updated: set,
    }
}

fn banned(id: &str) -> User {
    let ban = Ban { reason: String::new(), since: Timestamp::default(), badge: String::new() };
    User { ban: Some(ban), ..user(id, Some(CURRENT)) }
}

fn door() -> Door {
    let rate = |count| Some((NonZeroU32::new(count).unwrap(), Duration::from_secs(60)));
    let limits = LoginLimits { pair: rate(5), source: rate(50), account: rate(20) };
    let memory = Arc::new(Memory::default());
    memory.users.lock().unwrap().extend([
        user("jane", Some(CURRENT)),
        user("old", Some(OLD)),
        user("none", None),
        banned("bad"),
        User { guest: true, ..user("guest", Some(CURRENT)) },
    ]);
    let (hasher, told) = (Arc::new(Remembering::default()), Arc::new(Mutex::new(Vec::new())));
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1000)));
    let tell = Arc::clone(&told);
    let logins = Logins::new(
        (Arc::clone(&memory) as Arc<dyn UserStore>, Arc::clone(&memory) as Arc<dyn SecondStepStore>),
        Arc::clone(&hasher) as Arc<dyn Hasher>,
        Arc::clone(&clock) as Arc<dyn Clock>,
        limits,
        Box::new(move |result, _, _| tell.lock().unwrap().push(result)),
    );
    Door { memory, hasher, clock, logins, told }
}

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

impl Door {
    async fn try_from(
        &self,
        source: IpAddr,
        name: &str,
        password: &str,
    ) -> std::result::Result<User, LoginError> {
        self.logins.authenticate(name, &Secret::new(password.to_owned()), source).await
    }

    async fn attempt(&self, name: &str, password: &str) -> std::result::Result<User, LoginError> {
        self.try_from(HOME, name, password).await
    }

    fn asked(&self) -> Vec<String> {
        self.hasher.asked.lock().unwrap().drain(..).collect()
    }
}

#[tokio::test]
async fn a_user_signs_in_by_login_address_or_id() {
    let door = door();
    for name in ["jane-login", "JANE-LOGIN", "jane@example.org", "Jane@Example.org", "jane"] {
        let user = door.attempt(name, RIGHT).await.unwrap();
        assert_eq!(user.id.as_str(), "jane", "{name}");
        assert_eq!(door.asked(), [CURRENT]);
    }
    assert_eq!(door.told.lock().unwrap().last(), Some(&LoginResult::Success));
    assert_eq!(door.hasher.hashed.load(Ordering::Relaxed), 0, "the hash is as hashes are made");
}

#[tokio::test]
async fn every_refusal_is_the_same_and_costs_one_read_and_one_verification() {
    let door = door();
    for (name, password, hash) in [
        ("jane", "wrong", CURRENT),
        ("nobody", RIGHT, NOBODYS),
        ("nobody", "wrong", NOBODYS),
        ("", "", NOBODYS),
        ("none", RIGHT, NOBODYS),
        ("none", "", NOBODYS),
        ("bad", RIGHT, CURRENT),
        ("guest", RIGHT, CURRENT),
    ] {
        let error = door.attempt(name, password).await.unwrap_err();
        assert!(matches!(error, LoginError::Credentials), "{name}: {error}");
        assert_eq!(error.to_string(), "the name or the password is wrong");
        assert_eq!(door.asked(), [hash], "{name}");
        assert_eq!(door.memory.reads.swap(0, Ordering::Relaxed), 1, "{name}");
    }
    assert!(door.told.lock().unwrap().iter().all(|result| *result == LoginResult::Refused));
}

#[tokio::test]
async fn what_is_too_long_is_not_looked_at() {
    let door = door();
    let long = "x".repeat(1025);
    for (name, password) in [("jane", long.as_str()), (long.as_str(), RIGHT)] {
        assert!(matches!(door.attempt(name, password).await, Err(LoginError::Credentials)));
    }
    assert!(door.asked().is_empty());
}

#[tokio::test]
async fn one_counter_for_all_names_of_a_user() {
    let door = door();
    for name in ["jane-login", "jane@example.org", "jane", "JANE-login", "JANE@EXAMPLE.ORG"] {
        assert!(matches!(door.attempt(name, "wrong").await, Err(LoginError::Credentials)), "{name}");
    }
    door.asked();
    for name in ["jane-login", "jane@example.org", "jane"] {
        let Err(LoginError::Throttled(wait)) = door.attempt(name, RIGHT).await else { panic!("{name}") };
        assert_eq!(wait, Duration::from_secs(12));
    }
    assert!(door.asked().is_empty(), "what is throttled costs nothing");
    assert_eq!(door.told.lock().unwrap().last(), Some(&LoginResult::Throttled));
    // A name that is nobody's is throttled alike, so that being throttled tells nothing.
    for _ in 0..5 {
        assert!(matches!(door.attempt("nobody", "wrong").await, Err(LoginError::Credentials)));
    }
    let Err(LoginError::Throttled(wait)) = door.attempt("NOBODY", "wrong").await else { panic!() };
    assert_eq!(wait, Duration::from_secs(12));
    door.clock.advance(Duration::from_secs(12));
    assert!(door.attempt("jane", RIGHT).await.is_ok());
}

#[tokio::test]
async fn a_hundred_guesses_at_once_are_a_hundred_guesses() {
    let door = Arc::new(door());
    let guess = |door: Arc<Door>| async move { door.attempt("jane", "wrong").await };
    let guesses: Vec<_> = (0..100).map(|_| tokio::spawn(guess(Arc::clone(&door)))).collect();
    for guess in guesses {
        assert!(guess.await.unwrap().is_err());
    }
    assert_eq!(door.asked().len(), 5);
    let told = door.told.lock().unwrap();
    assert_eq!(told.iter().filter(|result| **result == LoginResult::Throttled).count(), 95);
}

#[tokio::test]
async fn a_hundred_right_passwords_at_once_are_let_in() {
    let door = Arc::new(door());
    let sign_in = |door: Arc<Door>| async move { door.attempt("jane", RIGHT).await };
    let all: Vec<_> = (0..100).map(|_| tokio::spawn(sign_in(Arc::clone(&door)))).collect();
    for one in all {
        assert!(one.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn guesses_from_elsewhere_do_not_lock_the_owner_out() {
    let door = door();
    door.attempt("jane", RIGHT).await.unwrap();
    for host in 1..=20 {
        let source = IpAddr::from([203, 0, 113, host]);
        assert!(matches!(door.try_from(source, "jane", "wrong").await, Err(LoginError::Credentials)));
    }
    let elsewhere = IpAddr::from([203, 0, 113, 99]);
    assert!(matches!(door.try_from(elsewhere, "jane", RIGHT).await, Err(LoginError::Throttled(_))));
    assert!(door.attempt("jane", RIGHT).await.is_ok());
}

#[tokio::test]
async fn an_old_hash_is_renewed_at_sign_in_only() {
    let door = door();
    assert!(door.attempt("old", "wrong").await.is_err());
    assert_eq!(door.hasher.hashed.load(Ordering::Relaxed), 0);
    let signed_in = door.attempt("old", RIGHT).await.unwrap();
    assert_eq!(signed_in.password.as_ref().unwrap().hash, CURRENT);
    let kept = door.memory.find_user(&signed_in.id).await.unwrap().unwrap().password.unwrap();
    assert_eq!((kept.hash.as_str(), kept.set), (CURRENT, Timestamp::from_seconds(1)), "it was not set anew");
    door.attempt("old", RIGHT).await.unwrap();
    assert_eq!(door.hasher.hashed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_an_administrator_does_meanwhile_counts() {
    for change in [
        (|user: &mut User| user.ban = banned("x").ban) as fn(&mut User),
        |user| user.password = None,
        |user| {
            if let Some(password) = &mut user.password {
                password.set = Timestamp::from_seconds(999);
            }
        },
    ] {
        let door = door();
        let memory = Arc::clone(&door.memory);
        *door.hasher.meanwhile.lock().unwrap() = Some(Box::new(move || memory.edit(change)));
        assert!(matches!(door.attempt("jane", RIGHT).await, Err(LoginError::Credentials)));
    }
    let door = door();
    let memory = Arc::clone(&door.memory);
    *door.hasher.meanwhile.lock().unwrap() = Some(Box::new(move || {
        memory.edit(|user| {
            if let Some(p) = &mut user.password {
                CURRENT.clone_into(&mut p.hash);
            }
        });
    }));
    assert!(door.attempt("old", RIGHT).await.is_ok(), "a hash that another sign-in has renewed is no reason");
}

#[tokio::test]
async fn a_full_queue_and_a_broken_store_are_told_and_not_counted() {
    let door = door();
    door.hasher.busy.store(true, Ordering::Relaxed);
    for _ in 0..20 {
        let Err(LoginError::Busy(wait)) = door.attempt("jane", "wrong").await else { panic!() };
        assert_eq!(wait, Duration::from_secs(3));
    }
    door.hasher.busy.store(false, Ordering::Relaxed);
    door.memory.broken.store(true, Ordering::Relaxed);
    assert!(matches!(door.attempt("jane", RIGHT).await, Err(LoginError::Store(_))));
    door.memory.broken.store(false, Ordering::Relaxed);
    assert!(door.attempt("jane", RIGHT).await.is_ok());
    let told = door.told.lock().unwrap();
    assert_eq!((told[0], told[20], told[21]), (LoginResult::Busy, LoginResult::Error, LoginResult::Success));
}

/// A writer that the test reads.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_line_tells_who_and_whence_and_never_what_was_typed() {
    let (log, door) = (Log::default(), door());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    for (name, password) in [
        ("jane@example.org", "typed-password"),
        ("password-as-name", "typed-password"),
        ("jane-login", RIGHT),
        ("old", RIGHT),
    ] {
        drop(door.attempt(name, password).await);
    }
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 4, "{log}");
    for (line, (user, result)) in lines.iter().zip([
        (Some("jane"), "refused"),
        (None, "refused"),
        (Some("jane"), "success"),
        (Some("old"), "success"),
    ]) {
        assert!(line.contains("INFO") && line.contains("source=192.0.2.1"), "{line}");
        assert!(line.contains(&format!("result=\"{result}\"")), "{line}");
        assert_eq!(line.contains("user="), user.is_some(), "{line}");
        assert!(user.is_none_or(|user| line.contains(&format!("user={user} "))), "{line}");
    }
    for secret in ["typed-password", "password-as-name", RIGHT, "example.org", "jane-login", CURRENT, OLD] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

struct House {
    memory: Arc<Memory>,
    clock: Arc<ManualClock>,
    sessions: Sessions,
}

fn house() -> House {
    let Door { memory, clock, .. } = door();
    let life = SessionLife { idle: Duration::from_secs(3600), absolute: Duration::from_secs(10_000) };
    let sessions = Sessions::new(
        Arc::clone(&memory) as Arc<dyn SessionStore>,
        Arc::clone(&clock) as Arc<dyn Clock>,
        Arc::new(SystemRandom),
        life,
    );
    House { memory, clock, sessions }
}

impl House {
    async fn begin(&self, id: &str, replaced: Option<&SignedIn>) -> (String, Session) {
        let user = self.memory.find_user(&UserId::parse(id).unwrap()).await.unwrap().unwrap();
        let browser = Browser { user_agent: "Mozilla\r\n/5.0", address: HOME };
        let (cookie, session) = self.sessions.begin(&user, browser, true, replaced).await.unwrap();
        (cookie.expose().to_owned(), session)
    }

    async fn find(&self, cookie: &str) -> Option<SignedIn> {
        self.sessions.find(cookie, "198.51.100.7".parse().unwrap()).await.unwrap()
    }
}

#[tokio::test]
async fn a_cookie_finds_its_session_until_it_ends() {
    let house = house();
    let (cookie, session) = house.begin("jane", None).await;
    assert!(cookie.starts_with("hgs_"));
    assert_eq!((session.user_agent.as_str(), session.address.as_str()), ("Mozilla/5.0", "192.0.2.1"));
    let found = house.find(&cookie).await.unwrap();
    assert_eq!((&found.session, found.user.id.as_str()), (&session, "jane"));
    for wrong in
        ["", "hgs_", &cookie[..cookie.len() - 1], &cookie.replace("hgs_", "hgr_"), session.id.as_str()]
    {
        assert!(house.find(wrong).await.is_none(), "{wrong}");
    }
    assert!(house.sessions.end(&found).await.unwrap());
    assert!(house.find(&cookie).await.is_none());
    assert!(!house.sessions.end(&found).await.unwrap());
    assert_eq!(*house.memory.revoked.lock().unwrap(), [RevocationTarget::Session(session.id)]);
}

#[tokio::test]
async fn a_session_lives_by_use_and_not_for_ever() {
    let house = house();
    let (idle, _) = house.begin("jane", None).await;
    let (used, _) = house.begin("jane", None).await;
    for _ in 0..3 {
        house.clock.advance(Duration::from_secs(3000));
        assert!(house.find(&used).await.is_some());
    }
    assert!(house.find(&idle).await.is_none());
    house.clock.advance(Duration::from_secs(1000));
    assert!(house.find(&used).await.is_none(), "older than its longest life");
}

#[tokio::test]
async fn a_use_is_written_down_once_a_minute() {
    let house = house();
    let (cookie, session) = house.begin("jane", None).await;
    house.clock.advance(Duration::from_secs(59));
    assert_eq!(house.find(&cookie).await.unwrap().session, session);
    house.clock.advance(Duration::from_secs(1));
    let found = house.find(&cookie).await.unwrap().session;
    assert_eq!((found.used, found.address.as_str()), (house.clock.now(), "198.51.100.7"));
    assert_eq!(house.memory.sessions.lock().unwrap()[0].0, found);
}

#[tokio::test]
async fn whoever_may_not_sign_in_has_no_session() {
    for (change, good) in [
        ((|user| user.ban = banned("x").ban) as fn(&mut User), false),
        (|user| user.guest = true, false),
        (|user| user.password.as_mut().unwrap().hash = OLD.to_owned(), true),
        (|user| user.password = None, true),
    ] {
        let house = house();
        let (cookie, _) = house.begin("jane", None).await;
        house.memory.edit(|user| {
            if user.id.as_str() == "jane" {
                change(user);
            }
        });
        assert_eq!(house.find(&cookie).await.is_some(), good);
    }
}

#[tokio::test]
async fn no_session_begins_for_whoever_has_changed_since() {
    for change in [
        (|user: &mut User| user.ban = banned("x").ban) as fn(&mut User),
        (|user| user.password.as_mut().unwrap().set = Timestamp::from_seconds(999)),
        (|user| user.password = None),
    ] {
        let house = house();
        let jane = house.memory.find_user(&UserId::parse("jane").unwrap()).await.unwrap().unwrap();
        house.memory.edit(|user| {
            if user.id == jane.id {
                change(user);
            }
        });
        let browser = Browser { user_agent: "", address: HOME };
        let refused = house.sessions.begin(&jane, browser, false, None).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })));
        assert!(house.memory.sessions.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn signing_in_again_replaces() {
    let house = house();
    let (first, _) = house.begin("jane", None).await;
    let before = house.find(&first).await.unwrap();
    let (second, session) = house.begin("jane", Some(&before)).await;
    assert!(first != second && session.id == before.session.id, "one session, another cookie");
    assert!(house.find(&first).await.is_none() && house.find(&second).await.is_some());
    assert!(house.memory.revoked.lock().unwrap().is_empty(), "what came of one's own session lives on");
    let before = house.find(&second).await.unwrap();
    let (third, _) = house.begin("old", Some(&before)).await;
    assert!(house.find(&second).await.is_none());
    let third = house.find(&third).await.unwrap();
    assert_eq!(third.user.id.as_str(), "old");
    assert_ne!(third.session.id, before.session.id);
    assert_eq!(*house.memory.revoked.lock().unwrap(), [RevocationTarget::Session(before.session.id)]);
}

#[tokio::test]
async fn all_but_one_end() {
    let house = house();
    let mut cookies = Vec::new();
    for _ in 0..3 {
        cookies.push(house.begin("jane", None).await);
    }
    let (others, _) = house.begin("old", None).await;
    let jane = UserId::parse("jane").unwrap();
    assert_eq!(house.sessions.end_all(&jane, Some(&cookies[1].1.id)).await.unwrap(), 2);
    for (at, (cookie, _)) in cookies.iter().enumerate() {
        assert_eq!(house.find(cookie).await.is_some(), at == 1);
    }
    assert!(house.find(&others).await.is_some());
    assert_eq!(house.memory.revoked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_over_is_not_listed() {
    let house = house();
    house.begin("jane", None).await;
    let (_, session) = house.begin("jane", None).await;
    house.begin("old", None).await;
    let jane = UserId::parse("jane").unwrap();
    let listed = house.sessions.list(&jane).await.unwrap();
    assert!(listed.len() == 2 && listed.contains(&session) && listed.iter().all(|one| one.user == jane));
    house.clock.advance(house.sessions.life().absolute);
    assert_eq!(house.sessions.list(&jane).await.unwrap(), []);
}

/// A door before which jane has a second step, and what her device shows.
struct TwoSteps {
    door: Door,
    sealing: SealingKey,
    secret: TotpSecret,
    codes: Vec<Secret>,
}

impl TwoSteps {
    async fn new() -> Self {
        let door = door();
        let (sealing, secret) = (SealingKey::new(&[5; 32]).unwrap(), TotpSecret::random(&SystemRandom));
        let jane = UserId::parse("jane").unwrap();
        let step = SecondStep {
            user: jane.clone(),
            secret: secret.seal(&jane, &sealing, &SystemRandom).unwrap(),
            since: door.clock.now(),
            spent: 0,
            codes_left: 0,
        };
        let codes = recovery::generate(&SystemRandom);
        let digests: Vec<_> =
            codes.iter().map(|code| recovery::digest(&jane, code.expose()).unwrap()).collect();
        door.memory.add_second_step(&step, &digests).await.unwrap();
        Self { door, sealing, secret, codes }
    }

    /// Shows the password.
    async fn halfway(&self) -> Halfway {
        match self.door.attempt("jane", RIGHT).await {
            Err(LoginError::SecondStep(halfway)) => *halfway,
            other => panic!("{other:?}"),
        }
    }

    /// What the device shows so many steps from now.
    fn shown(&self, offset: i64) -> String {
        self.secret.code(totp::step(self.door.clock.now()) + offset).expose().to_owned()
    }

    async fn show(&self, halfway: &Halfway, code: &str) -> std::result::Result<User, LoginError> {
        self.show_from(HOME, halfway, code).await
    }

    async fn show_from(
        &self,
        source: IpAddr,
        halfway: &Halfway,
        code: &str,
    ) -> std::result::Result<User, LoginError> {
        let secrets = Secrets { store: self.door.memory.as_ref(), sealing: &self.sealing };
        self.door.logins.second_step(halfway, &Secret::new(code.to_owned()), source, secrets).await
    }
}

fn is_refused(outcome: &std::result::Result<User, LoginError>) -> bool {
    matches!(outcome, Err(LoginError::Credentials))
}

#[tokio::test]
async fn the_password_alone_does_not_open_an_account_with_a_second_step() {
    let two = TwoSteps::new().await;
    let halfway = two.halfway().await;
    assert_eq!((halfway.user.as_str(), halfway.login.as_str()), ("jane", "jane-login"));
    assert_eq!(two.door.told.lock().unwrap().last(), Some(&LoginResult::SecondStep));
    assert!(is_refused(&two.door.attempt("jane", "wrong").await), "a wrong password is told as anybody's is");
    assert!(two.door.attempt("old", "correct horse").await.is_ok(), "others have one step");
    let code = two.shown(0);
    assert_eq!(two.show(&halfway, &code).await.unwrap().id.as_str(), "jane");
    assert_eq!(two.door.told.lock().unwrap().last(), Some(&LoginResult::Success));
    for used in [code, two.shown(-1), two.shown(0)] {
        assert!(is_refused(&two.show(&halfway, &used).await), "{used}");
    }
    two.show(&halfway, &two.shown(1)).await.unwrap();
    two.door.clock.advance(Duration::from_secs(60));
    assert!(is_refused(&two.show(&halfway, &two.shown(2)).await), "too early by two");
    assert!(is_refused(&two.show(&halfway, "").await));
    let recovery = two.codes[3].expose();
    two.show(&halfway, &recovery.to_uppercase()).await.unwrap();
    assert!(is_refused(&two.show(&halfway, recovery).await), "good once");
}

#[tokio::test]
async fn a_code_opens_only_what_the_password_would_have_opened() {
    let renew = |user: &mut User| {
        if let Some(password) = &mut user.password {
            password.set = Timestamp::from_seconds(77);
        }
    };
    let ban = |user: &mut User| {
        user.ban = Some(Ban { reason: String::new(), since: Timestamp::default(), badge: String::new() });
    };
    let changes: [fn(&mut User); 3] = [renew, ban, |user| user.password = None];
    for change in changes {
        let two = TwoSteps::new().await;
        let halfway = two.halfway().await;
        two.door.memory.edit(change);
        for code in [two.shown(0), two.codes[0].expose().to_owned()] {
            assert!(is_refused(&two.show(&halfway, &code).await));
        }
        let step = two.door.memory.step.lock().unwrap().clone().unwrap();
        assert_eq!((step.0.spent, step.1.len()), (0, 10), "nothing was spent for it");
    }
    let two = TwoSteps::new().await;
    let halfway = two.halfway().await;
    two.door.memory.users.lock().unwrap().retain(|user| user.id.as_str() != "jane");
    assert!(is_refused(&two.show(&halfway, &two.shown(0)).await), "gone");
    let two = TwoSteps::new().await;
    let halfway = two.halfway().await;
    two.door.memory.remove_second_step(&halfway.user).await.unwrap();
    assert!(is_refused(&two.show(&halfway, &two.shown(0)).await), "turned off meanwhile: sign in again");
}

#[tokio::test]
async fn codes_are_guessed_as_slowly_as_passwords_and_the_password_takes_nothing_back() {
    let two = TwoSteps::new().await;
    let halfway = two.halfway().await;
    for _ in 0..5 {
        assert!(is_refused(&two.show(&halfway, "000000").await));
        two.halfway().await;
    }
    let Err(LoginError::Throttled(wait)) = two.show(&halfway, &two.shown(0)).await else { panic!() };
    assert_eq!(wait, Duration::from_secs(12));
    assert_eq!(two.door.told.lock().unwrap().last(), Some(&LoginResult::Throttled));
    two.halfway().await;
    two.door.clock.advance(Duration::from_secs(12));
    two.show(&halfway, &two.shown(0)).await.unwrap();
}

#[tokio::test]
async fn codes_of_an_account_are_counted_over_all_sources() {
    let two = TwoSteps::new().await;
    let halfway = two.halfway().await;
    two.show(&halfway, &two.shown(0)).await.unwrap();
    let source = |n: u8| IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, n));
    for n in 0..10 {
        assert!(is_refused(&two.show_from(source(n), &halfway, "000000").await), "{n}");
    }
    let Err(LoginError::Throttled(wait)) = two.show_from(source(10), &halfway, &two.shown(1)).await else {
        panic!("the eleventh source is heard")
    };
    assert_eq!(wait, Duration::from_secs(360));
    two.show(&halfway, &two.shown(1)).await.expect("where the owner was before, nobody else locks the door");
}

#[tokio::test]
async fn what_cannot_be_judged_opens_nothing() {
    let two = TwoSteps::new().await;
    let halfway = two.halfway().await;
    let other = TwoSteps { sealing: SealingKey::new(&[6; 32]).unwrap(), ..TwoSteps::new().await };
    for _ in 0..10 {
        let outcome = other.show(&halfway, &other.shown(0)).await;
        assert!(matches!(outcome, Err(LoginError::Store(StoreError::Damaged(_)))), "another key file");
    }
    two.door.memory.broken.store(true, Ordering::Relaxed);
    assert!(matches!(two.show(&halfway, &two.shown(0)).await, Err(LoginError::Store(_))));
    assert!(matches!(two.door.attempt("jane", RIGHT).await, Err(LoginError::Store(_))));
}

#[tokio::test]
async fn of_the_same_code_at_once_one_is_good() {
    let two = Arc::new(TwoSteps::new().await);
    let (halfway, code) = (two.halfway().await, two.shown(0));
    let tries = (0..8).map(|_| {
        let (two, halfway, code) = (Arc::clone(&two), halfway.clone(), code.clone());
        tokio::spawn(async move { two.show(&halfway, &code).await.is_ok() })
    });
    let mut good = 0;
    for one in tries.collect::<Vec<_>>() {
        good += usize::from(one.await.unwrap());
    }
    assert_eq!(good, 1);
}
