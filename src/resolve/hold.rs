//! `Hold`: its targets and its end.

use super::Error;
use crate::{manifest::HoldSpec, plan::hold::Desired, store::Object};

pub(super) fn resolve(object: &Object, _spec: &HoldSpec) -> Result<Desired, Error> {
    Ok(Desired { key: object.key().clone(), generation: object.generation() })
}
