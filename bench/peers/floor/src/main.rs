//! The floor: the least that a reverse proxy on hyper and rustls can do.
//!
//! One current-thread runtime, TLS, HTTP/1.1 and HTTP/2 towards the client, HTTP/1.1 from a pool of its own
//! towards one upstream. No check, no log, no deadline, no retry: what a real gateway costs above this row is
//! the price of its features. It still answers correctly: hop-by-hop fields go no further and bodies stream.

mod exchange;
mod pool;

use std::{convert::Infallible, future::Future, net::SocketAddr, rc::Rc, sync::Arc};

use anyhow::Context as _;
use hyper::{rt::Executor, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    task::spawn_local,
};
use tokio_rustls::TlsAcceptor;

use crate::pool::Pool;

// The gateway's allocator too: the difference between the two rows must not be that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: floor LISTEN:PORT UPSTREAM:PORT CERTIFICATE.pem KEY.pem";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments.next().context(USAGE)?.parse().context(USAGE)?;
    let upstream: SocketAddr = arguments.next().context(USAGE)?.parse().context(USAGE)?;
    let tls = tls(&arguments.next().context(USAGE)?, &arguments.next().context(USAGE)?)?;
    let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(listen).await?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let pool = Rc::new(Pool::new(upstream));
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (acceptor, pool) = (acceptor.clone(), Rc::clone(&pool));
            spawn_local(async move {
                // A client that goes away ends its own connection only.
                let _ = serve(stream, acceptor, pool).await;
            });
        }
    })
}

fn tls(certificate: &str, key: &str) -> anyhow::Result<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, pool: Rc<Pool>) -> anyhow::Result<()> {
    let stream = acceptor.accept(stream).await?;
    let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| {
        let pool = Rc::clone(&pool);
        async move { Ok::<_, Infallible>(exchange::forward(request, &pool).await) }
    });
    let io = TokioIo::new(stream);
    if two {
        hyper::server::conn::http2::Builder::new(Local).serve_connection(io, service).await?;
    } else {
        hyper::server::conn::http1::Builder::new().serve_connection(io, service).await?;
    }
    Ok(())
}

/// Keeps an HTTP/2 connection's streams on the worker that accepted it.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output = ()> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}
