//! What a route answers with instead of an upstream's answer, or changes in it.

use http::{HeaderName, HeaderValue, StatusCode, header};
use toml::de::DeValue;

use crate::{
    base::FastMap,
    config::{
        entry::{Data, Entry},
        reader::Section,
        value::{self, Wrong, wrong},
    },
    model::upstream::Redirect,
};

/// Where `redirect` sends clients.
pub(super) fn redirect(section: &Section<'_, '_>) -> Option<Redirect> {
    let to = section.parse("redirect", address);
    let status = section.get("redirect_status").and_then(|value| {
        let status = value.count(&(301..=308))?;
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let known = status.filter(|status| matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308));
        if known.is_none() {
            value.refuse(wrong("is no status of a redirect").help("write 301, 302, 303, 307 or 308"));
        }
        known
    });
    if section.get("redirect").is_none() {
        if let Some(value) = section.get("redirect_status") {
            value.doubt(wrong("has no effect").label("there is no `redirect`"));
        }
        return None;
    }
    for key in REPLACED {
        if let Some(value) = section.get(key) {
            value.refuse(
                wrong("stands beside `redirect`")
                    .label("nothing is forwarded here")
                    .help("take one of them out"),
            );
        }
    }
    for key in DELIVERY {
        if let Some(value) = section.get(key) {
            value.doubt(wrong("has no effect").label("nothing is forwarded here"));
        }
    }
    Some(Redirect { to: to?, status: status.unwrap_or(StatusCode::TEMPORARY_REDIRECT) })
}

/// What makes no sense where nothing is forwarded.
const REPLACED: [&str; 4] = ["to", "prepend_path", "strip_path", "health"];

/// What is about the way to targets, and changes nothing where there are none.
const DELIVERY: [&str; 18] = [
    "balance",
    "timeout",
    "connect_timeout",
    "first_byte_timeout",
    "idle_timeout",
    "total_timeout",
    "websocket_timeout",
    "max_idle",
    "max_connections",
    "queue",
    "queue_timeout",
    "slow_start",
    "resolve",
    "http2",
    "ca",
    "client_certificate",
    "client_key",
    "server_name",
];

fn address(text: &str) -> Result<String, Wrong> {
    let trimmed = text.trim_end_matches('/');
    if trimmed.starts_with('/') || text == "/" {
        if !trimmed.is_empty() {
            value::path(trimmed)?;
        }
    } else {
        let url = value::web_url(text)?;
        if url.contains('?') {
            return Err(wrong("has a query")
                .label("that of the request is kept")
                .help("leave out `?` and what follows"));
        }
    }
    HeaderValue::try_from(trimmed).map(|_| trimmed.to_owned()).map_err(|_| {
        wrong("has a character that no header can have")
            .help("write it as it stands in a browser's address line")
    })
}

/// Fields that are set in every answer of the upstream, or with an empty value taken out.
pub(super) fn response_headers(section: &Section<'_, '_>) -> Vec<(HeaderName, Option<HeaderValue>)> {
    let Some(value) = section.get("response_headers") else { return Vec::new() };
    let Data::Tree(DeValue::Table(table)) = &value.data else {
        value.refuse(wrong("is not a table").help(
            r#"write for example [upstream.response_headers] and below it Referrer-Policy = "no-referrer""#,
        ));
        return Vec::new();
    };
    let mut headers = Vec::new();
    let mut spelled = FastMap::default();
    for (key, field) in table {
        let field = Entry {
            context: value.context,
            name: format!("{}.{}", value.name, key.get_ref()),
            place: crate::config::context::Place::Span(field.span()),
            data: Data::Tree(field.get_ref()),
        };
        let Some(name) = name(&field, key.get_ref()) else { continue };
        if let Some(before) = spelled.insert(name.clone(), key.get_ref()) {
            field.refuse(
                wrong(format!("is the same field as {before:?}"))
                    .label("capital letters do not count in names of fields")
                    .help("take one of them out"),
            );
        }
        let Some(text) = field.parse(text) else { continue };
        if text.is_none() && name == header::DATE {
            field.refuse(
                wrong("is empty, and `Date` cannot be taken out")
                    .label("each answer says when it was made (RFC 9110 section 6.6.1)")
                    .help("leave it out"),
            );
        }
        headers.push((name, text));
    }
    headers
}

fn name(field: &Entry<'_, '_>, text: &str) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes());
    let refusal = match &name {
        Err(_) => wrong("is not the name of a header"),
        Ok(name) if frames(name) => wrong("frames the message or is for one connection alone")
            .label("the gateway writes it")
            .help("take it out"),
        Ok(name) if *name == header::SET_COOKIE => {
            wrong("would take the service's own cookies away").help("take it out")
        }
        Ok(_) => return name.ok(),
    };
    field.refuse(refusal);
    None
}

fn frames(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION
            | header::CONTENT_LENGTH
            | header::TRANSFER_ENCODING
            | header::TE
            | header::TRAILER
            | header::UPGRADE
            | header::ALT_SVC
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

fn text(text: &str) -> Result<Option<HeaderValue>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    HeaderValue::try_from(text)
        .map(Some)
        .map_err(|_| wrong("is not the value of a header").label("a line break, or a character that is none"))
}
