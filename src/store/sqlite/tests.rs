use super::*;

async fn pragma(connection: &mut sqlx::SqliteConnection, name: &'static str) -> String {
    use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
    let row = sqlx::query(name).fetch_one(connection).await.unwrap();
    let value = row.try_get_raw(0).unwrap();
    if value.type_info().name() == "INTEGER" {
        row.get::<i64, _>(0).to_string()
    } else {
        row.get::<String, _>(0)
    }
}

/// What `kill -9` cannot show and a power failure would.
#[tokio::test]
async fn every_writing_connection_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
    for round in ["first", "reconnected"] {
        let mut tx = store.writer.begin().await.unwrap();
        for (name, value) in [
            ("PRAGMA journal_mode", "wal"),
            ("PRAGMA synchronous", "2"),
            ("PRAGMA foreign_keys", "1"),
            ("PRAGMA busy_timeout", "5000"),
            ("PRAGMA trusted_schema", "0"),
        ] {
            assert_eq!(pragma(&mut tx.connection, name).await, value, "{name}, {round}");
        }
        drop(tx);
    }
    let mut reader = store.readers.acquire().await.unwrap();
    assert_eq!(pragma(&mut reader, "PRAGMA query_only").await, "1");
}

/// A request that is given up (its client has gone) must not keep the write lock or a half of its work.
#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
    let mut tx = store.writer.begin().await.unwrap();
    changes::count(&mut tx.connection, changes::Topic::Keys).await.unwrap();
    drop(tx);
    let mut tx = store.writer.begin().await.unwrap();
    changes::count(&mut tx.connection, changes::Topic::Services).await.unwrap();
    tx.commit().await.unwrap();
    let versions = crate::store::ChangeFeed::versions(&store).await.unwrap();
    assert_eq!((versions.services, versions.keys), (1, 0));
}
