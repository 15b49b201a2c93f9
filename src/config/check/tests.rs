//! Whole files: what passes, what is refused, where, and how it looks.

use std::{path::Path, time::Duration};

use proptest::prelude::*;

use crate::{
    config::{
        Access, Config, Environment, Expectation, Limits, Log, MailTls, OAuth, Problem, Problems, Severity,
        StoreUrl, Tls, load, parse,
        schema::{self, Shape},
    },
    model::flow::{Flow, Flows},
};

const SHIPPED: &str = include_str!("../../../gateway.toml");
const HEAD: &str = "public_url = \"https://g.example\"\n";

fn read_with(text: &str, env: &[(&str, &str)]) -> Result<Config, Problems> {
    parse(text, Path::new("gateway.toml"), &env.iter().copied().collect())
}

fn read(text: &str) -> Result<Config, Problems> {
    read_with(&format!("{HEAD}{text}"), &[])
}

/// The only problem of a file that has one mistake.
#[track_caller]
fn only(text: &str) -> Problem {
    sole(read(text))
}

#[track_caller]
fn sole(result: Result<Config, Problems>) -> Problem {
    let problems = result.expect_err("there is a mistake in it");
    let errors: Vec<_> = problems.iter().filter(|p| p.severity == Severity::Error).cloned().collect();
    assert_eq!(errors.len(), 1, "{problems}");
    errors.into_iter().next().unwrap()
}

#[track_caller]
fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn service(rest: &str) -> String {
    format!("[[service]]\nid = \"s\"\nname = \"S\"\n{rest}\n")
}

fn upstream(rest: &str) -> String {
    format!("[[upstream]]\nservice = \"s\"\nto = [\"http://127.0.0.1:1\"]\n{rest}\n")
}

#[test]
fn one_line_is_enough_and_gets_the_defaults() {
    let config = good("");
    assert_eq!(config.public_url.origin(), "https://g.example");
    assert_eq!(config.listen.https, ["127.0.0.1:8443".parse().unwrap()]);
    assert_eq!(config.listen.management, Some("127.0.0.1:9090".parse().unwrap()));
    assert_eq!(config.store, StoreUrl::Sqlite("data/hubgate.db".into()));
    assert_eq!(config.hub.path, "/hub");
    assert_eq!(
        (config.oauth, config.limits, config.log),
        (OAuth::default(), Limits::default(), Log::default())
    );
    assert!(matches!(config.tls, Tls::SelfSigned));
    assert!(config.warnings.is_empty());
}

#[test]
fn the_shipped_file_runs_and_tells_the_truth_about_defaults() {
    let config = read_with(SHIPPED, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    let default = good("");
    assert_eq!((config.oauth, config.limits, config.log), (default.oauth, default.limits, default.log));
    assert_eq!(config.sessions, default.sessions);
    assert!(config.admin_password.is_none() && config.users[0].password.is_none());
    assert_eq!(
        format!("{:?}{:?}", config.listen, config.hub),
        format!("{:?}{:?}", default.listen, default.hub)
    );
    assert_eq!((config.store, config.data_dir), (default.store, default.data_dir));
    let plain = good(&upstream(""));
    let (shipped, plain) = (&config.upstreams[0], &plain.upstreams[0]);
    let delivery =
        crate::model::delivery::Delivery { to: plain.delivery.to.clone(), ..shipped.delivery.clone() };
    assert_eq!(
        (&delivery, shipped.on_expiry, shipped.websocket_timeout, shipped.credential, shipped.strip_path),
        (&plain.delivery, plain.on_expiry, plain.websocket_timeout, plain.credential, plain.strip_path)
    );
    assert_eq!(config.tests.len(), 3);
    assert_eq!(SHIPPED.lines().nth(config.tests[0].line - 1), Some("[[test]]"));
    assert!(config.services[0].secret.is_none(), "it must not need a variable");
}

#[test]
fn the_shipped_file_mentions_every_key() {
    for table in schema::TABLES {
        for key in table.keys {
            let shown = SHIPPED.lines().map(str::trim).any(|line| match table.shape {
                Shape::Inline => line.contains(&format!("{key} = ")),
                _ => line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} = ")),
            });
            let optional = table.path == "service.secret" && *key == "file";
            assert!(shown || optional, "{} is not in gateway.toml", table.dotted(key));
        }
    }
}

#[test]
fn settings_that_the_shipped_file_has_off_work_when_switched_on() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    for name in ["cert.pem", "internal-ca.pem"] {
        std::fs::write(folder.path().join(name), made.cert.pem()).unwrap();
    }
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut section = "";
    let on: String = SHIPPED
        .lines()
        .map(|line| {
            section = if line.starts_with('[') { line } else { section };
            match line.trim_start().strip_prefix('#') {
                // A program without OpenTelemetry refuses these.
                Some(_) if section == "[telemetry]" && !cfg!(feature = "otel") => format!("{line}\n"),
                Some(rest) if rest.starts_with(char::is_alphabetic) => format!("{rest}\n"),
                _ => format!("{line}\n"),
            }
        })
        .collect();
    std::fs::write(folder.path().join("jane.password"), "correct horse\n").unwrap();
    let env = Environment::from_iter([
        ("YOUTRACK_SECRET", "0123456789abcdef\n"),
        ("ADMIN_PASSWORD", "battery staple\n"),
        ("MAIL_PASSWORD", "of the mail server\n"),
        ("OTLP_HEADERS", "Authorization: Bearer of-the-collector\n"),
    ]);
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, on).unwrap();
    let config = load(&file, &env).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.services[0].secret.as_ref().unwrap().expose(), "0123456789abcdef");
    assert_eq!(config.users[0].password.as_ref().unwrap().expose(), "correct horse");
    assert_eq!(config.admin_password.as_ref().unwrap().expose(), "battery staple");
    assert_eq!(config.limits.password_threads.unwrap().get(), 1);
    assert!(
        matches!(&config.tls, Tls::Files { certificate, .. } if *certificate == folder.path().join("cert.pem"))
    );
    assert_eq!(config.upstreams[0].max_body_size, Some(1 << 30));
    assert_eq!(config.listen.workers.unwrap().get(), 4);
    let mail = config.mail.unwrap();
    assert_eq!((mail.from.0.as_str(), mail.from.1.as_str()), ("hubgate", "noreply@example.org"));
    assert_eq!((mail.host.as_str(), mail.port, mail.tls), ("smtp.example.org", 587, MailTls::StartTls));
    assert_eq!(mail.ca, Some(folder.path().join("internal-ca.pem")));
    let (user, password) = mail.credentials.unwrap();
    assert_eq!((user.as_str(), password.expose()), ("hubgate", "of the mail server"));
    assert_eq!(config.telemetry.is_some(), cfg!(feature = "otel"));
}

#[cfg(not(feature = "otel"))]
#[test]
fn spans_are_refused_by_a_program_that_cannot_send_them() {
    assert!(good("").telemetry.is_none() && good("[telemetry]").telemetry.is_none());
    for text in ["otlp = \"http://127.0.0.1:4318\"", "otlp = \"http://127.0.0.1:4318\"\nsample = \"10%\""] {
        let problem = only(&format!("[telemetry]\n{text}"));
        assert!(problem.message.contains("`telemetry.otlp` needs OpenTelemetry"), "{problem:?}");
        assert!(problem.help.as_ref().unwrap().contains("--features otel"), "{problem:?}");
    }
    // Not only from the file.
    let env = [("HUBGATE_TELEMETRY_OTLP", "http://127.0.0.1:4318")];
    let problem = sole(read_with(HEAD, &env));
    assert_eq!(problem.variable.as_deref(), Some("HUBGATE_TELEMETRY_OTLP"));
}

#[cfg(feature = "otel")]
#[test]
fn otel_spans_go_where_the_file_says_and_nowhere_else() {
    assert!(good("").telemetry.is_none() && good("[telemetry]").telemetry.is_none());
    let local = "otlp = \"http://127.0.0.1:4318\"";
    let telemetry = good(&format!("[telemetry]\n{local}")).telemetry.unwrap();
    assert_eq!((telemetry.service_name.as_str(), telemetry.sample), ("hubgate", 1_000_000));
    assert_eq!((telemetry.timeout.as_secs(), telemetry.headers.len(), telemetry.tls), (10, 0, false));
    let with = |lines: &str| format!("[telemetry]\notlp = \"https://o.example/otlp\"\n{lines}");
    let telemetry =
        good(&with("headers = \"api-key: hunter2\\nX-B: c\"\nsample = \"0.5%\"")).telemetry.unwrap();
    let headers: Vec<_> = telemetry.headers.iter().map(|(n, v)| (n.as_str(), v.expose())).collect();
    assert_eq!((headers, telemetry.sample), (vec![("api-key", "hunter2"), ("x-b", "c")], 5000));
    assert!(!format!("{telemetry:?}").contains("hunter2"));
    let sampled = "[log]\ntrace_context = \"sampled\"\n";
    assert!(read(&format!("{sampled}[telemetry]\n{local}\nsample = \"100%\"")).is_ok());
    assert!(read(&format!("[telemetry]\n{local}\nheaders = \"a: hunter2\"")).is_ok(), "on this machine");
    for (text, message, help) in [
        ("[telemetry]\nsample = \"10%\"".to_owned(), "`[telemetry]` has no `otlp`", "127.0.0.1:4318"),
        ("[telemetry]\notlp = \"127.0.0.1:4318\"".to_owned(), "not the address of a collector", "http://"),
        ("[telemetry]\notlp = \"http://u:hunter2@a\"".to_owned(), "a user name or password", "headers"),
        ("[telemetry]\notlp = \"http://a/v1/traces\"".to_owned(), "names more than", "/v1/traces"),
        (
            "[telemetry]\notlp = \"http://a.example\"\nheaders = \"a: hunter2\"".to_owned(),
            "`telemetry.headers` would be sent in the clear",
            "https://",
        ),
        (with("headers = \"hunter2\""), "no list of header fields", "Authorization: Bearer"),
        (with("headers = \"Host: hunter2\""), "no list of header fields", "Authorization: Bearer"),
        (with("headers = { env = \"UNSET\" }"), "names a variable that is not set", "UNSET"),
        (with("headers = { env = \"A\", file = \"b\" }"), "names not exactly one place", "env"),
        (with("ca = \"nothing.pem\""), "names a file that cannot be read", "nothing.pem"),
        (with("service_name = \"\""), "`telemetry.service_name` is empty", ""),
        (with("sample = \"2\""), "`telemetry.sample` is not a share", "10%"),
        (with("timeout = \"10ms\""), "`telemetry.timeout` is too small", ""),
        (
            format!("[log]\ntrace_context = \"off\"\n[telemetry]\n{local}"),
            "`telemetry.otlp` needs the gateway to take part in traces",
            "trace_context = \"on\"",
        ),
        (
            format!("{sampled}[telemetry]\n{local}\nsample = \"99%\""),
            "`telemetry.sample` leaves out traces that are marked as sampled",
            "trace_context = \"on\"",
        ),
    ] {
        let problem = only(&text);
        assert!(problem.message.contains(message), "{text}: {problem:?}");
        assert!(problem.help.clone().unwrap_or_default().contains(help), "{text}: {problem:?}");
        assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
    }
}

#[test]
fn mail_is_sent_where_the_file_says_and_nowhere_else() {
    assert!(good("").mail.is_none() && good("[mail]").mail.is_none());
    let mail = good("[mail]\nfrom = \"a@b.example\"\nhost = \"localhost\"\ntls = \"none\"").mail.unwrap();
    assert_eq!((mail.port, mail.from.0.as_str(), mail.credentials.is_none()), (25, "", true));
    let mail =
        good("[mail]\nfrom = \"A B <a@b.example>\"\nhost = \"m.example\"\ntls = \"tls\"").mail.unwrap();
    assert_eq!((mail.port, mail.from.0.as_str(), mail.timeout.as_secs()), (465, "A B", 10));
    let both = "from = \"a@b.example\"\nhost = \"m.example\"";
    for (text, message, help) in [
        ("host = \"m.example\"".to_owned(), "`[mail]` has no `from`", "noreply@"),
        ("from = \"a@b.example\"".to_owned(), "`[mail]` has no `host`", "smtp.example.org"),
        ("from = \"nobody\"\nhost = \"m\"".to_owned(), "`mail.from` is no e-mail address", "noreply@"),
        ("from = \"a\\r\\nBcc: x <a@b.c>\"\nhost = \"m\"".to_owned(), "cannot be a sender's", "noreply@"),
        (
            "from = \"a@b.example\"\nhost = \"smtp://m:25\"".to_owned(),
            "is not the name of a server",
            "the port",
        ),
        (format!("{both}\ntls = \"none\""), "would send mail in the clear", "starttls"),
        (format!("{both}\ntls = \"maybe\""), "`mail.tls`", "starttls"),
        (format!("{both}\nport = 0"), "`mail.port` is too small", "1 to 65535"),
        (format!("{both}\nusername = \"u\""), "is named without its password", "`password`"),
        (format!("{both}\npassword = \"p\""), "is named without its user", "`username`"),
        (format!("{both}\nusername = \"u\"\npassword = {{ env = \"NOT_SET\" }}"), "not set", "NOT_SET"),
        (format!("{both}\nca = \"nowhere.pem\""), "cannot be read", "nowhere.pem"),
        (format!("{both}\nserver = \"x\""), "`server` is not a key of `[mail]`", ""),
    ] {
        let said = read(&format!("[mail]\n{text}")).unwrap_err().to_string();
        assert!(said.contains(message) && said.contains(help), "{text}: {said}");
    }
}

#[test]
fn every_mistake_has_its_place_and_its_help() {
    for (text, line, column, message, help) in [
        ("colour = 1", 2, 1, "`colour` is not a key of the top of the file", "known here"),
        ("data_dir = 1", 2, 12, "`data_dir` must be a text in quotes", "\"1\""),
        (
            "timeout = \"5s\"",
            2,
            1,
            "`timeout` is not a key",
            "`timeout` is a key of `[telemetry]` and `[mail]` and `[[upstream]]`",
        ),
        ("[listen]\nhttps = []", 3, 9, "`listen.https` has no address", "127.0.0.1:8443"),
        ("[listen]\nhttps = \"127.0.0.1:1\"", 3, 9, "`listen.https` must be a list", "[\"127.0.0.1:1\"]"),
        ("[listen]\nhttps = [\"127.0.0.1:9090\"]", 3, 10, "another listener has", "own port"),
        ("[listen]\nworkers = 0", 3, 11, "`listen.workers` is too small", "1 to 1024"),
        ("[listen]\nworkers = \"4\"", 3, 11, "must be a whole number", "1 to 1024"),
        (
            "[listen]\nproxy_protocol = true",
            3,
            18,
            "`listen.proxy_protocol` lets nobody connect",
            "`trusted_proxies`",
        ),
        ("[[listen]]\nhttps = []", 2, 1, "`listen` is a list where a table is expected", "`[listen]`"),
        ("[listne]", 2, 2, "`listne` is not a key", "did you mean `listen`?"),
        ("[tls]\ncertificate = \"x\"", 3, 15, "without its key", "private_key"),
        ("[tls]\nprivate_key = \"x\"", 3, 15, "without its certificate", "certificate"),
        ("[tls.acme]\ndomains = []", 2, 6, "`tls.acme` is not in this version", "ACME"),
        ("[store]\nurl = \"postgres://db\"", 3, 7, "PostgreSQL", "sqlite:"),
        ("[store]\nurl = \"sqlite::memory:\"", 3, 7, "names no file", "sqlite:"),
        ("[hub]\npath = \"/\"", 3, 8, "is a single slash", "\"\""),
        ("[hub]\npath = \"/hub/\"", 3, 8, "ends with a slash", "\"/hub\""),
        ("[oauth]\nprofile = \"oauth2\"", 3, 11, "unknown value", "did you mean \"oauth21\"?"),
        ("[oauth]\ncode_ttl = 60", 3, 12, "must be a duration in quotes", "\"60s\""),
        ("[oauth]\ncode_ttl = \"1d\"", 3, 12, "is too large", "5s to 10m"),
        ("[oauth]\naccess_token_ttl = \"9s\"", 3, 20, "is too small", "10s to 1d"),
        ("[limits]\nmax_header_size = \"2MiB\"", 3, 19, "is too large", "1KiB to 1MiB"),
        ("[limits]\nmax_header_size = 65536", 3, 19, "must be a size", "\"65536B\""),
        ("[limits]\nmax_streams = 0", 3, 15, "is too small", "1 to 10000"),
        ("[limits]\nmax_streams = -1", 3, 15, "is too small", "1 to 10000"),
        (
            "[limits]\nmax_streams = 99999999999999999999999999999999999999999",
            3,
            15,
            "must be a whole number",
            "",
        ),
        ("[limits]\nmax_streams = 1.5", 3, 15, "must be a whole number", "without quotes"),
        ("[limits]\nrequests_per_source = \"0/s\"", 3, 23, "rate of nothing", "\"off\""),
        ("[log]\naccess = \"yes\"", 3, 10, "must be true or false", "without quotes"),
        ("[log]\nlevel = \"verbose\"", 3, 9, "unknown value", "\"error\", \"warn\""),
        ("[oauth]\nsigning_algorithm = \"HS256\"", 3, 21, "unknown value", "did you mean"),
        ("[sessions]\nidle = \"1m\"", 3, 8, "is too small", "5m to 3650d"),
        ("[limits]\nlogin_failures = 5", 3, 18, "must be a text", "\"5\""),
        ("[limits]\npassword_threads = 0", 3, 20, "is too small", "1 to 256"),
        ("admin_password = \"short\"", 2, 18, "`admin_password` has less than 8 characters", "8 characters"),
        ("[[user]]\nname = \"Jane\"", 2, 1, "`[[user]]` has no `login`", "login = \"jane\""),
        ("[[user]]\nlogin = \"jane \"", 3, 9, "begins or ends with white space", ""),
        ("[[user]]\nlogin = \"Guest\"", 3, 9, "is the guest's", ""),
        ("[[user]]\nlogin = \"ja\\u200bne\"", 3, 9, "has an invisible character", ""),
        ("[[user]]\nlogin = \"\\uFF4Aane\"", 3, 9, "written in a plainer way too", ""),
        (
            "[[user]]\nlogin = \"zoe\\u0308\"\n[[user]]\nlogin = \"zo\\u00eb\"",
            5,
            9,
            "is taken",
            "may exist once",
        ),
        ("[[user]]\nlogin = \"jane\"\ngroups = [\"de\\u200bvs\"]", 4, 11, "has an invisible character", ""),
        (
            "[[service]]\nid = \"yt\"\nname = \"You\\u2060Track\"\nsecret = \"0123456789abcdef\"",
            4,
            8,
            "has an invisible character",
            "",
        ),
        ("[[user]]\nlogin = \"jane\"\nemail = \"jane\"", 4, 9, "`user.email` is no e-mail address", ""),
        ("[[user]]\nlogin = \"jane\"\ngroups = [\"a,b\"]", 4, 11, "has a comma", ""),
        ("[[user]]\nlogin = \"jane\"\npassword = \"1234567\"", 4, 12, "less than 8 characters", ""),
        ("[[user]]\nlogin = \"jane\"\npassword = { env = \"X\" }", 4, 20, "not set", "{ file"),
        ("[[user]]\nlogin = \"jane\"\nadministrator = 1", 4, 17, "must be true or false", ""),
        ("[[user]]\nlogin = \"jane\"\n[[user]]\nlogin = \"JANE\"", 5, 9, "is taken", "may exist once"),
        (
            "[[user]]\nlogin = \"a@b\"\n[[user]]\nlogin = \"jane\"\nemail = \"A@b\"",
            6,
            9,
            "`user.email` is taken",
            "may exist once",
        ),
        (
            "[service]\nid = \"a\"",
            2,
            1,
            "`service` is a table where a list of tables is expected",
            "[[service]]",
        ),
        ("[[test]]\nexpect = \"public\"", 2, 1, "`[[test]]` has no `request`", "GET /"),
        (
            "[[test]]\nrequest = \"GET /\"\nexpect = \"logn\"",
            4,
            10,
            "unknown value",
            "did you mean \"login\"",
        ),
        ("[[test]]\nrequest = \"GET /\"\nexpect = \"public\"\ntoken = 1", 5, 9, "is not a table", "scope"),
        (
            "[[test]]\nrequest = \"GET /\"\nexpect = \"public\"\ntoken = { user = \"jan\" }\n[[user]]\nlogin = \"jane\"",
            5,
            18,
            "`test.token.user` names \"jan\", whom this file does not declare",
            "did you mean \"jane\"?",
        ),
    ] {
        let problem = only(text);
        assert_eq!((problem.line, problem.column), (Some(line), Some(column)), "{text}: {problem:?}");
        assert!(problem.message.contains(message), "{text}: {problem:?}");
        assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{text}: {problem:?}");
    }
}

#[test]
fn listeners_may_not_share_an_address() {
    let problem = only(
        "[listen]\nhttps = [\"127.0.0.1:9090\"]\nhttp = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\nmanagement = \"127.0.0.1:9090\"",
    );
    assert_eq!(problem.line, Some(5));
    let config = good("[listen]\nmanagement = \"off\"\nhttps = [\"[::1]:0\", \"127.0.0.1:0\"]");
    assert_eq!((config.listen.management, config.listen.https.len()), (None, 2));
    let everybody = good("[listen]\ntrusted_proxies = [\"0.0.0.0/0\"]");
    assert_eq!(everybody.warnings.len(), 1);
}

#[test]
fn public_url_is_needed_and_is_an_origin() {
    assert_eq!(sole(read_with("", &[])).message, "the top of the file has no `public_url`");
    for bad in ["http://a", "https://a/b", "a", ""] {
        let problem = sole(read_with(&format!("public_url = {bad:?}"), &[]));
        assert_eq!((problem.line, problem.column), (Some(1), Some(14)));
    }
}

#[test]
fn variables_override_the_file_and_are_checked_alike() {
    let config = read_with(
        &format!("{HEAD}[oauth]\naccess_token_ttl = \"2h\"\n"),
        &[
            ("HUBGATE_PUBLIC_URL", "https://other.example"),
            ("HUBGATE_DATA_DIR", "/var/lib/hubgate"),
            ("HUBGATE_LISTEN_HTTPS", "127.0.0.1:1, 127.0.0.1:2"),
            ("HUBGATE_LISTEN_MANAGEMENT", "off"),
            ("HUBGATE_OAUTH_ACCESS_TOKEN_TTL", "15m"),
            ("HUBGATE_LIMITS_MAX_STREAMS", "7"),
            ("HUBGATE_LOG_ACCESS", "false"),
            ("HUBGATE_CONFIG", "gateway.toml"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.public_url.host(), "other.example");
    assert_eq!(config.store, StoreUrl::Sqlite("/var/lib/hubgate/hubgate.db".into()));
    assert_eq!((config.listen.https.len(), config.listen.management), (2, None));
    assert_eq!(config.oauth.access_token_ttl, Duration::from_secs(900));
    assert_eq!((config.limits.max_streams, config.log.access), (7, false));
    for (name, value, message, help) in [
        ("HUBGATE_OAUTH_ACCESS_TOKEN_TTL", "1s", "`oauth.access_token_ttl` is too small", "10s"),
        ("HUBGATE_LOG_ACCESS", "maybe", "`log.access` must be true or false", ""),
        ("HUBGATE_LIMITS_MAX_STREAMS", "many", "`limits.max_streams` must be a whole number", ""),
        ("HUBGATE_LISTEN_HTTPS", "", "`listen.https` has no address", ""),
        ("HUBGATE_OAUTH_CODE_TL", "1s", "overrides no key", "HUBGATE_OAUTH_CODE_TTL"),
        ("HUBGATE_SERVICE_ID", "x", "overrides no key", ""),
    ] {
        let problem = sole(read_with(HEAD, &[(name, value)]));
        assert_eq!((problem.variable.as_deref(), problem.line), (Some(name), None));
        assert!(problem.message.contains(message), "{problem:?}");
        assert!(problem.help.unwrap_or_default().contains(help));
    }
}

#[test]
fn secrets_come_from_three_places() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("good", "0123456789abcdef\r\n\n"), ("short", "0123\n"), ("empty", "\n")] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let file = folder.path().join("gateway.toml");
    let env = Environment::from_iter([
        ("GOOD", "0123456789abcdef\n"),
        ("EMPTY", ""),
        ("HUBGATE_MINE", "0123456789abcdef"),
    ]);
    let with =
        |secret: &str| parse(&format!("{HEAD}{}", service(&format!("secret = {secret}"))), &file, &env);
    // HUBGATE_MINE has a meaning only where a secret names it.
    let named = with("{ env = \"HUBGATE_MINE\" }").unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(named.services[0].secret.as_ref().unwrap().expose(), "0123456789abcdef");
    assert!(sole(with("{ env = \"GOOD\" }")).message.contains("overrides no key"));
    let env = Environment::from_iter([("GOOD", "0123456789abcdef\n"), ("EMPTY", "")]);
    let with =
        |secret: &str| parse(&format!("{HEAD}{}", service(&format!("secret = {secret}"))), &file, &env);
    for secret in ["\"0123456789abcdef\"", "{ env = \"GOOD\" }", "{ file = \"good\" }"] {
        let config = with(secret).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.services[0].secret.as_ref().unwrap().expose(), "0123456789abcdef");
    }
    for (secret, column, message) in [
        ("\"hunter2\"", 10, "too short"),
        ("\"\"", 10, "is empty"),
        ("\"0123456789\\u0000abcdef\"", 10, "control characters"),
        ("1", 10, "neither a text nor a reference"),
        ("{}", 10, "not exactly one place"),
        ("{ env = \"GOOD\", file = \"good\" }", 10, "not exactly one place"),
        ("{ env = \"MISSING\" }", 18, "not set"),
        ("{ env = \"EMPTY\" }", 18, "is empty"),
        ("{ file = \"nowhere\" }", 19, "cannot be read"),
        ("{ file = \"short\" }", 19, "too short"),
        ("{ file = \"empty\" }", 19, "is empty"),
    ] {
        let problem = sole(with(secret));
        assert_eq!((problem.line, problem.column), (Some(5), Some(column)), "{secret}");
        assert!(problem.message.contains(message), "{secret}: {problem:?}");
    }
    let report = with("\"hunter2\"").unwrap_err().to_string();
    assert!(!report.contains("hunter2"), "{report}");
    assert!(
        sole(read(&service("public = true\nsecret = \"0123456789abcdef\"")))
            .message
            .contains("public service")
    );
}

#[test]
fn trust_follows_hub() {
    let trust = |text: &str| good(&service(text)).services[0].trust.clone();
    let switches = |text: &str| (trust(text).trusted, trust(text).consent_required);
    assert_eq!(switches(""), (true, true));
    assert_eq!(switches("trusted = true"), (true, false));
    assert_eq!(switches("trusted = false"), (false, true));
    assert_eq!(switches("consent_required = false"), (true, false));
    assert_eq!(switches("trusted = false\nconsent_required = false"), (false, false));
    assert_eq!(trust("").flows, Flows::all());
    assert_eq!(trust("flows = [\"password\"]").flows, [Flow::Password].into_iter().collect());
    let strict = good(&format!("[oauth]\nprofile = \"oauth21\"\n{}", service("")));
    assert!(!strict.services[0].trust.flows.contains(Flow::Password));
    let forbidden = only(&format!("[oauth]\nprofile = \"oauth21\"\n{}", service("flows = [\"password\"]")));
    assert!(forbidden.message.contains("oauth21"));
    assert!(only(&service("flows = [\"code\"]")).help.unwrap().contains("authorization_code"));
}

#[test]
fn services_are_told_apart() {
    let two = |id: &str, name: &str| format!("{}[[service]]\nid = {id:?}\nname = {name:?}\n", service(""));
    assert_eq!(good(&two("t", "T")).services.len(), 2);
    for (id, name, line, message) in [
        ("s", "T", 7, "`service.id` is taken"),
        ("t", "s", 8, "`service.name` is taken"),
        ("0-0-0-0-0", "T", 7, "reserved"),
        ("x", "hub", 8, "reserved"),
        ("x", "0-0-0-0-0", 8, "reserved"),
        ("openid", "T", 7, "reserved"),
        ("a b", "T", 7, "is not an id"),
        ("t", "", 8, "is empty"),
        ("t", &"x".repeat(101), 8, "too long"),
    ] {
        let problem = only(&two(id, name));
        assert_eq!(problem.line, Some(line), "{problem:?}");
        assert!(problem.message.contains(message), "{problem:?}");
    }
    assert!(only("[[service]]\nname = \"x\"").message.contains("has no `id`"));
    for key in ["home_url", "icon_url"] {
        assert!(
            only(&service(&format!("{key} = \"javascript:alert(1)\""))).message.contains("address of a page")
        );
    }
    assert!(only(&service("redirect_uris = [\"/a\", \"data:x\"]")).message.contains("must never receive"));
    let warned = good(&service("redirect_uris = [\"/a\", \"https://a/*\"]")).warnings;
    assert_eq!(
        warned.iter().map(|w| (w.line, w.column)).collect::<Vec<_>>(),
        [(Some(5), Some(18)), (Some(5), Some(24))]
    );
}

#[test]
fn paces_are_sizes_or_off() {
    let limits = |text: &str| good(&format!("[limits]\n{text}")).limits;
    let default = limits("");
    assert_eq!((default.min_body_rate, default.min_answer_rate), (240, 240));
    let set = limits("min_body_rate = \"off\"\nmin_answer_rate = \"1KiB\"");
    assert_eq!((set.min_body_rate, set.min_answer_rate), (0, 1024));
    assert_eq!(limits("min_body_rate = \"0B\"").min_body_rate, 0);
    assert_eq!(limits("max_body_size = \"off\"").max_body_size, u64::MAX);
    assert_eq!((limits("max_body_size = \"0B\"").max_body_size, default.max_body_size), (0, 100 << 20));
    for wrong in ["100", "\"2TiB\"", "\"none\"", "\"OFF\"", "false"] {
        assert!(only(&format!("[limits]\nmax_body_size = {wrong}")).message.contains("limits.max_body_size"));
    }
    for wrong in ["240", "\"240B/s\"", "\"1GiB\"", "\"none\""] {
        assert!(only(&format!("[limits]\nmin_body_rate = {wrong}")).message.contains("limits.min_body_rate"));
    }
}

#[test]
fn upstreams_are_told_apart_and_hide_nothing() {
    let all = |text: &str| format!("{}{text}", service(""));
    let config = good(&all(&upstream("path = \"/a\"\nmax_body_size = \"1GiB\"\nmin_body_rate = \"off\"")));
    assert_eq!(config.upstreams[0].min_body_rate, Some(0));
    assert_eq!(config.upstreams[0].max_body_size, Some(1 << 30));
    let unlimited = good(&all(&upstream("path = \"/a\"\nmax_body_size = \"off\"")));
    assert_eq!(unlimited.upstreams[0].max_body_size, Some(u64::MAX));
    assert_eq!(good(&all(&upstream("path = \"/a\""))).upstreams[0].max_body_size, None);
    assert_eq!((config.upstreams[0].path.as_str(), config.upstreams[0].delivery.to[0].port), ("/a", 1));
    assert_eq!(good(&all(&upstream(""))).upstreams[0].path, "/");
    good(&all(&format!("{}{}", upstream("path = \"/a\""), upstream("path = \"/a\"\nhost = \"b.example\""))));
    assert!(
        only(&all(&format!("{}{}", upstream("path = \"/a\""), upstream("path = \"/a\""))))
            .message
            .contains("two upstreams")
    );
    for path in ["/hub", "/hub/x"] {
        assert!(only(&all(&upstream(&format!("path = {path:?}")))).message.contains("hide"));
    }
    good(&all(&upstream("path = \"/hubby\"")));
    good(&format!("[hub]\npath = \"\"\n{}", all(&upstream("path = \"/hub\""))));
    for (text, message) in [
        ("path = \"/a/\"", "ends with a slash"),
        ("path = \"\"", "is empty"),
        ("host = \"A.example\"", "capital letters"),
        ("host = \"a.example:1\"", "has a port"),
        ("host = \"a.example.\"", "ends with a dot"),
        ("host = \"a..example\"", "is not a host"),
        ("credential = \"scope\"", "unknown value"),
        ("timeout = \"0s\"", "too small"),
        ("ca = \"nowhere.pem\"", "cannot be read"),
        ("balance = \"random\"", "unknown value"),
        ("max_connections = 0", "too small"),
        ("total_timeout = \"x\"", "is not a duration"),
        ("health = \"/\"", "is not a table"),
        ("health = { every = \"5s\" }", "`upstream.health` has no `path`"),
        ("health = { path = \"x\" }", "is not a path"),
        ("health = { path = \"/a b\" }", "is not a path"),
        ("health = { path = \"/\", status = 99 }", "too small"),
        ("health = { path = \"/\", status = \"300-200\" }", "is not a range of statuses"),
        ("health = { path = \"/\", fall = 2 }", "`fall` is not a key of `upstream.health`"),
        ("prepend_path = \"/a/\"", "ends with a slash"),
        ("redirect = \"/x\"", "stands beside `redirect`"),
        ("response_headers = \"x\"", "is not a table"),
        ("response_headers = { Content-Length = \"1\" }", "frames the message"),
        ("response_headers = { Set-Cookie = \"a=1\" }", "own cookies"),
        ("response_headers = { \"a b\" = \"1\" }", "not the name of a header"),
        ("response_headers = { X-A = \"a\\nb\" }", "not the value of a header"),
        (
            "response_headers = { X-A = \"1\", x-a = \"2\" }",
            "`upstream.response_headers.x-a` is the same field as \"X-A\"",
        ),
        ("response_headers = { date = \"\" }", "`Date` cannot be taken out"),
        ("servce = \"x\"", "`servce` is not a key of `[[upstream]]`"),
    ] {
        let problem = only(&all(&upstream(text)));
        assert!(problem.message.contains(message), "{problem:?}");
    }
    for (to, message) in [
        ("[]", "no target"),
        ("[\"http://a/b\"]", "more than"),
        ("\"http://a\"", "a list"),
        ("[\"http://a\", \"http://a:80\"]", "twice"),
    ] {
        let problem = only(&all(&format!("[[upstream]]\nservice = \"s\"\nto = {to}")));
        assert!(problem.message.contains(message), "{problem:?}");
    }
    let many: Vec<String> = (1..=65).map(|port| format!("\"http://127.0.0.1:{port}\"")).collect();
    let problem = only(&all(&format!("[[upstream]]\nservice = \"s\"\nto = [{}]", many.join(", "))));
    assert!(problem.message.contains("too many targets"), "{problem:?}");
    for (text, doubt) in [
        ("queue = 5", "`upstream.queue` has no effect"),
        ("balance = \"least_connections\"", "`upstream.balance` has no effect"),
        (
            "total_timeout = \"1s\"\nfirst_byte_timeout = \"2s\"\nconnect_timeout = \"1s\"",
            "is longer than `upstream.total_timeout`",
        ),
        ("health = { path = \"/\", every = \"1s\", timeout = \"2s\" }", "is longer than `every`"),
    ] {
        let warnings = good(&all(&upstream(text))).warnings;
        assert!(warnings.iter().any(|w| w.message.contains(doubt)), "{text}: {warnings}");
    }
    let unknown = good(&upstream("")).warnings;
    assert!(unknown.iter().any(|w| w.message.contains("does not declare")), "{unknown}");
}

/// Whom a rule is for may be registered later, or be misspelled.
#[test]
fn rules_for_clients_and_scopes_that_are_not_declared_are_doubted() {
    let of = |key: &str, name: &str| {
        let rule = format!("[[upstream.rule]]\npath = \"/a/**\"\n{key} = [\"s\", \"{name}\"]");
        let text = format!("{}{}{rule}", service(""), upstream("path = \"/a\""));
        let column = text.lines().last().unwrap().find(&format!("\"{name}\"]")).unwrap() + 1;
        (good(&text).warnings, text.lines().count() + HEAD.lines().count(), column)
    };
    for (key, name) in [("clients", "nosuch"), ("clients", "ss"), ("scope", "nosuch"), ("scope", "ss")] {
        let (warnings, line, column) = of(key, name);
        let warnings: Vec<_> = warnings.iter().collect();
        assert_eq!(warnings.len(), 1, "{key} {name}: {warnings:?}");
        assert!(warnings[0].message.contains("which this file does not declare"), "{warnings:?}");
        assert_eq!((warnings[0].line, warnings[0].column), (Some(line), Some(column)), "{warnings:?}");
        let help = warnings[0].help.as_deref().unwrap();
        assert!(
            help.contains(if name == "ss" { "did you mean \"s\"" } else { "add a `[[service]]`" }),
            "{help}"
        );
    }
    for key in ["clients", "scope"] {
        assert!(of(key, "0-0-0-0-0").0.is_empty(), "{key}");
    }
}

#[test]
fn each_way_to_the_targets_can_be_set() {
    use crate::model::delivery::{Balance, Delivery, HealthCheck};
    let text = "balance = \"least_connections\"\ntimeout = \"20s\"\nconnect_timeout = \"1s\"\nidle_timeout = \"30s\"\n\
                total_timeout = \"90s\"\nmax_idle = 7\nmax_connections = 9\nqueue = 3\nqueue_timeout = \"2s\"\nslow_start = \"5s\"\n\
                resolve = \"10s\"\nhealth = { path = \"/ok?x\", every = \"3s\", timeout = \"1s\", status = \"200-204\" }";
    let text = format!(
        "[[upstream]]\nservice = \"s\"\nto = [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"]\n{text}"
    );
    let config = good(&format!("{}{text}", service("")));
    assert!(config.warnings.is_empty(), "{}", config.warnings);
    let seconds = Duration::from_secs;
    let found = &config.upstreams[0].delivery;
    let expected = Delivery {
        balance: Balance::LeastConnections,
        connect_timeout: seconds(1),
        first_byte_timeout: seconds(20),
        idle_timeout: seconds(30),
        total_timeout: Some(seconds(90)),
        max_idle: 7,
        max_connections: std::num::NonZeroUsize::new(9),
        queue: 3,
        queue_timeout: seconds(2),
        slow_start: seconds(5),
        resolve: seconds(10),
        health: Some(HealthCheck {
            path: "/ok?x".parse().unwrap(),
            every: seconds(3),
            timeout: seconds(1),
            status: 200..=204,
        }),
        ..Delivery::new(found.to.clone())
    };
    assert_eq!(*found, expected);
    let plain = good(&format!("{}{}", service(""), upstream("health = { path = \"/\", status = 204 }")));
    let health = plain.upstreams[0].delivery.health.as_ref().unwrap();
    assert_eq!((health.every, health.timeout, &health.status), (seconds(5), seconds(2), &(204..=204)));
}

#[test]
fn rules_mean_what_they_say() {
    let all = |text: &str| format!("{}{}[[upstream.rule]]\n{text}", service(""), upstream("path = \"/a\""));
    let config = good(&all("path = \"/a/*/x/**\"\nmethods = [\"GET\"]\naccess = \"public\""));
    let rule = &config.upstreams[0].rules[0];
    assert_eq!(
        (rule.path.segments.len(), rule.path.open, rule.access, rule.methods.len()),
        (3, true, Access::Public, 1)
    );
    for (text, message) in [
        ("access = \"public\"", "has no `path`"),
        ("path = \"/b/**\"", "reaches beyond"),
        ("path = \"/a/%20\"", "percent-encoded"),
        ("path = \"/a/..\"", "dot segment"),
        ("path = \"/a/x\"\nmethods = [\"get\"]", "as clients send it"),
        ("path = \"/a/x\"\nmethods = []", "empty list"),
        ("path = \"/a/x\"\nclients = []", "empty list"),
        ("path = \"/a/x\"\nclients = [\"a b\"]", "not an id"),
        ("path = \"/a/x\"\naccess = \"cookies\"", "unknown value"),
        ("path = \"/a/x\"\naccess = \"public\"\nclients = [\"s\"]", "lets everybody pass"),
        ("path = \"/a/x\"\naccess = \"public\"\nscope = [\"s\"]", "lets everybody pass"),
        ("path = \"/a/x\"\naccess = \"public\"\ngroups = [\"g\"]", "lets everybody pass"),
        ("path = \"/a/x\"\naccess = \"public\"\nusers = [\"u\"]", "lets everybody pass"),
    ] {
        let problem = only(&all(text));
        assert!(problem.message.contains(message), "{text}: {problem:?}");
    }
    assert_eq!(good(&all("path = \"/a/x\"\ngroups = [\"g\"]\nscope = [\"other\"]")).warnings.len(), 1);
}

#[test]
fn rules_that_nothing_reaches_are_doubted() {
    let warned = |rules: &str| {
        let config = good(&format!("{}{}{rules}", service(""), upstream("path = \"/a\"")));
        config.warnings.iter().map(|w| (w.line.unwrap(), w.message.clone())).collect::<Vec<_>>()
    };
    let rule = |path: &str, methods: &str, rest: &str| {
        let methods = if methods.is_empty() { String::new() } else { format!("methods = [{methods}]\n") };
        format!("[[upstream.rule]]\npath = {path:?}\n{methods}{rest}\n")
    };
    let public = "access = \"public\"";
    for (first, second) in [
        (rule("/a/**", "", public), rule("/a/x", "", "")),
        (rule("/a/**", "", ""), rule("/a/**", "", public)),
        (rule("/a/*/y", "", ""), rule("/a/x/y", "\"GET\"", "")),
        (rule("/a/**", "\"GET\", \"POST\"", ""), rule("/a/x/**", "\"POST\"", "")),
        (
            rule("/a/**", "\"GET\"", "") + &rule("/a/x", "\"POST\"", public),
            rule("/a/x", "\"GET\", \"POST\"", ""),
        ),
    ] {
        let found = warned(&format!("{first}{second}"));
        assert_eq!(found.len(), 1, "{first}{second}: {found:?}");
        assert!(found[0].1.contains("`upstream.rule.path` is never looked at"), "{found:?}");
        assert!(found[0].0 > 8 + first.lines().count(), "it is the later one: {found:?}");
    }
    for rules in [
        [rule("/a/x", "", public), rule("/a/**", "", "")],
        [rule("/a/**", "\"GET\"", public), rule("/a/x", "", "")],
        [rule("/a/**", "\"GET\"", public), rule("/a/x", "\"GET\", \"HEAD\"", "")],
        [rule("/a/*", "", public), rule("/a/x/y", "", "")],
        [rule("/a/x/**", "", public), rule("/a/*", "", "")],
    ] {
        assert_eq!(warned(&rules.concat()), [], "{rules:?}");
    }
}

#[test]
fn methods_that_are_never_forwarded_are_refused() {
    let all = |methods: &str| {
        let rule = format!("[[upstream.rule]]\npath = \"/a/x\"\nmethods = [{methods}]");
        format!("{}{}{rule}", service(""), upstream("path = \"/a\""))
    };
    for method in ["CONNECT", "TRACE"] {
        let problem = only(&all(&format!("\"GET\", {method:?}")));
        assert!(problem.message.contains("is never forwarded"), "{problem:?}");
    }
    assert_eq!(good(&all("\"GET\", \"PROPFIND\"")).upstreams[0].rules[0].methods.len(), 2);
    good("[[test]]\nrequest = \"TRACE /a\"\nexpect = \"bad_request\"");
}

#[test]
fn redirects_that_lead_back_are_doubted() {
    let at = |path: &str, host: &str, to: &str| {
        let host = if host.is_empty() { String::new() } else { format!("host = {host:?}\n") };
        format!("[[upstream]]\nservice = \"s\"\npath = {path:?}\n{host}redirect = {to:?}\n")
    };
    let served = |path: &str| upstream(&format!("path = {path:?}"));
    let warned = |text: &[String]| {
        let config = good(&format!("{}{}", service(""), text.concat()));
        assert!(
            config.warnings.iter().all(|w| w.message.contains("leads back to itself")),
            "{}",
            config.warnings
        );
        config.warnings.len()
    };
    for text in [
        vec![at("/a", "", "/a")],
        vec![at("/a", "", "/a/")],
        vec![at("/a", "", "/a/b/c")],
        vec![at("/", "", "/")],
        vec![at("/", "", "/app")],
        vec![at("/a", "", "https://g.example/a")],
        vec![at("/a", "", "https://G.example:443/a/b/")],
        vec![at("/a", "b.example", "/a"), served("/a")],
        vec![at("/a", "b.example", "https://b.example/a"), served("/a")],
    ] {
        assert_eq!(warned(&text), 1, "{text:?}");
    }
    assert_eq!(
        warned(&[at("/a", "", "/b"), at("/b", "", "/c/d"), at("/c", "", "/a"), at("/d", "", "/a")]),
        3
    );
    for text in [
        vec![at("/a", "", "/ab")],
        vec![at("/a", "", "/b"), at("/b", "", "/c")],
        vec![at("/", "", "/app"), served("/app")],
        vec![at("/", "", "/hub/users")],
        vec![at("/a", "", "https://other.example/a")],
        vec![at("/a", "", "https://g.example:8443/a")],
        vec![at("/a", "", "http://g.example/a")],
        vec![at("/a", "old.example", "https://g.example/a"), served("/a")],
        vec![at("/a", "", "https://g.example/a"), at("/a", "g.example", "/b"), served("/b")],
    ] {
        assert_eq!(warned(&text), 0, "{text:?}");
    }
    // Where the gateway's own endpoints have no path of their own, they may be what it leads to.
    let bare = |text: &str| good(&format!("[hub]\npath = \"\"\n{}{text}", service(""))).warnings.len();
    assert_eq!((bare(&at("/", "", "/users/me")), bare(&at("/a", "", "/a"))), (0, 1));
    let said = good(&format!("{}{}{}", service(""), at("/a", "", "/b"), at("/b", "", "/a"))).warnings;
    assert!(said.to_string().contains("clients go from /a to /b to /a, and so on"), "{said}");
}

#[test]
fn beside_a_redirect_nothing_is_forwarded() {
    let all = |text: &str| {
        format!("{}[[upstream]]\nservice = \"s\"\npath = \"/a\"\nredirect = \"/b\"\n{text}", service(""))
    };
    for refused in
        ["health = { path = \"/\" }", "strip_path = true", "to = [\"http://a\"]", "prepend_path = \"/x\""]
    {
        let problem = only(&all(refused));
        assert!(problem.message.contains("stands beside `redirect`"), "{refused}: {problem:?}");
    }
    for doubted in ["timeout = \"5s\"", "max_connections = 5", "server_name = \"a\""] {
        let warnings = good(&all(doubted)).warnings;
        assert!(
            warnings.len() == 1 && warnings.to_string().contains("has no effect"),
            "{doubted}: {warnings}"
        );
    }
    assert!(
        good(&all("response_headers = { X-A = \"1\" }\nrequests_per_source = \"5/s\"")).warnings.is_empty()
    );
}

/// The session cookie is one of the host of `public_url`.
#[test]
fn browsers_have_a_session_at_one_host_only() {
    let at = |host: &str| {
        let rule = "[[upstream.rule]]\npath = \"/a/**\"\naccess = \"browser\"\ngroups = [\"g\"]";
        format!("{}{}{rule}", service(""), upstream(&format!("path = \"/a\"\n{host}")))
    };
    for host in ["", "host = \"g.example\""] {
        let config = good(&at(host));
        assert_eq!(config.upstreams[0].rules[0].access, Access::Browser, "{host}");
        assert!(config.warnings.is_empty(), "{}", config.warnings);
    }
    let problem = only(&at("host = \"other.example\""));
    assert!(
        problem.message.contains("no session") && problem.message.contains("other.example"),
        "{problem:?}"
    );
    let drained = good(&upstream("on_expiry = \"drain\"\nwebsocket_timeout = \"1h\""));
    assert_eq!(drained.upstreams[0].on_expiry, crate::model::upstream::OnExpiry::Drain);
    for wrong in ["on_expiry = \"finish\"", "websocket_timeout = \"2d\"", "websocket_timeout = \"0s\""] {
        only(&upstream(wrong));
    }
}

#[test]
fn decision_tests_are_read() {
    let config = good(
        "[[test]]\nrequest = \"GET https://a.example/x\"\ntoken = { scope = [\"s\"] }\nexpect = \"no_route\"",
    );
    let test = &config.tests[0];
    assert_eq!((test.line, test.host.as_deref(), test.path.as_str()), (2, Some("a.example"), "/x"));
    assert_eq!((test.expect, test.token.as_ref().unwrap().client.is_none()), (Expectation::NoRoute, true));
}

#[test]
fn people_are_read() {
    let config = good(
        "[sessions]\nidle = \"2d\"\nlife = \"1d\"\n[oauth]\nconsent_ttl = \"1h\"\nsigning_algorithm = \"RS256\"\n[[user]]\nlogin = \"jane\"\npassword = \"correct horse\"\nemail = \"jane@example.org\"\ngroups = [\"developers\"]\nadministrator = true\n[[user]]\nlogin = \"jane@example.org.\"\nname = \"Another\"\n[[test]]\nrequest = \"GET /\"\ntoken = { user = \"JANE\" }\nexpect = \"no_route\"",
    );
    assert_eq!(config.warnings.len(), 1, "idle is longer than life: {}", config.warnings);
    assert_eq!(config.oauth.signing_algorithm, crate::model::key::Algorithm::Rs256);
    assert_eq!(config.oauth.consent_ttl, Duration::from_secs(3600));
    let jane = &config.users[0];
    assert_eq!((jane.login.as_str(), jane.name.as_str(), jane.administrator), ("jane", "jane", true));
    assert_eq!(jane.password.as_ref().unwrap().expose(), "correct horse");
    assert_eq!(jane.groups, ["developers"]);
    assert_eq!(config.tests[0].token.as_ref().unwrap().user.as_deref(), Some("jane"));
    assert!(!format!("{config:?}").contains("correct horse"));
}

#[test]
fn the_first_password_comes_from_the_file_or_the_environment() {
    let password = |config: Config| config.admin_password.map(|secret| secret.expose().to_owned());
    let given = read_with(HEAD, &[("HUBGATE_ADMIN_PASSWORD", "correct horse")]).unwrap();
    assert_eq!(password(given).as_deref(), Some("correct horse"));
    assert_eq!(password(good("admin_password = \"battery staple\"")).as_deref(), Some("battery staple"));
    let problem = sole(read_with(HEAD, &[("HUBGATE_ADMIN_PASSWORD", "short")]));
    assert_eq!(problem.variable.as_deref(), Some("HUBGATE_ADMIN_PASSWORD"));
    assert!(!format!("{problem:?}").contains("short"), "{problem:?}");
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    assert!(sole(load(&file, &Environment::empty())).message.contains("cannot be read"));
    std::fs::write(&file, b"a = 1\nb = \"\xff\"").unwrap();
    assert!(sole(load(&file, &Environment::empty())).message.contains("line 2"));
    let broken = folder.path().join("cert.pem");
    std::fs::write(&broken, "nonsense").unwrap();
    let result = parse(
        &format!("{HEAD}[tls]\ncertificate = \"cert.pem\"\nprivate_key = \"cert.pem\""),
        &file,
        &Environment::empty(),
    );
    let problems = result.unwrap_err();
    assert_eq!(problems.iter().map(|p| p.line).collect::<Vec<_>>(), [Some(3), Some(4)], "{problems}");
}

#[test]
fn a_public_service_does_not_keep_its_refresh_tokens() {
    let service = |more: &str| read(&format!("[[service]]\nid = \"a\"\nname = \"A\"\n{more}"));
    let problem = sole(service("public = true\nrotate = false"));
    assert!(format!("{problem:?}").contains("keeps the refresh tokens of a public service"), "{problem:?}");
    for good in
        ["public = true", "public = true\nrotate = true", "rotate = false", "public = false\nrotate = false"]
    {
        assert!(service(good).is_ok(), "{good}");
    }
}

#[test]
fn problems_are_data_too() {
    let problem = only("colour = 1");
    insta::assert_snapshot!(serde_json::to_string(&problem).unwrap(), @r#"{"severity":"error","line":2,"column":1,"variable":null,"message":"`colour` is not a key of the top of the file","help":"known here: `public_url`, `data_dir`, `admin_password`, `listen`, `tls`, `store`, `hub`, `oauth`, `sessions`, `limits`, `log`, `telemetry`, `mail`, `service`, `user`, `upstream`, `test`"}"#);
}

#[test]
fn the_report_is_readable() {
    let text = r#"public_url = "http://localhost:8443"

[listen]
https = ["localhost:8443"]

[oauth]
access_token_ttl = 3600
profile = "oauth-21"

[limits]
max_body_size = "100MB"

[[service]]
id = "youtrack"
name = "YouTrack"
redirect_uri = ["https://localhost:8443/youtrack/oauth"]
secret = "hunter2"

[[upstream]]
service = "youtrak"
path = "/hub/youtrack"
to = ["http://127.0.0.1:8080/youtrack"]

  [[upstream.rule]]
  path = "/hub/youtrack/static/**"
  access = "cookies"

[[test]]
request = "GET /youtrack"
"#;
    let problems =
        read_with(text, &[("HUBGATE_OAUTH_CODE_TTL", "90"), ("HUBGATE_LOG_LEVL", "info")]).unwrap_err();
    insta::assert_snapshot!(problems.to_string(), @r#"
    error: `public_url` does not begin with https://
     --> gateway.toml:1:14
      |
    1 | public_url = "http://localhost:8443"
      |              ^^^^^^^^^^^^^^^^^^^^^^^ tokens travel on it
      |
      = help: write for example "https://gateway.example.org" or "https://localhost:8443"

    error: `listen.https` is not an address to listen on
     --> gateway.toml:4:10
      |
    4 | https = ["localhost:8443"]
      |          ^^^^^^^^^^^^^^^^ names are not looked up here
      |
      = help: write "127.0.0.1:8443"

    error: `oauth.access_token_ttl` must be a duration in quotes
     --> gateway.toml:7:20
      |
    7 | access_token_ttl = 3600
      |                    ^^^^ this is a whole number
      |
      = help: write "3600s" for seconds, or another unit: ms, s, m, h, d

    error: `oauth.profile` has an unknown value
     --> gateway.toml:8:11
      |
    8 | profile = "oauth-21"
      |           ^^^^^^^^^^ not one of the allowed values
      |
      = help: did you mean "oauth21"? Allowed: "hub" or "oauth21"

    error: `limits.max_body_size` is not a size
      --> gateway.toml:11:17
       |
    11 | max_body_size = "100MB"
       |                 ^^^^^^^ the unit is B, KiB, MiB, GiB or TiB
       |
       = help: write "100MiB" (1 KiB is 1024 bytes)

    error: `redirect_uri` is not a key of `[[service]]`
      --> gateway.toml:16:1
       |
    16 | redirect_uri = ["https://localhost:8443/youtrack/oauth"]
       | ^^^^^^^^^^^^ unknown key
       |
       = help: did you mean `redirect_uris`?

    error: `service.secret` is too short for a secret
      --> gateway.toml:17:10
       |
    17 | secret = "*******"
       |          ^^^^^^^^^ 7 characters, at least 16
       |
       = help: `hubgate service rotate-secret ID` makes one of 256 random bits

    warning: `upstream.service` names "youtrak", which this file does not declare
      --> gateway.toml:20:11
       |
    20 | service = "youtrak"
       |           ^^^^^^^^^ no such `[[service]]`
       |
       = help: did you mean "youtrack"?

    error: `upstream.path` would hide the gateway's own endpoints
      --> gateway.toml:21:8
       |
    21 | path = "/hub/youtrack"
       |        ^^^^^^^^^^^^^^^ on or below `hub.path`, which is "/hub"
       |
       = help: give the upstream another path, or move `hub.path`

    error: `upstream.to` has more than scheme, host and port
      --> gateway.toml:22:7
       |
    22 | to = ["http://127.0.0.1:8080/youtrack"]
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ the path comes from the request; see `strip_path`
       |
       = help: write scheme, host and port only: "http://127.0.0.1:8080" or "https://tracker.internal"

    error: `upstream.rule.access` has an unknown value
      --> gateway.toml:26:12
       |
    26 |   access = "cookies"
       |            ^^^^^^^^^ not one of the allowed values
       |
       = help: write "token", "public" or "browser"

    error: `[[test]]` has no `expect`
      --> gateway.toml:28:1
       |
    28 | [[test]]
       | ^^^^^^^^ missing here
       |
       = help: write the decision that it must get: expect = "allowed"

    error: `HUBGATE_LOG_LEVL` overrides no key of the configuration
    --> environment variable HUBGATE_LOG_LEVL
     = help: did you mean `HUBGATE_LOG_LEVEL`?

    error: `oauth.code_ttl` is a duration without a unit
    --> environment variable HUBGATE_OAUTH_CODE_TTL
     = note: seconds, minutes, hours?
     = help: write "90s" for seconds, or another unit: ms, s, m, h, d

    gateway.toml: 13 problems, 1 warning
    "#);
}

#[test]
fn broken_syntax_is_reported_with_the_rest() {
    let text = "public_url = \"https://a\"\ndata_dir = \n[listen\nhttps = []\n[log]\nlevel = \"loud\"\n[oauth]\ncode_ttl = 1\ncode_ttl = 2\n";
    insta::assert_snapshot!(read_with(text, &[]).unwrap_err().to_string(), @r#"
    error: this is not TOML: the value is missing
     --> gateway.toml:2:12
      |
    2 | data_dir = 
      |            ^ write a value here

    error: this is not TOML: unclosed table
     --> gateway.toml:3:8
      |
    3 | [listen
      |        ^ expected `]`

    error: `log.level` has an unknown value
     --> gateway.toml:6:9
      |
    6 | level = "loud"
      |         ^^^^^^ not one of the allowed values
      |
      = help: write "error", "warn", "info", "debug" or "trace"

    error: `oauth.code_ttl` must be a duration in quotes
     --> gateway.toml:8:12
      |
    8 | code_ttl = 1
      |            ^ this is a whole number
      |
      = help: write "1s" for seconds, or another unit: ms, s, m, h, d

    error: this is not TOML: duplicate key
     --> gateway.toml:9:1
      |
    9 | code_ttl = 2
      | ^^^^^^^^

    gateway.toml: 5 problems
    "#);
}

#[test]
fn colour_only_adds_colour() {
    let problems = read("colour = 1").unwrap_err();
    assert!(problems.render(true).contains("\u{1b}["));
    assert!(!problems.render(false).contains('\u{1b}'));
    let odd = read("\"a\\u001b[31m\" = 1").unwrap_err();
    assert!(!odd.render(false).contains('\u{1b}'));
}

/// Whatever a key is for: no number below nought is right for it, and each is refused where it stands.
#[test]
fn no_key_takes_a_negative_number() {
    for table in schema::TABLES {
        for key in table.keys {
            let (parent, name) = table.path.rsplit_once('.').unwrap_or(("", table.path));
            let parent = match schema::TABLES.iter().find(|other| other.path == parent).unwrap().shape {
                Shape::Single if parent.is_empty() => String::new(),
                Shape::Single => format!("[{parent}]"),
                _ => format!("[[{parent}]]"),
            };
            let text = match table.shape {
                Shape::Single if table.path.is_empty() => format!("{key} = -1\n"),
                Shape::Single => format!("[{}]\n{key} = -1\n", table.path),
                Shape::Repeated if parent.is_empty() => format!("[[{}]]\n{key} = -1\n", table.path),
                Shape::Repeated => format!("{parent}\n[[{}]]\n{key} = -1\n", table.path),
                Shape::Inline => format!("{parent}\n{name} = {{ {key} = -1 }}\n"),
            };
            let problems = read_with(&text, &[]).expect_err(&text);
            // These tables are refused as a whole where they stand alone.
            let refused_whole = ["telemetry.headers", "mail.password"].contains(&table.path);
            let before = text.split("-1").next().unwrap();
            let place = (before.lines().count(), before.lines().last().unwrap().chars().count() + 1);
            assert!(
                problems.iter().any(|problem| problem.severity == Severity::Error
                    && problem.line == Some(place.0)
                    && (refused_whole || problem.column == Some(place.1))),
                "{text}{problems}"
            );
        }
    }
    for (text, allowed) in [
        ("max_idle = -1", "0 to 100000"),
        ("queue = -9223372036854775808", "0 to 100000"),
        ("max_connections = -1", "1 to 1000000"),
    ] {
        let problem = only(&format!("{}{}", service(""), upstream(&format!("path = \"/a\"\n{text}"))));
        assert!(problem.message.contains("is too small"), "{problem:?}");
        assert!(problem.help.as_ref().is_some_and(|help| help.contains(allowed)), "{problem:?}");
    }
}

/// Every place must be one that an editor can jump to.
fn assert_places(text: &str, problems: &Problems) {
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in problems {
        let (Some(line), Some(column)) = (problem.line, problem.column) else { continue };
        assert!(line >= 1 && line <= lines.len(), "line {line} of {}", lines.len());
        assert!(
            column >= 1 && column <= lines[line - 1].chars().count() + 1,
            "column {column} of {:?}",
            lines[line - 1]
        );
    }
}

fn survives(text: &str) {
    match read_with(text, &[]) {
        Ok(config) => assert_places(text, &config.warnings),
        Err(problems) => {
            assert!(problems.iter().any(|problem| problem.severity == Severity::Error));
            assert_places(text, &problems);
            assert!(!problems.render(false).is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_toml_like_text_is_answered(text in "([a-z_]{1,8}|[\\[\\]{}=\"'#.,\n\r\t 0-9:/ä-])*") {
        survives(&text);
    }

    #[test]
    fn any_damage_to_the_shipped_file_is_answered(at in 0..SHIPPED.len(), cut in 0_usize..40, put in "[\\[\\]{}=\"'#.,\n\\\\a-z0-9ä]{0,6}") {
        let end = (at + cut).min(SHIPPED.len());
        prop_assume!(SHIPPED.is_char_boundary(at) && SHIPPED.is_char_boundary(end));
        survives(&format!("{}{put}{}", &SHIPPED[..at], &SHIPPED[end..]));
    }

    #[test]
    fn any_value_in_any_key_is_answered(
        table in 0..schema::TABLES.len(),
        key in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![
            "1", "-1", "1.5", "true", "\"\"", "\"x\"", "[]", "[1]", "[\"\"]", "[[]]", "{}", "{ a = 1 }", "1979-05-27", "'''\na\n'''", "[{}]",
        ]),
    ) {
        let table = schema::TABLES[table];
        let words: Vec<_> = table.words().collect();
        let key = words[key.index(words.len())];
        let header = match table.shape {
            Shape::Single if table.path.is_empty() => String::new(),
            Shape::Single => format!("[{}]\n", table.path),
            Shape::Repeated => format!("[[{}]]\n", table.path),
            Shape::Inline => return Ok(()),
        };
        survives(&format!("{header}{key} = {value}\n"));
    }
}
