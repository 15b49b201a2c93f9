//! How SQLite goes about each statement of the store: with a million tokens, none that looks something up may read them
//! all. The statements are taken from the sources, so that a new one is not forgotten.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::*;

/// Tables that have a few rows at most.
const SMALL: [&str; 2] = ["changes", "signing_keys"];

/// What `select!` stands for in a file.
fn prefix(source: &str) -> Option<&str> {
    let (_, definition) = source.split_once("macro_rules! select")?;
    literal(definition.split_once("concat!(")?.1)
}

/// The next string literal; SQL has no quotes of this kind in it.
fn literal(source: &str) -> Option<&str> {
    Some(source.split_once('"')?.1.split_once('"')?.0)
}

/// Every statement in the sources of this folder.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sqlite");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let mut found = Vec::new();
    // What makes a database, or takes a copy apart that nobody else knows, is no look-up.
    let looks_up =
        |path: &PathBuf| path.is_file() && !path.ends_with("setup.rs") && !path.ends_with("backup.rs");
    for path in files.filter(looks_up) {
        let source = read(&path);
        let source = source.split("#[cfg(test)]").next().unwrap();
        if path.to_str().unwrap().ends_with("tests.rs") {
            continue;
        }
        for start in ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE "] {
            for (at, _) in source.match_indices(start) {
                let statement = literal(&source[at..]).unwrap();
                if prefix(source) != Some(statement) {
                    found.extend(statement.split(';').map(|part| part.trim().to_owned()));
                }
            }
        }
        for (at, _) in source.match_indices("select!(") {
            let users = source[..at].ends_with("users::").then(|| read(&folder.join("users.rs")));
            let start = prefix(users.as_deref().unwrap_or(source)).unwrap();
            found.push(format!("{start}{}", literal(&source[at..]).unwrap()));
        }
    }
    found
}

#[tokio::test]
async fn no_look_up_reads_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(SqliteStore::open(&path).await.unwrap());
    let mut connection = options(&path).connect().await.unwrap();
    let statements = statements();
    assert!(statements.len() > 70, "the reader has lost the statements: {statements:#?}");
    let mut wrong = Vec::new();
    for statement in &statements {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
        let plan = plan.fetch_all(&mut connection).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        for step in plan {
            let step: String = step.get("detail");
            let Some(scanned) = step.strip_prefix("SCAN ") else { continue };
            let harmless = SMALL.iter().any(|table| scanned.starts_with(table))
                // The elements of an argument, and no table at all.
                || scanned.starts_with("json_each")
                || scanned.starts_with("CONSTANT ROW")
                // What a step of its own has found.
                || scanned.starts_with("(subquery")
                // A list of all of them, in the order of an index.
                || statement.rsplit("FROM").next().is_some_and(|end| !end.contains("WHERE") && end.contains("ORDER BY"));
            if !harmless {
                wrong.push(format!("{step}: {statement}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    connection.close().await.unwrap();
}

/// What refers to a row is looked up when that row goes.
#[tokio::test]
async fn what_goes_along_is_found_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(SqliteStore::open(&path).await.unwrap());
    let mut connection = options(&path).connect().await.unwrap();
    let references = sqlx::query(
        "SELECT m.name AS child, f.\"from\" AS reference FROM sqlite_schema m, pragma_foreign_key_list(m.name) f
         WHERE m.type = 'table'",
    );
    let references = references.fetch_all(&mut connection).await.unwrap();
    assert!(references.len() > 8, "{}", references.len());
    for row in references {
        let (child, column): (String, String) = (row.get("child"), row.get("reference"));
        let plan = format!("EXPLAIN QUERY PLAN DELETE FROM {child} WHERE {column} = 'x'");
        let plan = sqlx::query(AssertSqlSafe(plan)).fetch_all(&mut connection).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        assert!(steps.iter().all(|step| step.starts_with("SEARCH")), "{child}.{column}: {steps:?}");
    }
    connection.close().await.unwrap();
}
