//! `Environment`: paths.

use std::path::Path;

use super::normalize;
use crate::{
    manifest::{EnvironmentSpec, Key},
    plan::environment::{Computed, Desired, Generate, Secrets},
};

pub(super) fn resolve(key: &Key, generation: i64, spec: &EnvironmentSpec, base: &Path) -> Desired {
    let EnvironmentSpec { directory, files, secrets, computed } = spec;
    Desired {
        key: key.clone(),
        generation,
        directory: normalize(&base.join(directory)),
        files: files.clone(),
        secrets: secrets.as_ref().map(|secrets| Secrets {
            file: secrets.file.clone(),
            generate: secrets
                .generate
                .iter()
                .map(|secret| Generate { variable: secret.name.clone(), format: secret.format, length: secret.length })
                .collect(),
        }),
        computed: computed
            .as_ref()
            .map(|computed| Computed { file: computed.file.clone(), templates: computed.values.clone() }),
    }
}
