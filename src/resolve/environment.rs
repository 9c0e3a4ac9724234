//! `Environment`: paths and templates.

use std::{collections::BTreeMap, path::Path};

use super::{Error, Refusal, normalize};
use crate::{
    dotenv::template::Template,
    manifest::{EnvironmentSpec, Key},
    plan::environment::{Computed, Desired, Generate, Secrets},
};

pub(super) fn resolve(key: &Key, generation: i64, spec: &EnvironmentSpec, base: &Path) -> Result<Desired, Error> {
    let EnvironmentSpec { directory, files, secrets, computed } = spec;
    let secrets = secrets.as_ref().map(|secrets| Secrets {
        file: secrets.file.clone(),
        generate: secrets
            .generate
            .iter()
            .map(|secret| Generate { variable: secret.name.clone(), format: secret.format, length: secret.length })
            .collect(),
    });
    let computed = computed
        .as_ref()
        .map(|computed| Ok(Computed { file: computed.file.clone(), templates: templates(&computed.values)? }))
        .transpose()?;
    let directory = normalize(&base.join(directory));
    Ok(Desired { key: key.clone(), generation, directory, files: files.clone(), secrets, computed })
}

/// Every template, or what is wrong with any of them.
fn templates(values: &BTreeMap<String, String>) -> Result<BTreeMap<String, Template>, Error> {
    let (mut templates, mut refusals) = (BTreeMap::new(), Vec::new());
    for (name, text) in values {
        match Template::parse(text) {
            Ok(template) => drop(templates.insert(name.clone(), template)),
            Err(error) => refusals.push(Refusal { path: format!("spec.computed.values.{name}"), message: error.to_string() }),
        }
    }
    if refusals.is_empty() { Ok(templates) } else { Err(Error(refusals)) }
}
