//! `mooring crds`: the kinds as a Kubernetes API server takes them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    Error, Exit,
    output::{self, Format},
};
use crate::{manifest::Kind, source::schema::crd_yaml};

/// Print the definitions of the kinds for a Kubernetes API server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring crds | kubectl apply -f -
  mooring crds container
  mooring crds --directory crds")]
pub(super) struct CrdsArgs {
    /// Only this kind
    kind: Option<Kind>,
    /// Writes a file for each kind into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    directory: Option<PathBuf>,
    /// How to write them; text is YAML
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(args: &CrdsArgs) -> Result<Exit, Error> {
    let kinds: Vec<Kind> = args.kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
    match (&args.directory, args.output) {
        (Some(directory), _) => write(directory, &kinds)?,
        (None, Format::Text) => {
            let definitions: Vec<_> = kinds.into_iter().map(crd_yaml).collect();
            output::print(&definitions.join("---\n"))?;
        }
        (None, Format::Json) => match kinds.as_slice() {
            [kind] => output::json(&kind.crd())?,
            kinds => {
                let items: Vec<_> = kinds.iter().map(|kind| kind.crd()).collect();
                output::json(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}))?;
            }
        },
    }
    Ok(Exit::Good)
}

fn write(directory: &Path, kinds: &[Kind]) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(|source| Error::file("make", directory, source))?;
    for kind in kinds {
        let path = directory.join(format!("{}.yaml", kind.plural()));
        fs::write(&path, crd_yaml(*kind)).map_err(|source| Error::file("write", &path, source))?;
        output::line(&path.display().to_string())?;
    }
    Ok(())
}
