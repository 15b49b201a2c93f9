//! `hubgate demo` keeps its word: every line that it prints is run by a shell, and answers what stands beneath it.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::support::process::{free_port, program};

/// The running demonstration; dropping it ends it.
struct Demo {
    child: Child,
    story: String,
}

impl Demo {
    /// Starts it and waits for the end of what it prints.
    fn start() -> Self {
        let mut child = program()
            .args(["demo", "--port", &free_port().to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut demo = Self { child, story: String::new() };
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                drop(send.send(line.unwrap()));
            }
        });
        while !demo.story.contains("Ctrl-C ends the demonstration") {
            let line = receive.recv_timeout(Duration::from_secs(30)).expect("a line of the demonstration");
            demo.story.push_str(&line);
            demo.story.push('\n');
        }
        demo
    }

    fn fact(&self, name: &str) -> &str {
        let line = self.story.lines().find_map(|line| line.trim_start().strip_prefix(name)).unwrap();
        line.trim()
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(&mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Lines to be pasted, and what is promised of their output.
#[derive(Debug, Default)]
struct Step {
    title: String,
    lines: Vec<String>,
    promise: String,
}

/// Reads what a person reads: titles and promises are indented, what stands at the left edge is to be pasted.
fn steps(story: &str) -> Vec<Step> {
    let mut steps = vec![Step::default()];
    for line in story.lines().filter(|line| !line.is_empty() && !line.starts_with('─')) {
        let numbered = line.trim_start().split_once(". ").filter(|(n, _)| n.parse::<u32>().is_ok());
        if let Some((_, title)) = numbered {
            steps.push(Step { title: title.to_owned(), ..Step::default() });
            continue;
        }
        let step = steps.last_mut().unwrap();
        if !line.starts_with(' ') {
            step.lines.push(line.to_owned());
        } else if let Some(begin) = line.strip_prefix("    → ") {
            begin.clone_into(&mut step.promise);
        } else if !step.promise.is_empty() && line.starts_with("      ") {
            step.promise.push(' ');
            step.promise.push_str(line.trim());
        }
    }
    steps
}

/// Whether `output` has what a promise has between backticks.
fn has(output: &str, promised: &str) -> bool {
    if promised.len() == 3 && promised.bytes().all(|b| b.is_ascii_digit()) {
        return output
            .lines()
            .any(|line| line.starts_with("HTTP/") && line.split_whitespace().nth(1) == Some(promised));
    }
    output.lines().any(|line| {
        let mut rest = line;
        promised.split('…').all(|piece| match rest.split_once(piece) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    })
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn every_printed_line_gives_what_is_promised() {
    let mut demo = Demo::start();
    let folder = demo.fact("Settings").strip_suffix("/gateway.toml").unwrap().to_owned();
    let steps = steps(&demo.story);
    assert!(steps.len() > 20, "{}", demo.story);
    if is_there("curl") {
        for shell in ["sh", "bash", "zsh"].into_iter().filter(|shell| *shell == "sh" || is_there(shell)) {
            // One terminal for all, as the person who pastes has: the names of one step live on in the next.
            let mut script = "exec 2>&1\n".to_owned();
            for step in &steps {
                script.push_str("printf '\\n@@\\n'\n");
                script.push_str(&step.lines.join("\n"));
                script.push('\n');
            }
            let output = Command::new(shell).arg("-c").arg(script).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).replace('\r', "");
            let mut parts = text.split("\n@@\n").skip(1);
            assert_eq!(parts.next(), Some(""), "{shell}: the names print nothing");
            for step in &steps[1..] {
                let part =
                    parts.next().unwrap_or_else(|| panic!("{shell}: no output for {step:?} in {text}"));
                assert!(!part.contains("curl: ("), "{shell}: {step:?}: {part}");
                let promised: Vec<&str> = step.promise.split('`').skip(1).step_by(2).collect();
                assert!(!promised.is_empty(), "{:?} promises nothing", step.title);
                for piece in promised {
                    assert!(has(part, piece), "{shell}: {piece:?} of {step:#?} is not in {part}");
                }
                if step.promise.contains("without an error") {
                    assert!(!part.contains("error=\""), "{shell}: {part}");
                }
                if step.promise.contains("no X-Forwarded-User") {
                    assert!(!part.contains("X-Forwarded-User"), "{shell}: {part}");
                }
            }
        }
    }
    assert!(std::path::Path::new(&folder).exists());
    assert_eq!(demo.interrupt(), Some(0));
    assert!(!std::path::Path::new(&folder).exists(), "the folder goes away with the demonstration");
}

#[test]
fn a_promise_is_looked_for_piece_by_piece() {
    let output = "HTTP/2 401 \nlocation: http://a/?code=x&state=y\n";
    for good in ["401", "location: http://a/?code=…&state=y", "…", "?code=x"] {
        assert!(has(output, good), "{good}");
    }
    for bad in ["200", "400", "&state=y…?code", "HTTP/2 401 location", "code=z"] {
        assert!(!has(output, bad), "{bad}");
    }
}
