//! Death at every point between deciding and having done: a child process dies
//! there, and the next Mooring has to find its way from what is left.
//!
//! The child is this very test binary, told by the environment to be one.

mod places;
mod routes;
mod witness;

use std::{
    collections::BTreeMap,
    env,
    os::unix::process::ExitStatusExt,
    process::{Command, Output, Stdio},
};

use crate::host::{Host, container, environment, manifest};
pub use witness::Witness;
use witness::now;

/// Tells the child on which host it is to converge.
const CHILD: &str = "MOORING_TEST_CHILD";
/// Points at which a step can be cut short, and whether its intent stays open.
const POINTS: [(&str, bool); 4] = [
    ("execute-before-intent", false),
    ("execute-after-intent", true),
    ("execute-after-effect", true),
    ("execute-after-outcome", false),
];
/// No story here has more steps; whoever dies more often does not get on.
const MOST: usize = 30;

#[test]
fn child_of_the_crash_tests() {
    if let Ok(handle) = env::var(CHILD) {
        let outcome = Host::converge_elsewhere(&handle);
        assert!(outcome.is_converged(), "{:?}", outcome.unresolved);
    }
}

/// Whether the child died at the point, the `hit`-th time that it came by; if not, it has converged.
pub fn dies(host: &Host, point: &str, hit: usize) -> bool {
    let child = Command::new(env::current_exe().unwrap())
        .args(["crashes::child_of_the_crash_tests", "--exact", "--nocapture"])
        .env(CHILD, host.handle())
        .env("MOORING_CRASH_AT", format!("{point}:{hit}"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let died = has_aborted(&child);
    let said = || format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(died || child.status.success(), "at {point}:{hit}: {}\n{}", child.status, said());
    died
}

/// Whether a program has died at a point.
fn has_aborted(output: &Output) -> bool {
    output.status.signal() == Some(nix::sys::signal::Signal::SIGABRT as i32)
}

/// How many steps were never concluded, so far.
fn unknown(host: &Host) -> usize {
    host.audit().iter().filter(|entry| entry.outcome.as_deref() == Some("unknown")).count()
}

/// Converges after the child's death, ends, and looks at what has to be so after each.
fn recovers(host: &mut Host, witness: &Witness, place: &str, names: &[&str]) {
    recovers_and(host, witness, place, names, |_| {});
}

/// The same, with something more to see before it ends.
fn recovers_and(host: &mut Host, witness: &Witness, place: &str, names: &[&str], sees: impl FnOnce(&Host)) {
    let begun = now();
    host.run_after(|ctx| {
        // What the dead one thought of its objects is no proof.
        let statuses = &ctx.record.status;
        statuses.all().keys().for_each(|key| statuses.forget(key));
    });
    host.converges();
    let converged = now();
    host.eventually(&format!("nothing is left over after {place}"), |host| host.names() == names && host.leftovers().is_empty());
    sees(host);
    host.stop();
    host.record_is_whole();
    witness.agrees(host, place, (begun, converged));
}

#[test]
fn a_first_creation_survives_every_death() {
    for (point, leaves_open) in POINTS {
        for hit in 1.. {
            assert!(hit <= MOST, "{point} has no end");
            let web = "image: web:1\nnetworks: ['@one', '@two']\nvolumes: ['@data:/data']\nenvFrom: [{environment: shop}]";
            let shop = environment("shop", "secrets: {generate: [{name: ONE}]}\ncomputed: {values: {URL: 'x://${ONE}'}}");
            let mut host = Host::new(&[shop, container("web", web)]);
            let witness = Witness::of(&host);
            let died = dies(&host, point, hit);
            let secret = host.value(".env.secrets", "ONE");
            recovers(&mut host, &witness, &format!("{point}:{hit}"), &["@web"]);
            let now = host.value(".env.secrets", "ONE").unwrap();
            assert!(secret.is_none_or(|secret| secret == now), "{point}:{hit} lost a secret");
            assert_eq!(host.variable("web", "ONE"), Some(now));
            assert_eq!(host.state("web"), "running healthy");
            assert!(
                host.count("Container/web", "CreateContainer @web: it is missing [done]") <= 1,
                "{point}:{hit} made it twice"
            );
            // Another object's step may have been under way as well.
            assert!(if leaves_open && died { unknown(&host) >= 1 } else { unknown(&host) <= 1 }, "{point}:{hit}");
            if !died {
                assert!(hit > 7, "{point} was passed {hit} times only");
                break;
            }
        }
    }
}

/// Each time it has died there is another network of that name, which keeps the engine from starting it.
#[test]
fn the_removal_of_a_doubled_network_survives_every_death() {
    let healing = "healing: {budget: {attempts: 99}, backoff: {initial: 100ms, factor: 1}}";
    for (point, leaves_open) in POINTS {
        let mut host = Host::new(&[container("web", &format!("image: web:1\nnetworks: ['@net']\n{healing}"))]);
        let Some(first) = host.doubled_network("net", &host.name) else { return };
        host.run();
        host.converges();
        host.stop();
        let witness = Witness::of(&host);
        let before = host.count("Container/web", "RemoveNetwork");
        let mut unknown_before = 0;
        for hit in 1.. {
            assert!(hit <= MOST, "{point} has no end");
            host.another_network("net", &host.name).expect("names are not unique here");
            host.docker("kill @web");
            let died = dies(&host, point, hit);
            recovers(&mut host, &witness, &format!("{point}:{hit}"), &["@web"]);
            assert_eq!((host.networks("net").join(" "), host.state("web").as_str()), (first.clone(), "running healthy"));
            let unknown_now = unknown(&host);
            assert_eq!(unknown_now - unknown_before, usize::from(leaves_open && died), "{point}:{hit}");
            unknown_before = unknown_now;
            let removals = host.count("Container/web", "RemoveNetwork") - before;
            assert!((hit..=2 * hit).contains(&removals), "{removals} for {hit} networks");
            if !died {
                assert!(hit > 2, "{point} was passed {hit} times only");
                break;
            }
        }
    }
}

/// The one act that has an effect each time: who has lost its outcome looks, and does not restart what is well by then.
#[test]
fn a_restart_of_a_sick_container_survives_every_death() {
    let healing = "healing: {budget: {attempts: 99}, backoff: {initial: 100ms, factor: 1}}";
    let mut host = Host::start(&[container("web", &format!("image: web:1\n{healing}"))]);
    host.stop();
    let witness = Witness::of(&host);
    for ((point, leaves_open), on_record) in POINTS.into_iter().zip([1, 2, 1, 1]) {
        let rows = host.count("Container/web", "RestartContainer");
        let unknown_before = unknown(&host);
        host.docker("exec @web touch /tmp/sick");
        host.eventually("it is sick", |host| host.state("web") == "running unhealthy");
        assert!(dies(&host, point, 1), "nobody came by {point}");
        recovers(&mut host, &witness, point, &["@web"]);
        assert_eq!(host.state("web"), "running healthy", "{point}");
        assert_eq!(host.count("Container/web", "RestartContainer") - rows, on_record, "{point}");
        assert_eq!(unknown(&host) - unknown_before, usize::from(leaves_open), "{point}");
    }
}

/// Replaces by one version and back by the other, and dies on the way each time.
fn a_replacement_survives(more: &str, (point, leaves_open): (&str, bool), steps: usize) {
    let version = |number: usize| container("web", &format!("image: web:{number}\n{more}"));
    let mut host = Host::start(&[version(1)]);
    host.stop();
    let witness = Witness::of(&host);
    let mut unknown_before = 0;
    for hit in 1..=MOST {
        let number = 1 + hit % 2;
        host.put(version(number));
        let died = dies(&host, point, hit);
        recovers(&mut host, &witness, &format!("{point}:{hit}"), &["@web"]);
        assert_eq!((host.image("web"), host.state("web").as_str()), (format!("web:{number}"), "running healthy"));
        let unknown_now = unknown(&host);
        assert_eq!(unknown_now - unknown_before, usize::from(leaves_open && died), "{point}:{hit}");
        unknown_before = unknown_now;
        host.stop();
        if !died {
            assert!(hit > steps, "{point} was passed {hit} times only");
            return;
        }
    }
    panic!("{point} has no end");
}

/// What only one can have: the new one comes in the place of the old one.
const EXCLUSIVE: &str = "networks: [{name: '@net', aliases: [shop]}]";

#[test]
fn a_replacement_survives_death_before_each_intent() {
    a_replacement_survives(EXCLUSIVE, POINTS[0], 6);
}

#[test]
fn a_replacement_survives_death_after_each_intent() {
    a_replacement_survives(EXCLUSIVE, POINTS[1], 6);
}

#[test]
fn a_replacement_survives_death_after_each_effect() {
    a_replacement_survives(EXCLUSIVE, POINTS[2], 6);
}

#[test]
fn a_replacement_survives_death_after_each_outcome() {
    a_replacement_survives(EXCLUSIVE, POINTS[3], 6);
}

#[test]
fn a_replacement_beside_survives_death_after_each_effect() {
    a_replacement_survives("", POINTS[2], 6);
}

#[test]
fn a_write_of_secrets_survives_every_death() {
    let shop = "secrets: {generate: [{name: ONE}, {name: TWO}]}\ncomputed: {values: {URL: 'x://${ONE}'}}";
    // It is the same file again and again.
    let host_policy = manifest("Host", "default", "fights: {corrections: 1000}");
    let mut host = Host::start(&[environment("shop", shop), host_policy]);
    host.stop();
    let witness = Witness::of(&host);
    let mut died = BTreeMap::new();
    for write in ["secrets", "restore", "copy", "computed"] {
        for stage in ["before-write", "after-temp", "after-rename", "after-sync"] {
            let point = format!("{write}-{stage}");
            let before = host.read(".env.secrets");
            let (one, two) = (host.value(".env.secrets", "ONE"), host.value(".env.secrets", "TWO"));
            match write {
                "restore" => host.delete(".env.secrets"),
                "computed" => host.delete(".env.computed"),
                "copy" => host.write(".env.secrets", &format!("{before}# {stage}\n")),
                _ => host.write(".env.secrets", &before.replace(&format!("ONE={}\n", one.as_deref().unwrap()), "")),
            }
            let wanted = (write == "copy").then(|| host.read(".env.secrets"));
            died.insert(point.clone(), dies(&host, &point, 1));
            recovers(&mut host, &witness, &point, &[]);
            assert_eq!((host.value(".env.secrets", "ONE"), host.value(".env.secrets", "TWO")), (one.clone(), two), "{point}");
            assert!(host.read(".env.computed").contains(&one.unwrap()), "{point}");
            if write != "secrets" {
                assert_eq!(host.read(".env.secrets"), wanted.unwrap_or(before), "{point}");
            }
            host.stop();
        }
    }
    let survivors: Vec<_> = died.iter().filter(|(_, died)| !**died).map(|(point, _)| point).collect();
    assert!(survivors.is_empty(), "nobody came by {survivors:?}");
}

#[test]
fn what_is_remembered_in_files_survives_every_death() {
    for point in ["state-after-temp", "state-after-rename"] {
        let mut host = Host::new(&[container("web", "image: web:1")]);
        let witness = Witness::of(&host);
        assert!(dies(&host, point, 1), "nobody came by {point}");
        recovers(&mut host, &witness, point, &["@web"]);
        let unfinished = std::fs::read_dir(host.path("../state")).unwrap().map(|entry| entry.unwrap().file_name());
        let unfinished: Vec<_> = unfinished.filter(|name| name.to_string_lossy().starts_with(".mooring-tmp-")).collect();
        assert!(unfinished.is_empty(), "after {point}: {unfinished:?}");
        // It goes with its manifest, also when the next one has only what is remembered.
        host.stop();
        host.delete("web.yaml");
        host.put(container("other", "image: web:1"));
        host.run();
        host.eventually("what is not declared any more is gone", |host| host.names() == ["@other"]);
    }
}

#[test]
fn a_command_that_dies_has_written_its_file_or_has_not_and_its_unfinished_one_is_swept_up() {
    for (point, is_held) in [("manifest-after-temp", false), ("manifest-after-rename", true)] {
        let mut host = Host::start(&[container("web", "image: web:1")]);
        let path = |name: &str| host.path("..").join(name).display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mooring"));
        command.args(["hold", "container/web", "--for", "10m", "--reason", "moving it", "--desired", &path("desired")]);
        command.args(["--state", &path("state")]);
        let died = command.env("MOORING_CRASH_AT", point).output().unwrap();
        assert_eq!(died.status.signal(), Some(nix::sys::signal::Signal::SIGABRT as i32), "{died:?}");
        host.stop();
        let an_hour_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
        for left in host.leftovers() {
            std::fs::File::options().write(true).open(host.path(&left)).unwrap().set_modified(an_hour_ago).unwrap();
        }
        host.run();
        host.eventually("it is held, or not", |host| host.holds("Container/web").contains("Held") == is_held);
        assert_eq!(host.leftovers(), [""; 0], "after {point}");
    }
}

/// A point that no test dies at proves nothing.
#[test]
fn every_point_at_which_mooring_can_die_is_died_at() {
    let here = [include_str!("crashes.rs"), include_str!("crashes/places.rs"), include_str!("crashes/routes.rs")].concat();
    let sources = here + include_str!("manager.rs");
    let stages = ["before-write", "after-temp", "after-rename", "after-sync"];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut directories, mut points) = (vec![root], Vec::new());
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let named = |marker: &str| -> Vec<String> {
                text.split(marker).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
            };
            points.extend(named("crash::point(\""));
            points.extend(named("stages!(\"").iter().flat_map(|effect| stages.map(|stage| format!("{effect}-{stage}"))));
        }
    }
    assert!(points.len() > 20, "{points:?}");
    // The files' are put together of what is written and of the stage.
    let is_named = |point: &String| {
        let write = stages.iter().find_map(|stage| point.strip_suffix(&format!("-{stage}")));
        sources.contains(&format!("\"{point}\"")) || write.is_some_and(|write| sources.contains(&format!("\"{write}\"")))
    };
    let missed: Vec<_> = points.iter().filter(|point| !is_named(point)).collect();
    assert!(missed.is_empty(), "nobody dies at {missed:?}");
}
