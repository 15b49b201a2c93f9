//! The built program as a process of its own: commands, signals, and what it writes.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use super::client::Client;

/// The program under test.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubgate"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str], folder: &Path) -> Output {
    program().args(arguments).current_dir(folder).output().unwrap()
}

/// The same, with this text on its standard input.
pub(crate) fn run_with_input(arguments: &[&str], folder: &Path, input: &str) -> Output {
    let mut command = program();
    command.args(arguments).current_dir(folder);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that does not read it may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// What a command wrote, both streams.
pub(crate) fn written(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A port that is free, below those that systems choose by themselves, and another for each test at the same time: nobody
/// takes it before it is used.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = std::process::id().wrapping_mul(8).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + u16::try_from(next % 22_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// `hubgate serve`, its output kept in files. Dropping it kills it.
pub(crate) struct Serve {
    child: Child,
    address: SocketAddr,
    logs: [PathBuf; 2],
}

impl Serve {
    /// Starts it and waits until it accepts connections on `port`.
    pub(crate) fn start(config: &Path, port: u16) -> Self {
        Self::start_with(config, port, &[])
    }

    /// The same, with these variables. What it writes goes into files beside the configuration.
    pub(crate) fn start_with(config: &Path, port: u16, variables: &[(&str, &str)]) -> Self {
        Self::start_to(config, port, variables, None)
    }

    /// The same, by a line of a shell to which the program and its arguments are `$0` and `$@`.
    pub(crate) fn start_by(line: &str, config: &Path, port: u16) -> Self {
        let mut command = Command::new("/bin/sh");
        command.env_clear().stdin(Stdio::null()).args(["-c", line, env!("CARGO_BIN_EXE_hubgate")]);
        Self::spawn(command, (config, port), &[], None)
    }

    /// The same, with standard error somewhere else.
    pub(crate) fn start_to(
        config: &Path,
        port: u16,
        variables: &[(&str, &str)],
        stderr: Option<Stdio>,
    ) -> Self {
        Self::spawn(program(), (config, port), variables, stderr)
    }

    fn spawn(
        mut command: Command,
        (config, port): (&Path, u16),
        variables: &[(&str, &str)],
        stderr: Option<Stdio>,
    ) -> Self {
        let folder = config.parent().unwrap();
        let name = config.file_stem().unwrap().to_string_lossy();
        let logs = ["stdout", "stderr"].map(|stream| folder.join(format!("{name}.{stream}.log")));
        let errors = File::create(&logs[1]).unwrap();
        let child = command
            .args(["serve", "--config"])
            .arg(config)
            .current_dir(folder)
            .envs(variables.iter().copied())
            .stdout(File::create(&logs[0]).unwrap())
            .stderr(stderr.unwrap_or(errors.into()))
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut serve = Self { child, address, logs };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            let ended = serve.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}: {}", serve.log());
            assert!(Instant::now() < deadline, "it does not listen: {}", serve.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        serve
    }

    /// A client of it.
    pub(crate) const fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything that it has written so far.
    pub(crate) fn log(&self) -> String {
        self.logs
            .iter()
            .map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
            .collect()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Its exit code, when it ends within `wait`.
    pub(crate) fn exit_within(&mut self, wait: Duration) -> Option<i32> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// GET without TLS on a connection of its own.
pub(crate) fn plain_get(address: SocketAddr, path: &str) -> (u16, String) {
    try_plain_get(address, path).unwrap_or_else(|| panic!("no answer from {address}{path}"))
}

/// The same, `None` when nobody answers.
pub(crate) fn try_plain_get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(15))).ok()?;
    socket
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
        .ok()?;
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Some((status, body))
}
