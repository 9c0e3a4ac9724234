//! What is looked at: a small stack on the real engine, the program that keeps it, and a browser.

use std::{
    fs::{self, File},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use crate::{
    driver::{Browser, PATIENCE},
    host::{Host, container, environment, free_port, manifest, proxy},
};

/// Of the backend manager.
pub const PASSWORD: &str = "a-horse-of-correctness-9";
/// Of the database.
const DATABASE_PASSWORD: &str = "pw-0b7e-of-the-database";
/// Of nobody: a key that a person has put into the `.env`.
const KEY: &str = "key-5d1c-that-somebody-gave";

/// What the database has in it.
const TABLES: &str = "CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, created_at timestamptz NOT NULL);
INSERT INTO users SELECT n, 'user' || n || chr(64) || 'example.com', now() - n * interval '1 day' FROM generate_series(1, 12) n;
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, cents int NOT NULL);
INSERT INTO orders SELECT n, n % 12 + 1, n * 250 FROM generate_series(1, 30) n;
INSERT INTO users VALUES (13, '<b onclick=\"alert(1)\">thirteen</b>', now());";

/// The stack and the process. Everything on the engine goes away with it.
pub struct World {
    pub host: Host,
    port: u16,
    mooring: Option<Child>,
    has_database: bool,
    /// An nginx in front, and an ollama with its model.
    has_front: bool,
}

impl World {
    /// With a database besides, which takes a few seconds more.
    pub fn with_database() -> Self {
        Self::of(true, false)
    }

    /// With a database, with an nginx that leads to the services, and with an ollama and its model, of which there is one page each.
    pub fn with_everything() -> Self {
        Self::of(true, true)
    }

    /// Two services that share a file of variables.
    pub fn new() -> Self {
        Self::of(false, false)
    }

    fn of(has_database: bool, has_front: bool) -> Self {
        let mut manifests = vec![
            environment(
                "shop",
                "directory: .\nfiles: [.env, .env.secrets]\nsecrets: {generate: [{name: PLUGIN_INTERNAL_SECRET}]}",
            ),
            container(
                "web",
                "image: web:1\nnetworks: ['@net']\nenvFrom: [{environment: shop, keys: [LOG_LEVEL, PLUGIN_INTERNAL_SECRET]}]",
            ),
            container("redis", "image: mooring-demo/redis:7"),
            container(
                "ticker",
                "image: busybox:1\ncommand: [sh, -c, 'n=0; while sleep 1; do n=$((n+1)); echo \"<i>tick</i> $n $PAYMENT_API_KEY\"; done']\n\
                 stopGracePeriod: 1s\nenvFrom: [{environment: shop, keys: [PAYMENT_API_KEY]}]",
            ),
        ];
        let database_port = free_port();
        if has_database {
            let spec = format!(
                "image: mooring-demo/postgres:15\nports: ['127.0.0.1:{database_port}:5432']\n\
                 environment: {{POSTGRES_USER: app, POSTGRES_DB: shop}}\n\
                 envFrom: [{{environment: shop, keys: [POSTGRES_PASSWORD]}}]"
            );
            manifests.push(container("postgres", &spec));
        }
        if has_front {
            manifests.extend(front());
        }
        let host = Host::new(&manifests);
        if has_front {
            fs::create_dir_all(host.path("sites")).unwrap();
            host.docker("network create @net");
            // Stands in for the registry of models, which is not to be had; it answers in the same manner.
            host.docker("run --detach --pull never --name @registry --network @net --network-alias registry.ollama.ai --network-alias blobs.test mooring-demo/models:1");
        }
        let url = format!("postgresql://app:{DATABASE_PASSWORD}@127.0.0.1:{database_port}/shop");
        let variables = format!(
            "# What the services share.\nLOG_LEVEL=info\nPAYMENT_API_KEY={KEY}\nPOSTGRES_PASSWORD={DATABASE_PASSWORD}\nDATABASE_URL={url}\n"
        );
        fs::write(host.path(".env"), variables).unwrap();
        let port = free_port();
        let mut world = Self { host, port, mooring: None, has_database, has_front };
        world.start();
        if has_database {
            world.fill();
        }
        world
    }

    /// Starts Mooring, and waits until all is there.
    pub fn start(&mut self) {
        let mooring = self.mooring.insert(run(&self.host, self.port));
        let (begun, port) = (Instant::now(), self.port);
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let mut services = vec!["web", "redis", "ticker"];
        services.extend(self.has_database.then_some("postgres"));
        services.extend(if self.has_front { &["nginx", "ollama"][..] } else { &[] });
        while !listens() || services.iter().any(|service| !self.host.state(service).starts_with("running")) {
            assert!(mooring.try_wait().unwrap().is_none(), "Mooring ended: {}", log(&self.host));
            assert!(begun.elapsed() < PATIENCE, "it does not come up: {}", log(&self.host));
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends Mooring, as a person does.
    pub fn stop(&mut self) {
        let Some(mut mooring) = self.mooring.take() else { return };
        // A child that was not waited for keeps its number.
        let _ = Command::new("kill").arg(mooring.id().to_string()).status();
        let begun = Instant::now();
        while mooring.try_wait().is_ok_and(|ended| ended.is_none()) && begun.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        let _ = mooring.kill();
        let _ = mooring.wait();
    }

    fn fill(&self) {
        let password = format!("PGPASSWORD={DATABASE_PASSWORD}");
        let words = ["exec", "--env", &password, "@postgres", "psql", "-qv", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "app"];
        let psql = |sql: &str| self.host.try_words(&[&words[..], &["shop", "-c", sql]].concat());
        self.host.eventually("the database answers", |_| psql("SELECT 1").is_ok());
        psql(TABLES).unwrap();
    }

    /// Every value that no page, no answer and no line of the log may have.
    fn secrets(&self) -> Vec<String> {
        let files = [".env.secrets", ".env.computed"].map(|file| self.host.read(file));
        let generated = files.iter().flat_map(|text| text.lines()).filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name == "PLUGIN_INTERNAL_SECRET").then(|| value.trim_matches(['"', '\'']).to_owned())
        });
        let secrets: Vec<String> = generated.chain([PASSWORD, DATABASE_PASSWORD, KEY].map(str::to_owned)).collect();
        assert_eq!(secrets.len(), 4, "one of them is made by Mooring");
        secrets
    }

    /// A browser at the door.
    pub fn browser(&self) -> Browser {
        Browser::open(self.port, &format!("{}-", self.host.name), self.secrets())
    }

    /// A browser of somebody who has the password.
    pub fn inside(&self) -> Browser {
        let browser = self.browser();
        login(&browser, PASSWORD);
        browser.until("the door opens", |browser| browser.path() == "/admin");
        browser
    }
}

/// What the world sees, and who answers in words.
fn front() -> [(String, String); 3] {
    let nginx = "image: mooring-demo/nginx:1\nnetworks: ['@net']\nvolumes: ['./sites:/etc/nginx/sites']";
    let routes = "container: nginx\ndirectory: ./sites\nroutes:\n\
                  - {host: shop.test, to: {container: web, port: 8080}}\n\
                  - {host: shop.test, path: /cache/, stripPath: true, websocket: true, to: {container: redis, port: 6379}}\n\
                  - {host: gone.test, to: {container: ticker, port: 80}}";
    let model = "environment: shop\nollama: {run: {name: '@ollama', image: 'mooring-demo/ollama:1', volume: '@models', networks: ['@net']}}";
    [container("nginx", nginx), proxy("edge", routes), manifest("ModelProvider", "default", model)]
}

/// Gives this password at the door.
pub fn login(browser: &Browser, password: &str) {
    browser.go("/admin/login");
    browser.enter("#password", password);
    browser.click("button");
}

/// The directory of everything that the process has.
fn root(host: &Host) -> PathBuf {
    host.path("").parent().unwrap().to_owned()
}

/// The program itself, as somebody starts it.
fn run(host: &Host, port: u16) -> Child {
    let root = root(host);
    let log = File::options().create(true).append(true).open(root.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
    let path = |name: &str| root.join(name).display().to_string();
    command.args(["run", "--no-http", "--resync", "3s", "--owner", &host.name]);
    command.args(["--desired", &path("desired"), "--state", &path("state"), "--claw-port", &port.to_string()]);
    command.env("CLAW_WEB_PASSWORD", PASSWORD).env_remove("CLAW_ADMIN_ALLOW_DESTRUCTIVE").env_remove("CLAW_PORT");
    command.stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}

/// What it has written so far.
fn log(host: &Host) -> String {
    fs::read_to_string(root(host).join("log")).unwrap_or_default()
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
        let log = log(&self.host);
        if thread::panicking() {
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of Mooring's log:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        } else {
            for secret in self.secrets() {
                assert!(!log.contains(&secret), "a secret is in Mooring's own log");
            }
        }
    }
}

/// A file below `target`, for what people look at afterwards.
pub fn target(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(path)
}
