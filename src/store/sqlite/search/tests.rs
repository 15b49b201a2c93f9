//! How SQLite goes about the searches that are made most, and rows of an older version.

use sqlx::{AssertSqlSafe, ConnectOptions as _};

use super::*;
use crate::{
    model::search::{Match, UserIs},
    store::{
        people::{GroupStore as _, UserStore as _},
        sqlite::{options, schema},
    },
};

fn prefix(text: &str) -> Match {
    Match::Prefix(text.into())
}

fn statement(start: &'static str, filter: &UserFilter, order: &[By<UserKey>]) -> String {
    let mut sql = Sql::new(start);
    sql.restrict(filter, compile::user);
    sql.order(order, compile::user_key, "u.folded_login");
    sql.page(Page::first(100));
    let text = sqlx::Execute::sql(sql.query());
    text.as_str().to_owned()
}

#[tokio::test]
async fn common_searches_read_what_they_show() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("a.db")).await.unwrap();
    let mut reader = store.readers.acquire().await.unwrap();
    let by = |key, descending| By { key, descending };
    let is = Filter::from;
    let login = is(UserIs::Login(prefix("q")));
    let picker = Filter::Or(vec![is(UserIs::Name(prefix("q"))), login.clone()]);
    let text = |word: Match| is(UserIs::AnyText(word));
    let words = Filter::Or(vec![text(Match::Exact("q".into())), text(prefix("q"))]);
    // In an order that an index has, nothing is sorted and a page is read from its beginning.
    for (filter, order, scans, sorts) in [
        (Filter::default(), None, true, false),
        (Filter::default(), Some(by(UserKey::Login, true)), true, false),
        (Filter::default(), Some(by(UserKey::Name, false)), true, false),
        (Filter::default(), Some(by(UserKey::Name, true)), true, false),
        (Filter::default(), Some(by(UserKey::Email, false)), true, false),
        (Filter::default(), Some(by(UserKey::Created, true)), true, false),
        (login, None, false, false),
        (is(UserIs::Name(prefix("q"))), Some(by(UserKey::Name, false)), false, false),
        (is(UserIs::Email(prefix("q"))), None, false, true),
        (picker, None, false, true),
        (is(UserIs::Administrator), None, false, true),
        (is(UserIs::Id(UserId::parse("x").unwrap())), None, false, false),
    ] {
        let sql = statement(users::select!(""), &filter, order.as_slice());
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
        let plan = plan.fetch_all(&mut *reader).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let steps: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        let scanned = steps.iter().filter(|step| step.starts_with("SCAN")).collect::<Vec<_>>();
        assert_eq!(!scanned.is_empty(), scans, "{filter:?}: {steps:?}");
        assert!(scanned.iter().all(|step| step.contains("USING INDEX")), "{filter:?}: {steps:?}");
        let sorted = steps.iter().any(|step| step.contains("ORDER BY"));
        assert_eq!(sorted, sorts, "{filter:?} {order:?}: {steps:?}");
    }
    // Words are looked up, whichever way users are walked.
    let sql = statement(users::select!(""), &words, &[]);
    let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&mut *reader).await;
    let steps: Vec<String> = plan.unwrap().iter().map(|step| step.get("detail")).collect();
    assert!(steps.iter().all(|step| !step.contains("SCAN w")), "{steps:?}");
}

/// A database of the version before is found into like a new one, and what is filled in stays.
#[tokio::test]
async fn rows_of_an_older_version_are_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut old = options(&path).create_if_missing(true).connect().await.unwrap();
    schema::migrate_to(2, &mut old).await.unwrap();
    sqlx::query(
        "INSERT INTO users (id, login, folded_login, name, email, email_verified, ban_reason, banned_since, guest,
                            administrator, declared, created, updated, version)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
         SELECT 'u' || i, 'login' || i, 'login' || i, 'Größe ' || i, iif(i % 2, 'Ä' || i || '@x', NULL), iif(i % 2, 1, NULL),
                iif(i = 7, 'left', NULL), iif(i = 7, 5, NULL), 0, 0, 0, 0, 0, i FROM n;
         INSERT INTO user_groups VALUES ('g', 'Site Admins', 'site admins', NULL, 0, 0);
         INSERT INTO memberships VALUES ('u7', 'g')",
    )
    .execute(&mut old)
    .await
    .unwrap();
    sqlx::Connection::close(old).await.unwrap();

    for _ in 0..2 {
        let store = SqliteStore::open(&path).await.unwrap();
        let total = async |condition: UserIs| {
            store.find_users(&condition.into(), &[], Page::first(0)).await.unwrap().total
        };
        assert_eq!(total(UserIs::Name(prefix("GRÖSSE "))).await, 1500);
        assert_eq!(total(UserIs::Email(Match::Exact("ä7@X".into()))).await, 1);
        assert_eq!(total(UserIs::AnyText(prefix("login7"))).await, 111);
        assert_eq!(total(UserIs::InGroup(GroupId::parse("g").unwrap())).await, 1);
        let banned = store.find_user(&UserId::parse("u7").unwrap()).await.unwrap().unwrap().ban.unwrap();
        assert_eq!((banned.reason.as_str(), banned.badge.as_str()), ("left", ""));
        let text = GroupFilter::from(crate::model::search::GroupIs::AnyText(prefix("adm")));
        assert_eq!(store.find_groups(&text, &[], Page::ALL).await.unwrap().total, 1);
        assert_eq!(store.list_groups().await.unwrap().len(), 1);
        store.close().await.unwrap();
    }
}
