//! Configuration: `gateway.toml` and `HUBGATE_…` variables become a [`Config`] that is valid by construction.
//!
//! Invariant: no part of a [`Config`] needs checking again, and building one has no effect on the world:
//! files are read, nothing is created.

mod check;
mod context;
mod defaults;
mod entry;
mod environment;
mod excerpt;
mod option;
mod problem;
mod reader;
mod schema;
mod suggest;
mod value;

pub use check::{load, parse};
pub use environment::Environment;
pub use option::parse_duration;
pub use problem::{Problem, Problems, Severity};

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use http::{HeaderName, Method};
use ipnet::IpNet;

use crate::{
    base::{id::ServiceId, secret::Secret, url::PublicUrl},
    model::{
        flow::Flows,
        key::Algorithm,
        service::{Profile, Trust},
        session::SessionLife,
        trace::TraceContext,
    },
};

pub use crate::model::rate::{Rate, RequestRates};
pub use crate::model::upstream::{
    Access, BodyLimits, Credential, OnExpiry, PathPattern, Rule, Segment, Target, Upstream,
};

/// Everything that an administrator decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it was read from; messages name it.
    pub file: PathBuf,
    /// Scheme, host and port that clients use.
    pub public_url: PublicUrl,
    /// Where the gateway keeps what it makes itself: key file, development certificate, by default the database.
    pub data_dir: PathBuf,
    /// `[listen]`
    pub listen: Listen,
    /// `[tls]`
    pub tls: Tls,
    /// `[store]`
    pub store: StoreUrl,
    /// `[hub]`
    pub hub: Hub,
    /// `[oauth]`
    pub oauth: OAuth,
    /// `[sessions]`
    pub sessions: SessionLife,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
    /// `[telemetry]`; `None`: no spans are sent.
    pub telemetry: Option<Telemetry>,
    /// `[mail]`; `None`: no mail is sent.
    pub mail: Option<Mail>,
    /// `[[service]]`
    pub services: Vec<DeclaredService>,
    /// The password of the administrator that the first start makes; `None`: one for a single sign-in, shown once.
    pub admin_password: Option<Secret>,
    /// `[[user]]`
    pub users: Vec<DeclaredUser>,
    /// `[[upstream]]`
    pub upstreams: Vec<Upstream>,
    /// `[[test]]`
    pub tests: Vec<DecisionTest>,
    /// What is allowed but looks like a mistake; often empty.
    pub warnings: Problems,
}

/// Sockets.
#[derive(Debug, Clone)]
pub struct Listen {
    /// TLS listeners, at least one.
    pub https: Vec<SocketAddr>,
    /// Plain listeners that only redirect to `public_url`.
    pub http: Vec<SocketAddr>,
    /// `/healthz`, `/readyz`, `/metrics`.
    pub management: Option<SocketAddr>,
    /// Peers that may speak for a client by `X-Forwarded-*`. Empty: nobody.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether they say by the PROXY protocol whose connection they carry; then nobody else may connect.
    pub proxy_protocol: bool,
    /// Data-plane threads; `None`: one per core.
    pub workers: Option<NonZeroUsize>,
}

/// The certificate.
#[derive(Debug, Clone)]
pub enum Tls {
    /// A self-signed development certificate, kept in `data_dir`.
    SelfSigned,
    /// Files of one's own, PEM.
    Files {
        /// The chain, leaf first.
        certificate: PathBuf,
        /// Its key: PKCS #8, PKCS #1 or SEC1.
        private_key: PathBuf,
    },
}

/// Where the registry lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file on this machine.
    Sqlite(PathBuf),
}

/// Where the gateway's own endpoints live.
#[derive(Debug, Clone)]
pub struct Hub {
    /// Empty, or `/a/b` in canonical form without a trailing slash.
    pub path: String,
}

/// Which flows and checks are offered (hub-contract section 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OAuthProfile {
    /// All of Hub's flows.
    Hub,
    /// OAuth 2.1: no implicit, no password, PKCE for all.
    OAuth21,
}

/// The authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// The profile.
    pub profile: OAuthProfile,
    /// How long an access token lives.
    pub access_token_ttl: Duration,
    /// How long a refresh token lives.
    pub refresh_token_ttl: Duration,
    /// How long an authorization code lives.
    pub code_ttl: Duration,
    /// How long a spent refresh token returns the same successor.
    pub refresh_window: Duration,
    /// How long a consent is remembered.
    pub consent_ttl: Duration,
    /// How access tokens are signed.
    pub signing_algorithm: Algorithm,
    /// How long the secret before the current one stays accepted.
    pub secret_grace: Duration,
    /// How long a signing key signs before the gateway makes the next one; `None`: only by command.
    pub key_rotation: Option<Duration>,
}

/// Rates, sizes, timeouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// Between two pieces of a request body.
    pub body_timeout: Duration,
    /// How long a client may leave the answer unread.
    pub write_timeout: Duration,
    /// Bytes of a request body each second, on the average; an upstream may set its own. 0: any number.
    pub min_body_rate: u64,
    /// Bytes of answers that wait for a client and that it takes each second, on the average. 0: any number.
    pub min_answer_rate: u64,
    /// How long a connection may be without a request.
    pub idle_timeout: Duration,
    /// How long answers in flight may take after SIGTERM.
    pub drain_timeout: Duration,
    /// Bytes of a request's head.
    pub max_header_size: usize,
    /// Number of header fields.
    pub max_headers: usize,
    /// Bytes of a request body that is forwarded; `u64::MAX`: any number. An upstream may set its own.
    pub max_body_size: u64,
    /// Open client connections, all workers together.
    pub max_connections: usize,
    /// Open client connections of one source.
    pub max_connections_per_source: usize,
    /// Concurrent HTTP/2 streams of a connection.
    pub max_streams: u32,
    /// Requests that are answered at a time, all workers together.
    pub max_requests: usize,
    /// Remembered verdicts on tokens.
    pub token_cache: usize,
    /// Requests of one source, with tokens of one service, on behalf of one user.
    pub requests: RequestRates,
    /// Refused credentials (tokens and client secrets) of one source, after which it gets 429; `None`: unlimited.
    pub rejections_per_source: Option<Rate>,
    /// Wrong passwords for one account from one source before each costs a wait that doubles; `None`: unlimited.
    pub login_failures: Option<Rate>,
    /// Wrong passwords from one source; `None`: unlimited.
    pub login_failures_per_source: Option<Rate>,
    /// Wrong passwords for one account from sources that it has not signed in from; `None`: unlimited.
    pub login_failures_per_account: Option<Rate>,
    /// Threads that hash passwords; `None`: half as many as there are cores.
    pub password_threads: Option<NonZeroUsize>,
    /// Passwords that may wait to be hashed.
    pub password_queue: usize,
}

impl Limits {
    /// Those of request bodies.
    #[must_use]
    pub const fn bodies(&self) -> BodyLimits {
        BodyLimits { max_size: self.max_body_size, min_rate: self.min_body_rate }
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`.
    pub level: tracing::Level,
    /// Whether access and decision lines are written.
    pub access: bool,
    /// From what time on a request gets a line about how long each part of it took; `None`: never.
    pub slow: Option<Duration>,
    /// Whether the gateway takes part in traces.
    pub trace_context: TraceContext,
}

/// Where spans go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// The collector, as it is configured.
    pub otlp: String,
    /// Whether it is reached by TLS.
    pub tls: bool,
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What is posted to.
    pub path: String,
    /// What is sent along.
    pub headers: Vec<(HeaderName, Secret)>,
    /// Certificates that it is checked against instead of the system's.
    pub ca: Option<PathBuf>,
    /// The gateway's name there.
    pub service_name: String,
    /// How many of a million traces that begin here are recorded.
    pub sample: u32,
    /// How long it may take to take one batch.
    pub timeout: Duration,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// STARTTLS, without which nothing is sent (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// In the clear, on this machine alone.
    None,
}

/// Where mail goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The sender's name, possibly empty, and address.
    pub from: (String, String),
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// Certificates that the server is checked against instead of the system's.
    pub ca: Option<PathBuf>,
    /// How the gateway signs in there.
    pub credentials: Option<(String, Secret)>,
    /// How long the server may take to take one mail.
    pub timeout: Duration,
}

/// A service that the file declares.
#[derive(Debug, Clone)]
pub struct DeclaredService {
    /// Line in the file at which it begins, 1-based, for messages.
    pub line: usize,
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub trust: Trust,
    /// What it says of itself.
    pub profile: Profile,
    /// Its secret; `None`: made by `hubgate service rotate-secret`.
    pub secret: Option<Secret>,
}

/// A person that the file declares.
#[derive(Debug, Clone)]
pub struct DeclaredUser {
    /// What one types to sign in.
    pub login: String,
    /// What people see.
    pub name: String,
    /// The address.
    pub email: Option<String>,
    /// The password; `None`: set by `hubgate user password`.
    pub password: Option<Secret>,
    /// Names of groups.
    pub groups: Vec<String>,
    /// May administer the gateway.
    pub administrator: bool,
}

/// A request and the decision that it must get, run by `hubgate check`.
#[derive(Debug, Clone)]
pub struct DecisionTest {
    /// Line in the file at which it begins, 1-based, for the report.
    pub line: usize,
    /// Column in that line, 1-based, in characters.
    pub column: usize,
    /// The method.
    pub method: Method,
    /// The host, when the request names one.
    pub host: Option<String>,
    /// The path as a client would send it.
    pub path: String,
    /// The token, if the request carries one.
    pub token: Option<TestToken>,
    /// What must come of it.
    pub expect: Expectation,
}

/// The token of a [`DecisionTest`].
#[derive(Debug, Clone)]
pub struct TestToken {
    /// The client service; `None`: some client.
    pub client: Option<ServiceId>,
    /// The login of the declared user for whom it was issued; `None`: for the client itself.
    pub user: Option<String>,
    /// Ids or names of services in scope.
    pub scope: Vec<String>,
}

/// The decision that a [`DecisionTest`] expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// Forwarded, with a token.
    Allowed,
    /// 403.
    Forbidden,
    /// 401.
    Unauthorized,
    /// Forwarded, whoever asks.
    Public,
    /// Forwarded for nobody, where the upstream does not enforce its rules.
    WouldRefuse,
    /// On its way to the login page.
    Login,
    /// Answered by the gateway itself.
    Own,
    /// 404.
    NoRoute,
    /// 400.
    BadRequest,
}

/// Flows that a profile allows.
#[must_use]
pub fn allowed_flows(profile: OAuthProfile) -> Flows {
    use crate::model::flow::Flow;
    match profile {
        OAuthProfile::Hub => Flows::all(),
        OAuthProfile::OAuth21 => {
            [Flow::AuthorizationCode, Flow::RefreshToken, Flow::ClientCredentials].into_iter().collect()
        }
    }
}
