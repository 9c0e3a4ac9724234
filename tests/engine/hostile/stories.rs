//! What the other chapters tell of an engine at peace, told once more of a hostile one: how it has to end is the same.
//!
//! The engine is hostile from Mooring's first request on until the end has come about, and behaves only while the last look is taken. What is
//! done on the way, and how often it is tried, is not the same as at peace; so what counts is what the engine and the files look like.

use std::{cell::Cell, env, fs, ops::Deref, thread, time::Duration};

use super::at_once;
use crate::{
    between::{Between, only_looks},
    crashes::Witness,
    host::{Host, container, environment, manifest},
    plugins, proxy,
    receiver::{Http, Manner},
};

/// An engine that hangs and refuses takes its time, and so does whoever waits longer after each failure.
const PATIENCE: Duration = Duration::from_mins(3);
/// What the engine refuses counts as a try, as it may have been done; that is not to use up what a manifest permits.
const PATIENT: &str = "healing: {budget: {attempts: 100, window: 10m}, backoff: {initial: 200ms, cap: 1s}}";

/// These with what is tried again for long, and soon.
fn patient(manifests: Vec<(String, String)>) -> Vec<(String, String)> {
    manifests.into_iter().map(|(file, text)| (file, format!("{text}  {PATIENT}\n"))).collect()
}

/// A host whose engine is hostile.
struct Story {
    host: Host,
    between: Between,
}

impl Deref for Story {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Story {
    /// With these manifests and no Mooring yet. The seed is this one, or that of the environment.
    fn new(seed: u64, manifests: &[(String, String)]) -> Self {
        let mut host = Host::new(manifests);
        let between = Between::new(&host.engine);
        (host.engine, host.patience) = (between.address(), PATIENCE);
        let given = env::var("MOORING_SEEDS").ok().map(|seeds| seeds.split([',', ' ']).next().unwrap().parse().unwrap());
        between.turns(given.unwrap_or(seed));
        Self { host, between }
    }

    /// The same with a Mooring that has made everything.
    fn made(seed: u64, manifests: &[(String, String)]) -> Self {
        let mut story = Self::new(seed, manifests);
        story.runs();
        story.converges();
        story
    }

    /// The same with an nginx, and the directories that it sees.
    fn behind_nginx(seed: u64, upstreams: &str, more: &str) -> Self {
        let mut story = Self::new(seed, &patient(proxy::stack(upstreams, more)));
        proxy::make_directories(&story);
        story.runs();
        story.converges();
        story
    }

    /// All is as declared, and what is done next by a person is not undone by an act of before.
    fn converges(&self) {
        while {
            self.host.converges();
            self.between.owes()
        } {
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts Mooring. One that cannot ask for the lease ends, and is started again, as by systemd.
    fn runs(&mut self) {
        while let Err(error) = self.host.try_run() {
            let error = mooring::error_chain(&error);
            assert!(error.contains("the engine cannot be asked for the lease"), "{error}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The engine behaves; then it is so, by the engine's own word, stays so, nothing more is done, and the record of it is whole.
    #[expect(clippy::print_stderr, reason = "how hostile it was is to be known")]
    fn ends(mut self, what: &str, is_so: impl Fn(&Host) -> bool) {
        self.between.turns(0);
        let deeds = self.between.deeds();
        let met = deeds.iter().filter(|(kind, _)| kind != "event" && !only_looks(kind)).count();
        assert!(met > 0, "no act met any trouble: {deeds:?}");
        self.host.eventually("all that can be done is done", |host| {
            let keys: Vec<String> = host.context().world.reader.objects().keys().map(ToString::to_string).collect();
            let is_on_its_way = |key: &String| {
                // Who waits for a budget waits for long.
                let holds = host.holds(key).replace("Progressing: BudgetSpent", "");
                holds.is_empty()
                    || ["Progressing: ", "EngineUnreachable", "ChangeRefused"].iter().any(|word| holds.contains(word))
            };
            !keys.iter().any(is_on_its_way) && keys.iter().all(|key| host.plans(key).iter().all(|plan| plan.steps.is_empty()))
        });
        self.host.comes_to_rest(3, what, &is_so);
        let done = self.host.audit().len();
        eprintln!("{what}: {} deeds, {met} of them to acts; {done} acts in all", deeds.len());
        self.host.stop();
        self.host.record_is_whole();
        self.between.ends();
    }
}

fn is_well(host: &Host, name: &str) -> bool {
    host.state(name) == "running healthy"
}

/// Stops a backend and starts it again when its address, if the engine has freed it by then, is that of one that answers wrongly.
fn moves(host: &Host, backend: &str) {
    // Where the event of the stop is lost it is a death, and healed before anybody can look.
    host.docker(&format!("stop --time 1 @{backend}"));
    host.docker("run --detach --name @wrong --network @net --env GREETING=wrong --pull never mooring-demo/web:1");
    host.docker(&format!("start @{backend}"));
}

fn what_is_held_stays_down_until_the_hold_is_taken_away() {
    let story = Story::made(1, &[container("web", &format!("image: web:1\nrestart: 'no'\n{PATIENT}"))]);
    let hold = "targets: [container/web]\nuntil: '2999-01-01T00:00:00Z'\nreason: a new disk\nby: ada";
    story.put(manifest("Hold", "disk", hold));
    story.eventually("it is said", |host| host.holds("Container/web").contains("Held: Held"));
    let started = story.started("web");
    story.docker("kill @web");
    story.stays(5, "it stays down", |host| host.state("web").starts_with("exited") && host.started("web") == started);
    story.delete("disk.yaml");
    story.eventually("it runs again", |host| is_well(host, "web"));
    story.ends("what was held runs", |host| host.names() == ["@web"] && is_well(host, "web"));
}

/// Who is not told of the stop cannot tell it from a death, so the events are spared.
fn what_a_person_stops_or_pauses_is_left_to_that_person() {
    let web = format!("image: web:1\n{PATIENT}");
    let mut story = Story::new(2, &[container("stopped", &web), container("paused", &web)]);
    story.between.spares_events();
    story.runs();
    story.converges();
    let id = (story.id("stopped"), story.id("paused"));
    story.docker("stop --time 1 @stopped");
    story.pause("paused");
    story.eventually("the stop is known to be meant", |host| host.holds("Container/stopped").contains("Held: StoppedByHand"));
    story.eventually("so is the pause", |host| host.holds("Container/paused").contains("Held: Paused"));
    story.host.stop();
    story.runs();
    story.stays(4, "both are left alone", |host| {
        host.state("stopped").starts_with("exited") && host.state("paused").starts_with("paused")
    });
    story.docker("start @stopped");
    story.docker("unpause @paused");
    story.converges();
    assert_eq!((story.id("stopped"), story.id("paused")), id, "nobody has touched them");
    story.docker("kill @stopped");
    story.eventually("it is kept alive again", |host| is_well(host, "stopped"));
    story.ends("both run", |host| host.id("paused") == id.1 && is_well(host, "stopped") && is_well(host, "paused"));
}

fn a_site_of_another_tool_is_repaired_and_served() {
    let repair = "resolver: {valid: 2s}\nrepair: {files: ['./sites/*.conf']}\n";
    let story = Story::behind_nginx(3, "resolver", repair);
    story.write(
        "sites/tool.conf",
        "# Generated by nself build\nserver {\n    listen 80;\n    server_name tool.test; # kept\n    location / {\n        \
         proxy_pass http://@two:8080;\n    }\n}\n",
    );
    story.eventually("it is served", |host| proxy::who(host, "tool.test") == "two");
    story.ends("it is repaired and served", |host| {
        let text = host.read("sites/tool.conf");
        text.contains("proxy_pass $mooring_upstream_1;")
            && text.contains("server_name tool.test; # kept\n")
            && ["one", "two", "tool"]
                .iter()
                .zip(["one", "two", "two"])
                .all(|(site, by)| proxy::who(host, &format!("{site}.test")) == by)
    });
}

fn a_backend_that_moves_is_followed_where_sites_have_addresses() {
    let story = Story::behind_nginx(4, "address", "");
    moves(&story, "one");
    story.eventually("it is followed", |host| proxy::who(host, "one.test") == "one");
    story.ends("it is served", |host| proxy::who(host, "one.test") == "one" && proxy::who(host, "two.test") == "two");
}

fn a_plugin_has_its_secrets_before_its_container_and_loses_both_as_it_should() {
    let mut story = Story { host: plugins::host(&[("claw", plugins::CLAW)]), between: Between::new(&crate::host::engine()) };
    (story.host.engine, story.host.patience) = (story.between.address(), PATIENCE);
    story.between.turns(5);
    story.put(plugins::plugin("claw", "  image: mooring-demo/web:1\n"));
    story.runs();
    story.eventually("it runs and is healthy", |host| is_well(host, "shop_claw"));
    let secret = story.value("shop/.env.secrets", "CLAW_WEB_SECRET");
    assert!(secret.is_some() && story.variable("shop_claw", "CLAW_WEB_SECRET") == secret);
    story.docker("rm --force @shop_claw");
    story.delete("shop/.env.secrets");
    let is_back = |host: &Host| {
        is_well(host, "shop_claw")
            && host.value("shop/.env.secrets", "CLAW_WEB_SECRET") == secret
            && host.variable("shop_claw", "CLAW_WEB_SECRET") == secret
    };
    story.eventually("both are back", is_back);
    fs::write(story.path("plugins/claw/.disabled"), "").unwrap();
    story.eventually("its container is gone", |host| host.state("shop_claw") == "absent");
    story
        .ends("its secrets stay", |host| host.names().is_empty() && host.value("shop/.env.secrets", "CLAW_WEB_SECRET") == secret);
}

fn what_is_not_declared_any_more_goes_and_data_stays() {
    let data =
        |name: &str, more: &str| container(name, &format!("image: web:1\nvolumes: ['@{name}-data:/data']\n{more}{PATIENT}"));
    let manifests = [
        container("web", &format!("image: web:1\n{PATIENT}")),
        data("db", "allowRemove: true\n"),
        data("kept", ""),
        container("other", "image: web:1"),
    ];
    let story = Story::made(6, &manifests);
    let kept = (story.id("kept"), story.started("kept"));
    for name in ["web", "db", "kept"] {
        story.delete(&format!("{name}.yaml"));
    }
    story.eventually("what may go is gone", |host| host.names() == ["@kept", "@other"]);
    story.ends("what may not is as it was", |host| {
        let volumes = host.docker("volume ls --quiet --filter name=@");
        host.names() == ["@kept", "@other"] && (host.id("kept"), host.started("kept")) == kept && volumes.lines().count() == 2
    });
}

fn what_only_one_can_have_goes_from_version_to_version_and_back_from_a_sick_one() {
    let spec = |version: &str, healing: &str| {
        let exclusive = "networks: [{name: '@net', aliases: [shop]}]\nvolumes: ['@data:/data']\nallowRecreate: true";
        format!("{version}\n{exclusive}\n{healing}")
    };
    let mut story = Story::made(7, &[container("web", &spec("image: web:1", PATIENT))]);
    story.put(container("web", &spec("image: web:2", PATIENT)));
    // Mooring is ended in the middle of it.
    story.eventually("it is on its way", |host| host.names().len() == 2 || host.image("web") == "web:2");
    story.host.stop();
    story.runs();
    story.eventually("it is replaced", |host| host.image("web") == "web:2" && is_well(host, "web"));
    story.converges();
    let well = story.id("web");
    let sick = "image: web:1\nhealthcheck: {test: 'false', interval: 300ms, retries: 1}";
    story.put(container("web", &spec(sick, "healing: {budget: {attempts: 2, window: 10m}, backoff: {initial: 200ms}}")));
    story.eventually("the tries are spent", |host| host.holds("Container/web").contains("Degraded: ReplacementFailed"));
    story.ends("the good one is back", |host| host.names() == ["@web"] && host.id("web") == well && is_well(host, "web"));
}

/// What is counted is what the engine did, not what it said.
fn a_budget_is_kept_also_when_the_engine_does_not_say_what_it_did() {
    let doomed = "image: busybox:1\ncommand: [sh, -c, exit 3]\n\
                  healing: {budget: {attempts: 2, window: 10m}, backoff: {initial: 300ms}}";
    let mut story = Story::new(8, &[container("web", doomed)]);
    let (witness, starts) = (Witness::of(&story), Cell::new(0));
    story.runs();
    // As which of the two it ends depends on what became of the last try.
    let is_given_up =
        |host: &Host| ["CrashLoop: CrashLoop", "EngineRefuses"].iter().any(|word| host.holds("Container/web").contains(word));
    story.eventually("it is given up", is_given_up);
    // The first one is no try; whatever came of one that was, it is one.
    story.ends("it is left alone", |host| {
        starts.set(starts.get() + witness.times(host, "start"));
        starts.get() <= 3 && !host.state("web").starts_with("running")
    });
}

fn what_somebody_has_changed_is_put_right() {
    let web = format!("image: web:1\nnetworks: ['@one', {{name: '@two', aliases: [shop]}}]\nmemLimit: 64m\n{PATIENT}");
    let healed = format!("management: heal\nselector: {{name: '@app'}}\n{PATIENT}");
    let mut story = Story::new(9, &[container("web", &web), container("app", &healed)]);
    story.docker("run --detach --name @app --pull never mooring-demo/web:1");
    story.runs();
    story.converges();
    let (id, app) = (story.id("web"), story.id("app"));
    story.docker("network disconnect @two @web");
    story.docker("update --memory 32m --memory-swap 64m @web");
    story.docker("rename @web @other");
    story.docker("kill @app");
    let is_right = |host: &Host| {
        let aliases = host.inspect("web", "{{range .NetworkSettings.Networks}}{{.Aliases}}{{end}}").unwrap_or_default();
        host.id("web") == id
            && host.inspect("web", "{{.HostConfig.Memory}} {{len .NetworkSettings.Networks}}").as_deref() == Some("67108864 2")
            && aliases.contains("shop")
            && host.id("app") == app
            && is_well(host, "app")
    };
    story.eventually("all of it is as declared", is_right);
    story.ends("it is the same container, as declared", is_right);
}

fn a_container_that_died_with_its_network_unseen_is_started_on_another_one() {
    let db = format!("image: web:1\nnetworks: ['@net']\nvolumes: ['@data:/data']\nrestart: 'no'\n{PATIENT}");
    let mut story = Story::made(10, &[container("db", &db)]);
    let id = story.id("db");
    story.host.stop();
    story.docker("kill @db");
    story.eventually("it is down", |host| host.state("db").starts_with("exited"));
    story.docker("network rm @net");
    story.runs();
    story.eventually("it runs", |host| is_well(host, "db"));
    story.ends("it is the same one, on a network of that name", |host| {
        host.id("db") == id && is_well(host, "db") && host.networks("net").len() == 1
    });
}

/// A try is what the engine was asked for, whatever it said: it starts none of them more often than all may be tried together.
fn a_budget_of_a_group_is_kept_by_what_the_engine_did_and_told_once() {
    const TRIES: usize = 6;
    let names = ["one", "two", "three"];
    let ops = Http::new(Manner::Answers(Vec::new()));
    let spec = format!("image: web:1\nrestart: 'no'\n{PATIENT}");
    let story = Story::made(12, &names.map(|name| container(name, &spec)));
    let host = format!(
        "groups: {{all: {{members: [container], budget: {{attempts: {TRIES}, window: 1h}}}}}}\n\
         alerts: {{delay: 1s, group: 1s, repeat: never, receivers: [{{name: ops, webhook: {{url: '{}'}}, only: [host]}}]}}",
        ops.url("/")
    );
    let (witness, starts) = (Witness::of(&story), Cell::new(0));
    story.put(manifest("Host", "default", &host));
    story.eventually("the group is in force", |host| host.holds("Host/default").starts_with("Ready: AsDeclared"));
    story.eventually("the budget is spent", |host| {
        for name in names.iter().filter(|name| host.state(name).starts_with("running")) {
            // Whoever was quicker has ended it.
            let _ = host.try_docker(&format!("kill @{name}"));
        }
        names.iter().any(|name| host.holds(&format!("Container/{name}")).contains("BudgetSpent"))
    });
    story.eventually("it is told", |_| ops.messages().contains(&"firing Host BudgetSpent".to_owned()));
    story.ends("all of them stay down", |host| {
        // What was begun, or asked for, is still done.
        for name in names.iter().filter(|name| host.state(name).starts_with("running")) {
            let _ = host.try_docker(&format!("kill @{name}"));
        }
        starts.set(starts.get() + witness.times(host, "start"));
        let told = ops.messages().iter().filter(|message| *message == "firing Host BudgetSpent").count();
        // One that was to be made anew when the engine refused that, and nothing was left to try it again, is not there.
        starts.get() <= TRIES && told == 1 && !names.iter().any(|name| host.state(name).starts_with("running"))
    });
}

fn of_two_networks_of_ours_one_goes_and_the_container_comes_up() {
    let mut story = Story::new(13, &[container("web", &format!("image: web:1\nnetworks: ['@net']\n{PATIENT}"))]);
    let Some(first) = story.doubled_network("net", &story.name) else { return };
    story.runs();
    story.converges();
    story.another_network("net", &story.name).expect("names are not unique here");
    story.docker("kill @web");
    story.eventually("it runs again", |host| is_well(host, "web"));
    story.ends("the one in use stays", |host| host.networks("net") == [first.clone()] && is_well(host, "web"));
}

/// The child dies while the engine is hostile, and so is it to whoever comes after.
fn whoever_comes_after_one_that_died_finds_its_way() {
    let web = format!("image: web:1\nnetworks: ['@net']\nenvFrom: [{{environment: shop}}]\n{PATIENT}");
    let shop = environment("shop", "secrets: {generate: [{name: ONE}]}\ncomputed: {values: {URL: 'x://${ONE}'}}");
    let mut story = Story::new(11, &[shop, container("web", &web)]);
    let mut secret = None;
    for point in ["execute-after-intent:1", "execute-after-effect:3", "execute-after-effect:4"] {
        let (point, hit) = point.split_once(':').unwrap();
        crate::crashes::dies(&story, point, hit.parse().unwrap());
        let now = story.value(".env.secrets", "ONE");
        assert!(secret.is_none() || now == secret, "{point} lost a secret");
        secret = now;
    }
    story.runs();
    story.converges();
    let one = story.value(".env.secrets", "ONE").unwrap();
    assert!(secret.is_none_or(|secret| secret == one));
    story.ends("all is made, once", |host| {
        host.names() == ["@web"]
            && is_well(host, "web")
            && host.variable("web", "ONE").as_ref() == Some(&one)
            && host.value(".env.computed", "URL") == Some(format!("x://{one}"))
            && host.leftovers().is_empty()
            && host.networks("net").len() == 1
    });
}

#[test]
fn what_people_do_and_wish_is_respected_by_a_mooring_with_a_hostile_engine() {
    let stories: &[fn()] = &[
        what_is_held_stays_down_until_the_hold_is_taken_away,
        what_a_person_stops_or_pauses_is_left_to_that_person,
        what_is_not_declared_any_more_goes_and_data_stays,
        what_somebody_has_changed_is_put_right,
        a_budget_is_kept_also_when_the_engine_does_not_say_what_it_did,
        a_budget_of_a_group_is_kept_by_what_the_engine_did_and_told_once,
        whoever_comes_after_one_that_died_finds_its_way,
    ];
    at_once(stories, |story| story());
}

#[test]
fn what_is_wanted_comes_about_with_a_hostile_engine() {
    let stories: &[fn()] = &[
        a_site_of_another_tool_is_repaired_and_served,
        a_backend_that_moves_is_followed_where_sites_have_addresses,
        a_plugin_has_its_secrets_before_its_container_and_loses_both_as_it_should,
        what_only_one_can_have_goes_from_version_to_version_and_back_from_a_sick_one,
        a_container_that_died_with_its_network_unseen_is_started_on_another_one,
        of_two_networks_of_ours_one_goes_and_the_container_comes_up,
    ];
    at_once(stories, |story| story());
}
