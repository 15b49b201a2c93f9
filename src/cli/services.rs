//! `hubgate service …`

use std::{path::Path, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    duration,
    output::{self, Failure, say, table, yes},
    with_registry, with_registry_to_read,
};
use crate::{
    base::id::ServiceId,
    model::{
        flow::{Flow, Flows},
        service::{Profile, Service, Trust},
    },
    registry::{
        profile::ProfileChange,
        secrets,
        services::{self, Change, NewService},
    },
    store::StoreError,
};

#[derive(Debug, Subcommand)]
pub(super) enum ServiceCommand {
    /// Register a service; prints its id and, once, its secret.
    Add(AddArgs),
    /// List all services.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one service.
    Show {
        /// Its id.
        id: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a service that the configuration file does not declare.
    Update(Box<UpdateArgs>),
    /// Make a new secret and print it, once; the old one stays valid for a while.
    RotateSecret {
        /// The service's id.
        id: String,
        /// How long the old secret stays valid, such as 1h; default: oauth.secret_grace.
        #[arg(long, value_parser = duration)]
        grace: Option<Duration>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a service; every token that it obtained is dead at once.
    Remove {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Its name, unique; clients may use it as a scope entry.
    name: String,
    /// Its id; default: a random one.
    #[arg(long)]
    id: Option<String>,
    /// Where people find it.
    #[arg(long, value_name = "URL")]
    home_url: Option<String>,
    /// An address that may receive an authorization response. May be repeated.
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// It has no secret (an application in a browser or on a phone).
    #[arg(long)]
    public: bool,
    /// It may not obtain tokens for itself (client credentials).
    #[arg(long)]
    untrusted: bool,
    /// The flows that it may use; default: all.
    #[arg(long, value_delimiter = ',', value_name = "FLOWS")]
    flows: Option<Vec<String>>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// The service's id.
    id: String,
    /// Its name, unique; clients may use it as a scope entry.
    #[arg(long)]
    name: Option<String>,
    /// Where people find it.
    #[arg(long, value_name = "URL", conflicts_with = "no_home_url")]
    home_url: Option<String>,
    /// Forget where people find it.
    #[arg(long)]
    no_home_url: bool,
    /// A further address that may receive an authorization response. May be repeated.
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// The given redirect URIs stand in place of all that it has.
    #[arg(long, requires = "redirect_uris")]
    replace_redirect_uris: bool,
    /// A redirect URI that is one no longer. May be repeated.
    #[arg(long, value_name = "URI")]
    remove_redirect_uri: Vec<String>,
    /// Whether it may obtain tokens for itself (client credentials); given alone, people are asked for consent when it may not.
    #[arg(long, value_name = "true|false")]
    trusted: Option<bool>,
    /// Whether people are asked before it obtains a token for them.
    #[arg(long, value_name = "true|false")]
    consent_required: Option<bool>,
    /// Whether it is public; one that becomes so loses its secrets.
    #[arg(long, value_name = "true|false")]
    public: Option<bool>,
    /// Whether PKCE is required although it has a secret.
    #[arg(long, value_name = "true|false")]
    pkce_required: Option<bool>,
    /// Whether each refresh replaces the refresh token.
    #[arg(long, value_name = "true|false")]
    rotate: Option<bool>,
    /// The flows that it may use, in place of those now.
    #[arg(long, value_delimiter = ',', value_name = "FLOWS")]
    flows: Option<Vec<String>>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(file: &Path, command: ServiceCommand) -> Result<(), Failure> {
    match command {
        ServiceCommand::Add(args) => add(file, args),
        ServiceCommand::List { json } => list(file, json),
        ServiceCommand::Show { id, json } => show(file, &id, json),
        ServiceCommand::Update(args) => update(file, *args),
        ServiceCommand::RotateSecret { id, grace, json } => rotate(file, &id, grace, json),
        ServiceCommand::Remove { id } => remove(file, &id),
    }
}

fn add(file: &Path, args: AddArgs) -> Result<(), Failure> {
    let id = args.id.as_deref().map(ServiceId::parse).transpose()?;
    let mut trust = Trust { public: args.public, trusted: !args.untrusted, ..Trust::default() };
    if let Some(names) = &args.flows {
        trust.flows = flows(names)?;
    }
    let profile =
        Profile { home_url: args.home_url, redirect_uris: args.redirect_uris, ..Profile::default() };
    let new = NewService { id, name: args.name, trust, profile, secret: None };
    with_registry(file, async |r| {
        let (service, secret) =
            services::register(r.store.as_ref(), new, r.clock.as_ref(), r.random.as_ref()).await?;
        let secret = secret.as_ref().map(super::super::base::secret::Secret::expose);
        if args.json {
            return output::json(&json!({"id": service.id, "name": service.name, "secret": secret}));
        }
        say(&format!("id      {}", service.id))?;
        if let Some(secret) = secret {
            say(&format!("secret  {secret}"))?;
            output::remark("Keep the secret: it is not shown again.");
        }
        Ok(())
    })
}

fn flows(names: &[String]) -> Result<Flows, Failure> {
    let flow = |name: &String| {
        let all = Flow::ALL.map(Flow::name).join(", ");
        Flow::parse(name).ok_or_else(|| Failure::Plain(format!("{name:?} is no flow; there are: {all}")))
    };
    names.iter().map(flow).collect()
}

fn update(file: &Path, args: UpdateArgs) -> Result<(), Failure> {
    let id = ServiceId::parse(&args.id)?;
    let (all, further) = if args.replace_redirect_uris {
        (Some(args.redirect_uris), Vec::new())
    } else {
        (None, args.redirect_uris)
    };
    let change = Change {
        name: args.name,
        profile: ProfileChange {
            home_url: if args.no_home_url { Some(None) } else { args.home_url.map(Some) },
            ..ProfileChange::default()
        },
        redirect_uris: all,
        add_redirect_uris: further,
        remove_redirect_uris: args.remove_redirect_uri,
        trusted: args.trusted,
        consent_required: args.consent_required,
        public: args.public,
        pkce_required: args.pkce_required,
        rotate_refresh_tokens: args.rotate,
        flows: args.flows.as_deref().map(flows).transpose()?,
    };
    with_registry(file, async |r| {
        let service = services::change(r.store.as_ref(), &id, change, r.clock.as_ref()).await?;
        if args.json {
            return output::json(&as_json(&service));
        }
        say(&format!("{id} is changed."))?;
        if !service.trust.public && service.secrets.is_empty() {
            output::remark(&format!("It has no secret: `hubgate service rotate-secret {id}` makes one."));
        }
        Ok(())
    })
}

fn list(file: &Path, json: bool) -> Result<(), Failure> {
    with_registry_to_read(file, async |r| {
        let services = r.store.list_services().await?;
        if json {
            return output::json(&services.iter().map(as_json).collect::<Vec<_>>());
        }
        let row = |s: &Service| {
            vec![
                s.id.as_str().to_owned(),
                s.name.clone(),
                yes(s.trust.trusted),
                if s.trust.public { "public" } else { "secret" }.to_owned(),
                yes(s.declared),
                s.profile.home_url.clone().unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = services.iter().map(row).collect();
        let heading = ["ID", "NAME", "TRUSTED", "KIND", "DECLARED", "HOME"];
        table(&heading, &rows, "There are no services yet. `hubgate service add NAME` registers one.")
    })
}

fn show(file: &Path, id: &str, json: bool) -> Result<(), Failure> {
    let id = ServiceId::parse(id)?;
    with_registry_to_read(file, async |r| {
        let service = r.store.find_service(&id).await?.ok_or(StoreError::NotFound { what: "service" })?;
        let rejected = r.store.list_rejected_redirects(&id).await?;
        if json {
            let rejected: Vec<Value> = rejected
                .iter()
                .map(|r| json!({"redirectURI": r.uri, "triedFrom": r.tried_from, "triedAt": r.tried_at.millis()}))
                .collect();
            let mut shown = as_json(&service);
            if let Some(members) = shown.as_object_mut() {
                members.insert("untrustedRedirectUris".to_owned(), rejected.into());
            }
            return output::json(&shown);
        }
        let rejected: Vec<String> =
            rejected.iter().map(|r| format!("{} (from {}, {})", r.uri, r.tried_from, r.tried_at)).collect();
        let flows: Vec<&str> = service.trust.flows.iter().map(Flow::name).collect();
        let now = r.clock.now();
        let secrets: Vec<String> = service
            .secrets
            .iter()
            .filter(|secret| secret.is_live(now))
            .map(|secret| match secret.expires {
                None => format!("current, since {}", secret.created),
                Some(end) => format!("the one before, until {end}"),
            })
            .collect();
        let fields = [
            ("id", service.id.as_str().to_owned()),
            ("name", service.name.clone()),
            ("home", service.profile.home_url.clone().unwrap_or_default()),
            ("redirect URIs", service.profile.redirect_uris.join("\n")),
            ("asked in vain for", rejected.join("\n")),
            ("trusted", yes(service.trust.trusted)),
            ("asks for consent", yes(service.trust.consent_required)),
            ("public", yes(service.trust.public)),
            ("requires PKCE", yes(service.trust.public || service.trust.pkce_required)),
            ("rotates refresh", yes(service.trust.rotate_refresh_tokens)),
            ("flows", flows.join(", ")),
            ("secret", if secrets.is_empty() { "none".to_owned() } else { secrets.join("\n") }),
            ("declared in file", yes(service.declared)),
            ("created", service.created.to_string()),
            ("changed", service.updated.to_string()),
        ];
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            for (at, line) in value.lines().enumerate() {
                say(&format!("{:<18}{line}", if at == 0 { name } else { "" }))?;
            }
        }
        Ok(())
    })
}

fn rotate(file: &Path, id: &str, grace: Option<Duration>, json: bool) -> Result<(), Failure> {
    let id = ServiceId::parse(id)?;
    with_registry(file, async |r| {
        let grace = grace.unwrap_or(r.config.oauth.secret_grace);
        if r.config.services.iter().any(|service| service.id == id && service.secret.is_some()) {
            return Err(Failure::Plain(format!(
                "the configuration file gives the secret of {id}; change it there"
            )));
        }
        let secret =
            secrets::rotate(r.store.as_ref(), &id, grace, r.clock.as_ref(), r.random.as_ref()).await?;
        if json {
            return output::json(&json!({"id": id, "secret": secret.expose()}));
        }
        say(&format!("secret  {}", secret.expose()))?;
        output::remark(
            "Keep the secret: it is not shown again. An old one stays valid for the grace period.",
        );
        Ok(())
    })
}

fn remove(file: &Path, id: &str) -> Result<(), Failure> {
    let id = ServiceId::parse(id)?;
    with_registry(file, async |r| {
        services::remove(r.store.as_ref(), &id, r.clock.as_ref()).await?;
        say(&format!("{id} is removed; its tokens are dead."))
    })
}

/// What may be shown of a service.
fn as_json(service: &Service) -> Value {
    json!({
        "id": service.id,
        "name": service.name,
        "trust": service.trust,
        "profile": service.profile,
        "has_secret": !service.secrets.is_empty(),
        "declared": service.declared,
        "created": service.created.millis(),
        "updated": service.updated.millis(),
    })
}
