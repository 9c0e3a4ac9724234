//! The checks of what a `Host` says about alerts.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use super::{Draft, each, has, is_variable, keys, misplaced, missing, text, wrong};
use crate::{
    alerts::address::{HttpAddress, MailServer, is_header, is_header_value, is_mailbox},
    manifest::{
        alerts::{Repeat, Target, Tls},
        hold::moment,
        quantity,
    },
};

/// The ways of telling somebody; a receiver has one.
const WAYS: [&str; 4] = ["webhook", "slack", "alertmanager", "email"];
/// Whoever wants to be told later than this wants a report.
const LONGEST: Duration = Duration::from_hours(24);
/// Telling the same thing more often than this is noise.
const SHORTEST_REPEAT: Duration = Duration::from_mins(1);

pub(super) fn report(draft: &mut Draft<'_>) {
    for field in ["delay", "group"] {
        let pointer = format!("/spec/alerts/{field}");
        let span = draft.value(&pointer).and_then(text).and_then(|text| text.parse::<quantity::Duration>().ok());
        if span.is_some_and(|span| span.0 > LONGEST) {
            wrong(draft, &pointer, "nobody wants to be told that late", Some("24h is the longest"));
        }
    }
    let repeat = draft.value("/spec/alerts/repeat").and_then(text).and_then(|text| text.parse::<Repeat>().ok());
    if let Some(Repeat(Some(every))) = repeat
        && every.0 < SHORTEST_REPEAT
    {
        let help = "1m is the shortest; `never` tells everything once";
        wrong(draft, "/spec/alerts/repeat", &format!("{every} is too often to tell the same thing"), Some(help));
    }
    for at in 0..length(draft, "/spec/alerts/mute") {
        mute(draft, &format!("/spec/alerts/mute/{at}"));
    }
    let mut names = BTreeSet::new();
    for at in 0..length(draft, "/spec/alerts/receivers") {
        let pointer = format!("/spec/alerts/receivers/{at}");
        if let Some(name) = draft.value(&format!("{pointer}/name")).and_then(text)
            && !names.insert(name.clone())
        {
            wrong(draft, &format!("{pointer}/name"), &format!("another receiver is called `{name}`"), None);
        }
        receiver(draft, &pointer);
    }
}

fn length(draft: &Draft<'_>, pointer: &str) -> usize {
    draft.value(pointer).and_then(Value::as_array).map_or(0, Vec::len)
}

fn mute(draft: &mut Draft<'_>, pointer: &str) {
    each::<Target>(draft, &format!("{pointer}/targets"));
    let is_empty = |field: &str| length(draft, &format!("{pointer}/{field}")) == 0;
    if is_empty("targets") && is_empty("reasons") {
        missing(draft, &format!("{pointer}/targets"), "say what is not to be told: `targets`, `reasons`, or both");
    }
    let until = format!("{pointer}/until");
    // One that is over is no mistake: time has passed.
    if let Some(Err(error)) = draft.value(&until).and_then(text).map(|text| moment(&text)) {
        wrong(draft, &until, &error.to_string(), None);
    }
}

fn receiver(draft: &mut Draft<'_>, pointer: &str) {
    each::<Target>(draft, &format!("{pointer}/only"));
    let ways: Vec<&str> = WAYS.into_iter().filter(|way| has(draft, &format!("{pointer}/{way}"))).collect();
    match ways.as_slice() {
        [] => missing(draft, &format!("{pointer}/webhook"), "a receiver has one of webhook, slack, alertmanager and email"),
        [_] => {}
        [first, others @ ..] => {
            for other in others {
                let help = "make two receivers of it";
                misplaced(draft, &format!("{pointer}/{other}"), &format!("cannot be given beside `{first}`"), Some(help));
            }
        }
    }
    for way in ways {
        let pointer = format!("{pointer}/{way}");
        if way == "email" { email(draft, &pointer) } else { endpoint(draft, &pointer) }
    }
}

fn endpoint(draft: &mut Draft<'_>, pointer: &str) {
    if draft.value(pointer).is_none_or(|endpoint| !endpoint.is_object()) {
        return;
    }
    let (url, url_from) = (format!("{pointer}/url"), format!("{pointer}/urlFrom"));
    match (draft.value(&url).and_then(text), has(draft, &url_from)) {
        (None, false) => missing(draft, &url, "give the URL here, or name the variable that has it in `urlFrom`"),
        (Some(_), true) => misplaced(draft, &url_from, "cannot be given beside `url`", None),
        // The text itself is not repeated: a token is often part of it.
        (Some(text), false) => {
            if let Err(error) = text.parse::<HttpAddress>() {
                wrong(draft, &url, &error.to_string(), None);
            }
        }
        (None, true) => {}
    }
    variable(draft, &url_from);
    let authorization = format!("{pointer}/authorizationFrom");
    variable(draft, &authorization);
    for name in keys(draft, &format!("{pointer}/headers")) {
        let header = format!("{pointer}/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        if !is_header(name) {
            misplaced(draft, &header, "is not the name of a header", None);
        } else if name.eq_ignore_ascii_case("authorization") && has(draft, &authorization) {
            misplaced(draft, &header, "cannot be given beside `authorizationFrom`", None);
        } else if draft.value(&header).and_then(text).is_some_and(|value| !is_header_value(&value)) {
            wrong(draft, &header, "the value has characters that no header can have", None);
        }
    }
}

fn email(draft: &mut Draft<'_>, pointer: &str) {
    let smtp = format!("{pointer}/smtp");
    if let Some(Err(error)) = draft.value(&smtp).and_then(text).map(|text| MailServer::parse(&text, Tls::default())) {
        wrong(draft, &smtp, &error.to_string(), None);
    }
    let to = super::entries(draft, &format!("{pointer}/to"));
    let from = draft.value(&format!("{pointer}/from")).and_then(text).map(|text| (format!("{pointer}/from"), text));
    for (pointer, text) in from.into_iter().chain(to) {
        if !is_mailbox(&text) {
            let message = format!("`{text}` is neither ops@example.test nor Operations <ops@example.test>");
            wrong(draft, &pointer, &message, None);
        }
    }
    let (username, password) = (format!("{pointer}/username"), format!("{pointer}/passwordFrom"));
    variable(draft, &password);
    match (has(draft, &username), has(draft, &password)) {
        (true, false) => missing(draft, &password, "a server that wants a name wants a password as well"),
        (false, true) => missing(draft, &username, "a password is of no use without a name"),
        (true, true) if draft.value(&format!("{pointer}/tls")).and_then(text).as_deref() == Some("none") => {
            let help = "use `tls: starttls` or `tls: tls`";
            misplaced(draft, &password, "would be sent for everybody to read, as `tls: none` asks for", Some(help));
        }
        (true, true) | (false, false) => {}
    }
}

/// Where a secret stands.
fn variable(draft: &mut Draft<'_>, pointer: &str) {
    let pointer = format!("{pointer}/variable");
    if let Some(variable) = draft.value(&pointer).and_then(text)
        && !is_variable(&variable)
    {
        wrong(draft, &pointer, &format!("`{variable}` cannot be the name of a variable"), None);
    }
}
