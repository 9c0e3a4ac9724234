//! Files as people write them, and what they are told about them.

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;

/// What is printed about a file, or the names of its manifests.
fn read(text: impl AsRef<[u8]>) -> String {
    match parse_located(Path::new("apps/web.yaml"), text.as_ref()) {
        Ok(located) => located.iter().fold(String::new(), |mut lines, located| {
            writeln!(lines, "{} at line {}", located.manifest.key(), located.line).unwrap();
            lines
        }),
        Err(problems) => problems.iter().map(|problem| format!("{problem}\n")).collect(),
    }
}

#[track_caller]
fn check(text: impl AsRef<[u8]>, expected: Expect) {
    expected.assert_eq(&read(text));
}

/// A container with these lines in its `spec`.
#[track_caller]
fn check_container(spec: &str, expected: Expect) {
    let spec: String = spec.trim_matches('\n').lines().fold(String::new(), |text, line| text + "  " + line + "\n");
    check(format!("apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {{name: web}}\nspec:\n{spec}"), expected);
}

/// An environment with these lines in its `spec`.
#[track_caller]
fn check_environment(spec: &str, expected: Expect) {
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
        expect![[""]],
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
    check("", expect![[""]]);
    check("# nothing yet\n", expect![[""]]);
    check("---\n---\n~\n...\n", expect![[""]]);
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
        expect![[""]],
    );
}

#[test]
fn broken_yaml_is_told_with_its_place() {
    check("apiVersion: mooring.dev/v1alpha1\nkind: Container\n  metadata: {name: web}\n", expect![[""]]);
    check("kind: [Container\n", expect![[""]]);
    check("kind: \"Container\n", expect![[""]]);
    check("kind: Container\n- a\n", expect![[""]]);
    check("a: *b\n", expect![[""]]);
    check("note: this: that\n", expect![[""]]);
    check("? [a, b]\n: c\n", expect![[""]]);
    check("a: .inf\n", expect![[""]]);
}

#[test]
fn tabs_are_explained() {
    check("apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata:\n\tname: web\n", expect![[""]]);
    check("spec:\n  image: nginx\n  ports:\n  \t- 80\n", expect![[""]]);
}

#[test]
fn text_in_another_encoding_is_refused_with_its_place() {
    check(b"# caf\xe9\n", expect![[""]]);
    check("# gr\u{fc}n\nkind: a\0b\n", expect![[""]]);
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    check(vec![b'#'; MAX_BYTES + 1], expect![[""]]);
}

#[test]
fn duplicate_keys_are_told_with_both_places() {
    check_container("image: nginx\nenvironment:\n  A: hunter2\n  B: b\n  A: hunter3\nimage: nginx:2\n", expect![[""]]);
}

#[test]
fn duplicate_names_in_one_file_are_told() {
    let one = "apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {name: web}\nspec: {image: nginx}\n";
    check(format!("{one}---\n{one}"), expect![[""]]);
}

#[test]
fn documents_of_other_programs_are_told_apart() {
    check("services:\n  web:\n    image: nginx\n", expect![[""]]);
    check("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n", expect![[""]]);
    check("- a\n- b\n", expect![[""]]);
    check("hello\n", expect![[""]]);
}

#[test]
fn an_unknown_kind_is_told_with_the_nearest() {
    check("apiVersion: mooring.dev/v1alpha1\nkind: Contaner\nmetadata: {nam: web}\nspec: {}\n", expect![[""]]);
    check("apiVersion: mooring.dev/v1alpha1\nkind: container\nmetadata: {name: web}\nspec: {}\n", expect![[""]]);
    check("apiVersion: mooring.dev/v1alpha1\nkind: Gateway\nmetadata: {name: web}\nspec: {}\n", expect![[""]]);
    check("apiVersion: mooring.dev/v1\nkind: Container\nmetadata: {name: web}\nspec: {}\n", expect![[""]]);
}

#[test]
fn names_have_to_be_names() {
    for name in ["w", "-web", "web_1.x", "12", "a b", "\"\"", "0123456789012345678901234567890123456789012345678901234567890123"]
    {
        let text =
            format!("apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {{name: {name}}}\nspec: {{image: nginx}}\n");
        assert_eq!(read(&text).contains("`metadata.name`"), name != "web_1.x", "{name}: {}", read(&text));
    }
    check("apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {}\nspec: {image: nginx}\n", expect![[""]]);
    check("apiVersion: mooring.dev/v1alpha1\nkind: Container\nspec: {image: nginx}\n", expect![[""]]);
    check("apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {name: web, namespace: shop}\n", expect![[""]]);
}

#[test]
fn wrong_types_are_told_in_words() {
    check_container(
        "
image: 12
pidsLimit: lots
init: 'yes'
cpus: many
capAdd: NET_ADMIN
ports:
labels: [a=b]
stopGracePeriod: 10
memLimit: 1.5g
command: {run: it}
networks: [{nam: x}, 5]
ulimits: {nofile: {soft: 1}}
logging: {driver: json-file, options: {max-size: [10m]}}
",
        expect![[""]],
    );
}

#[test]
fn values_out_of_range_and_unknown_choices_are_told_in_words() {
    check_container(
        "
image: nginx
management: own
pullPolicy: sometimes
onManualStop: haal
networkMode: hots
pidsLimit: 0
cpus: 0
containerName: /web
restart: on-failure:x
probe: {http: {port: 0, path: index.html}, retries: 99999999999}
healthcheck: {interval: 5, retries: 0}
networks: [{name: a, ipv4Address: 300.1.1.1, ipv6Address: '::1'}]
healing: {backoff: {factor: 11}}
",
        expect![[""]],
    );
}

#[test]
fn values_that_may_be_secret_are_not_repeated() {
    let text = "
image: nginx
environment:
  PASSWORD: [hunter2]
  TOKEN: true
  RATE: 1.5
  KEY=hunter2: x
command: {password: hunter2}
entrypoint: echo 'hunter2
labels: {auth: [hunter2]}
logging: {driver: splunk, options: {token: {hunter2: hunter2}}}
";
    check_container(text, expect![[""]]);
    check_container("image: nginx\nenvironment: PASSWORD=hunter2", expect![[""]]);
    check_container("image: nginx\nenvironment: [PASSWORD=hunter2]", expect![[""]]);
    check_environment("computed: {values: {A: {password: hunter2}}}", expect![[""]]);
}

#[test]
fn short_notations_are_checked() {
    check_container(
        "
image: nginx
ports: ['80:80/icmp', '8000-8010:80', 'localhost:80:80', ok]
volumes: ['/data', 'data:data', '~/x:/x', 'data:/data:z']
tmpfs: [run, '/run:sise=1']
devices: [null0, /dev/null:/dev/null:x]
extraHosts: [db, 'db:nowhere']
dns: [resolver]
command: echo 'a
",
        expect![[""]],
    );
}

#[test]
fn fields_that_exclude_or_need_each_other_are_told() {
    check_container("management: heal", expect![[""]]);
    check_container("management: heal\nselector: {}", expect![[""]]);
    check_container("management: heal\nselector: {labels: {com.docker.compose.service: redis}}", expect![[""]]);
    check_container("selector: {name: redis}", expect![[""]]);
    check_container("image: ''\nnetworkMode: host\nnetworks: [a]", expect![[""]]);
    check_container("image: nginx\nprobe: {}", expect![[""]]);
    check_container("image: nginx\nprobe: {tcp: {port: 1}, exec: {command: [a]}, http: {port: 2}}", expect![[""]]);
    check_container("image: nginx\nlabels: {dev.mooring.owner: me, ok: '1'}", expect![[""]]);
    check_container("image: nginx\ndependsOn: [{container: db}, {container: web}]", expect![[""]]);
    check_container("image: nginx\nenvFrom: [{environment: shop, keys: ['A B']}]", expect![[""]]);
}

#[test]
fn environments_are_checked() {
    check_environment("{}", expect![[""]]);
    check_environment(
        "
files: [.env, ../.env, conf/.env, .env, '']
secrets:
  file: .env.secrets
  generate: [{name: A}, {name: A}, {name: 1X}, {name: U, format: uuid, length: 40}, {name: S, length: 8}, {name: F, format: base46}]
computed:
  file: .env
  values: {A: '${B}', 'B C': x, OK: '1'}
",
        expect![[""]],
    );
    check_environment("files: [.env]\nsecrets: {generate: []}", expect![[""]]);
    check_environment("secrets: {}", expect![[""]]);
    check_environment("computed: {file: a/b, values: {}}", expect![[""]]);
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
        expect![[""]],
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
    check(&bomb, expect![[""]]);
    let long = "x".repeat(500_000);
    check(format!("a: &a {long}\nb: [{}]\n", ["*a"; 10_000].join(",")), expect![[""]]);
    check("[".repeat(5000), expect![[""]]);
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
