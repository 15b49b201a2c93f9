//! Whether time tells who is there: the same refusal for an unknown client and for a wrong secret, for an unknown name and
//! for a wrong password, timed in turn and held against each other with Welch's t-test, as dudect does (Reparaz, Balasch,
//! Verbauwhede 2017). `cargo bench --bench timing`; the figures are in `docs/performance.md`.
//!
//! No test: on a busy machine chance alone is enough. That both do the same work is asserted in the suite.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench that cannot be set up has to say so"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hubgate::{
    base::{
        id::{ServiceId, UserId},
        random::{Random, SystemRandom},
        secret::Secret,
        time::{Clock, SystemClock, Timestamp},
    },
    crypto::{
        digest::SecretDigest,
        password::{Direct, HashError, Hasher, NOBODYS},
    },
    identity::{login::Logins, throttle::LoginLimits},
    model::{
        registry::Registry,
        service::{Profile, Service, StoredSecret, Trust},
        user::{Email, Password, User, UserProfile},
    },
    oauth::{client_auth, form::Form},
    store::{people::UserStore as _, sqlite::SqliteStore},
};

/// The program's own allocator, so that allocations take what they take there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Of each side; with real hashes, which take as long as a thousand of the rest, fewer.
const SAMPLES: usize = 10_000;
const HASHED: usize = 1_000;
/// Clients of each side, who take turns: few enough to stay in a core's first cache, as the one does whom somebody asks about.
const CLIENTS: usize = 32;
/// People of each side.
const PEOPLE: usize = 500;
/// What is slower than this share of all is taken for somebody else's work on the machine.
const CROPPED_ABOVE: f64 = 0.95;
/// From here on two sides differ (dudect's own mark).
const MARK: f64 = 4.5;
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn main() {
    let folder = Path::new("target/bench-timing");
    // What an earlier run that was broken off has left.
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    clients();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let file = folder.join("people.db");
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let hasher = Direct::new(Arc::clone(&random));
        let hash = hasher.hash_now(&Secret::new("right".to_owned())).unwrap();
        let store = Arc::new(SqliteStore::open(&file).await.unwrap());
        for number in 0..PEOPLE {
            store.add_user(&person(&name(true, number), &hash)).await.unwrap();
        }
        people("all but the hash", &store, Arc::new(Nothing), SAMPLES).await;
        people("with the hash", &store, Arc::new(hasher), HASHED).await;
    });
    std::fs::remove_dir_all(folder).unwrap();
}

/// An unknown client and a known one, both with a wrong secret.
fn clients() {
    let service = |number| Service {
        id: ServiceId::parse(&name(true, number)).unwrap(),
        name: format!("Service {number}"),
        trust: Trust::default(),
        profile: Profile::default(),
        secrets: vec![StoredSecret::current(SecretDigest::of(&format!("secret {number}")), NOW)],
        declared: false,
        created: NOW,
        updated: NOW,
    };
    let registry = Registry::new((0..CLIENTS).map(service), "https://gate.example/hub");
    let header = |known, number| {
        format!("Basic {}", STANDARD.encode(format!("{}:{:032}", name(known, number), number))).into_bytes()
    };
    let headers = [false, true].map(|known| (0..CLIENTS).map(|n| header(known, n)).collect::<Vec<_>>());
    let form = Form::default();
    let mut times = [Vec::new(), Vec::new()];
    // What comes first warms up and is not counted.
    for (round, (known, number)) in turns(SAMPLES + SAMPLES / 10, CLIENTS).into_iter().enumerate() {
        let header = &headers[usize::from(known)][number];
        let began = Instant::now();
        let presented = client_auth::presented(&[black_box(header.as_slice())], &form).unwrap();
        let answer = client_auth::confidential(&presented, &registry, NOW);
        let took = began.elapsed();
        assert!(black_box(answer).is_err());
        if round >= SAMPLES / 5 {
            times[usize::from(known)].push(took);
        }
    }
    report("client authentication, unknown client against wrong secret", times);
}

/// An unknown name and a known one, both with a wrong password.
async fn people(what: &str, store: &Arc<SqliteStore>, hasher: Arc<dyn Hasher>, samples: usize) {
    let any = Some((NonZeroU32::MAX, Duration::from_secs(1)));
    let limits = LoginLimits { pair: any, source: any, account: any };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let users = (Arc::clone(store) as _, Arc::clone(store) as _);
    let logins = Logins::new(users, hasher, clock, limits, Box::new(|_, _, _| ()));
    let source = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let wrong = Secret::new("wrong".to_owned());
    let mut times = [Vec::new(), Vec::new()];
    for (round, (known, number)) in turns(samples + samples / 10, PEOPLE).into_iter().enumerate() {
        let name = name(known, number);
        let began = Instant::now();
        let answer = logins.authenticate(&name, &wrong, source).await;
        let took = began.elapsed();
        assert!(answer.is_err());
        if round >= samples / 5 {
            times[usize::from(known)].push(took);
        }
    }
    report(&format!("sign-in, unknown name against wrong password, {what}"), times);
}

/// So many of each side in random order: whether known, and which of `who`.
fn turns(each: usize, who: usize) -> Vec<(bool, usize)> {
    let mut turns: Vec<(bool, usize)> = (0..each).flat_map(|n| [(false, n % who), (true, n % who)]).collect();
    let random: &dyn Random = &SystemRandom;
    for end in (1..turns.len()).rev() {
        let at = u64::from_ne_bytes(random.bytes()) % (end as u64 + 1);
        turns.swap(end, usize::try_from(at).unwrap());
    }
    turns
}

/// The id of a client, or the name of somebody. Of one form and in one row, whether there is one or not.
fn name(known: bool, number: usize) -> String {
    format!("5f0c7a11-0000-4000-8000-{:012x}", number * 2 + usize::from(known))
}

fn person(name: &str, hash: &str) -> User {
    User {
        id: UserId::parse(&format!("{name}-id")).unwrap(),
        login: name.to_owned(),
        name: name.to_owned(),
        email: Some(Email { address: format!("{name}@mail.example"), verified: true }),
        password: Some(Password { hash: hash.to_owned(), set: NOW, must_change: false }),
        ban: None,
        guest: false,
        administrator: false,
        groups: vec![],
        profile: UserProfile::default(),
        erased: None,
        declared: false,
        created: NOW,
        updated: NOW,
    }
}

/// Refuses at once, so that what is left can be seen.
struct Nothing;

#[async_trait]
impl Hasher for Nothing {
    async fn verify(&self, hash: &str, _: &Secret) -> Result<bool, HashError> {
        black_box(hash);
        Ok(false)
    }
    async fn hash(&self, _: &Secret) -> Result<String, HashError> {
        Ok(NOBODYS.to_owned())
    }
}

/// Welch's t of two sides: the distance of the means in units of its own standard error.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let (a, b) = (moments(one), moments(other));
    (a.0 - b.0) / (a.1 / one.len() as f64 + b.1 / other.len() as f64).sqrt()
}

/// Mean and variance.
fn moments(samples: &[f64]) -> (f64, f64) {
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let variance = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (samples.len() as f64 - 1.0);
    (mean, variance)
}

fn report(what: &str, times: [Vec<Duration>; 2]) {
    let mut all: Vec<Duration> = times.iter().flatten().copied().collect();
    all.sort();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
    let limit = all[(all.len() as f64 * CROPPED_ABOVE) as usize];
    let [unknown, wrong] = times.map(|side| {
        side.into_iter()
            .filter(|time| *time <= limit)
            .map(|time| time.as_secs_f64() * 1e6)
            .collect::<Vec<_>>()
    });
    let t = welch(&unknown, &wrong);
    let (a, b) = (moments(&unknown), moments(&wrong));
    println!(
        "{what}: {} and {} samples below {:.1} µs; {:.3} ± {:.3} and {:.3} ± {:.3} µs; t = {t:.2}, {}",
        unknown.len(),
        wrong.len(),
        limit.as_secs_f64() * 1e6,
        a.0,
        a.1.sqrt(),
        b.0,
        b.1.sqrt(),
        if t.abs() < MARK { "no difference" } else { "DIFFERENT" }
    );
}
