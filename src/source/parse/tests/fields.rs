//! What is wrong with single fields, and with several that do not go together.

use super::*;

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
