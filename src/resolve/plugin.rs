//! `Plugin`: what it has expanded into.

use super::{Error, Lookup};
use crate::{manifest::PluginSpec, plan::plugin::Desired, store::Object};

pub(super) fn resolve(object: &Object, _spec: &PluginSpec, _others: &impl Lookup) -> Result<Desired, Error> {
    Ok(Desired { key: object.key().clone(), generation: object.generation() })
}
