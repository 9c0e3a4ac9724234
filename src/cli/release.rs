//! `mooring release`: try again, and end what holds it.

use clap::Args;
use serde_json::json;

use super::{
    Error, Exit,
    backend::Backend,
    client, delete,
    desired::DesiredDirectory,
    get::name,
    output::{self, Format},
    selection,
};
use crate::{
    manifest::{Key, Kind, Manifest, hold::Target},
    settings::Settings,
    source::parse::Located,
};

/// Let Mooring try again with an object that it gave up or leaves alone, and end the hold on it
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring release container/web
  mooring release hold/all",
    long_about = "Let Mooring try again with an object that it gave up or leaves alone, and end the hold on it.\n\nThe file of a hold that is on nothing else is taken away. One that is on more is named; `mooring release hold/NAME` ends it for all."
)]
pub(super) struct ReleaseArgs {
    /// KIND/NAME or KIND NAME
    #[arg(value_name = "OBJECT", required = true)]
    object: Vec<String>,
    /// How to write the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(settings: &Settings, args: ReleaseArgs) -> Result<Exit, Error> {
    let key = selection::one(&args.object)?;
    let directory = DesiredDirectory::read(&settings.desired);
    let holds = directory.as_ref().map(|directory| Holds::on(&key, directory)).unwrap_or_default();
    // Asked first, so that a slip of the finger is answered with the right name.
    let backend = match Backend::running(settings).await {
        Ok(backend) => Some(backend),
        Err(Error::Client(client::Error::NoOperator { .. })) if !holds.alone.is_empty() => None,
        Err(error) => return Err(error),
    };
    if let Some(backend) = &backend {
        backend.object(&key).await?;
    }
    let ended = end(&holds.alone, settings)?;
    // For a hold as well: that it is gone has not to be believed after a while only.
    if let Some(backend) = backend {
        backend.release(&key, "cli").await?;
    }
    match args.output {
        Format::Json => output::json(&json!({"released": key, "ended": ended, "stillHeldBy": holds.shared}))?,
        Format::Text => {
            for hold in &ended {
                output::line(&format!("{} ended", name(hold)))?;
            }
            if key.kind != Kind::Hold {
                output::line(&format!("{} released", name(&key)))?;
            }
        }
    }
    if !holds.shared.is_empty() {
        let shared: Vec<_> = holds.shared.iter().map(name).collect();
        output::note(&format!("{} is on more than this and stays; `mooring release {}` ends it", shared.join(", "), shared[0]));
    }
    Ok(Exit::Good)
}

/// The holds on an object.
#[derive(Debug, Default, PartialEq, Eq)]
struct Holds {
    /// Those that are on nothing else; a hold itself counts as one.
    alone: Vec<Key>,
    /// Those that are on more.
    shared: Vec<Key>,
}

impl Holds {
    fn on(key: &Key, directory: &DesiredDirectory) -> Self {
        let mut holds = Self::default();
        for Located { manifest, .. } in directory.manifests() {
            let Manifest::Hold(hold) = manifest else { continue };
            let targets: Vec<Target> = hold.spec.targets.iter().filter_map(|target| target.parse().ok()).collect();
            if manifest.key() == *key || targets == [Target::Object(key.clone())] {
                holds.alone.push(manifest.key());
            } else if targets.iter().any(|target| target.covers(key)) {
                holds.shared.push(manifest.key());
            }
        }
        holds
    }
}

/// Takes the holds out of the directory, one after the other: each changes what the next one is cut out of.
fn end(holds: &[Key], settings: &Settings) -> Result<Vec<Key>, Error> {
    for hold in holds {
        let directory = DesiredDirectory::read(&settings.desired)?;
        if let Some(located) = directory.declarations(hold).first() {
            delete::take_out(located, &directory)?;
        }
    }
    Ok(holds.to_vec())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::source::{
        directory::{FileReading, Scan},
        parse::parse_located,
    };

    #[test]
    fn what_is_on_this_object_alone_ends_and_what_is_on_more_is_named() {
        let hold = |name: &str, targets: &str| {
            let text = format!(
                "apiVersion: mooring.dev/v1alpha1\nkind: Hold\nmetadata: {{name: {name}}}\nspec: {{targets: [{targets}], \
                 until: '2026-11-21T14:00:00Z', reason: a}}\n"
            );
            let file = std::path::PathBuf::from(format!("{name}.yaml"));
            let located = parse_located(&file, text.as_bytes()).unwrap();
            (file, Arc::new(FileReading::Parsed(located)))
        };
        let files =
            [hold("web", "ctr/web"), hold("two", "container/web, container/api"), hold("every", "all"), hold("api", "ctr/api")];
        let directory = DesiredDirectory::of(Scan { files: files.into() });
        let key = |name| Key::new(Kind::Hold, name);
        let on = |object: &str| Holds::on(&object.parse().unwrap(), &directory);
        assert_eq!(on("container/web"), Holds { alone: vec![key("web")], shared: vec![key("every"), key("two")] });
        assert_eq!(on("hold/every"), Holds { alone: vec![key("every")], shared: Vec::new() });
        assert_eq!(on("env/shop"), Holds { alone: Vec::new(), shared: vec![key("every")] });
    }
}
