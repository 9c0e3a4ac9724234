//! The checks of a `Hold`.

use super::Draft;

pub(super) fn report(_draft: &mut Draft<'_>) {}
