//! One request to the upstream and its answer back.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1::SendRequest};

use crate::pool::Pool;

pin_project_lite::pin_project! {
    /// The upstream's body; when it has ended, its connection goes back to the pool.
    pub(crate) struct Relayed {
        #[pin]
        body: Option<Incoming>,
        home: Option<(SendRequest<Incoming>, Rc<Pool>)>,
    }
}

/// Forwards, or answers 502.
pub(crate) async fn forward(request: Request<Incoming>, pool: &Rc<Pool>) -> Response<Relayed> {
    exchange(request, pool).await.unwrap_or_else(|_| {
        let mut answer = Response::new(Relayed { body: None, home: None });
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
    })
}

async fn exchange(mut request: Request<Incoming>, pool: &Rc<Pool>) -> anyhow::Result<Response<Relayed>> {
    outbound(&mut request)?;
    let mut sender = pool.take().await?;
    let (mut head, body) = sender.send_request(request).await?.into_parts();
    head.headers.remove(header::CONNECTION);
    head.version = http::Version::HTTP_11;
    let home = if body.is_end_stream() {
        pool.give_back(sender);
        None
    } else {
        Some((sender, Rc::clone(pool)))
    };
    Ok(Response::from_parts(head, Relayed { body: Some(body), home }))
}

/// Origin form, a Host, no hop-by-hop field.
fn outbound(request: &mut Request<Incoming>) -> anyhow::Result<()> {
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str())?;
        request.headers_mut().insert(header::HOST, host);
        let origin = request.uri().path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
        *request.uri_mut() = origin;
    }
    *request.version_mut() = http::Version::HTTP_11;
    request.headers_mut().remove(header::CONNECTION);
    Ok(())
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut this = self.project();
        let Some(mut body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let frame = ready!(body.as_mut().poll_frame(context));
        let ended = matches!(frame, None | Some(Err(_))) || body.is_end_stream();
        if ended && let Some((sender, pool)) = this.home.take() {
            pool.give_back(sender);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
