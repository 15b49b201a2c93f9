//! The gateway itself: address, folder, sockets, certificate, store, own endpoints.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::{
    base::url::{InvalidPublicUrl, PublicUrl},
    config::{
        Hub, Listen, StoreUrl, Tls, defaults,
        entry::Entry,
        reader::Section,
        value::{self, Wrong, wrong},
    },
};

pub(super) fn public_url(root: &Section<'_, '_>) -> Option<PublicUrl> {
    let help = r#"write the address that clients use: public_url = "https://gateway.example.org""#;
    root.required("public_url", help)?.parse(|text| {
        PublicUrl::parse(text).map_err(|error| {
            let what = match error {
                InvalidPublicUrl::Malformed(_) => "is not an address",
                InvalidPublicUrl::Scheme => "does not begin with https://",
                InvalidPublicUrl::Extra => "has more than scheme, host and port",
            };
            let label = match error {
                InvalidPublicUrl::Malformed(_) => "not an absolute URL",
                InvalidPublicUrl::Scheme => "tokens travel on it",
                InvalidPublicUrl::Extra => "paths belong in `hub.path` and `upstream.path`",
            };
            wrong(what)
                .label(label)
                .help(r#"write for example "https://gateway.example.org" or "https://localhost:8443""#)
        })
    })
}

pub(super) fn data_dir(root: &Section<'_, '_>) -> PathBuf {
    let default = || root.context.resolve(defaults::DATA_DIR);
    let Some(value) = root.get("data_dir") else { return default() };
    let Some(text) = value.text() else { return default() };
    let path = root.context.resolve(&text);
    if text.is_empty() {
        value.refuse(wrong("is empty").help(format!("write for example {:?}", defaults::DATA_DIR)));
    } else if path.exists() && !path.is_dir() {
        value.refuse(wrong("is not a folder").label("something else has this name"));
    }
    path
}

pub(super) fn listen(section: &Section<'_, '_>) -> Listen {
    let defaults = [("https", defaults::HTTPS), ("management", defaults::MANAGEMENT)];
    let unset = defaults.into_iter().filter(|(key, _)| section.get(key).is_none());
    let mut taken: BTreeSet<SocketAddr> = unset.map(|(_, address)| address).collect();
    let mut sockets = |key: &'static str| -> Option<Vec<SocketAddr>> {
        let items = section.get(key)?.list()?;
        Some(items.iter().filter_map(|item| socket(item, &mut taken)).collect())
    };
    let https = sockets("https");
    let http = sockets("http").unwrap_or_default();
    if let (Some([]), Some(value)) = (https.as_deref(), section.get("https"))
        && value.list().is_some_and(|items| items.is_empty())
    {
        let help = format!("write at least one address: [\"{}\"]", defaults::HTTPS);
        value.refuse(wrong("has no address").label("clients need one").help(help));
    }
    let management = match section.get("management") {
        None => Some(defaults::MANAGEMENT),
        Some(value) => value.unless_off(Some(defaults::MANAGEMENT), |value| socket(value, &mut taken)),
    };
    let trusted_proxies = section.parse_list("trusted_proxies", value::network).unwrap_or_default();
    if let Some(value) = section.get("trusted_proxies")
        && trusted_proxies.iter().any(|net| net.prefix_len() == 0)
    {
        value.doubt(
            wrong("trusts everybody")
                .label("any client may then choose the address that it seems to come from")
                .help("name the addresses of your own proxies only"),
        );
    }
    let proxy_protocol = section.flag("proxy_protocol").unwrap_or(false);
    if let (Some(value), true, true) =
        (section.get("proxy_protocol"), proxy_protocol, trusted_proxies.is_empty())
    {
        value.refuse(
            wrong("lets nobody connect")
                .label("there is no proxy that may say whose connection it carries")
                .help("name the proxies that send the header in `trusted_proxies`, or write false"),
        );
    }
    let workers = section.get("workers").and_then(|value| value.count(&(1..=1024)));
    Listen {
        https: https.unwrap_or_else(|| vec![defaults::HTTPS]),
        http,
        management,
        trusted_proxies,
        proxy_protocol,
        workers: workers.and_then(|n| usize::try_from(n).ok()).and_then(NonZeroUsize::new),
    }
}

/// An address that no other listener has. Port 0 asks the system for a free one, so it never collides.
fn socket(value: &Entry<'_, '_>, taken: &mut BTreeSet<SocketAddr>) -> Option<SocketAddr> {
    let address = value.parse(value::socket)?;
    if address.port() != 0 && !taken.insert(address) {
        value.refuse(
            wrong("has an address that another listener has")
                .label("listed twice")
                .help("give each listener its own port"),
        );
    }
    Some(address)
}

pub(super) fn tls(section: &Section<'_, '_>) -> Tls {
    let (certificate, private_key) = (section.get("certificate"), section.get("private_key"));
    match (certificate, private_key) {
        (None, None) => Tls::SelfSigned,
        (Some(only), None) => {
            only.refuse(wrong("is named without its key").help("add `private_key` to `[tls]`"));
            Tls::SelfSigned
        }
        (None, Some(only)) => {
            only.refuse(wrong("is named without its certificate").help("add `certificate` to `[tls]`"));
            Tls::SelfSigned
        }
        (Some(certificate), Some(private_key)) => {
            let certificate = file(&certificate, certificates);
            let private_key = file(&private_key, self::private_key);
            match (certificate, private_key) {
                (Some(certificate), Some(private_key)) => Tls::Files { certificate, private_key },
                _ => Tls::SelfSigned,
            }
        }
    }
}

/// At least one certificate, all of them whole.
pub(super) fn certificates(bytes: &[u8]) -> Result<(), Wrong> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match all {
        Ok(list) if !list.is_empty() => Ok(()),
        _ => Err(wrong("holds no certificate")
            .label("no PEM section with a certificate in it")
            .help("a certificate file begins with `-----BEGIN CERTIFICATE-----`")),
    }
}

/// A key that is not encrypted.
pub(super) fn private_key(bytes: &[u8]) -> Result<(), Wrong> {
    PrivateKeyDer::from_pem_slice(bytes).map(drop).map_err(|_| {
        wrong("holds no private key").label("no PEM section with a key in it").help(
            "a key file begins with `-----BEGIN PRIVATE KEY-----` (or RSA or EC PRIVATE KEY), not encrypted",
        )
    })
}

/// A file that can be read and holds what it should.
pub(super) fn file(value: &Entry<'_, '_>, check: impl FnOnce(&[u8]) -> Result<(), Wrong>) -> Option<PathBuf> {
    let path = value.context.resolve(&value.text()?);
    let result = read(&path).and_then(|bytes| check(&bytes));
    result.map_err(|wrong| value.refuse(wrong)).ok().map(|()| path)
}

/// A file's bytes, or why there are none, in a sentence about the key that names it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Wrong> {
    fs::read(path).map_err(|error| {
        let help = format!("looked for {}; relative paths begin at the folder of this file", path.display());
        wrong("names a file that cannot be read").label(error.to_string()).help(help)
    })
}

pub(super) fn store(section: &Section<'_, '_>, data_dir: &Path) -> StoreUrl {
    let path = section.parse("url", |text| {
        let help = format!("write for example \"sqlite:{}/{}\"", defaults::DATA_DIR, defaults::DATABASE);
        if text.starts_with("postgres:") || text.starts_with("postgresql:") {
            return Err(wrong("names a PostgreSQL database, and those are not in this version")
                .label("known, but not built yet")
                .help(help));
        }
        let Some(path) = text.strip_prefix("sqlite:") else {
            return Err(wrong("is not the address of a store")
                .label("does not begin with `sqlite:`")
                .help(help));
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.starts_with(':') || path.contains(['?', '#', '\0']) {
            return Err(wrong("names no file").label("a path, without options").help(help));
        }
        Ok(section.context.resolve(path))
    });
    StoreUrl::Sqlite(path.unwrap_or_else(|| data_dir.join(defaults::DATABASE)))
}

pub(super) fn hub(section: &Section<'_, '_>) -> Hub {
    let path =
        section.parse("path", |text| match text {
            "/" => Err(wrong("is a single slash")
                .help(r#"write "" to serve the gateway's own endpoints at the root"#)),
            _ => value::path(text),
        });
    Hub { path: path.unwrap_or_else(|| defaults::HUB_PATH.to_owned()) }
}
