//! Every key that `gateway.toml` may have, once. The reader, the environment's names, the suggestions and the test of the
//! shipped file all take them from here.

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `[name]`, or the root: at most once, each key may come from the environment.
    Single,
    /// `[[name]]`: as often as needed.
    Repeated,
    /// `name = { … }` inside of a repeated one.
    Inline,
}

/// One kind of table.
#[derive(Debug)]
pub(super) struct Table {
    /// Dotted, empty for the root.
    pub(super) path: &'static str,
    pub(super) shape: Shape,
    /// Keys with values.
    pub(super) keys: &'static [&'static str],
    /// Keys that are tables.
    pub(super) tables: &'static [&'static Self],
    /// Keys that later versions will know, each with the sentence that refuses it.
    pub(super) later: &'static [(&'static str, &'static str)],
}

impl Table {
    /// The last part of the path.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// The dotted name of a key in here.
    pub(super) fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// How an administrator writes its header.
    pub(super) fn header(&self) -> String {
        match self.shape {
            Shape::Single if self.path.is_empty() => "the top of the file".to_owned(),
            Shape::Single => format!("`[{}]`", self.path),
            Shape::Repeated => format!("`[[{}]]`", self.path),
            Shape::Inline => format!("`{}`", self.path),
        }
    }

    /// Every word that may stand as a key here.
    pub(super) fn words(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().copied().chain(self.tables.iter().map(|table| table.name()))
    }

    /// The variable that overrides `key`; only tables that stand alone have one.
    pub(super) fn variable(&self, key: &str) -> Option<String> {
        let name = self.dotted(key).replace('.', "_").to_uppercase();
        (self.shape == Shape::Single).then(|| format!("{VARIABLE_PREFIX}{name}"))
    }
}

/// What the environment's overrides begin with.
pub(super) const VARIABLE_PREFIX: &str = "HUBGATE_";

/// Variables with that prefix that are no overrides: the command line reads them.
pub(super) const OTHER_VARIABLES: [&str; 1] = ["HUBGATE_CONFIG"];

/// All tables, the root first.
pub(super) const TABLES: [&Table; 23] = [
    &ROOT,
    &ADMIN_PASSWORD,
    &LISTEN,
    &TLS,
    &STORE,
    &HUB,
    &OAUTH,
    &SESSIONS,
    &LIMITS,
    &LOG,
    &TELEMETRY,
    &TELEMETRY_HEADERS,
    &MAIL,
    &MAIL_PASSWORD,
    &SERVICE,
    &SECRET,
    &USER,
    &PASSWORD,
    &UPSTREAM,
    &HEALTH,
    &RULE,
    &TEST,
    &TOKEN,
];

pub(super) static ROOT: Table = Table {
    path: "",
    shape: Shape::Single,
    keys: &["public_url", "data_dir", "admin_password"],
    tables: &[
        &LISTEN, &TLS, &STORE, &HUB, &OAUTH, &SESSIONS, &LIMITS, &LOG, &TELEMETRY, &MAIL, &SERVICE, &USER,
        &UPSTREAM, &TEST,
    ],
    later: &[],
};

pub(super) static ADMIN_PASSWORD: Table =
    Table { path: "admin_password", shape: Shape::Inline, keys: &["env", "file"], tables: &[], later: &[] };

pub(super) static LISTEN: Table = Table {
    path: "listen",
    shape: Shape::Single,
    keys: &["https", "http", "management", "trusted_proxies", "proxy_protocol", "workers"],
    tables: &[],
    later: &[],
};

pub(super) static TLS: Table = Table {
    path: "tls",
    shape: Shape::Single,
    keys: &["certificate", "private_key"],
    tables: &[],
    later: &[(
        "acme",
        "this version does not obtain certificates by ACME yet: name the files in `tls.certificate` and `tls.private_key`",
    )],
};

pub(super) static STORE: Table =
    Table { path: "store", shape: Shape::Single, keys: &["url"], tables: &[], later: &[] };

pub(super) static HUB: Table =
    Table { path: "hub", shape: Shape::Single, keys: &["path"], tables: &[], later: &[] };

pub(super) static OAUTH: Table = Table {
    path: "oauth",
    shape: Shape::Single,
    keys: &[
        "profile",
        "access_token_ttl",
        "refresh_token_ttl",
        "code_ttl",
        "refresh_window",
        "consent_ttl",
        "secret_grace",
        "signing_algorithm",
        "key_rotation",
    ],
    tables: &[],
    later: &[],
};

pub(super) static SESSIONS: Table =
    Table { path: "sessions", shape: Shape::Single, keys: &["idle", "life"], tables: &[], later: &[] };

pub(super) static LIMITS: Table = Table {
    path: "limits",
    shape: Shape::Single,
    keys: &[
        "handshake_timeout",
        "header_timeout",
        "body_timeout",
        "write_timeout",
        "min_body_rate",
        "min_answer_rate",
        "idle_timeout",
        "drain_timeout",
        "max_header_size",
        "max_headers",
        "max_body_size",
        "max_connections",
        "max_connections_per_source",
        "max_streams",
        "max_requests",
        "token_cache",
        "requests_per_source",
        "requests_per_service",
        "requests_per_user",
        "rejections_per_source",
        "login_failures",
        "login_failures_per_source",
        "login_failures_per_account",
        "password_threads",
        "password_queue",
    ],
    tables: &[],
    later: &[],
};

pub(super) static LOG: Table = Table {
    path: "log",
    shape: Shape::Single,
    keys: &["format", "level", "access", "slow", "trace_context"],
    tables: &[],
    later: &[],
};

pub(super) static TELEMETRY: Table = Table {
    path: "telemetry",
    shape: Shape::Single,
    keys: &["otlp", "headers", "ca", "service_name", "sample", "timeout"],
    tables: &[],
    later: &[],
};

pub(super) static TELEMETRY_HEADERS: Table = Table {
    path: "telemetry.headers",
    shape: Shape::Inline,
    keys: &["env", "file"],
    tables: &[],
    later: &[],
};

pub(super) static MAIL: Table = Table {
    path: "mail",
    shape: Shape::Single,
    keys: &["from", "host", "port", "tls", "ca", "username", "password", "timeout"],
    tables: &[],
    later: &[],
};

pub(super) static MAIL_PASSWORD: Table =
    Table { path: "mail.password", shape: Shape::Inline, keys: &["env", "file"], tables: &[], later: &[] };

pub(super) static SERVICE: Table = Table {
    path: "service",
    shape: Shape::Repeated,
    keys: &[
        "id",
        "name",
        "secret",
        "public",
        "trusted",
        "consent_required",
        "pkce_required",
        "rotate",
        "flows",
        "home_url",
        "base_urls",
        "redirect_uris",
        "key",
        "description",
        "application_name",
        "vendor",
        "version",
        "icon_url",
    ],
    tables: &[],
    later: &[],
};

pub(super) static SECRET: Table =
    Table { path: "service.secret", shape: Shape::Inline, keys: &["env", "file"], tables: &[], later: &[] };

pub(super) static USER: Table = Table {
    path: "user",
    shape: Shape::Repeated,
    keys: &["login", "name", "email", "password", "groups", "administrator"],
    tables: &[],
    later: &[],
};

pub(super) static PASSWORD: Table =
    Table { path: "user.password", shape: Shape::Inline, keys: &["env", "file"], tables: &[], later: &[] };

pub(super) static UPSTREAM: Table = Table {
    path: "upstream",
    shape: Shape::Repeated,
    keys: &[
        "service",
        "host",
        "path",
        "to",
        "strip_path",
        "prepend_path",
        "redirect",
        "redirect_status",
        "response_headers",
        "credential",
        "enforce",
        "balance",
        "timeout",
        "on_expiry",
        "websocket_timeout",
        "connect_timeout",
        "first_byte_timeout",
        "idle_timeout",
        "total_timeout",
        "max_idle",
        "max_connections",
        "queue",
        "queue_timeout",
        "slow_start",
        "resolve",
        "http2",
        "max_body_size",
        "min_body_rate",
        "requests_per_source",
        "requests_per_service",
        "requests_per_user",
        "ca",
        "client_certificate",
        "client_key",
        "server_name",
    ],
    tables: &[&HEALTH, &RULE],
    later: &[],
};

pub(super) static HEALTH: Table = Table {
    path: "upstream.health",
    shape: Shape::Inline,
    keys: &["path", "every", "timeout", "status"],
    tables: &[],
    later: &[],
};

pub(super) static RULE: Table = Table {
    path: "upstream.rule",
    shape: Shape::Repeated,
    keys: &[
        "path",
        "methods",
        "access",
        "groups",
        "users",
        "clients",
        "scope",
        "requests_per_source",
        "requests_per_service",
        "requests_per_user",
    ],
    tables: &[],
    later: &[],
};

pub(super) static TEST: Table = Table {
    path: "test",
    shape: Shape::Repeated,
    keys: &["request", "token", "expect"],
    tables: &[],
    later: &[],
};

pub(super) static TOKEN: Table = Table {
    path: "test.token",
    shape: Shape::Inline,
    keys: &["client", "user", "scope"],
    tables: &[],
    later: &[],
};

/// The names of all overrides.
pub(super) fn variables() -> impl Iterator<Item = String> {
    TABLES.into_iter().flat_map(|table| table.keys.iter().filter_map(|key| table.variable(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_that_stand_alone_have_variables() {
        assert_eq!(ROOT.variable("public_url").as_deref(), Some("HUBGATE_PUBLIC_URL"));
        assert_eq!(OAUTH.variable("code_ttl").as_deref(), Some("HUBGATE_OAUTH_CODE_TTL"));
        assert_eq!(SERVICE.variable("id"), None);
        let mut names: Vec<_> = variables().collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "two keys share a variable");
    }

    #[test]
    fn no_key_is_named_twice() {
        for table in TABLES {
            let mut words: Vec<_> = table.words().chain(table.later.iter().map(|(key, _)| *key)).collect();
            let count = words.len();
            words.sort_unstable();
            words.dedup();
            assert_eq!(words.len(), count, "{}", table.path);
        }
    }
}
