//! People: the commands about users and groups, what a first start makes, declared users, and signing in with a real store
//! and real hashes.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::Output,
    sync::Arc,
    time::Duration,
};

use hubgate::{
    base::secret::Secret,
    identity::{
        login::{LoginError, Logins},
        session::Browser,
    },
    model::user::User,
};
use serde_json::Value;

use crate::support::{
    Gateway, Setup,
    gateway::eventually,
    process::{self, Serve, free_port, written},
};

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct horse battery";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A configuration for commands alone.
pub(crate) struct Desk {
    pub(crate) config: std::path::PathBuf,
    pub(crate) folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(configure: impl FnOnce(&mut Setup)) -> Self {
        let (config, folder) = Gateway::prepare(configure);
        std::fs::create_dir(folder.path().join("data")).unwrap();
        Self { config, folder }
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let config = self.config.display().to_string();
        process::run_with_input(&[arguments, &["--config", &config]].concat(), self.folder.path(), input)
    }

    #[track_caller]
    pub(crate) fn good(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", written(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    pub(crate) fn refused(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", written(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}: {}", written(&output));
        written(&output)
    }

    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.good(&[arguments, &["--json"]].concat(), "");
        serde_json::from_str(&printed).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {printed}"))
    }

    pub(crate) fn add(&self, login: &str) {
        self.good(&["user", "add", login, "--password-file", "-"], &format!("{PASSWORD}\n"));
    }
}

#[test]
fn users_by_command() {
    let desk = Desk::new();
    desk.good(&["group", "add", "developers"], "");
    let line =
        ["--name", "Jane Doe", "--email", "jane@example.org", "--group", "DEVELOPERS", "--administrator"];
    let printed = desk
        .good(&[&["user", "add", "jane", "--password-file", "-"], &line[..]].concat(), "correct horse\r\n");
    assert!(!printed.contains("correct horse"));
    for name in ["jane", "JANE", "Jane@Example.Org"] {
        let user = desk.json(&["user", "show", name]);
        assert_eq!(user["login"], "jane", "{user}");
        assert_eq!(user["name"], "Jane Doe");
        assert_eq!(user["email"]["address"], "jane@example.org");
        assert_eq!(user["groups"], serde_json::json!(["developers"]));
        assert_eq!(
            (&user["administrator"], &user["has_password"], &user["must_change_password"], &user["banned"]),
            (&true.into(), &true.into(), &false.into(), &false.into())
        );
    }
    let id = desk.json(&["user", "show", "jane"])["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.json(&["user", "show", &id])["login"], "jane");
    let shown = desk.good(&["user", "show", "jane"], "");
    assert!(shown.contains("jane@example.org (verified)") && !shown.contains("argon2"), "{shown}");

    let made = desk.json(&["user", "add", "robot", "--generate", "--id", "robot-1"]);
    assert_eq!(made["id"], "robot-1");
    let password = made["password"].as_str().unwrap();
    assert_eq!(password.len(), 23, "{password}");
    assert_eq!(desk.json(&["user", "show", "robot"])["must_change_password"], true);
    desk.good(&["user", "password", "robot", "--generate", "--permanent"], "");
    assert_eq!(desk.json(&["user", "show", "robot"])["must_change_password"], false);
    desk.good(&["user", "password", "robot", "--no-password"], "");
    assert_eq!(desk.json(&["user", "show", "robot"])["has_password"], false);

    desk.good(&["user", "ban", "robot", "--reason", "leaked its key"], "");
    assert_eq!(desk.json(&["user", "show", "robot"])["ban"]["reason"], "leaked its key");
    assert!(desk.good(&["user", "list"], "").contains("banned"));
    desk.good(&["user", "unban", "robot"], "");
    assert_eq!(desk.json(&["user", "show", "robot"])["banned"], false);
    desk.good(&["user", "update", "robot", "--login", "machine", "--email", "m@example.org"], "");
    assert_eq!(desk.json(&["user", "show", "m@example.org"])["login"], "machine");
    desk.good(&["user", "update", "machine", "--no-email", "--name", "Machine"], "");
    assert_eq!(desk.json(&["user", "show", "machine"])["email"], Value::Null);
    desk.good(&["user", "remove", "machine"], "");
    let all = desk.json(&["user", "list"]);
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    assert!(!all.to_string().contains("argon2"), "{all}");
}

#[test]
fn groups_by_command() {
    let desk = Desk::new();
    for login in ["jane", "john"] {
        desk.add(login);
    }
    desk.good(&["group", "add", "Developers", "--description", "who write"], "");
    let names = |members: &Value| -> Vec<String> {
        members.as_array().unwrap().iter().map(|user| user["login"].as_str().unwrap().to_owned()).collect()
    };
    let members = desk.json(&["group", "members", "developers", "--add", "jane", "--add", "john"]);
    assert_eq!(names(&members), ["jane", "john"]);
    assert_eq!(names(&desk.json(&["group", "members", "developers", "--remove", "john"])), ["jane"]);
    assert!(
        desk.refused(&["group", "members", "developers", "--add", "john", "--add", "jhon"], "")
            .contains("jhon")
    );
    assert_eq!(names(&desk.json(&["group", "members", "developers"])), ["jane"], "all or nothing");
    assert_eq!(desk.json(&["group", "list"])[0]["description"], "who write");
    assert!(desk.good(&["group", "list"], "").contains("Developers"));
    for (arguments, why) in [
        (&["group", "add", "DEVELOPERS"][..], "already has this name"),
        (&["group", "add", "a,administrators"], "comma"),
        (&["group", "add", " "], "is empty"),
        (&["group", "remove", "nobody"], "no group"),
        (&["group", "members", "nobody"], "no group"),
    ] {
        let said = desk.refused(arguments, "");
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    desk.good(&["group", "remove", "developers"], "");
    assert_eq!(desk.json(&["user", "show", "jane"])["groups"], serde_json::json!([]));
}

#[test]
fn what_commands_refuse() {
    let desk = Desk::with(|setup| {
        setup.user("declared", "password = \"a declared password\"");
    });
    desk.good(
        &["user", "add", "jane", "--password-file", "-", "--email", "jane@example.org", "--administrator"],
        PASSWORD,
    );
    let add = |login: &'static str| ["user", "add", login, "--password-file", "-"];
    for (arguments, input, why) in [
        (&add("JANE")[..], PASSWORD, "already has this login"),
        (&add("Jane@example.org"), PASSWORD, "already has this login"),
        (&add("guest"), PASSWORD, "the guest's"),
        (&add(" jane"), PASSWORD, "white space"),
        (&add("ja\tne"), PASSWORD, "control character"),
        (&[&add("john")[..], &["--email", "JANE@example.org"]].concat(), PASSWORD, "already has this email"),
        (&[&add("john")[..], &["--email", "john"]].concat(), PASSWORD, "no e-mail address"),
        (&[&add("john")[..], &["--id", "0-0-0-0-0"]].concat(), PASSWORD, "reserved"),
        (&[&add("john")[..], &["--id", "me"]].concat(), PASSWORD, "reserved"),
        (&[&add("john")[..], &["--id", "a b"]].concat(), PASSWORD, "an id consists of"),
        (&[&add("john")[..], &["--group", "nowhere"]].concat(), PASSWORD, "no group"),
        (&add("john"), "short", "less than 8 characters"),
        (&add("john"), "", "less than 8 characters"),
        (&add("john"), &"x".repeat(1025), "more than 1024 bytes"),
        (&["user", "add", "john"], PASSWORD, "no terminal"),
        (&["user", "add", "john", "--password-file", "nowhere"], "", "cannot be read"),
        (&["user", "add", "john", "--hash-file", "-"], "plain text", "neither bcrypt"),
        (
            &["user", "add", "john", "--hash-file", "-"],
            "$2b$31$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm",
            "costs too much",
        ),
        (&["user", "show", "nobody"], "", "no user"),
        (&["user", "ban", "nobody"], "", "no user"),
        (&["user", "password", "nobody", "--generate"], "", "no user"),
        (&["user", "ban", "jane"], "", "last administrator"),
        (&["user", "remove", "jane"], "", "last administrator"),
        (&["user", "update", "jane", "--administrator", "false"], "", "last administrator"),
        (&["user", "update", "jane", "--login", "guest"], "", "the guest's"),
    ] {
        let said = desk.refused(arguments, input);
        assert!(said.contains(why), "{arguments:?}: {said}");
        assert!(input.is_empty() || !said.contains(input), "{arguments:?}: {said}");
    }
    for arguments in [
        &["user", "add"][..],
        &["user", "add", "x", "--generate", "--password-file", "-"],
        &["user", "add", "x", "--permanent"],
    ] {
        assert_eq!(desk.run(arguments, "").status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(desk.json(&["user", "list"]).as_array().unwrap().len(), 1, "nothing of that was done");
    // The start makes the declared user and the guest, whom commands leave alone.
    let gateway = Gateway::start_in(desk.config, desk.folder);
    for (arguments, why) in [
        (&["user", "password", "declared", "--generate"][..], "the configuration file gives the password"),
        (&["user", "remove", "declared"], "declared in the configuration file"),
        (&["user", "update", "declared", "--name", "X"], "declared in the configuration file"),
        (&["user", "remove", "guest"], "the guest"),
        (&["user", "password", "guest", "--generate"], "the guest"),
        (&["user", "update", "guest", "--administrator", "true"], "the guest"),
    ] {
        let config = gateway.config_path().display().to_string();
        let output = process::run(&[arguments, &["--config", &config]].concat(), gateway.folder());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", written(&output));
        assert!(written(&output).contains(why), "{arguments:?}: {}", written(&output));
    }
    assert!(gateway.command(&["user", "list"]).contains("guest"));
}

fn password_shown(log: &str) -> Option<String> {
    let line = log.lines().find_map(|line| line.trim().strip_prefix("password  "));
    line.map(ToOwned::to_owned)
}

/// Waits until all is done that a start does; the sockets are open before.
fn ready(serve: &Serve) {
    eventually("it is ready", || {
        let log = serve.log();
        assert!(!log.contains("hubgate: "), "it says why it ends: {log}");
        log.contains("ready")
    });
}

/// A configuration for `serve`, and its port.
fn prepared(configure: impl FnOnce(&mut Setup)) -> (std::path::PathBuf, tempfile::TempDir, u16) {
    let port = free_port();
    let (config, folder) = Gateway::prepare(|setup| {
        setup
            .set("listen", "https", &format!("[\"127.0.0.1:{port}\"]"))
            .set("listen", "management", r#""off""#)
            .set("log", "level", r#""info""#);
        configure(setup);
    });
    (config, folder, port)
}

fn users(config: &Path, folder: &Path) -> Vec<Value> {
    let config = config.display().to_string();
    let output = process::run(&["user", "list", "--json", "--config", &config], folder);
    assert!(output.status.success(), "{}", written(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_first_start_makes_an_administrator_and_says_the_password_once() {
    let (config, folder, port) = prepared(|_| {});
    let serve = Serve::start(&config, port);
    eventually("the password is shown", || password_shown(&serve.log()).is_some());
    let log = serve.log();
    let password = password_shown(&log).unwrap();
    assert_eq!(log.matches(&password).count(), 1, "{log}");
    drop(serve);
    let all = users(&config, folder.path());
    let by = |login: &str| all.iter().find(|user| user["login"] == login).unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
    let admin = by("admin");
    assert_eq!((&admin["administrator"], &admin["must_change_password"]), (&true.into(), &true.into()));
    assert_eq!(admin["groups"], serde_json::json!([]));
    let guest = by("guest");
    assert_eq!((&guest["guest"], &guest["banned"]), (&true.into(), &true.into()));
    assert_eq!((&guest["name"], &guest["has_password"]), (&"Guest".into(), &false.into()));
    // The same folder in this process: the password is the right one.
    let gateway = Gateway::start_in(config.clone(), folder);
    let runtime = runtime();
    let user = runtime.block_on(sign_in(gateway.running().logins(), "ADMIN", &password)).unwrap();
    assert!(user.administrator && user.password.unwrap().must_change);
    drop(gateway);
}

#[test]
fn a_machine_reads_the_first_password_too() {
    let (config, _folder, port) = prepared(|setup| {
        setup.set("log", "format", r#""json""#);
    });
    let serve = Serve::start(&config, port);
    ready(&serve);
    let lines: Vec<Value> = serve
        .log()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let first: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "first_password").collect();
    assert_eq!(first.len(), 1, "{lines:?}");
    assert_eq!((&first[0]["login"], first[0]["password"].as_str().unwrap().len()), (&"admin".into(), 23));
}

#[test]
fn the_second_start_says_nothing() {
    let (config, folder, port) = prepared(|_| {});
    let first = Serve::start(&config, port);
    eventually("the first start is over", || password_shown(&first.log()).is_some());
    drop(first);
    let again = Serve::start(&config, port);
    ready(&again);
    assert_eq!(users(&config, folder.path()).len(), 2);
    assert_eq!(password_shown(&again.log()), None, "{}", again.log());
}

#[test]
fn the_first_password_may_be_given() {
    for (variables, line) in [
        (&[("HUBGATE_ADMIN_PASSWORD", PASSWORD)][..], ""),
        (&[("FIRST", PASSWORD)], "{ env = \"FIRST\" }"),
        (&[], "{ file = \"first.password\" }"),
    ] {
        let (config, folder, port) = prepared(|setup| {
            if !line.is_empty() {
                setup.set("", "admin_password", line);
            }
            std::fs::write(setup.folder().join("first.password"), format!("{PASSWORD}\n")).unwrap();
        });
        let serve = Serve::start_with(&config, port, variables);
        ready(&serve);
        let log = serve.log();
        assert!(password_shown(&log).is_none() && !log.contains(PASSWORD), "{log}");
        drop(serve);
        // Commands read the same file, so they need the same variable.
        let text = std::fs::read_to_string(&config).unwrap();
        let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("admin_password")).collect();
        std::fs::write(&config, without.join("\n")).unwrap();
        let gateway = Gateway::start_in(config, folder);
        let admin = runtime().block_on(sign_in(gateway.running().logins(), "admin", PASSWORD)).unwrap();
        assert!(admin.administrator && !admin.password.unwrap().must_change);
    }
}

#[test]
fn two_first_starts_at_once_make_one_administrator() {
    let (config, folder, port) = prepared(|_| {});
    let other_port = free_port();
    let other = folder.path().join("other.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&other, text.replace(&format!(":{port}\""), &format!(":{other_port}\""))).unwrap();
    let starts = [(config.clone(), port), (other, other_port)];
    let running: Vec<Serve> = starts
        .map(|(config, port)| std::thread::spawn(move || Serve::start(&config, port)))
        .into_iter()
        .map(|start| start.join().unwrap())
        .collect();
    for serve in &running {
        ready(serve);
    }
    eventually("one of them says the password", || {
        running.iter().any(|serve| password_shown(&serve.log()).is_some())
    });
    let shown: Vec<String> = running.iter().filter_map(|serve| password_shown(&serve.log())).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
    let administrators =
        users(&config, folder.path()).into_iter().filter(|user| user["administrator"] == true);
    assert_eq!(administrators.count(), 1);
}

async fn sign_in(logins: &Logins, name: &str, password: &str) -> Result<User, LoginError> {
    logins.authenticate(name, &Secret::new(password.to_owned()), HOME).await
}

#[test]
fn declared_users_follow_the_file() {
    let gateway = Gateway::start(|setup| {
        setup
            .user("jane", &format!("name = \"Jane Doe\"\nemail = \"jane@example.org\"\npassword = {PASSWORD:?}\ngroups = [\"developers\"]"))
            .user("boss", "administrator = true");
    });
    let show = |login: &str| -> Value {
        serde_json::from_str(&gateway.command(&["user", "show", login, "--json"])).unwrap()
    };
    let all = gateway.command(&["user", "list"]);
    assert!(!all.contains("admin "), "a declared administrator is one: {all}");
    let runtime = runtime();
    let logins = gateway.running().logins();
    for name in ["jane", "jane@example.org", show("jane")["id"].as_str().unwrap()] {
        assert_eq!(runtime.block_on(sign_in(logins, name, PASSWORD)).unwrap().login, "jane");
    }
    let before = show("jane");
    assert_eq!((&before["declared"], &before["groups"]), (&true.into(), &serde_json::json!(["developers"])));
    let text = gateway.config_text();
    gateway.reload(&text).unwrap();
    assert_eq!(show("jane"), before, "what is the same is not written");

    // The file would bring her group back with its next reading: it stays, under its name.
    gateway.command(&["group", "add", "heirs"]);
    let path = gateway.config_path().display().to_string();
    for command in [
        &["group", "remove", "Developers"][..],
        &["group", "remove", "developers", "--successor", "heirs"],
        &["group", "update", "developers", "--name", "makers"],
    ] {
        let output = process::run(&[command, &["--config", &path]].concat(), gateway.folder());
        let said = written(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&path) && said.contains("jane is in the group developers"), "{said}");
    }
    gateway.reload(&text).unwrap();
    assert_eq!(show("jane"), before);
    gateway.command(&["group", "update", "developers", "--name", "Developers", "--description", "who write"]);
    gateway.command(&["group", "remove", "heirs"]);

    gateway.command(&["user", "ban", "jane"]);
    let changed = text.replace("Jane Doe", "Jane Roe").replace("[\"developers\"]", "[\"writers\"]");
    gateway.reload(&changed.replace(PASSWORD, "another password")).unwrap();
    let after = show("jane");
    assert_eq!((&after["name"], &after["groups"]), (&"Jane Roe".into(), &serde_json::json!(["writers"])));
    assert_eq!((&after["id"], &after["banned"]), (&before["id"], &true.into()), "a ban is not the file's");
    gateway.command(&["group", "remove", "developers"]);
    gateway.command(&["user", "unban", "jane"]);
    assert!(matches!(runtime.block_on(sign_in(logins, "jane", PASSWORD)), Err(LoginError::Credentials)));
    assert!(runtime.block_on(sign_in(logins, "jane", "another password")).is_ok());

    let taken_out = &changed[..changed.find("[[user]]").unwrap()];
    gateway.reload(taken_out).unwrap();
    let released = show("jane");
    assert_eq!((&released["declared"], &released["name"]), (&false.into(), &"Jane Roe".into()));
    gateway.command(&["group", "remove", "writers"]);
    assert_eq!(show("jane")["groups"], serde_json::json!([]));
    assert!(runtime.block_on(sign_in(logins, "jane", "another password")).is_ok(), "nobody is deleted");
    // A login that is somebody's address would make one name open two accounts.
    let clash = format!("{taken_out}\n[[user]]\nlogin = \"jane@example.org\"\n");
    let refused = gateway.reload(&clash).unwrap_err();
    assert!(refused.contains("jane@example.org"), "{refused}");
}

/// The store, the pool and the verbs together: what a command does ends sessions of the gateway that runs.
#[test]
fn sessions_end_with_what_they_were_begun_with() {
    let mut gateway = Gateway::start(|setup| {
        setup.user("boss", "administrator = true");
    });
    let add = ["user", "add", "jane", "--generate", "--permanent", "--json"];
    let made: Value = serde_json::from_str(&gateway.command(&add)).unwrap();
    let password = made["password"].as_str().unwrap().to_owned();
    let runtime = runtime();
    let browser = Browser { user_agent: "test", address: HOME };
    for (command, signs_in_again) in [
        (&["user", "password", "jane", "--generate"][..], None),
        (&["user", "ban", "jane"], Some(&["user", "unban", "jane"][..])),
        (&["user", "remove", "jane"], None),
    ] {
        let (logins, sessions) = (gateway.running().logins(), gateway.running().sessions());
        let user = runtime.block_on(sign_in(logins, "jane", &password));
        // After the first command the password is another.
        let user = user.unwrap_or_else(|_| {
            let set = ["user", "password", "jane", "--password-file", "-", "--config"];
            let config = gateway.config_path().display().to_string();
            let output =
                process::run_with_input(&[&set[..], &[&config]].concat(), gateway.folder(), &password);
            assert!(output.status.success(), "{}", written(&output));
            runtime.block_on(sign_in(logins, "jane", &password)).unwrap()
        });
        let (cookie, _) = runtime.block_on(sessions.begin(&user, browser, true, None)).unwrap();
        let found = runtime.block_on(sessions.find(cookie.expose(), HOME)).unwrap();
        assert_eq!(found.unwrap().user.id, user.id);
        gateway.command(command);
        assert!(runtime.block_on(sessions.find(cookie.expose(), HOME)).unwrap().is_none(), "{command:?}");
        if let Some(back) = signs_in_again {
            assert!(matches!(
                runtime.block_on(sign_in(logins, "jane", &password)),
                Err(LoginError::Credentials)
            ));
            gateway.command(back);
            let found = runtime.block_on(sessions.find(cookie.expose(), HOME)).unwrap();
            assert!(found.is_none(), "what has ended stays so");
        }
    }
    gateway.stop();
}

#[test]
fn a_session_survives_a_restart() {
    let mut gateway = Gateway::start(|setup| {
        setup.user("jane", &format!("password = {PASSWORD:?}"));
    });
    let runtime = runtime();
    let browser = Browser { user_agent: "test", address: HOME };
    let cookie = runtime.block_on(async {
        let running = gateway.running();
        let user = sign_in(running.logins(), "jane", PASSWORD).await.unwrap();
        running.sessions().begin(&user, browser, false, None).await.unwrap().0
    });
    gateway.restart();
    let sessions = Arc::clone(gateway.running().sessions());
    let found = runtime.block_on(sessions.find(cookie.expose(), HOME)).unwrap().unwrap();
    assert_eq!(found.user.login, "jane");
    assert!(runtime.block_on(sessions.end(&found)).unwrap());
    assert!(runtime.block_on(sessions.find(cookie.expose(), HOME)).unwrap().is_none());
}

#[test]
fn guesses_are_counted_and_told() {
    let gateway = Gateway::start(|setup| {
        setup.user("jane", &format!("email = \"jane@example.org\"\npassword = {PASSWORD:?}"));
    });
    let logins = Arc::clone(gateway.running().logins());
    let outcomes = runtime().block_on(async {
        let guess = |n: usize| {
            let logins = Arc::clone(&logins);
            tokio::spawn(async move {
                let name = ["jane", "JANE", "jane@example.org"][n % 3];
                sign_in(&logins, name, "wrong").await.unwrap_err()
            })
        };
        let guesses: Vec<_> = (0..100).map(guess).collect();
        let mut outcomes = Vec::new();
        for guess in guesses {
            outcomes.push(guess.await.unwrap());
        }
        outcomes
    });
    let looked_at = outcomes.iter().filter(|outcome| matches!(outcome, LoginError::Credentials)).count();
    assert_eq!(looked_at, 5, "of a hundred at once");
    assert!(
        outcomes.iter().all(
            |outcome| !matches!(outcome, LoginError::Throttled(wait) if *wait > Duration::from_secs(12))
        ),
        "{outcomes:?}"
    );
    let (_, metrics) = gateway.management("/metrics");
    for line in
        ["hubgate_logins_total{result=\"refused\"} 5", "hubgate_logins_total{result=\"throttled\"} 95"]
    {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    assert!(metrics.contains("hubgate_passwords_waiting 0"), "{metrics}");
}

#[test]
fn a_full_queue_is_told() {
    let gateway = Gateway::start(|setup| {
        setup
            .set("limits", "password_threads", "1")
            .set("limits", "password_queue", "2")
            .user("jane", &format!("password = {PASSWORD:?}"));
    });
    let logins = Arc::clone(gateway.running().logins());
    let outcomes = runtime().block_on(async {
        let attempts: Vec<_> = (0..20)
            .map(|n| {
                let logins = Arc::clone(&logins);
                tokio::spawn(async move { sign_in(&logins, &format!("nobody-{n}"), "wrong").await })
            })
            .collect();
        let mut outcomes = Vec::new();
        for attempt in attempts {
            outcomes.push(attempt.await.unwrap().unwrap_err());
        }
        outcomes
    });
    let busy = outcomes.iter().filter(|outcome| matches!(outcome, LoginError::Busy(wait) if !wait.is_zero()));
    let busy = busy.count();
    assert!((1..20).contains(&busy), "{outcomes:?}");
    assert!(runtime().block_on(sign_in(&logins, "jane", PASSWORD)).is_ok(), "it is over");
}

/// A hash that another system made opens the account, and becomes one of ours.
#[test]
fn imported_hashes_are_renewed_at_the_first_sign_in() {
    let gateway = Gateway::start(|_| {});
    let config = gateway.config_path().display().to_string();
    let made =
        bcrypt::hash_with_salt("pässword", 4, [9; 16]).unwrap().format_for_version(bcrypt::Version::TwoY);
    let line = ["user", "add", "jane", "--hash-file", "-", "--config", &config];
    let output = process::run_with_input(&line, gateway.folder(), &made);
    assert!(output.status.success(), "{}", written(&output));
    let runtime = runtime();
    let logins = gateway.running().logins();
    assert!(matches!(runtime.block_on(sign_in(logins, "jane", "password")), Err(LoginError::Credentials)));
    let user = runtime.block_on(sign_in(logins, "jane", "pässword")).unwrap();
    assert!(user.password.unwrap().hash.starts_with("$argon2id$"));
    assert!(runtime.block_on(sign_in(logins, "jane", "pässword")).is_ok());
}

#[test]
fn check_decides_on_declared_users() {
    let rules = "[[upstream.rule]]\npath = \"/api/g\"\ngroups = [\"developers\"]\n[[upstream.rule]]\npath = \"/api/u\"\nusers = [\"john\"]";
    let test = |path: &str, user: &str, expect: &str| {
        format!(
            "[[test]]\nrequest = \"GET {path}\"\ntoken = {{ {user}scope = [\"alpha\"] }}\nexpect = {expect:?}\n"
        )
    };
    let desk = Desk::with(|setup| {
        setup
            .service("alpha", "alpha-secret-0123456789")
            .route_to("alpha", "/api", &["http://127.0.0.1:1".to_owned()], rules)
            .user("jane", "groups = [\"developers\"]")
            .user("john", "");
    });
    let head = std::fs::read_to_string(&desk.config).unwrap();
    for (path, user, expect, other) in [
        ("/api/g", "user = \"jane\", ", "allowed", "forbidden"),
        ("/api/g", "user = \"john\", ", "forbidden", "allowed"),
        ("/api/g", "", "forbidden", "allowed"),
        ("/api/u", "user = \"JOHN\", ", "allowed", "forbidden"),
        ("/api/u", "user = \"jane\", ", "forbidden", "allowed"),
        ("/api/x", "user = \"jane\", ", "allowed", "forbidden"),
    ] {
        std::fs::write(&desk.config, format!("{head}\n{}", test(path, user, expect))).unwrap();
        desk.good(&["check"], "");
        std::fs::write(&desk.config, format!("{head}\n{}", test(path, user, other))).unwrap();
        assert!(desk.refused(&["check"], "").contains(&format!("got {expect}")));
    }
}

/// A group of the file may be below others in the store, and is spelled as it is there: so the gate takes it.
#[test]
fn check_counts_the_groups_above_those_that_are_declared() {
    let desk = Desk::with(|setup| {
        let rule =
            |name: &str| format!("[[upstream.rule]]\npath = \"/api/{name}/**\"\ngroups = [\"{name}\"]\n");
        let rules = ["Developers", "developers", "staff", "house", "visitors"].map(rule).concat();
        let test = |name: &str| {
            format!(
                "[[test]]\nrequest = \"GET /api/{name}/x\"\ntoken = {{ user = \"jane\", scope = [\"alpha\"] }}\nexpect = \"allowed\"\n"
            )
        };
        setup
            .service("alpha", "alpha-secret-0123456789")
            .route_to("alpha", "/api", &["http://127.0.0.1:1".to_owned()], &rules)
            .user("jane", "groups = [\"developers\"]")
            .tables(&["Developers", "staff", "house"].map(test).concat());
    });
    let places = |said: &str| {
        ["Developers", "developers", "staff", "house", "visitors"]
            .map(|name| said.contains(&format!("test GET /api/{name}/x: expected")))
    };
    let refused = desk.refused(&["check"], "");
    assert_eq!(places(&refused), [true, false, true, true, false], "{refused}");
    desk.good(&["group", "add", "house"], "");
    desk.good(&["group", "add", "staff", "--parent", "house"], "");
    desk.good(&["group", "add", "visitors", "--parent", "house"], "");
    desk.good(&["group", "add", "Developers", "--parent", "staff"], "");
    desk.good(&["check"], "");
    // Beside it and below it is not in it, nor is it what the file says where the store says otherwise.
    let text = std::fs::read_to_string(&desk.config).unwrap();
    let other = text
        .replace("GET /api/house/x", "GET /api/visitors/x")
        .replace("GET /api/staff/x", "GET /api/developers/x");
    std::fs::write(&desk.config, other).unwrap();
    let refused = desk.refused(&["check"], "");
    assert_eq!(places(&refused), [false, true, false, false, true], "{refused}");
    // The gate itself judges likewise.
    std::fs::write(&desk.config, text).unwrap();
    let gateway = Gateway::start_in(desk.config, desk.folder);
    let made = gateway.command(&["token", "create", "--user", "jane", "--scope", "alpha", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let token = made["token"].as_str().unwrap().to_owned();
    for (path, outcome) in [
        ("/api/Developers/x", "allowed"),
        ("/api/staff/x", "allowed"),
        ("/api/house/x", "allowed"),
        ("/api/developers/x", "forbidden"),
        ("/api/visitors/x", "forbidden"),
    ] {
        let config = gateway.config_path().display().to_string();
        let arguments = ["explain", "--json", "--config", &config, "--token", &token, "GET", path];
        let output = process::run(&arguments, gateway.folder());
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["outcome"], outcome, "{path}: {said}");
    }
}
