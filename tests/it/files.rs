//! How many files may be open at a time: raised at the start as far as it may be, and a matter of one line a second when there
//! is none left.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::{
    Gateway, RawClient, Request, Upstream,
    gateway::eventually,
    process::{Serve, free_port},
};

/// What is said when less may be open than connections may take.
const TOO_FEW: &str = "fewer files may be open than limits.max_connections takes";

/// A gateway that is started by this line of a shell, which ends in what it is to run.
fn serve(max_connections: Option<u32>, line: &str) -> (Serve, tempfile::TempDir) {
    let port = free_port();
    let (config, folder) = Gateway::prepare(|setup| {
        setup.set("listen", "https", &format!("[\"127.0.0.1:{port}\"]")).set("log", "level", r#""info""#);
        if let Some(most) = max_connections {
            setup.set("limits", "max_connections", &most.to_string());
        }
    });
    (Serve::start_by(line, &config, port), folder)
}

/// (soft, hard), as the system has them.
fn limits(serve: &Serve) -> (u64, u64) {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serve.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let hard = getrlimit(Resource::Nofile).maximum.unwrap();
    assert!(hard > 256, "a machine that allows {hard} files");
    let (low, _folder) = serve(Some(20), "ulimit -Sn 256; exec \"$0\" \"$@\"");
    assert_eq!(limits(&low), (hard, hard));
    assert!(!low.log().contains(TOO_FEW), "{}", low.log());
    // The hard one is whoever runs it decided on. What does not fit is told once.
    let (bound, _folder) = serve(None, "ulimit -Sn 300; ulimit -Hn 1000; exec \"$0\" \"$@\"");
    assert_eq!(limits(&bound), (1000, 1000));
    assert_eq!(bound.log().matches(TOO_FEW).count(), 1, "{}", bound.log());
    assert!(bound.log().contains("allowed=1000 needed=40200 max_connections=20000"), "{}", bound.log());
    assert_eq!(bound.client().send(&Request::get("/hub/api/rest/oauth2/keys")).status, 200);
}

/// Without a file left, those who come and those who are to be forwarded share one line a second; with some again, all goes on.
#[test]
fn being_out_of_files_is_told_once_a_second() {
    let (port, upstream, second) = (free_port(), Upstream::start(), Upstream::start());
    let (config, _folder) = Gateway::prepare(|setup| {
        setup
            .standard(&upstream)
            .open_to("/two", &[upstream.origin(), second.origin()], "")
            .set("listen", "https", &format!("[\"127.0.0.1:{port}\"]"))
            .set("listen", "workers", "2")
            .set("log", "level", r#""info""#);
    });
    let serve = Serve::start(&config, port);
    let mut clients: Vec<RawClient> = (0..8).map(|_| RawClient::connect(serve.address())).collect();
    let keys = Request::get("/hub/api/rest/oauth2/keys").bytes();
    for client in &mut clients {
        assert_eq!(client.send(&keys).answer().unwrap().status, 200);
    }
    let pid = Pid::from_raw(i32::try_from(serve.pid()).unwrap());
    let before = getrlimit(Resource::Nofile);
    // None may be opened: the first three are taken.
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(3), ..before }).unwrap();
    let start = Instant::now();
    let complaints = || {
        let log = serve.log();
        log.matches("no connection to the upstream").count()
            + log.matches("connections cannot be accepted").count()
    };
    let waiting: Vec<_> = (0..4).map(|_| std::net::TcpStream::connect(serve.address()).unwrap()).collect();
    let mut refused = 0;
    while start.elapsed() < Duration::from_millis(2500) {
        for (client, path) in clients.iter_mut().zip(["/public/x", "/two/x"].iter().cycle()) {
            let answer = client.send(Request::get(path).bytes()).answer().unwrap();
            assert_eq!((answer.status, answer.error().as_str()), (502, "bad_gateway"), "{path}");
            refused += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    eventually("it is told", || complaints() >= 1);
    // Asked for in this order: what is written later has more time.
    let told = complaints();
    let seconds = usize::try_from(start.elapsed().as_secs()).unwrap();
    assert!(refused > 16, "{refused}");
    assert!(told <= seconds + 1, "{told} lines in {seconds} s");
    prlimit(pid, Resource::Nofile, before).unwrap();
    drop(waiting);
    // No target was passed over for what was no fault of its own.
    for (client, path) in clients.iter_mut().zip(["/public/x", "/two/x"].iter().cycle()) {
        let answer = client.send(Request::get(path).bytes()).answer().unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    assert_eq!(serve.client().send(&Request::get("/public/x")).status, 200);
}
