//! What the machine refuses: rights, space, locks. The store says so, and goes on when it can.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    time::{Duration, Instant},
};

use hubgate::store::{ServiceStore as _, StoreError, sqlite::SqliteStore};
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

use super::{
    child,
    conformance::samples::{long_service, other_service, service, service_id},
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn unavailable(path: &Path) -> String {
    match SqliteStore::open(path).await.err() {
        Some(StoreError::Unavailable(text)) => text,
        other => panic!("{}: {other:?}", path.display()),
    }
}

#[tokio::test]
async fn what_is_made_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("a/b");
    let database = made.join("hubgate.db");
    let store = SqliteStore::open(&database).await.unwrap();
    store.register_service(&service("a", "A")).await.unwrap();
    for (path, expected) in [(folder.path().join("a"), 0o700), (made.clone(), 0o700)] {
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    let files: Vec<_> = fs::read_dir(&made).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 3, "database, log and lock at least: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    // A folder that was there keeps the rights that its owner gave it.
    set_mode(&made, 0o750);
    SqliteStore::open(&database).await.unwrap();
    assert_eq!(mode(&made), 0o750);
}

#[tokio::test]
async fn a_place_where_nothing_can_be_made_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [file.join("hubgate.db"), "/proc/hubgate.db".into(), "/proc/hubgate/hubgate.db".into()] {
        let text = unavailable(&place).await;
        assert!(text.contains(place.parent().unwrap().to_str().unwrap()), "{text}");
    }
}

/// Root may write anywhere, so a process of nobody's looks on when the test runs as root.
#[tokio::test]
async fn a_folder_that_may_only_be_read_is_refused() {
    const TEST: &str = "store::refusal::a_folder_that_may_only_be_read_is_refused";
    if let Some(database) = child::database() {
        child::tell(&unavailable(&database).await);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    set_mode(&closed, 0o555);
    // A database that is there, may be read, and lies where no log can be made.
    let database = folder.path().join("open/hubgate.db");
    SqliteStore::open(&database).await.unwrap().close().await.unwrap();
    let open = database.parent().unwrap();
    for entry in fs::read_dir(open).unwrap() {
        set_mode(&entry.unwrap().path(), 0o444);
    }
    set_mode(open, 0o555);

    let is_root = fs::write(closed.join("probe"), "").is_ok();
    for database in [closed.join("hubgate.db"), closed.join("deeper/hubgate.db"), database.clone()] {
        let mut command = child::command(TEST, &database);
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let told = child::told(&output);
        assert!(matches!(told[..], [text] if text.contains("ermission denied")), "{output}");
    }
    set_mode(open, 0o755);
    set_mode(&closed, 0o755);
}

/// Writes until it is refused, and returns the names of what was acknowledged.
async fn fill(store: &SqliteStore, prefix: &str) -> (Vec<String>, StoreError) {
    let mut written = Vec::new();
    for n in 0..10_000 {
        let id = format!("{prefix}{n}");
        match store.register_service(&other_service(&id, &id)).await {
            Ok(()) => written.push(id),
            Err(e) => return (written, e),
        }
    }
    panic!("nothing ever refused a write");
}

async fn ids(store: &SqliteStore) -> Vec<String> {
    let mut ids: Vec<_> = store.list_services().await.unwrap().iter().map(|s| s.id.to_string()).collect();
    ids.sort();
    ids
}

/// A file that may not grow: what a quota does. The kernel's limit works for every user and on every file system.
#[tokio::test]
async fn a_file_that_cannot_grow_refuses_writes_and_loses_none() {
    const TEST: &str = "store::refusal::a_file_that_cannot_grow_refuses_writes_and_loses_none";
    if let Some(database) = child::database() {
        let store = SqliteStore::open(&database).await.unwrap();
        let (mut written, refusal) = fill(&store, "a").await;
        assert!(matches!(refusal, StoreError::Unavailable(_)), "{refusal:?}");
        // Reading goes on, and every further refusal is as orderly as the first.
        written.sort();
        assert_eq!(ids(&store).await, written);
        let refusal = store.register_service(&long_service()).await.unwrap_err();
        assert!(matches!(refusal, StoreError::Unavailable(_)), "{refusal:?}");
        child::tell(&written.join(" "));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hubgate.db");
    let limited = "trap '' XFSZ; ulimit -f 1600; exec \"$0\" \"$@\"";
    let output = child::confined(&["sh", "-c", limited], TEST, &database).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let told = child::told(&output);
    let [written] = told[..] else { panic!("{output}") };
    let written: Vec<_> = written.split(' ').collect();
    assert!(written.len() > 5, "{written:?}");

    let store = SqliteStore::open(&database).await.unwrap();
    assert_eq!(ids(&store).await, written);
    store.register_service(&long_service()).await.unwrap();
}

/// A disk that is full, and then is not any more. It is a file system of its own, which only a process that may mount
/// can have; where the kernel lets nobody do that, the limit above is what stands for it.
#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_space() {
    const TEST: &str = "store::refusal::a_full_disk_refuses_writes_until_there_is_space";
    if let Some(database) = child::database() {
        let ballast = database.with_file_name("ballast");
        fs::write(&ballast, vec![1; 1 << 20]).unwrap();
        let store = SqliteStore::open(&database).await.unwrap();
        let (mut written, refusal) = fill(&store, "a").await;
        assert!(
            matches!(&refusal, StoreError::Unavailable(e) if e.contains("the disk is full")),
            "{refusal:?}"
        );
        fs::remove_file(&ballast).unwrap();
        let began = Instant::now();
        let (more, refusal) = fill(&store, "b").await;
        assert!(matches!(refusal, StoreError::Unavailable(_)), "{refusal:?}");
        assert!(more.len() > 5 && began.elapsed() < Duration::from_secs(20), "{}", more.len());
        written.extend(more);
        written.sort();
        assert_eq!(ids(&store).await, written);
        drop(store);
        assert_eq!(ids(&SqliteStore::open(&database).await.unwrap()).await, written);
        child::tell("good");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let own_disk = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"];
    let mounted = format!("mount -t tmpfs -o size=4m none {place} && exec \"$0\" \"$@\"");
    let line: Vec<&str> = own_disk.into_iter().chain([mounted.as_str()]).collect();

    let probe = std::process::Command::new(line[0]).args(&line[1..]).arg("true").output();
    if !probe.is_ok_and(|p| p.status.success()) {
        eprintln!("not run: this process cannot have a file system of its own");
        return;
    }
    let output = child::confined(&line, TEST, &folder.path().join("hubgate.db")).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert_eq!(child::told(&output), ["good"], "{output}");
}

#[tokio::test]
async fn a_lock_that_is_not_released_is_reported_and_outlived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hubgate.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let mut other = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();

    let (write, start) = tokio::join!(async { store.register_service(&service("a", "A")).await }, async {
        SqliteStore::open(&path).await.err()
    },);
    for refusal in [write.err(), start] {
        let locked = matches!(&refusal, Some(StoreError::Unavailable(e)) if e.contains("locked"));
        assert!(locked, "{refusal:?}");
    }
    // Readers do not care, and the writer goes on as soon as it can.
    assert_eq!(store.find_service(&service_id("a")).await.unwrap(), None);
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    store.register_service(&service("a", "A")).await.unwrap();
    SqliteStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_setup_that_does_not_end_is_reported_and_outlived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hubgate.db");
    let lock = fs::File::create(folder.path().join("hubgate.db.lock")).unwrap();
    lock.lock().unwrap();
    assert!(unavailable(&path).await.contains("preparing"));
    assert!(!path.exists());
    lock.unlock().unwrap();
    SqliteStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_name_is_a_name_and_a_link_is_its_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file:a b?mode=memory&%00#.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.register_service(&service("a", "A")).await.unwrap();
    assert!(path.is_file());

    let link = folder.path().join("link/hubgate.db");
    fs::create_dir(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let linked = SqliteStore::open(&link).await.unwrap();
    assert_eq!(linked.list_services().await.unwrap(), [service("a", "A")]);
    let beside_the_link = fs::read_dir(link.parent().unwrap()).unwrap().count();
    assert_eq!(beside_the_link, 1, "log and locks belong to the file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_starts_at_once_make_one_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/hubgate.db");
    let starts: Vec<_> = (0..12)
        .map(|n| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = SqliteStore::open(&path).await.unwrap();
                store.register_service(&service(&format!("s{n}"), &format!("S{n}"))).await.unwrap();
            })
        })
        .collect();
    for start in starts {
        start.await.unwrap();
    }
    assert_eq!(SqliteStore::open(&path).await.unwrap().list_services().await.unwrap().len(), 12);
    let store = SqliteStore::open(&path).await.unwrap();
    store.close().await.unwrap();
    let refusal = store.register_service(&service("late", "Late")).await;
    assert!(matches!(refusal, Err(StoreError::Unavailable(_))), "{refusal:?}");
    assert!(matches!(store.list_services().await, Err(StoreError::Unavailable(_))));
}
