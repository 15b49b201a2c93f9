//! The pool that hashes passwords: threads of its own at the lowest priority, and a bounded queue before them.
//!
//! Invariants: hashing takes no time that forwarding could use, as far as the system's scheduler knows priorities; at most
//! as many passwords wait as the configuration says, and whoever gives up leaves the queue and takes the password along.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::{
    base::{random::Random, secret::Secret},
    crypto::password::{Direct, HashError, Hasher, Workspace},
};

/// The niceness of the threads, the highest there is.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// What one hash is thought to take until the first is done.
const FIRST_GUESS: Duration = Duration::from_millis(50);

/// What is to be done, with the place where the answer goes.
enum Work {
    Verify { hash: String, password: Secret, answer: oneshot::Sender<bool> },
    Hash { password: Secret, answer: oneshot::Sender<Result<String, HashError>> },
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Work)>,
    next: u64,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Something waits, or the queue is closed.
    news: Condvar,
    most: usize,
    threads: u32,
    /// Microseconds that the last hash took.
    last: AtomicU64,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long `waiting` passwords will take.
    fn patience(&self, waiting: usize) -> Duration {
        let each = Duration::from_micros(self.last.load(Ordering::Relaxed));
        let rounds = u32::try_from(waiting).unwrap_or(u32::MAX) / self.threads.max(1);
        each.saturating_mul(rounds.saturating_add(1)).max(Duration::from_secs(1))
    }

    /// Takes a place in the queue.
    fn enter(&self, work: Work) -> Result<Place<'_>, HashError> {
        let mut queue = self.queue();
        let waiting = queue.waiting.len();
        if waiting >= self.most || queue.closed {
            return Err(HashError::Busy(self.patience(waiting)));
        }
        let number = queue.next;
        queue.next += 1;
        queue.waiting.push_back((number, work));
        drop(queue);
        self.news.notify_one();
        Ok(Place { shared: self, number })
    }

    /// The next work; `None` when there will be no more.
    fn next(&self) -> Option<Work> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some((_, work)) = queue.waiting.pop_front() {
                return Some(work);
            }
            queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self, random: &dyn Random) {
        let mut workspace = Workspace::default();
        while let Some(work) = self.next() {
            let begun = Instant::now();
            // Nobody who listens any more: the answer is dropped.
            match work {
                Work::Verify { hash, password, answer } => {
                    let _ = answer.send(workspace.verify(&hash, &password));
                }
                Work::Hash { password, answer } => {
                    let _ = answer.send(workspace.hash(&password, random));
                }
            }
            let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.last.store(took, Ordering::Relaxed);
        }
    }
}

/// A place in the queue, given up when the caller is.
struct Place<'s> {
    shared: &'s Shared,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.queue().waiting.retain(|(number, _)| *number != self.number);
    }
}

/// The pool. Dropping it ends its threads; what waits then is answered busy.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts `threads` threads, before which `most` passwords may wait.
    pub(super) fn start(threads: usize, most: usize, random: &Arc<dyn Random>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            news: Condvar::new(),
            most,
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
            last: AtomicU64::new(u64::try_from(FIRST_GUESS.as_micros()).unwrap_or(u64::MAX)),
        });
        let mut pool = Self { shared, threads: Vec::with_capacity(threads) };
        for number in 0..threads {
            let (shared, random) = (Arc::clone(&pool.shared), Arc::clone(random));
            let thread = std::thread::Builder::new().name(format!("password-{number}"));
            pool.threads.push(thread.spawn(move || {
                yield_to_others();
                shared.work(random.as_ref());
            })?);
        }
        Ok(pool)
    }

    /// How many passwords wait.
    pub(super) fn waiting(&self) -> usize {
        self.shared.queue().waiting.len()
    }
}

/// Half as many threads as there are cores, and one at least.
pub(super) fn default_threads() -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) / 2).max(1)
}

/// Gives the calling thread the lowest priority. On Linux that is a thread's own; elsewhere it would be the process's.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "passwords are hashed at the priority of everything else");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        queue.closed = true;
        queue.waiting.clear();
        drop(queue);
        self.shared.news.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Hasher for Pool {
    async fn verify(&self, hash: &str, password: &Secret) -> Result<bool, HashError> {
        let (answer, answered) = oneshot::channel();
        let work = Work::Verify { hash: hash.to_owned(), password: password.clone(), answer };
        let _place = self.shared.enter(work)?;
        answered.await.map_err(|_| HashError::Busy(self.shared.patience(0)))
    }

    async fn hash(&self, password: &Secret) -> Result<String, HashError> {
        let (answer, answered) = oneshot::channel();
        let _place = self.shared.enter(Work::Hash { password: password.clone(), answer })?;
        answered.await.map_err(|_| HashError::Busy(self.shared.patience(0)))?
    }
}

/// Hashes one password after the other on a thread that may block, for what the gateway does on its own account: declared
/// passwords must not wait behind a crowd that signs in.
pub(super) struct Aside(Arc<Direct>);

impl Aside {
    pub(super) fn new(random: Arc<dyn Random>) -> Self {
        Self(Arc::new(Direct::new(random)))
    }
}

fn failed(error: &tokio::task::JoinError) -> HashError {
    HashError::Failed(error.to_string())
}

#[async_trait]
impl Hasher for Aside {
    async fn verify(&self, hash: &str, password: &Secret) -> Result<bool, HashError> {
        let (direct, hash, password) = (Arc::clone(&self.0), hash.to_owned(), password.clone());
        let done = tokio::task::spawn_blocking(move || direct.verify_now(&hash, &password)).await;
        done.map_err(|error| failed(&error))
    }

    async fn hash(&self, password: &Secret) -> Result<String, HashError> {
        let (direct, password) = (Arc::clone(&self.0), password.clone());
        tokio::task::spawn_blocking(move || direct.hash_now(&password))
            .await
            .map_err(|error| failed(&error))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::random::SystemRandom;

    fn pool(threads: usize, most: usize) -> Arc<Pool> {
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        Arc::new(Pool::start(threads, most, &random).unwrap())
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn passwords_are_hashed_and_verified() {
        let pool = pool(2, 10);
        let hash = pool.hash(&secret("correct horse")).await.unwrap();
        assert!(pool.verify(&hash, &secret("correct horse")).await.unwrap());
        assert!(!pool.verify(&hash, &secret("wrong")).await.unwrap());
        assert_eq!(pool.hash(&secret(&"x".repeat(1025))).await, Err(HashError::TooLong));
        let aside = Aside::new(Arc::new(SystemRandom));
        assert!(aside.verify(&hash, &secret("correct horse")).await.unwrap());
        assert!(aside.hash(&secret("another")).await.unwrap().starts_with("$argon2id$"));
    }

    /// Without threads nothing leaves the queue by itself.
    #[tokio::test]
    async fn the_queue_is_bounded_and_whoever_gives_up_leaves_it() {
        let pool = pool(0, 2);
        let ask = |pool: &Arc<Pool>| {
            let pool = Arc::clone(pool);
            tokio::spawn(async move { pool.verify("$", &secret("x")).await })
        };
        let (first, second) = (ask(&pool), ask(&pool));
        while pool.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        let Err(HashError::Busy(wait)) = pool.verify("$", &secret("x")).await else { panic!("it is full") };
        assert!(wait >= Duration::from_secs(1));
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert_eq!(pool.waiting(), 1);
        let third = ask(&pool);
        while pool.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        pool.shared.queue().waiting.clear();
        for left in [second, third] {
            assert!(matches!(left.await.unwrap(), Err(HashError::Busy(_))));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_threads_are_the_last_to_be_served() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let yielding = std::thread::spawn(move || {
            yield_to_others();
            niceness()
        });
        assert_eq!(yielding.join().unwrap(), 19);
        assert_eq!(niceness(), before, "the other threads keep theirs");
    }
}
