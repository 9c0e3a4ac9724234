//! The stack that is looked after: what people have declared, as text in files,
//! and what there is on the engine besides.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use super::{
    dice::Dice,
    edge::{EDGE, Edge, IMAGE},
    model::{Model, OLLAMA, Place},
    support::simulated::{Behaviour, Simulated},
};

/// Secrets that are made, and by whom they are used.
pub const SECRETS: [&str; 2] = ["DB_PASSWORD", "API_TOKEN"];
/// What model servers are made from.
pub const OLLAMA_IMAGE: &str = "ollama";
/// How Mooring checks containers itself.
const PROBES: [&str; 2] =
    ["{tcp: {port: 80}, interval: 7s, retries: 2}", "{http: {port: 80, path: /up}, interval: 7s, timeout: 2s, retries: 2}"];
/// The network of all.
pub const NETWORK: &str = "shop_net";

/// What people have declared, and what else there is.
#[derive(Clone, Debug)]
pub struct World {
    /// By the names of their objects.
    pub services: BTreeMap<String, Service>,
    /// The value of the user's own variable.
    pub setting: u32,
    /// What the whole host permits: acts in ten minutes, and in one.
    pub budget: Option<(u32, u32)>,
    /// Containers of somebody else's that no manifest speaks of.
    pub strangers: Vec<String>,
    /// The nginx in front, if there is one.
    pub edge: Option<Edge>,
    /// The model that is to be there, if one is.
    pub model: Option<Model>,
}

/// What may be in a stack besides what every stack has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breadth {
    /// Nothing.
    Narrow,
    /// An nginx.
    Edge,
    /// A model and its server as well.
    All,
}

/// One container that is declared.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its image, without the version.
    pub image: &'static str,
    /// The version.
    pub version: u32,
    /// A variable that only its manifest has.
    pub value: u32,
    /// Whom it depends on, and in which condition.
    pub depends_on: Vec<(&'static str, &'static str)>,
    /// The variables that it takes from the environment.
    pub variables: Vec<&'static str>,
    /// Whether it has a volume.
    pub is_stateful: bool,
    /// Whether it may be made anew although it has one.
    pub may_recreate: bool,
    /// A port on the host: two of it cannot run side by side.
    pub port: Option<u16>,
    /// What is done when somebody has stopped it.
    pub heals_stops: bool,
    /// The engine's own policy.
    pub restart: &'static str,
    /// Tries in ten minutes.
    pub attempts: u32,
    /// Made by somebody else: found by its label.
    pub is_theirs: bool,
    /// A check of Mooring's own, as it is written.
    pub probe: Option<String>,
}

impl World {
    /// The stack of a seed.
    pub fn new(seed: u64, breadth: Breadth) -> Self {
        let mut world = Self::made(&mut Dice::new(seed, "world"), false);
        // Each with dice of its own: what there was before it stays as it was.
        let mut dice = Dice::new(seed, "edge");
        if breadth >= Breadth::Edge && dice.percent(25) {
            world = world.with_edge(&mut dice);
        }
        let mut dice = Dice::new(seed, "model");
        if breadth >= Breadth::All && dice.percent(15) {
            world = world.with_model(Model::new(&mut dice));
        }
        let mut dice = Dice::new(seed, "probes");
        if breadth >= Breadth::All && dice.percent(10) {
            world.probe(|| dice.percent(60), PROBES[usize::from(seed.is_multiple_of(2))]);
        }
        world
    }

    /// Mooring checks some of its containers itself.
    fn probe(&mut self, mut is_chosen: impl FnMut() -> bool, probe: &str) {
        for name in self.own() {
            if let Some(service) = self.services.get_mut(&name)
                && is_chosen()
            {
                service.probe = Some(probe.to_owned());
            }
        }
    }

    /// The services that Mooring checks itself, but for the model server.
    pub fn probed(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| self.services[name].probe.is_some()).collect()
    }

    fn with_model(mut self, model: Model) -> Self {
        self.services.extend(model.service().map(|service| (OLLAMA.to_owned(), service)));
        self.model = Some(model);
        self
    }

    fn with_edge(mut self, dice: &mut Dice) -> Self {
        self.edge = Some(Edge::new(dice, &self.own()));
        self.services.insert(EDGE.to_owned(), Edge::service());
        self
    }

    /// A stack with everything in it that any has.
    pub fn full() -> Self {
        let mut narrow = Self::made(&mut Dice::new(0, "world"), true);
        narrow.probe(|| true, PROBES[0]);
        let model = Model { place: Place::Declared, ..Model::new(&mut Dice::new(0, "model")) };
        narrow.with_edge(&mut Dice::new(0, "edge")).with_model(model)
    }

    fn made(dice: &mut Dice, is_full: bool) -> Self {
        let service = |dice: &mut Dice, image| Service {
            heals_stops: dice.percent(30),
            restart: dice.pick::<&str>(&["no", "always", "unless-stopped"]),
            attempts: *dice.pick(&[3, 3, 5]),
            ..Service::of(image)
        };
        let mut services = BTreeMap::new();
        let may_recreate = dice.percent(50);
        let db = Service { is_stateful: true, may_recreate, variables: vec![SECRETS[0]], ..service(dice, "db") };
        services.insert("db".to_owned(), db);
        let variables = vec![SECRETS[0], SECRETS[1], "LEVEL"];
        let api = Service { depends_on: vec![("db", "healthy")], variables, ..service(dice, "api") };
        services.insert("api".to_owned(), api);
        if dice.percent(60) || is_full {
            let web = Service { depends_on: vec![("api", "healthy")], port: Some(8080), ..service(dice, "web") };
            services.insert("web".to_owned(), web);
        }
        if dice.percent(50) || is_full {
            services.insert("redis".to_owned(), service(dice, "redis"));
        }
        if services.contains_key("redis") && (dice.percent(50) || is_full) {
            let depends_on = vec![("redis", "started")];
            let worker = Service { depends_on, variables: vec!["LEVEL"], ..service(dice, "worker") };
            services.insert("worker".to_owned(), worker);
        }
        if dice.percent(40) || is_full {
            services.insert("cache".to_owned(), Service { is_theirs: true, ..service(dice, "foreign") });
        }
        let budget = (dice.percent(50) || is_full).then(|| (*dice.pick(&[8, 20]), *dice.pick(&[3, 6])));
        let strangers = (0..=dice.below(2)).map(|number| format!("stranger-{number}")).collect();
        Self { services, setting: 0, budget, strangers, edge: None, model: None }
    }

    /// The names of all services, but for the nginx in front and the model server.
    pub fn names(&self) -> Vec<String> {
        self.services.keys().filter(|name| ![EDGE, OLLAMA].contains(&name.as_str())).cloned().collect()
    }

    /// The names of those of them that are Mooring's own.
    pub fn own(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| !self.services[name].is_theirs).collect()
    }

    /// The name of a service's container.
    pub fn container(&self, service: &str) -> String {
        if self.services[service].is_theirs { format!("shop-{service}-1") } else { service.to_owned() }
    }

    /// Every file of the desired state with its text, but for what Mooring writes.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files: BTreeMap<_, _> =
            self.services.iter().map(|(name, service)| (format!("{name}.yaml"), service.manifest(name))).collect();
        let generate = SECRETS.map(|name| format!("{{name: {name}}}")).join(", ");
        let environment = format!(
            "{}spec:\n  files: [.env, .env.secrets]\n  secrets: {{file: .env.secrets, generate: [{generate}]}}\n  \
             computed: {{file: .env.computed, values: {{URL: \"db://${{DB_PASSWORD}}@db\"}}}}\n",
            head("Environment", "shop"),
        );
        files.insert("shop.yaml".to_owned(), environment);
        files.insert(".env".to_owned(), self.settings());
        if let Some((attempts, minute)) = self.budget {
            let host = format!(
                "{}spec: {{budget: {{attempts: {attempts}, window: 10m, perMinute: {minute}}}}}\n",
                head("Host", "default")
            );
            files.insert("host.yaml".to_owned(), host);
        }
        files.extend(self.edge.iter().flat_map(Edge::files));
        files.extend(self.model.iter().map(|model| ("model.yaml".to_owned(), model.manifest())));
        files
    }

    /// The user's own file of variables.
    pub fn settings(&self) -> String {
        let is_in_cloud = self.model.as_ref().is_some_and(|model| model.is_in_cloud);
        let key = if is_in_cloud { "OPENAI_API_KEY=sk-simulated\n" } else { "" };
        format!("# Ours.\nLEVEL={}\n{key}", self.setting)
    }

    /// Gives the engine all images, and the containers of others.
    pub fn furnish(&self, engine: &Simulated) {
        for image in ["db", "api", "web", "redis", "worker"] {
            for version in 0..4 {
                engine.image(&format!("{image}:{version}"), behaviour(image, version));
            }
        }
        if self.edge.is_some() {
            engine.image(&format!("{IMAGE}:1"), Behaviour::default());
        }
        if self.model.is_some() {
            engine.image(&format!("{OLLAMA_IMAGE}:1"), Behaviour::default());
        }
        if self.edge.is_some() || self.model.is_some() || !self.probed().is_empty() {
            // The model of nginx answers the oracle, and not over the network: so its routes are not proven.
            engine.gives_addresses_to_all_but(IMAGE);
        }
        engine.image("foreign:1", Behaviour::default());
        for name in &self.strangers {
            engine.foreign(name, &[("com.docker.compose.service", "theirs")]);
        }
        for name in self.services.iter().filter(|(_, service)| service.is_theirs).map(|(name, _)| name) {
            engine.network(NETWORK, None);
            engine.foreign(&self.container(name), &[("com.docker.compose.service", name)]);
        }
    }
}

/// What a container of this image does. The last version of each is no good.
pub fn behaviour(image: &str, version: u32) -> Behaviour {
    let soon = match image {
        "db" => Some(Duration::from_secs(3)),
        "api" | "web" => Some(Duration::from_secs(1)),
        _ => None,
    };
    match (version, soon) {
        (3, None) => Behaviour { exits_after: Some((Duration::from_secs(1), 1)), ..Behaviour::default() },
        (3, _) => Behaviour { unhealthy_after: soon, ..Behaviour::default() },
        _ => Behaviour { healthy_after: soon, ..Behaviour::default() },
    }
}

impl Service {
    /// One of this image that is always healed, and has nothing that makes it special.
    pub fn of(image: &'static str) -> Self {
        Self {
            image,
            version: 1,
            value: 0,
            depends_on: Vec::new(),
            variables: Vec::new(),
            is_stateful: false,
            may_recreate: false,
            port: None,
            heals_stops: true,
            restart: "always",
            attempts: 5,
            is_theirs: false,
            probe: None,
        }
    }

    /// The image as it is wanted.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.image, self.version)
    }

    fn manifest(&self, name: &str) -> String {
        let mut text = format!("{}spec:\n", head("Container", name));
        if self.is_theirs {
            let selector = format!("{{labels: {{com.docker.compose.service: {name}}}}}");
            writeln!(text, "  management: heal\n  selector: {selector}").unwrap();
        } else {
            writeln!(text, "  image: \"{}\"\n  environment: {{VALUE: \"{}\"}}", self.reference(), self.value).unwrap();
            writeln!(text, "  networks: [{NETWORK}]\n  restart: \"{}\"", self.restart).unwrap();
        }
        if !self.variables.is_empty() {
            writeln!(text, "  envFrom: [{{environment: shop, keys: [{}]}}]", self.variables.join(", ")).unwrap();
        }
        let depends_on: Vec<String> =
            self.depends_on.iter().map(|(name, condition)| format!("{{container: {name}, condition: {condition}}}")).collect();
        if !depends_on.is_empty() {
            writeln!(text, "  dependsOn: [{}]", depends_on.join(", ")).unwrap();
        }
        if self.is_stateful {
            writeln!(text, "  volumes: [\"{name}_data:/data\"]\n  allowRecreate: {}", self.may_recreate).unwrap();
        }
        if let Some(port) = self.port {
            writeln!(text, "  ports: [\"{port}:80\"]").unwrap();
        }
        if let Some(probe) = &self.probe {
            writeln!(text, "  probe: {probe}").unwrap();
        }
        let stops = if self.heals_stops { "heal" } else { "respect" };
        writeln!(text, "  onManualStop: {stops}\n  healing: {{budget: {{attempts: {}, window: 10m}}}}", self.attempts).unwrap();
        text
    }
}

/// What each manifest begins with.
pub fn head(kind: &str, name: &str) -> String {
    format!("apiVersion: mooring.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n")
}
