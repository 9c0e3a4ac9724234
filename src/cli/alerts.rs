//! `mooring alerts`: what is wrong, who was told, and whether they can be told.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::{
    Error, Exit,
    age::age,
    backend::Backend,
    output::{self, BAD, Format, GOOD, PLAIN, WARN},
    table::Table,
};
use crate::{
    settings::Settings,
    view::{AlertView, SentView},
};

const NO_RECEIVERS: &str = "there are no receivers; declare some in `spec.alerts.receivers` of the Host";

/// Show what is wrong and who was told, or send a test
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring alerts
  mooring alerts -o json
  mooring alerts test
  mooring alerts test ops

Exit codes: 0 it is shown, or every test was taken, 1 a test was not taken, 2 it could not be asked")]
pub(super) struct AlertsArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    /// How to write it
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Send a test to one receiver, or to all, and show what each said
    #[command(after_help = "Examples:\n  mooring alerts test\n  mooring alerts test ops")]
    Test {
        /// The receiver's name; all, without one
        receiver: Option<String>,
    },
}

pub(super) async fn run(settings: &Settings, args: AlertsArgs) -> Result<Exit, Error> {
    let backend = Backend::any(settings).await?;
    match args.command {
        None => list(&backend.alerts().await?, args.output),
        Some(Sub::Test { receiver }) => tested(&backend.test_alerts(receiver.as_deref()).await?, args.output),
    }
}

fn list(alerts: &[AlertView], format: Format) -> Result<Exit, Error> {
    match format {
        Format::Json => output::json(&json!({"items": alerts}))?,
        Format::Text if alerts.is_empty() => output::note("nothing is wrong that anybody would be told"),
        Format::Text => output::print(&rendered(alerts, Timestamp::now()))?,
    }
    Ok(Exit::Good)
}

fn rendered(alerts: &[AlertView], now: Timestamp) -> String {
    let mut table = Table::new(&["SUBJECT", "REASON", "SEVERITY", "AGE", "TOLD", "MESSAGE"]);
    for AlertView { subject, reason, about, severity, message, since, over, is_muted, told } in alerts {
        let reason = if about.is_empty() { reason.clone() } else { format!("{reason} ({about})") };
        let told: Vec<String> = told
            .iter()
            .map(|told| if told.state == "told" { told.receiver.clone() } else { format!("{} ({})", told.receiver, told.state) })
            .collect();
        let told = match (is_muted, told.is_empty()) {
            (true, true) => "muted".to_owned(),
            (false, true) => "nobody".to_owned(),
            (_, false) => told.join(", "),
        };
        let severity = if over.is_some() { "over".to_owned() } else { severity.clone() };
        let style = match severity.as_str() {
            "critical" => BAD,
            "over" => PLAIN,
            _ => WARN,
        };
        table.row([subject.clone(), reason, severity, age(since, now), told, message.clone()], style);
    }
    table.render()
}

fn tested(sent: &[SentView], format: Format) -> Result<Exit, Error> {
    match format {
        Format::Json => output::json(&json!({"items": sent}))?,
        Format::Text if sent.is_empty() => output::note(NO_RECEIVERS),
        Format::Text => {
            let mut table = Table::new(&["RECEIVER", "ANSWER"]);
            for SentView { receiver, error } in sent {
                let style = if error.is_some() { BAD } else { GOOD };
                table.row([receiver.clone(), error.clone().unwrap_or_else(|| "it was taken".to_owned())], style);
            }
            output::print(&table.render())?;
        }
    }
    Ok(if sent.iter().any(|sent| sent.error.is_some()) { Exit::Differs } else { Exit::Good })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::http::fake;

    #[test]
    fn every_alert_shows_who_knows_of_it() {
        let muted = AlertView {
            subject: "Host".to_owned(),
            reason: "BudgetSpent".to_owned(),
            about: "group shop".to_owned(),
            severity: "warning".to_owned(),
            is_muted: true,
            told: Vec::new(),
            ..fake::alert()
        };
        let over = AlertView { over: Some("2026-01-02T03:05:05Z".to_owned()), ..fake::alert() };
        let now = "2026-01-02T03:16:05Z".parse().unwrap();
        let rendered = rendered(&[fake::alert(), muted, over], now);
        expect![[r#"
            SUBJECT         REASON                     SEVERITY   AGE   TOLD                  MESSAGE
            Container/web   CrashLoop                  critical   12m   ops, mail (waiting)   given up after 3 tries
            Host            BudgetSpent (group shop)   warning    12m   muted                 given up after 3 tries
            Container/web   CrashLoop                  over       12m   ops, mail (waiting)   given up after 3 tries
        "#]]
        .assert_eq(&anstream::adapter::strip_str(&rendered).to_string());
    }
}
