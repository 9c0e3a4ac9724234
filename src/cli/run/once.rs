//! `mooring run --once`: converge, and say what it came to.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    cli::{
        Error, Exit,
        get::name,
        output::{self, Format, GOOD, WARN},
    },
    controller::{self, Context, operator::list_audit},
    manifest::Key,
    view::{AuditQuery, AuditView},
};

/// All there can be of one run; what is older is not ours.
const STEPS: usize = 10_000;

/// Converges, and says what was done and what is left.
pub(super) async fn once(ctx: &Arc<Context>, limit: Duration, format: Format) -> Result<Exit, Error> {
    let before = list_audit(&ctx.record.journal, &AuditQuery::newest(1))
        .await
        .map_err(Error::Operator)?
        .last()
        .map_or(0, |entry| entry.id);
    let outcome = output::patiently("converging", controller::once::once(ctx, limit)).await;
    let mut steps = list_audit(&ctx.record.journal, &AuditQuery::newest(STEPS)).await.map_err(Error::Operator)?;
    steps.retain(|step| step.id > before);
    let (problems, trouble) = (ctx.desired.problems(), ctx.desired.trouble());
    ctx.close().await;
    let report = Report {
        converged: outcome.is_converged() && problems.is_empty() && trouble.is_none(),
        steps,
        unresolved: outcome.unresolved,
    };
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => output::print(&report.rendered())?,
    }
    match trouble {
        Some(trouble) => Err(Error::Operator(trouble)),
        None if !problems.is_empty() => Err(Error::Refused(problems)),
        None if report.converged => Ok(Exit::Good),
        None => Ok(Exit::Differs),
    }
}

/// What converging once came to.
#[derive(Debug, Serialize)]
struct Report {
    converged: bool,
    steps: Vec<AuditView>,
    unresolved: BTreeMap<Key, String>,
}

impl Report {
    fn rendered(&self) -> String {
        let steps = self.steps.iter().map(|step| {
            let error = step.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            let line = format!("{}: {}, because {} ({}{error})", step.object, step.action, step.because, step.outcome);
            output::printable(&line)
        });
        let unresolved = self
            .unresolved
            .iter()
            .map(|(key, reason)| format!("{WARN}{} is not as declared:{WARN:#} {}", name(key), output::printable(reason)));
        let verdict = if self.converged {
            format!("{GOOD}Everything is as declared.{GOOD:#}")
        } else {
            "Not everything is as declared.".to_owned()
        };
        output::lines(steps.chain(unresolved).chain([verdict]))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{http::fake, manifest::Kind};

    #[test]
    fn a_single_run_says_what_was_done_and_what_is_left() {
        let unresolved = BTreeMap::from([(Key::new(Kind::Container, "api"), "Container/web is not healthy".to_owned())]);
        let report = Report { converged: false, steps: vec![fake::entry()], unresolved };
        expect![[r#"
            Container/web: start web, because it exited with 137 (done)
            container/api is not as declared: Container/web is not healthy
            Not everything is as declared.
        "#]]
        .assert_eq(&anstream::adapter::strip_str(&report.rendered()).to_string());
    }
}
