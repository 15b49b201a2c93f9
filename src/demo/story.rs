//! What `hubgate demo` prints: the addresses, the credentials, and lines to paste with what each will answer.
//!
//! Invariant: a line to be pasted stands alone, unbroken and at the left edge, safe for a POSIX shell whatever the
//! facts contain, and verifies TLS against the demonstration's own certificate.

use std::{fmt::Write as _, net::SocketAddr, path::PathBuf};

use crate::base::{id::ServiceId, secret::Secret};

/// What the running demonstration knows of itself.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The gateway's public address without a trailing slash: `https://localhost:8443`.
    pub gateway_url: String,
    /// Where the gateway's own endpoints live: `/hub`, or empty.
    pub hub_path: String,
    /// Where the tracker lives behind the gate: `/youtrack`, or empty.
    pub upstream_path: String,
    /// The tracker's service: the scope that a token needs there.
    pub upstream: ServiceId,
    /// A registered service that is not the tracker, to show a scope that does not suffice.
    pub other: ServiceId,
    /// The machine client's service.
    pub client: ServiceId,
    /// Its secret.
    pub client_secret: Secret,
    /// The tracker's page as a browser finds it.
    pub page_url: String,
    /// Where the tracker listens, behind the gateway's back.
    pub backend: SocketAddr,
    /// The management listener.
    pub management: SocketAddr,
    /// The certificate that the gateway presents.
    pub certificate: PathBuf,
    /// The throw-away folder.
    pub folder: PathBuf,
}

/// How the text is dressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether ANSI colours may be used.
    pub colour: bool,
    /// Columns of the terminal; prose is wrapped to it, within what reads well.
    pub width: usize,
}

impl Style {
    /// No colours, 80 columns: for a pipe or a file.
    #[must_use]
    pub const fn plain() -> Self {
        Self { colour: false, width: 80 }
    }
}

/// Renders the text.
#[must_use]
pub fn story(facts: &Facts, style: Style) -> String {
    let mut out = Page { text: String::new(), colour: style.colour, width: style.width.clamp(40, 100) };
    header(&mut out, facts);
    for (place, step) in steps(facts).iter().enumerate() {
        out.step(place + 1, step);
    }
    out.text.push('\n');
    out.rule("");
    out.paragraph(1, "Ctrl-C ends the demonstration and removes its folder.");
    out.text
}

fn header(out: &mut Page, facts: &Facts) {
    out.text.push('\n');
    out.rule("hubgate demo");
    out.text.push('\n');
    out.paragraph(
        1,
        "A gateway in front of a sample issue tracker. Requests with a good token go through, all others do not.",
    );
    out.text.push('\n');
    out.fact("Gateway", &facts.gateway_url);
    out.fact("Hub", &format!("{}{}", facts.gateway_url, facts.hub_path));
    out.fact("Tracker", &format!("{}{}", facts.gateway_url, facts.upstream_path));
    out.fact("Its page", &facts.page_url);
    out.fact("Backend", &format!("http://{}{} (not through the gate)", facts.backend, facts.upstream_path));
    out.fact("Management", &format!("http://{}", facts.management));
    out.fact("Folder", &facts.folder.display().to_string());
    out.text.push('\n');
    out.fact("Service id", facts.client.as_str());
    out.fact("Secret", facts.client_secret.expose());
    out.text.push('\n');
    out.paragraph(
        1,
        "Paste these lines into another terminal, in this order; some use the token of the first.",
    );
}

/// One thing to try.
struct Step {
    title: &'static str,
    lines: Vec<String>,
    answer: String,
}

fn steps(facts: &Facts) -> Vec<Step> {
    let curl = format!("curl -sS --cacert {}", quote(&facts.certificate.display().to_string()));
    let hub = |path: &str| quote(&format!("{}{}{path}", facts.gateway_url, facts.hub_path));
    let tracker = |path: &str| quote(&format!("{}{}{path}", facts.gateway_url, facts.upstream_path));
    let token_url = hub("/api/rest/oauth2/token");
    let basic = quote(&format!("{}:{}", facts.client, facts.client_secret.expose()));
    let extract = r#"sed -E 's/.*"access_token": *"([^"]+)".*/\1/'"#;
    let ask = |scope: &ServiceId| {
        format!(
            "{curl} -u {basic} -d grant_type=client_credentials -d {} {token_url}",
            quote(&format!("scope={scope}"))
        )
    };
    let bearer = |variable: &str| format!(r#"-H "Authorization: Bearer ${variable}""#);
    let (upstream, client) = (&facts.upstream, &facts.client);
    let step = |title, lines, answer: &str| Step { title, lines, answer: answer.to_owned() };
    vec![
        step(
            "Get a token: client credentials, Basic authentication",
            vec![format!("TOKEN=$({} | {extract}); echo \"$TOKEN\"", ask(upstream))],
            "200, and the access token, a signed JWT good for an hour, is in $TOKEN",
        ),
        step(
            "The same with id and secret in the form",
            vec![format!(
                "{curl} -d grant_type=client_credentials -d {} -d {} -d {} {token_url}",
                quote(&format!("client_id={client}")),
                // Base64url needs no escaping in a form; a secret of another make may.
                quote(&format!("client_secret={}", form(facts.client_secret.expose()))),
                quote(&format!("scope={upstream}"))
            )],
            r#"200 {"access_token": "eyJ…", "token_type": "Bearer", "expires_in": …, "scope": …}"#,
        ),
        step(
            "Call the tracker with the token",
            vec![format!("{curl} {} {}", bearer("TOKEN"), tracker("/api/issues?fields=idReadable,summary"))],
            "200 and the list of issues",
        ),
        step(
            "Call it without a token",
            vec![format!("{curl} -i {}", tracker("/api/issues"))],
            r#"401, WWW-Authenticate: Bearer realm="…" and no error: nothing was presented (RFC 6750)"#,
        ),
        step(
            "Call it with a token that is not ours",
            vec![format!("{curl} -i -H 'Authorization: Bearer not.our.token' {}", tracker("/api/issues"))],
            r#"401, WWW-Authenticate: Bearer …, error="invalid_token""#,
        ),
        Step {
            title: "Call it with a good token for another service",
            lines: vec![
                format!("OTHER=$({} | {extract})", ask(&facts.other)),
                format!("{curl} -i {} {}", bearer("OTHER"), tracker("/api/issues")),
            ],
            answer: format!(
                r#"403, WWW-Authenticate: Bearer …, error="insufficient_scope", scope="{upstream}""#
            ),
        },
        step(
            "Look at the keys that tokens are checked with",
            vec![format!("{curl} {}", hub("/api/rest/oauth2/keys"))],
            "200 and a JSON Web Key Set: public keys only",
        ),
        Step {
            title: "See what the tracker is told, and that a forged identity does not arrive",
            lines: vec![format!(
                "{curl} {} -H 'X-Forwarded-User: root' {}",
                bearer("TOKEN"),
                tracker("/api/whoami")
            )],
            answer: format!(
                "200 with X-Forwarded-Client: {client}, no X-Forwarded-User, and the claims of a token that is good \
                 for this one service"
            ),
        },
        step(
            "Ask the gateway how it is",
            vec![
                format!("curl -sS {}", quote(&format!("http://{}/readyz", facts.management))),
                format!(
                    "curl -sS {} | grep '^hubgate_'",
                    quote(&format!("http://{}/metrics", facts.management))
                ),
            ],
            "200 while it is ready; then its counters, among them the decisions that you just caused",
        ),
    ]
}

/// `text` as one word of a POSIX shell, quoted only when it must be.
fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/:=,@%+".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

// Blue and yellow are left out: each vanishes on one of the usual backgrounds.
const BOLD: &str = "1";
const DIM: &str = "2";
const COMMAND: &str = "36";
const GREEN: &str = "32";

/// The text so far.
struct Page {
    text: String,
    colour: bool,
    width: usize,
}

impl Page {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// A horizontal line with a title in it.
    fn rule(&mut self, title: &str) {
        let title = if title.is_empty() { String::new() } else { format!(" {title} ") };
        let dashes = "─".repeat((self.width - 2).saturating_sub(title.chars().count()));
        let text =
            format!("{}{}{}", self.paint(DIM, "──"), self.paint(BOLD, &title), self.paint(DIM, &dashes));
        self.line(&text);
    }

    /// A name and a value. Values are never wrapped, for they are copied.
    fn fact(&mut self, name: &str, value: &str) {
        let name = self.paint(DIM, &format!("{name:<11}"));
        let value = self.paint(BOLD, value);
        self.line(&format!(" {name} {value}"));
    }

    fn paragraph(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.width.saturating_sub(indent)) {
            self.line(&format!("{:indent$}{line}", ""));
        }
    }

    fn step(&mut self, number: usize, step: &Step) {
        let title: Vec<String> = wrap(step.title, self.width.saturating_sub(4));
        self.text.push('\n');
        for (place, part) in title.iter().enumerate() {
            let mark = if place == 0 { format!("{number:>2}. ") } else { " ".repeat(4) };
            let text = format!("{mark}{part}");
            let text = self.paint(BOLD, &text);
            self.line(&text);
        }
        for command in &step.lines {
            let command = self.paint(COMMAND, command);
            let _ = write!(self.text, "\n{command}\n");
        }
        self.text.push('\n');
        for (place, part) in wrap(&step.answer, self.width.saturating_sub(6)).iter().enumerate() {
            let mark = self.paint(GREEN, if place == 0 { "    → " } else { "      " });
            self.line(&format!("{mark}{part}"));
        }
    }
}

/// Breaks prose at blanks. A word that is longer than a line keeps its line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn facts() -> Facts {
        Facts {
            gateway_url: "https://localhost:8443".into(),
            hub_path: "/hub".into(),
            upstream_path: "/youtrack".into(),
            upstream: ServiceId::parse("youtrack").unwrap(),
            other: ServiceId::parse("teamcity").unwrap(),
            client: ServiceId::parse("demo-robot").unwrap(),
            client_secret: Secret::new("n0t-a-real-secret".into()),
            page_url: "https://localhost:8443/youtrack".into(),
            backend: "127.0.0.1:8080".parse().unwrap(),
            management: "127.0.0.1:9090".parse().unwrap(),
            certificate: "/tmp/hubgate-demo/cert.pem".into(),
            folder: "/tmp/hubgate-demo".into(),
        }
    }

    fn commands(text: &str) -> Vec<&str> {
        text.lines().filter(|l| l.starts_with("curl ") || l.contains("=$(curl ")).collect()
    }

    #[test]
    fn the_plain_text() {
        insta::assert_snapshot!(story(&facts(), Style::plain()), @r###"
        ── hubgate demo ────────────────────────────────────────────────────────────────

         A gateway in front of a sample issue tracker. Requests with a good token go
         through, all others do not.

         Gateway     https://localhost:8443
         Hub         https://localhost:8443/hub
         Tracker     https://localhost:8443/youtrack
         Its page    https://localhost:8443/youtrack
         Backend     http://127.0.0.1:8080/youtrack (not through the gate)
         Management  http://127.0.0.1:9090
         Folder      /tmp/hubgate-demo

         Service id  demo-robot
         Secret      n0t-a-real-secret

         Paste these lines into another terminal, in this order; some use the token of
         the first.

         1. Get a token: client credentials, Basic authentication

        TOKEN=$(curl -sS --cacert /tmp/hubgate-demo/cert.pem -u demo-robot:n0t-a-real-secret -d grant_type=client_credentials -d scope=youtrack https://localhost:8443/hub/api/rest/oauth2/token | sed -E 's/.*"access_token": *"([^"]+)".*/\1/'); echo "$TOKEN"

            → 200, and the access token, a signed JWT good for an hour, is in $TOKEN

         2. The same with id and secret in the form

        curl -sS --cacert /tmp/hubgate-demo/cert.pem -d grant_type=client_credentials -d client_id=demo-robot -d client_secret=n0t-a-real-secret -d scope=youtrack https://localhost:8443/hub/api/rest/oauth2/token

            → 200 {"access_token": "eyJ…", "token_type": "Bearer", "expires_in": …,
              "scope": …}

         3. Call the tracker with the token

        curl -sS --cacert /tmp/hubgate-demo/cert.pem -H "Authorization: Bearer $TOKEN" 'https://localhost:8443/youtrack/api/issues?fields=idReadable,summary'

            → 200 and the list of issues

         4. Call it without a token

        curl -sS --cacert /tmp/hubgate-demo/cert.pem -i https://localhost:8443/youtrack/api/issues

            → 401, WWW-Authenticate: Bearer realm="…" and no error: nothing was
              presented (RFC 6750)

         5. Call it with a token that is not ours

        curl -sS --cacert /tmp/hubgate-demo/cert.pem -i -H 'Authorization: Bearer not.our.token' https://localhost:8443/youtrack/api/issues

            → 401, WWW-Authenticate: Bearer …, error="invalid_token"

         6. Call it with a good token for another service

        OTHER=$(curl -sS --cacert /tmp/hubgate-demo/cert.pem -u demo-robot:n0t-a-real-secret -d grant_type=client_credentials -d scope=teamcity https://localhost:8443/hub/api/rest/oauth2/token | sed -E 's/.*"access_token": *"([^"]+)".*/\1/')

        curl -sS --cacert /tmp/hubgate-demo/cert.pem -i -H "Authorization: Bearer $OTHER" https://localhost:8443/youtrack/api/issues

            → 403, WWW-Authenticate: Bearer …, error="insufficient_scope",
              scope="youtrack"

         7. Look at the keys that tokens are checked with

        curl -sS --cacert /tmp/hubgate-demo/cert.pem https://localhost:8443/hub/api/rest/oauth2/keys

            → 200 and a JSON Web Key Set: public keys only

         8. See what the tracker is told, and that a forged identity does not arrive

        curl -sS --cacert /tmp/hubgate-demo/cert.pem -H "Authorization: Bearer $TOKEN" -H 'X-Forwarded-User: root' https://localhost:8443/youtrack/api/whoami

            → 200 with X-Forwarded-Client: demo-robot, no X-Forwarded-User, and the
              claims of a token that is good for this one service

         9. Ask the gateway how it is

        curl -sS http://127.0.0.1:9090/readyz

        curl -sS http://127.0.0.1:9090/metrics | grep '^hubgate_'

            → 200 while it is ready; then its counters, among them the decisions that
              you just caused

        ────────────────────────────────────────────────────────────────────────────────
         Ctrl-C ends the demonstration and removes its folder.
        "###);
    }

    #[test]
    fn prose_fits_and_commands_are_never_broken() {
        let expected: Vec<String> = steps(&facts()).into_iter().flat_map(|s| s.lines).collect();
        for width in [0, 40, 80, 120, usize::MAX] {
            let text = story(&facts(), Style { colour: false, width });
            assert_eq!(commands(&text), expected, "{width}");
            for line in text.lines().filter(|l| !expected.iter().any(|c| c == l)) {
                let address =
                    line.starts_with(' ') && line.split_whitespace().count() < 8 && line.contains("//");
                assert!(address || line.chars().count() <= width.clamp(40, 100), "{width}: {line}");
            }
        }
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let coloured = story(&facts(), Style { colour: true, width: 80 });
        let mut bare = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once("\x1b[") {
            bare.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        bare.push_str(rest);
        assert_eq!(bare, story(&facts(), Style::plain()));
        assert!(coloured.matches("\x1b[").count() > 20);
        assert!(!story(&facts(), Style::plain()).contains('\x1b'));
    }

    #[test]
    fn every_request_to_the_gateway_verifies_its_certificate() {
        let text = story(&facts(), Style::plain());
        assert_eq!(commands(&text).len(), 11);
        for command in commands(&text) {
            assert_eq!(command.contains("https://"), command.contains("--cacert "), "{command}");
            assert!(!command.contains(" -k") && !command.contains("--insecure"), "{command}");
        }
    }

    /// A shell, not our eyes, says which words a line has.
    #[test]
    fn a_shell_reads_the_words_that_were_meant() {
        let mut odd = facts();
        odd.certificate = "/tmp/it's a \"folder\" $HOME/cert.pem".into();
        odd.client_secret = Secret::new("a'b\"c $(id) `id` &|;%+é\\".into());
        let secret = odd.client_secret.expose().to_owned();
        let certificate = odd.certificate.display().to_string();
        let lines: Vec<String> = steps(&odd).into_iter().flat_map(|s| s.lines).collect();
        // `curl` becomes a function that prints its words, one a line, to where a pipe does not take them away.
        let run = |line: &str| {
            let script = format!("curl() {{ printf '%s\\n' \"$@\" >&2; }}\nTOKEN=t; OTHER=o\n{line}\n");
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let basic = run(&lines[0]);
        assert!(basic.contains(&certificate), "{basic:?}");
        assert!(basic.contains(&format!("demo-robot:{secret}")), "{basic:?}");
        let posted = run(&lines[1]);
        let sent = posted.iter().find(|w| w.starts_with("client_secret=")).unwrap();
        let read = form_urlencoded::parse(sent.as_bytes()).next().unwrap().1.into_owned();
        assert_eq!(read, secret);
        let call = run(&lines[2]);
        let expected = [
            "-sS",
            "--cacert",
            &certificate,
            "-H",
            "Authorization: Bearer t",
            "https://localhost:8443/youtrack/api/issues?fields=idReadable,summary",
        ];
        assert_eq!(call, expected);
    }

    #[test]
    fn the_token_is_cut_out_of_the_answer() {
        for answer in
            [r#"{"access_token":"a.b-c_d","token_type":"Bearer"}"#, r#"{"x":1,"access_token": "a.b-c_d"}"#]
        {
            let line = steps(&facts()).remove(0).lines.remove(0);
            let script = format!("curl() {{ echo '{answer}'; }}\n{line}\n");
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), "a.b-c_d\n");
        }
    }
}
