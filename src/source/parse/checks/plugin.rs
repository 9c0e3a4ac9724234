//! The checks of a `Plugin`.

use super::Draft;

pub(super) fn report(_draft: &mut Draft<'_>) {}
