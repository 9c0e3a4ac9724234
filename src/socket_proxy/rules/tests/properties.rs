//! No way of writing a forbidden call is let through.

use super::*;

/// A text written in another way that somebody might read as the same.
fn written_otherwise(path: &str, ways: &[(usize, u8)]) -> String {
    let mut path = path.to_owned();
    for (place, way) in ways {
        let place = path.floor_char_boundary(place % (path.len() + 1));
        let (before, after) = path.split_at(place);
        path = match way % 12 {
            0 => format!("{before}/{after}"),
            1 => format!("{before}/.{after}"),
            2 => format!("{before}/../containers{after}"),
            3 => format!("{before}%2f{after}"),
            4 => format!("{before}%00{after}"),
            5 => format!("/v1.41{before}{after}"),
            6 => format!("{before};{after}"),
            7 => format!("{before}\\{after}"),
            8 => format!("{before}{}", after.to_uppercase()),
            9 => format!("{before}?{after}"),
            10 => format!("{before}#{after}"),
            _ => after
                .chars()
                .next()
                .map_or_else(|| path.clone(), |first| format!("{before}%{:02x}{}", u32::from(first), &after[first.len_utf8()..])),
        };
    }
    path
}

/// Whether a request without a body is one that Mooring makes: told from what the engine gets, without the rules.
fn is_known(method: &str, uri: &str) -> bool {
    let path = uri.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).filter(|part| *part != "v1.41").collect();
    let shape = match parts.as_slice() {
        ["images", .., "json"] => "images/*/json".to_owned(),
        [kind, _, act] => format!("{kind}/*/{act}"),
        ["containers" | "images", "json" | "create"] => parts.join("/"),
        [kind, _] => format!("{kind}/*"),
        parts => parts.join("/"),
    };
    let looks = [
        "version",
        "info",
        "events",
        "containers/json",
        "containers/*/json",
        "containers/*/archive",
        "images/*/json",
        "networks",
        "networks/*",
        "volumes",
        "volumes/*",
        "exec/*/json",
    ];
    let acts = ["containers/*/start", "containers/*/stop", "containers/*/restart", "containers/*/rename", "images/create"];
    match method {
        "GET" => looks.contains(&shape.as_str()),
        "POST" => acts.contains(&shape.as_str()),
        "DELETE" => ["containers/*", "networks/*", "volumes/*"].contains(&shape.as_str()),
        _ => false,
    }
}

proptest! {
    #[test]
    fn no_way_to_write_a_forbidden_call_is_let_through(
        forbidden in 0..FORBIDDEN.len(),
        method in "GET|POST|PUT|DELETE|HEAD|get|PATCH|OPTIONS",
        ways in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        query in prop::option::of("(name|force|v)=[a-z%/.0-9]{0,6}"),
    ) {
        let path = written_otherwise(FORBIDDEN[forbidden], &ways);
        if let Ok(call) = decide(&generous(), &method, &path, query.as_deref(), b"") {
            // Written otherwise it may have become another call. Then that is one of these, as the engine reads it.
            prop_assert!(is_known(&method, &call.uri()), "{} {} became {}", method, path, call.uri());
        }
    }

    #[test]
    fn what_is_passed_on_is_let_through_again_and_is_the_same(
        path in "(/v1[.]41)?/(containers|networks|volumes|exec|images)(/[a-z0-9_.:-]{1,8}){0,3}",
        method in "GET|POST|DELETE",
        query in prop::option::of("(name|path|all)=[a-z0-9%2F.+]{0,8}"),
    ) {
        if let Ok(call) = decide(&generous(), &method, &path, query.as_deref(), b"") {
            let uri = call.uri();
            let (path, query) = uri.split_once('?').map_or((uri.as_str(), None), |(path, query)| (path, Some(query)));
            prop_assert_eq!(decide(&generous(), &method, path, query, b""), Ok(call.clone()));
            prop_assert!(!uri.contains("/../") && !uri.contains("//"));
        }
    }

    #[test]
    fn every_call_that_changes_something_of_a_thing_is_checked(
        name in "[a-z][a-z0-9_.-]{0,8}",
        act in "start|stop|restart|exec|update|rename|connect|kill|pause|wait|resize",
        kind in "containers|networks|volumes",
        method in "POST|DELETE|PUT",
    ) {
        let path = if method == "DELETE" { format!("/{kind}/{name}") } else { format!("/{kind}/{name}/{act}") };
        for body in [&b""[..], br#"{"Cmd": ["id"]}"#, br#"{"Memory": 1}"#, br#"{"Container": "web"}"#] {
            for query in [None, Some("name=other")] {
                if let Ok(call) = decide(&generous(), &method, &path, query, body) {
                    prop_assert!(!call.checks.is_empty(), "{} {}", method, path);
                }
            }
        }
    }
}
