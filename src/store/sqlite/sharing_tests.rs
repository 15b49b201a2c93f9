//! Writes that share a transaction.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{
    changes::{Topic, count},
    *,
};
use crate::store::{ChangeFeed as _, StoreError};

/// A store whose writes share a transaction whenever one waits for the other, however slow the machine is.
async fn patient() -> (tempfile::TempDir, Arc<SqliteStore>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut store = SqliteStore::open(&path).await.unwrap();
    store.writer.close().await.unwrap();
    let connection = options(&path).connect().await.unwrap();
    store.writer = Writer::sharing(connection, options(&path), Duration::from_secs(60));
    (folder, Arc::new(store))
}

/// How a part ends.
#[derive(Clone, Copy, Debug)]
enum Part {
    Keeps,
    Undoes,
    IsDropped,
    /// Leaves what the transaction cannot be ended with.
    BreaksTheEnd,
    /// Undoes all of it, as SQLite does by itself when the disk is full.
    UndoesAll,
}

/// Queues a part that counts a change of `topic`.
fn queue(store: &Arc<SqliteStore>, topic: Topic, part: Part) -> JoinHandle<Result<()>> {
    let store = Arc::clone(store);
    tokio::spawn(async move {
        let mut tx = store.writer.begin().await?;
        count(tx.connection(), topic).await?;
        let statement = match part {
            Part::Keeps => return tx.commit().await,
            Part::Undoes => return tx.abandon().await,
            Part::IsDropped => return Ok(()),
            Part::BreaksTheEnd => {
                "PRAGMA defer_foreign_keys = ON;
                 INSERT INTO user_names (name, user_id) VALUES ('n', 'nobody')"
            }
            Part::UndoesAll => "ROLLBACK",
        };
        sqlx::query(statement).execute(tx.connection()).await.unwrap();
        tx.commit().await
    })
}

/// Lets the tasks of this thread go as far as they can without the disk.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

async fn counted(store: &SqliteStore) -> [i64; 3] {
    let versions = store.versions().await.unwrap();
    [versions.services, versions.keys, versions.revocations]
}

/// Runs these parts in one transaction; the first of them is held back until all others wait.
async fn together(store: &Arc<SqliteStore>, parts: &[(Topic, Part)]) -> Vec<Result<()>> {
    let first = store.writer.begin().await.unwrap();
    let queued: Vec<_> = parts.iter().map(|(topic, part)| queue(store, *topic, *part)).collect();
    settle().await;
    // Its end is that of all.
    let _ = first.abandon().await;
    let mut outcomes = Vec::new();
    for part in queued {
        outcomes.push(part.await.unwrap());
    }
    outcomes
}

#[tokio::test]
async fn nobody_is_told_before_the_disk_has_it() {
    let (_folder, store) = patient().await;
    let mut first = store.writer.begin().await.unwrap();
    count(first.connection(), Topic::Services).await.unwrap();
    let second = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.writer.begin().await.unwrap() }
    });
    settle().await;
    let first = tokio::spawn(first.commit());
    let mut second = second.await.unwrap();
    // The second sees what the first has written, and neither the first nor anybody else has heard of it.
    count(second.connection(), Topic::Services).await.unwrap();
    let seen = changes::version(second.connection(), Topic::Services).await.unwrap();
    settle().await;
    assert_eq!((seen, first.is_finished(), counted(&store).await), (2, false, [0, 0, 0]));
    second.commit().await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(counted(&store).await, [2, 0, 0]);
}

#[tokio::test]
async fn a_part_that_is_given_up_takes_nobody_along() {
    for odd in [Part::Undoes, Part::IsDropped] {
        let (_folder, store) = patient().await;
        let parts = [(Topic::Services, Part::Keeps), (Topic::Keys, odd), (Topic::Revocations, Part::Keeps)];
        let outcomes = together(&store, &parts).await;
        assert!(outcomes.iter().all(Result::is_ok), "{odd:?}: {outcomes:?}");
        assert_eq!(counted(&store).await, [1, 0, 1], "{odd:?}");
    }
}

#[tokio::test]
async fn an_end_that_fails_is_told_to_all_and_outlived() {
    for odd in [Part::BreaksTheEnd, Part::UndoesAll] {
        let (_folder, store) = patient().await;
        let parts = [(Topic::Services, Part::Keeps), (Topic::Keys, Part::Undoes), (Topic::Keys, odd)];
        let outcomes = together(&store, &parts).await;
        assert!(outcomes.iter().all(Result::is_err), "{odd:?}: {outcomes:?}");
        assert_eq!(counted(&store).await, [0, 0, 0], "{odd:?}");
        queue(&store, Topic::Services, Part::Keeps).await.unwrap().unwrap();
        assert_eq!(counted(&store).await, [1, 0, 0], "{odd:?}");
    }
    // Whoever comes after a part that has undone all of it is not written by itself and told that it was.
    let (_folder, store) = patient().await;
    let parts =
        [(Topic::Services, Part::Keeps), (Topic::Keys, Part::UndoesAll), (Topic::Services, Part::Keeps)];
    let outcomes = together(&store, &parts).await;
    let lost = |outcome: &Result<()>| matches!(outcome, Err(StoreError::Unavailable(_)));
    assert!(outcomes.iter().all(lost), "{outcomes:?}");
    assert_eq!(counted(&store).await, [0, 0, 0]);
}

/// Callers that go away at any moment: while they wait, while they write, while they wait for the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_leave_halves_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&folder.path().join("a.db")).await.unwrap());
    let tasks: Vec<_> = (0..200_u64)
        .map(|n| {
            let store = Arc::clone(&store);
            let both = async move {
                let mut tx = store.writer.begin().await.unwrap();
                count(tx.connection(), Topic::Services).await.unwrap();
                tokio::task::yield_now().await;
                count(tx.connection(), Topic::Keys).await.unwrap();
                tx.commit().await.unwrap();
            };
            tokio::spawn(async move {
                let patience = Duration::from_micros(if n % 4 == 0 { 60_000_000 } else { n * 97 });
                tokio::time::timeout(patience, both).await.is_ok()
            })
        })
        .collect();
    let mut told = 0;
    for task in tasks {
        told += i64::from(task.await.unwrap());
    }
    // What comes last waits for all that was begun.
    queue(&store, Topic::Revocations, Part::Keeps).await.unwrap().unwrap();
    let [services, keys, last] = counted(&store).await;
    assert!(services == keys && services >= told && told >= 50 && last == 1, "{services} {keys} {told}");
}

#[tokio::test]
async fn who_waits_when_the_store_is_closed_is_served_before_and_refused_after() {
    let (_folder, store) = patient().await;
    let first = store.writer.begin().await.unwrap();
    let before = queue(&store, Topic::Services, Part::Keeps);
    settle().await;
    let closing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.writer.close().await }
    });
    settle().await;
    let after = queue(&store, Topic::Services, Part::Keeps);
    settle().await;
    first.abandon().await.unwrap();
    before.await.unwrap().unwrap();
    closing.await.unwrap().unwrap();
    let refusal = after.await.unwrap();
    assert!(matches!(&refusal, Err(StoreError::Unavailable(e)) if e.contains("closed")), "{refusal:?}");
    assert_eq!(counted(&store).await, [1, 0, 0]);
}
