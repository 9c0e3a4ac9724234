//! Which models answer, and where routes lead.

use tokio::time::Instant;

use crate::{
    controller::world::{World, out_of_reach},
    manifest::{Key, Kind},
    observe::ollama::pulls::Pull,
    plan::{
        self,
        container::Readiness,
        model_provider::Answer,
        proxy::{Backend, NginxState, memory::Stage},
    },
    record::clock,
    resolve::Desired,
    view::insight::{ModelView, ProxyView, PullView, RouteView},
};

impl World {
    fn desired_of(&self, kind: Kind) -> Vec<(Key, Desired)> {
        let objects = self.reader.objects().into_iter().filter(|(key, _)| key.kind == kind);
        objects.filter_map(|(key, object)| Some((key, self.resolve(&object).0?))).collect()
    }

    pub(super) async fn models_view(&self) -> Vec<ModelView> {
        let pulls = self.pulls.all();
        let mut models = Vec::new();
        for (key, desired) in self.desired_of(Kind::ModelProvider) {
            let Desired::ModelProvider(desired) = desired else { continue };
            let mut view = ModelView {
                pull: pulls.get(&key).map(pull),
                key,
                choice: Err("nobody has looked yet".to_owned()),
                reason: String::new(),
                server: None,
                says: None,
                models: Vec::new(),
            };
            match self.observe_model(&desired, Instant::now()).await {
                Ok(observed) => told(&mut view, observed),
                Err(error) => view.choice = Err(out_of_reach(&error)),
            }
            models.push(view);
        }
        models
    }

    pub(super) async fn proxies_view(&self) -> Vec<ProxyView> {
        let mut proxies = Vec::new();
        for (key, desired) in self.desired_of(Kind::Proxy) {
            let Desired::Proxy(desired) = desired else { continue };
            let observed = self.observe_proxy(&desired, Instant::now()).await;
            let backends = observed.as_ref().map(|observed| &observed.backends);
            let routes = desired.config.routes().map(|(host, route)| {
                let backend = backends.ok().and_then(|backends| backends.get(&route.to.container));
                RouteView {
                    host: host.to_owned(),
                    path: route.path.clone(),
                    to: format!("{}:{}", route.to.container, route.to.port),
                    addresses: backend.map(|backend| backend.addresses.iter().cloned().collect()).unwrap_or_default(),
                    backend: backend.map_or("unknown", fares),
                }
            });
            let routes = routes.collect();
            let memory = observed.as_ref().ok().and_then(|observed| observed.history.proxy.clone()).unwrap_or_default();
            let rejected = memory.rejected.as_ref().map(|rejected| {
                let stage = match rejected.stage {
                    Stage::Test => "refused when it was tested",
                    Stage::Reload => "not loaded",
                    Stage::Proof => "taken back after real requests failed",
                };
                format!("{stage}, {} times, last at {}: {}", rejected.count, clock::text(rejected.at), rejected.reason)
            });
            proxies.push(ProxyView {
                key,
                nginx: match &observed {
                    Ok(observed) => nginx(&observed.nginx),
                    Err(error) => out_of_reach(error),
                },
                reloaded: memory.reloads.last().map(|at| clock::text(*at)),
                is_proven: memory.proven.is_some()
                    && memory.proven.as_ref() == memory.loaded.as_ref().map(|loaded| &loaded.digest),
                rejected,
                routes,
            });
        }
        proxies
    }
}

fn told(view: &mut ModelView, observed: plan::model_provider::Observed) {
    if let Ok(choice) = &observed.choice {
        view.reason = choice.reason();
    }
    view.choice = observed.choice.map(|choice| choice.to_string());
    let Some(server) = observed.server else { return };
    view.server = Some(server.url);
    view.says = Some(match server.answer {
        Answer::Silent { reason } => format!("it does not answer: {reason}"),
        Answer::Wrong { reason } => format!("it answers wrongly: {reason}"),
        Answer::Models { version, models } => {
            view.models = models.into_iter().map(|model| (model.name, model.size)).collect();
            format!("ollama {version}")
        }
    });
}

fn pull(pull: &Pull) -> PullView {
    let progress = &pull.progress;
    PullView {
        model: pull.model.clone(),
        status: progress.status.clone(),
        completed: progress.completed,
        total: progress.total,
        words: progress.describe(),
    }
}

fn nginx(state: &NginxState) -> String {
    match state {
        NginxState::Absent => "there is no nginx".to_owned(),
        NginxState::Present { is_running: false, .. } => "nginx does not run".to_owned(),
        NginxState::Present { address: Some(address), .. } => format!("nginx runs, and answers at {address}"),
        NginxState::Present { address: None, .. } => "nginx runs".to_owned(),
    }
}

fn fares(backend: &Backend) -> &'static str {
    if backend.is_apart {
        return "on no network of nginx";
    }
    match backend.readiness {
        Readiness::Healthy => "healthy",
        Readiness::Started => "starting",
        Readiness::Down => "down",
    }
}
