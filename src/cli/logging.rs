//! The log: what Mooring says while it works, on standard error.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON object on each line.
    Json,
}

/// Starts the log. An operator tells what it does; a command speaks up only about what is wrong, unless asked.
pub(super) fn start(format: Option<Format>, verbosity: u8, is_operator: bool) {
    let terminal = io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal || !is_operator { Format::Text } else { Format::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter(verbosity, is_operator)).with_writer(io::stderr);
    // It fails only when a log has been started before, and then that one is as good.
    let _ = match format {
        Format::Text => {
            builder.with_ansi(terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())).try_init()
        }
        Format::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
}

/// `RUST_LOG` is for those who know the modules; `-v` for everyone else.
fn filter(verbosity: u8, is_operator: bool) -> EnvFilter {
    let default = match (verbosity, is_operator) {
        (0, false) => "warn",
        (0, true) => "warn,mooring=info",
        (1, _) => "info,mooring=debug",
        (_, _) => "debug,mooring=trace",
    };
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default))
}
