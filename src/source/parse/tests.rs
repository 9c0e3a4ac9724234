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
            apps/web.yaml:1:1: `kind` is missing: expected one of Environment, Container, Proxy, ModelProvider, Plugin, Hold
        "#]],
    );
    check(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n",
        &expect![[r#"
            apps/web.yaml:1:13: `apiVersion`: expected mooring.dev/v1alpha1, found "apps/v1"
            apps/web.yaml:2:7: unknown kind `Deployment` (the kinds are Environment, Container, Proxy, ModelProvider, Plugin, Hold)
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
            apps/web.yaml:2:7: unknown kind `Gateway` (the kinds are Environment, Container, Proxy, ModelProvider, Plugin, Hold)
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
        &expect![[r#"
            apps/web.yaml:5:10: `spec.image`: expected text, found 12 (put it in quotes)
            apps/web.yaml:6:14: `spec.pidsLimit`: expected a whole number of at least 1, found "lots" (Limit of processes and threads.)
            apps/web.yaml:7:9: `spec.init`: expected true or false, found "yes" (YAML's booleans are `true` and `false`)
            apps/web.yaml:8:9: `spec.cpus`: expected a number of at least 0.01, found "many" (CPU limit, in CPUs.)
            apps/web.yaml:9:11: `spec.capAdd`: expected a list, found "NET_ADMIN" (put `- ` before it, on a line of its own)
            apps/web.yaml:10:8: `spec.ports`: expected a list, found nothing (remove the line, or write `[]`)
            apps/web.yaml:11:11: `spec.labels`: expected a mapping, found a list (write `name: value` without the `- ` before it)
            apps/web.yaml:12:20: `spec.stopGracePeriod`: expected a duration such as 500ms, 5s or 1m30s, found 10 (How long it may take to stop before it is killed.)
            apps/web.yaml:13:13: `spec.memLimit`: expected a size such as 1048576, 512m or 2g, found "1.5g" (Memory limit.)
            apps/web.yaml:14:12: `spec.command`: expected text or a list, found a mapping (Replaces the image's command.)
            apps/web.yaml:15:14: `spec.networks.0.name` is missing (The network's name on the engine.)
            apps/web.yaml:15:15: unknown field `spec.networks.0.nam` (did you mean `name`?)
            apps/web.yaml:15:24: `spec.networks.1`: expected text or a mapping, found 5 (put it in quotes)
            apps/web.yaml:16:13: `spec.ulimits.nofile.hard` is missing (The most that the process may raise it to.)
            apps/web.yaml:17:52: `spec.logging.options.max-size`: expected text or a whole number, found a list
        "#]],
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
        &expect![[r#"
            apps/web.yaml:7:15: `spec.pullPolicy`: expected one of never, ifMissing, always, found "sometimes"
            apps/web.yaml:8:17: `spec.onManualStop`: expected one of respect, heal, found "haal" (did you mean `heal`?)
            apps/web.yaml:9:16: `spec.networkMode`: expected one of host, none, bridge, found "hots" (did you mean `host`?)
            apps/web.yaml:10:14: `spec.pidsLimit`: expected a whole number of at least 1, found 0 (Limit of processes and threads.)
            apps/web.yaml:11:9: `spec.cpus`: expected a number of at least 0.01, found 0 (CPU limit, in CPUs.)
            apps/web.yaml:12:18: `spec.containerName`: expected a name of letters, digits, `_`, `.` and `-`, beginning with a letter or digit, found "/web" (The container's name on the engine.)
            apps/web.yaml:13:12: `spec.restart`: expected no, always, unless-stopped or on-failure[:N], found "on-failure:x" (The engine's restart policy: `no`, `always`, `unless-stopped`, `on-failure[:N]`.)
            apps/web.yaml:14:24: `spec.probe.http.port`: expected a whole number from 1 to 65535, found 0 (The port inside the container.)
            apps/web.yaml:14:33: `spec.probe.http.path`: expected a path that begins with `/`, found "index.html" (The path to ask for.)
            apps/web.yaml:14:55: `spec.probe.retries`: expected a whole number from 1 to 4294967295, found 99999999999 (Failures in a row that make it unhealthy.)
            apps/web.yaml:15:27: `spec.healthcheck.interval`: expected a duration such as 500ms, 5s or 1m30s, found 5 (Time between checks.)
            apps/web.yaml:15:39: `spec.healthcheck.retries`: expected a whole number of at least 1, found 0 (Failures in a row that make it unhealthy.)
            apps/web.yaml:16:37: `spec.networks.0.ipv4Address`: expected an IPv4 address, found "300.1.1.1" (A fixed IPv4 address; the network needs a subnet of its own.)
            apps/web.yaml:17:31: `spec.healing.backoff.factor`: expected a number from 1 to 10, found 11 (How much longer each pause is than the one before.)
        "#]],
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
    check_container(
        text,
        &expect![[r#"
        apps/web.yaml:7:15: `spec.environment.PASSWORD`: expected text or a whole number, found a list
        apps/web.yaml:8:12: `spec.environment.TOKEN`: expected text or a whole number, found a boolean (put it in quotes)
        apps/web.yaml:9:11: `spec.environment.RATE`: expected text or a whole number, found a number with a fraction (put it in quotes)
        apps/web.yaml:10:5: `spec.environment.KEY` is not the name of a variable: it has a `=` or a space in it, or is empty (write `NAME: value`)
        apps/web.yaml:11:12: `spec.command`: expected text or a list, found a mapping (Replaces the image's command.)
        apps/web.yaml:12:15: `spec.entrypoint`: the command has a quotation mark without its partner, or ends in a backslash
        apps/web.yaml:13:18: `spec.labels.auth`: expected text or a whole number, found a list
        apps/web.yaml:14:46: `spec.logging.options.token`: expected text or a whole number, found a mapping
    "#]],
    );
    check_container(
        "image: nginx\nenvironment: PASSWORD=hunter2",
        &expect![[r#"
        apps/web.yaml:6:16: `spec.environment`: expected a mapping, found text (Environment variables, written out.)
    "#]],
    );
    check_container(
        "image: nginx\nenvironment: [PASSWORD=hunter2]",
        &expect![[r#"
        apps/web.yaml:6:16: `spec.environment`: expected a mapping, found a list (write `name: value` without the `- ` before it)
    "#]],
    );
    check_environment(
        "computed: {values: {A: {password: hunter2}}}",
        &expect![[r#"
        apps/web.yaml:5:26: `spec.computed.values.A`: expected text, found a mapping
    "#]],
    );
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
        &expect![[r#"
            apps/web.yaml:6:11: `spec.ports.0`: `icmp` is not a protocol; the protocols are tcp, udp and sctp
            apps/web.yaml:6:25: `spec.ports.1`: `8000-8010` is not a port from 1 to 65535 (ranges are not supported)
            apps/web.yaml:6:41: `spec.ports.2`: `localhost` is not an address of the host
            apps/web.yaml:6:60: `spec.ports.3`: `ok` is not a port from 1 to 65535 (ranges are not supported)
            apps/web.yaml:7:13: `spec.volumes.0`: `/data` is not VOLUME:/path[:ro] or /host/path:/path[:ro]; a volume without a name would be lost with its container
            apps/web.yaml:7:22: `spec.volumes.1`: `data` is not an absolute path inside the container
            apps/web.yaml:7:35: `spec.volumes.2`: `~/x` is neither the name of a volume nor a path (a path starts with / or .)
            apps/web.yaml:7:45: `spec.volumes.3`: `z` is not a mount option; the options are ro and rw
            apps/web.yaml:8:11: `spec.tmpfs.0`: `run` is not an absolute path inside the container
            apps/web.yaml:8:16: `spec.tmpfs.1`: `sise` is not an option of a tmpfs; the options are size, mode, uid, gid, nr_inodes, nr_blocks, ro, rw, exec, noexec, suid, nosuid, dev, nodev, noatime, relatime, sync
            apps/web.yaml:9:13: `spec.devices.0`: `null0` is not /dev/on/host[:/dev/in/container[:rwm]]
            apps/web.yaml:9:20: `spec.devices.1`: `/dev/null:/dev/null:x` is not /dev/on/host[:/dev/in/container[:rwm]]
            apps/web.yaml:10:16: `spec.extraHosts.0`: `db` is not NAME:ADDRESS, as in `db.example.test:192.0.2.7`
            apps/web.yaml:10:20: `spec.extraHosts.1`: `nowhere` is neither an IP address nor `host-gateway`
            apps/web.yaml:11:9: `spec.dns.0`: `resolver` is not an IP address
            apps/web.yaml:12:12: `spec.command`: the command has a quotation mark without its partner, or ends in a backslash
        "#]],
    );
}

#[test]
fn fields_that_exclude_or_need_each_other_are_told() {
    check_container(
        "management: heal",
        &expect![[r#"
        apps/web.yaml:4:1: `spec.selector` is missing (with `management: heal` it says which containers are meant)
    "#]],
    );
    check_container(
        "management: heal\nselector: {}",
        &expect![[r#"
        apps/web.yaml:6:13: `spec.selector`: expected a `name` or `labels`; without either it would mean every container
    "#]],
    );
    check_container(
        "management: heal\nselector: {labels: {com.docker.compose.service: redis}}",
        &expect![[r#"
        Container/web at line 1
    "#]],
    );
    check_container(
        "selector: {name: redis}",
        &expect![[r#"
        apps/web.yaml:4:1: `spec.image` is missing (the image, as `docker run` takes it; only `management: heal` needs none)
        apps/web.yaml:5:3: `spec.selector` is for containers that someone else makes (it needs `management: heal`)
    "#]],
    );
    check_container(
        "image: ''\nnetworkMode: host\nnetworks: [a]",
        &expect![[r#"
        apps/web.yaml:5:10: `spec.image`: expected the name of an image, found nothing
        apps/web.yaml:6:3: `spec.networkMode` and `spec.networks` exclude each other (remove one of the two)
    "#]],
    );
    check_container(
        "image: nginx\nprobe: {}",
        &expect![[r#"
        apps/web.yaml:6:10: `spec.probe`: expected one of `http`, `tcp` and `exec`
    "#]],
    );
    check_container(
        "image: nginx\nprobe: {tcp: {port: 1}, exec: {command: [a]}, http: {port: 2}}",
        &expect![[r#"
        apps/web.yaml:6:11: `spec.probe.tcp` is one check too many (exactly one of `http`, `tcp` and `exec` is given)
        apps/web.yaml:6:27: `spec.probe.exec` is one check too many (exactly one of `http`, `tcp` and `exec` is given)
    "#]],
    );
    check_container(
        "image: nginx\nlabels: {dev.mooring.owner: me, ok: '1'}",
        &expect![[r#"
        apps/web.yaml:6:12: `spec.labels.dev.mooring.owner` is reserved: by such labels Mooring knows its containers
    "#]],
    );
    check_container(
        "image: nginx\ndependsOn: [{container: db}, {container: web}]",
        &expect![[r#"
        apps/web.yaml:6:44: `spec.dependsOn.1.container`: a container cannot depend on itself
    "#]],
    );
    check_container(
        "image: nginx\nenvFrom: [{environment: shop, keys: ['A B']}]",
        &expect![[r#"
        apps/web.yaml:6:40: `spec.envFrom.0.keys.0`: expected the name of a variable
    "#]],
    );
}

#[test]
fn environments_are_checked() {
    check_environment(
        "{}",
        &expect![[r#"
        Environment/shop at line 1
    "#]],
    );
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
        &expect![[r#"
            apps/web.yaml:5:17: `spec.files.1`: expected the plain name of a file in `spec.directory` (no `/` and no `..`)
            apps/web.yaml:5:26: `spec.files.2`: expected the plain name of a file in `spec.directory` (no `/` and no `..`)
            apps/web.yaml:5:37: `spec.files.3`: the file is listed twice
            apps/web.yaml:5:43: `spec.files.4`: expected the plain name of a file in `spec.directory` (no `/` and no `..`)
            apps/web.yaml:7:11: `spec.secrets.file`: `.env.secrets` is not one of `spec.files`, so what is written there would never be read (add it to `spec.files`)
            apps/web.yaml:8:34: `spec.secrets.generate.1.name`: `A` is generated twice
            apps/web.yaml:8:45: `spec.secrets.generate.2.name`: expected a variable's name: letters, digits and `_`, not beginning with a digit, found "1X" (The variable's name.)
            apps/web.yaml:8:74: `spec.secrets.generate.3.length` has no meaning for a `uuid`, which has a length of its own
            apps/web.yaml:8:105: `spec.secrets.generate.4.length`: expected a whole number from 32 to 256, found 8 (Length in characters of the value as written (32 to 256; `uuid` has its own).)
            apps/web.yaml:8:127: `spec.secrets.generate.5.format`: expected one of hex, base64url, alphanumeric, uuid, found "base46" (did you mean `base64url`?)
            apps/web.yaml:10:11: `spec.computed.file`: `.env` is one of `spec.files`, and would be computed from itself (it has to be a file of its own)
            apps/web.yaml:11:14: `spec.computed.values.A` is generated as a secret already
            apps/web.yaml:11:25: `spec.computed.values.B C` is not the name of a variable (letters, digits and `_`, not beginning with a digit)
        "#]],
    );
    check_environment(
        "files: [.env]\nsecrets: {generate: []}",
        &expect![[r#"
        apps/web.yaml:6:3: `spec.secrets.file`: `.env.secrets` is not one of `spec.files`, so what is written there would never be read (add it to `spec.files`)
    "#]],
    );
    check_environment(
        "secrets: {}",
        &expect![[r#"
        apps/web.yaml:5:3: `spec.secrets.generate` is missing (The secrets that must exist.)
    "#]],
    );
    check_environment(
        "computed: {file: a/b, values: {}}",
        &expect![[r#"
        apps/web.yaml:5:20: `spec.computed.file`: expected the plain name of a file in `spec.directory` (no `/` and no `..`)
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
