//! People at the gate (threats H1, T19, T20): whom their tokens let pass, what the upstream is told of them, and how soon
//! a change counts. The tokens are signed with the gateway's own key, the changes are made in the store as another process
//! makes them.

use std::time::{Duration, Instant};

use hubgate::{
    base::{
        id::{GrantId, GroupId, ServiceId, SessionId, TokenId, UserId},
        random::SystemRandom,
        time::{Clock as _, SystemClock},
    },
    crypto::digest::TokenDigest,
    model::{
        revocation::{Revocation, RevocationTarget},
        session::Session,
        user::{Ban, Email, Group, User},
    },
    store::{SharedStore, sqlite::SqliteStore},
};
use serde_json::{Value, json};

use crate::support::{
    Gateway, Recorded, Request, Upstream,
    forge::{self, Key},
    gateway::{OBEYED, eventually},
};

/// The fields that tell about a person.
const TOLD: [&str; 4] =
    ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username"];

const RULES: &str = r#"
[[upstream.rule]]
path = "/api/admins/**"
groups = ["Administrators", "others"]

[[upstream.rule]]
path = "/api/jane/**"
users = ["jane"]

[[upstream.rule]]
path = "/api/u-1/**"
users = ["u-1"]

[[upstream.rule]]
path = "/api/open/**"
access = "public"
"#;

/// A gateway with the rules above for the service `alpha`, its store, and a way to make tokens.
struct House {
    gateway: Gateway,
    upstream: Upstream,
    store: SharedStore,
    runtime: tokio::runtime::Runtime,
    key: Key,
    header: String,
    claims: Value,
}

impl House {
    fn start() -> Self {
        let upstream = Upstream::start();
        let gateway = Gateway::start(|setup| {
            setup
                .service("alpha", "alpha-secret-0123456789")
                .service("open", "open-secret-0123456789")
                .service("machine", "machine-secret-0123456789")
                .open("/public", &upstream, "")
                .route("alpha", "/api", &upstream, RULES);
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let database = gateway.folder().join("data").join("hubgate.db");
        let store = runtime.block_on(SqliteStore::open(&database)).unwrap();
        let (header, claims) = forge::decode(&gateway.machine_token("alpha"));
        let key = gateway.signing_key();
        let store = std::sync::Arc::new(store);
        Self { gateway, upstream, store, runtime, key, header: header.to_string(), claims }
    }

    /// A token of `machine` that acts for this user, of this grant, from this session.
    fn token_of(&self, user: &str, grant: &str, session: Option<&str>) -> String {
        let mut claims = self.claims.clone();
        claims["sub"] = json!(user);
        claims["jti"] = json!(TokenId::random(&SystemRandom).to_string());
        claims["grant_id"] = json!(grant);
        claims["iat"] = json!(SystemClock.now().seconds());
        if let Some(session) = session {
            claims["sid"] = json!(session);
        }
        self.key.sign(&self.header, &claims.to_string())
    }

    fn token(&self, user: &str) -> String {
        self.token_of(user, &format!("grant-of-{user}"), None)
    }

    fn status(&self, path: &str, token: &str) -> u16 {
        self.gateway.send(&Request::get(path).bearer(token)).status
    }

    fn add(&self, user: &User) {
        self.runtime.block_on(self.store.add_user(user)).unwrap();
    }

    fn change(&self, user: &str, change: impl Fn(&mut User) + Send + Sync) {
        self.runtime.block_on(self.store.change_user(&user_id(user), &change, None)).unwrap();
    }

    fn add_group(&self, id: &str, name: &str) -> GroupId {
        let (group, now) = (GroupId::parse(id).unwrap(), SystemClock.now());
        let record = Group {
            id: group.clone(),
            name: name.into(),
            description: None,
            icon_url: None,
            parent: None,
            auto_join: false,
            all_users: false,
            created: now,
            updated: now,
        };
        self.runtime.block_on(self.store.add_group(&record)).unwrap();
        group
    }

    fn revoke(&self, target: RevocationTarget) {
        self.runtime.block_on(self.store.revoke(&Revocation::at(SystemClock.now(), target))).unwrap();
    }

    /// Waits until this answer comes.
    fn within_a_second(&self, what: &str, path: &str, token: &str, status: u16) {
        let deadline = Instant::now() + OBEYED;
        while self.status(path, token) != status {
            assert!(Instant::now() < deadline, "{what}: not within a second");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The token is refused, and nothing of the request arrives.
    fn assert_refused(&self, what: &str, token: &str, why: &str) {
        self.upstream.take();
        let answer = self.gateway.send(&Request::get("/api/x").bearer(token));
        assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_token"), "{what}");
        assert!(answer.text().contains(why), "{what}: {}", answer.text());
        assert!(self.upstream.take().is_empty(), "{what}");
    }

    /// What the upstream is told when this token asks for this path.
    fn told(&self, path: &str, token: &str) -> [Option<String>; 4] {
        self.upstream.take();
        assert_eq!(self.status(path, token), 200);
        told(&self.upstream.take()[0])
    }
}

fn told(seen: &Recorded) -> [Option<String>; 4] {
    TOLD.map(|name| seen.header(name))
}

fn user_id(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn user(id: &str, login: &str) -> User {
    let now = SystemClock.now();
    User {
        id: user_id(id),
        login: login.into(),
        name: format!("{login} by name"),
        email: None,
        password: None,
        ban: None,
        guest: false,
        administrator: false,
        groups: vec![],
        profile: hubgate::model::user::UserProfile::default(),
        erased: None,
        declared: false,
        created: now,
        updated: now,
    }
}

fn banned(user: &mut User) {
    user.ban = Some(Ban { reason: "for the test".into(), since: SystemClock.now(), badge: String::new() });
}

fn some(values: [&str; 4]) -> [Option<String>; 4] {
    values.map(|value| (!value.is_empty()).then(|| value.to_owned()))
}

/// H1: the upstream sees the gateway's word, once, and never the client's.
#[test]
fn an_upstream_is_told_who_asks_and_nothing_that_a_client_claims() {
    let house = House::start();
    let groups = vec![house.add_group("g-1", "Site Admins"), house.add_group("g-2", "developers")];
    let email = Some(Email { address: "jane@example.org".into(), verified: true });
    house.add(&User { email, groups, ..user("u-1", "jane") });
    house.add(&user("u-2", "joe"));
    let (jane, joe, machine) = (house.token("u-1"), house.token("u-2"), house.gateway.machine_token("alpha"));
    house.within_a_second("they are known", "/api/x", &joe, 200);
    let janes = some(["u-1", "jane@example.org", "Site Admins,developers", "jane"]);
    for (token, expected) in
        [(&jane, janes.clone()), (&joe, some(["u-2", "", "", "joe"])), (&machine, some([""; 4]))]
    {
        assert_eq!(house.told("/api/x", token), expected);
        assert_eq!(house.told("/api/open/x", token), expected, "a public address");
        // With the client's own words, in every spelling, over one connection and several.
        let mut request = Request::get("/api/x").bearer(token);
        for name in TOLD {
            for spelled in
                [name.to_owned(), name.replace('-', "_"), name.replace('-', "."), name.to_uppercase()]
            {
                request = request.header(&spelled, "forged");
            }
        }
        request = request.header("Connection", "x-forwarded-user, x-forwarded-groups");
        let mut connection = house.gateway.raw();
        for _ in 0..2 {
            house.upstream.take();
            connection.send(request.bytes());
            assert_eq!(connection.answer().expect("an answer").status, 200);
            let seen = &house.upstream.take()[0];
            assert_eq!(told(seen), expected);
            assert!(!String::from_utf8_lossy(&seen.head).contains("forged"), "{seen:?}");
        }
    }
    // Tokens of several people over one connection do not mix.
    let mut connection = house.gateway.raw();
    for token in [&jane, &joe, &machine, &jane, &machine, &joe] {
        house.upstream.take();
        connection.send(Request::get("/api/x").bearer(token).bytes());
        assert_eq!(connection.answer().expect("an answer").status, 200);
        let login = house.upstream.take()[0].header("x-forwarded-preferred-username");
        let expected = if *token == jane { Some("jane") } else { (*token == joe).then_some("joe") };
        assert_eq!(login.as_deref(), expected);
    }
    // The scoped token says the same.
    assert_eq!(house.status("/api/x", &jane), 200);
    let scoped = house.upstream.take()[0].header("authorization").unwrap();
    let (_, claims) = forge::decode(scoped.strip_prefix("Bearer ").unwrap());
    assert_eq!((&claims["sub"], &claims["grant_id"]), (&json!("u-1"), &json!("grant-of-u-1")));
    eventually("the decision line names the user", || house.gateway.lines().contains("u-1"));
}

/// Names that would read as others', or as two, arrive so that they cannot; byte by byte.
#[test]
fn names_arrive_as_one_entry_each() {
    let house = House::start();
    let names = ["admins ", "a,admins", "\"admins\"", "ädmins", "admins;q=1", "100%", "管理"];
    let groups = names
        .iter()
        .enumerate()
        .map(|(number, name)| house.add_group(&format!("g-{number}"), name))
        .collect();
    let email = Some(Email { address: "\"a,b\"@example.org".into(), verified: true });
    house.add(&User { email, groups, ..user("u-1", "jane ö") });
    let jane = house.token("u-1");
    house.within_a_second("she is known", "/api/x", &jane, 200);
    let expected = some([
        "u-1",
        "%22a%2Cb%22@example.org",
        "%22admins%22,100%25,a%2Cadmins,admins%20,admins%3Bq=1,%C3%A4dmins,%E7%AE%A1%E7%90%86",
        "jane %C3%B6",
    ]);
    assert_eq!(house.told("/api/x", &jane), expected);
}

/// T19: whoever is not there, or is banned, passes nowhere with any token, remembered or not.
#[test]
fn a_ban_and_a_removal_end_every_token_of_a_user() {
    let mut house = House::start();
    let jane = house.token("u-1");
    house.assert_refused("nobody of this id", &jane, "does not exist");
    house.add(&user("u-1", "jane"));
    house.add(&user("u-2", "joe"));
    let joe = house.token("u-2");
    house.within_a_second("they are known", "/api/x", &joe, 200);
    assert_eq!(house.status("/api/x", &jane), 200);
    let mut connection = house.gateway.raw();
    let mut ask = |house: &House| {
        house.upstream.take();
        connection.send(Request::get("/api/x").bearer(&jane).bytes());
        let status = connection.answer().expect("an answer").status;
        assert_eq!(house.upstream.take().len(), usize::from(status == 200));
        status
    };
    assert_eq!((ask(&house), ask(&house)), (200, 200));

    house.change("u-1", banned);
    house.within_a_second("the ban", "/api/x", &jane, 401);
    assert_eq!(ask(&house), 401, "a connection remembers the token");
    house.assert_refused("banned", &jane, "banned");
    house.assert_refused("banned, a new token", &house.token("u-1"), "banned");
    assert_eq!(house.status("/api/x", &joe), 200, "others are not touched");
    // Where nobody is asked who they are, a token that is not accepted counts as none.
    assert_eq!(house.told("/api/open/x", &jane), some([""; 4]));

    house.change("u-1", |user| user.ban = None);
    house.within_a_second("the ban is lifted", "/api/x", &jane, 200);
    assert_eq!(ask(&house), 200);

    let now = SystemClock.now();
    let revocation = Revocation::at(now, RevocationTarget::User(user_id("u-1")));
    house.runtime.block_on(house.store.remove_user(&user_id("u-1"), &revocation)).unwrap();
    house.within_a_second("the removal", "/api/x", &jane, 401);
    assert_eq!(ask(&house), 401);
    house.assert_refused("removed", &jane, "");
    house.gateway.restart();
    house.assert_refused("after a restart", &jane, "");
    assert_eq!(house.status("/api/x", &joe), 200, "after a restart");
}

/// T20: what a rule asks is held against the person as it is now.
#[test]
fn rules_follow_the_person() {
    let house = House::start();
    let [admins, others] =
        [house.add_group("g-1", "Administrators"), house.add_group("g-2", "administrators of old")];
    house.add(&user("u-1", "jane"));
    house.add(&User { groups: vec![others], ..user("u-2", "joe") });
    let (jane, joe, machine) = (house.token("u-1"), house.token("u-2"), house.gateway.machine_token("alpha"));
    house.within_a_second("they are known", "/api/x", &joe, 200);
    for (path, expected) in [
        ("/api/admins/x", [403, 403, 403]),
        ("/api/jane/x", [200, 403, 403]),
        ("/api/u-1/x", [200, 403, 403]),
        ("/api/x", [200, 200, 200]),
    ] {
        assert_eq!([&jane, &joe, &machine].map(|token| house.status(path, token)), expected, "{path}");
    }
    let denied = house.gateway.send(&Request::get("/api/admins/x").bearer(&jane));
    assert_eq!((denied.status, denied.error().as_str()), (403, "access_denied"));

    let mut connection = house.gateway.raw();
    let mut ask = |house: &House| {
        house.upstream.take();
        connection.send(Request::get("/api/admins/x").bearer(&jane).bytes());
        let status = connection.answer().expect("an answer").status;
        (status, house.upstream.take().first().and_then(|seen| seen.header("x-forwarded-groups")))
    };
    assert_eq!(ask(&house), (403, None));
    let told = |groups: &str| Some(groups.to_owned());
    let join = admins.clone();
    house.change("u-1", move |user| user.groups = vec![join.clone()]);
    house.within_a_second("she joins", "/api/admins/x", &jane, 200);
    assert_eq!(ask(&house), (200, told("Administrators")));

    let rename = |name: &str| {
        let now = SystemClock.now();
        let group = Group {
            id: admins.clone(),
            name: name.into(),
            description: None,
            icon_url: None,
            parent: None,
            auto_join: false,
            all_users: false,
            created: now,
            updated: now,
        };
        house.runtime.block_on(house.store.update_group(&group)).unwrap();
    };
    rename("administrators");
    house.within_a_second("a name is compared as it is written", "/api/admins/x", &jane, 403);
    assert_eq!(ask(&house), (403, None));
    rename("others");
    house.within_a_second("the other group of the rule", "/api/admins/x", &jane, 200);
    assert_eq!(ask(&house), (200, told("others")));
    house.runtime.block_on(house.store.remove_group(&admins)).unwrap();
    house.within_a_second("the group is gone", "/api/admins/x", &jane, 403);
    assert_eq!(ask(&house), (403, None));

    // In a group below that of the rule.
    let parent = house.add_group("g-3", "Administrators");
    let below = |id: &str, name: &str, parent: &GroupId| {
        let group = house.add_group(id, name);
        let mut record = house.runtime.block_on(house.store.find_group(&group)).unwrap().unwrap();
        record.parent = Some(parent.clone());
        house.runtime.block_on(house.store.update_group(&record)).unwrap();
        record
    };
    let between = below("g-4", "between", &parent);
    let deepest = below("g-5", "deepest", &between.id);
    house.change("u-1", move |user| user.groups = vec![deepest.id.clone()]);
    house.within_a_second("she is in it by way of two", "/api/admins/x", &jane, 200);
    assert_eq!(ask(&house), (200, told("Administrators,between,deepest")));
    let apart = Group { parent: None, ..between };
    house.runtime.block_on(house.store.update_group(&apart)).unwrap();
    house.within_a_second("the way is cut", "/api/admins/x", &jane, 403);
    assert_eq!(ask(&house), (403, None));

    // Who gets the login that a rule names is the one whom it means.
    house.change("u-1", |user| user.login = "jane2".into());
    house.within_a_second("another login", "/api/jane/x", &jane, 403);
    assert_eq!(house.status("/api/u-1/x", &jane), 200);
    house.change("u-2", |user| user.login = "jane".into());
    house.within_a_second("her login", "/api/jane/x", &joe, 200);
    assert_eq!(house.status("/api/u-1/x", &joe), 403);
}

/// hub-contract section 2.2: anonymous access exists only while the guest is not banned.
#[test]
fn the_guest_acts_while_it_is_not_banned() {
    let house = House::start();
    let guest = house.runtime.block_on(house.store.find_guest()).unwrap().expect("a guest from the start");
    let guest = guest.id.as_str();
    house.add(&user("u-2", "joe"));
    let token = house.token(guest);
    house.within_a_second("they are known", "/api/x", &house.token("u-2"), 200);
    house.assert_refused("banned", &token, "banned");
    house.change(guest, |user| user.ban = None);
    house.within_a_second("not banned", "/api/x", &token, 200);
    assert_eq!(house.told("/api/x", &token), some([guest, "", "", "guest"]));
    assert_eq!(house.status("/api/jane/x", &token), 403);
}

/// T19: a revocation of each kind, remembered or not, within a second, and across a restart.
#[test]
fn every_revocation_is_obeyed_within_a_second() {
    let mut house = House::start();
    house.add(&user("u-1", "jane"));
    house.add(&user("u-2", "joe"));
    let bystander = house.token_of("u-2", "g-9", Some("s-9"));
    house.within_a_second("they are known", "/api/x", &bystander, 200);
    let mut dead = Vec::new();
    for (name, target) in [
        ("a grant", RevocationTarget::Grant(GrantId::parse("g-1").unwrap())),
        ("a session", RevocationTarget::Session(SessionId::parse("s-2").unwrap())),
        ("a consent", RevocationTarget::Consent(user_id("u-1"), ServiceId::parse("machine").unwrap())),
        ("a user", RevocationTarget::User(user_id("u-1"))),
    ] {
        let token = match &target {
            RevocationTarget::Grant(_) => house.token_of("u-1", "g-1", Some("s-1")),
            RevocationTarget::Session(_) => house.token_of("u-1", "g-2", Some("s-2")),
            _ => house.token_of("u-1", "g-3", None),
        };
        let mut connection = house.gateway.raw();
        connection.send(Request::get("/api/x").bearer(&token).bytes());
        assert_eq!(connection.answer().expect("an answer").status, 200, "{name}");
        assert_eq!(house.status("/api/x", &token), 200, "{name}");
        house.revoke(target);
        house.within_a_second(name, "/api/x", &token, 401);
        connection.send(Request::get("/api/x").bearer(&token).bytes());
        assert_eq!(connection.answer().expect("an answer").status, 401, "{name}: a connection remembers it");
        house.assert_refused(name, &token, "revoked");
        assert_eq!(house.status("/api/x", &bystander), 200, "{name}: others are not touched");
        dead.push((name, token));
        // Of consents and users it ends what was issued up to its second, and nothing that comes later.
        std::thread::sleep(Duration::from_millis(1050));
        let fresh = house.token_of("u-1", "g-fresh", None);
        assert_eq!(house.status("/api/x", &fresh), 200, "{name}: a token from afterwards");
    }

    // The store's own verb.
    let now = SystemClock.now();
    let session = Session {
        id: SessionId::parse("s-5").unwrap(),
        user: user_id("u-1"),
        authenticated: now,
        used: now,
        remember: false,
        user_agent: String::new(),
        address: String::new(),
    };
    let digest = TokenDigest::of(b"cookie");
    let began = house.store.begin_session(&session, &digest, None);
    house.runtime.block_on(began).unwrap();
    let token = house.token_of("u-1", "g-5", Some("s-5"));
    assert_eq!(house.status("/api/x", &token), 200);
    let revocation = Revocation::at(SystemClock.now(), RevocationTarget::Session(session.id.clone()));
    assert!(house.runtime.block_on(house.store.end_session(&session.id, &revocation)).unwrap());
    house.within_a_second("a session that ends", "/api/x", &token, 401);
    dead.push(("a session that ends", token));

    house.gateway.restart();
    for (name, token) in &dead {
        house.assert_refused(&format!("{name}, after a restart"), token, "revoked");
    }
    assert_eq!(house.status("/api/x", &bystander), 200, "after a restart");
}

/// What the command tells of a person's token is what the gate says.
#[test]
fn the_command_tells_for_whom_a_token_acts() {
    let house = House::start();
    let group = house.add_group("g-1", "developers");
    house.add(&User { groups: vec![group], ..user("u-1", "jane") });
    let jane = house.token_of("u-1", "g-7", Some("s-7"));
    let inspected = house.gateway.command(&["token", "inspect", &jane]);
    for part in ["u-1 (jane, jane by name)", "developers", "g-7", "s-7", "machine"] {
        assert!(inspected.contains(part), "{part} in {inspected}");
    }
    let read = |json: String| serde_json::from_str::<Value>(&json).unwrap();
    let inspected = read(house.gateway.command(&["token", "inspect", "--json", &jane]));
    assert_eq!((&inspected["good"], &inspected["user"]["login"]), (&json!(true), &json!("jane")));
    house.change("u-1", banned);
    let inspected = read(house.gateway.command(&["token", "inspect", "--json", &jane]));
    assert_eq!(inspected["good"], json!(false));
    assert!(inspected["reason"].as_str().unwrap().contains("banned"), "{inspected}");
    let own =
        read(house.gateway.command(&["token", "inspect", "--json", &house.gateway.machine_token("alpha")]));
    assert_eq!((&own["good"], &own["user"]), (&json!(true), &Value::Null));
}
