//! `mooring why`: what was seen, which rule followed from it, what was done, and what shows that it helped.

use clap::Args;
use jiff::Timestamp;

use super::{
    Error, Exit,
    age::{age, moment},
    backend::Backend,
    output::{self, Format, STRONG},
    selection,
};
use crate::{
    settings::Settings,
    view::{WhyStep, WhyView},
};

/// Say why Mooring did what it last did for an object, from the record alone
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring why container/web
  mooring why container/web --act 532
  mooring why env/shop -o json

Exit codes: 0 it is told, 1 nothing is on record, 2 it could not be asked")]
pub(super) struct WhyArgs {
    /// KIND/NAME or KIND NAME
    #[arg(value_name = "OBJECT", required = true)]
    object: Vec<String>,
    /// The act of this number in `mooring audit log`, instead of the last one
    #[arg(long, value_name = "ID")]
    act: Option<i64>,
    /// How to write it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(settings: &Settings, args: WhyArgs) -> Result<Exit, Error> {
    let key = selection::one(&args.object)?;
    let Some(why) = Backend::any(settings).await?.why(&key, args.act).await? else {
        output::note(&match args.act {
            Some(act) => format!("act {act} is not one for {key}"),
            None => format!("nothing is on record for {key}"),
        });
        return Ok(Exit::Differs);
    };
    match args.output {
        Format::Json => output::json(&why)?,
        Format::Text => output::print(&rendered(&why, Timestamp::now()))?,
    }
    Ok(Exit::Good)
}

fn rendered(why: &WhyView, now: Timestamp) -> String {
    let WhyView { object, at, actor, pass, seen, fields, generation, rule, rule_says, steps, outcome, proof, lately } = why;
    let who = if actor == "reconciler" { "Mooring itself" } else { actor };
    let part = |name: &str, text: &str| format!("{STRONG}{:<9}{STRONG:#} {}", format!("{name}:"), output::printable(text));
    let more = |text: &str| format!("          {}", output::printable(text));
    let mut told = vec![format!("{STRONG}{object}{STRONG:#}, {} ago ({}), by {who}", age(at, now), moment(at))];
    told.push(part("Seen", seen));
    told.extend(fields.iter().map(|field| more(field)));
    if let Some(generation) = generation {
        told.push(part("Wanted", &format!("generation {generation} of its manifest")));
    }
    told.push(match rule_says {
        Some(says) => part("Rule", &format!("{rule}: {says}")),
        None => part("Rule", rule),
    });
    let mut numbers = steps.iter().enumerate().map(|(at, step)| line(at + 1, step, seen));
    told.push(part("Done", &numbers.next().unwrap_or_default()));
    told.extend(numbers.map(|line| more(&line)));
    told.push(part("Outcome", outcome));
    let mut proof = proof.iter();
    told.push(part("Proof", proof.next().map_or("none is on record", String::as_str)));
    told.extend(proof.map(|proof| more(proof)));
    if *lately > 1 {
        told.push(part("Again", &format!("the same was the reason {lately} times within an hour, this time included")));
    }
    if let Some(pass) = pass {
        told.push(part("Pass", pass));
    }
    output::lines(told)
}

fn line(number: usize, step: &WhyStep, seen: &str) -> String {
    let WhyStep { id, action, because, outcome, error, took_millis } = step;
    let because = if because == seen { String::new() } else { format!(", because {because}") };
    let took = took_millis.map_or_else(String::new, |took| format!(" after {took} ms"));
    let error = error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    format!("{number}. {action}{because}: {outcome}{took}{error} (act {id})")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::http::fake;

    #[test]
    fn it_can_be_understood_at_night() {
        let now = "2026-01-02T03:16:05Z".parse().unwrap();
        let why = fake::why();
        let failed = WhyStep {
            id: 9,
            because: "an earlier try did not help".to_owned(),
            outcome: "failed".to_owned(),
            error: Some("port is taken".to_owned()),
            ..why.steps[0].clone()
        };
        let why = WhyView {
            steps: vec![why.steps[0].clone(), failed],
            fields: vec!["image: wanted web:2, seen web:1".to_owned()],
            ..why
        };
        expect![[r#"
            Container/web, 11m ago (2026-01-02T03:04:05Z), by Mooring itself
            Seen:     it exited with 137
                      image: wanted web:2, seen web:1
            Wanted:   generation 3 of its manifest
            Rule:     NotRunning: what stands still is started
            Done:     1. start web: done after 212 ms (act 7)
                      2. start web, because an earlier try did not help: failed after 212 ms: port is taken (act 9)
            Outcome:  every step was done
            Proof:    Ready since 2026-01-02T03:04:05.600Z: it is as declared
            Again:    the same was the reason 3 times within an hour, this time included
            Pass:     p1
        "#]]
        .assert_eq(&anstream::adapter::strip_str(&rendered(&why, now)).to_string());
    }
}
