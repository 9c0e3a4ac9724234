//! The only place that writes: answers to standard output, everything else to
//! standard error, colours only where a terminal shows them.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::Error;

/// What is good.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// What needs attention.
pub(super) const WARN: Style = AnsiColor::Yellow.on_default();
/// What is bad.
pub(super) const BAD: Style = AnsiColor::Red.on_default();
/// Headings.
pub(super) const STRONG: Style = Style::new().bold();
/// What is less important.
pub(super) const FAINT: Style = Style::new().dimmed();
/// Nothing special.
pub(super) const PLAIN: Style = Style::new();

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs.
    Json,
}

/// Shorter waits do not make anybody wonder.
const PATIENCE: Duration = Duration::from_secs(1);
/// Smooth enough for the eye, cheap enough for a remote terminal.
const SPIN: Duration = Duration::from_millis(120);

/// Writes an answer, as it is.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)
}

/// Writes one line of an answer.
pub(super) fn line(text: &str) -> Result<(), Error> {
    print(&format!("{text}\n"))
}

/// Puts a newline behind each line.
pub(super) fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().fold(String::new(), |text, line| text + &line + "\n")
}

/// Writes an answer for programs, laid out for people.
pub(super) fn json(value: &impl Serialize) -> Result<(), Error> {
    line(&serde_json::to_string_pretty(value).expect("answers have string keys and no failing serializer"))
}

/// Writes one of many answers for programs, on one line.
pub(super) fn json_line(value: &impl Serialize) -> Result<(), Error> {
    line(&serde_json::to_string(value).expect("answers have string keys and no failing serializer"))
}

/// A value as YAML.
pub(super) fn yaml(value: &impl Serialize) -> String {
    serde_yaml::to_string(value).expect("answers have string keys and no failing serializer")
}

/// Says something beside the answer.
pub(super) fn note(text: &str) {
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(anstream::stderr(), "{FAINT}note:{FAINT:#} {text}");
}

/// Says beside the answer what is wrong.
pub(super) fn warning(text: &str) {
    let _ = writeln!(anstream::stderr(), "{WARN}warning:{WARN:#} {}", printable(text));
}

/// Says why there is no answer.
pub(super) fn report(error: &Error) -> ExitCode {
    if error.is_closed_pipe() {
        return ExitCode::SUCCESS;
    }
    let _ = anstream::stderr().write_all(describe(error).as_bytes());
    ExitCode::from(2)
}

/// An error, its causes, and what to do about it.
pub(super) fn describe(error: &Error) -> String {
    let (bad, strong) = (BAD.bold(), STRONG);
    let mut told = Vec::new();
    if let Error::Refused(problems) = error {
        told.extend(problems.iter().map(|problem| printable(&problem.to_string())));
    }
    told.push(format!("{bad}error:{bad:#} {}", printable(&error.to_string())));
    let error_as_such: &dyn std::error::Error = error;
    let causes = std::iter::successors(error_as_such.source(), |cause| cause.source());
    told.extend(causes.map(|cause| format!("  because {}", printable(&cause.to_string()))));
    told.extend(error.help().map(|help| format!("{strong}help:{strong:#} {}", printable(&help))));
    lines(told)
}

/// Takes out what a terminal would act on: names and messages come from containers and files, not only from us.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Shows that something is going on when it takes longer than people like.
pub(super) async fn patiently<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = tokio::time::timeout(PATIENCE, work.as_mut()).await {
        return done;
    }
    let spinner = spinner(what);
    let done = work.await;
    spinner.finish_and_clear();
    done
}

/// A sign of life on a terminal; nothing elsewhere.
pub(super) fn spinner(what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    spinner.set_message(what.to_owned());
    spinner.enable_steady_tick(SPIN);
    spinner
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_and_what_to_do() {
        let missing = io::Error::new(io::ErrorKind::NotFound, "no such file");
        let error = Error::Client(super::super::client::Error::NoOperator {
            socket: "/var/lib/mooring/mooring.sock".into(),
            source: missing,
        });
        expect![[r#"
            error: no mooring runs with the control socket /var/lib/mooring/mooring.sock
              because no such file
            help: start it with `mooring run`, or name its state directory with --state DIR
        "#]]
        .assert_eq(&anstream::adapter::strip_str(&describe(&error)).to_string());
    }

    #[test]
    fn a_message_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{7}"), "a [2Jb c ");
    }
}
