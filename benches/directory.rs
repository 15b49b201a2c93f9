//! What a page of users costs in CPU time: listings and searches in a store of 100,000 users, or of as many as are named, and
//! whether memory grows with them. `cargo bench --bench directory [-- USERS]`; the figures are in `docs/performance.md`.
//!
//! Counted is the time of the whole process, SQLite's threads included, which no other process on the machine adds to.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench that cannot be set up has to say so")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::path::Path;

use hubgate::{
    base::id::{GroupId, UserId},
    model::search::{By, Filter, GroupFilter, Match, Page, UserFilter, UserIs, UserKey},
    store::{search::PeopleSearch as _, sqlite::SqliteStore},
};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

const USERS: i64 = 100_000;
const ROUNDS: u32 = 100;
const PAGES_DEEP: u64 = 50_000;

fn main() {
    // Cargo passes `--bench`.
    let users = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(USERS);
    let folder = Path::new("target/bench-directory");
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join("full.db");
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        drop(SqliteStore::open(&path).await.unwrap());
        fill(&path, users).await;
        let store = SqliteStore::open(&path).await.unwrap();
        let before = resident();
        searches(&store).await;
        println!("resident memory: {before} KiB before, {} KiB after", resident());
        store.close().await.unwrap();
    });
    std::fs::remove_dir_all(folder).unwrap();
}

async fn searches(store: &SqliteStore) {
    let is = Filter::from;
    let prefix = |text: &str| Match::Prefix(text.to_owned());
    let by = |key, descending| By { key, descending };
    let everybody = UserFilter::default;
    let first = Page::first(100);
    let deep = Page { skip: PAGES_DEEP, top: Some(100) };
    let q = "login4711";
    let picker = Filter::Or(vec![is(UserIs::Name(prefix("Name of 4711"))), is(UserIs::Login(prefix(q)))]);
    let words = Filter::Or(vec![
        is(UserIs::AnyText(Match::Exact("4711".into()))),
        is(UserIs::AnyText(prefix("4711"))),
    ]);
    let group = GroupId::parse("small").unwrap();
    for (what, filter, order, page) in [
        ("a page of 100", everybody(), None, first),
        ("the same by name, downwards", everybody(), Some(by(UserKey::Name, true)), first),
        ("the page after 50,000", everybody(), None, deep),
        ("by the beginning of a login, 11 found", is(UserIs::Login(prefix(q))), None, first),
        ("by a beginning that 11,111 have", is(UserIs::Login(prefix("login4"))), None, first),
        ("by name or login, as pickers ask", picker, None, first),
        ("by words, as pickers ask", words, None, first),
        ("a group of 1,000", is(UserIs::InGroup(group)), None, first),
    ] {
        let mut total = 0;
        let cost =
            cost(async || total = store.find_users(&filter, order.as_slice(), page).await.unwrap().total)
                .await;
        println!("{what}: {cost:.2} ms of CPU, {total} found, {} KiB resident", resident());
    }
    let users = store.find_users(&everybody(), &[], first).await.unwrap().items;
    let ids: Vec<UserId> = users.iter().map(|user| user.id.clone()).collect();
    let cost_of = cost(async || drop(store.groups_of(&ids).await.unwrap())).await;
    println!("the groups of 100 users: {cost_of:.2} ms of CPU");
    let groups = store.find_groups(&GroupFilter::default(), &[], first).await.unwrap().items;
    let ids: Vec<GroupId> = groups.iter().map(|group| group.id.clone()).collect();
    let cost_of = cost(async || drop(store.count_members(&ids).await.unwrap())).await;
    println!("how many are in {} groups: {cost_of:.2} ms of CPU", ids.len());
}

/// Milliseconds of CPU time of one call, on average.
async fn cost(mut call: impl AsyncFnMut()) -> f64 {
    call().await;
    let before = ticks();
    for _ in 0..ROUNDS {
        call().await;
    }
    // A tick is 10 ms.
    (ticks() - before) as f64 * 10.0 / f64::from(ROUNDS)
}

/// CPU time of this process, in ticks of the kernel.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields.iter().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Writes the rows past the store, which would take its time.
async fn fill(path: &Path, users: i64) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    for statement in [
        "PRAGMA synchronous = OFF",
        "BEGIN",
        "INSERT INTO user_groups (id, name, folded_name, words, created, updated)
         VALUES ('all', 'Large', 'large', ' large', 0, 0), ('small', 'Small', 'small', ' small', 0, 0)",
        "INSERT INTO group_nesting SELECT id, id FROM user_groups",
        "INSERT INTO users (id, login, folded_login, name, folded_name, email, folded_email, email_verified, guest,
                            administrator, declared, created, updated, version)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         SELECT printf('%08x-0000-4000-8000-000000000000', i * 7919 % 1000003), 'login' || i, 'login' || i,
                'Name of ' || i, 'name of ' || i, 'login' || i || '@mail.example', 'login' || i || '@mail.example',
                1, 0, 0, 0, i, 0, i FROM n",
        "INSERT INTO user_names SELECT folded_login, id FROM users",
        "INSERT INTO user_names SELECT email, id FROM users",
        "INSERT INTO user_names SELECT id, id FROM users",
        "INSERT INTO user_words SELECT login, id FROM users",
        "INSERT INTO user_words SELECT 'name', id FROM users",
        "INSERT INTO user_words SELECT 'of', id FROM users",
        "INSERT INTO user_words SELECT substr(login, 6), id FROM users",
        "INSERT INTO user_words SELECT '@' || login, id FROM users",
        "INSERT INTO user_words SELECT '@mail', id FROM users",
        "INSERT INTO user_words SELECT '@example', id FROM users",
        "INSERT INTO memberships SELECT id, 'all' FROM users",
        "INSERT INTO memberships SELECT id, 'small' FROM users WHERE created % 100 = 0",
        "INSERT INTO user_accesses SELECT id, created, '192.0.2.1', 'Mozilla/5.0' FROM users",
        "UPDATE changes SET version = ?1 WHERE topic = 'users'",
        "COMMIT",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        sqlx::query(statement).bind(users).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    println!("filled with {users} users: {} MiB", std::fs::metadata(path).unwrap().len() >> 20);
}
