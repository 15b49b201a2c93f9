//! What there is to try: every flow, what a token opens, how it ends, and what is refused.
//!
//! Invariant: what a promise has between backticks is in the output of its lines, with `…` for anything; a status, three
//! digits, is that of an answer. The lines of later steps use the names that earlier ones have set, none else.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::Facts;

/// Steps that belong together.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) steps: Vec<Step>,
}

/// One thing to try.
pub(super) struct Step {
    pub(super) title: &'static str,
    pub(super) lines: Vec<String>,
    pub(super) promise: &'static str,
}

fn step<const N: usize>(title: &'static str, lines: [String; N], promise: &'static str) -> Step {
    Step { title, lines: lines.into(), promise }
}

const CURL: &str = r#"curl -sS --cacert "$CA""#;

/// The lines that give names to what the others use, and two helpers that cut a value out of an answer.
pub(super) fn names(facts: &Facts) -> Vec<String> {
    let hub = format!("{}{}", facts.gateway_url, facts.hub_path);
    let pair = |id: &str, secret: &str| format!("{id}:{secret}");
    let challenge = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, facts.verifier.as_bytes());
    let values = [
        ("CA", facts.certificate.display().to_string()),
        ("JAR", facts.folder.join("cookies").display().to_string()),
        ("HUB", format!("{hub}/api/rest/oauth2")),
        ("TRACKER", format!("{}{}", facts.gateway_url, facts.upstream_path)),
        ("ROBOT", pair(facts.robot.as_str(), facts.robot_secret.expose())),
        ("APP", pair(facts.app.as_str(), facts.app_secret.expose())),
        ("LOGIN", facts.login.clone()),
        ("PASSWORD", facts.password.expose().to_owned()),
        ("ADMIN", pair("admin", facts.admin_password.expose())),
        ("BACK", facts.app_address.clone()),
        ("VERIFIER", facts.verifier.clone()),
        ("CHALLENGE", URL_SAFE_NO_PAD.encode(challenge)),
    ];
    let helpers = [
        r#"field() { sed -E "s/.*\"$1\": *\"([^\"]+)\".*/\1/"; }"#,
        r#"parameter() { sed -E "s/.*[?&#]$1=([^&]*).*/\1/"; }"#,
    ];
    let values = values.iter().map(|(name, value)| format!("{name}={}", quote(value)));
    values.chain(helpers.map(str::to_owned)).collect()
}

pub(super) fn groups(facts: &Facts) -> Vec<Group> {
    vec![
        Group { title: "A program, for itself", steps: program(facts) },
        Group { title: "A person, through an application", steps: person(facts) },
        Group { title: "A token is asked about, and ends", steps: ending(facts) },
        Group { title: "The registry, by Hub's REST", steps: registry(facts) },
        Group { title: "What the gate refuses", steps: refused(facts) },
        Group { title: "Around it", steps: around(facts) },
    ]
}

/// A call of the tracker with the token in `variable`, with its status.
fn call(variable: &str) -> String {
    format!(r#"{CURL} -i -H "Authorization: Bearer ${variable}" "$TRACKER/api/users/me"; echo"#)
}

/// What the tracker is told by the gateway about a token's owner.
fn told(variable: &str) -> String {
    format!(r#"{CURL} -H "Authorization: Bearer ${variable}" "$TRACKER/api/whoami" | grep X-Forwarded"#)
}

fn program(facts: &Facts) -> Vec<Step> {
    let (robot, scope) = (&facts.robot, &facts.upstream);
    let ask = format!("-d grant_type=client_credentials -d scope={scope} \"$HUB/token\"");
    vec![
        step(
            "Get a token: client credentials",
            [format!(r#"TOKEN=$({CURL} -u "$ROBOT" {ask} | field access_token); echo "$TOKEN""#)],
            "`eyJ…`, a signed JWT that is good for an hour; $TOKEN has it",
        ),
        step(
            "The same with id and secret in the form",
            [format!(
                r#"{CURL} -d client_id={robot} --data-urlencode "client_secret=${{ROBOT#*:}}" {ask}; echo"#
            )],
            r#"`"access_token":"eyJ…"`, `"token_type":"Bearer"`, and for how long and for what it is good"#,
        ),
        step(
            "Call the tracker with it",
            [format!(
                r#"{CURL} -H "Authorization: Bearer $TOKEN" "$TRACKER/api/issues?fields=idReadable,summary""#
            )],
            r#"the issues: `"idReadable": "DEMO-…"`"#,
        ),
        step(
            "See what the tracker is told; an identity that the client invents does not arrive",
            [told("TOKEN").replace(" \"$TRACKER", " -H 'X-Forwarded-User: root' \"$TRACKER")],
            r#"`"X-Forwarded-Client": "demo-robot"`, and no X-Forwarded-User: a program is nobody"#,
        ),
    ]
}

fn person(facts: &Facts) -> Vec<Step> {
    let (app, scope) = (&facts.app, &facts.upstream);
    let password = r#"-d "username=$LOGIN" --data-urlencode "password=$PASSWORD""#;
    let request = format!("client_id={app}&redirect_uri=$BACK&state=xyz");
    let authorize = |query: String| {
        format!(
            r#"LOCATION=$({CURL} -b "$JAR" -o /dev/null -w '%{{redirect_url}}' "$HUB/auth?{query}"); echo "$LOCATION""#
        )
    };
    let take =
        r#"JANE=$(echo "$ANSWER" | field access_token) REFRESH=$(echo "$ANSWER" | field refresh_token)"#;
    let ask = |what: &str| format!(r#"ANSWER=$({CURL} -u "$APP" {what} "$HUB/token"); echo "$ANSWER""#);
    vec![
        step(
            "Sign in, as the login page's form does; a cookie jar stands in for the browser",
            [format!(r#"{CURL} -i -c "$JAR" {password} "$HUB/interactive/login""#)],
            "`303` and `set-cookie: __Host-hubgate=hgs_…`",
        ),
        step(
            "Authorization code with PKCE: ask for a code",
            [
                authorize(format!(
                    "response_type=code&{request}&scope={scope}+openid+profile&access_type=offline\
                     &code_challenge=$CHALLENGE&code_challenge_method=S256"
                )),
                r#"CODE=$(echo "$LOCATION" | parameter code)"#.to_owned(),
            ],
            "`http://127.0.0.1:…/callback?code=hgc_…&state=xyz`: where the application would receive it",
        ),
        step(
            "Exchange the code for tokens",
            [
                ask(
                    r#"-d grant_type=authorization_code -d "code=$CODE" -d "redirect_uri=$BACK" -d "code_verifier=$VERIFIER""#,
                ),
                take.to_owned(),
            ],
            r#"`"access_token":"eyJ…"`, `"refresh_token":"hgr_…"` because of access_type=offline, and `"id_token":"eyJ…"` because of openid. A second time: invalid_grant, and these tokens are dead"#,
        ),
        step(
            "Call the tracker as this person",
            [told("JANE")],
            r#"`"X-Forwarded-User": "…"`, `"X-Forwarded-Preferred-Username": "jane"`, `"X-Forwarded-Groups": "developers"`, by way of `"X-Forwarded-Client": "demo-app"`"#,
        ),
        step(
            "Ask who that is (OpenID Connect)",
            [format!(r#"{CURL} -H "Authorization: Bearer $JANE" "$HUB/userinfo"; echo"#)],
            r#"`"name":"Jane Doe"` and `"preferred_username":"jane"`"#,
        ),
        step(
            "Refresh",
            [
                ask(r#"-d grant_type=refresh_token -d "refresh_token=$REFRESH""#),
                take.to_owned(),
                told("JANE"),
            ],
            r#"a new pair, `"refresh_token":"hgr_…"`; it opens the same: `"X-Forwarded-Preferred-Username": "jane"`"#,
        ),
        step(
            "Implicit, for pages in a browser: the token comes in the fragment",
            [
                authorize(format!("response_type=token&{request}&scope={scope}")),
                r#"PAGE=$(echo "$LOCATION" | parameter access_token)"#.to_owned(),
                told("PAGE"),
            ],
            r#"`http://127.0.0.1:…/callback#access_token=eyJ…&state=xyz`, and `"X-Forwarded-Preferred-Username": "jane"`"#,
        ),
        step(
            "Password (resource owner): for scripts that have nothing else",
            [
                format!(
                    r#"SCRIPT=$({CURL} -u "$APP" -d grant_type=password {password} -d scope={scope} "$HUB/token" | field access_token)"#
                ),
                told("SCRIPT"),
            ],
            r#"`"X-Forwarded-Preferred-Username": "jane"`"#,
        ),
    ]
}

fn ending(facts: &Facts) -> Vec<Step> {
    let app = &facts.app;
    let ask = format!(r#"{CURL} -u "$APP" -d "token=$JANE" "$HUB/introspect"; echo"#);
    vec![
        step(
            "Ask whether a token is good (introspection)",
            [ask.clone()],
            r#"`"active":true`, `"username":"jane"`, its scope, its end"#,
        ),
        step(
            "Revoke it, and use it right after",
            [format!(r#"{CURL} -i -u "$APP" -d "token=$JANE" "$HUB/revoke""#), call("JANE"), ask],
            r#"`200`; then `401` with `error="invalid_token"`; then `"active":false`"#,
        ),
        step(
            "Sign out: what came of the session ends with it",
            [
                format!(
                    r#"{CURL} -i -b "$JAR" -c "$JAR" "$HUB/logout?client_id={app}&post_logout_redirect_uri=$BACK""#
                ),
                call("PAGE"),
            ],
            "`302` with `location: http://127.0.0.1:…/callback`, and `set-cookie: __Host-hubgate=;…`; then `401` for the \
             token of the implicit flow",
        ),
    ]
}

fn registry(facts: &Facts) -> Vec<Step> {
    let scope = &facts.upstream;
    let json = "-H 'Content-Type: application/json'";
    vec![
        step(
            "Register a service, as Hub's documentation does, and use it",
            [
                format!(
                    r#"ANSWER=$({CURL} -u "$ADMIN" {json} -d '{{"name": "My Service", "homeUrl": "https://my.example", "redirectUris": ["https://my.example/oauth"], "applicationName": "Mine", "vendor": "Me", "version": "1.0"}}' "${{HUB%/oauth2}}/services?fields=id,secret"); echo "$ANSWER""#
                ),
                r#"MINE=$(echo "$ANSWER" | field id):$(echo "$ANSWER" | field secret)"#.to_owned(),
                format!(
                    r#"{CURL} -u "$MINE" -d grant_type=client_credentials -d scope={scope} "$HUB/token"; echo"#
                ),
            ],
            r#"`"id":"…"`, `"secret":"…"`, shown this once; and `"access_token":"eyJ…"` with them, at once"#,
        ),
        step(
            "A permanent token for a script of this person",
            [
                format!(
                    r#"ANSWER=$({CURL} -u "$LOGIN:$PASSWORD" {json} -d '{{"name": "script", "scope": [{{"id": "{scope}"}}]}}' "${{HUB%/oauth2}}/users/me/permanenttokens?fields=id,token"); echo "$ANSWER""#
                ),
                r#"PERM=$(echo "$ANSWER" | field token) PERM_ID=$(echo "$ANSWER" | field id)"#.to_owned(),
                told("PERM"),
            ],
            r#"`"token":"perm:…"`, and `"X-Forwarded-Preferred-Username": "jane"`"#,
        ),
        step(
            "It is taken back, and dead",
            [
                format!(
                    r#"{CURL} -X DELETE -u "$LOGIN:$PASSWORD" "${{HUB%/oauth2}}/users/me/permanenttokens/$PERM_ID""#
                ),
                call("PERM"),
            ],
            r#"`401` with `error="invalid_token"`"#,
        ),
        step(
            "Remove the service: what it obtained is dead",
            [
                format!(r#"{CURL} -i -X DELETE -u "$ADMIN" "${{HUB%/oauth2}}/services/${{MINE%%:*}}"; echo"#),
                format!(
                    r#"{CURL} -u "$MINE" -d grant_type=client_credentials -d scope={scope} "$HUB/token"; echo"#
                ),
            ],
            r#"`200`, and `"error":"invalid_client"`"#,
        ),
        step(
            "Who is there, a page at a time; and who did what",
            [
                format!(
                    r#"{CURL} -u "$ADMIN" "${{HUB%/oauth2}}/users?query=nameStartsWith:jane&fields=login,name,groups(name)&orderBy=name"; echo"#
                ),
                format!(
                    r#"{CURL} -u "$ADMIN" "${{HUB%/oauth2}}/events?\$top=3&fields=type,targetPresentation,authorPresentation"; echo"#
                ),
            ],
            r#"`"login":"jane"…`, and `"type":"EventsPage"…` with the newest events of the audit log"#,
        ),
    ]
}

fn refused(facts: &Facts) -> Vec<Step> {
    let other = &facts.other;
    vec![
        step(
            "No token",
            [format!(r#"{CURL} -i "$TRACKER/api/issues"; echo"#)],
            r#"`401` and `www-authenticate: Bearer realm="…"` without an error: nothing was presented"#,
        ),
        step(
            "A token that is not ours",
            [format!(r#"{CURL} -i -H 'Authorization: Bearer not.our.token' "$TRACKER/api/issues"; echo"#)],
            r#"`401` and `www-authenticate: Bearer …error="invalid_token"`"#,
        ),
        step(
            "A good token that is for another service",
            [
                format!(
                    r#"OTHER=$({CURL} -u "$ROBOT" -d grant_type=client_credentials -d scope={other} "$HUB/token" | field access_token)"#
                ),
                call("OTHER"),
            ],
            r#"`403` and `www-authenticate: Bearer …error="insufficient_scope"…scope="youtrack"`"#,
        ),
        step(
            "A path that two servers could read in two ways",
            [format!(r#"{CURL} -i --path-as-is "$TRACKER/public/..%2fapi/issues"; echo"#)],
            r#"`400` and `"error":"invalid_request"…`"#,
        ),
    ]
}

fn around(facts: &Facts) -> Vec<Step> {
    let management = quote(&format!("http://{}", facts.management));
    vec![
        step(
            "What clients read: the server's metadata, and the keys that tokens are checked with",
            [
                format!(r#"{CURL} "${{HUB%/api/*}}/.well-known/openid-configuration"; echo"#),
                format!(r#"{CURL} "$HUB/keys"; echo"#),
            ],
            r#"`"authorization_endpoint":"https://…"`, and `"keys":[{…}]`: public keys only"#,
        ),
        step(
            "What its operator reads: whether it is ready, and its counters",
            [
                format!("curl -sS -i {management}/readyz; echo"),
                format!("curl -sS {management}/metrics | grep '^hubgate_decisions'"),
            ],
            "`200`, and `hubgate_decisions_total{…} …`: the decisions that you just caused",
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
