//! A file that is not what it was opens with all that it had, or is refused; it is never taken for an empty one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hubgate::{
    model::{grant::RejectedRedirect, revocation::Revocation, service::Service},
    store::{
        ChangeFeed as _, KeyStore as _, RevocationStore as _, ServiceStore as _, StoreError,
        grants::{ConsentStore as _, GrantStore as _, RejectedRedirectStore as _},
        people::{GroupStore as _, SessionStore as _, UserStore as _},
        sqlite::SqliteStore,
    },
};
use proptest::prelude::{Strategy as _, TestCaseError, any, prop};
use proptest::test_runner::{Config, TestRunner};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::conformance::samples::{
    at, consent, digest, group, group_id, key, member, of_client, of_token, other_code, other_grant,
    other_service, other_user, refresh, service, service_id, session,
};

struct Original {
    folder: TempDir,
    services: Vec<Service>,
    bytes: Vec<u8>,
}

impl Original {
    /// A database of a few dozen pages, closed.
    async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hubgate.db");
        let store = SqliteStore::open(&path).await.unwrap();
        for n in 0..60 {
            store
                .register_service(&other_service(&format!("other{n}"), &format!("Other {n}")))
                .await
                .unwrap();
            store.register_service(&service(&format!("s{n}"), &format!("S {n}"))).await.unwrap();
            store.revoke(&of_token(n, 1, 9000)).await.unwrap();
        }
        store.revoke(&of_client("s1", 1, 9000)).await.unwrap();
        store.add_first_key(&key("one", 1)).await.unwrap();
        store.add_group(&group("g", "G")).await.unwrap();
        store.add_user(&member("ann", "ann", &["g"])).await.unwrap();
        store.add_user(&other_user("bob", "bob")).await.unwrap();
        store.begin_session(&session("sid", "ann", 10), &digest("cookie"), None).await.unwrap();
        store.add_code(&other_code(other_grant("cg", "ann", "s2"))).await.unwrap();
        store.add_grant(&other_grant("rg", "ann", "s2"), &refresh("r", "rg")).await.unwrap();
        store.put_consent(&consent("con", "ann", "s2")).await.unwrap();
        let tried = RejectedRedirect { uri: "/u".into(), tried_from: "a".into(), tried_at: at(1) };
        store.reject_redirect(&service_id("s2"), &tried).await.unwrap();
        let services = store.list_services().await.unwrap();
        store.close().await.unwrap();
        assert!(!path.with_extension("db-wal").exists(), "closing merges the log");
        let bytes = fs::read(&path).unwrap();
        Self { folder, services, bytes }
    }

    fn copy(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", path.display()));
        }
        fs::write(&path, bytes).unwrap();
        path
    }
}

type Everything = (Vec<Service>, Vec<Revocation>);

/// Opens and reads all there is.
async fn read(path: &Path) -> Result<Everything, StoreError> {
    let store = SqliteStore::open(path).await?;
    let read = async {
        store.versions().await?;
        store.list_keys().await?;
        let users = store.list_users().await?;
        store.people(0).await?;
        store.list_groups().await?;
        store.list_members(&group_id("g")).await?;
        for user in users {
            store.list_sessions(&user.id).await?;
            store.list_grants(&user.id).await?;
            store.list_consents(&user.id).await?;
        }
        store.find_session(&digest("cookie")).await?;
        store.find_code(&digest("cg")).await?;
        store.find_refresh(&digest("r")).await?;
        store.list_rejected_redirects(&service_id("s2")).await?;
        Ok((store.list_services().await?, store.list_revocations(at(0)).await?))
    };
    let read = read.await;
    let _ = store.close().await;
    read
}

fn is_loud(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged(text) | StoreError::Unavailable(text) if !text.is_empty())
}

#[tokio::test]
async fn a_cut_off_file_is_whole_or_refused() {
    let original = Original::make().await;
    let whole = original.bytes.len();
    let lengths =
        [0, 1, 15, 16, 99, 100, 511, 512, 4095, 4096, 4097, 8192, whole / 2, whole - 4096, whole - 1];
    for length in lengths {
        let path = original.copy("cut.db", &original.bytes[..length]);
        match read(&path).await {
            Ok((services, _)) => assert!(services == original.services, "{length} of {whole} bytes"),
            Err(e) => assert!(is_loud(&e), "{length} of {whole} bytes: {e:?}"),
        }
    }
    for length in [0, 100, 4096, whole / 2, whole - 4096, whole - 1] {
        let path = original.copy("cut.db", &original.bytes[..length]);
        assert!(matches!(read(&path).await, Err(StoreError::Damaged(_))), "{length} of {whole} bytes");
    }
    let path = original.copy("whole.db", &original.bytes);
    assert_eq!(read(&path).await.unwrap().0, original.services);
}

/// Bytes within a text can change unnoticed (SQLite keeps no checksums), so all that is demanded is an orderly answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_garbled_file_never_panics() {
    let original = Original::make().await;
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let whole = original.bytes.len();
        let garbage = prop::collection::vec((0..whole, prop::collection::vec(any::<u8>(), 1..200)), 1..6);
        let mut runner =
            TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
        let outcome = runner.run(&garbage.prop_map(|g| g), |garbage| {
            let mut bytes = original.bytes.clone();
            for (start, garbage) in &garbage {
                let end = whole.min(start + garbage.len());
                bytes[*start..end].copy_from_slice(&garbage[..end - start]);
            }
            let path = original.copy("garbled.db", &bytes);
            match runtime.block_on(read(&path)) {
                Err(e) if !is_loud(&e) || e.to_string().contains("closed") => {
                    Err(TestCaseError::fail(format!("{e:?}")))
                }
                _ => Ok(()),
            }
        });
        outcome.unwrap();
    })
    .await
    .unwrap();
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

async fn refusal(path: &Path) -> String {
    match SqliteStore::open(path).await.err() {
        Some(StoreError::Damaged(text)) => {
            assert!(text.contains(path.to_str().unwrap()), "{text}");
            text
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_ours_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.db");
    fs::write(&text, "services:\n".repeat(1000)).unwrap();
    assert!(refusal(&text).await.contains("not a database"));
    assert_eq!(fs::read_to_string(&text).unwrap(), "services:\n".repeat(1000));

    let foreign = folder.path().join("foreign.db");
    let mut connection = raw(&foreign).await;
    sqlx::query("CREATE TABLE services (id TEXT)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let before = fs::read(&foreign).unwrap();
    assert!(refusal(&foreign).await.contains("another program"));
    assert_eq!(fs::read(&foreign).unwrap(), before);

    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    assert!(refusal(&inner).await.contains("folder"));
    assert!(!folder.path().join("inner.lock").exists());
    assert!(refusal(Path::new("/dev/null")).await.contains("device"));
}

#[tokio::test]
async fn a_newer_or_altered_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hubgate.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let mut connection = raw(&path).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let text = refusal(&path).await;
    assert!(text.contains("newer hubgate") && text.contains("9999"), "{text}");

    for (statement, expected) in [
        ("DELETE FROM _sqlx_migrations WHERE version = 9999", None),
        ("UPDATE _sqlx_migrations SET checksum = x'00'", Some("version 1")),
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        match expected {
            None => drop(SqliteStore::open(&path).await.unwrap()),
            Some(part) => assert!(refusal(&path).await.contains(part)),
        }
    }
}

/// A log without its database is what an operator leaves who moves one file of three.
#[tokio::test]
async fn a_log_without_its_database_is_not_played_into_a_new_one() {
    let original = Original::make().await;
    let path = original.folder.path().join("moved.db");
    fs::write(path.with_extension("db-wal"), &original.bytes).unwrap();
    assert!(refusal(&path).await.contains("remove the log"));
    assert!(!path.exists());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_named() {
    let original = Original::make().await;
    for (statement, record) in [
        ("UPDATE services SET profile = '{\"key\": 7}' WHERE id = 's7'", "\"s7\": profile"),
        ("UPDATE services SET flows = '[\"telepathy\"]' WHERE id = 's7'", "\"s7\": flows"),
        ("UPDATE services SET name = CAST(x'ff' AS TEXT) WHERE id = 's7'", "\"s7\": name"),
        ("UPDATE services SET id = 'a b' WHERE id = 'other7'", "\"a b\": id"),
        ("UPDATE signing_keys SET algorithm = 'none'", "\"one\": algorithm"),
        ("UPDATE revocations SET target = x'00' WHERE kind = 'client'", "client \\\\x00\": target"),
        (
            "UPDATE revocations SET target = x'00' WHERE kind = 'token' AND target = zeroblob(16)",
            "token \\\\x00",
        ),
        ("DELETE FROM changes WHERE topic = 'keys'", "\"keys\""),
        ("UPDATE users SET name = CAST(x'ff' AS TEXT) WHERE id = 'ann'", "user \"ann\": name"),
        ("UPDATE users SET email = CAST(x'ff' AS TEXT) WHERE id = 'bob'", "user \"bob\": email"),
        ("UPDATE user_groups SET description = CAST(x'ff' AS TEXT)", "group \"g\": description"),
        ("UPDATE memberships SET group_id = 'a b'", "user \"ann\": member_of"),
        ("UPDATE sessions SET user_agent = CAST(x'ff' AS TEXT)", "session \"sid\": user_agent"),
        ("UPDATE sessions SET id = 'a b'", "session \"a b\": id"),
        ("UPDATE codes SET scope = '{}'", "code of the grant \"cg\": scope"),
        ("UPDATE codes SET challenge_method = 'none'", "code of the grant \"cg\": challenge_method"),
        ("UPDATE codes SET session = ''", "code of the grant \"cg\": session"),
        ("UPDATE grants SET client = 'a b'", "grant \"rg\": client"),
        ("UPDATE consents SET services = '[7]'", "consent \"con\": services"),
        ("UPDATE rejected_redirects SET uri = CAST(x'ff' AS TEXT)", "service \"s2\": uri"),
    ] {
        let path = original.copy("altered.db", &original.bytes);
        let mut connection = raw(&path).await;
        sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut connection).await.unwrap();
        let changed = sqlx::query(statement).execute(&mut connection).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{statement}");
        connection.close().await.unwrap();
        match read(&path).await {
            Err(StoreError::Damaged(text)) => assert!(text.contains(record), "{statement}: {text}"),
            other => panic!("{statement}: {other:?}"),
        }
    }
    // The others can still be found one by one.
    let path = original.copy("altered.db", &original.bytes);
    let mut connection = raw(&path).await;
    sqlx::query("UPDATE services SET profile = '' WHERE id = 's7'").execute(&mut connection).await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(store.find_service(&service_id("s7")).await.is_err());
    assert_eq!(store.find_service(&service_id("s8")).await.unwrap(), Some(service("s8", "S 8")));
}
