//! Repair and `mooring doctor nginx`, with the real nginx of this host on
//! loopback ports of its own, backends that tell what they were asked, and a
//! name server that can be told where a name has moved.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

// A file beside this one would be taken for a test of its own.
#[path = "nginx/container.rs"]
mod container;

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mooring::nginx::{
    config::Config,
    findings::{self, Code},
    repair::{self, Files, MARKER, Repair, Resolver},
};
use tempfile::TempDir;

/// A name that nothing on this host knows; only our own name server does.
const NAME: &str = "backend.test";

/// Starts of nginx take a tenth of a second, on a loaded host some.
const PATIENCE: Duration = Duration::from_secs(20);

/// A backend that keeps what it was asked, and says who it is.
struct Backend {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    fn start(address: Ipv4Addr, port: u16) -> Self {
        let listener = TcpListener::bind((address, port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), address, &kept);
            }
        });
        Self { port, asked }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, address: Ipv4Addr, kept: &Mutex<Vec<String>>) {
    let head = head(&mut stream);
    let host = head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default().to_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    kept.lock().unwrap().push(path.to_owned());
    // As programs do that send people on to where they think they are.
    let location = if path.contains("away") { format!("Location: http://{host}{path}/there\r\n") } else { String::new() };
    let status = if path.contains("away") { "302 Found" } else { "200 OK" };
    let body = address.to_string();
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {status}\r\n{location}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A name server that knows every name under `test`, and one address.
struct Names {
    port: u16,
    last: Arc<AtomicU8>,
}

impl Names {
    /// All names are at 127.0.0.1, for ten minutes, as Docker's name server says.
    fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let last = Arc::new(AtomicU8::new(1));
        let told = Arc::clone(&last);
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let _ = socket.send_to(&response(&question[..length], told.load(Ordering::SeqCst)), from);
            }
        });
        Self { port, last }
    }

    /// From now on all names are at 127.0.0.`last`.
    fn move_to(&self, last: u8) {
        self.last.store(last, Ordering::SeqCst);
    }

    fn resolver(&self, valid: &str) -> Resolver {
        Resolver { address: format!("127.0.0.1:{}", self.port), valid: valid.to_owned(), ..Resolver::default() }
    }
}

fn response(question: &[u8], last: u8) -> Vec<u8> {
    let name_end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap();
    let is_a = question[name_end + 1..name_end + 3] == [0, 1];
    let unknown = !is_a || question.windows(6).any(|part| part == b"absent");
    let mut response = question[..name_end + 5].to_vec();
    response[2..12].copy_from_slice(&[0x81, if unknown && is_a { 0x83 } else { 0x80 }, 0, 1, 0, u8::from(!unknown), 0, 0, 0, 0]);
    if !unknown {
        // The name is the one of the question; A, IN, 600 seconds, four bytes.
        response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 127, 0, 0, last]);
    }
    response
}

/// An nginx of our own. Ends with its value.
struct Nginx {
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Nginx {
    /// Not started. `sites` is what its `sites/*.conf` begins as.
    fn new(sites: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let nginx = Self { directory, port, process: None };
        fs::create_dir(nginx.path("sites")).unwrap();
        let user = if nix::unistd::getuid().is_root() { "user root;\n" } else { "" };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("    {what}_temp_path {}/{what};\n", nginx.directory.path().display()))
            .concat();
        let main = format!(
            "{user}worker_processes 1;\npid nginx.pid;\nerror_log error.log info;\nevents {{}}\nhttp {{\n    access_log off;\n{temporary}    include sites/*.conf;\n}}\n"
        );
        fs::write(nginx.path("nginx.conf"), main).unwrap();
        for (name, text) in sites {
            nginx.write(name, text);
        }
        nginx
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("sites").join(name), text.replace("LISTEN", &format!("127.0.0.1:{}", self.port))).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path("sites").join(name)).unwrap()
    }

    fn command(&self) -> Vec<String> {
        let directory = self.directory.path().display();
        [
            "nginx",
            "-p",
            &format!("{directory}"),
            "-e",
            &format!("{directory}/error.log"),
            "-c",
            &format!("{directory}/nginx.conf"),
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let command = self.command();
        Command::new(&command[0]).args(&command[1..]).args(arguments).output().expect("nginx is installed: run `make setup`")
    }

    fn start(mut self) -> Self {
        let command = self.command();
        let mut process = Command::new(&command[0]);
        process.args(&command[1..]).args(["-g", "daemon off;"]).stderr(Stdio::null());
        self.process = Some(process.spawn().expect("nginx is installed: run `make setup`"));
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(Instant::now() < end, "nginx does not start: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
        self
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("error.log")).unwrap_or_default()
    }

    /// The whole answer to a path that is sent as it is.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn body(&self, path: &str) -> String {
        let answer = self.get(path);
        answer.split_once("\r\n\r\n").map_or(answer.clone(), |(_, body)| body.to_owned())
    }

    /// Whether a path is answered by this backend, within a time.
    fn is_answered_by(&self, path: &str, who: &str, within: Duration) -> bool {
        let end = Instant::now() + within;
        loop {
            let found = self.body(path).contains(who);
            if found || Instant::now() >= end {
                return found;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// `mooring doctor nginx` about this one.
    fn doctor(&self, state: &Path, arguments: &[&str]) -> Output {
        let mut command = mooring(state);
        command.arg("doctor").arg("nginx").arg(self.path("nginx.conf")).args(["--nginx", &self.command().join(" ")]);
        command.args(arguments).output().unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Asked, so that it takes its workers with it.
            let id = i32::try_from(process.id()).unwrap();
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM);
            let _ = process.wait();
        }
    }
}

fn mooring(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
    command.env_remove("MOORING_DESIRED").env_remove("MOORING_OWNER").arg("--state").arg(state);
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn plan(text: &str, resolver: &Resolver) -> Repair {
    let texts = BTreeMap::from([(PathBuf::from("/sites/a.conf"), text.to_owned())]);
    repair::plan(Files { texts: &texts, main: None, marker: MARKER, only: None, resolver })
}

/// Locations of every kind that can be rewritten.
fn site(backend: u16) -> String {
    let to = format!("http://{NAME}:{backend}");
    format!(
        r#"{MARKER}
server {{
    listen LISTEN;
    location /plain/ {{ proxy_pass {to}; }}
    location /strip/ {{ proxy_pass {to}/; }}
    location /other/ {{ proxy_pass {to}/else/where/; }}
    location /bare {{ proxy_pass {to}/with.dot; }}
    location = /exact {{ proxy_pass {to}/one; }}
    location ^~ /first/v1.0/ {{ proxy_pass {to}/v2/; }}
    location ~ ^/regex/(a|b) {{ proxy_pass {to}; }}
    location /inner/ {{
        proxy_pass {to};
        location /inner/deep/ {{ proxy_pass {to}/deeper/; }}
        if ($arg_if) {{ proxy_pass {to}; }}
    }}
    location /own/ {{ proxy_redirect default_is_off_here /x/; proxy_pass {to}/; }}
    location /usual/ {{ proxy_pass {to}/u/; proxy_redirect default; }}
    location /named/ {{ try_files /nothing @named; }}
    location @named {{ proxy_pass {to}; }}
    location / {{ proxy_pass {to}/; }}
}}
"#
    )
}

/// What a path can be made of that makes a difference.
const TAILS: [&str; 17] = [
    "",
    "a",
    "a/b",
    "?q=1&r=%20+x",
    "a?q=a/b?c",
    "a%20b",
    "a%2Fb",
    "a%3Fb?c=d",
    "a%0Ab",
    "a%25b%23",
    "%C3%BC/\u{fc}",
    "a//b",
    "./a/../b",
    "a;b=c&d",
    "away",
    "away?next=%2F",
    "a+b:c@d",
];

#[test]
fn a_repaired_site_asks_its_backends_for_the_same_as_before() {
    let names = Names::start();
    let backend = Backend::start(Ipv4Addr::LOCALHOST, 0);
    let text = site(backend.port);
    let Repair { repaired, findings } = plan(&text, &names.resolver("30s"));
    assert_eq!(findings, [], "everything in it can be repaired");
    // The fixed form needs a name that the host knows. For everything but the name, an address is the same.
    let fixed = Nginx::new(&[("a.conf", &text.replace(NAME, "127.0.0.1"))]).start();
    let followed = Nginx::new(&[("a.conf", &repaired[0].text)]).start();
    let prefixes = ["/plain/", "/strip/", "/other/", "/bare", "/exact", "/first/v1.0/", "/regex/a", "/inner/", "/inner/deep/"];
    let more = ["/inner/x?if=1&", "/own/", "/usual/", "/named/", "/"];
    let mut seen = 0;
    for prefix in prefixes.into_iter().chain(more) {
        for tail in TAILS {
            let path = format!("{prefix}{tail}");
            let without_date = |answer: String| -> String {
                let lines = answer.lines().filter(|line| !line.starts_with("Date:")).map(str::to_owned);
                let answer = lines.collect::<Vec<_>>().join("\n");
                // Each is asked at an address of its own, and knows its backend by one.
                answer.replace(&format!("127.0.0.1:{}", backend.port), &format!("{NAME}:{}", backend.port))
            };
            let as_before = (without_date(fixed.get(&path)), backend.take());
            let now = (without_date(followed.get(&path)), backend.take());
            let (as_before_answer, port) = (as_before.0.replace(&fixed.port.to_string(), "PORT"), followed.port.to_string());
            assert_eq!(now.0.replace(&port, "PORT"), as_before_answer, "{path}\n{}", followed.log());
            assert_eq!(now.1, as_before.1, "{path}");
            seen += now.1.len();
        }
    }
    assert!(seen > 150, "{seen} requests came through");
}

#[test]
fn a_repaired_site_starts_without_its_backend_and_finds_it_where_it_moves() {
    let names = Names::start();
    let first = Backend::start(Ipv4Addr::LOCALHOST, 0);
    let _second = Backend::start(Ipv4Addr::new(127, 0, 0, 2), first.port);
    let text =
        site(first.port).replace("location /own/", "location /absent/ { proxy_pass http://absent.test:1; }\n    location /own/");
    let nginx = Nginx::new(&[("a.conf", &text)]);
    let refused = nginx.run(&["-t"]);
    assert!(said(&refused).contains("host not found in upstream"), "the fixed form does not start: {}", said(&refused));

    nginx.write("a.conf", &plan(&text, &names.resolver("1s")).repaired[0].text);
    let nginx = nginx.start();
    assert!(nginx.get("/absent/").starts_with("HTTP/1.1 502"));
    assert!(nginx.is_answered_by("/plain/", "127.0.0.1", PATIENCE));
    names.move_to(2);
    assert!(nginx.is_answered_by("/plain/", "127.0.0.2", Duration::from_secs(10)), "{}", nginx.log());
}

/// Both traps, as nginx falls into them, and as they are named.
#[test]
fn a_fixed_name_elsewhere_and_a_resolver_that_never_forgets_keep_the_old_address() {
    let names = Names::start();
    let first = Backend::start(Ipv4Addr::LOCALHOST, 0);
    let _second = Backend::start(Ipv4Addr::new(127, 0, 0, 2), first.port);
    // The only name that every host knows at its start. The name server knows it as well.
    let server = |valid: &str| {
        format!(
            "server {{\n listen LISTEN;\n resolver 127.0.0.1:{}{valid} ipv6=off;\n set $up http://localhost:{};\n location / {{ proxy_pass $up; }}\n",
            names.port, first.port
        )
    };
    let fixed = format!(" location /fixed/ {{ proxy_pass http://localhost:{}; }}\n}}\n", first.port);
    let found = |text: &str| {
        let texts = BTreeMap::from([(PathBuf::from("/sites/a.conf"), text.to_owned())]);
        let findings =
            findings::find(Files { texts: &texts, main: None, marker: MARKER, only: None, resolver: &Resolver::default() });
        findings.iter().map(|finding| (finding.code, finding.line)).collect::<Vec<_>>()
    };
    let good = format!("{}}}\n", server(" valid=1s"));
    let defeated = format!("{}{fixed}", server(" valid=1s"));
    let never = format!("{}}}\n", server(""));
    assert_eq!(found(&good), []);
    assert_eq!(found(&defeated), [(Code::FollowedInVain, 5)]);
    assert_eq!(found(&never), [(Code::LongMemory, 3)]);
    let running = [&good, &defeated, &never].map(|text| Nginx::new(&[("a.conf", text)]).start());
    for nginx in &running {
        assert!(nginx.is_answered_by("/", "127.0.0.1", PATIENCE));
    }
    names.move_to(2);
    assert!(running[0].is_answered_by("/", "127.0.0.2", Duration::from_secs(10)));
    // The others had the same time, and twice as much.
    assert!(!running[1].is_answered_by("/", "127.0.0.2", Duration::from_secs(3)));
    assert!(!running[2].is_answered_by("/", "127.0.0.2", Duration::from_secs(3)));
}

const ALIVE: &str = "server {\n    listen LISTEN default_server;\n    location /alive { return 200 \"alive\\n\"; }\n}\n";

#[test]
fn doctor_mends_a_running_nginx_and_writes_it_down_first() {
    let (names, state) = (Names::start(), tempfile::tempdir().unwrap());
    let backend = Backend::start(Ipv4Addr::LOCALHOST, 0);
    let nginx = Nginx::new(&[("alive.conf", ALIVE)]).start();
    let site = format!(
        "{MARKER}\nserver {{\n    listen LISTEN;\n    server_name site.test;\n    location / {{\n        proxy_pass http://{NAME}:{}; # mine\n    }}\n}}\n",
        backend.port
    );
    nginx.write("site.conf", &site);
    let resolver = format!("127.0.0.1:{}", names.port);
    let options = ["--resolver", &resolver, "--valid", "1s"];

    let told = nginx.doctor(state.path(), &options);
    assert_eq!(told.status.code(), Some(1), "{}", said(&told));
    assert!(said(&told).contains("FixedBackend"), "{}", said(&told));
    assert!(nginx.read("site.conf").contains("proxy_pass http://"), "nothing is changed unless it is asked for");

    let probe = format!("http://127.0.0.1:{}/alive", nginx.port);
    let fixed = nginx.doctor(state.path(), &[&options[..], &["--fix", "--probe", &probe]].concat());
    assert_eq!(fixed.status.code(), Some(0), "{}\n{}", said(&fixed), nginx.log());
    assert!(nginx.read("site.conf").contains("proxy_pass $mooring_upstream_1; # mine"));
    assert!(nginx.is_answered_by("/", "127.0.0.1", PATIENCE), "the mended site is in force: {}", nginx.log());
    let mut left: Vec<String> =
        fs::read_dir(nginx.path("sites")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["alive.conf", "site.conf"], "nothing is left lying about");

    let again = nginx.doctor(state.path(), &[&options[..], &["--fix", "-o", "json"]].concat());
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    let json: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(json["findings"], serde_json::json!([]));
    let recorded = recorded(state.path());
    assert_eq!(recorded, [("RepairSite".to_owned(), "done".to_owned())], "one change, once");
}

/// Operation and outcome of every entry of the journal.
fn recorded(state: &Path) -> Vec<(String, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let record = mooring::record::Record::join(state, mooring::record::Settings::default()).await.unwrap();
        let log = record.journal.log(&mooring::record::journal::AuditFilter::default()).await.unwrap();
        record.shutdown().await;
        log.into_iter().map(|entry| (entry.operation, entry.outcome.unwrap_or_default())).collect()
    })
}

#[test]
fn what_nginx_refuses_is_not_put_in_place() {
    let state = tempfile::tempdir().unwrap();
    let site = format!("{MARKER}\nserver {{ listen LISTEN; location / {{ proxy_pass http://{NAME}:1; }} }}\n");
    let nginx = Nginx::new(&[("alive.conf", ALIVE)]).start();
    nginx.write("site.conf", &site);
    nginx.write("broken.conf", "server { no_such_directive on; }\n");
    let before = nginx.read("site.conf");
    let refused = nginx.doctor(state.path(), &["--fix"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("nothing was changed") && said(&refused).contains("no_such_directive"), "{}", said(&refused));
    assert_eq!(nginx.read("site.conf"), before);
    assert!(!nginx.path(".mooring-test.conf").exists());
    assert_eq!(recorded(state.path()), [], "nothing was begun");
    assert!(nginx.body("/alive").contains("alive"));
}

#[test]
fn what_does_not_prove_itself_is_taken_back() {
    let (names, state) = (Names::start(), tempfile::tempdir().unwrap());
    // Loaded is a site that answers; on the disk is one that will not.
    let nginx = Nginx::new(&[("site.conf", "server { listen LISTEN; location / { return 200 \"old\\n\"; } }\n")]).start();
    let site = format!("{MARKER}\nserver {{ listen LISTEN; location / {{ proxy_pass http://absent.test:1; }} }}\n");
    nginx.write("site.conf", &site);
    let before = nginx.read("site.conf");
    let probe = format!("http://127.0.0.1:{}/", nginx.port);
    let resolver = format!("127.0.0.1:{}", names.port);
    let fixed = nginx.doctor(state.path(), &["--fix", "--probe", &probe, "--resolver", &resolver]);
    assert_eq!(fixed.status.code(), Some(2), "{}", said(&fixed));
    assert!(said(&fixed).contains("the old files are back"), "{}", said(&fixed));
    assert_eq!(nginx.read("site.conf"), before);
    assert_eq!(recorded(state.path()), [("RepairSite".to_owned(), "failed".to_owned())]);
}

#[test]
fn without_a_record_nothing_is_changed() {
    let state = tempfile::NamedTempFile::new().unwrap();
    let nginx = Nginx::new(&[(
        "site.conf",
        &format!("{MARKER}\nserver {{ listen LISTEN; location / {{ proxy_pass http://{NAME}:1; }} }}\n"),
    )]);
    let before = nginx.read("site.conf");
    let refused = nginx.doctor(state.path(), &["--fix"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("could not be recorded"), "{}", said(&refused));
    assert_eq!(nginx.read("site.conf"), before);
}

/// A container that was never started can be looked into, and its files are changed where they are mounted from.
#[test]
fn a_container_is_looked_into_and_mended_where_its_files_are_mounted_from() {
    let (state, sites) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nginx/generated");
    let copied = Command::new("cp").arg("-R").arg(root.join(".")).arg(sites.path()).status().unwrap();
    assert!(copied.success());
    let name = format!("doctor-test-{}", std::process::id());
    let mount = format!("{}:/etc/nginx:ro", sites.path().display());
    let created =
        Command::new("docker").args(["create", "--name", &name, "-v", &mount, "mooring-demo/busybox:1"]).output().unwrap();
    assert!(created.status.success(), "{}", said(&created));
    // Removed also when an assertion fails.
    let told = mooring(state.path()).args(["doctor", "nginx", "--container", &name, "-o", "json"]).output().unwrap();
    let by_directory = mooring(state.path()).args(["doctor", "nginx", "-o", "json"]).arg(sites.path()).output().unwrap();
    let unknown = mooring(state.path()).args(["doctor", "nginx", "--fix"]).arg(sites.path()).output().unwrap();
    let fixed =
        mooring(state.path()).args(["doctor", "nginx", "--container", &name, "--fix", "--nginx", "true"]).output().unwrap();
    let _ = Command::new("docker").args(["rm", "-f", &name]).output();
    assert_eq!(told.status.code(), Some(1), "{}", said(&told));
    let json: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(json["onHost"]["/etc/nginx/sites/auth.conf"], sites.path().join("sites/auth.conf").display().to_string());
    let same: serde_json::Value = serde_json::from_slice(&by_directory.stdout).unwrap();
    assert_eq!(same["findings"], json["findings"], "the directory is looked into as the container sees it");
    assert_eq!(unknown.status.code(), Some(2), "{}", said(&unknown));
    assert!(said(&unknown).contains("how it is run is not known"), "{}", said(&unknown));
    assert_eq!(fixed.status.code(), Some(1), "what is written by hand is left: {}", said(&fixed));
    let read = |name: &str| fs::read_to_string(sites.path().join(name)).unwrap();
    assert!(read("sites/auth.conf").contains("proxy_pass $mooring_upstream_1;"));
    assert_eq!(read("conf.d/shop.conf"), fs::read_to_string(root.join("conf.d/shop.conf")).unwrap());
    assert_eq!(recorded(state.path()).len(), 3);
}

#[test]
fn nginx_itself_accepts_the_odd_words_of_the_fixtures() {
    for name in ["words.conf", "dos.conf", "unicode.conf"] {
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nginx/shapes").join(name)).unwrap();
        let nginx = Nginx::new(&[]);
        fs::write(nginx.path("nginx.conf"), text).unwrap();
        let tested = nginx.run(&["-t", "-q", "-g", "pid nginx.pid;"]);
        // Who is not root cannot open the logs that are compiled in; the words were read by then.
        assert!(!said(&tested).contains("unexpected") && !said(&tested).contains("unknown"), "{name}: {}", said(&tested));
    }
}

/// Whatever configuration there is on this machine: that of Debian's packages after `make setup`, and people's own.
#[test]
fn every_configuration_of_this_machine_is_printed_as_it_was() {
    let mut directories = vec![PathBuf::from("/etc/nginx"), PathBuf::from("/usr/share/nginx")];
    let docs = fs::read_dir("/usr/share/doc").into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    directories.extend(docs.filter(|path| path.to_string_lossy().contains("nginx")));
    let mut read = 0;
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(&directory).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()) {
            if path.is_dir() && !path.is_symlink() {
                directories.push(path);
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            match Config::parse(&text) {
                Ok(config) => {
                    assert_eq!(config.print(), text, "{}", path.display());
                    read += 1;
                }
                // Pages and prose lie beside them.
                Err(error) => assert!(!is_config(&path), "{}: {error}", path.display()),
            }
        }
    }
    assert!(read >= 10, "only {read} files were read: where are those of Debian?");
}

fn is_config(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let params = [
        "fastcgi_params",
        "scgi_params",
        "uwsgi_params",
        "proxy_params",
        "mime.types",
        "koi-win",
        "koi-utf",
        "win-utf",
        "default",
    ];
    path.starts_with("/etc/nginx") && (path.extension().is_some_and(|extension| extension == "conf") || params.contains(&&*name))
}
