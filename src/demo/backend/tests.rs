//! The tracker from outside: requests through its router, and one real connection.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};
use tower::ServiceExt as _;

use super::{MAX_BODY, Sample};
use crate::base::time::{ManualClock, Timestamp};

fn tracker() -> Router {
    Sample::below("/youtrack")
        .unwrap()
        .router(Arc::new(ManualClock::at(Timestamp::from_seconds(1_790_000_000))))
}

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn send(
    router: &Router,
    method: &str,
    path: &str,
    headers: Headers<'_>,
    body: impl Into<Body>,
) -> (StatusCode, http::HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(router: &Router, path: &str, headers: Headers<'_>) -> (StatusCode, Value) {
    let (status, answered, body) = send(router, "GET", path, headers, Body::empty()).await;
    assert_eq!(answered["content-type"], "application/json;charset=UTF-8");
    assert_eq!(answered["cache-control"], "no-store");
    (status, serde_json::from_str(&body).unwrap())
}

async fn post(router: &Router, path: &str, headers: Headers<'_>, body: &str) -> (StatusCode, Value) {
    let mut all = vec![("content-type", "application/json; charset=utf-8")];
    all.extend_from_slice(headers);
    let (status, _, answer) = send(router, "POST", path, &all, body.to_owned()).await;
    (status, serde_json::from_str(&answer).unwrap())
}

fn ids(issues: &Value) -> Vec<&str> {
    issues.as_array().unwrap().iter().map(|i| i["idReadable"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn issues_are_listed_searched_and_paged() {
    let router = tracker();
    let (status, all) = get(&router, "/youtrack/api/issues", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(ids(&all), ["DEMO-6", "DEMO-5", "DEMO-4", "DEMO-3", "DEMO-2", "DEMO-1"]);
    let (_, page) = get(&router, "/youtrack/api/issues?$top=2&$skip=1", &[]).await;
    assert_eq!(ids(&page), ["DEMO-5", "DEMO-4"]);
    let (_, page) = get(&router, "/youtrack/api/issues?%24top=1", &[]).await;
    assert_eq!(ids(&page), ["DEMO-6"]);
    let (_, found) = get(&router, "/youtrack/api/issues?query=TIME+zone", &[]).await;
    assert_eq!(ids(&found), ["DEMO-1"]);
    let (_, found) = get(&router, "/youtrack/api/issues?query=demo-2", &[]).await;
    assert_eq!(ids(&found), ["DEMO-2"]);
    let (_, none) = get(&router, "/youtrack/api/issues?query=no-such-thing&$skip=99999999", &[]).await;
    assert_eq!(none, json!([]));
    let (_, chosen) =
        get(&router, "/youtrack/api/issues?$top=1&fields=idReadable,reporter(login)", &[]).await;
    assert_eq!(
        chosen,
        json!([{"idReadable": "DEMO-6", "reporter": {"login": "mara.lindqvist", "$type": "User"}, "$type": "Issue"}])
    );
}

#[tokio::test]
async fn parameters_that_are_no_numbers_or_fields_are_refused() {
    let router = tracker();
    for query in ["$top=x", "$top=-1", "$skip=1.5", "fields=a(", "$top=99999999999999999999999"] {
        let (status, answer) = get(&router, &format!("/youtrack/api/issues?{query}"), &[]).await;
        assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("Bad Request")), "{query}");
    }
}

#[tokio::test]
async fn an_issue_is_created_by_whom_the_gateway_names() {
    let router = tracker();
    let body = r#"{"summary":" Door is stuck ","description":"","project":{"id":"0-0"}}"#;
    let robot: Headers<'_> = &[("x-forwarded-client", "robot")];
    let (status, created) = post(&router, "/youtrack/api/issues", robot, body).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(created["idReadable"], "DEMO-7");
    assert_eq!((&created["summary"], &created["state"]), (&json!("Door is stuck"), &json!("Open")));
    assert_eq!(created["reporter"]["login"], "robot");
    assert_eq!(created["created"], 1_790_000_000_000_i64);
    for id in ["DEMO-7", "demo-7", "2-7"] {
        let (status, read) = get(&router, &format!("/youtrack/api/issues/{id}"), &[]).await;
        assert_eq!((status, &read), (StatusCode::OK, &created));
    }
    let jane: Headers<'_> = &[("x-forwarded-user", "u-1"), ("x-forwarded-preferred-username", "jane")];
    let (status, comment) =
        post(&router, "/youtrack/api/issues/DEMO-7/comments", jane, r#"{"text":"Oiled."}"#).await;
    assert_eq!((status, &comment["author"]["login"]), (StatusCode::CREATED, &json!("jane")));
    let (_, read) = get(&router, "/youtrack/api/issues/DEMO-7", &[]).await;
    assert_eq!((&read["commentsCount"], &read["comments"][0]), (&json!(1), &comment));

    let request = [("content-type", "application/json")];
    let (status, headers, _) =
        send(&router, "POST", "/youtrack/api/issues?fields=id", &request, r#"{"summary":"x"}"#).await;
    assert_eq!(
        (status, &headers["location"]),
        (StatusCode::CREATED, &"/youtrack/api/issues/DEMO-8".parse().unwrap())
    );
}

#[tokio::test]
async fn bad_bodies_are_refused_and_nothing_is_kept() {
    let router = tracker();
    let long = |n: usize| "x".repeat(n);
    for body in [
        String::new(),
        "{".into(),
        "[]".into(),
        "{}".into(),
        r#"{"summary":1}"#.into(),
        r#"{"summary":"  "}"#.into(),
        r#"{"summary":"a\nb"}"#.into(),
        json!({ "summary": long(201) }).to_string(),
        json!({ "summary": "ok", "description": long(10_001) }).to_string(),
        r#"{"summary":"ok"} trailing"#.into(),
    ] {
        let (status, answer) = post(&router, "/youtrack/api/issues", &[], &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer["error_description"].is_string());
    }
    let (status, _) = post(&router, "/youtrack/api/issues", &[], &long(MAX_BODY + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    for kind in ["application/x-www-form-urlencoded", "text/plain", "application/jsonp"] {
        let (status, _, _) =
            send(&router, "POST", "/youtrack/api/issues", &[("content-type", kind)], r#"{"summary":"a"}"#)
                .await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    let (status, _) = post(&router, "/youtrack/api/issues/DEMO-1/comments", &[], r#"{"text":""}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (_, all) = get(&router, "/youtrack/api/issues", &[]).await;
    assert_eq!(all.as_array().unwrap().len(), 6);
    assert_eq!(all[5]["commentsCount"], 2);
}

#[tokio::test]
async fn a_full_tracker_says_so() {
    let router = tracker();
    for _ in 6..500 {
        let (status, _) = post(&router, "/youtrack/api/issues?fields=id", &[], r#"{"summary":"more"}"#).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    let (status, answer) = post(&router, "/youtrack/api/issues", &[], r#"{"summary":"one too many"}"#).await;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::INSUFFICIENT_STORAGE, &json!("Insufficient Storage"))
    );
    let comments = "/youtrack/api/issues/DEMO-4/comments";
    for _ in 0..100 {
        let (status, _) = post(&router, comments, &[], r#"{"text":"bump"}"#).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    assert_eq!(post(&router, comments, &[], r#"{"text":"bump"}"#).await.0, StatusCode::INSUFFICIENT_STORAGE);
}

#[tokio::test]
async fn what_is_not_there_is_answered_in_json() {
    let router = tracker();
    for path in ["/", "/youtrack/api", "/youtrack/api/issues/", "/youtrackx", "/youtrack/api/issues/DEMO-99"]
    {
        let (status, answer) = get(&router, path, &[]).await;
        assert_eq!((status, &answer["error"]), (StatusCode::NOT_FOUND, &json!("Not Found")), "{path}");
    }
    for id in [
        "DEMO-0",
        "DEMO-01",
        "DEMO-",
        "DEMO--1",
        "DEMO-+1",
        "X-1",
        "1",
        "%F0%9F%92%A9",
        "DEMO-99999999999999999999",
    ] {
        let (status, _) = get(&router, &format!("/youtrack/api/issues/{id}"), &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
    }
    let (status, headers, body) = send(&router, "DELETE", "/youtrack/api/issues", &[], Body::empty()).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers["allow"], "GET,HEAD,POST");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["error"], "Method Not Allowed");
}

#[tokio::test]
async fn me_and_whoami_repeat_what_the_gateway_said() {
    let router = tracker();
    let token = format!("Bearer e30.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(r#"{"aud":["youtrack"]}"#));
    let headers: Headers<'_> = &[
        ("x-forwarded-client", "robot"),
        ("x-forwarded-scope", "youtrack"),
        ("x-request-id", "r-1"),
        ("forwarded", "for=192.0.2.1;proto=https"),
        ("authorization", &token),
        ("user-agent", "curl"),
    ];
    let (_, me) = get(&router, "/youtrack/api/users/me", headers).await;
    assert_eq!(me, json!({"id":"robot","login":"robot","guest":false,"type":"service","$type":"Me"}));
    let (_, me) = get(&router, "/youtrack/api/users/me?fields=login,guest", &[]).await;
    assert_eq!(me, json!({"login":"guest","guest":true,"$type":"Me"}));
    let (_, who) = get(&router, "/youtrack/api/whoami", headers).await;
    let expected = json!({
        "Forwarded": "for=192.0.2.1;proto=https", "X-Forwarded-Client": "robot",
        "X-Forwarded-Scope": "youtrack", "X-Request-Id": "r-1",
    });
    assert_eq!(who["headers"], expected);
    assert_eq!(who["authorization"], json!({"scheme": "Bearer", "claims": {"aud": ["youtrack"]}}));
    assert!(!who.to_string().contains("c2lnbmF0dXJl"));
}

#[tokio::test]
async fn config_names_the_hub() {
    let (_, config) = get(&tracker(), "/youtrack/api/config?fields=ring(url,serviceId)", &[]).await;
    let ring = |url: &str, id: &str| json!({"ring":{"url":url,"serviceId":id,"$type":"RingConfig"},"$type":"GlobalConfig"});
    assert_eq!(config, ring("/hub", "youtrack"));
    let sample = Sample::below("").unwrap().hub("https://hub.example.com", "yt-2");
    let router = sample.router(Arc::new(ManualClock::default()));
    let (_, config) = get(&router, "/api/config?fields=ring(url,serviceId)", &[]).await;
    assert_eq!(config, ring("https://hub.example.com", "yt-2"));
}

#[tokio::test]
async fn the_page_escapes_and_its_policy_allows_exactly_its_style() {
    let router = tracker();
    let attack = "<script>alert(1)</script>";
    let sender: Headers<'_> = &[("x-forwarded-client", attack)];
    let issue = json!({ "summary": attack, "description": attack }).to_string();
    post(&router, "/youtrack/api/issues", sender, &issue).await;
    let comment = json!({ "text": attack }).to_string();
    post(&router, "/youtrack/api/issues/DEMO-7/comments", sender, &comment).await;
    let claims =
        URL_SAFE_NO_PAD.encode(json!({ "sub": attack, attack: "x", "exp": 951_782_400 }).to_string());
    let token = format!("Bearer e30.{claims}.c2lnbmF0dXJl");
    for path in ["/youtrack", "/youtrack/"] {
        let headers: Headers<'_> =
            &[("x-forwarded-client", attack), ("x-forwarded-for", attack), ("authorization", &token)];
        let (status, answered, html) = send(&router, "GET", path, headers, Body::empty()).await;
        assert_eq!(
            (status, &answered["content-type"]),
            (StatusCode::OK, &"text/html;charset=UTF-8".parse().unwrap())
        );
        assert!(!html.contains("<script"), "{html}");
        // Issue: summary, description, reporter; comment: author, text; the bar; two headers; two claims.
        assert_eq!(html.matches("&#60;script&#62;").count(), 10, "{html}");
        assert!(html.contains("2000-02-29T00:00:00Z"));
        assert!(!html.contains("c2lnbmF0dXJl") && !html.contains(&claims));

        let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
        let digest = base64::engine::general_purpose::STANDARD.encode(digest);
        let policy = answered["content-security-policy"].to_str().unwrap();
        assert!(policy.contains(&format!("style-src 'sha256-{digest}';")), "{policy}");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    }
}

#[test]
fn a_prefix_is_a_plain_path() {
    for good in ["", "/youtrack", "/a/b-c_d.e~f"] {
        assert!(Sample::below(good).is_ok(), "{good}");
    }
    for bad in ["/", "youtrack", "/a/", "//a", "/a//b", "/{id}", "/*x", "/a b", "/..", "/ä", "/a%20b"] {
        let error = Sample::below(bad).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{bad}");
    }
}

#[tokio::test]
async fn it_serves_a_kept_alive_connection_until_it_is_told_to_stop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(super::serve(listener, "/youtrack", async {
        let _ = stopped.await;
    }));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut seen = vec![0; 4096];
    for _ in 0..2 {
        stream.write_all(b"GET /youtrack/healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        while !answer.contains("\"status\": \"ok\"") {
            let count = timeout(Duration::from_secs(20), stream.read(&mut seen)).await.unwrap().unwrap();
            assert_ne!(count, 0, "{answer}");
            answer.push_str(std::str::from_utf8(&seen[..count]).unwrap());
        }
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    stop.send(()).unwrap();
    // The idle connection is closed as well, so this does not wait for the client.
    timeout(Duration::from_secs(20), server).await.unwrap().unwrap().unwrap();
    assert_eq!(stream.read(&mut seen).await.unwrap(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}
