//! `mooring apply`: manifests → files of the desired-state directory.
//!
//! Everything is checked and placed before the first byte is written. Applying
//! never deletes: a file that would lose an object is refused.

mod changes;
mod input;
mod place;
mod uptake;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use self::{changes::Changed, input::Input, uptake::Uptake};
use super::{
    Error, Exit,
    backend::Backend,
    diff,
    get::name,
    output::{self, FAINT, Format, GOOD, WARN},
};
use crate::{
    manifest::Key,
    settings::Settings,
    source::{desired::DesiredDirectory, parse::parse_located},
    view::PlanView,
};

/// Check manifests and put them into the desired-state directory
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring apply -f web.yaml
  mooring apply -f ./shop --dry-run
  sed s/1.26/1.27/ web.yaml | mooring apply -f -",
    long_about = "Check manifests and put them into the desired-state directory, whose files are the truth.\n\nA file keeps its name; documents from standard input become KIND-NAME.yaml. An object that is declared already is replaced where it is, if its file holds nothing else. Nothing is ever deleted: see `mooring delete`."
)]
pub(super) struct ApplyArgs {
    /// A file, a directory, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE", required_unless_present = "paths")]
    files: Vec<PathBuf>,
    /// Another way to name a file or directory
    #[arg(value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// Shows what would change and what would be done about it, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// How to write what changed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// A file that is to be written.
#[derive(Debug)]
struct Placed {
    input: Input,
    file: PathBuf,
}

/// What became of one object.
#[derive(Debug, Serialize)]
struct Applied {
    #[serde(flatten)]
    changed: Changed,
    file: PathBuf,
}

pub(super) async fn run(settings: &Settings, args: ApplyArgs) -> Result<Exit, Error> {
    let files: Vec<PathBuf> = args.files.iter().chain(&args.paths).cloned().collect();
    let inputs = input::read(&files)?;
    apply(settings, inputs, args.dry_run, args.output).await
}

/// Applies documents that a command has written, by the names of their files.
pub(super) async fn texts(
    settings: &Settings,
    texts: Vec<(PathBuf, String)>,
    dry_run: bool,
    output: Format,
) -> Result<Exit, Error> {
    let input = |(file, text): (PathBuf, String)| {
        let manifests = parse_located(&file, text.as_bytes()).map_err(Error::Refused)?;
        Ok(Input { file, bytes: text.into_bytes(), manifests })
    };
    let inputs = texts.into_iter().map(input).collect::<Result<_, Error>>()?;
    apply(settings, inputs, dry_run, output).await
}

async fn apply(settings: &Settings, inputs: Vec<Input>, dry_run: bool, output: Format) -> Result<Exit, Error> {
    let directory = DesiredDirectory::read(&settings.desired)?;
    let placed = place::place(inputs, &directory)?;
    let applied = applied(&placed, &directory);
    let uptake = if dry_run { Uptake::nobody() } else { Uptake::prepare(settings).await };
    if !dry_run {
        write(&placed, &directory)?;
    }
    if output == Format::Text {
        output::print(&rendered(&applied, dry_run))?;
    }
    let plans = if dry_run {
        planned(settings, &placed, &applied).await
    } else {
        uptake.plans(applied.iter().map(|applied| &applied.changed)).await?
    };
    report((dry_run, output), &applied, plans.as_deref())?;
    Ok(Exit::Good)
}

fn applied(placed: &[Placed], directory: &DesiredDirectory) -> Vec<Applied> {
    let objects = placed.iter().flat_map(|placed| placed.input.manifests.iter().map(|located| (&placed.file, &located.manifest)));
    objects
        .map(|(file, manifest)| {
            let old = directory.declarations(&manifest.key());
            let changed = changes::compare(old.first().map(|located| &located.manifest), manifest);
            Applied { changed, file: file.clone() }
        })
        .collect()
}

fn write(placed: &[Placed], directory: &DesiredDirectory) -> Result<(), Error> {
    for Placed { input, file } in placed {
        // A file that says the same is left alone, so that nobody is woken for nothing.
        if directory.reading(file).is_none() || directory.bytes(file)? != input.bytes {
            directory.write(file, &input.bytes)?;
        }
    }
    Ok(())
}

/// What would be done, as far as anybody can tell: the files are right or wrong without that.
async fn planned(settings: &Settings, placed: &[Placed], applied: &[Applied]) -> Option<Vec<PlanView>> {
    // What is not among them is what their plugins would lead to.
    let is_same = |key: &Key| applied.iter().any(|Applied { changed, .. }| changed.object == *key && !changed.is_change());
    let texts: Vec<&[u8]> = placed.iter().map(|placed| placed.input.bytes.as_slice()).collect();
    if !applied.iter().any(|applied| applied.changed.is_change()) {
        return Some(Vec::new());
    }
    let plans = async { Backend::any(settings).await?.plans_if(texts.join(&b"\n---\n"[..])).await };
    match output::patiently("looking at everything", plans).await {
        Ok(plans) => Some(plans.into_iter().filter(|plan| !is_same(&plan.key)).collect()),
        Err(error) => {
            output::note(&format!("what would be done cannot be said: {}", output::printable(&crate::error_chain(&error))));
            None
        }
    }
}

fn rendered(applied: &[Applied], dry_run: bool) -> String {
    let suffix = if dry_run { " (dry run)" } else { "" };
    let lines = applied.iter().flat_map(|Applied { changed, file }| {
        let style = match changed.change {
            changes::Kind::Created => GOOD,
            changes::Kind::Configured => WARN,
            changes::Kind::Unchanged => FAINT,
        };
        let (object, change) = (name(&changed.object), changed.change.as_str());
        let line = format!("{object} {style}{change}{style:#} in {}{suffix}", file.display());
        std::iter::once(line).chain(changed.fields.iter().map(|change| format!("    {}", diff::change_text(change))))
    });
    output::lines(lines)
}

fn report((dry_run, output): (bool, Format), applied: &[Applied], plans: Option<&[PlanView]>) -> Result<(), Error> {
    match (output, plans) {
        (Format::Json, plans) => output::json(&json!({"dryRun": dry_run, "items": applied, "plans": plans})),
        (Format::Text, Some(plans)) if plans.iter().any(PlanView::differs) => {
            let plans = plans.iter().filter(|plan| plan.differs()).flat_map(diff::plan_lines);
            let heading = if dry_run { "What mooring would do:" } else { "What mooring plans:" };
            let heading = [String::new(), heading.to_owned()];
            output::print(&output::lines(heading.into_iter().chain(plans)))
        }
        (Format::Text, Some(_)) if dry_run && applied.iter().any(|applied| applied.changed.is_change()) => {
            output::line("\nWhat mooring would do: nothing.")
        }
        (Format::Text, Some(_) | None) => Ok(()),
    }
}
