//! Which route a request takes: by host, then by the longest path prefix at a segment boundary.
//!
//! Invariant: the cost of a look-up depends on the depth of the deepest prefix, not on how many routes there are or
//! how long the path is.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};

use super::upstream::Cluster;
use crate::{
    access::policy::Policy,
    base::{FastMap, pace::Pace},
    model::{
        registry::Registry,
        upstream::{BodyLimits, Credential, OnExpiry, Redirect, Upstream},
    },
};

/// One `[[upstream]]`, ready for requests.
#[derive(Debug)]
pub struct Route {
    /// Its place among the routes of this snapshot.
    pub index: usize,
    /// Host and path, for log and metrics.
    pub label: Arc<str>,
    /// The prefix, canonical; `/` for everything.
    pub path: String,
    /// Who may pass.
    pub policy: Policy,
    /// Where to.
    pub cluster: Arc<Cluster>,
    /// Whether the prefix is taken off.
    pub strip_path: bool,
    /// What is put before the path then.
    pub prepend_path: String,
    /// Where clients are sent instead.
    pub redirect: Option<Redirect>,
    /// Fields that are set in each answer of the upstream; `None`: taken out.
    pub response_headers: Vec<(HeaderName, Option<HeaderValue>)>,
    /// What goes on as `Authorization`.
    pub credential: Credential,
    /// What becomes of an answer when the token behind it is not good any more.
    pub on_expiry: OnExpiry,
    /// How long nothing may move on a WebSocket.
    pub websocket_timeout: Duration,
    /// Bytes of a request body.
    pub max_body_size: u64,
    /// Bytes of a request body each second, on the average; 0: any number.
    pub min_body_rate: u64,
}

impl Route {
    /// How slowly the body of a request with this head may come, silent for so long at the longest. A stream of messages (gRPC) is
    /// as slow as what it tells of; there is such a thing only where the upstream speaks HTTP/2.
    #[must_use]
    pub fn pace(&self, headers: &HeaderMap, silence: Duration) -> Pace {
        const MESSAGES: &[u8] = b"application/grpc";
        let messages = |value: &HeaderValue| {
            value.as_bytes().get(..MESSAGES.len()).is_some_and(|start| start.eq_ignore_ascii_case(MESSAGES))
        };
        let streams =
            self.cluster.delivery.may_speak_http2() && headers.get(CONTENT_TYPE).is_some_and(messages);
        Pace { rate: if streams { 0 } else { self.min_body_rate }, silence }
    }
}

/// All routes of a snapshot.
#[derive(Debug, Default)]
pub struct Routes {
    list: Vec<Route>,
    any_host: Prefixes,
    by_host: FastMap<String, Prefixes>,
}

#[derive(Debug, Default)]
struct Prefixes {
    by_path: FastMap<String, usize>,
    /// Segments of the deepest prefix.
    depth: usize,
}

impl Prefixes {
    fn add(&mut self, path: &str, index: usize) {
        self.depth = self.depth.max(path.trim_end_matches('/').matches('/').count());
        self.by_path.insert(path.to_owned(), index);
    }

    fn find(&self, path: &str) -> Option<usize> {
        // The first `depth` segments, then always one less.
        let mut rest = self.depth.checked_sub(1).map_or("", |last| {
            let mut slashes = path.bytes().enumerate().skip(1).filter(|(_, byte)| *byte == b'/');
            slashes.nth(last).and_then(|(end, _)| path.get(..end)).unwrap_or(path)
        });
        while !rest.is_empty() {
            #[cfg(test)]
            tests::LOOKED_UP.with(|count| count.set(count.get() + 1));
            if let Some(index) = self.by_path.get(rest) {
                return Some(*index);
            }
            rest = rest.rfind('/').and_then(|end| rest.get(..end)).unwrap_or_default();
        }
        self.by_path.get("/").copied()
    }
}

impl Routes {
    /// Prepares the upstreams of a configuration.
    #[must_use]
    pub fn new(upstreams: &[(Upstream, Arc<Cluster>)], registry: &Registry, bodies: &BodyLimits) -> Self {
        let mut routes = Self::default();
        for (index, (upstream, cluster)) in upstreams.iter().enumerate() {
            let prefixes = match &upstream.host {
                None => &mut routes.any_host,
                Some(host) => routes.by_host.entry(host.clone()).or_default(),
            };
            prefixes.add(&upstream.path, index);
            routes.list.push(Route {
                index,
                label: Arc::clone(&cluster.label),
                path: upstream.path.clone(),
                policy: Policy::new(upstream, registry),
                cluster: Arc::clone(cluster),
                strip_path: upstream.strip_path,
                prepend_path: upstream.prepend_path.clone(),
                redirect: upstream.redirect.clone(),
                response_headers: upstream.response_headers.clone(),
                credential: upstream.credential,
                on_expiry: upstream.on_expiry,
                websocket_timeout: upstream.websocket_timeout,
                max_body_size: upstream.max_body_size.unwrap_or(bodies.max_size),
                min_body_rate: upstream.min_body_rate.unwrap_or(bodies.min_rate),
            });
        }
        routes
    }

    /// The route of a request. `path` is canonical; `host` is lower case, without port and trailing dot.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<&Route> {
        let by_host = if self.by_host.is_empty() { None } else { self.by_host.get(host) };
        let index = by_host.and_then(|prefixes| prefixes.find(path)).or_else(|| self.any_host.find(path))?;
        self.list.get(index)
    }

    /// A route by its place.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Route> {
        self.list.get(index)
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::delivery::Http2;

    fn routes(prefixes: &[(Option<&str>, &str)]) -> Routes {
        let upstream = |(host, path): &(Option<&str>, &str)| {
            let upstream = Upstream { host: host.map(str::to_owned), ..Upstream::new("Hub", path, vec![]) };
            let cluster = Cluster::new(&upstream, None, None);
            (upstream, cluster)
        };
        let upstreams: Vec<_> = prefixes.iter().map(upstream).collect();
        Routes::new(&upstreams, &Registry::new([], "u"), &BodyLimits { max_size: 1, min_rate: 0 })
    }

    #[test]
    fn any_pace_will_do_for_a_stream_of_messages_and_nothing_else() {
        let silence = Duration::from_secs(30);
        let rate = |http2: Http2, kind: &'static str| {
            let mut upstream = Upstream::new("Hub", "/a", vec![]);
            upstream.delivery.http2 = http2;
            let cluster = Cluster::new(&upstream, None, None);
            let bodies = BodyLimits { max_size: 1, min_rate: 240 };
            let routes = Routes::new(&[(upstream, cluster)], &Registry::new([], "u"), &bodies);
            let headers = [(CONTENT_TYPE, HeaderValue::from_static(kind))].into_iter().collect();
            let pace = routes.get(0).unwrap().pace(&headers, silence);
            assert_eq!(pace.silence, silence);
            pace.rate
        };
        for messages in ["application/grpc", "Application/gRPC+proto"] {
            assert_eq!((rate(Http2::Auto, messages), rate(Http2::PriorKnowledge, messages)), (0, 0));
            assert_eq!(rate(Http2::Off, messages), 240, "there is no such thing over HTTP/1.1");
        }
        for other in ["application/json", "text/application/grpc", ""] {
            assert_eq!(rate(Http2::PriorKnowledge, other), 240, "{other}");
        }
    }

    thread_local! {
        pub(super) static LOOKED_UP: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    /// Ten thousand routes cost a request no more than one.
    #[test]
    fn a_route_is_found_without_looking_at_the_others() {
        let looked_up = |count: usize| {
            let paths: Vec<String> = (0..count).map(|n| format!("/service-{n}/api")).collect();
            let prefixes: Vec<_> = paths.iter().map(|path| (None, path.as_str())).collect();
            let routes = routes(&prefixes);
            let mut most = 0;
            for at in [0, count / 2, count - 1] {
                LOOKED_UP.set(0);
                let path = format!("/service-{at}/api/a/b/c/d/e/f/g/h");
                assert_eq!(routes.find("any.example", &path).unwrap().index, at);
                assert!(routes.find("any.example", "/elsewhere/a/b/c").is_none());
                most = most.max(LOOKED_UP.get());
            }
            most
        };
        assert_eq!((looked_up(1), looked_up(10_000)), (3, 3));
    }

    #[test]
    fn the_longest_prefix_at_a_boundary_wins() {
        let routes =
            routes(&[(None, "/a"), (None, "/a/b"), (None, "/c/d/e"), (Some("h"), "/a"), (Some("h"), "/x")]);
        let find = |host: &str, path: &str| routes.find(host, path).map(|r| r.label.to_string());
        for (host, path, label) in [
            ("o", "/a", Some("/a")),
            ("o", "/a/", Some("/a")),
            ("o", "/a/c", Some("/a")),
            ("o", "/a/b", Some("/a/b")),
            ("o", "/a/b/c/d/e/f", Some("/a/b")),
            ("o", "/a/bc", Some("/a")),
            ("o", "/ab", None),
            ("o", "/A", None),
            ("o", "/", None),
            ("o", "/c/d", None),
            ("o", "/c/d/e/f", Some("/c/d/e")),
            ("h", "/a/b", Some("h/a")),
            ("h", "/x/y", Some("h/x")),
            ("o", "/x/y", None),
            ("h", "/c/d/e", Some("/c/d/e")),
        ] {
            assert_eq!(find(host, path).as_deref(), label, "{host}{path}");
        }
    }

    #[test]
    fn a_slash_takes_everything_else() {
        let routes = routes(&[(None, "/"), (None, "/a")]);
        assert_eq!(routes.find("o", "/zzz/y").unwrap().path, "/");
        assert_eq!(routes.find("o", "/").unwrap().path, "/");
        assert_eq!(routes.find("o", "/a/z").unwrap().path, "/a");
    }
}
