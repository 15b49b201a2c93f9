//! A process that is killed at any moment has lost nothing that it acknowledged.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    path::Path,
    time::Duration,
};

use hubgate::{
    base::random::{Random, SystemRandom},
    model::{
        event::{EventKind, TargetKind},
        revocation::RevocationTarget,
    },
    store::{
        ChangeFeed as _, KeyStore as _, RevocationStore as _, ServiceStore as _, StoreError,
        events::{EventFilter, EventStore as _},
        grants::{Exchange, GrantStore as _, RefreshState, Rotation},
        people::UserStore as _,
        sqlite::SqliteStore,
    },
};

use super::{
    child,
    conformance::samples::{
        at, code, digest, grant, grant_id, key, of_client, of_grant, of_token, refresh, service, service_id,
        user, user_id,
    },
};

const ROUNDS: usize = 25;
const BIRTHS: usize = 15;

fn up_to(limit: u64) -> Duration {
    let random: &dyn Random = &SystemRandom;
    Duration::from_micros(u64::from_be_bytes(random.bytes()) % (limit * 1000))
}

/// Runs the child until `life` after its first word, kills it, and returns what it told.
fn run_and_kill(test: &str, database: &Path, life: Duration) -> Vec<String> {
    let mut child = child::command(test, database).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut output = String::new();
    while !output.contains("\n:begin\n") {
        assert_ne!(lines.read_line(&mut output).unwrap(), 0, "the child ended early: {output}");
    }
    let reader = std::thread::spawn(move || {
        std::io::Read::read_to_string(&mut lines, &mut output).unwrap();
        output
    });
    std::thread::sleep(life);
    child.kill().unwrap();
    child.wait().unwrap();
    let output = reader.join().unwrap();
    assert!(!output.contains("panicked"), "{output}");
    child::told(&output).into_iter().map(str::to_owned).collect()
}

/// Writes for ever: services and revocations from several tasks, and one service that is renamed again and again.
async fn write_until_killed(database: &Path) {
    let store = std::sync::Arc::new(SqliteStore::open(database).await.unwrap());
    let random: &dyn Random = &SystemRandom;
    let round = u64::from_be_bytes(random.bytes());
    child::tell("begin");
    let writers: Vec<_> = (0..4_u64)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0_u64.. {
                    let id = format!("{round:016x}-{writer}-{n}");
                    store.register_service(&service(&id, &id)).await.unwrap();
                    child::tell(&format!("service {id}"));
                    let number = u128::from(round) << 64 | u128::from(writer) << 32 | u128::from(n);
                    store.revoke(&of_token(number, 1, i64::MAX)).await.unwrap();
                    child::tell(&format!("token {number}"));
                    if n % 3 == 0 {
                        store.remove_service(&service_id(&id), &of_client(&id, 1, i64::MAX)).await.unwrap();
                        child::tell(&format!("removed {id}"));
                    }
                    store.rotate_key(&key(&id, 1), at(2)).await.unwrap();
                    child::tell(&format!("key {id}"));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kill() {
    if let Some(database) = child::database() {
        return write_until_killed(&database).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hubgate.db");
    let mut acknowledged = BTreeSet::new();
    let mut versions = hubgate::store::Versions::default();
    for round in 0..ROUNDS {
        let told = run_and_kill("store::crash::acknowledged_writes_survive_kill", &database, up_to(150));
        acknowledged.extend(told.into_iter().filter(|line| line != "begin"));

        let store = SqliteStore::open(&database).await.unwrap();
        let services = store.list_services().await.unwrap();
        assert!(services.iter().all(|s| s.secrets.len() == 1), "half a service");
        let services: BTreeSet<_> = services.iter().map(|s| s.id.as_str()).collect();
        let keys = store.list_keys().await.unwrap();
        let keys: BTreeSet<_> = keys.iter().map(|k| k.id.as_str()).collect();
        let (mut tokens, mut clients) = (BTreeSet::new(), BTreeSet::new());
        for revocation in store.list_revocations(at(0)).await.unwrap() {
            match revocation.target {
                RevocationTarget::Token(id) => tokens.insert(u128::from_be_bytes(*id.as_bytes())),
                RevocationTarget::Client(id) => clients.insert(id.to_string()),
                other => panic!("nobody wrote {other:?}"),
            };
        }
        for line in &acknowledged {
            let (what, id) = line.split_once(' ').unwrap();
            let kept = match what {
                // Removed since, or being removed when the process died: then the revocation is there.
                "service" => services.contains(id) != clients.contains(id),
                "removed" => !services.contains(id) && clients.contains(id),
                "token" => tokens.contains(&id.parse().unwrap()),
                "key" => keys.contains(id),
                other => panic!("{other}"),
            };
            assert!(kept, "round {round}: {line} was acknowledged and is lost");
        }
        // No change without its event, no event without its change, whatever was cut off.
        let log = store.verify_events(None).await.unwrap();
        assert_eq!(log.broken, None, "round {round}");
        let registered = EventFilter { kind: Some(EventKind::Created), ..EventFilter::default() };
        let registered = EventFilter { target_kind: Some(TargetKind::Service), ..registered };
        let registered = store.count_events(&registered, u64::MAX).await.unwrap();
        assert_eq!(registered, (services.len() + clients.len()) as u64, "round {round}");
        let counted = store.versions().await.unwrap();
        assert!(counted.services >= versions.services && counted.revocations >= versions.revocations);
        versions = counted;
    }
    let per_kind = |kind: &str| acknowledged.iter().filter(|line| line.starts_with(kind)).count();
    assert!(per_kind("service") > ROUNDS && per_kind("removed") > 0, "the children hardly wrote");
}

/// Goes through the lives of codes and refresh tokens for ever, many at once, so that they share transactions.
async fn spend_until_killed(database: &Path) {
    let store = std::sync::Arc::new(SqliteStore::open(database).await.unwrap());
    match store.add_user(&user("ann", "ann")).await {
        Ok(()) | Err(StoreError::Conflict { .. }) => {}
        Err(e) => panic!("{e}"),
    }
    let random: &dyn Random = &SystemRandom;
    let round = u64::from_be_bytes(random.bytes());
    child::tell("begin");
    let spenders: Vec<_> = (0..12_u64)
        .map(|spender| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0_u64.. {
                    let id = format!("{round:016x}-{spender}-{n}");
                    store.add_code(&code(grant(&id, "ann", "yt"))).await.unwrap();
                    child::tell(&format!("code {id}"));
                    let mut token = refresh(&format!("{id}-0"), &id);
                    let exchange = store.exchange_code(&digest(&id), Some(&token), at(2000)).await.unwrap();
                    assert_eq!(exchange, Exchange::First);
                    child::tell(&format!("used {id}"));
                    for k in 0..3 {
                        let next = refresh(&format!("{id}-{}", k + 1), &id);
                        let rotation =
                            store.rotate_refresh(&token.digest, &next, b"", at(3000)).await.unwrap();
                        assert_eq!(rotation, Rotation::First);
                        child::tell(&format!("spent {id} {k}"));
                        token = next;
                    }
                    if n % 2 == 0 {
                        child::tell(&format!("revoking {id}"));
                        store.revoke(&of_grant(&id, 4000)).await.unwrap();
                        child::tell(&format!("revoked {id}"));
                    }
                }
            })
        })
        .collect();
    for spender in spenders {
        spender.await.unwrap();
    }
}

/// What was acknowledged is there, what was spent stays spent, what was revoked stays dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_spent_comes_back_to_life() {
    if let Some(database) = child::database() {
        return spend_until_killed(&database).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hubgate.db");
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let told = run_and_kill("store::crash::nothing_spent_comes_back_to_life", &database, up_to(150));
        let told: Vec<_> = told.into_iter().filter(|line| line != "begin").collect();
        all.extend(told.iter().cloned());
        // Those of this round, and in the end all of them.
        check_spent(&database, if round + 1 == ROUNDS { &all } else { &told }).await;
    }
    let of_kind = |kind: &str| all.iter().filter(|line| line.starts_with(kind)).count();
    assert!(of_kind("spent ") > ROUNDS && of_kind("revoked ") > 0, "the children hardly wrote");
}

async fn check_spent(database: &Path, told: &[String]) {
    let store = SqliteStore::open(database).await.unwrap();
    let dead: BTreeSet<_> = told.iter().filter_map(|line| line.strip_prefix("revoking ")).collect();
    let revoked: BTreeSet<_> = store
        .list_revocations(at(0))
        .await
        .unwrap()
        .into_iter()
        .map(|revocation| match revocation.target {
            RevocationTarget::Grant(id) => id.to_string(),
            other => panic!("nobody wrote {other:?}"),
        })
        .collect();
    for line in told {
        let (what, rest) = line.split_once(' ').unwrap();
        let (id, number) = rest.split_once(' ').unwrap_or((rest, ""));
        // A revocation that was begun may have been done.
        let may_be_gone = dead.contains(id);
        let code = store.find_code(&digest(id)).await.unwrap().map(|(_, used)| used);
        let kept = match what {
            "code" => code.is_some() || may_be_gone,
            "used" => code == Some(true) || code.is_none() && may_be_gone,
            "spent" => {
                let next = number.parse::<u32>().unwrap() + 1;
                let spent = store.find_refresh(&digest(&format!("{id}-{number}"))).await.unwrap();
                let next = store.find_refresh(&digest(&format!("{id}-{next}"))).await.unwrap();
                match (spent, next) {
                    (Some((_, _, RefreshState::Spent { at: when, .. })), Some(_)) => when == at(3000),
                    (None, None) => may_be_gone,
                    _ => false,
                }
            }
            "revoking" => true,
            "revoked" => {
                let token = store.find_refresh(&digest(&format!("{id}-3"))).await.unwrap();
                let grant = store.find_grant(&grant_id(id)).await.unwrap();
                revoked.contains(id) && code.is_none() && token.is_none() && grant.is_none()
            }
            other => panic!("{other}"),
        };
        assert!(kept, "{line} was acknowledged and is not so any more");
    }
    // A family has one live token or none.
    for (grant, _) in store.list_grants(&user_id("ann")).await.unwrap() {
        assert!(!revoked.contains(grant.id.as_str()), "half a revocation");
        let mut live = 0;
        for k in 0..4 {
            let found = store.find_refresh(&digest(&format!("{}-{k}", grant.id))).await.unwrap();
            live += usize::from(matches!(found, Some((_, _, RefreshState::Live))));
        }
        assert_eq!(live, 1, "half a rotation of {}", grant.id);
    }
}

/// Killed while it makes the database: the next start finds none or a whole one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_killed_can_be_repeated() {
    if let Some(database) = child::database() {
        child::tell("begin");
        SqliteStore::open(&database).await.unwrap();
        child::tell("opened");
        return std::future::pending().await;
    }
    let folder = tempfile::tempdir().unwrap();
    for birth in 0..BIRTHS {
        let database = folder.path().join(format!("{birth}/made/hubgate.db"));
        run_and_kill("store::crash::a_start_that_is_killed_can_be_repeated", &database, up_to(12));
        let store = SqliteStore::open(&database).await.unwrap();
        store.register_service(&service("a", "A")).await.unwrap();
        assert_eq!(store.list_services().await.unwrap(), [service("a", "A")]);
    }
}
