//! `mooring release`: try again, and end what holds it.

use clap::Args;
use serde_json::json;

use super::{
    Error, Exit,
    backend::Backend,
    client,
    get::name,
    output::{self, Format},
    selection,
};
use crate::{
    manifest::{EXPANDED_FROM_ANNOTATION, Key, Kind},
    settings::Settings,
    source::desired::{
        DesiredDirectory,
        holds::{self, Holds},
    },
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
    let on = |parent: Option<&Key>| directory.as_ref().map(|directory| Holds::on(&key, parent, directory)).unwrap_or_default();
    // Asked first, so that a slip of the finger is answered with the right name.
    let (backend, holds) = match Backend::running(settings).await {
        Ok(backend) => {
            let parent = expanded_from(&backend.object(&key).await?);
            (Some(backend), on(parent.as_ref()))
        }
        Err(Error::Client(client::Error::NoOperator { .. })) if !on(None).alone.is_empty() => (None, on(None)),
        Err(error) => return Err(error),
    };
    holds::end(&holds.alone, &settings.desired)?;
    let ended = &holds.alone;
    // For a hold as well: that it is gone has not to be believed after a while only.
    if let Some(backend) = backend {
        backend.release(&key, "cli").await?;
    }
    match args.output {
        Format::Json => output::json(&json!({"released": key, "ended": ended, "stillHeldBy": holds.shared}))?,
        Format::Text => {
            for hold in ended {
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
