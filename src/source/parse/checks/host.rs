//! The checks of a `Host`.

use std::time::Duration;

use super::{Draft, alerts, hold::targets, is_variable, keys, text, wrong};
use crate::manifest::{host, quantity, window::Window};

/// Acts are remembered for this long.
const LONGEST: Duration = Duration::from_hours(1);

pub(super) fn report(draft: &mut Draft<'_>) {
    if draft.value("/metadata/name").and_then(|name| name.as_str()).is_some_and(|name| name != host::NAME) {
        let help = format!("there is one host, so it has to be `{}`", host::NAME);
        wrong(draft, "/metadata/name", "a Host has no other name", Some(&help));
    }
    window(draft, "/spec/window");
    span(draft, "/spec/budget/window");
    span(draft, "/spec/fights/window");
    for name in keys(draft, "/spec/groups") {
        let group = format!("/spec/groups/{}", name.replace('~', "~0").replace('/', "~1"));
        targets(draft, &format!("{group}/members"));
        window(draft, &format!("{group}/window"));
        span(draft, &format!("{group}/budget/window"));
    }
    alerts::report(draft);
    if let Some(variable) = draft.value("/spec/database/variable").and_then(text)
        && !is_variable(&variable)
    {
        wrong(draft, "/spec/database/variable", &format!("`{variable}` cannot be the name of a variable"), None);
    }
}

/// A time in which something is counted.
fn span(draft: &mut Draft<'_>, pointer: &str) {
    let Some(Ok(span)) = draft.value(pointer).and_then(text).map(|text| text.parse::<quantity::Duration>()) else { return };
    if span.0.is_zero() {
        wrong(draft, pointer, "nothing ever happens within no time", Some("1s is the shortest that makes sense"));
    } else if span.0 > LONGEST {
        wrong(draft, pointer, &format!("{span} is longer than anything is counted"), Some("1h is the longest"));
    }
}

/// The fields of a window that cannot be understood.
pub(super) fn window(draft: &mut Draft<'_>, pointer: &str) {
    let window = draft.value(pointer).and_then(|value| serde_json::from_value::<Window>(value.clone()).ok());
    for problem in window.and_then(|window| window.hours().err()).into_iter().flatten() {
        wrong(draft, &format!("{pointer}/{}", problem.field), &problem.message, None);
    }
}
