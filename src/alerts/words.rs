//! What a message says, in the form that each kind of receiver takes.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Alert, Id, Notification, State};
use crate::manifest::alerts::Severity;

/// The version of the JSON that webhooks get. It changes when a field changes its meaning or goes.
const VERSION: u32 = 1;
/// An Alertmanager takes an alert for over when it has not heard of it for so long: five times as long as it takes us.
const KEPT_ALIVE: SignedDuration = SignedDuration::from_mins(5);
/// What an engine or a program said may be long; nobody reads more than this in a message.
const SHOWN: usize = 1000;

/// A message and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// The message.
    pub notification: &'a Notification,
    /// What this host is called.
    pub host: &'a str,
}

impl Letter<'_> {
    /// What a webhook gets.
    #[must_use]
    pub fn webhook(&self) -> Value {
        let Notification { id, state, at, alerts, .. } = self.notification;
        json!({
            "version": VERSION,
            "id": id,
            "status": state.as_str(),
            "host": self.host,
            "at": text(*at),
            "alerts": alerts.iter().map(one).collect::<Vec<_>>(),
        })
    }

    /// What a chat gets that understands Slack's webhooks.
    #[must_use]
    pub fn slack(&self) -> Value {
        let Notification { state, alerts, .. } = self.notification;
        let attachments = alerts.iter().map(|alert| {
            let color = match (state, alert.severity) {
                (State::Resolved, _) => "good",
                (State::Firing, Severity::Critical) => "danger",
                (State::Firing, Severity::Warning) => "warning",
            };
            let line = line(alert);
            json!({"color": color, "fallback": escaped(&line), "text": escaped(&line)})
        });
        json!({"text": escaped(&self.subject()), "attachments": attachments.collect::<Vec<_>>()})
    }

    /// What an Alertmanager gets at `/api/v2/alerts`.
    #[must_use]
    pub fn alertmanager(&self, now: Timestamp) -> Value {
        let alive_until = now.checked_add(KEPT_ALIVE).unwrap_or(Timestamp::MAX);
        let alert = |alert: &Alert| {
            let Alert { id, severity, message, since, over } = alert;
            let (kind, name) = id.object.as_ref().map_or(("Host", self.host), |key| (key.kind.as_str(), key.name.as_str()));
            let mut labels = Map::new();
            for (label, value) in [
                ("alertname", id.reason.as_str()),
                ("severity", severity.as_str()),
                ("kind", kind),
                ("name", name),
                ("about", id.about.as_str()),
                ("host", self.host),
            ] {
                // A label without a value is none.
                if !value.is_empty() {
                    labels.insert(label.to_owned(), value.into());
                }
            }
            let ends = over.map_or(alive_until, |over| over.max(*since));
            json!({
                "labels": labels,
                "annotations": {"summary": title(id), "description": shown(message)},
                "startsAt": text(*since),
                "endsAt": text(ends),
            })
        };
        self.notification.alerts.iter().map(alert).collect()
    }

    /// What it is about, in a line.
    #[must_use]
    pub fn subject(&self) -> String {
        let Notification { state, alerts, .. } = self.notification;
        let what = match alerts.as_slice() {
            [alert] => title(&alert.id),
            several => {
                let mut reasons: Vec<&str> = several.iter().map(|alert| alert.id.reason.as_str()).collect();
                reasons.sort_unstable();
                reasons.dedup();
                format!("{} alerts ({})", several.len(), reasons.join(", "))
            }
        };
        let subject = format!("[{}] {what} on {}", state.as_str(), self.host);
        // A line break in a header would begin another one.
        subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }

    /// All of it as plain text.
    #[must_use]
    pub fn text(&self) -> String {
        let Notification { id, alerts, .. } = self.notification;
        let lines = alerts.iter().fold(String::new(), |text, alert| text + &line(alert) + "\n\n");
        format!("{lines}-- \nMooring on {}, message {id}\n", self.host)
    }
}

/// As in `Container/web: CrashLoop`.
fn title(id: &Id) -> String {
    let subject = id.subject();
    if id.about.is_empty() { format!("{subject}: {}", id.reason) } else { format!("{subject}: {} ({})", id.reason, id.about) }
}

fn line(alert: &Alert) -> String {
    let Alert { id, severity, message, since, over } = alert;
    let when = match over {
        Some(over) => format!("from {since:.0} to {over:.0}"),
        None => format!("since {since:.0}"),
    };
    format!("{}, {}, {when}: {}", title(id), severity.as_str(), shown(message))
}

fn one(alert: &Alert) -> Value {
    let Alert { id, severity, message, since, over } = alert;
    let mut one = json!({
        "subject": id.subject(),
        "reason": id.reason,
        "severity": severity.as_str(),
        "message": shown(message),
        "since": text(*since),
    });
    if !id.about.is_empty() {
        one["about"] = id.about.as_str().into();
    }
    if let Some(over) = over {
        one["over"] = text(*over).into();
    }
    one
}

/// The beginning of what may be long.
fn shown(message: &str) -> String {
    let mut shown: String = message.chars().take(SHOWN).collect();
    if shown.len() < message.len() {
        shown.push('…');
    }
    shown
}

/// The three characters that mean something to a chat: without this, `<!channel>` in a message would wake everybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn text(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::manifest::{Key, Kind};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn notification(state: State) -> Notification {
        let alert = Alert {
            id: Id::of_object(Key::new(Kind::Container, "web"), "CrashLoop"),
            severity: Severity::Critical,
            message: "given up after 3 tries (it said <!channel> & exited with 1)".to_owned(),
            since: at("2026-01-02T03:04:05Z"),
            over: (state == State::Resolved).then(|| at("2026-01-02T03:14:05Z")),
        };
        let id = "0123456789ab".to_owned();
        let receiver = "ops".to_owned();
        Notification { id, receiver, state, at: at("2026-01-02T03:04:45Z"), alerts: vec![alert], earlier: [].into() }
    }

    #[test]
    fn a_webhook_gets_everything_by_name() {
        let letter = Letter { notification: &notification(State::Resolved), host: "shop-1" };
        expect![[r#"
            {
              "version": 1,
              "id": "0123456789ab",
              "status": "resolved",
              "host": "shop-1",
              "at": "2026-01-02T03:04:45.000Z",
              "alerts": [
                {
                  "subject": "Container/web",
                  "reason": "CrashLoop",
                  "severity": "critical",
                  "message": "given up after 3 tries (it said <!channel> & exited with 1)",
                  "since": "2026-01-02T03:04:05.000Z",
                  "over": "2026-01-02T03:14:05.000Z"
                }
              ]
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&letter.webhook()).unwrap());
    }

    #[test]
    fn a_chat_gets_lines_in_which_nothing_is_a_command() {
        let letter = Letter { notification: &notification(State::Firing), host: "shop-1" };
        let slack = letter.slack();
        assert_eq!(slack["text"], "[firing] Container/web: CrashLoop on shop-1");
        assert_eq!(slack["attachments"][0]["color"], "danger");
        let text = slack["attachments"][0]["text"].as_str().unwrap();
        assert_eq!(
            text,
            "Container/web: CrashLoop, critical, since 2026-01-02T03:04:05Z: given up after 3 tries (it said &lt;!channel&gt; &amp; \
             exited with 1)"
        );
    }

    #[test]
    fn an_alertmanager_is_told_until_when_to_believe_it() {
        let now = at("2026-01-02T03:05:00Z");
        let ends = |state| {
            let letter = Letter { notification: &notification(state), host: "shop-1" };
            letter.alertmanager(now)[0]["endsAt"].as_str().unwrap().to_owned()
        };
        assert_eq!(ends(State::Firing), "2026-01-02T03:10:00.000Z");
        assert_eq!(ends(State::Resolved), "2026-01-02T03:14:05.000Z");
        let of_host = Notification {
            alerts: vec![Alert { id: Id::of_host("BudgetSpent", "group shop"), ..notification(State::Firing).alerts.remove(0) }],
            ..notification(State::Firing)
        };
        expect![[r#"{"alertname":"BudgetSpent","severity":"critical","kind":"Host","name":"shop-1","about":"group shop","host":"shop-1"}"#]]
            .assert_eq(&Letter { notification: &of_host, host: "shop-1" }.alertmanager(now)[0]["labels"].to_string());
    }

    #[test]
    fn a_subject_is_one_line_whatever_is_in_it() {
        let mut several = notification(State::Firing);
        several.alerts.push(Alert { id: Id::of_host("InvalidManifest", "a\r\nBcc: me.yaml"), ..several.alerts[0].clone() });
        let subject = |notification: &Notification| Letter { notification, host: "shop-1" }.subject();
        assert_eq!(subject(&several), "[firing] 2 alerts (CrashLoop, InvalidManifest) on shop-1");
        several.alerts.remove(0);
        assert_eq!(subject(&several), "[firing] Host: InvalidManifest (a  Bcc: me.yaml) on shop-1");
    }

    #[test]
    fn a_long_message_is_cut_where_a_character_ends() {
        let cut = shown(&"ü".repeat(5000));
        assert_eq!(cut.chars().count(), SHOWN + 1);
        assert!(cut.ends_with('…'));
    }
}
