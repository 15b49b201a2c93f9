//! The log of the gateway's own life: start, reload, trouble. Lines of requests do not come this way.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::line::Format;

/// Sends the log to standard error. A second call changes nothing.
pub fn start(format: Format, level: tracing::Level) {
    // Libraries speak only when something is wrong.
    let filter = EnvFilter::new(format!("warn,hubgate={}", level.as_str().to_ascii_lowercase()));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let _ = match format {
        Format::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        Format::Text => {
            use std::io::IsTerminal as _;
            registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init()
        }
    };
}
