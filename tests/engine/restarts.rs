//! The engine itself killed and started again: an engine of the test's own, so that nobody else notices.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::host::{Host, container};

/// How long an engine may take to come up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Its health check needs no network but its own.
const WEB: &str = "image: web:1\nnetworkMode: none\nrestart: unless-stopped";

/// An engine that can be killed.
struct PrivateEngine {
    directory: tempfile::TempDir,
    containerd: Child,
    dockerd: Option<Child>,
}

impl PrivateEngine {
    /// Starts one that has the image `web:1`.
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let config = format!(
            "version = 2\nroot = '{0}/containerd'\nstate = '{0}/containerd-state'\n\
             disabled_plugins = ['io.containerd.grpc.v1.cri']\n[grpc]\n  address = '{0}/c.sock'\n",
            directory.path().display()
        );
        fs::write(at("containerd.toml"), config).unwrap();
        let containerd = daemon(Command::new("containerd").arg("--config").arg(at("containerd.toml")), &at("containerd.log"));
        let mut engine = Self { directory, containerd, dockerd: None };
        engine.eventually("containerd answers", |engine| engine.at("c.sock").exists());
        engine.comes_back();
        let copy = format!("docker save mooring-demo/web:1 | docker --host {} load", engine.address());
        assert!(Command::new("sh").args(["-c", &copy]).output().unwrap().status.success(), "no image: run `make setup`");
        engine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn address(&self) -> String {
        format!("unix://{}", self.at("d.sock").display())
    }

    /// Starts the engine's daemon, also after it was killed.
    fn comes_back(&mut self) {
        // A killed one leaves its pid file, and its successor would not start over it.
        let _ = fs::remove_file(self.at("docker.pid"));
        // In a network namespace of its own, for an engine without a bridge removes that of everybody.
        let mut command = Command::new("unshare");
        command.args(["--net", "dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", "--host", &self.address()]);
        for (flag, name) in
            [("--containerd", "c.sock"), ("--data-root", "data"), ("--exec-root", "run"), ("--pidfile", "docker.pid")]
        {
            command.arg(flag).arg(self.at(name));
        }
        self.dockerd = Some(daemon(&mut command, &self.at("dockerd.log")));
        self.eventually("the engine answers", |engine| {
            let asked = Command::new("docker").args(["--host", &engine.address(), "version"]).output();
            asked.is_ok_and(|answer| answer.status.success())
        });
    }

    /// Kills the engine's daemon; its containers do not notice.
    fn is_killed(&mut self) {
        let mut dockerd = self.dockerd.take().unwrap();
        dockerd.kill().unwrap();
        dockerd.wait().unwrap();
    }

    fn eventually(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            let log = || fs::read_to_string(self.at("dockerd.log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A host on this engine.
    fn host(&self, manifests: &[(String, String)]) -> Host {
        let mut host = Host::new(manifests);
        (host.engine, host.outside) = (self.address(), self.address());
        host
    }
}

/// Starts a daemon that writes to a log of its own.
fn daemon(command: &mut Command, log: &Path) -> Child {
    let log = fs::File::options().append(true).create(true).open(log).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        let _ = Command::new("sh")
            .args(["-c", "docker --host $0 ps -aq | xargs -r docker --host $0 rm -f", &self.address()])
            .output();
        if let Some(mut dockerd) = self.dockerd.take() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(dockerd.id()).unwrap());
            // Politely, so that it takes its mounts away.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            let _ = dockerd.wait();
        }
        let _ = self.containerd.kill();
        let _ = self.containerd.wait();
    }
}

#[test]
fn what_a_killed_engine_leaves_behind_is_healed_when_it_is_back() {
    let mut engine = PrivateEngine::start();
    let mut host = engine.host(&[container("web", WEB), container("api", WEB)]);
    host.run();
    host.converges();
    let pid: i32 = host.inspect("api", "{{.State.Pid}}").unwrap().parse().unwrap();
    engine.is_killed();
    // One dies while nobody is there to see it, the other one is ended by the engine's return, and told to stay so.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    thread::sleep(Duration::from_secs(2));
    engine.comes_back();
    host.eventually("both run again", |host| ["web", "api"].iter().all(|name| host.state(name) == "running healthy"));
    host.converges();
    assert_eq!(host.names(), ["@api", "@web"]);
    drop(host);
}

#[test]
fn a_killed_mooring_and_a_restarted_engine_are_no_obstacle_to_the_next_mooring() {
    let mut engine = PrivateEngine::start();
    let mut host = engine.host(&[container("web", WEB)]);
    // Whoever is killed cannot give back the lease that it has on the engine.
    assert!(crate::crashes::dies(&host, "execute-before-intent", 1));
    engine.is_killed();
    engine.comes_back();
    host.run();
    host.converges();
    assert_eq!(host.state("web"), "running healthy");
    drop(host);
}
