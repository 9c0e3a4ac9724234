//! `ModelProvider`: how the choice is made, and the local server with its container.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{Error, Lookup, Refusal, normalize};
use crate::{
    manifest::{
        EnvironmentSpec, Key, Kind, Manifest, ModelProviderSpec,
        container::{HttpProbe, Probe, PullPolicy},
        environment::computed_file,
        model_provider::{OllamaContainer, Variables},
        quantity::Duration,
    },
    plan::{
        container::{self, Policy},
        model_provider::{Chooser, Desired, Ollama},
        shape::{Gpus, Limits, Mount, MountSource, Network, PortBinding, Restart, Shape},
    },
    store::Object,
};

/// The port that ollama listens on.
pub(crate) const PORT: u16 = 11434;
/// Where its image has the models.
pub(crate) const MODELS: &str = "/root/.ollama";

pub(super) fn resolve(object: &Object, spec: &ModelProviderSpec, others: &impl Lookup, base: &Path) -> Result<Desired, Error> {
    let environment = others.manifest(&Key::new(Kind::Environment, &spec.environment));
    let mut refusals = Vec::new();
    if let Some(Manifest::Environment(environment)) = environment.as_deref() {
        refusals.extend(clash(&object.key().name, spec, &environment.spec, others));
    }
    let run = spec.ollama.run.as_ref().map(|run| own_container(object, run, spec));
    let run = run.transpose().map_err(|refusal| refusals.push(refusal));
    let (Ok(run), []) = (run, refusals.as_slice()) else {
        return Err(Error(refusals));
    };
    let ollama = &spec.ollama;
    Ok(Desired {
        key: object.key().clone(),
        generation: object.generation(),
        environment: spec.environment.clone(),
        chooser: chooser(spec),
        ollama: Ollama {
            url: ollama.url.clone(),
            container: ollama.container.as_ref().map(|name| Key::new(Kind::Container, name)),
            run: run.map(Box::new),
            pull: ollama.pull,
            stall_after: ollama.stall_after.0,
            directory: ollama.directory.as_ref().map(|directory| normalize(&base.join(directory))),
            healing: spec.healing.clone(),
        },
    })
}

/// How the choice is made.
pub(super) fn chooser(spec: &ModelProviderSpec) -> Chooser {
    Chooser {
        order: spec.order.clone(),
        openai_model: spec.openai_model.clone(),
        anthropic_model: spec.anthropic_model.clone(),
        ollama_model: spec.ollama.model.clone(),
        variables: spec.variables.clone(),
    }
}

/// Why the choice cannot be written into the environment's computed file, if it cannot.
pub(super) fn clash(
    name: &str,
    spec: &ModelProviderSpec,
    environment: &EnvironmentSpec,
    others: &impl Lookup,
) -> Option<Refusal> {
    let ours = variables(&spec.variables);
    let default = computed_file();
    if environment.computed.is_none() && environment.files.contains(&default) {
        let message = format!(
            "the choice would be written to {default}, which is one of the files of Environment/{}; \
             give that a `computed.file` of its own",
            spec.environment
        );
        return Some(Refusal { path: "spec.environment".to_owned(), message });
    }
    let computed = environment.computed.iter().flat_map(|computed| computed.values.keys());
    let generated = environment.secrets.iter().flat_map(|secrets| secrets.generate.iter().map(|secret| &secret.name));
    if let Some(taken) = computed.chain(generated).find(|variable| ours.contains(variable.as_str())) {
        return Some(taken_by(taken, &Key::new(Kind::Environment, &spec.environment)));
    }
    // Of two that want the same variable, the first by name has it.
    let mut earlier = others.names(Kind::ModelProvider);
    earlier.retain(|other| other.as_str() < name);
    earlier.sort();
    earlier.iter().find_map(|other| {
        let key = Key::new(Kind::ModelProvider, other);
        let manifest = others.manifest(&key)?;
        let Manifest::ModelProvider(other) = &*manifest else { return None };
        let theirs = variables(&other.spec.variables);
        let taken = ours.intersection(&theirs).next().filter(|_| other.spec.environment == spec.environment)?;
        Some(taken_by(taken, &key))
    })
}

fn taken_by(variable: &str, key: &Key) -> Refusal {
    let message = format!("{variable} is written by {key} already; name another variable");
    Refusal { path: "spec.variables".to_owned(), message }
}

fn variables(variables: &Variables) -> BTreeSet<&str> {
    let Variables { provider, model, reason } = variables;
    [provider.as_str(), model.as_str(), reason.as_str()].into()
}

/// The container that is there only while ollama is the choice.
fn own_container(object: &Object, run: &OllamaContainer, spec: &ModelProviderSpec) -> Result<container::Desired, Refusal> {
    let ports = run.ports.iter().enumerate().map(|(at, port)| {
        let refused = |message| Refusal { path: format!("spec.ollama.run.ports.{at}"), message };
        port.parse::<PortBinding>().map_err(refused)
    });
    let shape = Shape {
        image: run.image.clone(),
        ports: ports.collect::<Result<_, _>>()?,
        volumes: vec![Mount { source: MountSource::Volume(run.volume.clone()), target: MODELS.to_owned(), read_only: false }],
        networks: run.networks.iter().map(|name| network(name)).collect(),
        gpus: run.gpus.then_some(Gpus::All),
        limits: Limits { restart: Some(Restart::UnlessStopped), ..Limits::default() },
        ..Shape::default()
    };
    // It has to be reached from outside itself, and older servers drop what is half pulled whenever they start.
    let ours = [("OLLAMA_HOST", format!("0.0.0.0:{PORT}")), ("OLLAMA_NOPRUNE", "1".to_owned())];
    let mut variables: BTreeMap<String, String> = ours.map(|(name, value)| (name.to_owned(), value)).into();
    variables.extend(run.environment.iter().map(|(name, value)| (name.clone(), value.0.clone())));
    Ok(container::Desired {
        key: object.key().clone(),
        generation: object.generation(),
        name: run.name.clone(),
        shape,
        variables: vec![container::Variables::Literal(variables)],
        pull_policy: PullPolicy::IfMissing,
        depends_on: Vec::new(),
        probe: Some(probe()),
        // Models are what its volume holds, and they stay.
        policy: Policy {
            on_manual_stop: run.on_manual_stop,
            allow_recreate: true,
            allow_remove: true,
            healing: spec.healing.clone(),
        },
    })
}

fn network(name: &str) -> Network {
    Network { name: name.to_owned(), aliases: Vec::new(), ipv4_address: None, ipv6_address: None }
}

/// The image has no health check, and no program for one.
fn probe() -> Probe {
    Probe {
        http: Some(HttpProbe { port: PORT, path: "/api/version".to_owned() }),
        tcp: None,
        exec: None,
        interval: Duration::seconds(3),
        timeout: Duration::seconds(5),
        // One that loads a large model from a slow disk is slow to answer, and not dead.
        retries: 6,
        start_period: Duration::seconds(30),
    }
}
