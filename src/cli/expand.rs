//! `mooring expand`: what plugins stand for.
//!
//! Offline: what would be found on the engine is not looked for, so that the
//! answer is the same everywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Error, Exit, get::name, output};
use crate::{
    controller::plugins,
    expand::{Expansion, Report},
    manifest::{Key, Kind, Manifest},
    settings::Settings,
    source::{
        catalogue::Catalogue,
        directory::{FileReading, Scan, scan},
        parse::{SOURCE_ANNOTATION, parse_located},
        plugin::Plugins,
    },
};

/// Print the objects that plugins expand into
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring expand
  mooring expand claw
  mooring expand -f claw.yaml -o name
  mooring expand claw -o json | jq '.items[].kind'",
    long_about = "Print the objects that plugins expand into, and those that they add something to.\n\nThe engine is not asked: what Compose has made of a plugin without a Compose file is only known to `mooring get` and `mooring diff`."
)]
pub(super) struct ExpandArgs {
    /// The plugins; all of them, unless given
    #[arg(value_name = "PLUGIN")]
    plugins: Vec<String>,
    /// A file or directory; the desired-state directory, unless given
    #[arg(short, long = "filename", value_name = "FILE")]
    file: Option<PathBuf>,
    /// How to write them
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// How objects are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As manifests.
    #[default]
    Yaml,
    /// As a list for programs, with what is worth knowing.
    Json,
    /// KIND/NAME alone.
    Name,
}

pub(super) fn run(settings: &Settings, args: &ExpandArgs) -> Result<Exit, Error> {
    let path = args.file.as_deref().unwrap_or(&settings.desired);
    let (catalogue, root) = read(path)?;
    if !catalogue.problems().is_empty() {
        return Err(Error::Refused(catalogue.problems().to_vec()));
    }
    let mut plugins = Plugins::default();
    let expansion = plugins::expand(catalogue.manifests(), &root, &mut plugins, &BTreeMap::new());
    if !plugins.problems().is_empty() {
        return Err(Error::Refused(plugins.problems().to_vec()));
    }
    let chosen = chosen(&expansion, &args.plugins)?;
    for (plugin, report) in &chosen {
        report.findings.iter().for_each(|finding| output::note(&format!("{}: {finding}", name(plugin))));
    }
    output::print(&rendered(&expansion, &chosen, args.output))?;
    Ok(Exit::Good)
}

/// What is declared, and the directory to which it is relative.
fn read(path: &Path) -> Result<(Catalogue, PathBuf), Error> {
    let mut catalogue = Catalogue::default();
    if path.is_dir() {
        catalogue.merge(&scan(path)?);
        return Ok((catalogue, path.to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|source| Error::file("read", path, source))?;
    let file = path.file_name().map_or_else(|| path.to_owned(), PathBuf::from);
    let located = parse_located(&file, &bytes).map_err(Error::Refused)?;
    catalogue.merge(&Scan { files: [(file, std::sync::Arc::new(FileReading::Parsed(located)))].into() });
    Ok((catalogue, path.parent().map(Path::to_owned).unwrap_or_default()))
}

fn chosen<'a>(expansion: &'a Expansion, names: &[String]) -> Result<BTreeMap<&'a Key, &'a Report>, Error> {
    let key = |name: &String| match name.split_once('/') {
        Some(_) => name.parse().map_err(|error| Error::Usage {
            message: format!("{error}"),
            help: "name a plugin, as in `claw` or `plugin/claw`".to_owned(),
        }),
        None => Ok(Key::new(Kind::Plugin, name)),
    };
    let keys = names.iter().map(key).collect::<Result<BTreeSet<Key>, Error>>()?;
    if let Some(missing) = keys.iter().find(|key| !expansion.reports.contains_key(*key)) {
        return Err(Error::no_object(missing, expansion.reports.keys()));
    }
    Ok(expansion.reports.iter().filter(|(key, _)| keys.is_empty() || keys.contains(*key)).collect())
}

fn rendered(expansion: &Expansion, chosen: &BTreeMap<&Key, &Report>, format: Format) -> String {
    let keys: BTreeSet<&Key> = chosen.values().flat_map(|report| report.objects.iter().chain(&report.extended)).collect();
    let manifests = || keys.iter().filter_map(|key| expansion.manifests.get(*key)).map(shown);
    match format {
        Format::Yaml => manifests().map(|manifest| output::yaml(&manifest)).collect::<Vec<_>>().join("---\n"),
        Format::Name => output::lines(keys.iter().map(|key| name(key))),
        Format::Json => {
            let findings = chosen.iter().flat_map(|(plugin, report)| {
                report
                    .findings
                    .iter()
                    .map(move |finding| json!({"plugin": plugin, "code": finding.code(), "message": finding.to_string()}))
            });
            let list = json!({
                "apiVersion": "v1", "kind": "List",
                "items": manifests().collect::<Vec<_>>(), "findings": findings.collect::<Vec<_>>(),
            });
            format!("{list:#}\n")
        }
    }
}

/// A manifest as somebody would write it.
fn shown(manifest: &Manifest) -> Value {
    let mut manifest = manifest.clone();
    let meta = manifest.meta_mut();
    meta.generation = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(SOURCE_ANNOTATION);
    }
    manifest.to_json()
}
