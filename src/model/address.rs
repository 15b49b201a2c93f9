//! Addresses that a service names: where it lives, and where authorization responses may go. The rules that the configuration
//! file, the commands and REST share.
//!
//! Invariant: an address that passes runs nothing in a browser, and two parsers do not disagree on where it leads.

/// Schemes that run or read something in the browser instead of leading to an application.
const DANGEROUS: [&str; 8] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"];

/// Bytes of an address.
const LONGEST: usize = 2000;

/// Why a text is no address that may be used: a predicate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// More than 2000 bytes.
    #[error("is longer than 2000 bytes")]
    Length,
    /// What URL parsers drop or bend silently.
    #[error("has a character that an address cannot have: {0:?}")]
    Character(char),
    /// Without scheme and host.
    #[error("is not the address of a page: not an absolute URL")]
    NotAbsolute,
    /// Neither `http` nor `https`.
    #[error("is not the address of a page: not http:// or https://")]
    NotWeb,
    /// A scheme that must never receive a token.
    #[error("has a scheme that must never receive a token: {0}:")]
    Dangerous(String),
    /// `//host/…`
    #[error("has no scheme")]
    NoScheme,
    /// Everything from `#` on is never sent to a server (RFC 6749 section 3.1.2).
    #[error("has a fragment")]
    Fragment,
    /// What stands before `@`.
    #[error("contains a user name or password")]
    UserInfo,
    /// No URL at all.
    #[error("is not a URL")]
    NotUrl,
}

/// How a redirect URI is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectUri {
    /// With scheme.
    Absolute,
    /// To be resolved against the service's base and home URLs.
    Relative,
}

/// Checks an `http` or `https` address of a page.
///
/// # Errors
/// [`NoAddress`]
pub fn web_url(text: &str) -> Result<(), NoAddress> {
    refuse_odd(text)?;
    let url = url::Url::parse(text).map_err(|_| NoAddress::NotAbsolute)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(NoAddress::NotWeb);
    }
    refuse_extras(&url)
}

/// Checks a redirect URI: absolute, with a scheme of an application's own, or relative (RFC 6749 section 3.1.2, RFC 8252
/// section 7).
///
/// # Errors
/// [`NoAddress`]
pub fn redirect_uri(text: &str) -> Result<RedirectUri, NoAddress> {
    refuse_odd(text)?;
    match url::Url::parse(text) {
        Ok(url) if DANGEROUS.contains(&url.scheme()) => Err(NoAddress::Dangerous(url.scheme().to_owned())),
        Ok(url) => refuse_extras(&url).map(|()| RedirectUri::Absolute),
        Err(url::ParseError::RelativeUrlWithoutBase) if text.starts_with("//") => Err(NoAddress::NoScheme),
        Err(url::ParseError::RelativeUrlWithoutBase) if text.contains('#') => Err(NoAddress::Fragment),
        Err(url::ParseError::RelativeUrlWithoutBase) if !text.is_empty() => Ok(RedirectUri::Relative),
        Err(_) => Err(NoAddress::NotUrl),
    }
}

fn refuse_odd(text: &str) -> Result<(), NoAddress> {
    if text.len() > LONGEST {
        return Err(NoAddress::Length);
    }
    match text.chars().find(|c| c.is_control() || c.is_whitespace() || *c == '\\') {
        Some(c) => Err(NoAddress::Character(c)),
        None => Ok(()),
    }
}

fn refuse_extras(url: &url::Url) -> Result<(), NoAddress> {
    if url.fragment().is_some() {
        return Err(NoAddress::Fragment);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NoAddress::UserInfo);
    }
    Ok(())
}
