//! Alerts on their way to real servers on this machine: what arrives there, and what is said when nothing does.

#![expect(clippy::unwrap_used, reason = "what cannot be set up is a failed test")]
#![expect(unreachable_pub, reason = "the modules of a test target are seen by nobody else")]

#[expect(dead_code, reason = "it is made for more than is needed here")]
#[path = "../support/receiver.rs"]
mod receiver;

mod program;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mooring::{
    alerts::{Alert, Id, Notification, State, policy::Way, words::Letter},
    deliver::{Channel, Error},
    manifest::{
        Key, Kind,
        alerts::{Email, Endpoint, Severity, Tls, Variable},
    },
    secret::Secret,
};
use receiver::{Http, Manner, Smtp, nobody};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn notification(id: &str, state: State, earlier: &[&str]) -> Notification {
    let alert = Alert {
        id: Id::of_object(Key::new(Kind::Container, "web"), "CrashLoop"),
        severity: Severity::Critical,
        message: "given up after 3 tries (it exited with 1)".to_owned(),
        since: at("2026-01-02T03:04:05Z"),
        over: (state == State::Resolved).then(|| at("2026-01-02T03:14:05Z")),
    };
    let earlier: BTreeSet<String> = earlier.iter().map(|id| (*id).to_owned()).collect();
    let (id, receiver) = (id.to_owned(), "ops".to_owned());
    Notification { id, receiver, state, at: at("2026-01-02T03:04:45Z"), alerts: vec![alert], earlier }
}

fn variable(name: &str) -> Variable {
    Variable { environment: "shop".to_owned(), variable: name.to_owned() }
}

/// The values of the environment `shop`.
fn send(way: &Way, values: &[(&str, String)], notification: &Notification) -> Result<(), Error> {
    let values: BTreeMap<&str, &String> = values.iter().map(|(name, value)| (*name, value)).collect();
    let value = |Variable { variable, .. }: &Variable| match values.get(variable.as_str()) {
        Some(value) => Ok(Secret::new((*value).clone())),
        None => Err(format!("{variable} has no value in Environment/shop")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let channel = Channel::open(way, &value)?;
    runtime.block_on(channel.send(&Letter { notification, host: "shop-1" }, at("2026-01-02T03:05:00Z")))
}

fn endpoint(url: String) -> Endpoint {
    Endpoint { url: Some(url), ..Endpoint::default() }
}

#[test]
fn a_webhook_gets_json_with_the_headers_and_the_secrets_of_its_environment() {
    let server = Http::new(Manner::Answers(Vec::new()));
    let way = Way::Webhook(Endpoint {
        url_from: Some(variable("ALERT_URL")),
        headers: BTreeMap::from([("X-Team".to_owned(), "ops".to_owned())]),
        authorization_from: Some(variable("ALERT_AUTH")),
        ..Endpoint::default()
    });
    let values = [("ALERT_URL", server.url("/hooks/T0K3N?x=1")), ("ALERT_AUTH", "Bearer hunter2\n".to_owned())];
    send(&way, &values, &notification("a1", State::Firing, &[])).unwrap();
    let [request] = server.heard().try_into().unwrap();
    let head = request.head.to_ascii_lowercase();
    for line in
        ["post /hooks/t0k3n?x=1 http/1.1", "x-team: ops", "authorization: bearer hunter2", "content-type: application/json"]
    {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert_eq!(
        (&request.body["status"], &request.body["host"], &request.body["id"]),
        (&"firing".into(), &"shop-1".into(), &"a1".into())
    );
    assert_eq!(request.body["alerts"][0]["subject"], "Container/web");
}

#[test]
fn a_chat_and_an_alertmanager_get_what_they_understand() {
    let server = Http::new(Manner::Answers(Vec::new()));
    send(&Way::Slack(endpoint(server.url("/services/T/B/X"))), &[], &notification("a1", State::Firing, &[])).unwrap();
    send(&Way::Alertmanager(endpoint(server.url("/"))), &[], &notification("a2", State::Resolved, &[])).unwrap();
    let [slack, alertmanager] = server.heard().try_into().unwrap();
    assert_eq!(slack.body["text"], "[firing] Container/web: CrashLoop on shop-1");
    assert!(alertmanager.head.starts_with("POST /api/v2/alerts HTTP/1.1\r\n"), "{}", alertmanager.head);
    assert_eq!(alertmanager.body[0]["labels"]["alertname"], "CrashLoop");
    assert_eq!(alertmanager.body[0]["endsAt"], "2026-01-02T03:14:05.000Z");
}

#[test]
fn a_refusal_says_why_and_repeats_no_token() {
    // The server answers with the first line of the request, as many do.
    let server = Http::new(Manner::Answers(vec![500, 404, 429]));
    let way = Way::Webhook(Endpoint { url_from: Some(variable("ALERT_URL")), ..Endpoint::default() });
    let values = [("ALERT_URL", server.url("/hooks/T0K3N"))];
    let mut refusals = Vec::new();
    for _ in 0..3 {
        let error = send(&way, &values, &notification("a1", State::Firing, &[])).unwrap_err();
        refusals.push((error.to_string(), error.is_final()));
    }
    let refused = |status: u16| format!("it was refused: status {status}");
    assert_eq!(refusals, [(refused(500), false), (refused(404), true), (refused(429), false)]);
    send(&way, &values, &notification("a1", State::Firing, &[])).unwrap();
}

#[test]
fn what_is_missing_or_not_there_is_said_without_a_secret() {
    let way = Way::Webhook(Endpoint { url_from: Some(variable("ALERT_URL")), ..Endpoint::default() });
    let told = |values: &[(&str, String)]| {
        let error = send(&way, values, &notification("a1", State::Firing, &[])).unwrap_err();
        assert!(!error.is_final());
        mooring::error_chain(&error)
    };
    assert_eq!(told(&[]), "ALERT_URL has no value in Environment/shop");
    let url = |url: String| [("ALERT_URL", url)];
    let invalid = told(&url("hooks.example.test/T0K3N".to_owned()));
    assert!(invalid.starts_with("the address cannot be used: expected a URL") && !invalid.contains("T0K3N"), "{invalid}");
    let refused = told(&url(format!("http://127.0.0.1:{}/T0K3N", nobody())));
    assert!(refused.contains("refused") && !refused.contains("T0K3N"), "{refused}");
    // Who speaks in the clear where a secret connection is wanted hears nothing but a greeting.
    let server = Http::new(Manner::Answers(Vec::new()));
    let clear = told(&url(server.url("/T0K3N").replace("http://", "https://")));
    assert!(!clear.contains("T0K3N"), "{clear}");
    assert!(server.heard().is_empty());
}

fn email(port: u16, tls: Tls) -> Email {
    Email {
        smtp: format!("127.0.0.1:{port}"),
        tls,
        from: "Mooring <mooring@shop.test>".to_owned(),
        to: vec!["ops@shop.test".to_owned(), "Night <night@shop.test>".to_owned()],
        username: None,
        password_from: None,
    }
}

#[test]
fn a_mail_says_what_it_is_about_and_the_end_stands_below_the_beginning() {
    let server = Smtp::new();
    let way = Way::Email(email(server.server.port, Tls::None));
    send(&way, &[], &notification("a1", State::Firing, &[])).unwrap();
    send(&way, &[], &notification("b2", State::Resolved, &["a1"])).unwrap();
    let [firing, resolved] = server.mails().try_into().unwrap();
    for line in [
        "Subject: [firing] Container/web: CrashLoop on shop-1",
        "Message-ID: <a1@shop-1>",
        "Auto-Submitted: auto-generated",
        "Container/web: CrashLoop, critical, since 2026-01-02T03:04:05Z: given up",
    ] {
        assert!(firing.contains(line), "{line} in {firing}");
    }
    assert!(!firing.contains("In-Reply-To"));
    for line in ["Subject: [resolved] Container/web: CrashLoop on shop-1", "In-Reply-To: <a1@shop-1>", "References: <a1@shop-1>"]
    {
        assert!(resolved.contains(line), "{line} in {resolved}");
    }
    let to: Vec<_> = server.said().into_iter().filter(|said| said.starts_with("RCPT")).collect();
    assert_eq!(to[..2], ["RCPT TO:<ops@shop.test>", "RCPT TO:<night@shop.test>"]);
}

#[test]
fn a_mail_server_without_tls_is_told_nothing_unless_that_is_wanted() {
    for tls in [Tls::StartTls, Tls::Tls] {
        let server = Smtp::new();
        let account = (Some("mooring".to_owned()), Some(variable("SMTP_PASSWORD")));
        let email = Email { username: account.0, password_from: account.1, ..email(server.server.port, tls) };
        let values = [("SMTP_PASSWORD", "hunter2".to_owned())];
        let error = send(&Way::Email(email), &values, &notification("a1", State::Firing, &[])).unwrap_err();
        assert!(!mooring::error_chain(&error).contains("hunter2"));
        let said = server.said();
        assert!(said.iter().all(|said| !said.starts_with("AUTH") && !said.starts_with("MAIL")), "{tls:?}: {said:?}");
        assert!(server.mails().is_empty());
    }
}

#[test]
fn a_mailbox_that_there_is_not_is_a_refusal_for_good() {
    let server = Smtp::new();
    let email = Email { to: vec!["nobody@shop.test".to_owned()], ..email(server.server.port, Tls::None) };
    let error = send(&Way::Email(email), &[], &notification("a1", State::Firing, &[])).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.is_final()), ("it was refused: code 550", true));
}
