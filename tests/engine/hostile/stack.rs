//! A stack with everything that Mooring keeps, what can happen to it, and how it has to be afterwards.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use mooring::record::journal::AuditEntry;

use crate::{
    between::Between,
    host::{Host, container, environment, manifest, proxy},
    proxy::{address, who},
};

/// Faults come faster here than anywhere else, and are all meant.
pub const PATIENT: &str = "healing: {budget: {attempts: 1000, window: 10m}, backoff: {initial: 200ms, cap: 1s}}";

/// Everything comes so often here that it would be taken for a fight, and use up what a host may be acted upon.
const POLICY: &str = "budget: {attempts: 1000, window: 1m, perMinute: 1000}\nfights: {corrections: 1000, window: 1m}";

/// Long enough for a try that was under way when the engine hung, and for those after it.
const PATIENCE: Duration = Duration::from_mins(2);

/// As long as a replacement may take while the engine is hostile.
const REPLACED: Duration = Duration::from_secs(30);

/// The stack behind its socket.
pub struct Stack {
    pub host: Host,
    pub between: Option<Between>,
    version: usize,
    level: usize,
    fillers: usize,
    /// The containers that Mooring is to have.
    names: String,
    /// What may not change.
    token: String,
    stranger: String,
    kept: String,
}

/// What can happen, and a name for it.
pub type Fault = (&'static str, fn(&mut Stack));

/// Everything that the earlier chapters of this suite have one by one.
pub const FAULTS: [Fault; 17] = [
    ("a container is killed", |stack| stack.tries("kill @web")),
    ("a container is removed", |stack| stack.tries("rm --force @api")),
    ("a container is sick", |stack| stack.tries("exec @api touch /tmp/sick")),
    ("nginx is killed", |stack| stack.tries("kill @nginx")),
    ("the one with the data is killed", |stack| stack.tries("kill @db")),
    ("a container is cut off", |stack| stack.tries("network disconnect --force @net @web")),
    ("everything is killed", |stack| stack.tries("kill @db @api @web @nginx")),
    ("a secret is lost", |stack| {
        let text = stack.host.read(".env.secrets");
        let others: Vec<&str> = text.lines().filter(|line| !line.starts_with("TOKEN=")).collect();
        fs::write(stack.host.path(".env.secrets"), others.join("\n") + "\n").unwrap();
    }),
    ("the secrets are lost", |stack| {
        // Where they are lost already, there is nothing to lose.
        let _ = fs::remove_file(stack.host.path(".env.secrets"));
    }),
    ("what is computed is lost", |stack| {
        let _ = fs::remove_file(stack.host.path(".env.computed"));
    }),
    ("what is computed is edited", |stack| {
        let text = stack.host.read(".env.computed");
        fs::write(stack.host.path(".env.computed"), text.replace("x://", "y://")).unwrap();
    }),
    ("another image is wanted", |stack| {
        stack.version = 3 - stack.version;
        stack.host.put(stack.web());
    }),
    ("a variable changes", |stack| {
        stack.level += 1;
        fs::write(stack.host.path(".env"), stack.variables()).unwrap();
    }),
    ("a backend moves", |stack| {
        let earlier = stack.fillers;
        stack.fillers += 1;
        let filler = format!("run --detach --pull never --name @filler{} --network @net --no-healthcheck", stack.fillers);
        stack.tries("rm --force @web");
        stack.tries(&format!("{filler} --env GREETING=wrong mooring-demo/web:1"));
        // Half an hour of them is too much for any machine.
        if earlier > 0 {
            stack.tries(&format!("rm --force @filler{earlier}"));
        }
    }),
    ("a site is edited", |stack| {
        let site = stack.host.path("sites/one.test.conf");
        let text = fs::read_to_string(&site).unwrap_or_default();
        fs::write(site, text.replace("8080", "9999")).unwrap();
    }),
    ("a site is lost", |stack| {
        let _ = fs::remove_file(stack.host.path("sites/two.test.conf"));
    }),
    ("a manifest is broken, and mended", |stack| {
        stack.host.write("web.yaml", "kind: [Container");
        thread::sleep(Duration::from_millis(700));
        stack.host.put(stack.web());
    }),
];

impl Stack {
    /// Made and converged with an engine at peace.
    pub fn new() -> Self {
        Self::beside(&[], "")
    }

    /// The same beside these containers, of which nothing is known, and with more lines in the manifest of the nginx.
    pub fn beside(more: &[(String, String)], of_nginx: &str) -> Self {
        let mut host = Host::new(&[]);
        let between = Between::new(&host.engine);
        (host.engine, host.patience) = (between.address(), PATIENCE);
        let mut stack = Self {
            host,
            between: Some(between),
            version: 1,
            level: 0,
            fillers: 0,
            names: String::new(),
            token: String::new(),
            stranger: String::new(),
            kept: String::new(),
        };
        let own = [stack.web(), api(), steady(), db(), nginx(of_nginx), edge(), shop(), manifest("Host", "default", POLICY)];
        for file in own.into_iter().chain(more.iter().cloned()) {
            stack.host.put(file);
        }
        fs::write(stack.host.path(".env"), stack.variables()).unwrap();
        fs::create_dir_all(stack.host.path("sites")).unwrap();
        stack.host.docker("run --detach --pull never --name @stranger mooring-demo/web:1");
        stack.host.run();
        stack.host.converges();
        stack.names = stack.host.names().join(" ");
        stack.token = stack.host.value(".env.secrets", "TOKEN").unwrap();
        stack.stranger = stack.the_stranger();
        stack.kept = stack.host.docker("exec @db cat /data/kept");
        stack.holds_in_the_end("it was made");
        stack
    }

    fn web(&self) -> (String, String) {
        let dependency = "dependsOn: [{container: api, condition: healthy}]";
        let spec = format!(
            "image: web:{}\nnetworks: ['@net']\nenvironment: {{GREETING: one}}\n\
             envFrom: [{{environment: shop, keys: [LEVEL]}}]\n{dependency}\n{PATIENT}",
            self.version
        );
        container("web", &spec)
    }

    fn variables(&self) -> String {
        format!("# What they share.\nLEVEL={}\n", self.level)
    }

    fn the_stranger(&self) -> String {
        format!("{} {}", self.host.id("stranger"), self.host.started("stranger"))
    }

    /// What is gone already cannot be broken once more.
    fn tries(&self, command: &str) {
        let _ = self.host.try_docker(command);
    }

    /// Wants another image, and waits until that runs, or for a while: who is killed meanwhile has to begin anew.
    pub fn is_replaced(&mut self) {
        self.version = 3 - self.version;
        self.host.put(self.web());
        let begun = Instant::now();
        while begun.elapsed() < REPLACED
            && !(self.host.image("web") == format!("web:{}", self.version) && self.host.names().len() == 5)
        {
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What is not as it has to be.
    pub fn complaints(&self) -> Vec<String> {
        let host = &self.host;
        let mut complaints = Vec::new();
        let mut expect = |what: &str, is: String, wanted: String| {
            if is != wanted {
                complaints.push(format!("{what}: {is}, not {wanted}"));
            }
        };
        for (name, state) in [("web", "healthy"), ("api", "healthy"), ("steady", "healthy")] {
            expect(name, host.state(name), format!("running {state}"));
        }
        for name in ["db", "nginx"] {
            expect(name, host.state(name), "running".to_owned());
        }
        expect("the image", host.image("web"), format!("web:{}", self.version));
        for (name, variable, value) in [("web", "LEVEL", self.level.to_string()), ("api", "TOKEN", self.token.clone())] {
            expect(variable, host.variable(name, variable).unwrap_or_default(), value);
        }
        expect("the secret", host.value(".env.secrets", "TOKEN").unwrap_or_default(), self.token.clone());
        expect("what is computed", host.value(".env.computed", "URL").unwrap_or_default(), format!("x://{}", self.token));
        if host.state("nginx") == "running" && !address(host, "nginx").is_empty() {
            for (site, greeting) in [("one.test", "one"), ("two.test", "two"), ("steady.test", "steady")] {
                expect(site, who(host, site), greeting.to_owned());
            }
        }
        expect("what is not ours", self.the_stranger(), self.stranger.clone());
        expect("the data", host.try_docker("exec @db cat /data/kept").unwrap_or_default(), self.kept.clone());
        // Those of Mooring's, so that none of its interim ones is left.
        expect("the containers", host.names().join(" "), self.names.clone());
        complaints
    }

    /// Waits until everything is as it has to be, by the looks of the engine and of the files, and by Mooring's own word.
    pub fn holds_in_the_end(&self, after: &str) {
        let begun = Instant::now();
        while let complaints = self.complaints()
            && !complaints.is_empty()
        {
            let story = || format!("{}\n{}", complaints.join("\n"), self.host.story());
            assert!(begun.elapsed() < PATIENCE, "after {after}:\n{}", story());
            thread::sleep(Duration::from_millis(200));
        }
        self.host.converges();
    }

    /// What was done by Mooring so far.
    pub fn acts(&self) -> Vec<AuditEntry> {
        self.host.audit().into_iter().filter(|entry| entry.actor == "reconciler").collect()
    }
}

fn api() -> (String, String) {
    let spec = "image: web:1\nnetworks: ['@net']\nenvironment: {GREETING: two}\nenvFrom: [{environment: shop, keys: [TOKEN]}]";
    container("api", &format!("{spec}\n{PATIENT}"))
}

fn db() -> (String, String) {
    let script = "test -e /data/kept || cat /proc/sys/kernel/random/uuid >/data/kept; exec sleep 1000000";
    let spec = format!("image: busybox:1\ncommand: [sh, -c, '{script}']\nvolumes: ['@data:/data']\nstopGracePeriod: 1s");
    container("db", &format!("{spec}\n{PATIENT}"))
}

/// Nothing happens to it.
fn steady() -> (String, String) {
    container("steady", "image: web:1\nnetworks: ['@net']\nenvironment: {GREETING: steady}")
}

fn nginx(more: &str) -> (String, String) {
    let spec = "image: mooring-demo/nginx:1\nnetworks: ['@net']\nvolumes: ['./sites:/etc/nginx/sites']";
    container("nginx", &format!("{spec}\n{PATIENT}\n{more}"))
}

fn edge() -> (String, String) {
    let route = |name: &str, to: &str| format!("{{host: {name}.test, to: {{container: {to}, port: 8080}}}}");
    let routes = format!("[{}, {}, {}]", route("one", "web"), route("two", "api"), route("steady", "steady"));
    proxy("edge", &format!("container: nginx\ndirectory: ./sites\nroutes: {routes}"))
}

fn shop() -> (String, String) {
    let secrets = "secrets: {generate: [{name: TOKEN}]}";
    environment("shop", &format!("files: [.env, .env.secrets]\n{secrets}\ncomputed: {{values: {{URL: 'x://${{TOKEN}}'}}}}"))
}
