//! Laws and cases for reading, editing and stacking files. Those about one file's smaller parts are beside them.

mod compose;

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn file(text: &str) -> File {
    File::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// The value as the test sees it, or the error's text.
fn value(text: &str, key: &str) -> Result<Option<String>, String> {
    let value = File::parse(text.as_bytes()).and_then(|file| file.value(key, &Values::new()));
    value.map(|value| value.map(|value| value.expose().to_owned())).map_err(|error| error.to_string())
}

fn set(text: &str, key: &str, value: &str) -> String {
    let mut file = file(text);
    file.set(key, value).unwrap();
    file.expose().to_owned()
}

fn remove(text: &str, key: &str) -> String {
    let mut file = file(text);
    assert!(file.remove(key), "{key} is not in {text:?}");
    file.expose().to_owned()
}

fn cascade(files: &[(&str, &str)]) -> Cascade {
    Cascade::new(files.iter().map(|(name, text)| ((*name).to_owned(), file(text)))).unwrap()
}

/// A row of a table of `docs/dotenv.md`: text, expected result.
struct Row {
    text: String,
    expected: Result<Option<String>, String>,
}

impl Row {
    /// The rows of both tables that show what is read.
    fn all() -> Vec<Self> {
        let rows = include_str!("../../docs/dotenv.md").lines().filter(|line| line.starts_with("| `"));
        rows.map(|line| Self::parse(line).unwrap_or_else(|| panic!("not a row: {line}"))).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
        let (text, result) = (cells.next()?, cells.next()?);
        let expected = match (result, result.strip_prefix("error: ")) {
            ("*none*", _) => Ok(None),
            ("*empty*", _) => Ok(Some(String::new())),
            (_, Some(error)) => Err(error.to_owned()),
            (value, None) => Ok(Some(Self::code(value)?)),
        };
        Some(Self { text: Self::code(text)?, expected })
    }

    fn code(cell: &str) -> Option<String> {
        let code = cell.strip_prefix('`')?.strip_suffix('`')?;
        let meant = |c| match c {
            '⏎' => '\n',
            '␍' => '\r',
            '⇥' => '\t',
            '␠' => ' ',
            '␇' => '\x07',
            '␈' => '\x08',
            '␌' => '\x0c',
            '␋' => '\x0b',
            c => c,
        };
        Some(code.chars().map(meant).collect())
    }

    /// The last variable of the text, and `A` if it has none.
    fn key(&self) -> String {
        let file = File::parse(self.text.as_bytes());
        let key = file.ok().and_then(|file| file.entries().next_back().map(|entry| entry.key.to_owned()));
        key.unwrap_or_else(|| "A".to_owned())
    }
}

#[test]
fn every_row_of_the_documentation_is_true() {
    let rows = Row::all();
    assert!(rows.len() > 50, "only {} rows were found", rows.len());
    for row in &rows {
        assert_eq!(value(&row.text, &row.key()), row.expected, "{:?}", row.text);
    }
}

#[test]
fn a_byte_order_mark_belongs_to_no_line() {
    assert_eq!(value("\u{feff}A=1", "A"), Ok(Some("1".into())));
    assert_eq!(set("\u{feff}", "A", "1"), "\u{feff}A=1\n");
    assert_eq!(remove("\u{feff}A=1\nB=2\n", "A"), "\u{feff}B=2\n");
    assert_eq!(value("\u{feff}=1", "A").unwrap_err(), "line 1, column 1: there is no name before the separator");
}

#[test]
fn what_is_not_text_is_refused_with_its_place() {
    let error = |bytes: &[u8]| File::parse(bytes).unwrap_err().to_string();
    assert_eq!(error(b"A=1\nB=\xc3\xa9\xff\n"), "line 2, column 4: the text is not UTF-8");
    assert_eq!(error(b"A=1\nB=2\0\n"), "line 2, column 4: the text has a NUL byte");
    assert_eq!(error(&vec![b'#'; MAX_SIZE + 1]), "the file has 1048577 bytes, more than the 1048576 that are read");
    assert!(File::parse(&vec![b'#'; MAX_SIZE]).is_ok());
}

#[test]
fn errors_count_lines_and_characters_from_one() {
    assert_eq!(
        value("A='1\n2'\r\n\r\n# é\n  é!=1", "A").unwrap_err(),
        "line 5, column 4: this character cannot be part of a variable's name; a value of several lines needs quotes"
    );
    assert_eq!(value("A='1\n2' 3", "A").unwrap_err(), "line 2, column 4: only a comment may follow the closing quote");
    assert!(value("A=éé${", "A").unwrap_err().starts_with("line 1, column 5: "));
    assert!(value("A='1\n2'\nB=\"é\n${\"", "A").unwrap_err().starts_with("line 3, column 3: "));
}

#[test]
fn nothing_prints_a_value() {
    let mut file = file("A=hunter2\nB=\"${hunter3:-hunter4}\"\nC='hunter5'");
    let entries: Vec<_> = file.entries().collect();
    let printed = format!("{file:?} {entries:?} {:?}", cascade(&[(".env", file.expose())]));
    assert!(!printed.contains("hunter"), "{printed}");
    for text in ["A='hunter2", "hunter 2", "A=${hunter2", "A='x' hunter2", "A=${B:?hunter2}", "A=\"\\0000hunter\""] {
        let error = value(text, "A").unwrap_err();
        assert!(!error.contains("hunter"), "{error}");
    }
    let error = file.set("A", "hunter2\0").unwrap_err();
    assert_eq!(format!("{error} {error:?}"), "the value for `A` has a NUL byte NulValue { key: \"A\" }");
}

#[test]
fn entries_say_where_and_how() {
    let file = file("# one\nexport A = 'x\ny' # two\n\nB\nC: \"\"\nA=$B");
    let entries: Vec<_> = file
        .entries()
        .map(|entry| (entry.key, entry.line, entry.value.map(|value| (value.expose(), value.quoting(), value.is_empty()))))
        .collect();
    assert_eq!(
        entries,
        [
            ("A", 2, Some(("'x\ny'", Quoting::Single, false))),
            ("B", 5, None),
            ("C", 6, Some(("\"\"", Quoting::Double, true))),
            ("A", 7, Some(("$B", Quoting::Unquoted, false))),
        ]
    );
    assert_eq!(file.duplicates(), [Duplicate { key: "A".into(), lines: vec![2, 7] }]);
}

#[test]
fn a_name_alone_is_no_duplicate() {
    assert_eq!(file("A\nA=1\nA\n").duplicates(), []);
}

#[test]
fn values_that_feed_on_each_other_are_stopped() {
    let doubling: Vec<_> = (1..40).map(|n| format!("A{n}=$A{0}$A{0}", n - 1)).collect();
    let error = value(&format!("A0=xxxxxxxx\n{}", doubling.join("\n")), "A0").unwrap_err();
    assert_eq!(error, "line 20, column 5: with `A19` the values exceed 4194304 bytes");
    let many = "A=$X\n".repeat(5000);
    assert!(value(&format!("X={}\n{many}", "x".repeat(1000)), "A").unwrap_err().contains("exceed"));
}

#[test]
fn references_may_not_be_nested_without_end() {
    let nested = |depth| format!("A={}x{}", "${B:-".repeat(depth), "}".repeat(depth));
    assert_eq!(value(&nested(32), "A"), Ok(Some("x".into())));
    assert_eq!(value(&nested(33), "A").unwrap_err(), "line 1, column 163: references are nested more than 32 deep");
    assert!(value(&nested(100_000), "A").is_err());
}

#[test]
fn no_file_takes_more_time_than_its_size_warrants() {
    // Each takes about a second at worst without optimisation; what grows with the square of the size takes minutes.
    let timely = |what: &str, read: &dyn Fn()| {
        let start = Instant::now();
        read();
        assert!(start.elapsed() < Duration::from_secs(10), "{what:?}");
    };
    let fill = |with: &str| with.repeat(MAX_SIZE / with.len() - 1);
    for with in ["${B:-x}", "${B{", "${B:-{", "$B", "}", "{", "\\", "'", " #"] {
        let [plain, quoted] = [format!("A={}", fill(with)), format!("A=\"{}\"", fill(with))];
        timely(with, &|| drop((value(&plain, "A"), value(&quoted, "A"))));
    }
    let names = (0..100_000).map(|number| format!("A{number}=")).collect::<Vec<_>>().join("\n");
    for text in ["A=\n", "A\n", "A=$A\n", "A=${A:-$A}\n", "A='\n'\n"].map(fill).into_iter().chain([names]) {
        timely(&text[..10], &|| drop(cascade(&[("1", &text), ("2", &text)]).problems()));
    }
}

#[test]
fn setting_changes_the_value_alone() {
    assert_eq!(set("# x\nA=1 # y\nB=2\n", "A", "3"), "# x\nA=3 # y\nB=2\n");
    assert_eq!(set("\texport A : '1'# y\r\nB=2", "A", "3"), "\texport A : '3'# y\r\nB=2");
    assert_eq!(set("A=\"1\n2\" # y\nB=2", "A", "a b"), "A=\"a b\" # y\nB=2");
    assert_eq!(set("A=1\n", "A", "a b"), "A='a b'\n");
    assert_eq!(set("A='1'\n", "A", "it's"), "A=\"it's\"\n");
}

#[test]
fn the_line_that_counts_is_the_one_that_is_set() {
    assert_eq!(set("A=1\nA=2\nB=3\nA\n", "A", "4"), "A=1\nA=4\nB=3\nA\n");
}

#[test]
fn an_empty_value_is_filled_where_it_is() {
    assert_eq!(set("A=\r\nB=2\r\n", "A", "1"), "A=1\r\nB=2\r\n");
    assert_eq!(set("A = \r\n", "A", "1"), "A = 1\r\n");
    assert_eq!(set("A:", "A", "1"), "A:1");
    assert_eq!(set("A='' # y", "A", "1"), "A='1' # y");
}

#[test]
fn a_new_variable_comes_last_with_the_line_ending_of_the_file() {
    assert_eq!(set("", "A", "1"), "A=1\n");
    assert_eq!(set("B=2\n", "A", "1"), "B=2\nA=1\n");
    assert_eq!(set("B=2", "A", "1"), "B=2\nA=1\n");
    assert_eq!(set("# c\r\nB=2", "A", "1"), "# c\r\nB=2\r\nA=1\r\n");
    assert_eq!(set("B=2\nC=3\r\nD=4\r\n", "A", "1"), "B=2\nC=3\r\nD=4\r\nA=1\r\n");
    assert_eq!(set("A\n", "A", "1"), "A\nA=1\n");
}

#[test]
fn values_are_written_with_as_few_quotes_as_they_need() {
    let written = |value: &str| set("A=\n", "A", value).trim_start_matches("A=").trim_end().to_owned();
    expect![[r##"
        plain/with:some-@%+,=_.
        ''
        'two words'
        '#hash'
        '$dollar ${x}'
        '{"json":"\\"}'
        "it's \$5"
        "line\nline\r\n\ttab"
        "ends in \\"
        'naïve'"##]]
    .assert_eq(
        &[
            "plain/with:some-@%+,=_.",
            "",
            "two words",
            "#hash",
            "$dollar ${x}",
            r#"{"json":"\\"}"#,
            "it's $5",
            "line\nline\r\n\ttab",
            "ends in \\",
            "naïve",
        ]
        .map(written)
        .join("\n"),
    );
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let mut file = file("A=1");
    assert_eq!(file.set("A B", "x").unwrap_err().to_string(), "`A B` cannot be the name of a variable");
    assert_eq!(file.set("", "x").unwrap_err().to_string(), "`` cannot be the name of a variable");
    assert!(file.set("A", &"x".repeat(MAX_SIZE)).is_err());
    assert_eq!(file.expose(), "A=1");
}

#[test]
fn removing_takes_every_line_of_the_variable() {
    assert_eq!(remove("# x\r\nA=1 # y\r\n\r\nexport A='2\r\n3'\r\nA\r\nB=2", "A"), "# x\r\n\r\nB=2");
    assert_eq!(remove("A=1\nB=2", "B"), "A=1\n");
    assert!(!file("AB=1\n# A=1").remove("A"));
}

#[test]
fn a_higher_file_wins_even_with_an_empty_value() {
    let cascade = cascade(&[(".env", "A=1\nB=1\nC=1\n"), (".env.secrets", "B=2\nC\n"), (".env.local", "A=\n")]);
    let effective = |key| cascade.effective(key).map(|it| (it.value.expose(), it.file, it.line));
    assert_eq!(effective("A"), Some(("", ".env.local", 1)));
    assert_eq!(effective("B"), Some(("2", ".env.secrets", 1)));
    assert_eq!(effective("C"), Some(("1", ".env", 3)));
    assert_eq!(effective("D"), None);
    assert_eq!(cascade.values().keys().collect::<Vec<_>>(), ["A", "B", "C"]);
}

#[test]
fn a_reference_sees_the_files_below_and_the_lines_above() {
    let cascade = cascade(&[("1", "A=1\nB=$A$C\n"), ("2", "C=$A\nA=2\nD=$A$B$E\nE=5\n"), ("3", "A=${A}3\n")]);
    let values: Vec<_> = cascade.values().iter().map(|(key, value)| format!("{key}={}", value.expose())).collect();
    assert_eq!(values, ["A=23", "B=1", "C=1", "D=21", "E=5"]);
}

#[test]
fn missing_means_that_nobody_wrote_a_value() {
    let cascade = cascade(&[("1", "A=\nB=1\nC=''\nD=\"\" # x\nE\nG=$Z\nH=1\nH=\n"), ("2", "A=\nB=\nF=2\n")]);
    let missing: Vec<_> =
        ["A", "B", "C", "D", "E", "F", "G", "H", "I"].into_iter().filter(|key| cascade.is_missing(key)).collect();
    assert_eq!(missing, ["A", "C", "D", "E", "I"]);
}

#[test]
fn problems_are_told_of_the_lines_that_count() {
    let cascade = cascade(&[
        (".env", "A=changeme\nB=changeme\nC=1\nD=\nE=x\nE=y\nF=1\nF=\n"),
        (".env.secrets", "A=real\nC=\nG= # set me\nH=$NOBODY\nI='<token>'\nJ=\nK=ok\n"),
    ]);
    let problems: Vec<_> = cascade.problems().iter().map(ToString::to_string).collect();
    expect![[r#"
        .env, line 2: `B` has a placeholder for a value
        .env, line 6: `E` is assigned on lines 5, 6; the last one counts
        .env, line 8: `F` is assigned on lines 7, 8; the last one counts
        .env, line 8: `F` is empty and hides the value on an earlier line
        .env.secrets, line 2: `C` is empty and hides the value in .env
        .env.secrets, line 3: `G` has a comment for a value; an empty one is written as `''`
        .env.secrets, line 4: `H` refers only to variables without a value
        .env.secrets, line 5: `I` has a placeholder for a value"#]]
    .assert_eq(&problems.join("\n"));
}

#[test]
fn a_file_that_cannot_be_expanded_is_named() {
    let files = [(".env", "A=1\n"), (".env.local", "B=${C:?}\n")].map(|(name, text)| (name.to_owned(), file(text)));
    let error = Cascade::new(files).unwrap_err();
    assert_eq!(error.to_string(), "could not expand the values of .env.local");
    assert_eq!(error.source().unwrap().to_string(), "line 1, column 3: `B` requires `C`, which has no value");
}

/// Texts made of what matters to the parser, most of them valid.
fn texts() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just(String::new()),
        "[ \t]{0,2}# ?[A-Za-z='\"$]{0,6}",
        "(export )?[A-D] ?[=:] ?[a-z0-9#$ \"']{0,6}( # [a-z'\"]{0,3})?",
        "(export )?[A-D]='[a-z\n\"$# \\\\n]{0,5}'( # x)?",
        "(export )?[A-D]=\"[a-z\n'#$ ]{0,5}\"( ?#x)?",
        "[A-D]=\\$\\{?[A-D](:?[-+]x)?\\}",
        "[A-D][ ]?",
    ];
    let ending = prop_oneof![4 => Just("\n"), 1 => Just("\r\n")];
    let lines = proptest::collection::vec((line, ending), 0..8);
    (prop_oneof![9 => Just(""), 1 => Just("\u{feff}")], lines, "|A=1|# x|  ").prop_map(|(start, lines, end)| {
        let lines: String = lines.into_iter().map(|(line, ending)| line + ending).collect();
        format!("{start}{lines}{end}")
    })
}

/// Any value without NUL, rich in what has a meaning.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9_./:@%+,=~-]{0,20}", "[\\\\'\"$#{}A \t\r\n=:!`né\u{a0}\u{85}0]{0,12}", "[^\0]{0,12}"]
}

proptest! {
    #[test]
    fn a_text_is_kept_byte_for_byte(text in texts()) {
        if let Ok(file) = File::parse(text.as_bytes()) {
            prop_assert_eq!(file.expose(), &text);
        }
    }

    #[test]
    fn no_input_is_a_panic(text in "\\PC*|[A=:\"'\\\\$#{}\n\r -]{0,30}") {
        let _ = File::parse(text.as_bytes()).map(|file| file.values(&Values::new()));
    }

    #[test]
    fn what_is_set_is_read_back(text in texts(), key in "[A-E]", new in any_value()) {
        let Ok(mut file) = File::parse(text.as_bytes()) else { return Ok(()) };
        prop_assume!(file.values(&Values::new()).is_ok());
        file.set(&key, &new).unwrap();
        let value = file.value(&key, &Values::new()).unwrap();
        prop_assert_eq!(value.as_ref().map(Secret::expose), Some(new.as_str()));
    }

    #[test]
    fn setting_leaves_every_other_byte(text in texts(), key in "[A-E]", new in any_value()) {
        let Ok(before) = File::parse(text.as_bytes()) else { return Ok(()) };
        let mut after = before.clone();
        after.set(&key, &new).unwrap();
        let last = before.statements.iter().rfind(|it| before.key(it) == key && it.value.is_some());
        if let Some(value) = last.and_then(|statement| statement.value.as_ref()) {
            prop_assert!(after.expose().starts_with(&text[..value.span.start]));
            prop_assert!(after.expose().ends_with(&text[value.span.end..]));
        } else {
            let added = after.expose().strip_prefix(text.as_str()).unwrap();
            prop_assert_eq!(added.trim_matches(['\r', '\n']).lines().count(), 1);
            prop_assert!(added.ends_with('\n'));
        }
        let others = |file: &File| -> Vec<String> {
            let others = file.entries().filter(|entry| entry.key != key);
            others.map(|entry| format!("{}{:?}", entry.key, entry.value.map(RawValue::expose))).collect()
        };
        prop_assert_eq!(others(&before), others(&after));
    }

    #[test]
    fn what_is_removed_is_gone_and_nothing_else_is(text in texts(), key in "[A-D]") {
        let Ok(before) = File::parse(text.as_bytes()) else { return Ok(()) };
        let mut after = before.clone();
        let there = before.entries().any(|entry| entry.key == key);
        prop_assert_eq!(after.remove(&key), there);
        prop_assert!(after.entries().all(|entry| entry.key != key));
        let left: usize = before.statements.iter().filter(|it| before.key(it) == key).map(|it| it.lines.len()).sum();
        prop_assert_eq!(after.expose().len() + left, text.len());
    }

    #[test]
    fn setting_twice_is_setting_once(text in texts(), key in "[A-E]", new in any_value()) {
        let Ok(mut once) = File::parse(text.as_bytes()) else { return Ok(()) };
        once.set(&key, &new).unwrap();
        let mut twice = once.clone();
        twice.set(&key, &new).unwrap();
        prop_assert_eq!(once.expose(), twice.expose());
    }
}
