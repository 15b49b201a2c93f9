//! An ordinary client: one request, one answer, over HTTP/1.1 or HTTP/2.

use std::{fmt::Write as _, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;

use super::{answer::Answer, forge::base64, raw::RawClient, tls};

/// A request in the making.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

impl Request {
    /// Without fields and body.
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: "localhost".to_owned(),
            headers: vec![],
            body: None,
        }
    }

    /// GET.
    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// POST of a form.
    pub(crate) fn form(target: &str, body: &str) -> Self {
        Self::new("POST", target).header("Content-Type", "application/x-www-form-urlencoded").body(body)
    }

    /// With one more field.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a bearer token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// With Basic authentication, id and secret as they are.
    pub(crate) fn basic(self, id: &str, secret: &str) -> Self {
        let credentials = base64(format!("{id}:{secret}"));
        self.header("Authorization", &format!("Basic {credentials}"))
    }

    /// With a body and its length.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// To this host.
    pub(crate) fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// The bytes of HTTP/1.1.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if let Some(body) = &self.body {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

/// A client of one gateway. Every request over HTTP/1.1 goes over its own connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client {
    address: SocketAddr,
}

impl Client {
    /// Of the gateway at this address.
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// One request over HTTP/1.1.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        let mut connection = RawClient::connect(self.address);
        connection.send(request.bytes());
        connection
            .answer_to(&request.method)
            .unwrap_or_else(|| panic!("closed without an answer to {} {}", request.method, request.target))
    }

    /// Requests at the same time over one HTTP/2 connection, answers in their order.
    pub(crate) fn send_h2(&self, requests: &[Request]) -> Vec<Answer> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let socket = tokio::net::TcpStream::connect(self.address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls::client("h2").0));
            let stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
            let (sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            let answers = requests.iter().map(|request| {
                let mut sender = sender.clone();
                async move {
                    let response = sender.send_request(to_http(request)).await;
                    let (parts, body) = response.unwrap_or_else(|e| panic!("{request:?}: {e}")).into_parts();
                    let mut answer = Answer { status: parts.status.as_u16(), ..Answer::default() };
                    for (name, value) in &parts.headers {
                        answer
                            .headers
                            .push((name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
                    }
                    if let Ok(collected) = body.collect().await {
                        answer.complete = true;
                        for (name, value) in collected.trailers().into_iter().flatten() {
                            let value = String::from_utf8_lossy(value.as_bytes()).into();
                            answer.trailers.push((name.to_string(), value));
                        }
                        answer.body = collected.to_bytes().to_vec();
                    }
                    answer
                }
            });
            tokio::time::timeout(std::time::Duration::from_secs(20), futures_util::future::join_all(answers))
                .await
                .expect("the answers took too long")
        })
    }
}

fn to_http(request: &Request) -> http::Request<Full<Bytes>> {
    let mut builder = http::Request::builder()
        .method(request.method.as_str())
        .uri(format!("https://{}{}", request.host, request.target));
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    builder.body(Full::new(Bytes::from(request.body.clone().unwrap_or_default()))).unwrap()
}
