//! `hubgate token …`

use std::{io::Read as _, path::Path};

use clap::Subcommand;
use serde_json::json;

use super::{
    Registry,
    output::{self, Failure, say},
    with_registry,
};
use crate::{
    access::revocations::Revocations,
    app,
    base::time::Timestamp,
    crypto::keyring::Keyring,
    model::{
        registry::Registry as Services,
        revocation::{Revocation, RevocationTarget},
    },
    oauth::token::{
        claims::AccessClaims,
        verify::{TokenError, verify},
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Tell whether a token is good, whose it is and what for.
    Inspect {
        /// The token, or - to read it from standard input.
        token: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke an access token; a running gateway refuses it within a second.
    Revoke {
        /// The token, or - to read it from standard input.
        token: String,
    },
}

pub(super) fn run(file: &Path, command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Inspect { token, json } => inspect(file, token, *json),
        TokenCommand::Revoke { token } => revoke(file, token),
    }
}

fn read(token: &str) -> Result<String, Failure> {
    if token != "-" {
        return Ok(token.trim().to_owned());
    }
    let mut text = String::new();
    std::io::stdin().take(64 * 1024).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// The verdict on a token, as the gate would reach it now.
async fn judge(r: &Registry, token: &str) -> Result<Result<AccessClaims, TokenError>, Failure> {
    let now = r.clock.now();
    let sealing = app::sealing_key(&r.config.data_dir, r.random.as_ref())?;
    let keyring =
        Keyring::open(&r.store.list_keys().await?, &sealing).map_err(|e| Failure::Start(e.into()))?;
    let issuer = r.config.public_url.join(&r.config.hub.path);
    let revocations = Revocations::default();
    revocations.enter(&r.store.list_revocations(now).await?);
    Ok(verify(token.as_bytes(), &keyring, &issuer, now)
        .and_then(|claims| if revocations.hit(&claims) { Err(TokenError::Revoked) } else { Ok(claims) }))
}

fn inspect(file: &Path, token: &str, as_json: bool) -> Result<(), Failure> {
    let token = read(token)?;
    with_registry(file, async |r| {
        let verdict = judge(&r, &token).await?;
        if as_json {
            return output::json(&match &verdict {
                Ok(claims) => json!({"good": true, "claims": claims}),
                Err(reason) => json!({"good": false, "reason": reason.to_string()}),
            });
        }
        let claims = verdict.map_err(|reason| Failure::Plain(format!("not good: {reason}")))?;
        let services = Services::new(r.store.list_services().await?, "");
        let named = claims.aud.iter().map(|id| match services.by_id(id.as_str()) {
            Some(service) if service.name != id.as_str() => format!("{id} ({})", service.name),
            Some(_) => id.to_string(),
            None => format!("{id} (no longer registered)"),
        });
        let left = claims.expires().since(r.clock.now()).as_secs();
        say("good: signed by this gateway, not expired, not revoked")?;
        for (name, value) in [
            ("client", claims.client_id.to_string()),
            (
                "subject",
                if claims.is_service() { "the client itself".to_owned() } else { claims.sub.clone() },
            ),
            ("scope", claims.scope.clone()),
            ("services", named.collect::<Vec<_>>().join(", ")),
            ("issued", claims.issued().to_string()),
            ("expires", format!("{} (in {left} s)", claims.expires())),
            ("id", claims.jti.clone()),
        ] {
            say(&format!("{name:<10}{value}"))?;
        }
        Ok(())
    })
}

fn revoke(file: &Path, token: &str) -> Result<(), Failure> {
    let token = read(token)?;
    with_registry(file, async |r| {
        let claims = judge(&r, &token)
            .await?
            .map_err(|reason| Failure::Plain(format!("nothing to revoke: {reason}")))?;
        let id = claims.token_id().ok_or_else(|| Failure::Plain("the token has no id".to_owned()))?;
        let expires: Timestamp = claims.expires();
        let target = RevocationTarget::Token(id);
        r.store.revoke(&Revocation { target, revoked: r.clock.now(), expires }).await?;
        say(&format!("{id} is revoked."))
    })
}
