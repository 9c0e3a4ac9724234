//! *Did you mean …?*

/// Below this likeness (of Jaro and Winkler) a suggestion confuses more than it helps.
const ALIKE: f64 = 0.8;

/// The known name that a wrong one was probably meant to be.
///
/// Case and underscores do not count, so that Compose's `depends_on` finds `dependsOn`.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = plain(wrong);
    known
        .into_iter()
        .map(|name| (likeness(&wrong, &plain(name)), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

/// Jaro and Winkler take a common beginning for half the truth; a name that is only a beginning is another one.
fn likeness(wrong: &str, known: &str) -> f64 {
    let (short, long) = (wrong.len().min(known.len()), wrong.len().max(known.len()));
    if long > 2 * short { 0.0 } else { strsim::jaro_winkler(wrong, known) }
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// The question for the nearest name, or else the sentence that lists them all.
pub(super) fn suggestion<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str> + Clone, list: &str) -> String {
    match nearest(wrong, known.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{list} {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_through_case_underscores_and_slips() {
        let known = ["image", "dependsOn", "ports", "networks", "networkMode"];
        assert_eq!(nearest("imagee", known), Some("image"));
        assert_eq!(nearest("depends_on", known), Some("dependsOn"));
        assert_eq!(nearest("network_mode", known), Some("networkMode"));
        assert_eq!(nearest("port", known), Some("ports"));
        assert_eq!(nearest("replicas", known), None);
        assert_eq!(nearest("namespace", ["name", "labels"]), None);
    }
}
