//! How fast the embedded store is: refreshes that are on the disk, and the start with many people and tokens.
//! `cargo bench --bench store`; the figures are in `docs/performance.md`.
//!
//! Not a micro-benchmark: what counts is the disk, many callers at once and a full database.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench that cannot be set up has to say so"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use hubgate::{
    base::{
        id::{GrantId, ServiceId, SessionId, UserId},
        random::{Random, SystemRandom},
        time::Timestamp,
    },
    crypto::{
        digest::TokenDigest,
        opaque::{self, Kind},
    },
    model::{
        grant::{Grant, RefreshToken},
        revocation::{Revocation, RevocationTarget},
        scope::GrantedScope,
        user::User,
    },
    store::{
        ChangeFeed as _, RevocationStore as _,
        grants::{GrantStore as _, Rotation},
        people::UserStore as _,
        sqlite::SqliteStore,
    },
};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

/// About what the sealed answer of a refresh has: an access token, a refresh token, the rest.
const ANSWER: usize = 1100;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
const USERS: i64 = 100_000;
const TOKENS: i64 = 1_000_000;

fn main() {
    // Cargo passes `--bench`.
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let folder = folder.map_or_else(|| PathBuf::from("target/bench-store"), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let small = fresh(&folder.join("small.db"));
        drop(SqliteStore::open(&small).await.unwrap());
        for callers in [1, 8, 32, 128] {
            refreshes("empty", &small, callers).await;
        }
        let full = fresh(&folder.join("full.db"));
        fill(&full).await;
        start(&full).await;
        refreshes("full", &full, 32).await;
        neighbour(&full).await;
        purge(&full).await;
        revocation(&full).await;
    });
    std::fs::remove_dir_all(&folder).unwrap();
}

fn fresh(path: &Path) -> PathBuf {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    path.to_owned()
}

const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn random() -> &'static dyn Random {
    &SystemRandom
}

fn digest() -> TokenDigest {
    let token = opaque::generate(Kind::Refresh, random());
    opaque::digest(Kind::Refresh, token.expose()).unwrap()
}

fn percentile(sorted: &[Duration], per_mille: usize) -> f64 {
    let place = (sorted.len() * per_mille / 1000).min(sorted.len() - 1);
    sorted[place].as_secs_f64() * 1000.0
}

/// A family for each caller, whose token is rotated again and again: look it up, judge it, spend it.
async fn refreshes(what: &str, path: &Path, callers: usize) {
    let store = Arc::new(SqliteStore::open(path).await.unwrap());
    let user = UserId::parse("bench").unwrap();
    if store.find_user(&user).await.unwrap().is_none() {
        store.add_user(&plain_user(&user)).await.unwrap();
    }
    let mut rows = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (store, user) = (Arc::clone(&store), user.clone());
                tokio::spawn(async move { caller(&store, &user, began + ROUND).await })
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap());
        }
        let seconds = began.elapsed().as_secs_f64();
        times.sort();
        rows.push((times.len() as f64 / seconds, percentile(&times, 500), percentile(&times, 990)));
    }
    rows.sort_by(|one, other| one.0.total_cmp(&other.0));
    let ((least, ..), (rate, median, p99), (most, ..)) = (rows[0], rows[ROUNDS / 2], rows[ROUNDS - 1]);
    println!(
        "refresh, {what} database, {callers} callers: {rate:.0}/s ({least:.0} to {most:.0}), \
         median {median:.2} ms, p99 {p99:.2} ms"
    );
    store.close().await.unwrap();
}

async fn caller(store: &SqliteStore, user: &UserId, until: Instant) -> Vec<Duration> {
    let now = at(1000);
    let grant = Grant {
        id: GrantId::random(random()),
        client: ServiceId::random(random()),
        user: user.clone(),
        scope: GrantedScope { spelled: "YouTrack".into(), services: vec![ServiceId::random(random())] },
        session: Some(SessionId::random(random())),
        authenticated: now,
        nonce: None,
        created: now,
    };
    let token =
        |digest| RefreshToken { digest, grant: grant.id.clone(), created: now, expires: at(i64::MAX) };
    let mut current = token(digest());
    store.add_grant(&grant, &current).await.unwrap();
    let mut answer = vec![0; ANSWER];
    random().fill(&mut answer);
    let mut times = Vec::new();
    while Instant::now() < until {
        let successor = token(digest());
        let began = Instant::now();
        let found = store.find_refresh(&current.digest).await.unwrap();
        assert!(found.is_some());
        let rotation = store.rotate_refresh(&current.digest, &successor, &answer, now).await.unwrap();
        times.push(began.elapsed());
        assert_eq!(rotation, Rotation::First);
        current = successor;
    }
    times
}

fn plain_user(id: &UserId) -> User {
    User {
        id: id.clone(),
        login: id.to_string(),
        name: String::new(),
        email: None,
        password: None,
        ban: None,
        guest: false,
        administrator: false,
        groups: vec![],
        profile: hubgate::model::user::UserProfile::default(),
        erased: None,
        declared: false,
        created: at(0),
        updated: at(0),
    }
}

/// Writes the rows past the store, which would take its time.
async fn fill(path: &Path) {
    drop(SqliteStore::open(path).await.unwrap());
    let began = Instant::now();
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    for statement in [
        "PRAGMA synchronous = OFF",
        "PRAGMA cache_size = -400000",
        "BEGIN",
        "INSERT INTO user_groups (id, name, folded_name, created, updated)
         VALUES ('g1', 'Group 1', 'group 1', 0, 0), ('g2', 'Group 2', 'group 2', 0, 0)",
        "INSERT INTO group_nesting SELECT id, id FROM user_groups",
        "INSERT INTO users (id, login, folded_login, name, email, email_verified, guest, administrator, declared,
                            created, updated, version)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         SELECT printf('%08x-0000-4000-8000-000000000000', i), 'login' || i, 'login' || i, 'Name of ' || i,
                'login' || i || '@mail.example', 1, 0, 0, 0, 0, 0, i FROM n",
        "INSERT INTO user_names SELECT folded_login, id FROM users",
        "INSERT INTO user_names SELECT email, id FROM users",
        "INSERT INTO user_names SELECT id, id FROM users",
        "INSERT INTO memberships SELECT id, g FROM users, (SELECT 'g1' AS g UNION ALL SELECT 'g2')",
        "UPDATE changes SET version = ?1 WHERE topic = 'users'",
        "INSERT INTO grants (id, client, user_id, scope, session, authenticated, nonce, created)
         SELECT substr(id, 1, 35) || k, '98071167-004c-4ddf-ba37-5d4599fdf319', id,
                '{\"spelled\":\"YouTrack\",\"services\":[\"98071167-004c-4ddf-ba37-5d4599fdf319\"]}',
                substr(id, 1, 35) || k, 0, NULL, 0
         FROM users, (SELECT 1 AS k UNION ALL SELECT 2)",
        // Of each family of five the last is live; half of them expired long ago.
        "INSERT INTO refresh_tokens (digest, grant_id, created, expires, spent)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2 / (?1 * 2))
         SELECT randomblob(32), id, i, iif(i % 2 = 0, 1000000 + abs(random() % 1000000), 9223372036854775807),
                iif(i = ?2 / (?1 * 2), NULL, i) FROM grants, n",
        "COMMIT",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        sqlx::query(statement).bind(USERS).bind(TOKENS).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let size = std::fs::metadata(path).unwrap().len() >> 20;
    println!("filled with {USERS} users and {TOKENS} refresh tokens in {:.1?}: {size} MiB", began.elapsed());
}

async fn start(path: &Path) {
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let store = SqliteStore::open(path).await.unwrap();
        store.versions().await.unwrap();
        let opened = began.elapsed();
        let began = Instant::now();
        let people = store.people(0).await.unwrap();
        let read = began.elapsed();
        assert!(people.changed.len() >= usize::try_from(USERS).unwrap());
        let began = Instant::now();
        let changed = store.people(people.version - 1).await.unwrap().changed.len();
        println!(
            "start with {USERS} users and {TOKENS} tokens: open {opened:.1?}, people(0) {read:.1?}; \
             one change {:.1?} ({changed})",
            began.elapsed()
        );
        store.close().await.unwrap();
    }
}

/// What a command has to wait for while the gateway refreshes without a pause.
async fn neighbour(path: &Path) {
    let store = Arc::new(SqliteStore::open(path).await.unwrap());
    let other = SqliteStore::open(path).await.unwrap();
    let user = UserId::parse("bench").unwrap();
    let until = Instant::now() + 5 * ROUND;
    let busy: Vec<_> = (0..32)
        .map(|_| {
            let (store, user) = (Arc::clone(&store), user.clone());
            tokio::spawn(async move { caller(&store, &user, until).await.len() })
        })
        .collect();
    let (mut times, mut refused) = (Vec::new(), 0);
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        match other.change_user(&user, &|user| user.name.push('x'), None).await {
            Ok(_) => times.push(began.elapsed()),
            Err(_) => refused += 1,
        }
    }
    let mut refreshed = 0;
    for caller in busy {
        refreshed += caller.await.unwrap();
    }
    times.sort();
    println!(
        "another process's writes beside {:.0} refreshes/s: {} done, {refused} refused; median {:.0} ms, p99 {:.0} ms",
        refreshed as f64 / (5 * ROUND).as_secs_f64(),
        times.len(),
        percentile(&times, 500),
        percentile(&times, 990)
    );
    other.close().await.unwrap();
    store.close().await.unwrap();
}

/// Ends all that everybody granted to one client.
async fn revocation(path: &Path) {
    let store = SqliteStore::open(path).await.unwrap();
    let client = ServiceId::parse("98071167-004c-4ddf-ba37-5d4599fdf319").unwrap();
    let began = Instant::now();
    store.revoke(&Revocation::at(at(5000), RevocationTarget::Client(client))).await.unwrap();
    println!("revocation of the client of all families: {:.1?}", began.elapsed());
    store.close().await.unwrap();
}

/// Forgets what has expired while others refresh.
async fn purge(path: &Path) {
    let store = Arc::new(SqliteStore::open(path).await.unwrap());
    let user = UserId::parse("bench").unwrap();
    let purging = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let began = Instant::now();
            let purged = store.purge_grants(Duration::ZERO, at(1_100_000)).await.unwrap();
            (purged, began.elapsed())
        }
    });
    let mut times = caller(&store, &user, Instant::now() + ROUND).await;
    times.sort();
    let (purged, took) = purging.await.unwrap();
    println!(
        "purge of {purged} records: {took:.1?}; a refresh meanwhile: median {:.2} ms, p99 {:.2} ms",
        percentile(&times, 500),
        percentile(&times, 990)
    );
    store.close().await.unwrap();
}
