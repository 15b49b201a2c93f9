//! The PROXY protocol, versions 1 and 2: the header by which a proxy that carries bytes says whose connection it carries.
//!
//! Invariants: a header has one reading, and it is bounded; not a byte that follows it is taken from the socket; what is none
//! names nobody.
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, sections 2.1 and 2.2.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{
    admission::{Loss, Ticket},
    connection::Client,
};
use crate::base::source::bucket;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";

/// The longest line of version 1, its end included.
const MAX_LINE: usize = 107;

/// The part of version 2 that says how long the rest is.
const FIXED: usize = 16;

/// The longest header of version 2 that is read. The address of a socket file and all that proxies usually add take less than
/// a kibibyte; a client's certificate takes some.
const MAX_LENGTH: usize = 4096;

/// What the beginning of a connection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// There is more to come.
    Begun,
    /// A header, and how many bytes it has.
    Whole(Named, usize),
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// That of this client.
    Client(SocketAddr),
    /// Of nobody who is named: the proxy's own, or one that it knows no address of.
    Nobody,
}

/// That a connection does not begin with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no header of the PROXY protocol")]
pub struct Malformed;

impl From<Malformed> for io::Error {
    fn from(error: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Reads the header at the beginning of `bytes`.
///
/// # Errors
/// [`Malformed`] as soon as it is known that there is none.
pub fn read(bytes: &[u8]) -> Result<Header, Malformed> {
    if begins(bytes, SIGNATURE) {
        return binary(bytes);
    }
    if begins(bytes, WORD) {
        return line(bytes);
    }
    Err(Malformed)
}

/// Whether `bytes` are, as far as they have come, what such a header begins with.
fn begins(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

/// Version 1, section 2.1.
fn line(bytes: &[u8]) -> Result<Header, Malformed> {
    let within = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', within) else {
        return if bytes.len() < MAX_LINE { Ok(Header::Begun) } else { Err(Malformed) };
    };
    let text = within.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Malformed)?;
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    let mut words = text.split(' ').skip(1);
    let family = words.next().ok_or(Malformed)?;
    if family == "UNKNOWN" {
        // What follows is to be ignored.
        return Ok(Header::Whole(Named::Nobody, end + 1));
    }
    let rest = [words.next(), words.next(), words.next(), words.next()];
    let ([Some(source), Some(destination), Some(port), Some(own_port)], None) = (rest, words.next()) else {
        return Err(Malformed);
    };
    let (source, _) = match family {
        "TCP4" => (v4(source)?, v4(destination)?),
        "TCP6" => (v6(source)?, v6(destination)?),
        _ => return Err(Malformed),
    };
    let (port, _) = (number(port)?, number(own_port)?);
    Ok(Header::Whole(Named::Client(SocketAddr::new(source, port)), end + 1))
}

fn v4(text: &str) -> Result<IpAddr, Malformed> {
    text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| Malformed)
}

fn v6(text: &str) -> Result<IpAddr, Malformed> {
    text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| Malformed)
}

/// A port: digits, without a sign and without zeros in front.
fn number(text: &str) -> Result<u16, Malformed> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(Malformed);
    }
    text.parse().map_err(|_| Malformed)
}

/// Version 2, section 2.2.
fn binary(bytes: &[u8]) -> Result<Header, Malformed> {
    let rest = bytes.get(SIGNATURE.len()..).unwrap_or_default();
    let local = match rest.first() {
        None => return Ok(Header::Begun),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(Malformed),
    };
    let [_, family, high, low, after @ ..] = rest else { return Ok(Header::Begun) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if FIXED + length > MAX_LENGTH {
        return Err(Malformed);
    }
    // Of the proxy's own connections the family is ignored. Streams and datagrams are told apart by what carries them to the
    // proxy; to us they come as a stream.
    let addresses = match (local, family) {
        (true, _) | (false, 0x00) => 0,
        (false, 0x11 | 0x12) => 12,
        (false, 0x21 | 0x22) => 36,
        (false, 0x31 | 0x32) => 216,
        (false, _) => return Err(Malformed),
    };
    if length < addresses {
        return Err(Malformed);
    }
    let Some(content) = after.get(..length) else { return Ok(Header::Begun) };
    let named = match addresses {
        12 => client::<4>(content, 8),
        36 => client::<16>(content, 32),
        _ => Some(Named::Nobody),
    };
    // Further fields may follow the addresses; none of them is asked for.
    named.map(|named| Header::Whole(named, FIXED + length)).ok_or(Malformed)
}

/// The address in front and the port at `port`.
fn client<const N: usize>(content: &[u8], port: usize) -> Option<Named>
where
    IpAddr: From<[u8; N]>,
{
    let address: [u8; N] = *content.first_chunk()?;
    let port: [u8; 2] = *content.get(port..)?.first_chunk()?;
    Some(Named::Client(SocketAddr::new(IpAddr::from(address), u16::from_be_bytes(port))))
}

/// Takes the header, and nothing after it, from a connection.
///
/// # Errors
/// When the connection ends or breaks, or does not begin with a header.
pub async fn take(tcp: &mut TcpStream) -> io::Result<Named> {
    let mut header: Vec<u8> = Vec::new();
    let mut next = [0; 256];
    loop {
        // What follows the header belongs to others, so it is looked at before it is taken.
        let seen = tcp.peek(&mut next).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let taken = header.len();
        header.extend_from_slice(next.get(..seen).unwrap_or_default());
        let (named, belongs) = match read(&header)? {
            Header::Whole(named, length) => (Some(named), length.saturating_sub(taken)),
            Header::Begun => (None, seen),
        };
        tcp.read_exact(next.get_mut(..belongs).unwrap_or_default()).await?;
        if let Some(named) = named {
            return Ok(named);
        }
    }
}

/// The client whom the header names, counted for its source; `None` when it is not to be served.
pub async fn introduced(
    tcp: &mut TcpStream,
    address: SocketAddr,
    (ticket, deadline): (&mut Ticket, Instant),
) -> Option<Client> {
    let Ok(Ok(named)) = timeout_at(deadline, take(tcp)).await else {
        ticket.admission().count(Loss::ProxyHeader);
        return None;
    };
    let client = match named {
        Named::Client(address) => Client { address, known: true },
        Named::Nobody => Client { address, known: false },
    };
    ticket.is_of(bucket(client.address.ip())).then_some(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, content].concat()
    }

    fn named(text: &str) -> Named {
        Named::Client(text.parse().unwrap())
    }

    const INET: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

    fn inet6() -> Vec<u8> {
        let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        [&address("2001:db8::7")[..], &address("2001:db8::1"), &[0xdc, 0x04, 0x01, 0xbb]].concat()
    }

    fn whole() -> Vec<(Vec<u8>, Named)> {
        let tlv = |mut content: Vec<u8>, more: usize| {
            content.extend_from_slice(&[4, 0, 0]);
            content.resize(content.len() + more, b'x');
            content
        };
        let text = |line: &str| line.as_bytes().to_vec();
        let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(MAX_LINE - 16));
        assert_eq!(longest.len(), MAX_LINE);
        vec![
            (text("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"), named("192.0.2.7:56324")),
            (text("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"), named("255.255.255.255:65535")),
            (text("PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n"), named("[2001:db8::7]:56324")),
            (text("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), named("[::ffff:192.0.2.7]:1")),
            (text("PROXY UNKNOWN\r\n"), Named::Nobody),
            (text("PROXY UNKNOWN ffff::1 whatever 1 2 3\r\n"), Named::Nobody),
            (text(&longest), Named::Nobody),
            (v2(0x21, 0x11, &INET), named("192.0.2.7:56324")),
            (v2(0x21, 0x12, &INET), named("192.0.2.7:56324")),
            (v2(0x21, 0x11, &tlv(INET.to_vec(), 300)), named("192.0.2.7:56324")),
            (v2(0x21, 0x11, &tlv(INET.to_vec(), MAX_LENGTH - FIXED - 15)), named("192.0.2.7:56324")),
            (v2(0x21, 0x21, &inet6()), named("[2001:db8::7]:56324")),
            (v2(0x21, 0x22, &tlv(inet6(), 7)), named("[2001:db8::7]:56324")),
            (v2(0x21, 0x31, &[b'/'; 216]), Named::Nobody),
            (v2(0x21, 0x00, b""), Named::Nobody),
            (v2(0x21, 0x00, &tlv(vec![], 20)), Named::Nobody),
            (v2(0x20, 0x00, b""), Named::Nobody),
            (v2(0x20, 0x11, &INET), Named::Nobody),
            (v2(0x20, 0xff, b"anything"), Named::Nobody),
        ]
    }

    /// Every header, in whatever pieces it comes and whatever follows it.
    #[test]
    fn headers_are_read_whole_and_no_further() {
        for (header, named) in whole() {
            for end in 0..header.len() {
                assert_eq!(read(&header[..end]), Ok(Header::Begun), "{end} bytes of {header:02x?}");
            }
            let wanted = Ok(Header::Whole(named, header.len()));
            assert_eq!(read(&header), wanted, "{header:02x?}");
            for after in [&b"\x16\x03\x01"[..], b"\r\n", b"GET / HTTP/1.1\r\n", &header] {
                assert_eq!(read(&[&header[..], after].concat()), wanted, "{header:02x?} then {after:02x?}");
            }
        }
    }

    #[test]
    fn what_is_not_exactly_a_header_is_none() {
        let lines = [
            "\r\nPROXY UNKNOWN\r\n",
            "proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
            " PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY\r\n",
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY tcp4 192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY unknown\r\n",
            "PROXY UNKNOWN\n",
            "PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7  198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\r\n",
            "PROXY TCP4 192.0.2.7\t198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.007 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n",
            "PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 2001:db8::1 1 2\r\n",
            "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
            "PROXY TCP6 [2001:db8::7] 2001:db8::1 1 2\r\n",
            "PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2\r\n",
            "PROXY TCP4 localhost 198.51.100.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 -1 2\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
            "PROXY TCP4 192.0.2.7 198.51.100.1  2\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\x16\x03\x01\x02\x00\x01\x00",
        ];
        for line in lines {
            assert_eq!(read(line.as_bytes()), Err(Malformed), "{line:?}");
        }
        assert_eq!(read(b"PROXY TCP4 \xff\xff 198.51.100.1 1 2\r\n"), Err(Malformed));
        for bytes in [
            v2(0x11, 0x11, &INET),
            v2(0x31, 0x11, &INET),
            v2(0x22, 0x11, &INET),
            v2(0x2f, 0x11, &INET),
            v2(0x01, 0x11, &INET),
            v2(0x21, 0x11, &INET[..11]),
            v2(0x21, 0x11, b""),
            v2(0x21, 0x21, &INET),
            v2(0x21, 0x21, &inet6()[..35]),
            v2(0x21, 0x31, &inet6()),
            v2(0x21, 0x01, b""),
            v2(0x21, 0x10, &INET),
            v2(0x21, 0x13, &INET),
            v2(0x21, 0x41, &INET),
            v2(0x21, 0xff, &INET),
            [&b"\r\n\r\n\0\r\nQUIT\r"[..], &[0x21, 0x11, 0, 12], &INET].concat(),
            [&b"\r\n\r\n\0\r\nquit\n"[..], &[0x21, 0x11, 0, 12], &INET].concat(),
        ] {
            assert_eq!(read(&bytes), Err(Malformed), "{bytes:02x?}");
        }
    }

    /// What never ends is refused before it has taken room.
    #[test]
    fn headers_are_bounded() {
        let mut line = b"PROXY UNKNOWN ".to_vec();
        line.resize(MAX_LINE - 1, b'x');
        assert_eq!(read(&line), Ok(Header::Begun));
        line.push(b'x');
        assert_eq!(read(&line), Err(Malformed));
        line.extend_from_slice(b"\r\n");
        assert_eq!(read(&line), Err(Malformed), "an end that comes too late");
        let too_long = u16::try_from(MAX_LENGTH - FIXED + 1).unwrap();
        for length in [too_long, u16::MAX] {
            let length = length.to_be_bytes();
            let bytes = [&SIGNATURE[..], &[0x20, 0x00], &length].concat();
            assert_eq!(read(&bytes), Err(Malformed), "refused by what it announces");
        }
    }
}
