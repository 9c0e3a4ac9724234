//! `ModelProvider`: references, defaults and paths.

use std::path::Path;

use super::{Error, Lookup};
use crate::{manifest::ModelProviderSpec, plan::model_provider::Desired, store::Object};

pub(super) fn resolve(object: &Object, _spec: &ModelProviderSpec, _others: &impl Lookup, _base: &Path) -> Result<Desired, Error> {
    Ok(Desired { key: object.key().clone(), generation: object.generation() })
}
