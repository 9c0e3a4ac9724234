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
    manifest::{EXPANDED_FROM_ANNOTATION, Key, Kind, Manifest, hold::Target},
    settings::Settings,
    source::parse::Located,
    view::ObjectView,
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
    let on = |parent| directory.as_ref().map(|directory| Holds::on(&key, parent, directory)).unwrap_or_default();
    // Asked first, so that a slip of the finger is answered with the right name.
    let (backend, holds) = match Backend::running(settings).await {
        Ok(backend) => {
            let parent = expanded_from(&backend.object(&key).await?);
            (Some(backend), on(parent.as_ref()))
        }
        Err(Error::Client(client::Error::NoOperator { .. })) if !on(None).alone.is_empty() => (None, on(None)),
        Err(error) => return Err(error),
    };
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

/// The plugin that an object comes from.
fn expanded_from(object: &ObjectView) -> Option<Key> {
    object.manifest.as_ref()?.pointer("/metadata/annotations")?.get(EXPANDED_FROM_ANNOTATION)?.as_str()?.parse().ok()
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
    /// Those on an object, or on the plugin that it comes from.
    fn on(key: &Key, parent: Option<&Key>, directory: &DesiredDirectory) -> Self {
        let mut holds = Self::default();
        for Located { manifest, .. } in directory.manifests() {
            let Manifest::Hold(hold) = manifest else { continue };
            let targets: Vec<Target> = hold.spec.targets.iter().filter_map(|target| target.parse().ok()).collect();
            if manifest.key() == *key || targets == [Target::Object(key.clone())] {
                holds.alone.push(manifest.key());
            } else if targets.iter().any(|target| target.covers(key) || parent.is_some_and(|parent| target.covers(parent))) {
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
        let files = [
            hold("web", "ctr/web"),
            hold("two", "container/web, container/api"),
            hold("every", "all"),
            hold("api", "ctr/api"),
            hold("plugin", "plugin/claw"),
        ];
        let directory = DesiredDirectory::of(Scan { files: files.into() });
        let key = |name| Key::new(Kind::Hold, name);
        let on = |object: &str| Holds::on(&object.parse().unwrap(), None, &directory);
        assert_eq!(on("container/web"), Holds { alone: vec![key("web")], shared: vec![key("every"), key("two")] });
        assert_eq!(on("hold/every"), Holds { alone: vec![key("every")], shared: Vec::new() });
        let (made, plugin) = ("container/made".parse().unwrap(), "plugin/claw".parse().unwrap());
        let of_plugin = Holds::on(&made, Some(&plugin), &directory);
        assert_eq!(
            of_plugin,
            Holds { alone: Vec::new(), shared: vec![key("every"), key("plugin")] },
            "it holds all of the plugin"
        );
        assert_eq!(on("env/shop"), Holds { alone: Vec::new(), shared: vec![key("every")] });
    }
}
