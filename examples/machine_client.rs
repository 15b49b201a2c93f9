//! A machine client: obtains a token with client credentials (RFC 6749 section 4.4) and calls a service behind the gateway.
//!
//! With `hubgate demo` running in another terminal, and the secret that it printed:
//!
//! ```sh
//! cargo run --example machine_client -- --secret SECRET --ca CERTIFICATE
//! ```
//!
//! | option | default | what |
//! | --- | --- | --- |
//! | `--gateway` | `https://localhost:8443` | the gateway's address |
//! | `--id` | `demo-robot` | the service id of this client |
//! | `--secret` | | its secret; or `HUBGATE_CLIENT_SECRET`, so that it does not show in the process list |
//! | `--ca` | the system's | a PEM file with the certificate to trust |
//! | `--scope` | `youtrack` | the service to be called |
//! | `--path` | `/youtrack/api/users/me` | what to call there |

use std::{env, error::Error, fs, process::ExitCode};

use oauth2::{
    ClientId, ClientSecret, HttpRequest, HttpResponse, Scope, TokenResponse as _, TokenUrl,
    basic::BasicClient,
};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "an example talks to the person who runs it")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}{}", causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Whether the call was answered with success.
#[expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
async fn run() -> Result<bool, Box<dyn Error>> {
    let options = Options::read(env::args().skip(1))?;

    // reqwest is built here without a cryptography provider of its own choosing, so the program names one.
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.install_default().map_err(|_| "a provider is installed already")?;
    let mut http = reqwest::Client::builder()
        // A token endpoint never redirects; following one would carry the secret elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .https_only(true)
        .timeout(std::time::Duration::from_secs(10));
    if let Some(file) = &options.ca {
        let pem = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        http = http.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
    }
    let http = http.build()?;

    let token_url = format!("{}/hub/api/rest/oauth2/token", options.gateway);
    let token = BasicClient::new(ClientId::new(options.id))
        .set_client_secret(ClientSecret::new(options.secret))
        .set_token_uri(TokenUrl::new(token_url)?)
        .exchange_client_credentials()
        .add_scope(Scope::new(options.scope))
        .request_async(&|request| send(&http, request))
        .await
        .map_err(|error| format!("no token: {error}{}", causes(&error)))?;
    let scopes: Vec<&str> = token.scopes().into_iter().flatten().map(|scope| scope.as_str()).collect();
    let seconds = token.expires_in().unwrap_or_default().as_secs();
    println!("token for {}, good for {seconds} s", scopes.join(" "));

    let answer = http
        .get(format!("{}{}", options.gateway, options.path))
        .bearer_auth(token.access_token().secret())
        .send()
        .await?;
    println!("{} {}", answer.status(), answer.url());
    let success = answer.status().is_success();
    println!("{}", answer.text().await?.trim_end());
    Ok(success)
}

/// Carries a request of `oauth2` with a `reqwest` of our own version.
async fn send(http: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let response = http.execute(request.try_into()?).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut answer = HttpResponse::new(response.bytes().await?.to_vec());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

/// The chain of causes: "request failed" alone helps nobody.
fn causes(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

struct Options {
    gateway: String,
    id: String,
    secret: String,
    ca: Option<String>,
    scope: String,
    path: String,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            gateway: "https://localhost:8443".into(),
            id: "demo-robot".into(),
            secret: secret_of_environment(),
            ca: None,
            scope: "youtrack".into(),
            path: "/youtrack/api/users/me".into(),
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
            match name.as_str() {
                "--gateway" => value()?.trim_end_matches('/').clone_into(&mut options.gateway),
                "--id" => options.id = value()?,
                "--secret" => options.secret = value()?,
                "--ca" => options.ca = Some(value()?),
                "--scope" => options.scope = value()?,
                "--path" => options.path = value()?,
                _ => {
                    return Err(format!(
                        "{name:?} is not an option; they are listed at the top of this file"
                    ));
                }
            }
        }
        if options.secret.is_empty() {
            return Err("no secret: give --secret, or set HUBGATE_CLIENT_SECRET".into());
        }
        Ok(options)
    }
}

#[expect(clippy::disallowed_methods, reason = "the ban is for the gateway; this is a client's own program")]
fn secret_of_environment() -> String {
    env::var("HUBGATE_CLIENT_SECRET").unwrap_or_default()
}
