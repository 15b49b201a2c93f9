//! Any text is a configuration or a list of problems that can be shown.
#![no_main]

use std::path::Path;

use hubgate::config::{self, Environment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // A secret from a file would have the fuzzer read files of its own invention, devices among them.
    if text.contains("file") {
        return;
    }
    match config::parse(text, Path::new("gateway.toml"), &Environment::empty()) {
        Ok(config) => assert!(!config.listen.https.is_empty()),
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(!problems.render(false).is_empty());
        }
    }
});
