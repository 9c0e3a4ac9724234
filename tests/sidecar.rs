//! The sidecar: the image is built, runs as `manifests/compose.yaml` says, and heals from inside its container.
//!
//! Compose itself is not needed: the file is read, and what it says is told to the engine by `docker run`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;

/// Long enough for a machine that has other things to do.
const PATIENCE: Duration = Duration::from_mins(1);

/// The part of Compose's format that `manifests/compose.yaml` uses. A key that is not here has to be looked at here first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    image: String,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    volumes: Vec<String>,
    network_mode: String,
    user: String,
    read_only: bool,
    #[serde(default)]
    tmpfs: Vec<String>,
    #[serde(default)]
    healthcheck: Healthcheck,
    cap_drop: Vec<String>,
    security_opt: Vec<String>,
    restart: String,
    stop_grace_period: String,
    mem_limit: String,
    pids_limit: u32,
    logging: Logging,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Healthcheck {
    disable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Logging {
    driver: String,
    options: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct File {
    services: BTreeMap<String, Service>,
}

/// The line that waits in the file for the directory of a project.
const PROJECT_LINE: &str = "\n      # - /srv/shop:/srv/shop\n";

/// The services, with `${NAME:-default}` filled in as Compose does, and with the line for this directory if there is one.
fn services(variables: &BTreeMap<&str, String>, project: Option<&str>) -> BTreeMap<String, Service> {
    let mut text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/compose.yaml")).unwrap();
    if let Some(project) = project {
        assert!(text.contains(PROJECT_LINE), "{text}");
        text = text.replace(PROJECT_LINE, &format!("\n      - {project}:{project}\n"));
    }
    while let Some((before, rest)) = text.split_once("${") {
        let (expression, after) = rest.split_once('}').unwrap();
        let (name, default) = expression.split_once(":-").unwrap();
        text = format!("{before}{}{after}", variables.get(name).map_or(default, String::as_str));
    }
    serde_yaml::from_str::<File>(&text).unwrap().services
}

/// A sidecar, the stack that it keeps, and everything they leave on the engine.
struct Sidecar {
    name: String,
    directory: tempfile::TempDir,
    /// The directory of the stack's own files, below the other one: that of the desired state, or one that is not in it.
    project: &'static str,
}

const IMAGE: &str = "mooring:test";

/// The host that the stack's nginx serves.
const HOST: &str = "shop.test";

/// The image, built once for all tests from the program that is tested. It takes the place of that of the last run.
fn image() -> &'static str {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let before = Command::new("docker").args(["images", "--quiet", IMAGE]).output().unwrap();
        let built = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/image/build.sh"))
            .arg(IMAGE)
            .env("MOORING", env!("CARGO_BIN_EXE_mooring"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let before = String::from_utf8(before.stdout).unwrap();
        if !before.trim().is_empty() && before.trim() != docker(&["images", "--quiet", IMAGE]) {
            // While a container uses it, it has to stay.
            let _ = Command::new("docker").args(["rmi", before.trim()]).output();
        }
    });
    IMAGE
}

fn docker(words: &[&str]) -> String {
    let output = Command::new("docker").args(words).output().unwrap();
    assert!(output.status.success(), "docker {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Sidecar {
    /// A desired state with a secret, a container that uses it, and an nginx in front of that, whose `Proxy` says this as well.
    fn new(name: &str, project: &'static str, proxy: &str) -> Self {
        let name = format!("msidecar-{}-{name}", std::process::id());
        let sidecar = Self { directory: tempfile::tempdir().unwrap(), name, project };
        fs::create_dir_all(sidecar.desired()).unwrap();
        fs::create_dir_all(sidecar.sites()).unwrap();
        let name = &sidecar.name;
        let manifests = [
            (
                "Environment",
                "shop",
                format!("directory: ../{project}, secrets: {{generate: [{{name: PLUGIN_INTERNAL_SECRET}}]}}"),
            ),
            (
                "Container",
                "web",
                format!(
                    "containerName: {name}-web, image: 'mooring-demo/web:1', networks: [{name}-net], \
                     environment: {{GREETING: web}}, envFrom: [{{environment: shop}}]"
                ),
            ),
            (
                "Container",
                "nginx",
                format!(
                    "containerName: {name}-nginx, image: 'mooring-demo/nginx:1', networks: [{name}-net], \
                     volumes: ['../{project}/sites:/etc/nginx/sites']"
                ),
            ),
            (
                "Proxy",
                "edge",
                format!(
                    "container: nginx, directory: ../{project}/sites, {proxy}, \
                     routes: [{{host: {HOST}, to: {{container: web, port: 8080}}}}]"
                ),
            ),
        ];
        let manifests = manifests.map(|(kind, name, spec)| {
            format!("apiVersion: mooring.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
        });
        fs::write(format!("{}/stack.yaml", sidecar.desired()), manifests.join("---\n")).unwrap();
        sidecar
    }

    fn desired(&self) -> String {
        format!("{}/desired", self.directory.path().display())
    }

    fn project(&self) -> String {
        format!("{}/{}", self.directory.path().display(), self.project)
    }

    fn secrets(&self) -> String {
        format!("{}/.env.secrets", self.project())
    }

    fn sites(&self) -> String {
        format!("{}/sites", self.project())
    }

    /// What the site's file says; nothing without one.
    fn site(&self) -> String {
        fs::read_to_string(format!("{}/{HOST}.conf", self.sites())).unwrap_or_default()
    }

    /// Starts it as the file says. `state` replaces the volume, and the owner is the test's own.
    fn start(&self, user: Option<String>, state: Option<&Path>) {
        let mut variables = BTreeMap::from([
            ("MOORING_DESIRED", self.desired()),
            ("MOORING_OWNER", self.name.clone()),
            ("MOORING_ALLOW_BIND", self.sites()),
        ]);
        variables.extend(user.map(|user| ("MOORING_USER", user)));
        let project = self.project();
        let mut services = services(&variables, Some(project.as_str()).filter(|project| *project != self.desired()));
        let state = state.map_or_else(|| format!("{}-state", self.name), |state| state.display().to_string());
        self.start_service(&self.socket_proxy(), services.remove("socket-proxy").unwrap(), &state, &[]);
        // The address of the API is one for the whole host.
        self.start_service(&self.name, services.remove("mooring").unwrap(), &state, &["--no-http"]);
        assert!(services.is_empty(), "there is more in the file than this test knows");
    }

    fn start_service(&self, name: &str, service: Service, state: &str, more: &[&str]) {
        let mut words: Vec<String> = ["run", "--detach", "--pull", "never", "--name", name].map(str::to_owned).to_vec();
        if service.healthcheck.disable {
            words.push("--no-healthcheck".to_owned());
        }
        let mut flag = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        service.environment.iter().for_each(|(name, value)| flag("--env", format!("{name}={value}")));
        for mount in service.volumes {
            let socket = mount.strip_prefix("socket:").map(|rest| format!("{}-socket:{rest}", self.name));
            let state = mount.strip_prefix("state:").map(|rest| format!("{state}:{rest}"));
            flag("--volume", socket.or(state).unwrap_or(mount));
        }
        service.tmpfs.into_iter().for_each(|path| flag("--tmpfs", path));
        service.cap_drop.into_iter().for_each(|capability| flag("--cap-drop", capability));
        service.security_opt.into_iter().for_each(|option| flag("--security-opt", option));
        service.logging.options.iter().for_each(|(name, value)| flag("--log-opt", format!("{name}={value}")));
        flag("--log-driver", service.logging.driver);
        flag("--network", service.network_mode);
        flag("--user", service.user);
        flag("--restart", service.restart);
        flag("--stop-timeout", service.stop_grace_period.trim_end_matches('s').to_owned());
        flag("--memory", service.mem_limit);
        flag("--pids-limit", service.pids_limit.to_string());
        assert!(service.read_only && service.image.starts_with("mooring:"));
        words.extend(["--read-only".to_owned(), image().to_owned()]);
        words.extend(service.command.into_iter().chain(more.iter().map(|word| (*word).to_owned())));
        docker(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn socket_proxy(&self) -> String {
        format!("{}-socket-proxy", self.name)
    }

    fn web(&self) -> String {
        format!("{}-web", self.name)
    }

    fn nginx(&self) -> String {
        format!("{}-nginx", self.name)
    }

    fn wrong(&self) -> String {
        format!("{}-wrong", self.name)
    }

    /// Where the engine says that a container is; nothing while it is nowhere.
    fn address_of(container: &str) -> String {
        let template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let output = Command::new("docker").args(["inspect", "--format", template, container]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Who answers on the route, asked from outside; the status when nobody does.
    fn who(&self) -> Option<String> {
        let address = format!("{}:80", Self::address_of(&self.nginx())).parse().ok()?;
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let greeting = answer.lines().find_map(|line| line.strip_prefix("greeting "));
        greeting.or_else(|| answer.split(' ').nth(1)).map(str::to_owned)
    }

    fn answers(&self) -> bool {
        self.who().as_deref() == Some("web")
    }

    fn says_where_web_is(&self) -> bool {
        self.site().contains(&format!("# web is at {}\n", Self::address_of(&self.web())))
    }

    fn state_of(container: &str) -> String {
        let template = "{{.State.Status}}{{with .State.Health}} {{.Status}}{{end}}";
        let output = Command::new("docker").args(["inspect", "--format", template, container]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[track_caller]
    fn eventually(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            if begun.elapsed() > PATIENCE {
                let logs = Command::new("docker").args(["logs", "--tail", "20", &self.name]).output().unwrap();
                panic!("not within {PATIENCE:?}: {what}\n{}", String::from_utf8_lossy(&logs.stderr));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Breaks things, and sees them mended from inside.
    fn heals(&self) {
        self.eventually("web runs", || Self::state_of(&self.web()) == "running healthy");
        self.eventually("the sidecar is healthy", || Self::state_of(&self.name) == "running healthy");
        docker(&["kill", &self.web()]);
        self.eventually("web runs again", || Self::state_of(&self.web()) == "running healthy");
        let secrets = fs::read_to_string(self.secrets()).unwrap();
        fs::remove_file(self.secrets()).unwrap();
        self.eventually("the secrets are back", || fs::read_to_string(self.secrets()).is_ok_and(|text| text == secrets));
        let ready = docker(&["exec", &self.name, "/usr/bin/mooring", "health", "--ready", "--state", "/var/lib/mooring"]);
        assert_eq!(ready, "alive and ready");
    }

    /// The route leads to its backend, wherever that is and whatever somebody does to its file.
    fn keeps_the_route(&self) {
        self.eventually("the route answers", || self.answers() && self.says_where_web_is());
        let before = Self::address_of(&self.web());
        docker(&["stop", "--time", "1", &self.web()]);
        // Its old address goes to somebody who answers wrongly: the engine gives out the lowest one that is free.
        let (wrong, network) = (self.wrong(), format!("{}-net", self.name));
        let words = ["run", "--detach", "--pull", "never", "--name", &wrong, "--network", &network];
        docker(&[&words[..], &["--env", "GREETING=wrong", "mooring-demo/web:1"]].concat());
        assert_eq!(Self::address_of(&wrong), before);
        docker(&["start", &self.web()]);
        assert_ne!(Self::address_of(&self.web()), before);
        self.eventually("the route answers from the new address", || self.answers() && self.says_where_web_is());
        assert!(!self.site().contains(&format!("{before}\n")), "{}", self.site());

        let file = format!("{}/{HOST}.conf", self.sites());
        let (text, owner) = (self.site(), fs::metadata(&file).unwrap().uid());
        let edited = text.replace("proxy_pass", "return 418; #");
        assert_ne!(edited, text);
        fs::write(&file, &edited).unwrap();
        self.eventually("the edited file is put back", || self.site() == text);
        assert_eq!(fs::metadata(&file).unwrap().uid(), owner);
        self.eventually("the route answers as it did", || self.answers());
    }

    /// It has no other way to the engine than the one that is offered, and is refused nothing that it needs.
    fn has_only_what_it_needs(&self) {
        let mounts = docker(&["inspect", "--format", "{{range .Mounts}}{{.Source}} {{end}}", &self.name]);
        assert!(mounts.split(' ').all(|mount| !mount.starts_with("/run") && !mount.starts_with("/var/run")), "{mounts}");
        let logs = Command::new("docker").args(["logs", &self.socket_proxy()]).output().unwrap();
        let logs = String::from_utf8(logs.stderr).unwrap();
        assert!(logs.contains("mooring offers the engine") && !logs.contains("refused"), "{logs}");
    }

    fn stops_in_order(&self) {
        docker(&["stop", &self.name]);
        assert_eq!(docker(&["inspect", "--format", "{{.State.ExitCode}}", &self.name]), "0");
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let containers = [self.name.clone(), self.socket_proxy(), self.web(), self.nginx(), self.wrong()];
        let _ = Command::new("docker").args(["rm", "-fv"]).args(containers).output();
        let _ = Command::new("docker").args(["network", "rm", &format!("{}-net", self.name)]).output();
        let volumes = [format!("{}-state", self.name), format!("{}-socket", self.name), format!("mooring-lease-{}", self.name)];
        let _ = Command::new("docker").args(["volume", "rm", "-f"]).args(volumes).output();
    }
}

#[test]
fn the_sidecar_heals_from_inside_its_container() {
    // By itself nginx would look again after an hour.
    let sidecar = Sidecar::new("root", "desired", "upstreams: resolver, resolver: {valid: 1h}");
    sidecar.start(None, None);
    sidecar.heals();
    sidecar.stops_in_order();
    // What it knew is in its volume.
    docker(&["start", &sidecar.name]);
    sidecar.heals();
    sidecar.keeps_the_route();
    sidecar.has_only_what_it_needs();
    docker(&["restart", &sidecar.socket_proxy()]);
    sidecar.heals();
}

#[test]
fn the_sidecar_needs_neither_root_nor_the_group_of_the_engines_socket() {
    const USER: u32 = 65532;
    // What the stack has of its own is not in the desired state's directory.
    let sidecar = Sidecar::new("user", "project", "upstreams: address");
    let state = sidecar.directory.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(sidecar.directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let owned = [sidecar.desired(), sidecar.project(), sidecar.sites(), format!("{}/stack.yaml", sidecar.desired())];
    for path in owned.iter().map(Path::new).chain([state.as_path()]) {
        std::os::unix::fs::chown(path, Some(USER), Some(USER)).unwrap();
    }
    sidecar.start(Some(format!("{USER}:{USER}")), Some(&state));
    sidecar.heals();
    sidecar.keeps_the_route();
    sidecar.has_only_what_it_needs();
    assert_eq!(fs::metadata(sidecar.secrets()).unwrap().uid(), USER);
    sidecar.stops_in_order();
}
