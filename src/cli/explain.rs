//! `mooring explain`: what a field means.

use clap::Args;

use super::{
    Error, Exit,
    output::{self, FAINT, Format, STRONG},
};
use crate::{
    manifest::Kind,
    source::schema::{Explanation, explain},
};

/// Explain a kind or one of its fields, offline
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring explain container
  mooring explain container.spec.probe.http
  mooring explain env.secrets")]
pub(super) struct ExplainArgs {
    /// KIND or KIND.path.to.field; `spec` may be left out
    #[arg(value_name = "KIND[.FIELD]")]
    field: String,
    /// How to write it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(args: &ExplainArgs) -> Result<Exit, Error> {
    let mut words = args.field.split(['.', '/']).filter(|word| !word.is_empty());
    let kind: Kind = words.next().unwrap_or_default().parse().map_err(|error| Error::Usage {
        message: format!("{error}"),
        help: "say KIND or KIND.path.to.field, as in `container.spec.image`".to_owned(),
    })?;
    let explanation = explain(kind, &words.collect::<Vec<_>>())?;
    match args.output {
        Format::Json => output::json(&explanation)?,
        Format::Text => output::print(&rendered(&explanation))?,
    }
    Ok(Exit::Good)
}

fn rendered(explanation: &Explanation) -> String {
    let Explanation { kind, path, expects, description, required, default, allowed, children } = explanation;
    let is_field = !path.is_empty();
    let facts = [
        Some(("Kind", kind.to_string())),
        is_field.then(|| ("Field", path.clone())),
        is_field.then(|| ("Expects", format!("{expects}{}", self::required(*required)))),
        default.clone().map(|default| ("Default", default)),
    ];
    let facts = facts.into_iter().flatten().map(|(name, value)| format!("{STRONG}{:<10}{STRONG:#}{value}", format!("{name}:")));
    let values = list("Values", allowed.clone());
    let fields = children.iter().map(|child| {
        let name = format!("{} {FAINT}{}{}{FAINT:#}", child.name, child.expects, self::required(child.required));
        (name, child.summary.clone())
    });
    let fields = list("Fields", fields.collect());
    output::lines(facts.chain([String::new(), description.clone()]).chain(values).chain(fields))
}

fn required(required: bool) -> &'static str {
    if required { ", required" } else { "" }
}

fn list(heading: &str, entries: Vec<(String, String)>) -> Vec<String> {
    if entries.is_empty() {
        return Vec::new();
    }
    let heading = [String::new(), format!("{STRONG}{heading}:{STRONG:#}")];
    let lines = entries.into_iter().flat_map(|(name, meaning)| {
        let meaning = (!meaning.is_empty()).then(|| format!("      {meaning}"));
        std::iter::once(format!("  {name}")).chain(meaning)
    });
    heading.into_iter().chain(lines).collect()
}
