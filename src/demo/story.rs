//! What `hubgate demo` prints: the addresses, the credentials, and lines to paste with what each will answer.
//!
//! Invariant: a line to be pasted is unbroken and at the left edge, safe for a POSIX shell whatever the facts contain, and
//! verifies TLS against the demonstration's own certificate. Values stand in the first block alone; the other lines use
//! their names.

mod page;
mod steps;

use std::{net::SocketAddr, path::PathBuf};

use self::page::Page;
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
    pub robot: ServiceId,
    /// Its secret.
    pub robot_secret: Secret,
    /// The application through which people come.
    pub app: ServiceId,
    /// Its secret.
    pub app_secret: Secret,
    /// Its registered address, where codes and tokens go.
    pub app_address: String,
    /// What the sample person types to sign in.
    pub login: String,
    /// And the password.
    pub password: Secret,
    /// The password of `admin`, who administers.
    pub admin_password: Secret,
    /// A PKCE code verifier (RFC 7636 section 4.1).
    pub verifier: String,
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
    let mut out = Page::new(style);
    header(&mut out, facts);
    out.heading("Names that the lines below use");
    out.block(&steps::names(facts));
    let mut number = 0;
    for group in steps::groups(facts) {
        out.heading(group.title);
        for step in &group.steps {
            number += 1;
            out.step(number, step);
        }
    }
    out.text.push('\n');
    out.rule("");
    out.paragraph(1, "Ctrl-C ends the demonstration and removes its folder.");
    out.text
}

fn header(out: &mut Page, facts: &Facts) {
    let hub = format!("{}{}", facts.gateway_url, facts.hub_path);
    let tracker = format!("{}{}", facts.gateway_url, facts.upstream_path);
    out.text.push('\n');
    out.rule("hubgate demo");
    out.text.push('\n');
    out.paragraph(
        1,
        "A gateway in front of a sample issue tracker. Requests with a good token go through, all others do not.",
    );
    out.text.push('\n');
    out.paragraph(
        1,
        "To open in a browser, which will warn of the certificate: the gateway has made it itself.",
    );
    out.text.push('\n');
    out.fact("Tracker", &tracker);
    out.fact("Client", &format!("{tracker}/client (implicit flow)"));
    out.fact("Account", &format!("{hub}/account"));
    out.fact("Person", &format!("{}, password {}", facts.login, facts.password.expose()));
    out.fact("Console", &format!("{hub}/admin"));
    out.fact("Admin", &format!("admin, password {}", facts.admin_password.expose()));
    out.text.push('\n');
    out.paragraph(1, "For programs, as in examples/:");
    out.text.push('\n');
    out.fact("Robot", &format!("{}, secret {}", facts.robot, facts.robot_secret.expose()));
    out.fact("App", &format!("{}, secret {}", facts.app, facts.app_secret.expose()));
    out.fact("Certificate", &facts.certificate.display().to_string());
    out.fact("Backend", &format!("http://{}{} (not through the gate)", facts.backend, facts.upstream_path));
    out.fact("Management", &format!("http://{}", facts.management));
    out.fact("Settings", &facts.folder.join("gateway.toml").display().to_string());
    out.text.push('\n');
    out.paragraph(
        1,
        "Paste the lines below into another terminal, in this order: some use what an earlier one has obtained. What \
         stands between backticks is in the answer.",
    );
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
            other: ServiceId::hub(),
            robot: ServiceId::parse("demo-robot").unwrap(),
            robot_secret: Secret::new("n0t-a-real-secret".into()),
            app: ServiceId::parse("demo-app").unwrap(),
            app_secret: Secret::new("n0t-a-real-one-either".into()),
            app_address: "http://127.0.0.1:5050/callback".into(),
            login: "jane".into(),
            password: Secret::new("n0ta-real0-passw-ord00".into()),
            admin_password: Secret::new("n0ta-real0-passw-ord00".into()),
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into(),
            backend: "127.0.0.1:8080".parse().unwrap(),
            management: "127.0.0.1:9090".parse().unwrap(),
            certificate: "/tmp/hubgate-demo/cert.pem".into(),
            folder: "/tmp/hubgate-demo".into(),
        }
    }

    fn lines(facts: &Facts) -> Vec<String> {
        let groups = steps::groups(facts);
        let pasted = groups.into_iter().flat_map(|group| group.steps).flat_map(|step| step.lines);
        steps::names(facts).into_iter().chain(pasted).collect()
    }

    #[test]
    fn the_plain_text() {
        let text = story(&facts(), Style::plain());
        let (beginning, _) = text.split_once(" 3. ").unwrap();
        insta::assert_snapshot!(beginning, @r###"

        ── hubgate demo ────────────────────────────────────────────────────────────────

         A gateway in front of a sample issue tracker. Requests with a good token go
         through, all others do not.

         To open in a browser, which will warn of the certificate: the gateway has made
         it itself.

         Tracker     https://localhost:8443/youtrack
         Client      https://localhost:8443/youtrack/client (implicit flow)
         Account     https://localhost:8443/hub/account
         Person      jane, password n0ta-real0-passw-ord00
         Console     https://localhost:8443/hub/admin
         Admin       admin, password n0ta-real0-passw-ord00

         For programs, as in examples/:

         Robot       demo-robot, secret n0t-a-real-secret
         App         demo-app, secret n0t-a-real-one-either
         Certificate /tmp/hubgate-demo/cert.pem
         Backend     http://127.0.0.1:8080/youtrack (not through the gate)
         Management  http://127.0.0.1:9090
         Settings    /tmp/hubgate-demo/gateway.toml

         Paste the lines below into another terminal, in this order: some use what an
         earlier one has obtained. What stands between backticks is in the answer.

        ── Names that the lines below use ──────────────────────────────────────────────

        CA=/tmp/hubgate-demo/cert.pem
        JAR=/tmp/hubgate-demo/cookies
        HUB=https://localhost:8443/hub/api/rest/oauth2
        TRACKER=https://localhost:8443/youtrack
        ROBOT=demo-robot:n0t-a-real-secret
        APP=demo-app:n0t-a-real-one-either
        LOGIN=jane
        PASSWORD=n0ta-real0-passw-ord00
        ADMIN=admin:n0ta-real0-passw-ord00
        BACK=http://127.0.0.1:5050/callback
        VERIFIER=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
        CHALLENGE=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM
        field() { sed -E "s/.*\"$1\": *\"([^\"]+)\".*/\1/"; }
        parameter() { sed -E "s/.*[?&#]$1=([^&]*).*/\1/"; }

        ── A program, for itself ───────────────────────────────────────────────────────

          1. Get a token: client credentials

        TOKEN=$(curl -sS --cacert "$CA" -u "$ROBOT" -d grant_type=client_credentials -d scope=youtrack "$HUB/token" | field access_token); echo "$TOKEN"

            → `eyJ…`, a signed JWT that is good for an hour; $TOKEN has it

          2. The same with id and secret in the form

        curl -sS --cacert "$CA" -d client_id=demo-robot --data-urlencode "client_secret=${ROBOT#*:}" -d grant_type=client_credentials -d scope=youtrack "$HUB/token"; echo

            → `"access_token":"eyJ…"`, `"token_type":"Bearer"`, and for how long and for
              what it is good
        "###);
    }

    #[test]
    fn prose_fits_and_commands_are_never_broken() {
        let expected = lines(&facts());
        for width in [0, 40, 80, 120, usize::MAX] {
            let text = story(&facts(), Style { colour: false, width });
            let edge = |line: &&str| !line.is_empty() && !line.starts_with([' ', '─']);
            assert_eq!(text.lines().filter(edge).collect::<Vec<_>>(), expected, "{width}");
            for line in text.lines().filter(|line| line.is_empty() || line.starts_with([' ', '─'])) {
                // What is copied is never wrapped: a fact, or a word that is longer than a line.
                let fact = line.starts_with(' ') && !line.starts_with("  ") && line.get(12..13) == Some(" ");
                let word = line.split('`').step_by(2).flat_map(str::split_whitespace).count() < 3;
                assert!(fact || word || line.chars().count() <= width.clamp(40, 100), "{width}: {line}");
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
        let lines = lines(&facts());
        let calls: Vec<&str> = lines.iter().flat_map(|line| line.split("curl ").skip(1)).collect();
        assert!(calls.len() > 25, "{calls:?}");
        for call in calls {
            let plain = call.contains("http://127.0.0.1:9090");
            assert_eq!(call.starts_with(r#"-sS --cacert "$CA" "#), !plain, "{call}");
            assert!(!call.contains(" -k") && !call.contains("--insecure"), "{call}");
        }
    }

    /// A shell, not our eyes, says which words a line has.
    #[test]
    fn a_shell_reads_the_words_that_were_meant() {
        let mut odd = facts();
        let text = "a'b\"c $(id) `id` &|;%+é\\";
        odd.certificate = "/tmp/it's a \"folder\" $HOME/cert.pem".into();
        (odd.robot_secret, odd.password) = (Secret::new(text.into()), Secret::new(text.into()));
        let certificate = odd.certificate.display().to_string();
        let names = steps::names(&odd).join("\n");
        let pasted: Vec<String> = lines(&odd).split_off(steps::names(&odd).len());
        // `curl` becomes a function that prints its words, one a line, to where a pipe does not take them away.
        let run = |line: &str| {
            let script = format!("{names}\ncurl() {{ printf '%s\\n' \"$@\" >&2; }}\nTOKEN=t\n{line}\n");
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            String::from_utf8(output.stderr).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let basic = run(&pasted[0]);
        assert!(basic.contains(&certificate) && basic.contains(&format!("demo-robot:{text}")), "{basic:?}");
        let form = run(&pasted[1]);
        assert!(form.contains(&format!("client_secret={text}")), "{form:?}");
        let expected = [
            "-sS",
            "--cacert",
            &certificate,
            "-H",
            "Authorization: Bearer t",
            "https://localhost:8443/youtrack/api/issues?fields=idReadable,summary",
        ];
        assert_eq!(run(&pasted[2]), expected);
        let login = run(pasted.iter().find(|line| line.contains("/interactive/login")).unwrap());
        assert!(login.contains(&format!("password={text}")), "{login:?}");
    }

    #[test]
    fn values_are_cut_out_of_answers() {
        let names = steps::names(&facts()).join("\n");
        let cut = |answer: &str, helper: &str| {
            let script = format!("{names}\necho '{answer}' | {helper}");
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        for answer in
            [r#"{"access_token":"a.b-c_d","token_type":"Bearer"}"#, r#"{"x":1,"access_token": "a.b-c_d"}"#]
        {
            assert_eq!(cut(answer, "field access_token"), "a.b-c_d\n");
        }
        assert_eq!(cut("http://a/?state=x&code=c&iss=y", "parameter code"), "c\n");
        assert_eq!(cut("http://a/#access_token=t&state=x", "parameter access_token"), "t\n");
    }
}
