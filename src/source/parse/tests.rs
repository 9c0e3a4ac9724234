//! Files as people write them, and what they are told about them.

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;

mod fields;

/// What is printed about a file, or the names of its manifests.
fn read(text: impl AsRef<[u8]>) -> String {
    match parse_located(Path::new("apps/web.yaml"), text.as_ref()) {
        Ok(located) => located.iter().fold(String::new(), |mut lines, located| {
            writeln!(lines, "{} at line {}", located.manifest.key(), located.line).unwrap();
            lines
        }),
        Err(problems) => problems.iter().fold(String::new(), |mut lines, problem| {
            writeln!(lines, "{problem}").unwrap();
            lines
        }),
    }
}

#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: &Expect) {
    expected.assert_eq(&read(text));
}

/// A container with these lines in its `spec`.
#[track_caller]
fn check_container(spec: &str, expected: &Expect) {
    let spec: String = spec.trim_matches('\n').lines().fold(String::new(), |text, line| text + "  " + line + "\n");
    check(format!("apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {{name: web}}\nspec:\n{spec}"), expected);
}

/// An environment with these lines in its `spec`.
#[track_caller]
fn check_environment(spec: &str, expected: &Expect) {
    let spec: String = spec.trim_matches('\n').lines().fold(String::new(), |text, line| text + "  " + line + "\n");
    check(format!("apiVersion: mooring.dev/v1alpha1\nkind: Environment\nmetadata: {{name: shop}}\nspec:\n{spec}"), expected);
}

#[test]
fn the_manifests_of_the_design_are_accepted() {
    check(
        r#"
apiVersion: mooring.dev/v1alpha1
kind: Environment
metadata: {name: shop}
spec:
  directory: .
  files: [.env, .env.prod, .env.secrets, .env.local]
  secrets:
    file: .env.secrets
    generate:
      - {name: CLAW_WEB_SECRET}
      - {name: POSTGRES_PASSWORD, format: alphanumeric, length: 40}
  computed:
    file: .env.computed
    values: {DATABASE_URL: "postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD:urlencode}@postgres:5432/${POSTGRES_DB}"}
---
# nothing in this one
---
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {name: redis, labels: {tier: cache}}
spec:
  image: redis:7
  restart: no
  user: 999
  environment: {TZ: UTC, PORT: 6379, FLAG: no}
  envFrom: [{environment: shop, keys: [REDIS_PASSWORD]}]
  networks: [shop_network, {name: other, aliases: [cache], ipv4Address: 192.0.2.9}]
  volumes: ["redis_data:/data"]
  tmpfs: ["/run:size=64m"]
  ports: ["127.0.0.1:6379:6379", 80]
  dependsOn: [{container: postgres, condition: healthy}]
  command: redis-server --save ''
  memLimit: 512m
  shmSize: 1048576
  ulimits: {nofile: 1024, nproc: {soft: 1, hard: 2}}
  probe: {tcp: {port: 6379}, interval: 5s}
  management: own
  healing: {backoff: {initial: 1s, factor: 2, cap: 5m, resetAfter: 10m}, budget: {attempts: 3, window: 10m}}
status: {conditions: []}
"#,
        &expect![[r#"
            Environment/shop at line 2
            Container/redis at line 19
        "#]],
    );
}

#[test]
fn a_manifest_knows_where_it_stands() {
    let text = "# a comment\n---\napiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {name: web, generation: 7}\nspec: {image: nginx}\n";
    let manifests = parse_file(Path::new("apps/web.yaml"), text.as_bytes()).unwrap();
    let meta = manifests[0].meta();
    assert_eq!(meta.annotations.as_ref().unwrap()[SOURCE_ANNOTATION], "apps/web.yaml:3");
    assert_eq!(meta.generation, None, "the generation is not the user's to write");
}

#[test]
fn a_file_of_comments_and_empty_documents_has_no_manifests() {
    check("", &expect![[""]]);
    check("# nothing yet\n", &expect![[""]]);
    check("---\n---\n~\n...\n", &expect![[""]]);
}

#[test]
fn all_errors_of_a_file_are_told_at_once() {
    check(
        r#"apiVersion: mooring.dev/v1alpha1
kind: Container
metadata:
  name: Web
  nmae: web
spec:
  imagee: nginx
  pidsLimit: lots
  readOnly: yes
  ports:
    - 8080:80
    - 99999:80
  pullPolicy: Always
  depends_on: [db]
  probe:
    http: {port: 99999, pth: /}
    interval: 5 minutes
---
apiVersion: mooring.dev/v1alpha1
kind: Environment
metadata: {name: shop}
spec:
  files: []
  secrets: {generate: [{nam: X, length: 8}]}
"#,
        &expect![[r#"
            apps/web.yaml:4:9: `metadata.name`: expected 2 to 63 lower-case letters, digits, `_`, `.` and `-`, beginning with a letter or digit, found "Web" (The object's name, unique among those of its kind.)
            apps/web.yaml:5:3: unknown field `metadata.nmae` (did you mean `name`?)
            apps/web.yaml:6:1: `spec.image` is missing (the image, as `docker run` takes it; only `management: heal` needs none)
            apps/web.yaml:7:3: unknown field `spec.imagee` (did you mean `image`?)
            apps/web.yaml:8:14: `spec.pidsLimit`: expected a whole number of at least 1, found "lots" (Limit of processes and threads.)
            apps/web.yaml:9:13: `spec.readOnly`: expected true or false, found "yes" (YAML's booleans are `true` and `false`)
            apps/web.yaml:12:7: `spec.ports.1`: `99999` is not a port from 1 to 65535 (ranges are not supported)
            apps/web.yaml:13:15: `spec.pullPolicy`: expected one of never, ifMissing, always, found "Always" (did you mean `always`?)
            apps/web.yaml:14:3: unknown field `spec.depends_on` (did you mean `dependsOn`?)
            apps/web.yaml:16:18: `spec.probe.http.port`: expected a whole number from 1 to 65535, found 99999 (The port inside the container.)
            apps/web.yaml:16:25: unknown field `spec.probe.http.pth` (did you mean `path`?)
            apps/web.yaml:17:15: `spec.probe.interval`: expected a duration such as 500ms, 5s or 1m30s, found "5 minutes" (Time between checks.)
            apps/web.yaml:23:10: `spec.files` must not be empty
            apps/web.yaml:24:3: `spec.secrets.file`: `.env.secrets` is not one of `spec.files`, so what is written there would never be read (add it to `spec.files`)
            apps/web.yaml:24:24: `spec.secrets.generate.0.name` is missing (The variable's name.)
            apps/web.yaml:24:25: unknown field `spec.secrets.generate.0.nam` (did you mean `name`?)
            apps/web.yaml:24:41: `spec.secrets.generate.0.length`: expected a whole number from 32 to 256, found 8 (Length in characters of the value as written (32 to 256; `uuid` has its own).)
        "#]],
    );
}

#[test]
fn broken_yaml_is_told_with_its_place() {
    check(
        "apiVersion: mooring.dev/v1alpha1\nkind: Container\n  metadata: {name: web}\n",
        &expect![[r#"
        apps/web.yaml:3:11: there cannot be a `:` here (text that contains `: ` has to stand in quotes; otherwise check the indentation)
    "#]],
    );
    check(
        "kind: [Container\n",
        &expect![[r#"
        apps/web.yaml:1:7: `[` is never closed
    "#]],
    );
    check(
        "kind: \"Container\n",
        &expect![[r#"
        apps/web.yaml:2:1: a quotation mark has no partner, or the text in quotes goes on in a line that is not indented
    "#]],
    );
    check(
        "kind: Container\n- a\n",
        &expect![[r#"
        apps/web.yaml:2:3: expected `key: value` (check the indentation of this line and of the ones above)
    "#]],
    );
    check(
        "a: *b\n",
        &expect![[r#"
        apps/web.yaml:1:4: this alias has no anchor before it (text that begins with `*` has to stand in quotes)
    "#]],
    );
    check(
        "note: this: that\n",
        &expect![[r#"
        apps/web.yaml:1:11: there cannot be a `:` here (text that contains `: ` has to stand in quotes; otherwise check the indentation)
    "#]],
    );
    check(
        "? [a, b]\n: c\n",
        &expect![[r#"
        apps/web.yaml:1:3: the YAML cannot be used: expected string scalar
    "#]],
    );
    check(
        "a: .inf\n",
        &expect![[r#"
        apps/web.yaml:1:4: the YAML cannot be used: value `.inf` is not a finite number
    "#]],
    );
}

#[test]
fn tabs_are_explained() {
    check(
        "apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata:\n\tname: web\n",
        &expect![[r#"
        apps/web.yaml:4:1: there is a tab, and YAML is indented with spaces only (replace each tab by two spaces)
    "#]],
    );
    check(
        "spec:\n  image: nginx\n  ports:\n  \t- 80\n",
        &expect![[r#"
        apps/web.yaml:4:3: there is a tab, and YAML is indented with spaces only (replace each tab by two spaces)
    "#]],
    );
}

#[test]
fn text_in_another_encoding_is_refused_with_its_place() {
    check(
        b"# caf\xe9\n",
        &expect![[r#"
        apps/web.yaml:1:6: the file is not UTF-8 text (save it in the encoding UTF-8; this byte belongs to another one)
    "#]],
    );
    check(
        "# gr\u{fc}n\nkind: a\0b\n",
        &expect![[r#"
        apps/web.yaml:2:8: the file contains a NUL byte, as no text does
    "#]],
    );
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    check(
        vec![b'#'; MAX_BYTES + 1],
        &expect![[r#"
        apps/web.yaml:1:1: the file is larger than 1 MiB (split it into several files)
    "#]],
    );
}

#[test]
fn duplicate_keys_are_told_with_both_places() {
    check_container(
        "image: nginx\nenvironment:\n  A: hunter2\n  B: b\n  A: hunter3\nimage: nginx:2\n",
        &expect![[r#"
            apps/web.yaml:9:5: `spec.environment.A` is given twice, first at line 7
            apps/web.yaml:10:3: `spec.image` is given twice, first at line 5
        "#]],
    );
}

#[test]
fn duplicate_names_in_one_file_are_told() {
    let one = "apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {name: web}\nspec: {image: nginx}\n";
    check(
        format!("{one}---\n{one}"),
        &expect![[r#"
        apps/web.yaml:8:18: Container/web is declared twice in this file, first at line 1
    "#]],
    );
}

#[test]
fn documents_of_other_programs_are_told_apart() {
    check(
        "services:\n  web:\n    image: nginx\n",
        &expect![[r#"
            apps/web.yaml:1:1: `apiVersion` is missing: expected `apiVersion: mooring.dev/v1alpha1`
            apps/web.yaml:1:1: `kind` is missing: expected one of Environment, Container, Proxy, ModelProvider, Plugin, Hold, Host
        "#]],
    );
    check(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n",
        &expect![[r#"
            apps/web.yaml:1:13: `apiVersion`: expected mooring.dev/v1alpha1, found "apps/v1"
            apps/web.yaml:2:7: unknown kind `Deployment` (the kinds are Environment, Container, Proxy, ModelProvider, Plugin, Hold, Host)
        "#]],
    );
    check(
        "- a\n- b\n",
        &expect![[r#"
        apps/web.yaml:1:1: expected a manifest with `apiVersion`, `kind`, `metadata` and `spec`, found a list
    "#]],
    );
    check(
        "hello\n",
        &expect![[r#"
        apps/web.yaml:1:1: expected a manifest with `apiVersion`, `kind`, `metadata` and `spec`, found text
    "#]],
    );
}

#[test]
fn an_unknown_kind_is_told_with_the_nearest() {
    check(
        "apiVersion: mooring.dev/v1alpha1\nkind: Contaner\nmetadata: {nam: web}\nspec: {}\n",
        &expect![[r#"
        apps/web.yaml:2:7: unknown kind `Contaner` (did you mean `Container`?)
        apps/web.yaml:3:1: `metadata.name` is missing (The object's name, unique among those of its kind.)
        apps/web.yaml:3:12: unknown field `metadata.nam` (did you mean `name`?)
    "#]],
    );
    check(
        "apiVersion: mooring.dev/v1alpha1\nkind: container\nmetadata: {name: web}\nspec: {}\n",
        &expect![[r#"
        apps/web.yaml:2:7: unknown kind `container` (did you mean `Container`?)
    "#]],
    );
    check(
        "apiVersion: mooring.dev/v1alpha1\nkind: Gateway\nmetadata: {name: web}\nspec: {}\n",
        &expect![[r#"
            apps/web.yaml:2:7: unknown kind `Gateway` (the kinds are Environment, Container, Proxy, ModelProvider, Plugin, Hold, Host)
        "#]],
    );
    check(
        "apiVersion: mooring.dev/v1\nkind: Container\nmetadata: {name: web}\nspec: {}\n",
        &expect![[r#"
        apps/web.yaml:1:13: `apiVersion`: expected mooring.dev/v1alpha1, found "mooring.dev/v1"
        apps/web.yaml:4:1: `spec.image` is missing (the image, as `docker run` takes it; only `management: heal` needs none)
    "#]],
    );
}

#[test]
fn names_have_to_be_names() {
    for name in ["w", "-web", "web_1.x", "12", "a b", "\"\"", "0123456789012345678901234567890123456789012345678901234567890123"]
    {
        let text =
            format!("apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {{name: {name}}}\nspec: {{image: nginx}}\n");
        assert_eq!(read(&text).contains("`metadata.name`"), name != "web_1.x", "{name}: {}", read(&text));
    }
    check(
        "apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {}\nspec: {image: nginx}\n",
        &expect![[r#"
        apps/web.yaml:3:1: `metadata.name` is missing (The object's name, unique among those of its kind.)
    "#]],
    );
    check(
        "apiVersion: mooring.dev/v1alpha1\nkind: Container\nspec: {image: nginx}\n",
        &expect![[r#"
        apps/web.yaml:1:1: `metadata` is missing (What the object is called.)
    "#]],
    );
    check(
        "apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {name: web, namespace: shop}\nspec: {image: nginx}\n",
        &expect![[r#"
        apps/web.yaml:3:23: unknown field `metadata.namespace` (the fields of `metadata` are name, labels, annotations, generation)
    "#]],
    );
}

#[test]
fn aliases_and_merges_are_read_and_their_errors_have_places() {
    check(
        "
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {name: web}
spec:
  image: nginx
  healthcheck: &check {test: curl, interval: 5 s}
---
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {name: api}
spec: &spec
  image: nginx
  probe: &probe {tcp: {port: http}}
---
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {name: db}
spec:
  image: postgres
  environment: &more {A: a}
  labels: {<<: *more, B: [b]}
",
        &expect![[r#"
            apps/web.yaml:7:46: `spec.healthcheck.interval`: expected a duration such as 500ms, 5s or 1m30s, found "5 s" (Time between checks.)
            apps/web.yaml:14:30: `spec.probe.tcp.port`: expected a whole number from 1 to 65535, found "http" (The port inside the container.)
            apps/web.yaml:22:26: `spec.labels.B`: expected text or a whole number, found a list
        "#]],
    );
}

#[test]
fn an_alias_bomb_is_refused_quickly() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..10 {
        let alias = format!("*a{}", level - 1);
        let aliases = [alias.as_str(); 9].join(",");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    check(
        &bomb,
        &expect![[r#"
        apps/web.yaml:6:10: the file says too much, counting each alias as what it stands for (split it into several files, or use fewer aliases)
    "#]],
    );
    let long = "x".repeat(500_000);
    check(
        format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 10_000].join(",")),
        &expect![[r#"
        apps/web.yaml:2:26: the file says too much, counting each alias as what it stands for (split it into several files, or use fewer aliases)
    "#]],
    );
    check(
        "[".repeat(5000),
        &expect![[r#"
            apps/web.yaml:1:256: the parts are nested too deeply
        "#]],
    );
}

#[test]
fn marks_of_other_systems_at_the_beginning_and_at_line_ends_do_not_matter() {
    let text = "\u{feff}apiVersion: mooring.dev/v1alpha1\r\nkind: Container\r\nmetadata: {name: web}\r\nspec:\r\n  image: nginx\r\n  portz: 1\r\n";
    check(
        text,
        &expect![[r#"
        apps/web.yaml:6:3: unknown field `spec.portz` (did you mean `ports`?)
    "#]],
    );
    check(
        text.replace("  portz: 1\r\n", ""),
        &expect![[r#"
        Container/web at line 1
    "#]],
    );
}

#[test]
fn numbers_that_yaml_would_rewrite_are_refused() {
    check_container(
        "
image: nginx
environment: {PIN: 0123, HEX: 0x1F, PLUS: +49, ZERO: 0, TEXT: '0123', DATE: 2026-01-01, MINUS: -5, VERSION: 1.2.3}
user: 0100
pidsLimit: 0o17
",
        &expect![[r#"
            apps/web.yaml:6:33: `spec.environment.HEX`: YAML takes what is written here for another number (put it in quotes, or write that number in plain digits)
            apps/web.yaml:6:45: `spec.environment.PLUS`: YAML takes what is written here for another number (put it in quotes, or write that number in plain digits)
            apps/web.yaml:8:14: `spec.pidsLimit`: YAML takes what is written here for 15 (put it in quotes, or write that number in plain digits)
        "#]],
    );
}

proptest::proptest! {
    #[test]
    fn whatever_happens_to_a_file_its_problems_lie_within_it(
        at in 0_usize..400, remove in 0_usize..6, insert in "[ \\t\\n:\\-\\[\\]{}#&*!|>'\"%@`a-z0-9~=<,?é\u{feff}\u{85}]{0,4}",
    ) {
        let good = "apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {name: web}\nspec:\n  image: nginx\n  ports: ['80:80', 81]\n  \
            environment: &a {A: b, C: 1}\n  labels: {<<: *a}\n  probe:\n    tcp: {port: 80}\n    interval: 5s\n---\n# nothing\n---\n\
            apiVersion: mooring.dev/v1alpha1\nkind: Environment\nmetadata:\n  name: shop\nspec:\n  files:\n  - .env\n  - .env.secrets\n";
        let from = at.min(good.len());
        let text = format!("{}{insert}{}", &good[..from], &good[(from + remove).min(good.len())..]);
        let lines = text.lines().count();
        for problem in parse_located(Path::new("x.yaml"), text.as_bytes()).err().into_iter().flatten() {
            assert!((1..=lines + 1).contains(&problem.line) && problem.column > 0, "{problem}");
        }
    }
}

#[test]
fn a_half_written_file_is_refused() {
    let whole =
        "apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {name: web}\nspec: {image: nginx, ports: ['80:80']}\n";
    let spec = whole.find("spec").unwrap();
    for length in spec..whole.len() - 1 {
        assert!(parse_file(Path::new("x.yaml"), &whole.as_bytes()[..length]).is_err(), "{}", &whole[..length]);
    }
}
