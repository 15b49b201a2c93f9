//! What the flows leave in the log: whose they were and how they ended, and nothing that opens anything (threat H13).

use std::time::Duration;

use super::{APP_SECRET, CB, PASSWORD, ask, configure};
use crate::support::{
    Answer, Gateway, Request, Upstream,
    browser::{AUTH, LOGIN, brought, form, hidden, own, parameter},
    client::Client,
    forge::base64,
    gateway::{PUBLIC_URL, TOKEN},
    process::{Serve, free_port},
};

/// A browser of a gateway in a process of its own.
struct Person {
    client: Client,
    cookies: Vec<String>,
}

impl Person {
    fn send(&mut self, mut request: Request) -> Answer {
        if let Some(cookie) = self.cookies.last() {
            request = request.header("Cookie", &format!("__Host-hubgate={cookie}"));
        }
        let answer = self.client.send(&request);
        for set in answer.all("set-cookie") {
            let value = set.split(';').next().unwrap().trim_start_matches("__Host-hubgate=");
            self.cookies.extend((!value.is_empty()).then(|| value.to_owned()));
        }
        answer
    }

    fn get(&mut self, target: &str) -> Answer {
        self.send(Request::get(target))
    }

    fn post(&mut self, target: &str, body: &str) -> Answer {
        self.send(Request::form(target, body).header("Origin", PUBLIC_URL))
    }

    fn sign_in(&mut self, query: &str, login: &str, password: &str) -> Answer {
        let body = form(&[("username", login), ("password", password)]);
        let answer = self.post(&format!("{LOGIN}?{query}"), &body);
        self.get(&own(&answer))
    }
}

#[test]
fn no_log_holds_what_a_flow_gives_out() {
    let upstream = Upstream::start();
    let port = free_port();
    let (config, folder) = Gateway::prepare(|setup| {
        configure(setup, &upstream);
        setup
            .set("listen", "https", &format!("[\"127.0.0.1:{port}\"]"))
            .set("log", "format", "\"json\"")
            .set("log", "level", "\"trace\"")
            .set("log", "access", "true");
    });
    let mut serve = Serve::start(&config, port);
    let mut jane = Person { client: serve.client(), cookies: Vec::new() };
    let mut secrets: Vec<String> =
        [PASSWORD, APP_SECRET, "a wrong password", "typed in the wrong field", "new-one-time-thing"]
            .map(str::to_owned)
            .to_vec();
    secrets.push(base64(format!("app:{APP_SECRET}")));
    let everything = "&scope=alpha+openid+email+offline_access&nonce=n";
    // Signing in: wrong, in the wrong field, right, and as somebody else.
    for (login, password) in
        [("jane", "a wrong password"), ("typed in the wrong field", PASSWORD), (PASSWORD, "jane")]
    {
        let body = form(&[("username", login), ("password", password)]);
        let answer = jane.post(&format!("{LOGIN}?{}", ask("app", "")), &body);
        let location = own(&answer);
        assert!(!secrets.iter().any(|secret| location.contains(&form(&[("", secret)])[1..])), "{location}");
    }
    let answer = jane.sign_in(&ask("app", everything), "jane", PASSWORD);
    let code = parameter(&brought(&answer, CB), "code").to_owned();
    // A code is exchanged wrongly, rightly and once more; what came of it is used, refreshed, asked about and ended.
    let token = |body: &[(&str, &str)]| Request::form(TOKEN, &form(body)).basic("app", APP_SECRET);
    let exchange = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CB)];
    let verifier = "a-verifier-that-belongs-to-another-code-0123456789";
    jane.client.send(&token(&[&exchange[..], &[("code_verifier", verifier)]].concat()));
    let exchanged = jane.client.send(&token(&exchange));
    assert_eq!(exchanged.status, 200, "{}", exchanged.text());
    let json = exchanged.json();
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    let (access, refresh, id_token) = (text("access_token"), text("refresh_token"), text("id_token"));
    assert_eq!(jane.client.send(&Request::get("/api/x").bearer(&access)).status, 200);
    jane.client.send(&Request::get("/hub/api/rest/oauth2/userinfo").bearer(&access));
    let refreshed =
        jane.client.send(&token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)])).json();
    secrets
        .extend(["access_token", "refresh_token"].map(|name| refreshed[name].as_str().unwrap().to_owned()));
    jane.client.send(&token(&exchange));
    for misplaced in [&code, &refresh, &id_token] {
        jane.client.send(&Request::get("/api/x").bearer(misplaced));
        jane.client.send(&token(&[("grant_type", "refresh_token"), ("refresh_token", misplaced)]));
        for endpoint in ["introspect", "revoke"] {
            let target = format!("/hub/api/rest/oauth2/{endpoint}");
            jane.client
                .send(&Request::form(&target, &form(&[("token", misplaced)])).basic("app", APP_SECRET));
            jane.client.send(
                &Request::form(&target, &form(&[("token", misplaced)])).basic("app", "a wrong password"),
            );
        }
    }
    secrets.extend([code, access, refresh, id_token, verifier.to_owned()]);
    // The password grant, right and wrong.
    for password in [PASSWORD, "a wrong password"] {
        let answer = jane.client.send(&token(&[
            ("grant_type", "password"),
            ("username", "jane"),
            ("password", password),
            ("scope", "alpha"),
            ("access_type", "offline"),
        ]));
        let json = answer.json();
        let given = ["access_token", "refresh_token"].map(|name| json[name].as_str().map(str::to_owned));
        secrets.extend(given.into_iter().flatten());
    }
    // Tokens in a location, and in a page.
    let implicit = ask("app", everything).replace("response_type=code", "response_type=id_token+token");
    let given = brought(&jane.get(&format!("{AUTH}?{implicit}")), CB);
    secrets.extend(["access_token", "id_token"].map(|name| parameter(&given, name).to_owned()));
    let page = jane.get(&format!("{AUTH}?{}&response_mode=form_post", ask("app", ""))).text();
    secrets.push(hidden(&page, "code"));
    // Consent.
    let to_consent = own(&jane.get(&format!("{AUTH}?{}", ask("asking", "&scope=alpha"))));
    let ticket = hidden(&jane.get(&to_consent).text(), "ticket");
    jane.post(&to_consent, &form(&[("ticket", "a wrong password"), ("decision", "allow")]));
    let allowed = jane.post(&to_consent, &form(&[("ticket", &ticket), ("decision", "allow")]));
    let code = brought(&jane.get(&own(&allowed)), CB);
    secrets.extend([ticket, parameter(&code, "code").to_owned()]);
    // A password for one sign-in, and the one in its place.
    let mut ann = Person { client: serve.client(), cookies: Vec::new() };
    let add =
        ["user", "add", "ann", "--name", "Ann", "--generate", "--json", "--config", config.to_str().unwrap()];
    let made = crate::support::process::run(&add, folder.path());
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let once = made["password"].as_str().unwrap().to_owned();
    let to_password = own(&ann.sign_in(&ask("app", ""), "ann", &once));
    for again in ["a wrong password", "new-one-time-thing"] {
        ann.post(&to_password, &form(&[("newPassword", "new-one-time-thing"), ("newPasswordAgain", again)]));
    }
    secrets.push(once);
    jane.get("/hub/api/rest/oauth2/logout?client_id=app");
    serve.signal("TERM");
    assert_eq!(serve.exit_within(Duration::from_secs(20)), Some(0), "{}", serve.log());

    assert!(
        jane.cookies.len() == 1 && ann.cookies.len() == 2,
        "{} and {}",
        jane.cookies.len(),
        ann.cookies.len()
    );
    secrets.extend(jane.cookies);
    secrets.extend(ann.cookies);
    let signatures: Vec<_> =
        secrets.iter().filter_map(|token| Some(token.rsplit_once('.')?.1.to_owned())).collect();
    assert!(signatures.len() >= 6, "the tokens that were given out");
    secrets.extend(signatures);
    let log = serve.log();
    for secret in &secrets {
        let encoded = &form(&[("", secret)])[1..];
        let line = log.lines().find(|line| line.contains(secret.as_str()) || line.contains(encoded));
        assert_eq!(line, None, "{secret} is in the log");
    }
    for event in ["signed out", "consent given", "sign-in", "used twice"] {
        assert!(log.contains(event), "{event} is not in the log");
    }
}
