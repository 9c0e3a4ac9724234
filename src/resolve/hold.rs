//! `Hold`: its targets and its end.

use super::{Error, Refusal};
use crate::{
    manifest::{
        HoldSpec,
        hold::{Target, moment},
    },
    plan::hold::Desired,
    store::Object,
};

/// `source` has read both before; a refusal here is for manifests that came another way.
pub(super) fn resolve(object: &Object, spec: &HoldSpec) -> Result<Desired, Error> {
    let refused = |path: String, message: String| Error(vec![Refusal { path, message }]);
    let target = |(at, text): (usize, &String)| {
        text.parse::<Target>().map_err(|error| refused(format!("spec.targets.{at}"), error.to_string()))
    };
    let targets = spec.targets.iter().enumerate().map(target).collect::<Result<_, _>>()?;
    let until = moment(&spec.until).map_err(|error| refused("spec.until".to_owned(), error.to_string()))?;
    let (reason, by) = (spec.reason.clone(), spec.by.clone());
    Ok(Desired { key: object.key().clone(), generation: object.generation(), targets, until, reason, by })
}
