//! `mooring validate`: whether manifests are right, offline.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{
    Error, Exit,
    output::{self, Format},
};
use crate::{
    controller::plugins::expand,
    manifest::{Key, Manifest},
    resolve::resolve,
    settings::Settings,
    source::{
        catalogue::Catalogue,
        directory::scan,
        parse::{Located, parse_located},
        plugin::Plugins,
        problem::{Code, Problem},
    },
    store::{self, Object},
};

/// Check manifests without an operator or an engine
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  mooring validate
  mooring validate -f web.yaml
  mooring validate ./shop -o json

Exit codes: 0 all are good, 2 something is refused",
    long_about = "Check manifests without an operator or an engine. References between manifests are checked where a whole directory is given."
)]
pub(super) struct ValidateArgs {
    /// Files or directories; the desired-state directory, unless given
    #[arg(value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// Another way to name a file or directory
    #[arg(short, long = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to write what was found
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What was found.
#[derive(Debug, Default)]
struct Findings {
    manifests: Vec<Located>,
    problems: Vec<Problem>,
}

pub(super) fn run(settings: &Settings, args: &ValidateArgs) -> Result<Exit, Error> {
    let mut paths: Vec<&Path> = args.paths.iter().chain(&args.files).map(PathBuf::as_path).collect();
    if paths.is_empty() {
        paths.push(&settings.desired);
    }
    let mut findings = Findings::default();
    for path in paths {
        let mut found = if path.is_dir() { directory(path)? } else { file(path)? };
        findings.manifests.append(&mut found.manifests);
        findings.problems.append(&mut found.problems);
    }
    let Findings { manifests, problems } = findings;
    if args.output == Format::Json {
        let manifests: Vec<_> = manifests
            .iter()
            .map(|located| json!({"object": located.manifest.key(), "file": located.file, "line": located.line}))
            .collect();
        output::json(&json!({"valid": problems.is_empty(), "manifests": manifests, "problems": problems}))?;
    }
    match (problems.is_empty(), args.output) {
        (false, _) => Err(Error::Refused(problems)),
        (true, Format::Json) => Ok(Exit::Good),
        (true, Format::Text) => {
            output::print(&rendered(&manifests))?;
            Ok(Exit::Good)
        }
    }
}

fn rendered(manifests: &[Located]) -> String {
    if manifests.is_empty() {
        return "There is no manifest.\n".to_owned();
    }
    let line = |located: &Located| format!("{}:{}: {} is good", located.file.display(), located.line, located.manifest.key());
    output::lines(manifests.iter().map(line))
}

fn file(path: &Path) -> Result<Findings, Error> {
    let bytes = fs::read(path).map_err(|source| Error::file("read", path, source))?;
    Ok(match parse_located(path, &bytes) {
        Ok(manifests) => Findings { manifests, problems: Vec::new() },
        Err(problems) => Findings { manifests: Vec::new(), problems },
    })
}

/// A directory is taken as a whole: names have to be unique in it, and references have to lead somewhere.
fn directory(root: &Path) -> Result<Findings, Error> {
    let mut catalogue = Catalogue::default();
    catalogue.merge(&scan(root)?);
    let mut problems = catalogue.problems().to_vec();
    // Behind a file that is refused, what others refer to may well be there.
    if problems.is_empty() {
        let mut plugins = Plugins::default();
        let manifests = expand(catalogue.manifests(), root, &mut plugins, &BTreeMap::new()).manifests;
        problems = plugins.problems().to_vec();
        problems.extend(references(catalogue.located(), manifests, root));
    }
    Ok(Findings { manifests: catalogue.located().values().cloned().collect(), problems })
}

/// What does not lead anywhere. What a plugin expands into is told where the plugin stands.
fn references(located: &BTreeMap<Key, Located>, manifests: BTreeMap<Key, Manifest>, root: &Path) -> Vec<Problem> {
    let (reader, mut writer) = store::store();
    writer.replace(manifests);
    let objects = reader.objects();
    let place = |key: &Key, object: &Object| located.get(key).or_else(|| located.get(&object.expanded_from()?));
    let refused = objects.iter().filter_map(|(key, object)| Some((place(key, object)?, resolve(object, &reader, root).err()?)));
    let problems = refused.flat_map(|(located, error)| {
        error.0.into_iter().map(|refusal| Problem {
            file: located.file.clone(),
            line: located.line,
            column: 1,
            message: refusal.to_string(),
            path: refusal.path,
            code: Code::Reference,
            help: None,
        })
    });
    problems.collect()
}
