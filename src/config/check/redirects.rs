//! Redirects that lead back to where they come from.
//!
//! Invariant: a redirect is doubted only where a request for its own path comes back to it, whoever else answers on the way.

use std::collections::BTreeMap;

use url::Url;

use crate::{
    base::url::PublicUrl,
    config::{Hub, Upstream, entry::Entry, value::wrong},
};

/// Browsers give up after about so many.
const MOST: usize = 20;

/// A host, where one is known, and a path without a slash at its end.
type Address = (Option<String>, String);

/// `places`: the redirects of these upstreams, as they are written.
pub(super) fn expect_ends(
    places: &[Option<Entry<'_, '_>>],
    upstreams: &[Upstream],
    (hub, public): (&Hub, Option<&PublicUrl>),
) {
    let routes = Routes::new(upstreams, hub, public);
    for (at, (place, upstream)) in places.iter().zip(upstreams).enumerate() {
        let Some(value) = place else { continue };
        if let Some(way) = routes.way_back(at, upstream) {
            value.doubt(
                wrong("leads back to itself")
                    .label(format!("clients go from {}, and so on", way.join(" to ")))
                    .help("lead to a path or host that another upstream answers for"),
            );
        }
    }
}

struct Routes<'a> {
    upstreams: &'a [Upstream],
    hub: &'a Hub,
    public: Option<&'a PublicUrl>,
    places: BTreeMap<(Option<&'a str>, &'a str), usize>,
}

impl<'a> Routes<'a> {
    fn new(upstreams: &'a [Upstream], hub: &'a Hub, public: Option<&'a PublicUrl>) -> Self {
        let place = |(at, upstream): (usize, &'a Upstream)| {
            ((upstream.host.as_deref(), upstream.path.trim_end_matches('/')), at)
        };
        Self { upstreams, hub, public, places: upstreams.iter().enumerate().map(place).collect() }
    }

    /// The addresses from the path of an upstream back to it.
    fn way_back(&self, at: usize, upstream: &Upstream) -> Option<Vec<String>> {
        let begin = (upstream.host.clone(), upstream.path.trim_end_matches('/').to_owned());
        let mut way = vec![shown(&begin)];
        let (mut address, mut route) = (begin.clone(), upstream);
        for _ in 0..MOST {
            address = self.after(route, &address)?;
            way.push(shown(&address));
            let next = self.find(&address)?;
            // Without a path of their own, the gateway's endpoints are anywhere.
            if next == at && (!self.hub.path.is_empty() || address.1 == begin.1) {
                return Some(way);
            }
            route = self.upstreams.get(next)?;
        }
        None
    }

    /// Where a redirect leads to from an address below it, if that is the gateway's.
    fn after(&self, upstream: &Upstream, (host, path): &Address) -> Option<Address> {
        let redirect = upstream.redirect.as_ref()?;
        let rest = path.strip_prefix(upstream.path.trim_end_matches('/'))?;
        let below = |to: &str| format!("{}{rest}", to.trim_end_matches('/'));
        if redirect.to.is_empty() || redirect.to.starts_with('/') {
            return Some((host.clone(), below(&redirect.to)));
        }
        let (url, public) = (Url::parse(&redirect.to).ok()?, self.public?);
        let to = url.host_str().filter(|to| *to == public.host() || upstream.host.as_deref() == Some(to))?;
        let ours = url.scheme() == "https" && url.port_or_known_default() == Some(public.port());
        ours.then(|| (Some(to.to_owned()), below(url.path())))
    }

    /// The upstream that answers for an address; `None` for none, and for the gateway's own endpoints.
    fn find(&self, (host, path): &Address) -> Option<usize> {
        let own = path.strip_prefix(self.hub.path.as_str());
        if !self.hub.path.is_empty() && own.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return None;
        }
        let longest = |host: Option<&str>| {
            let mut path = path.as_str();
            loop {
                if let Some(at) = self.places.get(&(host, path)) {
                    return Some(*at);
                }
                path = path.get(..path.rfind('/')?)?;
            }
        };
        host.as_deref().and_then(|host| longest(Some(host))).or_else(|| longest(None))
    }
}

fn shown((host, path): &Address) -> String {
    let path = if path.is_empty() { "/" } else { path };
    format!("{}{path}", host.as_deref().unwrap_or_default())
}
