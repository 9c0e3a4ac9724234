//! Laws, over configurations that are made of pieces and over damaged ones.

use super::*;

/// Pieces from which configurations are made that nginx would read, and some that it would not.
fn piece() -> impl Strategy<Value = String> {
    let to = prop_oneof![
        Just("http://api:80"),
        Just("http://api:80/"),
        Just("http://web:8080/x/"),
        Just("https://other"),
        Just("http://127.0.0.1:1"),
        Just("$up"),
        Just("http://group"),
    ];
    let pass = to.prop_map(|to| format!("proxy_pass {to};"));
    let other = prop_oneof![
        Just("resolver 127.0.0.11;"),
        Just("resolver 10.0.0.1 valid=5s;"),
        Just("set $up http://api:80;"),
        Just("set $mooring_upstream_1 http://api:80;"),
        Just("proxy_redirect default;"),
        Just("proxy_redirect off;"),
        Just("# a comment { \" ;\n"),
        Just("add_header A \"b; }\";"),
        Just("return 200 'x';"),
        Just("\n\n\t"),
    ];
    prop_oneof![3 => pass, 2 => other.prop_map(str::to_owned)]
}

fn block() -> impl Strategy<Value = String> {
    let path = prop_oneof![Just("/"), Just("/a/"), Just("= /b"), Just("~ ^/c{1}"), Just("@d"), Just("/e.f")];
    let inner = || prop::collection::vec(piece(), 0..4).prop_map(|pieces| pieces.join(" "));
    let space = prop_oneof![Just(" "), Just("\n"), Just("\n        "), Just("\r\n  "), Just(" # c\n")];
    (path, inner(), inner(), space).prop_map(|(path, inner, nested, space)| {
        let path = path.replace("{1}", "");
        format!("location {path} {{{space}{inner}{space}if ($x) {{{space}{nested}}}{space}}}")
    })
}

fn site() -> impl Strategy<Value = String> {
    let part = prop_oneof![block(), piece()];
    let server = prop::collection::vec(part, 0..5).prop_map(|parts| format!("server {{\n    {}\n}}\n", parts.join("\n    ")));
    let marker = prop_oneof![4 => Just(format!("{MARKER}\n")), 1 => Just(String::new())];
    (marker, prop::collection::vec(server, 1..3))
        .prop_map(|(marker, servers)| format!("{marker}upstream group {{ server 127.0.0.1:1; }}\n{}", servers.concat()))
}

proptest! {
    #[test]
    fn a_repaired_text_has_nothing_left_to_repair(first in site(), second in site()) {
        let mut texts = one(&first);
        texts.insert("/sites/b.conf".into(), second);
        let done = plan(&texts);
        for file in &done.repaired {
            prop_assert!(texts[&file.path].starts_with(MARKER));
            prop_assert!(!file.changes.is_empty());
            texts.insert(file.path.clone(), file.text.clone());
        }
        let again = plan(&texts);
        prop_assert_eq!(&again.repaired, &[]);
        prop_assert_eq!(&again.findings, &done.findings);
        prop_assert!(again.findings.iter().all(|finding| !finding.repairable), "{:?}", again.findings);
    }

    /// By a predicate of its own: the text without what repair adds is the text that was.
    #[test]
    fn nothing_but_the_named_lines_changes(text in site()) {
        let done = plan(&one(&text));
        for file in done.repaired {
            let comments = |text: &str| {
                let config = Config::parse(text).unwrap();
                let is_comment = |token: &&Token| token.kind == TokenKind::Comment;
                config.tokens().iter().filter(is_comment).map(|token| text[token.range.clone()].to_owned()).collect::<Vec<_>>()
            };
            prop_assert_eq!(comments(&text), comments(&file.text));
            let mut rest = file.text.lines();
            let changed = |line: &str| file.changes.iter().any(|change| change.old.as_deref() == Some(line.trim()));
            for line in text.lines().filter(|line| !changed(line)) {
                prop_assert!(rest.any(|new| new == line), "{line:?} is gone from {:?}", file.text);
            }
        }
    }

    #[test]
    fn any_text_is_read_without_loss_or_refused(text in "([ \t\n\r;{}#\"'\\\\$]|[a-z]|ü|_by_lua_block|--|\\[\\[|\\]\\]){0,60}") {
        if let Ok(config) = Config::parse(&text) {
            prop_assert_eq!(config.print(), text.clone());
            covers(&config);
        }
        // Whatever it is, nothing here falls over it.
        let _ = plan(&one(&format!("{MARKER}\n{text}")));
    }

    #[test]
    fn a_damaged_fixture_is_read_without_loss_or_refused(number in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), put in "[;{}\"'#\\\\ \n]{0,3}") {
        let all: Vec<String> = texts(&fixtures()).into_values().collect();
        let text = number.get(&all);
        let at = (0..=cut.index(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let rest = text[at..].chars().next().map_or(0, char::len_utf8);
        let damaged = format!("{}{put}{}", &text[..at], &text[at + rest..]);
        if let Ok(config) = Config::parse(&damaged) {
            prop_assert_eq!(config.print(), damaged.clone());
            covers(&config);
        }
        let _ = plan(&one(&format!("{MARKER}\n{damaged}")));
    }
}
