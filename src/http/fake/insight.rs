//! What can be looked into there.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{Fake, entry, web};
use crate::{
    manifest::{Key, Kind, status::ConditionStatus},
    observe::gauges::{Measured, Used, host::Disk},
    operator::insight::Insight,
    view::{
        AuditView,
        insight::{
            CorrectionView, LineView, LogQuery, ModelView, PendingView, ProxyView, PullView, RouteView, RunView, SecretView,
            VerifiedView, WrittenView,
        },
    },
};

/// What containers use there: name, percent of a processor, bytes.
const USED: [(&str, f32, f32); 3] = [("idle", 0.4, 1_048_576.0), ("web", 12.5, 33_554_432.0), ("db<b>", 190.0, 1_073_741_824.0)];

fn measured() -> Measured {
    let mut measured = Measured { at: "2026-01-02T03:04:00Z".parse().ok(), ..Measured::default() };
    measured.look.count = 2;
    measured.look.memory = Some((3 << 30, 4 << 30));
    measured.look.load = Some([1.5, 1.0, 0.5]);
    measured.look.disks = vec![Disk { paths: vec!["/var/lib/docker".into()], used: 95, total: 100 }];
    for minute in [10.0, 40.0, 55.0] {
        measured.processors.push(Some(minute));
        measured.memory.push(Some(75.0));
        measured.load.push(Some(1.5));
        measured.received.push(Some(2048.0));
        measured.sent.push(None);
        measured.disks.entry("/var/lib/docker".into()).or_default().push(Some(95.0));
    }
    for (name, processors, memory) in USED {
        let mut used = Used { object: (name == "web").then(|| web(ConditionStatus::True).key), ..Used::default() };
        used.processors.push(Some(processors));
        used.memory.push(Some(memory));
        measured.containers.insert(name.to_owned(), used);
    }
    measured
}

fn run() -> RunView {
    RunView {
        key: web(ConditionStatus::True).key,
        id: "c1".to_owned(),
        name: "web".to_owned(),
        state: "running".to_owned(),
        is_running: true,
        health: Some("healthy"),
        started_at: "2026-01-02T01:03:05Z".parse().ok(),
        restarts: 4,
    }
}

fn secret(name: &str, file: Option<&str>) -> SecretView {
    SecretView {
        environment: "shop".to_owned(),
        name: name.to_owned(),
        file: file.map(str::to_owned),
        fingerprint: file.map(|_| "sha256:0123456789ab".to_owned()),
        is_placeholder: false,
        is_kept: true,
        written: file.map(|_| WrittenView { at: "2026-01-01T03:04:05.000Z".to_owned(), how: "made by Mooring".to_owned() }),
        users: vec![web(ConditionStatus::True).key],
    }
}

#[async_trait]
impl Insight for Fake {
    fn gauges(&self) -> Measured {
        measured()
    }

    async fn runs(&self) -> Result<Vec<RunView>, String> {
        Ok(vec![run()])
    }

    async fn log(&self, key: &Key, query: &LogQuery) -> Result<BoxStream<'static, Result<LineView, String>>, String> {
        if key.kind != Kind::Container {
            return Err(format!("{key} has no container"));
        }
        let written = ["started", "<script>alert(1)</script>", "ERROR it broke"]
            .map(|text| LineView { at: "2026-01-02T03:04:05.000Z".to_owned(), text: text.to_owned() });
        let wanted = query.contains.clone().unwrap_or_default().to_lowercase();
        let lines: Vec<_> = written.into_iter().filter(|line| line.text.to_lowercase().contains(&wanted)).map(Ok).collect();
        let lines = stream::iter(lines);
        Ok(if query.follow { lines.chain(stream::pending()).boxed() } else { lines.boxed() })
    }

    async fn secrets(&self) -> Vec<SecretView> {
        vec![secret("POSTGRES_PASSWORD", Some(".env.secrets")), secret("LOST_TOKEN", None)]
    }

    async fn models(&self) -> Vec<ModelView> {
        vec![ModelView {
            key: Key::new(Kind::ModelProvider, "assistant"),
            choice: Ok("ollama/llama3.2".to_owned()),
            reason: "no key is set".to_owned(),
            server: Some("http://localhost:11434".to_owned()),
            says: Some("ollama 0.5.1".to_owned()),
            models: vec![("tiny:latest".to_owned(), 1 << 30)],
            pull: Some(PullView {
                model: "llama3.2".to_owned(),
                status: "pulling".to_owned(),
                completed: 37,
                total: 100,
                words: "37 % of 3.3 GB".to_owned(),
            }),
        }]
    }

    async fn proxies(&self) -> Vec<ProxyView> {
        vec![ProxyView {
            key: Key::new(Kind::Proxy, "edge"),
            nginx: "nginx runs, and answers at 172.18.0.9".to_owned(),
            reloaded: Some("2026-01-02T03:00:05.000Z".to_owned()),
            is_proven: true,
            rejected: None,
            routes: vec![RouteView {
                host: "shop.example.test".to_owned(),
                path: "/".to_owned(),
                to: "web:80".to_owned(),
                addresses: vec!["172.18.0.2".to_owned()],
                backend: "healthy",
            }],
        }]
    }

    fn pending(&self) -> BTreeMap<Key, PendingView> {
        let pending = PendingView { withheld: vec!["start web".to_owned()], ..PendingView::default() };
        BTreeMap::from([(web(ConditionStatus::True).key, pending)])
    }

    fn corrections(&self) -> Vec<CorrectionView> {
        let at = "2026-01-02T03:04:06Z".parse().unwrap();
        vec![CorrectionView { key: web(ConditionStatus::True).key, at, took_millis: 1250 }]
    }

    async fn healed(&self, _: usize) -> Result<Vec<AuditView>, String> {
        Ok(vec![entry()])
    }

    async fn verify_audit(&self) -> Result<VerifiedView, String> {
        let head = Some((532, "c0ffee".to_owned()));
        Ok(VerifiedView { rows: 532, head, unsealed: 0, archive: None, fault: self.fault.clone() })
    }
}
