//! One connection: a request is written, its whole answer read and compared with what is expected.

use std::{io::Write as _, rc::Rc};

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    plan::{Bodies, Expect, Plan},
    tls,
};

const LARGEST_ANSWER: usize = 1024 * 1024;

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// One connection and what its last answer left.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    input: BytesMut,
    output: Vec<u8>,
    access_token: Vec<u8>,
    /// The next body of a chain.
    chained: String,
}

impl Connection {
    /// Connects; over TLS, the handshake is done then.
    pub(crate) async fn open(plan: &Rc<Plan>, number: usize) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(plan.address).await?;
        socket.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &plan.certificate {
            Some(file) => Box::new(tls::connector(file)?.connect(plan.address.ip().into(), socket).await?),
            None => Box::new(socket),
        };
        let chained = match &plan.bodies {
            Bodies::Chain(first) => first.get(number).cloned().unwrap_or_default(),
            _ => String::new(),
        };
        Ok(Self {
            stream,
            input: BytesMut::with_capacity(16 * 1024),
            output: Vec::new(),
            access_token: Vec::new(),
            chained,
        })
    }

    /// Sends request `index`; true when the answer is as expected, false for a 503, an error for all else.
    pub(crate) async fn exchange(&mut self, plan: &Plan, index: usize) -> anyhow::Result<bool> {
        self.write(plan, index)?;
        self.stream.write_all(&self.output).await?;
        let (head, length) = loop {
            if let Some(found) = head(&self.input)? {
                break found;
            }
            self.read().await?;
        };
        while self.input.len() < head + length {
            self.read().await?;
        }
        ensure!(self.input.len() == head + length, "more than one answer to one request");
        let status = self.input.get(9..12).unwrap_or_default();
        let busy = status == b"503";
        let body = self.input.get(head..).unwrap_or_default();
        if !busy {
            let text = || String::from_utf8_lossy(&self.input).into_owned();
            ensure!(status == b"200", "an unexpected answer: {}", text());
            match plan.expect {
                Expect::Active => ensure!(contains(body, b"\"active\":true"), "not active: {}", text()),
                Expect::Bytes(count) => ensure!(length == count, "{length} bytes instead of {count}"),
                Expect::AccessToken => {
                    let token = member(body, b"\"access_token\":\"").with_context(text)?;
                    ensure!(*token != self.access_token, "the same token again: {}", text());
                    self.access_token.clear();
                    self.access_token.extend_from_slice(token);
                }
            }
            if matches!(plan.bodies, Bodies::Chain(_)) {
                let token = str::from_utf8(member(body, b"\"refresh_token\":\"").with_context(text)?)?;
                let sent = self.chained.rfind('=').context("a chained body ends with its token")? + 1;
                ensure!(self.chained.get(sent..) != Some(token), "the refresh token was not replaced");
                self.chained.truncate(sent);
                self.chained.push_str(token);
            }
        }
        self.input.advance(head + length);
        Ok(!busy)
    }

    fn write(&mut self, plan: &Plan, index: usize) -> anyhow::Result<()> {
        let (method, body) = match &plan.bodies {
            Bodies::None => ("GET", ""),
            Bodies::Same(body) => ("POST", body.as_str()),
            Bodies::Each(bodies) => ("POST", bodies.get(index).context("no more bodies")?.as_str()),
            Bodies::Chain(_) => ("POST", self.chained.as_str()),
        };
        self.output.clear();
        let out = &mut self.output;
        write!(
            out,
            "{method} {} HTTP/1.1\r\nhost: {}\r\nauthorization: {}\r\n",
            plan.path, plan.address, plan.authorization
        )?;
        if method == "POST" {
            write!(
                out,
                "content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n",
                body.len()
            )?;
        }
        write!(out, "\r\n{body}")?;
        Ok(())
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        ensure!(self.input.len() < LARGEST_ANSWER, "an answer is too large");
        if self.stream.read_buf(&mut self.input).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

/// The length of the head and of the body behind it, when the head is there.
fn head(input: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = str::from_utf8(input.get(..end).unwrap_or_default())?;
    let length = text
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .with_context(|| format!("an answer without a length: {text}"))?;
    Ok(Some((end + 4, length.1.trim().parse()?)))
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

/// The text after a member's opening; the tokens that are looked for have no escapes.
fn member<'b>(body: &'b [u8], opening: &[u8]) -> Option<&'b [u8]> {
    let start = body.windows(opening.len()).position(|window| window == opening)? + opening.len();
    let rest = body.get(start..)?;
    let value = rest.get(..rest.iter().position(|byte| *byte == b'"')?)?;
    (!value.is_empty()).then_some(value)
}
