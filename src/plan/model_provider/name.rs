//! The names of models: which mean the same, and which was probably meant.

/// Where a model comes from whose name does not say so.
const REGISTRY: &str = "registry.ollama.ai/";
/// The namespace of a model whose name has none.
const NAMESPACE: &str = "library/";
/// Models that people ask for, to recognise a slip in a name by.
const KNOWN: &[&str] = &[
    "gemma3:270m",
    "gemma3:1b",
    "gemma3:4b",
    "gemma3:12b",
    "gemma3:27b",
    "gemma2:2b",
    "llama3.2:1b",
    "llama3.2:3b",
    "llama3.1:8b",
    "qwen2.5:7b",
    "qwen3:4b",
    "qwen3:8b",
    "phi4:14b",
    "mistral:7b",
    "deepseek-r1:8b",
    "nomic-embed-text:latest",
];

/// Whether two names mean the same model. A server lists every name with its tag, and leaves the usual registry out.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

fn canonical(name: &str) -> String {
    let name = name.strip_prefix(REGISTRY).unwrap_or(name);
    let name = name.strip_prefix(NAMESPACE).unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    let tagged = if last.contains(':') { name.to_owned() } else { format!("{name}:latest") };
    // The server finds a model whatever the case of the letters.
    tagged.to_lowercase()
}

/// The name that was probably meant by one that the registry does not know: `gemma3:4b` for `gemma-3-4b`.
#[must_use]
pub fn likely<'a>(name: &str, present: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let bare = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let wanted = bare(name);
    let mut known = present.into_iter().chain(KNOWN.iter().copied()).filter(|known| !same(known, name));
    known.find(|known| bare(known) == wanted).map(str::to_owned).or_else(|| with_colon(name))
}

/// `llama-3.3-70b` → `llama3.3:70b`: the size is the tag, and the family has no dash before its number.
fn with_colon(name: &str) -> Option<String> {
    if name.contains(':') {
        return None;
    }
    let (family, size) = name.rsplit_once('-')?;
    let number = size.strip_suffix(['b', 'B', 'm', 'M'])?;
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok();
    if family.is_empty() || !is_number(number) {
        return None;
    }
    let family = match family.rsplit_once('-') {
        Some((stem, version)) if is_number(version) => format!("{stem}{version}"),
        _ => family.to_owned(),
    };
    Some(format!("{family}:{size}").to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_the_same_with_and_without_what_is_usual() {
        for (one, other) in [
            ("gemma3:4b", "gemma3:4b"),
            ("nomic-embed-text", "nomic-embed-text:latest"),
            ("registry.ollama.ai/library/gemma3:4b", "gemma3:4b"),
            ("library/gemma3:4b", "Gemma3:4B"),
            ("127.0.0.1:5000/library/own", "127.0.0.1:5000/library/own:latest"),
        ] {
            assert!(same(one, other), "{one} and {other}");
        }
        assert!(!same("gemma3:4b", "gemma3:latest"));
        assert!(!same("gemma3:4b", "127.0.0.1:5000/library/gemma3:4b"));
    }

    #[test]
    fn the_name_that_was_probably_meant_is_found() {
        for (name, meant) in [
            ("gemma-3-4b", Some("gemma3:4b")),
            ("gemma3-4b", Some("gemma3:4b")),
            ("Gemma3_4B", Some("gemma3:4b")),
            ("llama-3.3-70b", Some("llama3.3:70b")),
            ("own-model-3b", Some("own-model:3b")),
            ("gemma3:4b", None),
            ("gemma3:5b", None),
            ("something", None),
        ] {
            assert_eq!(likely(name, []).as_deref(), meant, "{name}");
        }
        assert_eq!(likely("own-model-q4", ["own-model:q4"]).as_deref(), Some("own-model:q4"));
    }
}
