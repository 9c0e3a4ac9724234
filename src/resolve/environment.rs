//! `Environment`: paths and templates.

use std::{collections::BTreeMap, path::Path};

use super::{Error, Lookup, Refusal, model_provider, normalize};
use crate::{
    dotenv::template::Template,
    manifest::{EnvironmentSpec, Key, Kind, Manifest, environment::computed_file},
    plan::{
        environment::{Computed, Desired, Generate, Secrets},
        model_provider::Chooser,
    },
    store::Object,
};

pub(super) fn resolve(object: &Object, spec: &EnvironmentSpec, others: &impl Lookup, base: &Path) -> Result<Desired, Error> {
    let EnvironmentSpec { directory, files, secrets, computed, mode: _ } = spec;
    let secrets = secrets.as_ref().map(|secrets| Secrets {
        file: secrets.file.clone(),
        generate: secrets
            .generate
            .iter()
            .map(|secret| Generate { variable: secret.name.clone(), format: secret.format, length: secret.length })
            .collect(),
    });
    let choosers = choosers(&object.key().name, spec, others);
    let computed = match computed {
        Some(computed) => Some(Computed { file: computed.file.clone(), templates: templates(&computed.values)?, choosers }),
        None if choosers.is_empty() => None,
        None => Some(Computed { file: computed_file(), templates: BTreeMap::new(), choosers }),
    };
    let directory = normalize(&base.join(directory));
    let (key, generation) = (object.key().clone(), object.generation());
    Ok(Desired { key, generation, directory, files: files.clone(), secrets, computed })
}

/// What the `ModelProvider`s of this environment have written into it: it has one writer, its own plan.
fn choosers(environment: &str, spec: &EnvironmentSpec, others: &impl Lookup) -> Vec<Chooser> {
    let mut names = others.names(Kind::ModelProvider);
    names.sort();
    let chooser = |name: &String| match others.manifest(&Key::new(Kind::ModelProvider, name)).as_deref() {
        // One that is refused for what it would write here must not write it.
        Some(Manifest::ModelProvider(provider))
            if provider.spec.environment == environment
                && model_provider::clash(name, &provider.spec, spec, others).is_none() =>
        {
            Some(model_provider::chooser(&provider.spec))
        }
        _ => None,
    };
    names.iter().filter_map(chooser).collect()
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
