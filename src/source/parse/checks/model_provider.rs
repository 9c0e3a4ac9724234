//! The checks of a `ModelProvider`.

use super::Draft;

pub(super) fn report(_draft: &mut Draft<'_>) {}
