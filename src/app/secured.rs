//! How TLS is spoken with upstreams, by what their files hold.
//!
//! Invariant: what is made of the same bytes is one thing, over reloads too, so that what stands on it goes on; a file that changes while
//! it is read is found changed at the next reload.

use std::{fs, path::Path, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    config::Config,
    crypto::digest::sha256,
    model::{
        delivery::Http2,
        upstream::{TlsFiles, Upstream},
    },
    proxy::upstream::UpstreamTls,
    server::tls::{self, CertificateError, CertificateFiles},
};

/// How TLS is spoken, and what that was made of.
pub(super) struct Known {
    digest: [u8; 32],
    tls: Arc<rustls::ClientConfig>,
}

/// Upstreams, with how TLS is spoken with each that has any.
pub(super) type Secured = Vec<(Upstream, UpstreamTls)>;

/// The upstreams of a configuration. What was made `before` of the same bytes is used again.
///
/// # Errors
/// [`CertificateError`] naming the file.
pub(super) fn secured(config: &Config, before: &[Known]) -> Result<(Secured, Vec<Known>), CertificateError> {
    let mut kinds: Vec<((TlsFiles, Http2), Arc<rustls::ClientConfig>)> = Vec::new();
    let mut known: Vec<Known> = Vec::new();
    let mut authorities = None;
    let mut upstreams = Vec::with_capacity(config.upstreams.len());
    for upstream in &config.upstreams {
        if !upstream.delivery.to.iter().any(|target| target.tls) {
            upstreams.push((upstream.clone(), None));
            continue;
        }
        let kind = (upstream.tls.clone(), upstream.delivery.http2);
        let tls = if let Some((_, tls)) = kinds.iter().find(|(known, _)| *known == kind) {
            Arc::clone(tls)
        } else {
            // Before they are read for use: what changes in between is then not taken for what was looked at.
            let digest = digest(&kind, &mut authorities)?;
            let same = before.iter().chain(&known).find(|known| known.digest == digest);
            let tls = same.map_or_else(|| client_config(&kind), |known| Ok(Arc::clone(&known.tls)))?;
            known.push(Known { digest, tls: Arc::clone(&tls) });
            kinds.push((kind, Arc::clone(&tls)));
            tls
        };
        upstreams.push((upstream.clone(), Some(tls)));
    }
    Ok((upstreams, known))
}

/// Of what these files hold, or the system's `authorities`, which are read once.
fn digest(
    (files, http2): &(TlsFiles, Http2),
    authorities: &mut Option<[u8; 32]>,
) -> Result<[u8; 32], CertificateError> {
    let read = |path: &Path| match fs::read(path) {
        Ok(bytes) => Ok(sha256(&Zeroizing::new(bytes))),
        Err(error) => Err(CertificateError::Read { path: path.to_owned(), error }),
    };
    let mut parts = vec![match http2 {
        Http2::Off => 0,
        Http2::Auto => 1,
        Http2::PriorKnowledge => 2,
    }];
    // Each has its length, so that what is there tells what it is.
    parts.push(u8::from(files.ca.is_some()));
    parts.extend(match &files.ca {
        Some(ca) => read(ca)?,
        None => *authorities.get_or_insert_with(systems),
    });
    for path in files.client.iter().flat_map(|(certificate, key)| [certificate, key]) {
        parts.extend(read(path)?);
    }
    Ok(sha256(&parts))
}

/// Of the system's authorities, whose files are listed in any order.
fn systems() -> [u8; 32] {
    let mut digests: Vec<[u8; 32]> = tls::system_authorities().iter().map(|one| sha256(one)).collect();
    digests.sort_unstable();
    sha256(digests.as_flattened())
}

/// How TLS is spoken with these files.
fn client_config((files, http2): &(TlsFiles, Http2)) -> Result<Arc<rustls::ClientConfig>, CertificateError> {
    let client = files.client.clone();
    let client = client.map(|(certificate, private_key)| CertificateFiles { certificate, private_key });
    let protocols: &[&[u8]] = match http2 {
        Http2::Off => &[b"http/1.1"],
        Http2::Auto => &[b"h2", b"http/1.1"],
        Http2::PriorKnowledge => &[b"h2"],
    };
    tls::client_config(files.ca.as_deref(), client.as_ref(), protocols)
}
