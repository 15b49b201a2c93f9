//! `[mail]`: the server that takes the gateway's mail.
//!
//! Invariant: no mail and no password leaves this machine unencrypted.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{gateway, secret};
use crate::{
    config::{
        Mail, MailTls,
        reader::Section,
        value::{Wrong, choice, wrong},
    },
    model::naming,
};

/// How long the server may take.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

const PORTS: RangeInclusive<u64> = 1..=65535;

/// `None` when the file says nothing of mail, or something wrong.
pub(super) fn mail(section: &Section<'_, '_>) -> Option<Mail> {
    let keys = ["from", "host", "port", "tls", "ca", "username", "password", "timeout"];
    if keys.into_iter().all(|key| section.get(key).is_none()) {
        return None;
    }
    let from = section
        .required("from", r#"write the sender: from = "hubgate <noreply@example.org>""#)
        .and_then(|value| value.parse(sender));
    let host =
        section.required("host", r#"write the mail server: host = "smtp.example.org""#).and_then(|value| {
            value.parse(|text| {
                let odd = |c: char| c.is_whitespace() || c.is_control() || "/@:[]?#\\\"".contains(c);
                let six = text.parse::<std::net::Ipv6Addr>().is_ok();
                if text.is_empty() || !six && text.contains(odd) {
                    let help = r#"write the name alone, for example "smtp.example.org"; the port has a key of its own"#;
                    return Err(wrong("is not the name of a server").label("a name or an address").help(help));
                }
                Ok(text.to_owned())
            })
        });
    let modes = [("starttls", MailTls::StartTls), ("tls", MailTls::Tls), ("none", MailTls::None)];
    let tls = section.parse("tls", |text| choice(text, &modes)).unwrap_or(MailTls::StartTls);
    if let (MailTls::None, Some(value), Some(host)) = (tls, section.get("tls"), &host)
        && !is_loopback(host)
    {
        value.refuse(
            wrong("would send mail in the clear")
                .label("links that open accounts are in it")
                .help(r#"write "starttls" or "tls"; "none" is for a server on 127.0.0.1, ::1 or localhost"#),
        );
    }
    let usual = match tls {
        MailTls::StartTls => 587,
        MailTls::Tls => 465,
        MailTls::None => 25,
    };
    let port = section.get("port").and_then(|value| value.count(&PORTS));
    let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(usual);
    let ca: Option<PathBuf> =
        section.get("ca").and_then(|value| gateway::file(&value, gateway::certificates));
    let (username, password) = (section.get("username"), section.get("password"));
    let credentials = match (&username, &password) {
        (Some(username), Some(password)) => {
            let username = username.parse(|text| match text {
                "" => Err(wrong("is empty")),
                text if text.chars().any(char::is_control) => Err(wrong("contains control characters")),
                text => Ok(text.to_owned()),
            });
            username.zip(secret::mail_password(password))
        }
        (Some(only), None) => {
            only.refuse(wrong("is named without its password").help("add `password` to `[mail]`"));
            None
        }
        (None, Some(only)) => {
            only.refuse(wrong("is named without its user").help("add `username` to `[mail]`"));
            None
        }
        (None, None) => None,
    };
    let timeout = section.duration("timeout", TIMEOUT, DEFAULT_TIMEOUT);
    Some(Mail { from: from?, host: host?, port, tls, ca, credentials, timeout })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `a@b`, or `Name <a@b>`.
fn sender(text: &str) -> Result<(String, String), Wrong> {
    let (name, address) = match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"'), address),
        None => ("", text),
    };
    let help = r#"write for example "noreply@example.org" or "hubgate <noreply@example.org>""#;
    if name.chars().any(|c| c.is_control() || c == '"' || c == '<') || name.chars().count() > 100 {
        return Err(wrong("has a name that cannot be a sender's").help(help));
    }
    naming::email(address).map_err(|why| wrong(why).help(help))?;
    Ok((name.to_owned(), address.to_owned()))
}
