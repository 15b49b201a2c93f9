//! The log of the gateway's own life: start, reload, trouble. Lines of requests do not come this way.
//!
//! Invariant: whoever writes a line never waits for whoever reads it.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::OnceLock,
    time::Duration,
};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{line::Format, sink::Sink};

/// There is one standard error, as there is one log.
static LINES: OnceLock<(Sink, Format)> = OnceLock::new();

/// Hands a line over. The layer gives each whole.
struct Line<'s>(&'s Sink);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.send(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends the log to standard error. A second call changes nothing.
///
/// # Errors
/// When the thread that writes cannot be started.
pub fn start(format: Format, level: tracing::Level) -> io::Result<()> {
    let begun = Sink::start(Box::new(io::stderr()))?;
    let (lines, _) = LINES.get_or_init(|| (begun, format));
    // Libraries speak only when something is wrong.
    let filter = EnvFilter::new(format!("warn,hubgate={}", level.as_str().to_ascii_lowercase()));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_writer(move || Line(lines)).with_target(false);
    let _ = match format {
        Format::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        Format::Text => registry.with(layer.with_ansi(io::stderr().is_terminal())).try_init(),
    };
    Ok(())
}

/// Says that a file is not taken up, and what is wrong with it, which `problems` says with colours or without. The lines follow
/// the event where people read it, and are a field of it where that is one object a line.
pub fn not_taken_up(problems: impl FnOnce(bool) -> String) {
    const WHAT: &str = "the changed configuration is not taken up, the one before stays in force";
    match LINES.get() {
        Some((lines, Format::Text)) => {
            tracing::error!("{WHAT}");
            lines.send((problems(true) + "\n").into_bytes());
        }
        Some((_, Format::Json)) | None => tracing::error!(problems = problems(false), "{WHAT}"),
    }
}

/// Lines that standard error did not take.
#[must_use]
pub fn lost() -> u64 {
    LINES.get().map_or(0, |(lines, _)| lines.lost())
}

/// Waits until everything that was said is written, at most `patience`.
pub fn flush(patience: Duration) {
    if let Some((lines, _)) = LINES.get() {
        lines.flush(patience);
    }
}
