//! Running it: health, metrics, stopping, reloading, certificates, and the commands.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    support::{
        Gateway, RawClient, Reply, Request, Setup, Upstream,
        browser::{AUTH, form},
        forge,
        gateway::{PUBLIC_URL, TOKEN, eventually, load},
        process::{self, Serve, free_port, try_plain_get, written},
        tls::Identity,
    },
    upstreams::metric,
};

#[test]
fn the_management_listener() {
    let (gateway, upstream) = Gateway::standard();
    assert_eq!(gateway.management("/healthz").0, 200);
    assert_eq!(gateway.management("/readyz").0, 200);
    assert_eq!(gateway.management("/nothing").0, 404);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(gateway.send(&Request::get(path)).status, 404, "{path} is not for clients");
    }
    assert!(upstream.take().is_empty());
}

#[test]
fn metrics_have_the_names_of_the_surface() {
    let (gateway, _upstream) = Gateway::standard();
    let token = gateway.machine_token("alpha");
    for _ in 0..3 {
        assert_eq!(gateway.send(&Request::get("/api/x").bearer(&token)).status, 200);
    }
    assert_eq!(gateway.send(&Request::get("/api/x")).status, 401);
    assert_eq!(gateway.send(&Request::get("/admin/x").bearer(&token)).status, 403);
    gateway.send(&Request::get("/public/x"));
    gateway.send(&Request::form(TOKEN, "grant_type=client_credentials").basic("machine", "wrong"));
    let (status, text) = gateway.management("/metrics");
    assert_eq!(status, 200);
    for name in [
        "hubgate_requests_total{",
        "hubgate_request_duration_seconds_bucket{",
        "hubgate_request_duration_seconds_count{",
        "hubgate_decisions_total{",
        "hubgate_tokens_issued_total{grant=\"client_credentials\"} 1",
        "hubgate_token_errors_total{error=\"invalid_client\"} 1",
        "hubgate_connections",
        "hubgate_upstream_",
        "hubgate_token_cache_",
    ] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
    let requests: Vec<&str> = text.lines().filter(|l| l.starts_with("hubgate_requests_total{")).collect();
    for label in ["route=", "method=", "status="] {
        assert!(requests.iter().all(|l| l.contains(label)), "{label} in {requests:?}");
    }
    let of_api: Vec<&&str> =
        requests.iter().filter(|l| l.contains("route=\"/api\"") && l.contains("status=\"200\"")).collect();
    assert!(of_api.len() == 1 && of_api[0].ends_with(" 3"), "{requests:#?}");
    // Nobody can fill the memory with labels.
    let series = |text: &str| text.lines().filter(|l| l.starts_with("hubgate_")).count();
    let before = series(&gateway.management("/metrics").1);
    for n in 0..50 {
        gateway.send(
            &Request::new(&format!("METHOD{n}"), &format!("/public/path-{n}")).host(&format!("h{n}.example")),
        );
        gateway.send(&Request::new(&format!("VERB{n}"), &format!("/nowhere/{n}")));
    }
    let after = series(&gateway.management("/metrics").1);
    assert!(after < before + 60, "{before} series became {after}");
    assert!(!text.contains(&token) && !text.contains("machine-secret-0123456789"));
}

/// What the gate knows is counted as it changes.
#[test]
fn people_revocations_and_those_who_are_led_to_sign_in_are_counted() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup.standard(&upstream).route(
            "alpha",
            "/app",
            &upstream,
            "[[upstream.rule]]\npath = \"/app/**\"\naccess = \"browser\"",
        );
    });
    let revocations = || metric(&gateway, "hubgate_revocations ");
    let revoked = revocations();
    let token = gateway.machine_token("alpha");
    gateway.command(&["token", "revoke", &token]);
    eventually("the revocation is known", || revocations() == revoked + 1);
    assert_eq!(gateway.send(&Request::get("/api/x").bearer(&token)).status, 401);

    let people = || metric(&gateway, "hubgate_people ");
    let before = people();
    assert!(before >= 2, "the administrator and the guest are people, too: {before}");
    gateway.command(&["user", "add", "jane", "--no-password"]);
    eventually("one more is known", || people() == before + 1);
    gateway.command(&["user", "remove", "jane"]);
    eventually("one less is known", || people() == before);

    let led = || metric(&gateway, "hubgate_decisions_total{route=\"/app\",decision=\"login\"}");
    assert_eq!(led(), 0);
    let page = Request::get("/app/page")
        .header("Accept", "text/html")
        .header("Sec-Fetch-Mode", "navigate")
        .header("Sec-Fetch-Dest", "document");
    for _ in 0..2 {
        assert_eq!(gateway.send(&page).status, 302);
    }
    eventually("both are counted", || led() == 2);
    // Who is on the way to no page is refused, and counted as that.
    assert_eq!(gateway.send(&Request::get("/app/page")).status, 401);
    eventually("it is counted apart", || {
        metric(&gateway, "hubgate_decisions_total{route=\"/app\",decision=\"unauthorized\"}") == 1
    });
    assert_eq!(led(), 2);
    let lines = || gateway.lines();
    eventually("it is in the lines", || lines().matches(" decision=login ").count() == 2);
    assert_eq!(metric(&gateway, "hubgate_log_lines_lost_total "), 0);
}

/// An output that takes nothing costs its lines, which are counted, and nothing else.
#[test]
fn lines_that_are_lost_are_counted() {
    let (port, management) = (free_port(), free_port());
    let (config, _folder) = Gateway::prepare(|setup| {
        setup.set("listen", "https", &format!("[\"127.0.0.1:{port}\"]")).set(
            "listen",
            "management",
            &format!("\"127.0.0.1:{management}\""),
        );
    });
    let serve = Serve::start_by("exec \"$0\" \"$@\" > /dev/full", &config, port);
    let lost = || {
        let address = SocketAddr::from(([127, 0, 0, 1], management));
        let (_, text) = try_plain_get(address, "/metrics").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("hubgate_log_lines_lost_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = lost();
    for _ in 0..5 {
        assert_eq!(serve.client().send(&Request::get("/hub/api/rest/oauth2/keys")).status, 200);
    }
    // An access line and a decision line of each.
    eventually("they are counted", || lost() >= before + 10);
}

/// The ports and the folder of a gateway in a process of its own.
struct Prepared {
    serve: Serve,
    management: SocketAddr,
    config: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

fn serve(configure: impl FnOnce(&mut Setup)) -> Prepared {
    let (port, management) = (free_port(), free_port());
    let (config, folder) = Gateway::prepare(|setup| {
        setup
            .set("listen", "https", &format!("[\"127.0.0.1:{port}\"]"))
            .set("listen", "management", &format!("\"127.0.0.1:{management}\""))
            .set("log", "level", r#""info""#);
        configure(setup);
    });
    let serve = Serve::start(&config, port);
    let management = SocketAddr::from(([127, 0, 0, 1], management));
    eventually("it is ready", || {
        try_plain_get(management, "/readyz").is_some_and(|(status, _)| status == 200)
    });
    Prepared { serve, management, config, _folder: folder }
}

/// SIGTERM: unready, what is in flight completes, exit 0.
#[test]
fn stopping_drains() {
    let upstream = Upstream::start();
    let mut prepared = serve(|setup| {
        setup.standard(&upstream).set("limits", "drain_timeout", r#""10s""#);
    });
    let pieces = std::iter::once((Duration::ZERO, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec()))
        .chain(b"12345".iter().map(|b| (Duration::from_millis(250), vec![*b])))
        .collect();
    upstream.reply(Reply::Pieces(pieces));
    let mut idle = RawClient::connect(prepared.serve.address());
    idle.send(Request::get("/public/innocent").bytes());
    assert_eq!(idle.answer().unwrap().status, 200);
    let mut client = RawClient::connect(prepared.serve.address());
    client.send(Request::get("/public/slow").bytes());
    eventually("the slow request is forwarded", || upstream.count() == 2);
    let address = prepared.serve.address();
    prepared.serve.signal("TERM");
    let in_flight = thread::spawn(move || client.answer());
    eventually("readiness is withdrawn", || {
        try_plain_get(prepared.management, "/readyz").is_none_or(|(status, _)| status == 503)
    });
    eventually("no new connection is taken", || TcpStream::connect(address).is_err());
    assert!(idle.closes_within(Duration::from_secs(8)), "an idle connection is closed");
    let answer = in_flight.join().unwrap().expect("the answer in flight");
    assert_eq!((answer.text().as_str(), answer.complete), ("12345", true));
    assert_eq!(prepared.serve.exit_within(Duration::from_secs(20)), Some(0), "{}", prepared.serve.log());
}

/// Who waits to be accepted when the gateway is told to stop has seen the connection stand, and is answered.
#[test]
fn stopping_answers_who_waits_in_the_queue() {
    let upstream = Upstream::start();
    let mut prepared = serve(|setup| {
        setup.standard(&upstream).set("listen", "workers", "2");
    });
    let address = prepared.serve.address();
    prepared.serve.signal("STOP");
    let waiting: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    prepared.serve.signal("TERM");
    prepared.serve.signal("CONT");
    let asking = waiting.into_iter().map(|socket| {
        thread::spawn(move || {
            let mut client = RawClient::over(socket, "http/1.1", "localhost");
            client.send(Request::get("/public/x").bytes());
            client.answer().map(|answer| answer.status)
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert_eq!(asked.join().expect("a handshake"), Some(200));
    }
    assert_eq!(prepared.serve.exit_within(Duration::from_secs(20)), Some(0), "{}", prepared.serve.log());
}

#[test]
fn draining_has_a_deadline() {
    let upstream = Upstream::start();
    let mut prepared = serve(|setup| {
        setup.standard(&upstream).set("limits", "drain_timeout", r#""500ms""#);
    });
    upstream.reply(Reply::Hang);
    let mut client = RawClient::connect(prepared.serve.address());
    client.send(Request::get("/public/x").bytes());
    eventually("the request is forwarded", || upstream.count() == 1);
    let started = Instant::now();
    prepared.serve.signal("TERM");
    assert_eq!(prepared.serve.exit_within(Duration::from_secs(20)), Some(0), "{}", prepared.serve.log());
    assert!(started.elapsed() >= Duration::from_millis(400), "it did not wait: {:?}", started.elapsed());
}

#[test]
fn ctrl_c_stops_as_well() {
    let upstream = Upstream::start();
    let mut prepared = serve(|setup| {
        setup.standard(&upstream);
    });
    prepared.serve.signal("INT");
    assert_eq!(prepared.serve.exit_within(Duration::from_secs(20)), Some(0), "{}", prepared.serve.log());
    assert!(!prepared.serve.log().contains("panicked"), "{}", prepared.serve.log());
}

/// What the gateway made at its first start is kept: certificate, keys, and thereby every token.
#[test]
fn restarts_keep_what_was_made() {
    let upstream = Upstream::start();
    let mut prepared = serve(|setup| {
        setup.standard(&upstream);
    });
    let form = Request::form(TOKEN, "grant_type=client_credentials&scope=alpha")
        .basic("machine", "machine-secret-0123456789");
    let token = prepared.serve.client().send(&form).json()["access_token"].as_str().unwrap().to_owned();
    let certificate = RawClient::connect(prepared.serve.address()).certificate();
    let port = prepared.serve.address().port();
    let data = prepared.config.parent().unwrap().join("data");
    #[cfg(unix)]
    assert_owner_only(&data);
    // Killed, not stopped: nothing that was acknowledged may depend on an orderly end.
    prepared.serve.signal("KILL");
    assert_eq!(
        prepared.serve.exit_within(Duration::from_secs(20)),
        None,
        "a killed process has no exit code"
    );
    let again = Serve::start(&prepared.config, port);
    assert_eq!(RawClient::connect(again.address()).certificate(), certificate);
    assert_eq!(again.client().send(&Request::get("/api/x").bearer(&token)).status, 200);
}

#[cfg(unix)]
fn assert_owner_only(folder: &Path) {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    let mut secret_files = 0;
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    for path in files {
        let data = std::fs::metadata(&path).unwrap();
        let mode = data.permissions().mode() & 0o777;
        if data.file_type().is_socket() {
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if bytes.len() == 32 || String::from_utf8_lossy(&bytes).contains("PRIVATE KEY") {
            secret_files += 1;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        }
        assert_eq!(mode & 0o022, 0, "{} can be written by others: {mode:o}", path.display());
    }
    assert!(secret_files >= 2, "the key file and the certificate's key");
}

/// Reloading takes over what is right and keeps what was when it is wrong.
#[test]
fn reloading() {
    let (gateway, upstream) = Gateway::standard();
    let text = gateway.config_text();
    assert_eq!(gateway.send(&Request::get("/new/x")).status, 404);
    let token = gateway.machine_token("alpha");
    let mut kept = gateway.raw();
    kept.send(Request::get("/api/x").bearer(&token).bytes());
    assert_eq!(kept.answer().unwrap().status, 200);

    let more = format!(
        "{text}\n[[service]]\nid = \"new\"\nname = \"new\"\nsecret = \"new-secret-0123456789\"\n\
         [[upstream]]\nservice = \"new\"\npath = \"/new\"\nto = [\"{}\"]\n",
        upstream.origin()
    );
    gateway.reload(&more).unwrap();
    eventually("the new route exists", || gateway.send(&Request::get("/new/x")).status == 401);
    let new = gateway.token("new", "new-secret-0123456789", "new");
    assert_eq!(gateway.send(&Request::get("/new/x").bearer(&new)).status, 200);
    kept.send(Request::get("/api/x").bearer(&token).bytes());
    assert_eq!(kept.answer().expect("connections live on").status, 200);

    for (name, bad) in [
        ("no TOML", format!("{more}\n[[[")),
        ("an unknown key", format!("{more}\nnonsense = 1\n")),
        ("nothing", String::new()),
    ] {
        let refused = gateway.reload(&bad);
        assert!(refused.is_err(), "{name} was taken");
        assert_eq!(gateway.send(&Request::get("/new/x").bearer(&new)).status, 200, "after {name}");
        assert_eq!(gateway.send(&Request::get("/bad/x")).status, 404, "after {name}");
    }

    // A service may be registered later, by command: until then its route is closed, and no other is touched.
    let closed = format!(
        "{more}\n[[upstream]]\nservice = \"nobody\"\npath = \"/bad\"\nto = [\"{}\"]\n",
        upstream.origin()
    );
    gateway.reload(&closed).unwrap();
    eventually("the route without a service exists", || gateway.send(&Request::get("/bad/x")).status != 404);
    upstream.take();
    assert_eq!(gateway.send(&Request::get("/bad/x").bearer(&new)).status, 503);
    assert!(upstream.take().is_empty());
    assert_eq!(gateway.send(&Request::get("/new/x").bearer(&new)).status, 200);

    gateway.reload(&text).unwrap();
    eventually("the route is gone", || gateway.send(&Request::get("/new/x").bearer(&new)).status == 404);
    assert_eq!(gateway.send(&Request::get("/api/x").bearer(&token)).status, 200);
}

#[test]
fn sighup_reloads_and_a_bad_file_changes_nothing() {
    let upstream = Upstream::start();
    let mut prepared = serve(|setup| {
        setup.standard(&upstream);
    });
    let client = prepared.serve.client();
    let text = std::fs::read_to_string(&prepared.config).unwrap();
    std::fs::write(
        &prepared.config,
        format!(
            "{text}\n[[upstream]]\nservice = \"alpha\"\npath = \"/new\"\nto = [\"{}\"]\n",
            upstream.origin()
        ),
    )
    .unwrap();
    prepared.serve.signal("HUP");
    eventually("the new route exists", || client.send(&Request::get("/new/x")).status == 401);
    std::fs::write(&prepared.config, "public_url = \"https://localhost\"\nnonsense = true\n").unwrap();
    prepared.serve.signal("HUP");
    eventually("the problem is in the log", || prepared.serve.log().contains("nonsense"));
    assert_eq!(client.send(&Request::get("/new/x")).status, 401);
    assert_eq!(client.send(&Request::get("/public/x")).status, 200);
    prepared.serve.signal("TERM");
    assert_eq!(prepared.serve.exit_within(Duration::from_secs(20)), Some(0));
}

/// Who reads lines as JSON can read what is wrong with a file too.
#[test]
fn a_refused_reload_is_one_object_where_lines_are_json() {
    let mut prepared = serve(|setup| {
        setup.set("log", "format", r#""json""#);
    });
    let text = std::fs::read_to_string(&prepared.config).unwrap();
    std::fs::write(&prepared.config, format!("nonsense = true\nodd = [1\n{text}")).unwrap();
    prepared.serve.signal("HUP");
    eventually("the problem is in the log", || prepared.serve.log().contains("nonsense"));
    std::fs::write(&prepared.config, &text).unwrap();
    prepared.serve.signal("HUP");
    eventually("it is taken up again", || prepared.serve.log().contains("configuration taken up"));
    prepared.serve.signal("TERM");
    assert_eq!(prepared.serve.exit_within(Duration::from_secs(20)), Some(0));
    let log = prepared.serve.log();
    let objects: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let told = |line: &&serde_json::Value| line["problems"].as_str().is_some_and(|p| p.contains("nonsense"));
    let line = objects.iter().find(told).unwrap_or_else(|| panic!("{log}"));
    assert!(line["problems"].as_str().unwrap().lines().count() > 3, "{line}");
    assert_eq!(line["level"], "ERROR");
    assert!(line["message"].as_str().unwrap().contains("stays in force"), "{line}");
}

/// What `check` doubts is in the log of who runs it, at the start and after each change.
#[test]
fn what_a_file_may_not_have_meant_is_logged_with_its_place() {
    let mut prepared = serve(|_| {});
    let text = std::fs::read_to_string(&prepared.config).unwrap();
    let loops = "\n[[upstream]]\nservice = \"alpha\"\npath = \"/round\"\nredirect = \"/round\"\n";
    std::fs::write(&prepared.config, format!("{text}{loops}")).unwrap();
    let line = text.lines().count() + 5;
    let warning = format!("`upstream.redirect` leads back to itself line={line} column=12");
    assert!(!prepared.serve.log().contains(&warning));
    prepared.serve.signal("HUP");
    eventually("the warning is in the log", || prepared.serve.log().contains(&warning));
    prepared.serve.signal("TERM");
    assert_eq!(prepared.serve.exit_within(Duration::from_secs(15)), Some(0));
    let mut again = Serve::start(&prepared.config, prepared.serve.address().port());
    eventually("it is there at the start", || again.log().contains(&warning));
    again.signal("TERM");
    assert_eq!(again.exit_within(Duration::from_secs(15)), Some(0));
}

/// Rates are taken up by a reload, those of refused tokens and wrong passwords among them; other limits are named for a restart.
#[test]
fn a_reload_takes_rates_up() {
    let (gateway, _upstream) = Gateway::limited(&[("rejections_per_source", "2/h")]);
    let guess = |n: usize| gateway.send(&Request::get("/api/x").bearer(&format!("guess-{n}"))).status;
    // What a rate lets through at once is its number, and one more.
    let limited_at = || (0..20).find(|n| guess(*n) == 429).unwrap();
    let before = limited_at();
    assert!((2..=3).contains(&before), "{before}");
    let text = gateway.config_text();
    let reload = |text: &str| {
        std::fs::write(gateway.config_path(), text).unwrap();
        gateway.running().reload(load(gateway.config_path()).unwrap()).unwrap()
    };
    let rates = "[limits]\nlogin_failures = \"7/m\"\nlogin_failures_per_source = \"70/h\"\nlogin_failures_per_account = \"off\"\n";
    let wider = text.replace("rejections_per_source = \"2/h\"", "rejections_per_source = \"9/h\"");
    assert_eq!(reload(&wider.replace("[limits]\n", rates)), <[&str; 0]>::default());
    let after = limited_at();
    assert!((9..=10).contains(&after), "{after}");
    let left = reload(&wider.replace("[limits]\n", "[limits]\nmax_streams = 7\n"));
    assert_eq!(left, ["limits (except rates, max_body_size and min_body_rate)"]);
}

/// R13 in small: a new certificate is shown soon, a broken one never.
#[test]
fn certificates_are_swapped_while_it_runs() {
    let [first, second, third] = std::array::from_fn(|_| Identity::of(&["localhost"]));
    let expired = Identity::until(&["localhost"], 2020);
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        std::fs::write(setup.folder().join("cert.pem"), &first.certificate_pem).unwrap();
        std::fs::write(setup.folder().join("key.pem"), &first.key_pem).unwrap();
        setup.standard(&upstream).set("tls", "certificate", r#""cert.pem""#).set(
            "tls",
            "private_key",
            r#""key.pem""#,
        );
    });
    let put = |certificate: &str, key: &str| {
        std::fs::write(gateway.folder().join("key.pem"), key).unwrap();
        std::fs::write(gateway.folder().join("cert.pem"), certificate).unwrap();
    };
    let shown = || gateway.raw().certificate();
    assert_eq!(shown(), first.der());
    let mut kept = gateway.raw();
    put(&second.certificate_pem, &second.key_pem);
    let deadline = Instant::now() + Duration::from_secs(30);
    while shown() != second.der() {
        assert!(Instant::now() < deadline, "the new certificate is not shown");
        thread::sleep(Duration::from_millis(50));
    }
    kept.send(Request::get("/public/x").bytes());
    assert_eq!(kept.answer().expect("connections live on").status, 200);
    for (name, certificate, key) in [
        (
            "garbage",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            second.key_pem.as_str(),
        ),
        ("nothing", "", ""),
        ("a key of another certificate", &third.certificate_pem, &first.key_pem),
        ("one that no client takes any more", &expired.certificate_pem, &expired.key_pem),
    ] {
        put(certificate, key);
        thread::sleep(Duration::from_millis(700));
        gateway.reload(&gateway.config_text()).ok();
        for _ in 0..3 {
            assert_eq!(shown(), second.der(), "{name} was taken");
        }
    }
    put(&third.certificate_pem, &third.key_pem);
    let deadline = Instant::now() + Duration::from_secs(30);
    while shown() != third.der() {
        assert!(Instant::now() < deadline, "after broken ones a good certificate is not taken");
        thread::sleep(Duration::from_millis(50));
    }
    upstream.take();
    gateway.assert_innocent(&upstream, "certificates");
}

/// So is a changed file of an upstream, without a signal and without a change of the configuration.
#[test]
fn changed_files_of_upstreams_are_noticed_while_it_runs() {
    let (identity, other) = (Identity::of(&["localhost"]), Identity::of(&["localhost"]));
    let upstream = Upstream::start_tls(&identity);
    let mut prepared = serve(|setup| {
        std::fs::write(setup.folder().join("ca.pem"), &other.certificate_pem).unwrap();
        setup.service("open", "open-secret-0123456789").open("/public", &upstream, "ca = \"ca.pem\"");
    });
    let client = prepared.serve.client();
    let status = || client.send(&Request::get("/public/x")).status;
    assert_eq!(status(), 502, "it is not trusted");
    let ca = prepared.config.parent().unwrap().join("ca.pem");
    std::fs::write(&ca, &identity.certificate_pem).unwrap();
    eventually("it is trusted", || matches!(status(), 200));
    // One that cannot be used changes nothing.
    std::fs::write(&ca, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    eventually("the log says so", || prepared.serve.log().contains("is not taken up"));
    assert_eq!(status(), 200);
    std::fs::write(&ca, &other.certificate_pem).unwrap();
    eventually("it is not trusted any more", || status() == 502);
    prepared.serve.signal("TERM");
    assert_eq!(prepared.serve.exit_within(Duration::from_secs(15)), Some(0));
}

#[test]
fn protocols_are_negotiated() {
    let (gateway, upstream) = Gateway::standard();
    assert_eq!(RawClient::connect_with(gateway.address(), "h2", "localhost").alpn(), "h2");
    assert_eq!(RawClient::connect_with(gateway.address(), "http/1.1", "localhost").alpn(), "http/1.1");
    for name in ["localhost", "other.example", "127.0.0.1"] {
        let mut client = RawClient::connect_with(gateway.address(), "http/1.1", name);
        client.send(Request::get("/public/x").bytes());
        assert_eq!(client.answer().expect("an answer").status, 200, "server name {name}");
    }
    upstream.take();
    gateway.assert_innocent(&upstream, "negotiation");
}

/// The plain listener only points to the public address.
#[test]
fn plain_http_redirects() {
    let upstream = Upstream::start();
    let port = free_port();
    let _prepared = serve(|setup| {
        setup.standard(&upstream).set("listen", "http", &format!("[\"127.0.0.1:{port}\"]"));
    });
    for (request, location) in [
        ("GET /public/x?y=1 HTTP/1.1\r\nHost: evil.example\r\n\r\n", Some("/public/x?y=1")),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", Some("/")),
        ("GET //evil.example/x HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
        ("GET /a%0d%0aSet-Cookie:%20x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
        ("POST /hub/api/rest/oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", None),
    ] {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        socket.write_all(request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).ok();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let status: u16 = text
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or_else(|| panic!("{request}: {text}"));
        let found =
            text.lines().find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case("location")));
        let found = found.map(|(_, value)| value.trim().to_owned());
        if let Some(path) = location {
            assert!(matches!(status, 301 | 302 | 307 | 308), "{request}: {text}");
            assert_eq!(found, Some(format!("{PUBLIC_URL}{path}")), "{request}");
        } else {
            assert!((300..500).contains(&status), "{request}: {text}");
            assert!(found.is_none_or(|l| l.starts_with(&format!("{PUBLIC_URL}/"))), "{request}: {text}");
            assert!(!text.to_ascii_lowercase().contains("\r\nset-cookie"), "{text}");
        }
    }
    assert!(upstream.take().is_empty());
}

/// A start that fails says why, in a sentence, and never with a panic.
#[test]
fn starts_that_fail() {
    let upstream = Upstream::start();
    let fails = |name: &str, config: &Path, wanted: &str| {
        let folder = config.parent().unwrap();
        let output = process::run(&["serve", "--config", &config.display().to_string()], folder);
        let text = written(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        assert!(text.contains(wanted), "{name}: {wanted:?} is not in: {text}");
        assert!(!text.contains("panicked"), "{name}: {text}");
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (config, _a) = Gateway::prepare(|setup| {
        setup.standard(&upstream).set("listen", "https", &format!("[{address:?}]"));
    });
    fails("a port that is taken", &config, &address);
    let (config, _b) = Gateway::prepare(|setup| {
        setup.standard(&upstream).set("listen", "management", &format!("{address:?}"));
    });
    fails("a management port that is taken", &config, &address);
    let (config, _c) = Gateway::prepare(|setup| {
        setup.standard(&upstream).set("tls", "certificate", r#""missing.pem""#).set(
            "tls",
            "private_key",
            r#""missing.key""#,
        );
    });
    fails("a certificate that is missing", &config, "missing.pem");
    let (config, folder) = Gateway::prepare(|setup| {
        setup.standard(&upstream);
    });
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    std::fs::write(
        folder.path().join("data/hubgate.db"),
        "this is no database, and it is long enough to be seen as such".repeat(100),
    )
    .unwrap();
    fails("a database that is none", &config, "hubgate.db");
    let (config, folder) = Gateway::prepare(|setup| {
        setup.standard(&upstream);
    });
    std::fs::write(folder.path().join("data"), "a file where the folder should be").unwrap();
    fails("a data folder that is none", &config, "data");
    let missing = folder.path().join("nothing.toml");
    fails("no configuration", &missing, "nothing.toml");
}

#[test]
fn two_gateways_do_not_share_a_port_by_mistake() {
    let upstream = Upstream::start();
    let mut prepared = serve(|setup| {
        setup.standard(&upstream);
    });
    let folder = prepared.config.parent().unwrap();
    let output = process::run(&["serve", "--config", &prepared.config.display().to_string()], folder);
    assert_eq!(output.status.code(), Some(1), "{}", written(&output));
    assert_eq!(
        prepared.serve.client().send(&Request::get("/public/x")).status,
        200,
        "the first is not disturbed"
    );
    prepared.serve.signal("TERM");
    assert_eq!(prepared.serve.exit_within(Duration::from_secs(20)), Some(0));
}

#[test]
fn check_names_every_problem_with_its_place() {
    let upstream = Upstream::start();
    let (config, folder) = Gateway::prepare(|setup| {
        setup.standard(&upstream);
    });
    let check = |path: &Path| {
        let output = process::run(&["check", "--config", &path.display().to_string()], folder.path());
        (output.status.code(), written(&output))
    };
    let (code, text) = check(&config);
    assert_eq!(code, Some(0), "{text}");
    let good = std::fs::read_to_string(&config).unwrap();

    let bad = folder.path().join("bad.toml");
    let lines =
        "\n[[upstream]]\nservice = \"nobody\"\npath = \"/x/../y\"\nto = [\"ftp://127.0.0.1\"]\nunknown = 1\n";
    std::fs::write(&bad, format!("{good}{lines}")).unwrap();
    let first = good.lines().count() + 2;
    let (code, text) = check(&bad);
    assert_eq!(code, Some(1), "{text}");
    for (offset, word) in [(1, "nobody"), (2, "/x/../y"), (3, "ftp"), (4, "unknown")] {
        let place = format!("bad.toml:{}:", first + offset);
        assert!(text.contains(&place) && text.contains(word), "{place} {word} in {text}");
    }

    // What a start would read is read here too: a certificate with another's key, and none at all.
    let identities = ["one", "other"].map(|name| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let files = [format!("{name}.pem"), format!("{name}.key")].map(|file| folder.path().join(file));
        std::fs::write(&files[0], made.cert.pem()).unwrap();
        std::fs::write(&files[1], made.signing_key.serialize_pem()).unwrap();
        files
    });
    let secured = folder.path().join("secured.toml");
    let nothing = folder.path().join("nothing.pem");
    std::fs::write(&nothing, "nothing").unwrap();
    for (certificate, key, wanted) in [
        (&identities[0][0], &identities[0][1], None),
        (&identities[0][0], &identities[1][1], Some("does not fit")),
        (&nothing, &identities[0][1], Some("holds no certificate")),
    ] {
        let table = format!("[tls]\ncertificate = {certificate:?}\nprivate_key = {key:?}\n");
        std::fs::write(&secured, format!("{good}\n{table}")).unwrap();
        let (code, text) = check(&secured);
        assert_eq!(code, Some(i32::from(wanted.is_some())), "{text}");
        assert!(text.contains(wanted.unwrap_or("is good")), "{text}");
    }

    let tests = folder.path().join("tests.toml");
    let right = r#"
[[test]]
request = "GET /public/x"
expect = "public"
[[test]]
request = "GET /api/x"
expect = "unauthorized"
[[test]]
request = "GET /api/x"
token = { client = "machine", scope = ["alpha"] }
expect = "allowed"
[[test]]
request = "GET /admin/x"
token = { client = "machine", scope = ["alpha"] }
expect = "forbidden"
"#;
    std::fs::write(&tests, format!("{good}{right}")).unwrap();
    let (code, text) = check(&tests);
    assert_eq!(code, Some(0), "{text}");
    // One that fails: where it stands, what was expected, what came of it, and by what.
    let line = good.lines().count() + right.lines().count() + 1;
    for (test, wanted) in [
        (
            r#"request = "GET /admin/x"
expect = "public""#,
            &["GET /admin/x: expected public, got unauthorized", "401", "to mend it", "rule  "][..],
        ),
        (
            r#"request = "GET /admin/x"
token = { client = "machine", scope = ["alpha"] }
expect = "allowed""#,
            &["expected allowed, got forbidden", "403 insufficient_"],
        ),
        (
            r#"request = "GET /public/x"
expect = "forbidden""#,
            &["expected forbidden, got public", "may pass: the address is open to all", ", open to all"],
        ),
    ] {
        std::fs::write(&tests, format!("{good}{right}  [[test]]\n{test}\n")).unwrap();
        let (code, text) = check(&tests);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&format!("tests.toml:{line}:3: test GET")), "{text}");
        for wanted in wanted {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }
}

/// A test that names a service which is none says nothing about any request.
#[test]
fn a_test_of_a_service_that_is_none_is_no_test() {
    let (gateway, _upstream) = Gateway::standard();
    gateway.register("by-hand");
    let good = std::fs::read_to_string(gateway.config_path()).unwrap();
    let file = gateway.folder().join("tests.toml");
    let check = |test: &str| {
        std::fs::write(&file, format!("{good}\n[[test]]\n{test}\n")).unwrap();
        let output =
            process::run(&["check", "--quiet", "--config", &file.display().to_string()], gateway.folder());
        (output.status.code(), written(&output))
    };
    let place = format!("tests.toml:{}:1: test GET /api/x: ", good.lines().count() + 2);
    for (token, wanted) in [
        (r#"{ client = "machine", scope = ["alpha"] }"#, None),
        (r#"{ client = "by-hand", scope = ["openid", "alpha"] }"#, None),
        (r#"{ client = "nobody", scope = ["alpha"] }"#, Some(r#"its client "nobody" is neither declared"#)),
        (
            r#"{ client = "machine", scope = ["alpha", "beeta"] }"#,
            Some(r#""beeta" of its scope is neither declared"#),
        ),
    ] {
        let (code, text) = check(&format!("request = \"GET /api/x\"\ntoken = {token}\nexpect = \"allowed\""));
        assert_eq!(code, Some(i32::from(wanted.is_some())), "{text}");
        assert_eq!(text.contains(&place), wanted.is_some(), "{text}");
        assert!(text.contains(wanted.unwrap_or_default()), "{text}");
    }
    // Without a store nobody knows what will be registered: it is said, and is no fault of the file.
    let apart = tempfile::tempdir().unwrap();
    let text = format!(
        "{good}\n[[test]]\nrequest = \"GET /api/x\"\ntoken = {{ client = \"by-hand\", scope = [\"alpha\"] }}\nexpect = \"allowed\"\n"
    );
    let there = apart.path().join("gateway.toml");
    std::fs::write(&there, text).unwrap();
    let output = process::run(&["check", "--config", &there.display().to_string()], apart.path());
    let text = written(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(r#"its client "by-hand" is not declared"#), "{text}");
    assert!(text.contains("1 test passed"), "{text}");
}

/// A declared service that goes by what another one goes by: both are named, and where the declaration stands.
#[test]
fn a_declared_service_that_is_taken_names_both() {
    let (gateway, _upstream) = Gateway::standard();
    gateway.command(&["service", "add", "Robot", "--id", "robot-by-hand"]);
    let text = gateway.config_text();
    let line = text.lines().count() + 2;
    let path = gateway.config_path().display().to_string();
    for (id, name, field, word) in [
        ("second", "ROBOT", "name", "ROBOT"),
        ("second", "robot-by-hand", "name", "robot-by-hand"),
        ("robot", "Second", "id", "robot"),
    ] {
        let declared = format!("{text}\n[[service]]\nid = {id:?}\nname = {name:?}\npublic = true\n");
        let refused = gateway.reload(&declared).unwrap_err();
        let whole = format!(
            "{path}:{line} declares the service {id} ({name:?}), but the {field} {word:?} is taken by the service robot-by-hand (\"Robot\")"
        );
        assert!(refused.contains(&whole), "{whole} in {refused}");
        std::fs::write(&path, declared).unwrap();
        let output = process::run(&["check", "--config", &path], gateway.folder());
        assert_eq!(output.status.code(), Some(1), "{}", written(&output));
        assert!(written(&output).contains(&whole), "{}", written(&output));
    }
    // What was registered by hand is declared by its own id.
    let declared = format!("{text}\n[[service]]\nid = \"robot-by-hand\"\nname = \"Robot\"\n");
    gateway.reload(&declared).unwrap();
}

/// What docs/upstreams.md gives for a front end whose pages need no token and whose API does holds as it stands there.
#[test]
fn a_front_end_and_its_api_are_told_apart_as_documented() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/upstreams.md")).unwrap();
    let section = page.split_once("## A front end and its API").unwrap().1;
    let recipe = section.split_once("```toml").unwrap().1.split_once("```").unwrap().0;
    let upstream = Upstream::start();
    let recipe = recipe
        .replace("http://127.0.0.1:8080", &upstream.origin())
        .replace("{ env = \"YOUTRACK_SECRET\" }", "\"youtrack-secret-0123456789\"");
    let gateway = Gateway::start(|setup| {
        setup.tables(&recipe);
    });
    gateway.command(&["check"]);
    let token = gateway.token("youtrack", "youtrack-secret-0123456789", "youtrack");
    for (method, path, without, with) in [
        ("GET", "/youtrack/", 200, 200),
        ("GET", "/youtrack/issue/YT-1", 200, 200),
        ("HEAD", "/youtrack/app.js", 200, 200),
        ("GET", "/youtrack/apis", 200, 200),
        ("GET", "/youtrack/api", 401, 200),
        ("GET", "/youtrack/api/issues", 401, 200),
        ("GET", "/youtrack/%61pi/issues", 401, 200),
        ("GET", "/youtrack/rest/issue", 401, 200),
        ("POST", "/youtrack/issue/YT-1", 401, 200),
        ("OPTIONS", "/youtrack/issue/YT-1", 401, 200),
    ] {
        let request = Request::new(method, path);
        assert_eq!(gateway.send(&request).status, without, "{method} {path} without a token");
        assert_eq!(upstream.take().len(), usize::from(without == 200), "{method} {path} without a token");
        assert_eq!(gateway.send(&request.bearer(&token)).status, with, "{method} {path} with a token");
        assert_eq!(upstream.take().len(), 1, "{method} {path} with a token");
    }
}

/// What an error page tells the administrator to do is done by the command that it names.
#[test]
fn services_are_changed_by_command() {
    let (gateway, _upstream) = Gateway::standard();
    let (id, secret) = gateway.register("robot");
    let show = || -> serde_json::Value {
        serde_json::from_str(&gateway.command(&["service", "show", &id, "--json"])).unwrap()
    };
    let (first, second) = ("https://robot.example/first", "https://robot.example/second");
    let ask = |uri: &str| {
        let query = form(&[("response_type", "code"), ("client_id", &id), ("redirect_uri", uri)]);
        gateway.send(&Request::get(&format!("{AUTH}?{query}"))).status
    };
    assert_eq!(ask(first), 400);
    gateway.command(&["service", "update", &id, "--redirect-uri", first]);
    gateway.command(&["service", "update", &id, "--redirect-uri", second, "--name", "Robbie"]);
    eventually("both addresses are registered", || [ask(first), ask(second)] == [302, 302]);
    assert_eq!((&show()["name"], &show()["profile"]["key"]), (&"Robbie".into(), &"Robbie".into()));
    gateway.command(&["service", "update", &id, "--remove-redirect-uri", first]);
    eventually("the first is not", || [ask(first), ask(second)] == [400, 302]);
    gateway.command(&["service", "update", &id, "--replace-redirect-uris", "--redirect-uri", first]);
    eventually("only the first is", || [ask(first), ask(second)] == [302, 400]);

    let (home, switches) =
        ("https://robot.example/", ["--trusted", "--consent-required", "--pkce-required", "--rotate"]);
    gateway.command(&["service", "update", &id, "--home-url", home]);
    for switch in switches {
        let off = if switch == "--pkce-required" { "true" } else { "false" };
        gateway.command(&["service", "update", &id, switch, off]);
    }
    let shown = show();
    assert_eq!(shown["profile"]["home_url"], home);
    let trust = |name: &str| shown["trust"][name].clone();
    assert_eq!(
        ["consent_required", "pkce_required", "rotate_refresh_tokens", "trusted", "public"].map(trust),
        [false, true, false, false, false].map(serde_json::Value::from)
    );
    gateway.command(&["service", "update", &id, "--no-home-url"]);
    assert!(show()["profile"]["home_url"].is_null());
    // Whoever is not trusted gets no token for itself; nor does whoever may not use the flow.
    let token = || {
        let body = "grant_type=client_credentials&scope=alpha";
        gateway.send(&Request::form(TOKEN, body).basic(&id, &secret))
    };
    eventually("it is not trusted", || token().status == 400 && token().error() == "unauthorized_client");
    gateway.command(&["service", "update", &id, "--trusted", "true"]);
    eventually("it is", || token().status == 200);
    gateway.command(&["service", "update", &id, "--flows", "authorization_code,refresh_token"]);
    eventually("its flow is switched off", || token().status == 400);
    // A public service has no secret, and the old one does not come back; its refresh tokens change with each use.
    let public = ["service", "update", &id, "--flows", "client_credentials", "--public", "true"];
    let path = gateway.config_path().display().to_string();
    let output = process::run(&[&public[..], &["--config", &path]].concat(), gateway.folder());
    assert!(!output.status.success() && written(&output).contains("refresh tokens"), "{}", written(&output));
    assert_eq!(show()["has_secret"], true);
    gateway.command(&[&public[..], &["--rotate", "true"]].concat());
    assert_eq!(show()["has_secret"], false);
    gateway.command(&["service", "update", &id, "--public", "false"]);
    eventually("the secret is gone", || token().error() == "invalid_client");

    let before = show();
    for (arguments, wanted) in [
        (&["alpha", "--name", "Other"][..], "declared in the configuration file"),
        (&["nobody", "--name", "Other"], "service"),
        (&["robot", "--name", "alpha by name"], "name"),
        (&["robot", "--name", "Hub"], "the gateway's own"),
        (&["robot", "--name", ""], "1 to 100 characters"),
        (&["robot", "--redirect-uri", "javascript:alert(1)"], "must never receive a token"),
        (&["robot", "--home-url", "ftp://x"], "not http:// or https://"),
        (&["robot", "--remove-redirect-uri", "https://nowhere.example/"], "not among its redirect URIs"),
        (&["robot", "--flows", "magic"], "no flow"),
        (&["robot", "--trusted", "maybe"], "maybe"),
        (&["robot", "--replace-redirect-uris"], "--redirect-uri"),
        (&["0-0-0-0-0", "--public", "true"], "service"),
    ] {
        let arguments: Vec<&str> =
            arguments.iter().map(|a| if *a == "robot" { id.as_str() } else { a }).collect();
        let output = process::run(
            &[&["service", "update"], &arguments[..], &["--config", &path]].concat(),
            gateway.folder(),
        );
        let text = written(&output);
        assert!(!output.status.success(), "{arguments:?}: {text}");
        assert!(text.contains(wanted) && !text.contains("panicked"), "{arguments:?}: {text}");
    }
    assert_eq!(show(), before, "what is refused changes nothing");
}

#[test]
fn commands() {
    let (gateway, _upstream) = Gateway::standard();
    let usage = process::run(&["nonsense"], gateway.folder());
    assert_eq!(usage.status.code(), Some(2), "{}", written(&usage));
    for (arguments, wanted) in [
        (&["--help"][..], "serve"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "hubgate"),
        (&["completions", "zsh"], "hubgate"),
        (&["man"], ".TH"),
    ] {
        let output = process::run(arguments, gateway.folder());
        assert!(output.status.success(), "{arguments:?}: {}", written(&output));
        assert!(written(&output).contains(wanted), "{arguments:?}: {wanted}");
    }
    let list = |arguments: &[&str]| -> serde_json::Value {
        let printed = gateway.command(&[arguments, &["--json"]].concat());
        serde_json::from_str(&printed).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {printed}"))
    };
    let services = list(&["service", "list"]).to_string();
    for id in ["alpha", "beta", "machine", "open"] {
        assert!(services.contains(&format!("\"{id}\"")), "{services}");
    }
    let (id, secret) = gateway.register("robot");
    let shown = list(&["service", "show", &id]).to_string();
    assert!(shown.contains("robot"), "{shown}");
    assert!(
        !list(&["service", "list"]).to_string().contains(&secret) && !shown.contains(&secret),
        "a secret is shown once"
    );
    let keys = list(&["key", "list"]).to_string();
    let token = gateway.token(&id, &secret, "alpha");
    let kid = forge::decode(&token).0["kid"].as_str().unwrap().to_owned();
    assert!(keys.contains(&kid), "{keys}");
    let inspected = gateway.command(&["token", "inspect", &token]);
    assert!(inspected.contains("robot") && inspected.contains("alpha"), "{inspected}");
    // What is not there, and what is there already.
    let path = gateway.config_path().display().to_string();
    for arguments in [
        &["service", "show", "nobody"][..],
        &["service", "remove", "nobody"],
        &["service", "rotate-secret", "nobody"],
        &["service", "add", "another", "--id", "robot"],
        &["service", "add", "robot", "--id", "another"],
        &["service", "add", "x", "--id", "not an id"],
    ] {
        let output = process::run(&[arguments, &["--config", &path]].concat(), gateway.folder());
        assert!(!output.status.success(), "{arguments:?}: {}", written(&output));
        assert!(!written(&output).contains("panicked"), "{arguments:?}: {}", written(&output));
    }
}

/// Whoever reads the log may stop (R29); neither a line of the gateway's own nor its end waits for that.
#[test]
fn a_reader_of_the_log_that_stops_keeps_nobody_waiting() {
    let (port, management) = (free_port(), free_port());
    let (config, _folder) = Gateway::prepare(|setup| {
        setup
            .set("listen", "https", &format!("[\"127.0.0.1:{port}\"]"))
            .set("listen", "management", &format!("\"127.0.0.1:{management}\""))
            .set("limits", "drain_timeout", r#""2s""#);
    });
    let (output, _unread) = std::os::unix::net::UnixStream::pair().unwrap();
    socket2::SockRef::from(&output).set_send_buffer_size(1).unwrap();
    let output = std::os::fd::OwnedFd::from(output);
    let mut serve = Serve::start_to(&config, port, &[], Some(output.into()));
    let healthy = || try_plain_get(SocketAddr::from(([127, 0, 0, 1], management)), "/healthz");
    eventually("it is healthy", || healthy().is_some_and(|answer| answer.0 == 200));
    // A reload that is refused with more words than the output takes.
    let mistakes: Vec<String> = (0..200).map(|n| format!("mistake_{n} = {n}\n")).collect();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, mistakes.concat() + &text).unwrap();
    serve.signal("HUP");
    for _ in 0..10 {
        thread::sleep(Duration::from_millis(100));
        assert_eq!(healthy().expect("an answer").0, 200);
    }
    serve.signal("TERM");
    assert_eq!(serve.exit_within(Duration::from_secs(20)), Some(0));
}

/// A database that is taken away or put in another's place would lose what is written from then on.
#[test]
fn a_store_that_is_not_where_it_was_is_noticed() {
    let upstream = Upstream::start();
    let prepared = serve(|setup| {
        setup.standard(&upstream);
    });
    let ready = || try_plain_get(prepared.management, "/readyz");
    let data = prepared.config.parent().unwrap().join("data");
    let [database, aside] = ["hubgate.db", "aside.db"].map(|name| data.join(name));
    for what in ["removed", "replaced"] {
        std::fs::rename(&database, &aside).unwrap();
        if what == "replaced" {
            std::fs::copy(&aside, &database).unwrap();
        }
        let (status, said) = ready().unwrap();
        assert!(status == 503 && said.contains(what) && said.contains("hubgate.db"), "{status} {said}");
        eventually("it is an error of the log", || {
            prepared.serve.log().lines().any(|line| {
                line.contains("ERROR")
                    && line.contains("not where it was")
                    && line.contains(what)
                    && line.contains("hubgate.db")
            })
        });
        std::fs::rename(&aside, &database).unwrap();
        assert_eq!(ready().unwrap().0, 200);
        eventually("it is over", || {
            prepared
                .serve
                .log()
                .lines()
                .filter(|line| line.contains("over: the store is not where it was"))
                .count()
                == if what == "removed" { 1 } else { 2 }
        });
    }
}

/// Who reads waits for nobody: neither for a transaction that writes nor for a start that prepares the database.
#[test]
fn commands_that_read_do_not_wait_for_those_that_write() {
    let (gateway, _upstream) = Gateway::standard();
    let token = gateway.token("machine", "machine-secret-0123456789", "alpha");
    gateway.command(&["group", "add", "testers"]);
    let database = gateway.folder().join("data/hubgate.db");
    let preparing = std::fs::File::open(gateway.folder().join("data/hubgate.db.lock")).unwrap();
    preparing.lock().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let address = format!("sqlite:{}", database.display());
    let mut writing =
        runtime.block_on(<sqlx::SqliteConnection as sqlx::Connection>::connect(&address)).unwrap();
    runtime.block_on(sqlx::query("BEGIN IMMEDIATE").execute(&mut writing)).unwrap();
    for command in [
        &["check"][..],
        &["service", "list"],
        &["service", "show", "machine"],
        &["user", "list"],
        &["user", "show", "admin"],
        &["user", "app-password", "list", "admin"],
        &["user", "second-step", "show", "admin"],
        &["group", "list"],
        &["group", "members", "testers"],
        &["token", "inspect", &token],
        &["token", "list", "--user", "admin"],
        &["key", "list"],
        &["audit", "list"],
        &["audit", "verify"],
        &["explain", "GET", "/public/x"],
    ] {
        gateway.command(command);
    }
    drop(preparing);
    // One that writes does wait, and gives up.
    let path = gateway.config_path().display().to_string();
    let output = process::run(&["service", "add", "late", "--config", &path], gateway.folder());
    assert_eq!(output.status.code(), Some(1), "{}", written(&output));
    runtime.block_on(sqlx::query("ROLLBACK").execute(&mut writing)).unwrap();
    assert!(!gateway.command(&["service", "list"]).contains("late"));
    gateway.command(&["service", "add", "late"]);
    assert!(gateway.command(&["service", "list"]).contains("late"));
}
