//! Redirect URIs: the registered address on the first line, the one that is asked for on the second. They are the same
//! text, or loopback addresses that differ in the port, or a relative address below the service's own.
#![no_main]

use hubgate::{
    model::service::Profile,
    oauth::authorize::redirect_uri::{is_plausible, is_registered},
};
use libfuzzer_sys::fuzz_target;

const HOME: &str = "https://home.example/app";

/// Without the port, if it is a loopback address that has one.
fn portless(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("http://")?;
    let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| rest.starts_with(host))?;
    let after = &rest[host.len()..];
    let after =
        after.strip_prefix(':').map_or(after, |port| port.trim_start_matches(|c: char| c.is_ascii_digit()));
    Some(format!("http://{host}{after}"))
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((registered, asked)) = text.split_once('\n') else { return };
    let profile = Profile {
        home_url: Some(HOME.to_owned()),
        redirect_uris: vec![registered.to_owned()],
        ..Profile::default()
    };
    assert!(!is_registered(asked, &Profile { redirect_uris: Vec::new(), ..profile.clone() }));
    if !is_registered(asked, &profile) {
        return;
    }
    assert!(is_plausible(asked));
    assert!(!asked.contains(['\r', '\n', '\t', ' ', '\\', '#']), "{asked:?}");
    let scheme = asked.split(':').next().unwrap_or_default().to_ascii_lowercase();
    assert!(
        !["javascript", "data", "vbscript", "file", "blob", "about"].contains(&scheme.as_str()),
        "{asked:?}"
    );
    let same_but_for_the_port = portless(asked).is_some() && portless(asked) == portless(registered);
    let at_home = asked.starts_with("https://home.example/");
    assert!(asked == registered || same_but_for_the_port || at_home, "{registered:?} lets {asked:?} in");
});
