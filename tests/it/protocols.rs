//! How upstreams are reached: TLS with files of one's own, socket files, HTTP/2.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    thread,
    time::Duration,
};

use crate::{
    support::{
        Gateway, Request, Upstream, Upstream2,
        gateway::eventually,
        h2::{self, H2},
        tls::Identity,
    },
    upstreams::metric,
};

#[test]
fn upstreams_that_want_to_know_who_asks() {
    let (server, client, other) =
        (Identity::of(&["localhost"]), Identity::of(&["gateway"]), Identity::of(&["other"]));
    let upstream = Upstream::start_tls_for(&server, &client);
    let gateway = Gateway::start(|setup| {
        for (name, text) in [
            ("server.pem", &server.certificate_pem),
            ("client.pem", &client.certificate_pem),
            ("client-key.pem", &client.key_pem),
            ("other.pem", &other.certificate_pem),
            ("other-key.pem", &other.key_pem),
        ] {
            std::fs::write(setup.folder().join(name), text).unwrap();
        }
        let with = |name: &str| {
            format!(
                "ca = \"server.pem\"\nclient_certificate = \"{name}.pem\"\nclient_key = \"{name}-key.pem\""
            )
        };
        setup
            .service("open", "open-secret-0123456789")
            .open("/known", &upstream, &with("client"))
            .open("/stranger", &upstream, &with("other"))
            .open("/nobody", &upstream, "ca = \"server.pem\"");
    });
    for _ in 0..3 {
        assert_eq!(gateway.send(&Request::get("/known/x")).status, 200);
    }
    assert_eq!(upstream.take().len(), 3);
    for path in ["/stranger/x", "/nobody/x"] {
        assert_eq!(gateway.send(&Request::get(path)).status, 502, "{path}");
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_certificate_for_another_name_is_good_where_that_name_is_asked_for() {
    let identity = Identity::of(&["tracker.internal"]);
    let upstream = Upstream::start_tls(&identity);
    let gateway = Gateway::start(|setup| {
        std::fs::write(setup.folder().join("ca.pem"), &identity.certificate_pem).unwrap();
        setup
            .service("open", "open-secret-0123456789")
            .open("/named", &upstream, "ca = \"ca.pem\"\nserver_name = \"tracker.internal\"")
            .open("/other", &upstream, "ca = \"ca.pem\"\nserver_name = \"other.internal\"")
            .open("/plain", &upstream, "ca = \"ca.pem\"");
    });
    assert_eq!(gateway.send(&Request::get("/named/x")).status, 200);
    assert_eq!(
        upstream.take()[0].header("host").as_deref(),
        Some("localhost"),
        "the client's host, as always"
    );
    for path in ["/other/x", "/plain/x"] {
        assert_eq!(gateway.send(&Request::get(path)).status, 502, "{path}");
    }
    assert_eq!(upstream.count(), 0);
}

/// A reload leaves connections alone whose files hold what they held, and gives up those whose files have changed.
#[test]
fn connections_with_tls_outlive_a_reload_that_changes_nothing_of_theirs() {
    let identities = [Identity::of(&["localhost"]), Identity::of(&["localhost"])];
    let upstreams = identities.each_ref().map(Upstream::start_tls);
    let clients = [Identity::of(&["gateway"]), Identity::of(&["gateway"])];
    let gateway = Gateway::start(|setup| {
        let put = |name: &str, text: &str| std::fs::write(setup.folder().join(name), text).unwrap();
        put("one.pem", &identities[0].certificate_pem);
        put("other.pem", &identities[1].certificate_pem);
        put("client.pem", &clients[0].certificate_pem);
        put("client-key.pem", &clients[0].key_pem);
        let client = "client_certificate = \"client.pem\"\nclient_key = \"client-key.pem\"";
        setup.service("open", "open-secret-0123456789").open("/one", &upstreams[0], "ca = \"one.pem\"").open(
            "/other",
            &upstreams[1],
            &format!("ca = \"other.pem\"\n{client}"),
        );
    });
    let put = |name: &str, text: &str| std::fs::write(gateway.folder().join(name), text).unwrap();
    let reload = |text: &str| gateway.reload(text);
    let text = gateway.config_text();
    // One connection at a time, so that there is no reason but a reload for a second.
    let connections = || {
        for path in ["/one/x", "/other/x"] {
            assert_eq!(gateway.send(&Request::get(path)).status, 200, "{path}");
        }
        upstreams.each_ref().map(Upstream::connections)
    };
    assert_eq!(connections(), [1, 1]);
    reload(&text).unwrap();
    assert_eq!(connections(), [1, 1], "nothing has changed");
    // The same bytes, written anew or under another name.
    put("one.pem", &identities[0].certificate_pem);
    put("moved.pem", &identities[1].certificate_pem);
    reload(&text.replace("other.pem", "moved.pem")).unwrap();
    assert_eq!(connections(), [1, 1], "the files hold what they held");
    // Each file counts, and for those alone who use it.
    put("client.pem", &clients[1].certificate_pem);
    assert!(reload(&text).unwrap_err().contains("client-key.pem"), "the key is of another certificate");
    assert_eq!(connections(), [1, 1], "the ones before stay in force");
    put("client-key.pem", &clients[1].key_pem);
    reload(&text).unwrap();
    assert_eq!(connections(), [1, 2]);
    put("one.pem", &[&*identities[0].certificate_pem, &*identities[1].certificate_pem].concat());
    reload(&text).unwrap();
    assert_eq!(connections(), [2, 2]);
    // What is not trusted any more is not spoken to any more.
    put("one.pem", &identities[1].certificate_pem);
    reload(&text).unwrap();
    assert_eq!(gateway.send(&Request::get("/one/x")).status, 502);
    std::fs::remove_file(gateway.folder().join("one.pem")).unwrap();
    assert!(reload(&text).unwrap_err().contains("one.pem"));
    assert_eq!(gateway.send(&Request::get("/other/x")).status, 200);
    reload(&text.replace("one.pem", "moved.pem")).unwrap();
    assert_eq!(gateway.send(&Request::get("/other/x")).status, 200);
    assert_eq!(upstreams[1].connections(), 2);
}

#[test]
fn socket_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            thread::spawn(move || {
                let mut seen = Vec::new();
                let mut piece = [0; 4096];
                while let Ok(count) = socket.read(&mut piece) {
                    if count == 0 {
                        return;
                    }
                    seen.extend_from_slice(&piece[..count]);
                    if seen.ends_with(b"\r\n\r\n") {
                        let line = String::from_utf8_lossy(&seen).lines().next().unwrap().to_owned();
                        let answer =
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len());
                        socket.write_all(answer.as_bytes()).unwrap();
                        seen.clear();
                    }
                }
            });
        }
    });
    let to = |path: &std::path::Path| [format!("unix:{}", path.display())];
    let gateway = Gateway::start(|setup| {
        setup
            .service("open", "open-secret-0123456789")
            .open_to("/x", &to(&path), "health = { path = \"/well\", every = \"200ms\" }")
            .open_to("/gone", &to(&folder.path().join("gone.sock")), "");
    });
    for n in 0..3 {
        let answer = gateway.send(&Request::get(&format!("/x/{n}")));
        assert_eq!((answer.status, answer.text()), (200, format!("GET /x/{n} HTTP/1.1")));
    }
    assert_eq!(gateway.send(&Request::get("/gone/x")).status, 502);
    let label = format!("hubgate_upstream_up{{upstream=\"/x\",target=\"unix:{}\"}}", path.display());
    thread::sleep(Duration::from_millis(700));
    assert_eq!(metric(&gateway, &label), 1, "its checks pass");
    assert!(gateway.lines().contains(&format!("unix:{}", path.display())), "the access line names it");
}

/// One route each to upstreams that speak HTTP/2 in the ways there are.
fn house() -> (Gateway, Upstream2, Upstream2, Upstream2) {
    let identity = Identity::of(&["localhost"]);
    let plain = Upstream2::start();
    let both = Upstream2::start_tls(&identity, &["h2", "http/1.1"]);
    let old = Upstream2::start_tls(&identity, &["http/1.1"]);
    let gateway = Gateway::start(|setup| {
        std::fs::write(setup.folder().join("ca.pem"), &identity.certificate_pem).unwrap();
        setup
            .service("open", "open-secret-0123456789")
            .service("alpha", "alpha-secret-0123456789")
            .service("machine", "machine-secret-0123456789")
            .open_to("/h2c", &[plain.h2c()], "max_body_size = \"1MiB\"\nfirst_byte_timeout = \"2s\"")
            .open_to("/known", &[plain.origin()], "http2 = \"prior-knowledge\"")
            .open_to("/both", &[both.origin()], "ca = \"ca.pem\"\nhttp2 = true")
            .open_to("/both-old", &[both.origin()], "ca = \"ca.pem\"")
            .open_to("/old", &[old.origin()], "ca = \"ca.pem\"\nhttp2 = \"auto\"")
            .open_to("/old-must", &[old.origin()], "ca = \"ca.pem\"\nhttp2 = \"prior-knowledge\"")
            .route_to("alpha", "/api", &[plain.h2c()], "");
    });
    (gateway, plain, both, old)
}

#[test]
fn http2_is_spoken_where_it_was_agreed_on() {
    let (gateway, plain, both, old) = house();
    for (path, upstream, version) in [
        ("/h2c/x?a=b", &plain, http::Version::HTTP_2),
        ("/known/x?a=b", &plain, http::Version::HTTP_2),
        ("/both/x?a=b", &both, http::Version::HTTP_2),
        ("/both-old/x?a=b", &both, http::Version::HTTP_11),
        ("/old/x?a=b", &old, http::Version::HTTP_11),
    ] {
        for _ in 0..3 {
            let answer = gateway.send(&Request::new("POST", path).body("hello").header("X-Own", "1"));
            assert_eq!((answer.status, answer.json()["length"].as_u64()), (200, Some(5)), "{path}");
            let seen = upstream.take().remove(0);
            assert_eq!(seen.version, version, "{path}");
            assert_eq!(seen.uri.path_and_query().unwrap(), path);
            let host = seen.uri.authority().map(ToString::to_string);
            let host = host.or_else(|| seen.headers.get("host").map(|h| h.to_str().unwrap().to_owned()));
            assert_eq!(host.as_deref(), Some("localhost"), "{path}");
            assert_eq!(seen.headers["x-own"], "1");
            assert_eq!(seen.headers["content-length"], "5");
            assert!(
                seen.headers.contains_key("x-request-id") && seen.headers.contains_key("x-forwarded-for")
            );
            for hop in ["connection", "transfer-encoding", "te"] {
                assert!(!seen.headers.contains_key(hop), "{path}: {hop}");
            }
        }
    }
    assert_eq!(gateway.send(&Request::get("/old-must/x")).status, 502, "it does not agree");
    assert!(old.take().is_empty());
    // One connection carries them all.
    let (before, _) = plain.connections();
    let requests: Vec<Request> = (0..60).map(|n| Request::get(&format!("/h2c/{n}"))).collect();
    let answers = gateway.client().send_h2(&requests);
    assert!(answers.iter().all(|answer| answer.status == 200));
    for (n, answer) in answers.iter().enumerate() {
        assert!(answer.json()["uri"].as_str().unwrap().ends_with(&format!("/h2c/{n}")), "each gets its own");
    }
    assert_eq!(plain.connections().0, before);
    assert_eq!(metric(&gateway, "hubgate_upstream_connections{upstream=\"/h2c\""), 1);
}

#[test]
fn identity_is_told_over_http2_as_over_http1() {
    let (gateway, plain, ..) = house();
    let token = gateway.machine_token("alpha");
    let request = Request::get("/api/x")
        .bearer(&token)
        .header("X-Forwarded-User", "admin")
        .header("x_forwarded_client", "admin")
        .header("Connection", "x-forwarded-client, x-hop")
        .header("X-Hop", "1");
    assert_eq!(gateway.send(&request).status, 200);
    let seen = plain.take().remove(0);
    assert_eq!(seen.headers["x-forwarded-client"], "machine");
    assert_eq!(seen.headers.get_all("x-forwarded-client").iter().count(), 1);
    assert!(!seen.headers.contains_key("x-forwarded-user") && !seen.headers.contains_key("x-hop"));
    assert!(!seen.headers.contains_key("x_forwarded_client"));
    let authorization = seen.headers["authorization"].to_str().unwrap();
    assert!(authorization.starts_with("Bearer ") && !authorization.contains(&token));
    assert_eq!(gateway.send(&Request::get("/api/x")).status, 401);
    assert!(plain.take().is_empty(), "what is refused does not arrive");
    let answer = gateway.send(&Request::get("/h2c/evil"));
    assert_eq!((answer.all("set-cookie"), answer.header("alt-svc")), (vec!["a=1"], None));
}

#[test]
fn bodies_and_trailers_over_http2() {
    let (gateway, plain, ..) = house();
    let large: Vec<u8> = (0..900_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let request = Request::new("POST", "/h2c/echo").body(&large).header("TE", "trailers");
    for answer in [gateway.send(&request), gateway.client().send_h2(std::slice::from_ref(&request)).remove(0)]
    {
        assert_eq!((answer.status, answer.complete), (200, true));
        assert!(answer.body == large, "the body is not what was sent");
    }
    let seen = plain.take();
    assert!(seen.iter().all(|parts| parts.headers["te"] == "trailers"));
    let answer = gateway.client().send_h2(&[request]).remove(0);
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "42".to_owned())], "and no cookie of ours");
    let answer = gateway.client().send_h2(&[Request::new("POST", "/h2c/trailers-only")]).remove(0);
    assert_eq!((answer.header("grpc-status"), answer.complete, answer.body.len()), (Some("5"), true, 0));
    let answer = gateway.send(&Request::new("HEAD", "/h2c/x"));
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("12345")));
    assert_eq!(gateway.send(&Request::get("/h2c/empty")).status, 204);
    // An answer that comes before the request has ended, in a body that is larger than allowed, and one that is not.
    let answer = gateway.client().send_h2(&[Request::new("POST", "/h2c/early").body(&large)]).remove(0);
    assert_eq!((answer.status, answer.text().as_str()), (200, "early"));
    let mut client = gateway.raw();
    client.send("POST /h2c/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(crate::support::wire::to_chunked(&vec![b'x'; 1_200_000], 60_000));
    assert_eq!(client.answer().expect("an answer").status, 413);
    assert_eq!(gateway.send(&Request::get("/h2c/x")).status, 200);
}

#[test]
fn both_sides_speak_at_once_over_http2() {
    let (gateway, plain, ..) = house();
    let mut two = H2::connect(gateway.address());
    let head: [h2::Field<'_>; 5] = [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/h2c/echo"),
        (b"te", b"trailers"),
    ];
    two.headers(1, &head, false);
    for word in [&b"first"[..], b"second"] {
        two.data(1, word, false);
        two.wait_for(1, word);
    }
    two.data(1, b"third", true);
    two.wait_for(1, b"third");
    // Whoever goes away takes the request along.
    let mut client = gateway.raw();
    client.send(Request::get("/known/hang").bytes());
    eventually("it has arrived", || plain.hanging() == 1);
    drop(client);
    eventually("it was cancelled", || plain.hanging() == 0);
    let mut client = gateway.raw();
    client.send(Request::get("/known/endless").bytes());
    client.wait_for("tick");
    drop(client);
    eventually("its answer was cancelled", || plain.hanging() == 0);
    // One that does not answer is late, and no burden to others.
    assert_eq!(gateway.send(&Request::get("/h2c/hang")).status, 504);
    eventually("it was cancelled", || plain.hanging() == 0);
    assert_eq!(gateway.send(&Request::get("/h2c/x")).status, 200);
}

#[test]
fn an_http2_connection_that_ends_is_replaced() {
    let (gateway, plain, ..) = house();
    assert_eq!(gateway.send(&Request::get("/h2c/x")).status, 200);
    for round in 0..5 {
        plain.hang_up();
        eventually("it is closed", || plain.connections().1 == 0);
        let method = if round % 2 == 0 { "GET" } else { "POST" };
        let answer = gateway.send(&Request::new(method, "/h2c/x"));
        // What was on its way when the end came is sent again where that is safe.
        let expected: &[u16] = if round % 2 == 0 { &[200] } else { &[200, 502] };
        assert!(expected.contains(&answer.status), "round {round}: {}", answer.status);
    }
    let mut client = gateway.raw();
    client.send(Request::get("/h2c/endless").bytes());
    client.wait_for("tick");
    plain.hang_up();
    let answer = client.answer();
    assert!(answer.is_none_or(|answer| !answer.complete), "half an answer was shown as whole");
}

#[test]
fn as_many_streams_as_the_upstream_allows() {
    let upstream = Upstream2::start_with(3);
    let gateway = Gateway::start(|setup| {
        setup.service("open", "open-secret-0123456789").open_to("/x", &[upstream.h2c()], "");
    });
    assert_eq!(gateway.send(&Request::get("/x/first")).status, 200);
    let mut hanging: Vec<_> = (0..7).map(|_| gateway.raw()).collect();
    for client in &mut hanging {
        client.send(Request::get("/x/hang").bytes());
    }
    eventually("all of them arrive", || upstream.hanging() == 7);
    assert_eq!(upstream.connections().0, 3);
    assert_eq!(gateway.send(&Request::get("/x/y")).status, 200, "there is room for more");
    drop(hanging);
    eventually("all of them end", || upstream.hanging() == 0);
}

#[test]
fn health_checks_speak_what_the_target_speaks() {
    let (plain, folder) = (Upstream2::start(), Identity::of(&["localhost"]));
    let both = Upstream2::start_tls(&folder, &["h2"]);
    let health = "health = { path = \"/well\", every = \"200ms\", status = 200 }";
    let gateway = Gateway::start(|setup| {
        std::fs::write(setup.folder().join("ca.pem"), &folder.certificate_pem).unwrap();
        let tls = format!("ca = \"ca.pem\"\nhttp2 = true\n{health}");
        setup.service("open", "open-secret-0123456789").open_to("/h2c", &[plain.h2c()], health).open_to(
            "/tls",
            &[both.origin()],
            &tls,
        );
    });
    for upstream in [&plain, &both] {
        let mut seen = Vec::new();
        eventually("it was asked three times", || {
            seen.extend(upstream.take());
            seen.len() >= 3
        });
        let check = seen.remove(0);
        assert_eq!((check.uri.path(), check.version), ("/well", http::Version::HTTP_2));
    }
    eventually("both are up", || metric(&gateway, "hubgate_upstream_up{") == 2);
}
