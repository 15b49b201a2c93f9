use sqlx::SqliteConnection;

use super::*;
use crate::{
    base::id::{GroupId, ServiceId, TokenId},
    model::{
        revocation::{Revocation, RevocationTarget},
        usage::{Sought, Window},
        user::Group,
    },
    store::{
        ChangeFeed as _, RevocationStore as _, StoreError,
        people::{GroupStore as _, UserStore as _},
        usage::{HoldingStore as _, UsageStore as _},
    },
};

async fn pragma(connection: &mut SqliteConnection, name: &'static str) -> String {
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
            ("PRAGMA cache_size", WRITER_CACHE),
        ] {
            assert_eq!(pragma(tx.connection(), name).await, value, "{name}, {round}");
        }
        // What is given up is not used again.
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
    changes::count(tx.connection(), changes::Topic::Keys).await.unwrap();
    drop(tx);
    let mut tx = store.writer.begin().await.unwrap();
    changes::count(tx.connection(), changes::Topic::Services).await.unwrap();
    tx.commit().await.unwrap();
    let versions = crate::store::ChangeFeed::versions(&store).await.unwrap();
    assert_eq!((versions.services, versions.keys), (1, 0));
}

/// A database of the first version keeps what it has when it is opened.
#[tokio::test]
async fn an_old_database_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut old = options(&path).create_if_missing(true).connect().await.unwrap();
    schema::migrate_to(1, &mut old).await.unwrap();
    sqlx::query(
        "INSERT INTO revocations (kind, target, revoked, expires)
         VALUES ('token', zeroblob(16), 1, 9), ('client', CAST('c' AS BLOB), 2, 10);
         UPDATE changes SET version = 7",
    )
    .execute(&mut old)
    .await
    .unwrap();
    sqlx::Connection::close(old).await.unwrap();

    let store = SqliteStore::open(&path).await.unwrap();
    let at = Timestamp::from_millis;
    let kept = |target, revoked, expires| Revocation { target, revoked: at(revoked), expires: at(expires) };
    let token = RevocationTarget::Token(TokenId::from_bytes([0; 16]));
    let client = RevocationTarget::Client(ServiceId::parse("c").unwrap());
    let mut found = store.list_revocations(at(0)).await.unwrap();
    found.sort_by_key(|revocation| revocation.revoked);
    assert_eq!(found, [kept(token, 1, 9), kept(client, 2, 10)]);
    let versions = store.versions().await.unwrap();
    assert_eq!((versions.services, versions.revocations, versions.users), (7, 7, 0));
    assert_eq!(store.list_users().await.unwrap(), []);
}

/// Names that were told apart by how their characters are put together are one name from then on, and who had it first keeps it.
#[tokio::test]
async fn names_of_an_old_database_are_spelled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut old = options(&path).create_if_missing(true).connect().await.unwrap();
    schema::migrate_to(8, &mut old).await.unwrap();
    let users = [
        ("1", "Jose\u{301}", Some("jose@example.org")),
        ("2", "jane", None),
        ("3", "\u{ff4a}ane", Some("b\u{fc}ro@example.org")),
        ("4", "JOS\u{c9}", None),
    ];
    for (created, (id, login, email)) in users.into_iter().enumerate() {
        let lower = login.to_lowercase();
        sqlx::query(
            "INSERT INTO users (id, login, folded_login, name, email, email_verified, folded_name, folded_email, guest,
                                administrator, declared, created, updated, version)
             VALUES (?1, ?2, ?3, ?2, ?4, iif(?4 IS NULL, NULL, 1), ?3, ?4, 0, 0, 0, ?5, 1, 1)",
        )
        .bind(id)
        .bind(login)
        .bind(&lower)
        .bind(email)
        .bind(i64::try_from(created).unwrap())
        .execute(&mut old)
        .await
        .unwrap();
        for name in [Some(id), Some(lower.as_str()), email].into_iter().flatten() {
            sqlx::query("INSERT INTO user_names (name, user_id) VALUES (?1, ?2)")
                .bind(name)
                .bind(id)
                .execute(&mut old)
                .await
                .unwrap();
        }
    }
    sqlx::query(
        "INSERT INTO user_groups (id, name, folded_name, words, created, updated)
         VALUES ('g', 'Cafe\u{301}', 'cafe\u{301}', ' cafe', 1, 1)",
    )
    .execute(&mut old)
    .await
    .unwrap();
    sqlx::Connection::close(old).await.unwrap();

    for _ in 0..2 {
        let store = SqliteStore::open(&path).await.unwrap();
        for (typed, id) in [
            ("jos\u{e9}", Some("1")),
            ("JOSE\u{301}", Some("1")),
            ("jose@example.org", Some("1")),
            ("jane", Some("2")),
            ("\u{ff4a}ane", Some("2")),
            ("3", Some("3")),
            ("bu\u{308}ro@example.org", Some("3")),
            ("4", Some("4")),
            ("jos", None),
        ] {
            let found = store.find_user_by_name(typed).await.unwrap().map(|user| user.id.to_string());
            assert_eq!(found.as_deref(), id, "{typed}");
        }
        assert_eq!(store.list_users().await.unwrap().len(), 4, "nobody is lost");
        let group = store.list_groups().await.unwrap().remove(0);
        let same = Group { id: GroupId::parse("h").unwrap(), name: "CAF\u{c9}".into(), ..group };
        let taken = store.add_group(&same).await.unwrap_err();
        assert!(matches!(taken, StoreError::Conflict { what: "group", field: "name" }), "{taken}");
    }
}

/// What was granted before grants were listed by service is listed.
#[tokio::test]
async fn grants_of_an_old_database_are_found_by_service() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut old = options(&path).create_if_missing(true).connect().await.unwrap();
    schema::migrate_to(5, &mut old).await.unwrap();
    sqlx::query(
        "INSERT INTO users (id, login, folded_login, name, guest, administrator, declared, created, updated, version)
         VALUES ('u', 'jane', 'jane', 'Jane', 0, 0, 0, 1, 1, 1);
         INSERT INTO grants (id, client, user_id, scope, authenticated, created)
         VALUES ('g', 'app', 'u', '{\"spelled\":\"yt yt\",\"services\":[\"yt\",\"yt\"]}', 1, 2);
         INSERT INTO refresh_tokens (digest, grant_id, created, expires) VALUES (zeroblob(32), 'g', 2, 9)",
    )
    .execute(&mut old)
    .await
    .unwrap();
    sqlx::Connection::close(old).await.unwrap();

    let store = SqliteStore::open(&path).await.unwrap();
    let service = ServiceId::parse("yt").unwrap();
    assert_eq!(store.usage(&service).await.unwrap().granted_for.number, 1);
    let sought = Sought { service: Some(service), ..Sought::default() };
    let found = store.search_grants(&sought, Window { skip: 0, top: 5 }).await.unwrap();
    let [row] = found.rows.as_slice() else { panic!("{found:?}") };
    assert_eq!((row.record.grant.id.as_str(), row.login.as_str(), row.name.as_str()), ("g", "jane", "Jane"));
}
