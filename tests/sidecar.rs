//! The sidecar: the image is built, runs as `manifests/compose.yaml` says, and heals from inside its container.
//!
//! Compose itself is not needed: the file is read, and what it says is told to the engine by `docker run`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    fs,
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
    tmpfs: Vec<String>,
    cap_drop: Vec<String>,
    security_opt: Vec<String>,
    restart: String,
    stop_grace_period: String,
    mem_limit: String,
    pids_limit: u32,
    logging: Logging,
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

/// The service, with `${NAME:-default}` filled in as Compose does.
fn service(variables: &BTreeMap<&str, String>) -> Service {
    let mut text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/compose.yaml")).unwrap();
    while let Some((before, rest)) = text.split_once("${") {
        let (expression, after) = rest.split_once('}').unwrap();
        let (name, default) = expression.split_once(":-").unwrap();
        text = format!("{before}{}{after}", variables.get(name).map_or(default, String::as_str));
    }
    serde_yaml::from_str::<File>(&text).unwrap().services.remove("mooring").unwrap()
}

/// A sidecar, the stack that it keeps, and everything they leave on the engine.
struct Sidecar {
    name: String,
    directory: tempfile::TempDir,
}

const IMAGE: &str = "mooring:test";

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
    /// A desired state with a container and a secret, which belongs to this user.
    fn new(name: &str) -> Self {
        let name = format!("msidecar-{}-{name}", std::process::id());
        let sidecar = Self { directory: tempfile::tempdir().unwrap(), name };
        fs::create_dir_all(sidecar.desired()).unwrap();
        let manifests = format!(
            "apiVersion: mooring.dev/v1alpha1\nkind: Environment\nmetadata: {{name: shop}}\n\
             spec: {{secrets: {{generate: [{{name: PLUGIN_INTERNAL_SECRET}}]}}}}\n---\n\
             apiVersion: mooring.dev/v1alpha1\nkind: Container\nmetadata: {{name: web}}\n\
             spec: {{containerName: {}-web, image: 'mooring-demo/web:1', envFrom: [{{environment: shop}}]}}\n",
            sidecar.name
        );
        fs::write(format!("{}/stack.yaml", sidecar.desired()), manifests).unwrap();
        sidecar
    }

    fn desired(&self) -> String {
        format!("{}/desired", self.directory.path().display())
    }

    fn secrets(&self) -> String {
        format!("{}/.env.secrets", self.desired())
    }

    /// Starts it as the file says. `state` replaces the volume, and the owner is the test's own.
    fn start(&self, user: Option<String>, state: Option<&Path>) {
        let mut variables = BTreeMap::from([("MOORING_DESIRED", self.desired())]);
        variables.extend(user.map(|user| ("MOORING_USER", user)));
        let service = service(&variables);
        let volume = state.map_or_else(|| format!("{}-state", self.name), |state| state.display().to_string());
        let mut words: Vec<String> = ["run", "--detach", "--pull", "never", "--name", &self.name].map(str::to_owned).to_vec();
        let mut flag = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        service.environment.iter().for_each(|(name, value)| flag("--env", format!("{name}={value}")));
        service.volumes.iter().for_each(|mount| flag("--volume", mount.replace("state:", &format!("{volume}:"))));
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
        words.extend(service.command);
        // The address of the API is one for the whole host, and so is the default owner.
        words.extend(["--no-http".to_owned(), "--owner".to_owned(), self.name.clone()]);
        docker(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn web(&self) -> String {
        format!("{}-web", self.name)
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

    fn stops_in_order(&self) {
        docker(&["stop", &self.name]);
        assert_eq!(docker(&["inspect", "--format", "{{.State.ExitCode}}", &self.name]), "0");
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-fv", &self.name, &self.web()]).output();
        let volumes = [format!("{}-state", self.name), format!("mooring-lease-{}", self.name)];
        let _ = Command::new("docker").args(["volume", "rm", "-f"]).args(volumes).output();
    }
}

#[test]
fn the_sidecar_heals_from_inside_its_container() {
    let sidecar = Sidecar::new("root");
    sidecar.start(None, None);
    sidecar.heals();
    sidecar.stops_in_order();
    // What it knew is in its volume.
    docker(&["start", &sidecar.name]);
    sidecar.heals();
}

#[test]
fn the_sidecar_needs_no_root_where_the_group_of_the_socket_lets_it_in() {
    const USER: u32 = 65532;
    let sidecar = Sidecar::new("user");
    let group = fs::metadata("/run/docker.sock").unwrap().gid();
    let state = sidecar.directory.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(sidecar.directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for path in [state.clone(), sidecar.desired().into(), format!("{}/stack.yaml", sidecar.desired()).into()] {
        std::os::unix::fs::chown(path, Some(USER), Some(USER)).unwrap();
    }
    sidecar.start(Some(format!("{USER}:{group}")), Some(&state));
    sidecar.heals();
    assert_eq!(fs::metadata(sidecar.secrets()).unwrap().uid(), USER);
    sidecar.stops_in_order();
}
