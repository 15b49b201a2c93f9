//! Connections that a proxy carries: the PROXY protocol in front of TLS and of plain HTTP.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::{
    support::{Gateway, RawClient, Request, Upstream, gateway::eventually, h2, h2::H2},
    upstreams::metric,
};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2.
fn v2(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, content].concat()
}

/// One for a client at this IPv4 address, with a further field.
fn v2_of(last: u8) -> Vec<u8> {
    v2(0x21, 0x11, &[203, 0, 113, last, 127, 0, 0, 1, 0x30, 0x39, 0x01, 0xbb, 4, 0, 2, b'x', b'y'])
}

fn v2_of_v6(address: &str) -> Vec<u8> {
    let address = address.parse::<std::net::Ipv6Addr>().unwrap().octets();
    v2(0x21, 0x21, &[&address[..], &[0; 15], &[1, 0x30, 0x39, 0x01, 0xbb]].concat())
}

/// Far less than a handshake may take.
const AT_ONCE: Duration = Duration::from_secs(10);

fn start(trusted: &str, more: &[(&str, &str)]) -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    let gateway = Gateway::start(|setup| {
        setup
            .standard(&upstream)
            .set("listen", "http", r#"["127.0.0.1:0"]"#)
            .set("listen", "proxy_protocol", "true")
            .set("listen", "trusted_proxies", trusted)
            .set("limits", "handshake_timeout", r#""20s""#);
        for (key, value) in more {
            setup.set("limits", key, value);
        }
    });
    (gateway, upstream)
}

/// A connection on which these bytes came first.
fn after(address: SocketAddr, header: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(header).unwrap();
    socket
}

fn through(gateway: &Gateway, header: &[u8]) -> RawClient {
    RawClient::over(after(gateway.address(), header), "http/1.1", "localhost")
}

/// What the gateway says until it closes, and after how long it does.
fn said(mut socket: TcpStream) -> (Vec<u8>, Duration) {
    let started = Instant::now();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut said = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(count) = socket.read(&mut piece) {
        if count == 0 {
            break;
        }
        said.extend_from_slice(&piece[..count]);
    }
    (said, started.elapsed())
}

fn refused(gateway: &Gateway, cause: &str) -> u64 {
    metric(gateway, &format!("hubgate_connections_refused_total{{cause=\"{cause}\"}}"))
}

#[test]
fn the_client_is_whom_the_header_names() {
    let (gateway, upstream) = start(r#"["127.0.0.1"]"#, &[]);
    for (name, header, client) in [
        ("v1", b"PROXY TCP4 203.0.113.7 127.0.0.1 12345 443\r\n".to_vec(), "203.0.113.7"),
        ("v1, IPv6", b"PROXY TCP6 2001:db8::7 ::1 12345 443\r\n".to_vec(), "2001:db8::7"),
        ("v1, a mapped address", b"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n".to_vec(), "203.0.113.7"),
        ("v2", v2_of(8), "203.0.113.8"),
        ("v2, IPv6", v2_of_v6("2001:db8::8"), "2001:db8::8"),
        ("v1, unknown", b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        ("v2, the proxy's own", v2(0x20, 0, &[]), "127.0.0.1"),
        ("v2, no family", v2(0x21, 0, &[1, 0, 0]), "127.0.0.1"),
        ("v2, a socket file", v2(0x21, 0x31, &[b'/'; 216]), "127.0.0.1"),
    ] {
        let mut connection = through(&gateway, &header);
        for _ in 0..2 {
            // Whoever it is, it is none who may speak for others.
            let request = Request::get("/public/x").header("X-Forwarded-For", "198.51.100.1");
            connection.send(request.bytes());
            assert_eq!(connection.answer().expect(name).status, 200, "{name}");
            let seen = upstream.take().remove(0);
            assert_eq!(seen.header("x-forwarded-for").as_deref(), Some(client), "{name}");
            assert!(seen.header("forwarded").unwrap().contains(client), "{name}");
        }
        eventually("the access line names it", || gateway.lines().contains(&format!("peer={client}")));
    }
    // Over HTTP/2 as well, and where the header comes in pieces, the last together with the handshake.
    let header = v2_of(9);
    let (first, rest) = header.split_at(20);
    let mut socket = after(gateway.address(), first);
    std::thread::sleep(Duration::from_millis(100));
    socket.write_all(rest).unwrap();
    let mut two = H2::over(RawClient::over(socket, "h2", "localhost"), 1024 * 1024);
    let fields: [h2::Field<'_>; 4] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", b"/public/x"),
    ];
    two.headers(1, &fields, true);
    assert_eq!(two.outcome(1).status, Some(200));
    assert_eq!(upstream.take().remove(0).header("x-forwarded-for").as_deref(), Some("203.0.113.9"));
}

/// A proxy behind the proxy is one, if it is trusted itself.
#[test]
fn a_proxy_that_is_named_may_speak_if_it_is_trusted() {
    let (gateway, upstream) = start(r#"["127.0.0.1", "203.0.113.7"]"#, &[]);
    for (last, client) in [(7, "198.51.100.1"), (8, "203.0.113.8")] {
        let mut connection = through(&gateway, &v2_of(last));
        connection.send(Request::get("/public/x").header("X-Forwarded-For", "198.51.100.1").bytes());
        assert_eq!(connection.answer().unwrap().status, 200);
        eventually("the access line names it", || gateway.lines().contains(&format!("peer={client}")));
        upstream.take();
    }
}

#[test]
fn what_is_no_header_ends_the_connection() {
    let (gateway, upstream) = start(r#"["127.0.0.1"]"#, &[]);
    let plain = gateway.running().http()[0];
    let request = b"GET /public/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let cases: [(&str, Vec<u8>); 10] = [
        ("none, before TLS", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
        ("none, before HTTP", request.to_vec()),
        ("v1, another word", b"PROXY TCP5 203.0.113.7 127.0.0.1 1 2\r\n".to_vec()),
        ("v1, no address", b"PROXY TCP4 localhost 127.0.0.1 1 2\r\n".to_vec()),
        ("v1, a bare line feed", b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\n".to_vec()),
        ("v1, without an end", b"PROXY UNKNOWN ".iter().chain(&[b'x'; 200]).copied().collect()),
        ("v2, another version", v2(0x11, 0x11, &[0; 12])),
        ("v2, too short for its family", v2(0x21, 0x21, &[0; 12])),
        ("v2, an unknown command", v2(0x22, 0x11, &[0; 12])),
        ("v2, too long", [SIGNATURE, &[0x21, 0x11, 0xff, 0xff], &[0; 2000]].concat()),
    ];
    let mut count = refused(&gateway, "proxy_header");
    assert_eq!(count, 0);
    for (name, bytes) in cases {
        for address in [gateway.address(), plain] {
            let (said, lived) = said(after(address, &[&bytes[..], request].concat()));
            assert!(said.is_empty(), "{name}: {:?}", String::from_utf8_lossy(&said));
            assert!(lived < AT_ONCE, "{name}: {lived:?}, not at once");
            count += 1;
        }
        assert_eq!(refused(&gateway, "proxy_header"), count, "{name}");
    }
    assert_eq!(upstream.count(), 0);
    let mut innocent = through(&gateway, &v2_of(7));
    innocent.send(Request::get("/public/x").bytes());
    assert_eq!(innocent.answer().unwrap().status, 200);
}

/// What does not come, or not to an end, is not waited for longer than for a handshake.
#[test]
fn a_header_without_an_end_ends_the_connection() {
    let (gateway, upstream) = start(r#"["127.0.0.1"]"#, &[("handshake_timeout", r#""1s""#)]);
    let plain = gateway.running().http()[0];
    for (name, beginning) in [
        ("nothing", &b""[..]),
        ("half a line", b"PROXY TCP4 203.0."),
        ("half a signature", &SIGNATURE[..7]),
        ("half of v2", &v2_of(7)[..20]),
    ] {
        for address in [gateway.address(), plain] {
            let (said, lived) = said(after(address, beginning));
            assert!(said.is_empty() && (700..10_000).contains(&lived.as_millis()), "{name}: {lived:?}");
        }
    }
    let mut dripping = after(gateway.address(), b"PROXY UNKNOWN ");
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(15) && dripping.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(started.elapsed() < Duration::from_secs(10), "a dripping header lived {:?}", started.elapsed());
    // After a header there is a handshake, in what is left of the time.
    let (said, lived) = said(after(gateway.address(), &v2_of(7)));
    assert_eq!(upstream.count(), 0);
    assert!(said.is_empty() && (700..10_000).contains(&lived.as_millis()), "{lived:?}");
}

#[test]
fn a_stranger_names_nobody() {
    let (gateway, upstream) = start(r#"["192.0.2.1"]"#, &[]);
    let request = b"GET /public/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for address in [gateway.address(), gateway.running().http()[0]] {
        for header in [v2_of(7), b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n".to_vec(), vec![]] {
            let mut socket = TcpStream::connect(address).unwrap();
            // It may be closed before the first byte.
            let _ = socket.write_all(&[&header[..], request].concat());
            let (said, lived) = said(socket);
            assert!(said.is_empty() && lived < AT_ONCE, "{lived:?}");
        }
    }
    assert_eq!(refused(&gateway, "untrusted_proxy"), 6);
    assert_eq!(metric(&gateway, "hubgate_connections "), 0);
    assert_eq!(upstream.count(), 0);
}

#[test]
fn plain_connections_are_carried_too() {
    let (gateway, _upstream) = start(r#"["127.0.0.1"]"#, &[]);
    for header in [v2_of(7), b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n".to_vec(), v2(0x20, 0, &[])] {
        let mut socket = after(gateway.running().http()[0], &header);
        socket.write_all(b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let (said, _) = said(socket);
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.starts_with("HTTP/1.1 308 ") && said.contains("https://gateway.example:8443/a"),
            "{said}"
        );
    }
    // The management is nobody's but the administrator's, and no proxy stands before it.
    assert_eq!(gateway.management("/healthz").0, 200);
}

/// Connections and requests count for the client, not for the proxy, which carries all of them.
#[test]
fn limits_are_those_of_the_client() {
    let limits = [("max_connections_per_source", "2"), ("requests_per_source", r#""3/h""#)];
    let (gateway, upstream) = start(r#"["127.0.0.1"]"#, &limits);
    let plain = gateway.running().http()[0];
    let open: Vec<TcpStream> = (0..2).map(|_| after(plain, &v2_of(7))).collect();
    eventually("they are open", || metric(&gateway, "hubgate_connections ") == 2);
    for address in [plain, gateway.address()] {
        let (said, lived) = said(after(address, &v2_of(7)));
        assert!(said.is_empty() && lived < AT_ONCE, "one too many: {lived:?}");
    }
    assert_eq!(refused(&gateway, "source"), 2);
    let mut other = through(&gateway, &v2_of(8));
    let status = |connection: &mut RawClient| {
        connection.send(Request::get("/public/x").bytes());
        connection.answer().unwrap().status
    };
    assert_eq!([(); 4].map(|()| status(&mut other)), [200, 200, 200, 429]);
    assert_eq!(status(&mut through(&gateway, &v2_of(9))), 200, "another client");
    drop(open);
    eventually("there is room again", || metric(&gateway, "hubgate_connections ") <= 1);
    assert_eq!(status(&mut through(&gateway, &v2_of(7))), 200);
    assert_eq!(upstream.take().len(), 5);
}
