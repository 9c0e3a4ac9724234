//! An engine as a test sees it, and how everything on it that is the test's goes away in the end.

use std::{
    collections::{BTreeMap, HashMap},
    process,
    sync::{Arc, Mutex},
    time::Duration,
};

use bollard::{
    API_DEFAULT_VERSION, Docker as Raw,
    query_parameters::{
        ListContainersOptions, ListNetworksOptions, ListVolumesOptions, RemoveContainerOptions, RemoveVolumeOptions,
    },
};
use mooring::{
    execute::{
        self,
        engine::{Effect, Engine as _, Error},
    },
    manifest::{Key, Kind},
    observe::{
        self,
        docker::Connection,
        engine::{Engine as _, Inspected, Listed, OWNER_LABEL},
    },
    plan::{
        EngineAction, Target,
        action::{NewContainer, VariableSource},
        shape::Shape,
    },
    secret::Secret,
};

pub const BUSYBOX: &str = "mooring-demo/busybox:1";

/// Everything happens within this time, on a machine that has other things to do.
pub const LIMIT: Duration = Duration::from_mins(1);

/// An engine, and an owner on it.
pub struct World {
    pub owner: String,
    /// For what only others do, and to check what ours say.
    pub raw: Raw,
    pub eyes: observe::docker::Docker,
    pub hands: execute::docker::Docker,
    pub calls: Arc<Mutex<Vec<&'static str>>>,
}

impl World {
    /// Of a test by this name, which has to be different from all others'.
    pub async fn new(test: &str) -> Self {
        let address = address();
        let raw = Raw::connect_with_unix(&address, 60, API_DEFAULT_VERSION);
        let Ok(raw) = raw else { panic!("there is no engine at {address}: start one with `make setup`") };
        assert!(raw.ping().await.is_ok(), "the engine at {address} does not answer: start one with `make setup`");
        assert!(raw.inspect_image(BUSYBOX).await.is_ok(), "the engine at {address} has no {BUSYBOX}: make it with `make setup`");
        let owner = format!("mooring-test-{test}-{}", process::id());
        let calls: Arc<Mutex<Vec<&'static str>>> = Arc::default();
        let counted = Arc::clone(&calls);
        let connection = Connection::new(&address, Arc::new(move |call| counted.lock().unwrap().push(call))).unwrap();
        let (eyes, hands) =
            (observe::docker::Docker::new(connection.clone()), execute::docker::Docker::new(connection, owner.clone()));
        Self { owner, raw, eyes, hands, calls }
    }

    /// A name that no other test uses.
    pub fn name(&self, what: &str) -> String {
        format!("{}-{what}", self.owner)
    }

    pub async fn try_perform(&self, action: EngineAction) -> Result<Effect, Error> {
        self.hands.perform(&action, &BTreeMap::new()).await
    }

    pub async fn perform(&self, action: EngineAction) -> Effect {
        let text = action.to_string();
        self.try_perform(action).await.unwrap_or_else(|error| panic!("cannot {text}: {}", mooring::error_chain(&error)))
    }

    /// What the status of a refusal is; anything else is a failure of the test.
    pub async fn refusal(&self, action: EngineAction) -> (u16, String) {
        match self.try_perform(action).await {
            Err(Error::Refused { status, message }) => (status, message),
            other => panic!("not a refusal: {other:?}"),
        }
    }

    pub fn new_container(&self, what: &str, shape: Shape, variables: &BTreeMap<String, Secret>) -> NewContainer {
        let source = |value: &Secret| VariableSource::Literal(value.clone());
        NewContainer {
            name: self.name(what),
            object: Key::new(Kind::Container, what),
            shape,
            variables: variables.iter().map(|(name, value)| (name.clone(), source(value))).collect(),
            allow_remove: false,
        }
    }

    /// Makes a container; it does not run yet.
    pub async fn make(&self, what: &str, shape: Shape) -> Target {
        let new = self.new_container(what, shape, &BTreeMap::new());
        let name = new.name.clone();
        self.perform(EngineAction::CreateContainer(Box::new(new))).await;
        self.seen(&name).await
    }

    /// Makes a container and starts it.
    pub async fn run(&self, what: &str, shape: Shape) -> Target {
        let container = self.make(what, shape).await;
        self.perform(EngineAction::StartContainer { container: container.clone() }).await;
        container
    }

    pub async fn seen(&self, name: &str) -> Target {
        let found = self.raw.inspect_container(name, None).await.unwrap();
        Target::seen(&found.id.unwrap(), name)
    }

    /// The container's line in the list, if it has one.
    pub async fn find(&self, container: &Target) -> Option<Listed> {
        let listed = self.eyes.list().await.unwrap();
        listed.into_iter().find(|listed| Some(&listed.id) == container.id.as_ref())
    }

    pub async fn listed(&self, container: &Target) -> Listed {
        self.find(container).await.unwrap()
    }

    pub async fn inspected(&self, container: &Target) -> Inspected {
        self.eyes.inspect(container.reference()).await.unwrap().unwrap()
    }

    /// Waits until the list shows the container so.
    pub async fn until(&self, container: &Target, is_so: impl Fn(&Listed) -> bool) -> Listed {
        let seen = async {
            loop {
                let listed = self.listed(container).await;
                if is_so(&listed) {
                    return listed;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let Ok(listed) = tokio::time::timeout(LIMIT, seen).await else {
            panic!("it did not come to that: {:?}", self.listed(container).await);
        };
        listed
    }

    /// Runs a command inside a container.
    pub async fn shell(&self, container: &Target, line: &str) {
        let command = ["sh", "-c", line].map(str::to_owned);
        let result = self.eyes.exec(container.reference(), &command).await.unwrap();
        assert_eq!(result.exit_code, 0, "{}", result.output);
    }

    async fn remove_everything(&self) {
        let filters = || Some(HashMap::from([("label".to_owned(), vec![format!("{OWNER_LABEL}={}", self.owner)])]));
        let options = ListContainersOptions { all: true, filters: filters(), ..ListContainersOptions::default() };
        for container in self.raw.list_containers(Some(options)).await.unwrap_or_default() {
            let options = RemoveContainerOptions { v: true, force: true, link: false };
            let _ = self.raw.remove_container(&container.id.unwrap_or_default(), Some(options)).await;
        }
        let options = ListNetworksOptions { filters: filters() };
        for network in self.raw.list_networks(Some(options)).await.unwrap_or_default() {
            let _ = self.raw.remove_network(&network.id.unwrap_or_default()).await;
        }
        let options = ListVolumesOptions { filters: filters() };
        for volume in self.raw.list_volumes(Some(options)).await.ok().and_then(|list| list.volumes).unwrap_or_default() {
            let _ = self.raw.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The test's own runtime cannot be waited for from here.
        std::thread::scope(|scope| {
            let removal = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(self.remove_everything());
            });
            let _ = removal.join();
        });
    }
}

pub fn address() -> String {
    std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned())
}

/// A container that runs until it is told to stop, and then stops at once.
pub fn sleeper() -> Shape {
    script("sleep 1000")
}

/// A container that runs this line of shell.
pub fn script(line: &str) -> Shape {
    Shape {
        image: BUSYBOX.to_owned(),
        command: Some(["sh", "-c", line].map(str::to_owned).into()),
        // A shell as process 1 does not hear the signal.
        init: Some(true),
        stop_grace_seconds: Some(1),
        ..Shape::default()
    }
}
