//! `hubgate backup` and `restore` (threat R28): a copy that is taken under load holds what was acknowledged before, and a gateway that
//! starts on it goes on as the first one was.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use crate::{
    floods::Over,
    support::{
        Gateway, Request, Upstream,
        gateway::{Setup, eventually},
        process::{self, written},
    },
};

const TOKEN: &str = "/hub/api/rest/oauth2/token";

/// Runs a command on a configuration: whether it went well, and what it wrote.
fn hubgate(arguments: &[&str], config: &Path) -> (bool, String) {
    let config = config.display().to_string();
    let output = process::run(&[arguments, &["--config", &config]].concat(), Path::new("/"));
    (output.status.success(), written(&output))
}

/// The same configuration in a folder of its own.
fn another(upstream: &Upstream) -> (std::path::PathBuf, tempfile::TempDir) {
    Gateway::prepare(|setup: &mut Setup| {
        setup.standard(upstream);
    })
}

#[test]
fn a_copy_under_load_holds_everything_that_was_acknowledged() {
    let (gateway, upstream) = Gateway::standard();
    let file = gateway.folder().join("copy");
    let name = file.display().to_string();
    let (over, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let before = thread::scope(|scope| {
        let until = Over(&over);
        // Registered one after the other, each acknowledged before the next.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let next = format!("load-{}", written.load(Ordering::Relaxed));
                gateway.command(&["service", "add", &next, "--id", &next]);
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        eventually("something is written", || written.load(Ordering::Relaxed) >= 2);
        let before = written.load(Ordering::Relaxed);
        let said = gateway.command(&["backup", &name]);
        assert!(said.contains("can sign tokens"), "{said}");
        eventually("it goes on meanwhile", || written.load(Ordering::Relaxed) > before);
        drop(until);
        before
    });
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = gateway.secret_of(&["service", "add", "later", "--id", "later"]);
    let token = gateway.machine_token("alpha");

    let (config, folder) = another(&upstream);
    let (good, said) = hubgate(&["restore", &name], &config);
    assert!(good && said.contains("is as it was at 20"), "{said}");
    assert_eq!(
        fs::read(folder.path().join("data/hubgate.key")).unwrap(),
        fs::read(gateway.folder().join("data/hubgate.key")).unwrap()
    );
    let (good, listed) = hubgate(&["service", "list", "--json"], &config);
    assert!(good, "{listed}");
    for n in 0..before {
        assert!(listed.contains(&format!("\"load-{n}\"")), "load-{n} of {before}: {listed}");
    }
    assert!(!listed.contains("\"later\""), "that was registered afterwards");
    assert!(hubgate(&["audit", "verify"], &config).0);

    // What the first has signed is good at the second, which knows nothing of what came later.
    let restored = Gateway::start_in(config, folder);
    assert_eq!(restored.send(&Request::get("/api/x").bearer(&token)).status, 200);
    let later = Request::form(TOKEN, "grant_type=client_credentials&scope=alpha").basic("later", &secret);
    eventually("the first takes it up", || gateway.send(&later).status == 200);
    assert_eq!(restored.send(&later).status, 401);
    // The file's secrets are in the backup alone.
    let key = fs::read(gateway.folder().join("data/hubgate.key")).unwrap();
    let holds = |path: &Path| fs::read(path).unwrap().windows(key.len()).any(|window| window == key);
    assert!(holds(&file) && !holds(&restored.folder().join("data/hubgate.db")));
}

#[test]
fn nothing_is_replaced() {
    let (gateway, upstream) = Gateway::standard();
    let file = gateway.folder().join("copy");
    let name = file.display().to_string();
    gateway.command(&["backup", &name]);
    let first = fs::read(&file).unwrap();
    let (good, said) = hubgate(&["backup", &name], gateway.config_path());
    assert!(!good && said.contains("is there already"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), first);

    // Neither under a gateway that runs, nor over one that has ended.
    let (good, said) = hubgate(&["restore", &name], gateway.config_path());
    assert!(!good && said.contains("without a database"), "{said}");
    assert_eq!(gateway.send(&Request::get("/public/x")).status, 200);

    let (config, folder) = another(&upstream);
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("hubgate.key"), [7; 32]).unwrap();
    fs::set_permissions(data.join("hubgate.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let (good, said) = hubgate(&["restore", &name], &config);
    assert!(!good && said.contains("is not the backup's"), "{said}");
    assert_eq!(fs::read(data.join("hubgate.key")).unwrap(), [7; 32]);
    assert!(!data.join("hubgate.db").exists());
    // With what is missing out of the way it succeeds, once.
    fs::remove_file(data.join("hubgate.key")).unwrap();
    assert!(hubgate(&["restore", &name], &config).0);
    assert!(!hubgate(&["restore", &name], &config).0);
    let left: Vec<_> = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let (mut gateway, upstream) = Gateway::standard();
    let (config, folder) = another(&upstream);
    let at = |name: &str| folder.path().join(name);
    let name = at("copy").display().to_string();
    let (good, said) = hubgate(&["backup", &name], &config);
    assert!(!good && said.contains("nothing to back up"), "{said}");
    assert!(!at("copy").exists());

    gateway.command(&["backup", &name]);
    let whole = fs::read(at("copy")).unwrap();
    gateway.stop();
    // Without what is still in its log a database is not whole; whoever closes it last moves that in and takes the log away.
    let log = gateway.folder().join("data/hubgate.db-wal");
    eventually("the database is closed", || !log.exists());
    fs::copy(gateway.folder().join("data/hubgate.db"), at("bare")).unwrap();
    fs::write(at("cut"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("text"), "this is no database, and not a short one at that".repeat(100)).unwrap();
    let mut garbled = whole;
    let middle = garbled.len() / 2;
    garbled[middle..middle + 20_000].fill(0x55);
    fs::write(at("garbled"), garbled).unwrap();
    for (name, why) in [
        ("bare", "no file that `hubgate backup` has made"),
        ("cut", "damaged"),
        ("empty", "another program"),
        ("text", "damaged"),
        ("garbled", "damaged"),
        ("missing", "missing"),
    ] {
        let (good, said) = hubgate(&["restore", &at(name).display().to_string()], &config);
        assert!(!good && said.contains(why) && said.contains(name), "{name}: {said}");
        assert!(!at("data/hubgate.db").exists(), "{name}");
    }
    let (good, said) = hubgate(&["restore", &at("copy").display().to_string()], &config);
    assert!(good, "{said}");
    let (good, said) = hubgate(&["backup", "/nowhere/at/all"], &config);
    assert!(!good && said.contains("/nowhere/at"), "{said}");
}
