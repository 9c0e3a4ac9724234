//! Every stack in `examples/` is read, resolved and planned, on an engine without containers.

#![expect(clippy::unwrap_used, reason = "an example that cannot be read is a failed test")]

mod support;

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use mooring::{
    clock::Clock,
    controller::{Engines, preview::Preview},
    observe::dial::Tcp,
    operator::Operator,
    settings::{Mode, Settings},
};
use support::simulated::{Behaviour, Simulated};

async fn preview(example: &Path) -> Preview {
    let engine = Simulated::new("mooring", Clock::system());
    for image in ["mooring-demo/postgres:15", "mooring-demo/redis:7", "mooring-demo/web:1", "mooring-demo/nginx:1"] {
        engine.image(image, Behaviour::default());
    }
    let state = tempfile::tempdir().unwrap();
    let settings = Settings {
        desired: example.to_owned(),
        state: state.path().join("state"),
        owner: "mooring".to_owned(),
        engine: Settings::ENGINE.to_owned(),
        http: None,
        resync: Settings::RESYNC,
        concurrency: Settings::CONCURRENCY,
        mode: Mode::Act,
        audit_anchor: None,
        hearing: mooring::source::watch::Hearing::default(),
        database: None,
    };
    let engines = Engines { observe: Arc::new(engine.clone()), execute: Arc::new(engine), dial: Arc::new(Tcp) };
    Preview::open(settings, engines).await.unwrap_or_else(|error| panic!("{}: {error}", example.display()))
}

fn examples() -> Vec<std::path::PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

#[tokio::test(start_paused = true)]
async fn every_example_is_read_and_its_references_are_good() {
    let examples = examples();
    assert!(examples.len() >= 2);
    for example in examples {
        for plan in preview(&example).await.plans(None).await.unwrap() {
            assert_eq!(plan.refused, None, "{} in {}", plan.key, example.display());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_shop_would_be_made_from_nothing_and_nothing_would_be_removed() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop");
    let plans = preview(&shop).await.plans(None).await.unwrap();
    let steps: BTreeSet<&str> = plans.iter().flat_map(|plan| &plan.steps).map(|step| step.operation.as_str()).collect();
    assert!(steps.contains("WriteSecrets"), "{steps:?}");
    assert!(!steps.contains("RemoveContainer"), "{steps:?}");
    assert!(plans.iter().all(mooring::view::PlanView::differs));
}

#[tokio::test(start_paused = true)]
async fn looking_at_an_example_writes_nothing_into_it() {
    for example in examples() {
        let before = listing(&example);
        preview(&example).await.plans(None).await.unwrap();
        assert_eq!(listing(&example), before);
    }
}

fn listing(directory: &Path) -> Vec<(String, u64)> {
    let mut listing: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().to_string_lossy().into_owned(), entry.metadata().unwrap().len())
        })
        .collect();
    listing.sort();
    listing
}
