//! `Plugin`: whether it is wanted. What it expands into is resolved by itself.

use crate::{manifest::PluginSpec, plan::plugin::Desired, store::Object};

pub(super) fn resolve(object: &Object, spec: &PluginSpec) -> Desired {
    Desired { key: object.key().clone(), generation: object.generation(), spec: spec.clone() }
}
