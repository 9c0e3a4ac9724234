//! The checks of a `Proxy`.

use super::Draft;

pub(super) fn report(_draft: &mut Draft<'_>) {}
