//! What is sent, and what must come back: from `key=value` arguments.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, time::Duration};

use anyhow::{Context as _, bail, ensure};

/// The bodies of the requests.
pub(crate) enum Bodies {
    /// GET, without.
    None,
    /// The same for all.
    Same(String),
    /// Another for each, sent once.
    Each(Vec<String>),
    /// The first of each connection; later ones carry the refresh token of the answer before.
    Chain(Vec<String>),
}

/// What a good answer, always a 200, holds.
#[derive(Clone, Copy)]
pub(crate) enum Expect {
    /// An access token, another than in the connection's answer before.
    AccessToken,
    /// `"active":true`
    Active,
    /// So many bytes.
    Bytes(usize),
}

/// A run.
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// PEM file; without, plain HTTP.
    pub(crate) certificate: Option<String>,
    pub(crate) path: String,
    pub(crate) authorization: String,
    pub(crate) connections: usize,
    /// Requests before those that count.
    pub(crate) warm: usize,
    pub(crate) requests: usize,
    /// From one request to the next over all connections; without, as fast as answers come.
    pub(crate) every: Option<Duration>,
    pub(crate) bodies: Bodies,
    pub(crate) expect: Expect,
}

impl Plan {
    pub(crate) fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let mut given = BTreeMap::new();
        for argument in arguments {
            let (key, value) =
                argument.split_once('=').with_context(|| format!("not key=value: {argument}"))?;
            given.insert(key, value);
        }
        let mut take = |key: &str| given.remove(key);
        let mut need = |key: &str| take(key).with_context(|| format!("{key}=… is missing"));
        let plan = Self {
            address: need("address")?.parse()?,
            path: need("path")?.to_owned(),
            authorization: need("authorization")?.to_owned(),
            connections: need("connections")?.parse()?,
            warm: need("warm")?.parse()?,
            requests: need("requests")?.parse()?,
            expect: expect(need("expect")?)?,
            bodies: bodies(need("bodies")?)?,
            certificate: take("certificate").map(str::to_owned),
            every: take("rate")
                .map(|rate| rate.parse().map(|rate: NonZeroU32| Duration::from_secs(1) / rate.get()))
                .transpose()?,
        };
        ensure!(given.is_empty(), "unknown: {:?}", given.keys());
        let wanted = match &plan.bodies {
            Bodies::Each(lines) => Some((lines.len(), plan.warm + plan.requests)),
            Bodies::Chain(lines) => Some((lines.len(), plan.connections)),
            Bodies::None | Bodies::Same(_) => None,
        };
        ensure!(wanted.is_none_or(|(is, must)| is == must), "(bodies there, bodies needed): {wanted:?}");
        Ok(plan)
    }
}

fn expect(text: &str) -> anyhow::Result<Expect> {
    Ok(match text.split_once(':') {
        None if text == "access_token" => Expect::AccessToken,
        None if text == "active" => Expect::Active,
        Some(("bytes", count)) => Expect::Bytes(count.parse()?),
        _ => bail!("expect=access_token, active or bytes:N"),
    })
}

/// `none`, or `same:FILE`, `each:FILE`, `chain:FILE` with a body in each line.
fn bodies(text: &str) -> anyhow::Result<Bodies> {
    let Some((kind, file)) = text.split_once(':') else {
        ensure!(text == "none", "bodies=none or KIND:FILE");
        return Ok(Bodies::None);
    };
    let content = std::fs::read_to_string(file).with_context(|| file.to_owned())?;
    let lines: Vec<String> = content.lines().map(str::to_owned).collect();
    Ok(match (kind, lines.as_slice()) {
        ("same", [line]) => Bodies::Same(line.clone()),
        ("each", _) => Bodies::Each(lines),
        ("chain", _) => Bodies::Chain(lines),
        _ => bail!("bodies=same:FILE (one line), each:FILE or chain:FILE"),
    })
}
