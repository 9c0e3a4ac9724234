//! A model that is removed from a real ollama.

use std::{collections::HashMap, time::Duration};

use bollard::{
    models::{ContainerCreateBody, EndpointSettings, NetworkingConfig},
    query_parameters::LogsOptions,
};
use futures::StreamExt;
use tokio::time::{Instant, sleep};

use super::{
    Result,
    backends::{self, NETWORK},
    engine::Engine,
    report::{Row, Unit},
    stage::{HEALING, Stage},
};

/// The stand-in for the registry; `manifests/dev/ollama.sh` makes it.
const REGISTRY: &str = "bench-registry";
const OLLAMA: &str = "bench-ollama";
const MODEL: &str = "gemma3:4b";
/// The names by which ollama knows the registry.
const ALIASES: [&str; 2] = ["registry.ollama.ai", "blobs.test"];
/// What takes longer is lost.
const LOST: Duration = Duration::from_mins(1);
/// Between two looks into the registry's log.
const PAUSE: Duration = Duration::from_millis(20);

/// A model removed → the registry is asked for it again, by Mooring and by hand.
pub(crate) async fn removed(engine: &Engine, faults: usize) -> Result<Row> {
    eprintln!("removing a model {faults} times ...");
    engine.clean().await?;
    backends::network(engine).await?;
    registry(engine).await?;
    let stage = Stage::open_on(&manifests()).await?;
    let mut row = Row::new("model removed → pull under way", Unit::Millis, "≤ 10000, a resync");
    for fault in 0..faults {
        // At another moment between two resyncs each time.
        sleep(Duration::from_millis(700 * u64::try_from(fault % 10)?)).await;
        let before = asked(engine).await?;
        engine.run(OLLAMA, &["/bin/ollama", "rm", MODEL]).await?;
        let removed = Instant::now();
        row.measured.push(wait(removed, async || Ok(asked(engine).await? > before)).await?);
        wait(removed, async || Ok(engine.run(OLLAMA, &["/bin/ollama", "show", MODEL]).await.is_ok())).await?;
    }
    stage.close(engine).await?;
    Ok(row)
}

/// Milliseconds from a moment until something is so.
async fn wait(from: Instant, is_so: impl AsyncFn() -> Result<bool>) -> Result<f64> {
    while !is_so().await? {
        if from.elapsed() > LOST {
            return Err("the model never came back".into());
        }
        sleep(PAUSE).await;
    }
    Ok(from.elapsed().as_secs_f64() * 1e3)
}

/// How often the registry has been asked what the model consists of.
async fn asked(engine: &Engine) -> Result<usize> {
    let mut lines = engine.client.logs(REGISTRY, Some(LogsOptions { stderr: true, stdout: true, ..LogsOptions::default() }));
    let mut asked = 0;
    while let Some(line) = lines.next().await {
        asked += usize::from(line?.to_string().contains("/manifests/"));
    }
    Ok(asked)
}

async fn registry(engine: &Engine) -> Result<()> {
    let endpoint = EndpointSettings { aliases: Some(ALIASES.map(str::to_owned).into()), ..EndpointSettings::default() };
    let body = ContainerCreateBody {
        env: Some(vec!["RATE=0".to_owned()]),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(NETWORK.to_owned(), endpoint)])) }),
        ..backends::by_hand("mooring-demo/models:1")
    };
    engine.create(REGISTRY, body).await?;
    engine.start(REGISTRY).await
}

fn manifests() -> String {
    format!(
        "\
apiVersion: mooring.dev/v1alpha1
kind: Environment
metadata: {{name: bench}}
spec: {{directory: ., files: [.env]}}
---
apiVersion: mooring.dev/v1alpha1
kind: Container
metadata: {{name: ollama}}
spec:
  containerName: {OLLAMA}
  image: mooring-demo/ollama:1
  networks: [{NETWORK}]
  {HEALING}
---
apiVersion: mooring.dev/v1alpha1
kind: ModelProvider
metadata: {{name: bench}}
spec: {{environment: bench, order: [ollama], ollama: {{model: '{MODEL}', container: ollama}}}}
"
    )
}
