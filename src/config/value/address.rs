//! Sockets, networks, hosts and the origins of upstreams.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use ipnet::IpNet;
use rustls_pki_types::ServerName;

use super::{Wrong, wrong};
use crate::config::Target;

/// `127.0.0.1:8443`, `[::1]:8443`. Names are refused: what a listener binds to must not depend on a resolver.
pub(in crate::config) fn socket(text: &str) -> Result<SocketAddr, Wrong> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let refuse =
        |label: &str, help: String| Err(wrong("is not an address to listen on").label(label).help(help));
    let port = |port: &str| port.parse::<u16>().ok();
    if let Ok(ip) = text.parse::<IpAddr>() {
        return refuse("the port is missing", format!("write {:?}", SocketAddr::new(ip, 8443).to_string()));
    }
    if let Some(number) = port(text.trim_start_matches(':')) {
        return refuse(
            "the IP address is missing",
            format!(
                "write \"127.0.0.1:{number}\" for this machine alone, or \"0.0.0.0:{number}\" for every interface"
            ),
        );
    }
    match text.rsplit_once(':') {
        Some(("localhost", number)) if port(number).is_some() => {
            refuse("names are not looked up here", format!("write \"127.0.0.1:{number}\""))
        }
        _ => refuse(
            "not an IP address and a port",
            r#"write for example "127.0.0.1:8443" or "[::1]:8443""#.to_owned(),
        ),
    }
}

/// `10.0.0.0/8`, `::1/128`, or one address.
pub(in crate::config) fn network(text: &str) -> Result<IpNet, Wrong> {
    let parsed = text.parse::<IpNet>().map(|net| net.trunc());
    parsed.or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        wrong("is not a network")
            .label("not an IP address or network")
            .help(r#"write for example "10.0.0.0/8" or "192.168.1.7""#)
    })
}

/// A host as a request's `Host` is compared with: lower case, no port, no dot at the end.
pub(in crate::config) fn host(text: &str) -> Result<String, Wrong> {
    if text.contains('*') {
        return Err(wrong("has a `*`")
            .label("hosts are compared as they are")
            .help("write one `[[upstream]]` for each host, or leave `host` out for all of them"));
    }
    let bare = !text.contains(['/', '@', '?', '#', '\\', ' ']);
    let parsed = ::url::Url::parse(&format!("https://{text}/")).ok().filter(|_| bare);
    let known = parsed.as_ref().and_then(|url| Some((url, url.host_str()?)));
    // The dot at the end of a whole name (RFC 1034 section 3.1) is taken off a request's.
    let known = known.map(|(url, host)| (url, host.strip_suffix('.').unwrap_or(host)));
    let Some((url, canonical)) = known.filter(|(_, host)| host.split('.').all(|label| !label.is_empty()))
    else {
        return Err(wrong("is not a host")
            .label("a host name or IP address")
            .help(r#"write for example "issues.example.org""#));
    };
    if canonical == text {
        return Ok(text.to_owned());
    }
    let what = if url.port().is_some() || text.ends_with(":443") {
        "has a port"
    } else if text.chars().any(char::is_uppercase) {
        "has capital letters"
    } else if text.ends_with('.') {
        "ends with a dot"
    } else {
        "is not spelled as clients send it"
    };
    Err(wrong(what).help(format!("write {canonical:?}")))
}

/// `http://host:port`, `https://host`, `h2c://host:port` or `unix:/path`.
pub(in crate::config) fn target(text: &str) -> Result<Target, Wrong> {
    let refuse = |what: &str, label: &str| {
        wrong(what).label(label).help(
            r#"write scheme, host and port only: "http://127.0.0.1:8080" or "https://tracker.internal""#,
        )
    };
    if let Some(path) = text.strip_prefix("unix:") {
        return socket_file(path);
    }
    // Its scheme would be none that has hosts.
    let h2c = text.strip_prefix("h2c://").map(|rest| format!("http://{rest}"));
    let (h2c, text) = (h2c.is_some(), h2c.as_deref().unwrap_or(text));
    let url = ::url::Url::parse(text)
        .map_err(|_| refuse("is not the address of an upstream", "not an absolute URL"))?;
    let tls = match url.scheme() {
        "http" => false,
        "https" => true,
        _ => {
            return Err(refuse(
                "is not the address of an upstream",
                "not http://, https://, h2c:// or unix:",
            ));
        }
    };
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err(refuse(
            "contains user information",
            "what the upstream gets as credential is `credential`'s matter",
        ));
    }
    if url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
        || text.contains(['\\', '?', '#'])
    {
        return Err(refuse(
            "has more than scheme, host and port",
            "the path comes from the request; see `strip_path`",
        ));
    }
    let port = url.port_or_known_default().unwrap_or(if tls { 443 } else { 80 });
    let (Some(host), true) = (url.host_str(), port != 0) else {
        return Err(refuse("is not the address of an upstream", "no such host or port"));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if tls {
        server_name(host)?;
    }
    Ok(Target { tls, h2c, ..Target::plain(host, port) })
}

/// The longest path that a socket can have, in bytes.
const LONGEST_SOCKET: usize = 107;

fn socket_file(path: &str) -> Result<Target, Wrong> {
    let what = "is not the address of an upstream";
    let help = r#"write the whole path: "unix:/run/app.sock""#;
    if !path.starts_with('/') || path.starts_with("//") || path.contains('\0') {
        return Err(wrong(what).label("a socket's path begins with one slash").help(help));
    }
    if path.len() > LONGEST_SOCKET {
        return Err(wrong(what).label(format!("the path has more than {LONGEST_SOCKET} bytes")));
    }
    Ok(Target { socket: Some(Arc::from(Path::new(path))), ..Target::plain("localhost", 80) })
}

/// A name that a certificate can be for.
pub(in crate::config) fn server_name(text: &str) -> Result<String, Wrong> {
    ServerName::try_from(text).map(|_| text.to_owned()).map_err(|_| {
        wrong("is no name that a certificate can be for")
            .label("a DNS name or an IP address")
            .help(r#"write for example "tracker.internal""#)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets() {
        assert_eq!(socket("127.0.0.1:0").unwrap().port(), 0);
        assert!(socket("[::1]:8443").unwrap().is_ipv6());
        for (bad, help) in [
            ("127.0.0.1", "127.0.0.1:8443"),
            ("::1", "[::1]:8443"),
            (":8443", "0.0.0.0:8443"),
            ("8443", "127.0.0.1:8443"),
            ("localhost:9000", "127.0.0.1:9000"),
            ("example.org:1", "for example"),
            ("127.0.0.1:65536", "for example"),
            ("", "for example"),
        ] {
            assert!(socket(bad).unwrap_err().help.unwrap().contains(help), "{bad:?}");
        }
    }

    #[test]
    fn networks() {
        assert_eq!(network("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("192.168.1.7").unwrap().to_string(), "192.168.1.7/32");
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
        for bad in ["", "10.0.0.0/33", "10.0.0", "proxy.internal", "10.0.0.0/8/8"] {
            assert!(network(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hosts() {
        for good in ["example.org", "localhost", "127.0.0.1", "[::1]", "xn--bcher-kva.example"] {
            assert_eq!(host(good).as_deref(), Ok(good));
        }
        for (bad, help) in [
            ("Example.org", "\"example.org\""),
            ("a.b:8443", "\"a.b\""),
            ("a.b:443", "\"a.b\""),
            ("bücher.example", "xn--"),
            ("a.b.", "\"a.b\""),
            ("dot.", "\"dot\""),
            ("a.b.:8443", "\"a.b\""),
        ] {
            assert!(host(bad).unwrap_err().help.unwrap().contains(help), "{bad:?}");
        }
        assert_eq!(host("dot.").unwrap_err().what, "ends with a dot");
        for bad in ["", ".", "a..", "a..b", ".a", "*.example.org", "a/b", "u@a", "a b", "https://a", "a?b"] {
            assert!(host(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn targets() {
        let plain = target("http://127.0.0.1:8080").unwrap();
        assert_eq!((plain.tls, &*plain.host, plain.port), (false, "127.0.0.1", 8080));
        assert_eq!(plain.label(), "127.0.0.1:8080");
        let six = target("https://[::1]/").unwrap();
        assert_eq!((six.tls, &*six.host, six.port), (true, "::1", 443));
        assert_eq!(six.label(), "[::1]:443");
        let two = target("h2c://a:50051").unwrap();
        assert_eq!((two.tls, two.h2c, two.label().as_str()), (false, true, "a:50051"));
        let socket = target("unix:/run/app.sock").unwrap();
        assert_eq!(socket.label(), "unix:/run/app.sock");
        assert_eq!(socket.socket.as_deref(), Some(Path::new("/run/app.sock")));
        for bad in [
            "",
            "127.0.0.1:8080",
            "localhost:8080",
            "ftp://a",
            "http://",
            "http://a/b",
            "http://a?b",
            "http://a/?",
            "http://a#",
            "http://u@a",
            "http://u:p@a",
            "http://@a",
            "http://a:0",
            "http://a:99999",
            "unix:",
            "unix:run/app.sock",
            "unix://run/app.sock",
            "unix:/a\0b",
            "https://a_b..c",
            "h2c://",
            "h2c:a",
            "h2c://a/b",
            &format!("unix:/{}", "x".repeat(107)),
        ] {
            assert!(target(bad).is_err(), "{bad:?}");
        }
    }
}
