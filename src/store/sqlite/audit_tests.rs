//! What somebody can do to the audit log who can write to the file, and what is seen of it.

use sqlx::AssertSqlSafe;

use super::*;
use crate::{
    model::event::{EventKind, NewEvent, Target},
    store::events::{EventFilter, EventPage, EventStore as _, Verified},
};

const TRIGGERS: [&str; 3] = ["audit_events_grow", "audit_events_stay", "audit_events_last"];

async fn with_events(path: &Path, count: usize) -> SqliteStore {
    let store = SqliteStore::open(path).await.unwrap();
    let event = NewEvent { kind: EventKind::Updated, target: Target::gateway(), changes: vec![] };
    store.note(&vec![event; count]).await.unwrap();
    store
}

async fn run(path: &Path, statements: &str) -> std::result::Result<(), String> {
    let mut connection = options(path).connect().await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await;
    sqlx::Connection::close(connection).await.unwrap();
    done.map(drop).map_err(|error| error.to_string())
}

/// What a verification says after somebody has taken the triggers away and run this.
async fn tampered(statement: &str) -> (Verified, Verified) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = with_events(&path, 5).await;
    let head = store.verify_events(None).await.unwrap().head;
    let drops = TRIGGERS.map(|trigger| format!("DROP TRIGGER {trigger};")).concat();
    run(&path, &format!("{drops}{statement}")).await.unwrap();
    (store.verify_events(None).await.unwrap(), store.verify_events(Some(head)).await.unwrap())
}

#[tokio::test]
async fn the_schema_refuses_every_change_but_erasure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = with_events(&path, 3).await;
    let copy = |sequence: &str| {
        format!(
            "INTO audit_events SELECT {sequence}, at, kind, target_kind, target_id, owner, author_kind, author_id,
             digest, hash, salt, content FROM audit_events WHERE sequence = 2"
        )
    };
    for statement in [
        "DELETE FROM audit_events WHERE sequence = 3".to_owned(),
        "UPDATE audit_events SET at = at + 1 WHERE sequence = 2".to_owned(),
        "UPDATE audit_events SET owner = 'x' WHERE sequence = 2".to_owned(),
        "UPDATE audit_events SET hash = zeroblob(32), salt = NULL, content = NULL WHERE sequence = 2"
            .to_owned(),
        "UPDATE audit_events SET content = '{}' WHERE sequence = 2".to_owned(),
        "UPDATE audit_events SET content = NULL WHERE sequence = 2".to_owned(),
        "UPDATE OR REPLACE audit_events SET sequence = 1 WHERE sequence = 2".to_owned(),
        format!("INSERT {}", copy("5")),
        format!("INSERT OR REPLACE {}", copy("sequence")),
        format!("INSERT OR REPLACE {}", copy("0")),
    ] {
        let refused = run(&path, &statement).await;
        assert!(refused.is_err(), "{statement}");
    }
    assert_eq!(store.verify_events(None).await.unwrap().events, 3);
    run(&path, "UPDATE audit_events SET salt = NULL, content = NULL WHERE sequence = 2").await.unwrap();
    let verified = store.verify_events(None).await.unwrap();
    assert_eq!((verified.events, verified.erased, verified.broken), (3, 1, None));
}

#[tokio::test]
async fn every_change_behind_the_store_s_back_is_found_where_it_is() {
    for column in ["at", "kind", "target_kind", "target_id", "owner", "author_kind", "author_id"] {
        let value = if column == "at" { "at + 1" } else { "'x'" };
        let statement = format!("UPDATE audit_events SET {column} = {value} WHERE sequence = 3");
        let (verified, _) = tampered(&statement).await;
        assert_eq!((verified.events, verified.broken.map(|b| b.sequence)), (2, Some(3)), "{column}");
    }
    for (statement, broken) in [
        ("UPDATE audit_events SET digest = zeroblob(32) WHERE sequence = 3", 3),
        ("UPDATE audit_events SET hash = zeroblob(32) WHERE sequence = 3", 3),
        ("UPDATE audit_events SET content = '{}' WHERE sequence = 3", 3),
        ("UPDATE audit_events SET salt = zeroblob(16) WHERE sequence = 3", 3),
        ("DELETE FROM audit_events WHERE sequence = 3", 4),
        ("DELETE FROM audit_events WHERE sequence = 1", 2),
        ("UPDATE audit_events SET sequence = 9 WHERE sequence = 1", 2),
        ("UPDATE audit_events SET sequence = sequence - 9", -8),
        // The first two in another order.
        (
            "UPDATE audit_events SET sequence = 9 WHERE sequence = 1;
             UPDATE audit_events SET sequence = 1 WHERE sequence = 2;
             UPDATE audit_events SET sequence = 2 WHERE sequence = 9",
            1,
        ),
        // An empty text is not the absence of one.
        ("UPDATE audit_events SET owner = '' WHERE sequence = 3", 3),
    ] {
        let (verified, _) = tampered(statement).await;
        assert_eq!(verified.broken.map(|b| b.sequence), Some(broken), "{statement}");
    }
}

/// What a chain cannot show by itself, and a head that was noted elsewhere can.
#[tokio::test]
async fn an_end_that_was_cut_off_is_seen_by_a_noted_head_alone() {
    let (alone, noted) = tampered("DELETE FROM audit_events WHERE sequence = 5").await;
    assert_eq!((alone.events, alone.broken), (4, None));
    assert_eq!((noted.events, noted.noted), (4, None));
    let (whole, noted) = tampered("SELECT 1").await;
    assert_eq!((whole.events, noted.noted), (5, Some(5)));
}

/// Each filter is answered from an index in the order of the log, however long that is.
#[tokio::test]
async fn no_page_sorts_or_reads_the_whole_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = with_events(&path, 3).await;
    let mut connection = options(&path).connect().await.unwrap();
    let user = crate::base::id::UserId::parse("u").unwrap();
    let any = EventFilter::default();
    for (filter, sorts) in [
        (EventFilter { kind: Some(EventKind::Updated), ..any.clone() }, false),
        (EventFilter { target: Some("x".into()), ..any.clone() }, false),
        (EventFilter { author: Some("x".into()), ..any.clone() }, false),
        (EventFilter { since: Some(Timestamp::default()), ..any.clone() }, false),
        // What one user did and what was done to it are two indexes.
        (EventFilter { concerning: Some(user), ..any.clone() }, true),
    ] {
        let plan = events::explain(&mut connection, &filter).await;
        let whole = plan.iter().any(|step| step.starts_with("SCAN"));
        let sorted = plan.iter().any(|step| step.contains("TEMP B-TREE"));
        assert!(!whole && (sorts || !sorted), "{filter:?}: {plan:?}");
    }
    // Without a filter it is the table itself, backwards, up to the page's end.
    assert_eq!(store.list_events(&any, EventPage::newest(2)).await.unwrap().len(), 2);
    let plan = events::explain(&mut connection, &any).await;
    assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE")), "{plan:?}");
    sqlx::Connection::close(connection).await.unwrap();
}
