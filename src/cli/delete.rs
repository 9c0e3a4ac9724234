//! `mooring delete`: takes an object's document out of the desired-state directory.

use clap::Args;
use serde_json::json;

use super::{
    Error, Exit,
    get::name,
    output::{self, Format},
    selection,
};
use crate::{
    manifest::{Key, Manifest, container::Management},
    settings::Settings,
    source::{desired::DesiredDirectory, parse::Located},
};

/// Take an object out of the desired-state directory
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring delete container/web --dry-run
  mooring delete ctr web",
    long_about = "Take an object's document out of the desired-state directory, and say what follows. Volumes and networks always stay."
)]
pub(super) struct DeleteArgs {
    /// KIND/NAME or KIND NAME
    #[arg(value_name = "OBJECT", required = true)]
    object: Vec<String>,
    /// Says what would happen, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// How to write it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(settings: &Settings, args: &DeleteArgs) -> Result<Exit, Error> {
    let key = selection::one(&args.object)?;
    let directory = DesiredDirectory::read(&settings.desired)?;
    let located = only_declaration(&key, &directory)?;
    let change = directory.without(located)?;
    if !args.dry_run {
        change.make(&directory)?;
    }
    let consequences = consequences(&located.manifest, &directory);
    match args.output {
        Format::Json => output::json(&json!({
            "dryRun": args.dry_run, "deleted": key, "file": located.file, "change": change.words(), "consequences": consequences,
        }))?,
        Format::Text => {
            let suffix = if args.dry_run { " (dry run)" } else { "" };
            let deleted = format!("{} deleted from {}: {}{suffix}", name(&key), located.file.display(), change.words());
            let consequences = consequences.iter().map(|consequence| format!("    {consequence}"));
            output::print(&output::lines(std::iter::once(deleted).chain(consequences)))?;
        }
    }
    Ok(Exit::Good)
}

/// The one place where the object is declared.
fn only_declaration<'a>(key: &Key, directory: &'a DesiredDirectory) -> Result<&'a Located, Error> {
    match directory.declarations(key).as_slice() {
        [located] => Ok(located),
        [] => Err(undeclared(key, directory)),
        several => {
            let files: Vec<_> = several.iter().map(|located| located.file.display().to_string()).collect();
            let message = format!("{key} is declared in more than one place: {}", files.join(", "));
            Err(Error::InTheWay { message, help: "take out by hand the ones that are not meant".to_owned() })
        }
    }
}

fn undeclared(key: &Key, directory: &DesiredDirectory) -> Error {
    let unusable: Vec<_> = directory.unusable().iter().map(|file| file.display().to_string()).collect();
    if unusable.is_empty() {
        let known: Vec<Key> = directory.manifests().map(|located| located.manifest.key()).collect();
        return Error::no_object(key, &known);
    }
    let message = format!("no file that can be understood declares {key}");
    Error::InTheWay { message, help: format!("it may be in one of those that cannot: {}", unusable.join(", ")) }
}

/// What follows from it.
fn consequences(manifest: &Manifest, directory: &DesiredDirectory) -> Vec<String> {
    let mut consequences = match manifest {
        Manifest::Environment(_) => vec!["its .env files stay as they are, and nobody looks after them any more".to_owned()],
        Manifest::Container(container) if container.spec.management == Management::Heal => {
            vec!["the container is somebody else's: it stays, and nobody heals it any more".to_owned()]
        }
        Manifest::Container(container) if !container.spec.volumes.is_empty() && !container.spec.allow_remove => vec![
            "its container has data and was not permitted to be removed (allowRemove): if it has volumes on the engine, it stays until you remove it"
                .to_owned(),
            "volumes and networks stay".to_owned(),
        ],
        Manifest::Proxy(_) => vec!["its generated files stay as they are, and nobody follows the containers any more".to_owned()],
        Manifest::ModelProvider(_) => vec!["models stay; nobody looks after them any more".to_owned()],
        Manifest::Plugin(_) => vec!["the objects that it expands into are deleted with it".to_owned()],
        Manifest::Host(_) => vec!["the defaults hold again: no windows, no groups, budgets as `mooring explain host` tells".to_owned()],
        Manifest::Hold(_) => vec!["what it holds is looked after again at once".to_owned()],
        Manifest::Container(_) => vec!["its container is stopped and removed; volumes and networks stay".to_owned()],
    };
    let users = users(&manifest.key(), directory);
    if !users.is_empty() {
        consequences.push(format!("{} still refer to it, and keep what was last good until that is corrected", users.join(", ")));
    }
    consequences
}

/// The objects that refer to this one.
fn users(key: &Key, directory: &DesiredDirectory) -> Vec<String> {
    let users = directory
        .manifests()
        .map(|located| &located.manifest)
        .filter(|manifest| manifest.key() != *key && manifest.refers_to(key));
    users.map(|manifest| name(&manifest.key())).collect()
}
