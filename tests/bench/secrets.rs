//! Secrets that are deleted from their file, or with it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{RecursiveMode, Watcher};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, sleep, timeout},
};

use super::{
    Result,
    engine::Engine,
    report::{Row, Unit, millis},
    stage::Stage,
};

const MANIFEST: &str = "\
apiVersion: mooring.dev/v1alpha1
kind: Environment
metadata: {name: bench}
spec:
  directory: .
  files: [.env.secrets]
  secrets:
    file: .env.secrets
    generate: [{name: FIRST}, {name: SECOND}, {name: THIRD}, {name: FOURTH}]
";

/// What takes longer is lost.
const LOST: Duration = Duration::from_secs(30);
/// Between two faults.
const REST: Duration = Duration::from_millis(200);

/// A line deleted, and the whole file.
pub(crate) async fn secrets(engine: &Engine, faults: usize) -> Result<[Row; 2]> {
    eprintln!("deleting {faults} secrets, and {faults} files of them ...");
    let stage = Stage::open(engine, MANIFEST).await?;
    let mut file = Watched::new(stage.desired().join(".env.secrets"))?;
    let elsewhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let by_hand = elsewhere.path().join("secrets");
    let mut line = Row::new("secret deleted from its file → back", Unit::Millis, "p99 ≤ 50");
    let mut whole = Row::new("file of secrets deleted → back", Unit::Millis, "p99 ≤ 50");
    for _ in 0..faults {
        let good = fs::read_to_string(&file.path)?;
        let without: String = good.split_inclusive('\n').filter(|line| !line.starts_with("SECOND=")).collect();
        sleep(REST).await;
        let asked = Instant::now();
        replace(&file.path, &without)?;
        line.measured.push(millis(file.back(&good).await? - asked));
        line.floor.push(write_by_hand(&by_hand, &good)?);

        sleep(REST).await;
        let asked = Instant::now();
        fs::remove_file(&file.path)?;
        whole.measured.push(millis(file.back("").await? - asked));
        whole.floor.push(write_by_hand(&by_hand, &good)?);
    }
    stage.close(engine).await?;
    Ok([line, whole])
}

/// A file, and the kernel's word about its directory.
struct Watched {
    path: PathBuf,
    changed: UnboundedReceiver<Instant>,
    _watcher: notify::RecommendedWatcher,
}

impl Watched {
    fn new(path: PathBuf) -> Result<Self> {
        let (tell, changed) = unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |_| {
            let _ = tell.send(Instant::now());
        })?;
        watcher.watch(path.parent().ok_or("a file without a directory")?, RecursiveMode::NonRecursive)?;
        Ok(Self { path, changed, _watcher: watcher })
    }

    /// When the file had all four secrets again, and the values that are in `good`.
    async fn back(&mut self, good: &str) -> Result<Instant> {
        let back = async {
            while let Some(at) = self.changed.recv().await {
                let text = fs::read_to_string(&self.path).unwrap_or_default();
                let all = ["FIRST=", "SECOND=", "THIRD=", "FOURTH="];
                let is_whole = all.iter().all(|name| text.lines().any(|line| line.starts_with(name)));
                if is_whole && good.lines().all(|line| text.lines().any(|other| other == line)) {
                    return Ok(at);
                }
            }
            Err("the watcher ended".into())
        };
        timeout(LOST, back).await.unwrap_or_else(|_| Err("the secrets never came back".into()))
    }
}

/// As an editor saves: a reader sees the old file or the new one.
fn replace(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("edited");
    fs::write(&beside, text)?;
    Ok(fs::rename(beside, path)?)
}

/// What it takes at least to have a file of this size durably: the time in milliseconds.
fn write_by_hand(path: &Path, text: &str) -> Result<f64> {
    let started = Instant::now();
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)?;
    fs::File::open(path.parent().ok_or("a file without a directory")?)?.sync_all()?;
    Ok(millis(started.elapsed()))
}
