//! A desired state, the operator that keeps it, and the way between operator and engine.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Result,
    child::Child,
    engine::{Engine, SOCKET},
    proxy::Proxy,
};

/// The healing of everything here: what is measured are neither pauses nor the limit of attempts.
pub(crate) const HEALING: &str = "healing: {backoff: {initial: 1ms, cap: 1ms}, budget: {attempts: 100000}}";

/// The host's limits: the same faults again and again look like somebody who wants them.
const HOST: &str = "\
apiVersion: mooring.dev/v1alpha1
kind: Host
metadata: {name: default}
spec: {budget: {attempts: 1000, window: 1s, perMinute: 1000}, fights: {corrections: 1000, window: 1s}}
";

/// A running operator and what it goes by.
pub(crate) struct Stage {
    pub(crate) child: Child,
    pub(crate) proxy: Proxy,
    directory: tempfile::TempDir,
}

impl Stage {
    /// Starts an operator on these manifests and waits until everything is as they say.
    pub(crate) async fn open(engine: &Engine, manifests: &str) -> Result<Self> {
        engine.clean().await?;
        Self::open_on(manifests).await
    }

    /// The same with a directory that holds more than manifests.
    pub(crate) async fn open_with(
        engine: &Engine,
        manifests: &str,
        prepare: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Self> {
        engine.clean().await?;
        let directory = Self::directory(manifests)?;
        prepare(directory.path())?;
        Self::open_in(directory).await
    }

    /// The same, beside what is there already.
    pub(crate) async fn open_on(manifests: &str) -> Result<Self> {
        Self::open_in(Self::directory(manifests)?).await
    }

    fn directory(manifests: &str) -> Result<tempfile::TempDir> {
        // Not below `/tmp`, which may be memory: the journal is to be written to a disk.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        fs::create_dir_all(directory.path().join("desired/sites"))?;
        fs::write(directory.path().join("desired/all.yaml"), manifests)?;
        fs::write(directory.path().join("desired/host.yaml"), HOST)?;
        Ok(directory)
    }

    async fn open_in(directory: tempfile::TempDir) -> Result<Self> {
        let proxy = Proxy::open(&directory.path().join("engine.sock"), SOCKET)?;
        let mut child = Child::spawn(directory.path(), &proxy.path)?;
        child.ready().await?;
        Ok(Self { child, proxy, directory })
    }

    /// Stops the operator and starts another one, which waits for nobody.
    pub(crate) async fn restart(self) -> Result<Self> {
        self.child.stop().await?;
        let child = Child::spawn(self.directory.path(), &self.proxy.path)?;
        Ok(Self { child, ..self })
    }

    pub(crate) async fn close(self, engine: &Engine) -> Result<()> {
        self.child.stop().await?;
        engine.clean().await
    }

    pub(crate) fn desired(&self) -> PathBuf {
        self.directory.path().join("desired")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }
}

/// The name of a container, which is that of its object, too.
pub(crate) fn name(number: usize) -> String {
    format!("bench-{number}")
}

/// Containers that do nothing.
pub(crate) fn sleepers(count: usize) -> String {
    containers(count, "command: [sleep, \"1000000\"]")
}

/// Containers that are unhealthy once `/ok` is gone from them, and healthy again after a restart.
pub(crate) fn patients(count: usize) -> String {
    let spec = "\
command: [sh, -c, \"touch /ok; exec sleep 1000000\"]
  stopSignal: SIGKILL
  healthcheck: {test: [CMD, test, -e, /ok], interval: 1s, retries: 1}";
    containers(count, spec)
}

fn containers(count: usize, spec: &str) -> String {
    let mut manifests = String::new();
    for name in (0..count).map(name) {
        write!(
            manifests,
            "\
---
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {{name: {name}}}
spec:
  containerName: {name}
  image: mooring-demo/busybox:1
  {spec}
  {HEALING}
"
        )
        .expect("text can be appended to");
    }
    manifests
}
