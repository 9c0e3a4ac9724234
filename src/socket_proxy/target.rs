//! A request's target: text → the parts of a path and the fields of a query, or a reason to refuse it.
//!
//! There is one way to write what may be asked, and every other way to write the same is refused. What is passed on is
//! written anew from the parts, so that the engine reads nothing that was not looked at here.

use std::collections::BTreeMap;

/// The path and the query of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The version of the API, as in `v1.41`, if one is named.
    pub(super) version: Option<String>,
    /// What stands between the slashes.
    pub(super) path: Vec<String>,
    /// The fields of the query, decoded.
    pub(super) query: BTreeMap<String, String>,
}

/// Before this version starting a container could set up what it may do.
const OLDEST_MINOR: u16 = 24;

/// Reads a target. The reason of a refusal is told without the text: it may hold anything.
pub(super) fn parse(path: &str, query: Option<&str>) -> Result<Target, &'static str> {
    let rest = path.strip_prefix('/').ok_or("its path does not begin with a slash")?;
    let mut parts: Vec<String> = Vec::new();
    for part in rest.split('/') {
        if !is_plain(part) {
            return Err("its path is not written in the one way that is taken");
        }
        parts.push(part.to_owned());
    }
    let version = match version(&parts[0]) {
        Some(true) => Some(parts.remove(0)),
        Some(false) => return Err("its version of the API is too old"),
        None => None,
    };
    if parts.is_empty() {
        return Err("it asks for nothing");
    }
    Ok(Target { version, path: parts, query: fields(query.unwrap_or_default())? })
}

/// Whether a part means itself, whoever reads it: no escapes, no dots that lead elsewhere, nothing that ends a path.
fn is_plain(part: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:@".contains(&byte);
    !matches!(part, "" | "." | "..") && part.bytes().all(is_safe)
}

/// Whether a version is one that is spoken, if this is a version.
fn version(part: &str) -> Option<bool> {
    let minor = part.strip_prefix("v1.")?;
    let is_number = (1..=3).contains(&minor.len()) && minor.bytes().all(|byte| byte.is_ascii_digit());
    Some(is_number && !minor.starts_with('0') && minor.parse::<u16>().is_ok_and(|minor| minor >= OLDEST_MINOR))
}

fn fields(query: &str) -> Result<BTreeMap<String, String>, &'static str> {
    let mut fields = BTreeMap::new();
    for pair in query.split('&').filter(|_| !query.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("a field of its query has no value")?;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') || name.is_empty() {
            return Err("a field of its query has a name that is written in no usual way");
        }
        let value = decode(value).ok_or("a field of its query is not written as it should be")?;
        if fields.insert(name.to_owned(), value).is_some() {
            return Err("a field of its query stands there twice");
        }
    }
    Ok(fields)
}

/// Undoes the encoding of forms. Nothing that is invisible may come out.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'+' => b' ',
            _ if byte.is_ascii_alphanumeric() || b"-._~*:/@,".contains(&byte) => byte,
            _ => return None,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control))
}

/// Writes a query anew.
#[must_use]
pub(super) fn encode(fields: &BTreeMap<String, String>) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encoded(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escaped = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(path: &str, query: &str) -> Option<&'static str> {
        parse(path, Some(query)).err()
    }

    #[test]
    fn a_path_is_taken_when_it_is_written_plainly() {
        let target = parse("/v1.41/containers/web-1/json", Some("size=false")).unwrap();
        assert_eq!((target.version.as_deref(), target.path.join(" ").as_str()), (Some("v1.41"), "containers web-1 json"));
        assert_eq!(target.query["size"], "false");
        assert_eq!(parse("/info", None).unwrap().version, None);
        assert!(parse("/images/registry.test:5000/team/app@sha256:aa/json", None).is_ok());
    }

    #[test]
    fn every_other_way_to_write_a_path_is_refused() {
        for path in [
            "",
            "/",
            "info",
            "//info",
            "/info/",
            "/v1.41",
            "/v1.41/",
            "/./info",
            "/containers/x/../json",
            "/containers/%2e%2e/json",
            "/containers/x%2Fkill",
            "/containers/x\\json",
            "/containers/x;json",
            "/containers/x json",
            "/containers/x\u{0}json",
            "/containers/x\r\nHost:y/json",
            "/containers/ü/json",
            "/v1.18/info",
            "/v1.9999/info",
            "/v1.041/info",
            "/v1.x/info",
            "http://docker/info",
            "*",
        ] {
            assert!(refusal(path, "").is_some(), "{path:?}");
        }
        // Another version is a path that nobody knows.
        assert_eq!(parse("/v2.0/info", None).unwrap().version, None);
    }

    #[test]
    fn a_query_says_everything_once_and_plainly() {
        assert_eq!(parse("/events", Some("since=1.5&filters=%7B%22a%22%3A%5B%5D%7D")).unwrap().query["filters"], r#"{"a":[]}"#);
        for query in
            ["a=1&a=2", "a", "=1", "a=%", "a=%4", "a=%zz", "a=%00", "a=%0d%0a", "a=b;c=d", "a%62=1", "a=1&", "&", "a=é", "a=#"]
        {
            assert!(refusal("/events", query).is_some(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_anew_is_read_as_the_same(value in "[ -~é→]{0,40}") {
            let fields = BTreeMap::from([("filters".to_owned(), value)]);
            let target = parse("/events", Some(&encode(&fields))).unwrap();
            prop_assert_eq!(target.query, fields);
        }

        #[test]
        fn what_is_taken_is_the_only_way_to_write_it(path in "/[a-z./%25\\\\;:@?# -]{0,24}") {
            if let Ok(target) = parse(&path, None) {
                prop_assert_eq!(format!("/{}", target.path.join("/")), path);
            }
        }
    }
}
