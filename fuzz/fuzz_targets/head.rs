//! The head of a request: whatever names, values and target a stranger sends, what passes has one reading and none of the
//! headers by which an upstream is told who asks.
#![no_main]

use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};
use hubgate::proxy::sanitize;
use libfuzzer_sys::fuzz_target;

/// Names that an upstream would believe, read as CGI-like servers read them.
fn is_believed(name: &str) -> bool {
    let folded: String = name.chars().map(|c| if matches!(c, '_' | '.') { '-' } else { c }).collect();
    folded.starts_with("x-forwarded-") || matches!(&*folded, "x-forwarded" | "forwarded" | "x-request-id" | "remote-user" | "proxy")
}

fuzz_target!(|data: &[u8]| {
    // Lines of `name:value`; the first is the target.
    let mut lines = data.split(|byte| *byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let Ok(uri) = Uri::try_from(target) else { return };
    let version = if data.len() % 2 == 0 { Version::HTTP_11 } else { Version::HTTP_2 };
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    for line in lines.take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(&value[1..])) {
            request.headers_mut().append(name, value);
        }
    }
    let (parts, ()) = request.into_parts();
    let Ok(target) = sanitize::target(&Method::GET, &parts.uri) else { return };
    let Ok(clean) = sanitize::sanitize(parts, target, false) else { return };
    let headers = &clean.parts.headers;
    assert!(headers.keys().all(|name| !is_believed(name.as_str())), "{headers:?}");
    for hop in ["connection", "keep-alive", "te", "trailer", "upgrade", "proxy-authorization"] {
        assert!(!headers.contains_key(hop), "{hop}");
    }
    assert!(headers.get_all("content-length").iter().count() <= 1);
    assert!(!headers.contains_key("transfer-encoding"));
    let host = clean.host();
    assert!(!host.is_empty() && !host.contains(['/', '@', ' ']), "{host:?}");
    let again = sanitize::target(&Method::GET, &Uri::from(clean.target.clone()));
    assert_eq!(again.ok().as_ref(), Some(&clean.target));
});
