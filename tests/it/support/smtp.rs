//! A mail server that keeps what it is sent, or refuses it as a test wants.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::gateway::{Setup, eventually};

/// A letter as the server got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) to: String,
    pub(crate) head: String,
    /// Decoded.
    pub(crate) body: String,
}

impl Received {
    /// The address in it, as one line of its own.
    pub(crate) fn link(&self) -> String {
        let links: Vec<&str> = self.body.lines().filter(|line| line.contains("://")).collect();
        assert_eq!(links.len(), 1, "{}", self.body);
        links[0].trim().to_owned()
    }

    /// That address below our own origin.
    pub(crate) fn path(&self) -> String {
        let link = self.link();
        link.strip_prefix(super::gateway::PUBLIC_URL).unwrap_or_else(|| panic!("{link}")).to_owned()
    }
}

#[derive(Default)]
struct State {
    letters: Mutex<Vec<Received>>,
    /// Attempts to be refused for now.
    busy: AtomicUsize,
    /// Refuse for good.
    refuses: AtomicBool,
    /// Take the connection and say nothing.
    silent: AtomicBool,
    attempts: AtomicUsize,
}

/// The server. It serves until the test ends.
pub(crate) struct Smtp {
    state: Arc<State>,
    pub(crate) port: u16,
}

impl Smtp {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (Ok(connection), state) = (connection, Arc::clone(&shared)) else { return };
                std::thread::spawn(move || serve(&state, &connection));
            }
        });
        Self { state, port }
    }

    /// Has a gateway send by it.
    pub(crate) fn configure(&self, setup: &mut Setup) {
        setup
            .set("mail", "from", r#""The Gate <gate@gateway.example>""#)
            .set("mail", "host", r#""127.0.0.1""#)
            .set("mail", "port", &self.port.to_string())
            .set("mail", "tls", r#""none""#)
            .set("mail", "timeout", r#""2s""#);
    }

    pub(crate) fn refuse_for_now(&self, times: usize) {
        self.state.busy.store(times, Ordering::SeqCst);
    }

    pub(crate) fn refuse(&self) {
        self.state.refuses.store(true, Ordering::SeqCst);
    }

    pub(crate) fn say_nothing(&self) {
        self.state.silent.store(true, Ordering::SeqCst);
    }

    pub(crate) fn attempts(&self) -> usize {
        self.state.attempts.load(Ordering::SeqCst)
    }

    /// The next letter.
    pub(crate) fn next(&self) -> Received {
        let mut found = None;
        eventually("a letter", || {
            let mut letters = self.state.letters.lock().unwrap();
            if !letters.is_empty() {
                found = Some(letters.remove(0));
            }
            found.is_some()
        });
        found.unwrap()
    }

    /// Nothing comes, also a while later.
    #[track_caller]
    pub(crate) fn is_quiet(&self) {
        std::thread::sleep(Duration::from_millis(300));
        let letters = self.state.letters.lock().unwrap();
        assert!(letters.is_empty(), "{letters:?}");
    }
}

fn serve(state: &State, connection: &TcpStream) {
    state.attempts.fetch_add(1, Ordering::SeqCst);
    if state.silent.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_secs(30));
        return;
    }
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut writer = connection;
    let mut say = |line: &str| writer.write_all(format!("{line}\r\n").as_bytes()).is_ok();
    let mut to = String::new();
    say("220 mail.example ESMTP");
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        let command = line.trim().to_owned();
        line.clear();
        let word = command.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        match word.as_str() {
            "EHLO" => {
                assert_eq!(command, "EHLO gateway.example", "it introduces itself by its public name");
                say("250-mail.example\r\n250 8BITMIME");
            }
            "RCPT" => {
                to = command.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                if state.refuses.load(Ordering::SeqCst) {
                    say(&format!("550 5.1.1 <{to}> is nobody here"));
                } else if state.busy.load(Ordering::SeqCst) > 0 {
                    state.busy.fetch_sub(1, Ordering::SeqCst);
                    say("451 4.3.0 later");
                } else {
                    say("250 ok");
                }
            }
            "DATA" => {
                say("354 go on");
                let mut text = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line != ".\r\n" {
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    line.clear();
                }
                line.clear();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let body = decoded(head, body);
                state.letters.lock().unwrap().push(Received { to: to.clone(), head: head.to_owned(), body });
                say("250 kept");
            }
            "QUIT" => {
                say("221 bye");
                return;
            }
            _ => {
                say("250 ok");
            }
        }
    }
}

fn decoded(head: &str, body: &str) -> String {
    let encoding = head.lines().find_map(|line| line.strip_prefix("Content-Transfer-Encoding: "));
    match encoding.unwrap_or("7bit") {
        "7bit" | "8bit" => body.to_owned(),
        "base64" => {
            use base64::Engine as _;
            let text: String = body.split_whitespace().collect();
            String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
        }
        "quoted-printable" => {
            let mut bytes = Vec::new();
            let joined = body.replace("=\r\n", "");
            let mut rest = joined.as_bytes();
            while let [first, tail @ ..] = rest {
                if *first == b'=' {
                    let hex = std::str::from_utf8(&tail[..2]).unwrap();
                    bytes.push(u8::from_str_radix(hex, 16).unwrap());
                    rest = &tail[2..];
                } else {
                    bytes.push(*first);
                    rest = tail;
                }
            }
            String::from_utf8(bytes).unwrap()
        }
        other => panic!("{other}"),
    }
}
