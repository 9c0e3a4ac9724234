//! `mooring doctor nginx --container`: an nginx that runs in one, and a backend that moves.

use std::sync::atomic::AtomicUsize;

use super::*;

/// A running nginx with a site that another tool has written, and the backend that the site names.
struct Stack {
    name: String,
    directory: TempDir,
}

impl Stack {
    /// With this directory of nginx's, or the whole of its configuration, mounted from this host.
    fn start(mounted: &str) -> Self {
        static STACKS: AtomicUsize = AtomicUsize::new(0);
        let name = format!("doctor-test-{}-{}", std::process::id(), STACKS.fetch_add(1, Ordering::SeqCst));
        let stack = Self { name, directory: tempfile::tempdir().unwrap() };
        let conf = stack.docker("run --rm mooring-demo/nginx:1 cat /etc/nginx/nginx.conf");
        fs::write(stack.directory.path().join("nginx.conf"), conf).unwrap();
        fs::create_dir(stack.directory.path().join("sites")).unwrap();
        let location = format!("location / {{\n        proxy_pass http://{}-api:8080; # kept\n    }}", stack.name);
        let site = format!("{MARKER}\nserver {{\n    listen 80;\n    server_name api.test;\n    {location}\n}}\n");
        fs::write(stack.directory.path().join("sites/api.conf"), site).unwrap();
        let source = if mounted == "/etc/nginx" { "" } else { "sites" };
        let source = stack.directory.path().join(source).display().to_string();
        stack.docker("network create @net");
        stack.web("api");
        stack.docker(&format!("run --detach --name @nginx --network @net --volume {source}:{mounted} mooring-demo/nginx:1"));
        assert!(stack.is_answered_by("api", PATIENCE), "{}", stack.docker("logs @nginx"));
        stack
    }

    /// Runs `docker` with these words, in which `@` stands for the stack's prefix.
    #[track_caller]
    fn docker(&self, command: &str) -> String {
        let words = command.split(' ').map(|word| word.replace('@', &format!("{}-", self.name)));
        let output = Command::new("docker").args(words).output().unwrap();
        assert!(output.status.success(), "docker {command}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn web(&self, name: &str) {
        self.docker(&format!("run --detach --name @{name} --network @net --env GREETING={name} mooring-demo/web:1"));
    }

    fn address(&self, name: &str) -> String {
        self.docker(&format!("inspect --format {{{{range(.NetworkSettings.Networks)}}}}{{{{.IPAddress}}}}{{{{end}}}} @{name}"))
    }

    /// The backend gets another address, and its old one goes to a container that answers wrongly.
    fn move_backend(&self, thief: &str) {
        let before = self.address("api");
        self.docker("stop --time 1 @api");
        self.web(thief);
        assert_eq!(self.address(thief), before, "the engine gives out the lowest free address");
        self.docker("start @api");
        assert_ne!(self.address("api"), before);
    }

    /// Who answers; nothing when nobody does.
    fn who(&self) -> Option<String> {
        let address = format!("{}:80", self.address("nginx")).parse().unwrap();
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET / HTTP/1.0\r\nHost: api.test\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.lines().find_map(|line| line.strip_prefix("greeting ")).map(str::to_owned)
    }

    fn is_answered_by(&self, name: &str, within: Duration) -> bool {
        let end = Instant::now() + within;
        loop {
            let is_so = self.who().as_deref() == Some(name);
            if is_so || Instant::now() >= end {
                return is_so;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn site(&self) -> String {
        fs::read_to_string(self.directory.path().join("sites/api.conf")).unwrap()
    }

    /// Everything in the directories that nginx reads.
    fn files(&self) -> Vec<String> {
        let directories = [self.directory.path().to_owned(), self.directory.path().join("sites")];
        let entries = directories.iter().flat_map(|directory| fs::read_dir(directory).unwrap());
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        files
    }

    fn probe(&self) -> String {
        format!("http://{}/", self.address("nginx"))
    }

    /// `mooring doctor nginx --container NAME` with these words.
    fn doctor(&self, state: &Path, arguments: &[&str]) -> Output {
        let container = format!("{}-nginx", self.name);
        mooring(state).args(["doctor", "nginx", "--container", &container]).args(arguments).output().unwrap()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let listed = Command::new("docker").args(["ps", "-aq", "--filter", &format!("name=^{}-", self.name)]).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let _ = Command::new("docker").args(["rm", "-fv"]).args(listed.split_whitespace()).output();
        let _ = Command::new("docker").args(["network", "rm", &format!("{}-net", self.name)]).output();
    }
}

#[test]
fn a_running_container_is_mended_and_follows_its_backend_from_then_on() {
    let (stack, state) = (Stack::start("/etc/nginx/sites"), tempfile::tempdir().unwrap());
    let (before, started) = (stack.site(), stack.docker("inspect --format {{.State.StartedAt}} @nginx"));
    stack.move_backend("wrong");
    assert!(stack.is_answered_by("wrong", PATIENCE), "this is what it is mended for");

    let told = stack.doctor(state.path(), &[]);
    assert_eq!(told.status.code(), Some(1), "{}", said(&told));
    assert!(said(&told).contains("FixedBackend") && said(&told).contains("--fix mends 1 of them"), "{}", said(&told));
    assert_eq!(stack.site(), before);

    let fixed = stack.doctor(state.path(), &["--fix", "--valid", "2s", "--probe", &stack.probe()]);
    assert_eq!(fixed.status.code(), Some(0), "{}", said(&fixed));
    assert!(stack.is_answered_by("api", Duration::ZERO), "it is in force when it is said to be");
    let site = stack.site();
    assert!(site.contains("resolver 127.0.0.11 valid=2s;"), "{site}");
    assert!(site.contains("proxy_pass $mooring_upstream_1; # kept\n"), "{site}");
    assert_eq!(stack.files(), ["api.conf", "nginx.conf", "sites"], "nothing is left lying about");

    // Nobody helps it any more.
    stack.move_backend("another");
    let begun = Instant::now();
    assert!(stack.is_answered_by("api", PATIENCE), "{}", stack.docker("logs @nginx"));
    // A name server that is believed for ten minutes, as Docker's says, would not have been asked yet.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(stack.docker("inspect --format {{.State.StartedAt}} @nginx"), started);
    let again = stack.doctor(state.path(), &["--fix"]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert_eq!((stack.site(), recorded(state.path())), (site, vec![("RepairSite".to_owned(), "done".to_owned())]));
}

/// A fix that nginx refuses, with these words about it and this outcome on record, leaves everything as it was.
#[track_caller]
fn refuses(stack: &Stack, arguments: &[&str], words: &str, on_record: &[&str]) {
    let (state, before, files) = (tempfile::tempdir().unwrap(), stack.site(), stack.files());
    let refused = stack.doctor(state.path(), &[&["--fix"], arguments].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains(words), "{}", said(&refused));
    assert_eq!((stack.site(), stack.files()), (before, files));
    let recorded: Vec<_> = recorded(state.path()).into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(recorded, on_record);
    assert!(stack.is_answered_by("api", PATIENCE), "{}", stack.docker("logs @nginx"));
    // Not only by workers that have not heard of it yet.
    stack.docker("exec @nginx nginx -s reload");
    thread::sleep(Duration::from_millis(500));
    assert!(stack.is_answered_by("api", Duration::ZERO), "{}", stack.docker("logs @nginx"));
}

/// nginx has no such port, which shows when it is asked for its opinion.
const BAD: [&str; 2] = ["--resolver", "127.0.0.11:99999"];

#[test]
fn a_fix_that_the_nginx_of_a_container_refuses_is_taken_back() {
    let stack = Stack::start("/etc/nginx/sites");
    refuses(&stack, &BAD, "so the old files are back: ", &["failed"]);
    // Its test is passed, and only a request shows that nobody answers there.
    let probe = stack.probe();
    let silent = ["--resolver", "127.0.0.9", "--probe", &probe];
    refuses(&stack, &silent, "nginx does not answer as before, so the old files are back: ", &["failed"]);

    // As it stands in the README.
    let state = tempfile::tempdir().unwrap();
    let fixed = stack.doctor(state.path(), &["--fix"]);
    assert_eq!(fixed.status.code(), Some(0), "{}", said(&fixed));
    assert!(said(&fixed).contains("name an address with --probe"), "{}", said(&fixed));
    assert!(stack.is_answered_by("api", PATIENCE), "{}", stack.docker("logs @nginx"));
}

#[test]
fn where_all_of_a_containers_configuration_is_mounted_a_fix_is_tested_aside() {
    let stack = Stack::start("/etc/nginx");
    refuses(&stack, &BAD, "nginx refuses the mended files, so nothing was changed: ", &[]);
    let state = tempfile::tempdir().unwrap();
    let fixed = stack.doctor(state.path(), &["--fix", "--probe", &stack.probe()]);
    assert_eq!(fixed.status.code(), Some(0), "{}", said(&fixed));
    assert_eq!(stack.files(), ["api.conf", "nginx.conf", "sites"]);
    assert!(stack.site().contains("resolver 127.0.0.11 valid=30s;"));
    assert!(stack.is_answered_by("api", PATIENCE), "{}", stack.docker("logs @nginx"));
}
