//! The laws of the planner, on random worlds.
//!
//! *Goal*: planning and acting over and over again ends where the manifest
//! says, by a predicate that does not ask the planner, or with a wait that
//! tells a person why not. *Rest*: there, the plan is empty. Neither is worth
//! anything alone: a planner that does nothing is perfectly at rest.
//!
//! On the way, at every single step: nothing foreign is touched, nothing runs
//! when it is removed, and whatever served goes on serving as long as it can.
//! In every pass Mooring may be killed after any step.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    simulator::{Foreign, Host, Mishap},
    *,
};
use crate::{
    manifest::container::Healing,
    plan::{Action, Step, shape::Healthcheck},
};

/// More passes than any way to the goal has: three failed replacements, then a whole ladder.
const PASSES: usize = 100;

/// One pass of a troubled time, before the world is left to itself.
#[derive(Clone, Debug)]
struct Turn {
    /// The manifest says something else in this pass.
    wish: Option<Wish>,
    /// After how many steps Mooring is killed, if it is.
    cut: Option<usize>,
    /// What happens then, and to which container.
    mishap: Option<(usize, Mishap)>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_world_ends_as_declared_or_with_a_reason_why_not(wish in wishes(), host in hosts(), turns in turns()) {
        let host = prepared(host);
        let (host, wait) = play(&wish, host, &turns);
        match wait {
            None => is_as_declared(&wish, &host).map_err(|error| TestCaseError::fail(format!("{error}\n{host:?}")))?,
            Some(Wait::OnLastGoodImage { image, .. }) => {
                is_as_declared(&wish.clone().image(&image), &host).map_err(|error| TestCaseError::fail(format!("{error}\n{host:?}")))?;
            }
            Some(wait) => prop_assert!(!wait.ends_by_itself(), "{wait} for ever\n{host:?}"),
        }
    }

    /// Where the image is good, everything is permitted and nobody interferes there is no excuse.
    #[test]
    fn a_good_version_always_gets_there(wish in wishes(), host in hosts(), turns in turns()) {
        let wish = wish.image("good:2").allow_recreate().pull(PullPolicy::IfMissing);
        let mut host = prepared(host);
        host.foreign.clear();
        host.history = History { generation: 1, ..History::default() };
        host.containers.retain(|container| container.state != State::Paused);
        let (mut host, wait) = play(&wish, host, &turns);
        prop_assert_eq!(wait, None, "{:?}", host);
        is_as_declared(&wish, &host).map_err(TestCaseError::fail)?;
        host.advance(10_000);
        prop_assert!(plan(&wish.desired, &host.observe(&wish)).is_converged(), "it does not stay so\n{host:?}");
    }

    #[test]
    fn a_container_that_always_falls_is_tried_no_oftener_than_the_budget_says(
        wish in wishes(),
        bad in select(vec!["exits:1", "broken:1", "sick:1"]),
    ) {
        let mut wish = wish.image(bad).pull(PullPolicy::IfMissing);
        wish.desired.policy.healing.backoff.initial = quantity::Duration::seconds(20);
        let (host, wait) = play(&wish, prepared(Host::new()), &[]);
        let unnoticed = bad == "sick:1" && wish.desired.shape.healthcheck.is_none();
        prop_assert_eq!(wait.as_ref().map(Wait::code), (!unnoticed).then_some("CrashLoop"));
        // One to make it, and then the budget.
        let budget = if unnoticed { 0 } else { usize::try_from(Healing::default().budget.attempts).unwrap() };
        prop_assert_eq!(host.starts.len(), 1 + budget);
        for (number, pair) in host.starts.windows(2).enumerate().skip(1) {
            let pause = pair[1].duration_since(pair[0]);
            prop_assert!(pause >= SignedDuration::from_secs(20 << (number - 1)), "{pause} before try {}", number + 1);
        }
    }

    /// The simulator refuses to start anything on a network of which there are two, and sees to it that none goes that is used or not ours.
    #[test]
    fn doubles_of_our_own_making_keep_nothing_down(wish in wishes(), host in hosts(), turns in turns(), used in option::of(0..3usize)) {
        let wish = wish.image("good:2").allow_recreate().pull(PullPolicy::IfMissing).network("net1");
        let mut host = prepared(host);
        host.foreign.clear();
        host.history = History { generation: 1, ..History::default() };
        host.containers.retain(|container| container.state != State::Paused);
        host.networks.insert("net1".to_owned());
        let double = |number: usize| {
            let created_at = seconds_ago(i64::try_from(number).unwrap());
            Double { id: format!("net{number}"), ours: true, in_use: used == Some(number), created_at }
        };
        host.doubles.insert("net1".to_owned(), (0..3).map(double).collect());
        let (host, wait) = play(&wish, host, &turns);
        prop_assert_eq!(wait, None, "{:?}", host);
        is_as_declared(&wish, &host).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn the_same_world_gives_the_same_plan(wish in wishes(), host in hosts()) {
        let observed = host.observe(&wish);
        prop_assert_eq!(plan(&wish.desired, &observed), plan(&wish.desired, &observed));
    }

    #[test]
    fn without_a_manifest_only_what_may_go_goes(host in hosts()) {
        let wish = desired("web");
        let plan = absent::plan(&host.observe(&wish));
        let mut after = host.clone();
        for step in &plan.steps {
            perform(&wish, &mut after, step, &host.containers).map_err(TestCaseError::fail)?;
        }
        for container in &host.containers {
            let permitted = container.made_with.as_ref().is_some_and(|made_with| made_with.allow_remove || !made_with.shape.is_stateful());
            let left = after.containers.iter().any(|left| left.id == container.id);
            let busy = matches!(container.state, State::Paused | State::Removing);
            prop_assert_eq!(left, !permitted || busy, "{}", container.name);
        }
    }

    #[test]
    fn healing_never_makes_or_removes_anything(host in hosts()) {
        let healed = heal::Desired {
            key: Key::new(Kind::Container, "web"),
            generation: 1,
            selector: crate::manifest::container::Selector::default(),
            networks: desired("web").network("net1").network("net2").desired.shape.networks,
            depends_on: Vec::new(),
            probe: None,
            policy: Policy::default(),
        };
        let observed = host.observe(&desired("web").network("net1").network("net2"));
        for step in heal::plan(&healed, &observed).steps {
            let harmless = ["StartContainer", "RestartContainer", "ConnectNetwork"].contains(&step.action.operation());
            prop_assert!(harmless, "{step}");
        }
    }
}

/// Plans and acts until nothing is left to do, and says what it then waits for.
fn play(wish: &Wish, mut host: Host, turns: &[Turn]) -> (Host, Option<Wait>) {
    for turn in turns {
        pass(turn.wish.as_ref().unwrap_or(wish), &mut host, turn.cut);
        if let Some((number, mishap)) = turn.mishap {
            host.suffer(number, mishap);
        }
    }
    for _ in 0..PASSES {
        let plan = pass(wish, &mut host, None);
        // An image that does not exist is asked for for ever, ever more rarely.
        let hopeless = host.history.failed_pull.as_ref().is_some_and(|failed| failed.count > 5);
        let is_over = |wait: &Wait| !wait.ends_by_itself() && (wait.until().is_none() || hopeless);
        if plan.steps.is_empty() && plan.wait.as_ref().is_none_or(is_over) {
            return (host, plan.wait);
        }
    }
    panic!("no end after {PASSES} passes\n{}{host:?}", plan(&wish.desired, &host.observe(wish)));
}

/// Looks, decides, acts, remembers; then time passes.
fn pass(wish: &Wish, host: &mut Host, cut: Option<usize>) -> Plan {
    host.history = host.history.clone().for_generation(wish.desired.generation);
    let observed = host.observe(wish);
    let plan = plan(&wish.desired, &observed);
    act(wish, host, &plan, cut);
    if cut.is_none() {
        let reset_after = SignedDuration::from_secs(600);
        host.history = host.history.clone().settled(&plan, &observed.containers, host.at, reset_after);
    }
    let until = plan.wait.as_ref().filter(|_| plan.steps.is_empty()).and_then(Wait::until);
    host.advance(until.map_or(2, |until| until.duration_since(host.at).as_secs() + 1));
    plan
}

/// Performs a plan up to its first failure, or to the step after which Mooring is killed, and watches over every step.
fn act(wish: &Wish, host: &mut Host, plan: &Plan, cut: Option<usize>) {
    let seen = host.containers.clone();
    let foreign = host.foreign.clone();
    let beside = !exclusive(wish, &seen) && serves(wish, host);
    for (number, step) in plan.steps.iter().enumerate().take(cut.unwrap_or(usize::MAX)) {
        if let Err(error) = perform(wish, host, step, &seen) {
            let fault_of_the_image = ["no such program", "no such image", "the port is taken"].contains(&error.as_str());
            assert!(fault_of_the_image, "{step}: {error}\n{plan}{host:?}");
            break;
        }
        let operations = plan.steps[number..].iter().map(|step| step.action.operation());
        let between_renames = operations.take_while(|operation| *operation == "RenameContainer").count() > 1;
        assert!(!beside || between_renames || serves(wish, host), "nobody serves after: {step}\n{plan}{host:?}");
    }
    assert_eq!(host.foreign, foreign);
}

fn perform(wish: &Wish, host: &mut Host, step: &Step, seen: &[Container]) -> Result<(), String> {
    let Action::Engine(action) = &step.action else { panic!("{step}") };
    allowed(seen, host, step);
    let result = host.apply(wish, action);
    host.history = host.history.clone().after(step, result.as_ref().err().map(String::as_str), host.at);
    result
}

/// What holds for each single step, just before it is taken.
fn allowed(seen: &[Container], host: &Host, step: &Step) {
    let Action::Engine(action) = &step.action else { panic!("{step}") };
    if let EngineAction::CreateVolume { name } = action {
        assert!(!host.volumes.contains(name), "{step} a second time");
    }
    let Some(target) = action.container() else { return };
    // What exists is named by its id, and what has no id was made by this very plan.
    let existed = |name: &str| seen.iter().any(|container| container.name == name) && target.id.is_none();
    let container = host.containers.iter().find(|container| match &target.id {
        Some(id) => container.id == *id,
        None => container.name == target.name,
    });
    let container = container.unwrap_or_else(|| panic!("{step}: there is none\n{host:?}"));
    assert!(target.id.is_some() || container.id.starts_with("made"), "{step} by name");
    assert!(!existed(&target.name) || !seen.iter().any(|seen| seen.id == container.id), "{step} by name");
    assert_eq!(container.name, target.name, "{step} would be told by a wrong name\n{host:?}");
    assert_ne!(container.state, State::Paused, "{step}");
    if let EngineAction::RemoveContainer { .. } = action {
        assert!(target.id.is_some(), "{step} without an id");
        assert!(!matches!(container.state, State::Running | State::Restarting), "{step} while it runs");
        keeps_a_way_back(host, container, step);
    }
    if let EngineAction::StopContainer { .. } = action {
        assert!(target.id.is_some(), "{step} without an id");
    }
}

/// A version that is replaced goes only when another one is ready, one that failed only when another one is left.
fn keeps_a_way_back(host: &Host, container: &Container, step: &Step) {
    let mut others = host.containers.iter().filter(|other| other.id != container.id);
    match step.why {
        Why::Replaced => assert!(others.any(|other| other.readiness() == Readiness::Healthy), "{step}\n{host:?}"),
        Why::ReplacementFailed { .. } => assert!(others.any(|other| other.state != State::Created), "{step}\n{host:?}"),
        _ => {}
    }
}

/// Whether a ready container has the name.
fn serves(wish: &Wish, host: &Host) -> bool {
    host.containers.iter().any(|container| container.name == wish.desired.name && container.readiness() == Readiness::Healthy)
}

fn exclusive(wish: &Wish, containers: &[Container]) -> bool {
    let is_exclusive =
        |container: &Container| container.made_with.as_ref().is_none_or(|made_with| made_with.shape.is_exclusive());
    wish.desired.shape.is_exclusive() || containers.iter().any(is_exclusive)
}

/// The goal, in its own words.
fn is_as_declared(wish: &Wish, host: &Host) -> Result<(), String> {
    let of_ours: Vec<_> = host.containers.iter().filter(|container| container.state != State::Removing).collect();
    let Some(container) = of_ours.iter().find(|container| container.name == wish.desired.name) else {
        return Err("there is none under the name".into());
    };
    let made_with = container.made_with.as_ref().ok_or("its labels cannot be read")?;
    let values: BTreeMap<_, _> =
        wish.variables.iter().map(|(name, variable)| (name.clone(), variable.fingerprint.clone())).collect();
    let wanted_networks: BTreeSet<_> = wish.desired.shape.networks.iter().map(|network| network.name.clone()).collect();
    let mut shape = made_with.shape.clone();
    shape.limits.mem_limit = container.limits.mem_limit;
    shape.limits.restart = container.limits.restart.filter(|restart| *restart != Restart::No);
    let facts = [
        (container.state == State::Running, "it does not run"),
        (container.health != Health::Unhealthy, "it is unhealthy"),
        (shape == wish.desired.shape, "it has another shape"),
        (container.variables == values, "it has other variables"),
        (wanted_networks.is_subset(&container.networks), "it is not on its networks"),
        (wish.desired.shape.volume_names().all(|name| host.volumes.contains(name)), "a volume is missing"),
    ];
    if let Some((_, problem)) = facts.iter().find(|(holds, _)| !holds) {
        return Err((*problem).to_owned());
    }
    // Only what a person paused, or what may have data, is left beside it.
    let may_stay = |other: &Container| {
        let has_data = other.made_with.as_ref().is_none_or(|made_with| made_with.shape.is_stateful());
        other.state == State::Paused || (has_data && !wish.desired.policy.allow_recreate)
    };
    match of_ours.iter().find(|other| other.id != container.id && !may_stay(other)) {
        Some(other) => Err(format!("{} is left over", other.name)),
        None => Ok(()),
    }
}

/// The world has what its containers were made of.
fn prepared(mut host: Host) -> Host {
    for shape in host.containers.iter().filter_map(|container| Some(&container.made_with.as_ref()?.shape)) {
        // An engine lets go of no volume that a container has.
        host.volumes.extend(shape.volume_names().map(str::to_owned));
        host.images.insert(shape.image.clone());
    }
    host.networks.insert("net1".into());
    host
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let other = (wishes(), 2..5i64).prop_map(|(mut wish, generation)| {
        wish.desired.generation = generation;
        wish
    });
    let cut = option::weighted(0.4, 0..6usize);
    let mishap = option::weighted(0.1, (0..3usize, select(vec![Mishap::Falls, Mishap::Vanishes])));
    let turn = (option::weighted(0.4, other), cut, mishap).prop_map(|(wish, cut, mishap)| Turn { wish, cut, mishap });
    vec(turn, 0..10)
}

fn wishes() -> impl Strategy<Value = Wish> {
    let policy = (any::<bool>(), select(vec![PullPolicy::Never, PullPolicy::IfMissing, PullPolicy::Always]));
    (shapes(), option::of(select(vec!["a", "b"])), policy).prop_map(|(shape, value, (allow_recreate, pull))| {
        let mut wish = desired("web").shaped(|wanted| *wanted = shape).pull(pull);
        wish.desired.policy.allow_recreate = allow_recreate;
        match value {
            Some(value) => wish.env("KEY", value),
            None => wish,
        }
    })
}

fn shapes() -> impl Strategy<Value = Shape> {
    let images = select(vec!["good:1", "good:2", "good:2", "exits:1", "sick:1", "broken:1", "unknown:1"]);
    let flags = (prop::bool::weighted(0.3), prop::bool::weighted(0.3), any::<bool>());
    (images, flags, 0..3usize, option::of(1..3i64), any::<bool>()).prop_map(|(image, flags, networks, memory, alias)| {
        let (data, port, checked) = flags;
        let mut wish = desired("web").image(image);
        for number in 1..=networks {
            wish = wish.network(&format!("net{number}"));
        }
        wish = if data { wish.volume("data") } else { wish };
        wish = if port { wish.port(80) } else { wish };
        let mut shape = wish.desired.shape;
        shape.healthcheck = checked.then(Healthcheck::default);
        shape.limits.mem_limit = memory;
        shape.limits.restart = memory.map(|_| Restart::Always);
        if let Some(network) = shape.networks.first_mut().filter(|_| alias) {
            network.aliases.push("www".into());
        }
        shape
    })
}

/// Hosts with up to three containers of the object, under names a replacement uses and others.
fn hosts() -> impl Strategy<Value = Host> {
    let names = Just(vec!["web", "web.next", "web.previous", "stray"]).prop_shuffle();
    let foreign = option::weighted(0.2, (select(vec!["web", "web.next", "web.previous", "other"]), option::of(Just(80u16))));
    (names, vec(containers(), 0..4), foreign, histories()).prop_map(|(names, containers, foreign, history)| {
        let mut host = Host::new();
        host.history = history;
        for (number, (name, mut container)) in names.into_iter().zip(containers).enumerate() {
            container.id = format!("seen{number}");
            name.clone_into(&mut container.name);
            host.containers.push(container);
        }
        if let Some((name, port)) = foreign
            && host.containers.iter().all(|container| container.name != name)
        {
            host.foreign.push(Foreign { name: name.to_owned(), port });
        }
        host
    })
}

fn containers() -> impl Strategy<Value = Container> {
    let states = select(vec![
        State::Created,
        State::Running,
        State::Running,
        State::Running,
        State::Paused,
        State::Removing,
        State::Exited { exit_code: 1, out_of_memory: false },
        State::Exited { exit_code: 0, out_of_memory: false },
        State::Dead,
    ]);
    let healths = select(vec![Health::Starting, Health::Healthy, Health::Unhealthy]);
    (shapes(), wishes(), states, healths, prop::bool::weighted(0.15)).prop_map(|(shape, wish, state, health, unreadable)| {
        let Seen(mut container) = container("", "").made_from(&wish.shaped(|made| *made = shape)).state(state);
        let made_with = container.made_with.as_ref().unwrap();
        let checked = made_with.shape.healthcheck.is_some() && container.state == State::Running;
        container.health = if checked { health } else { Health::None };
        container.started_at = (container.state != State::Created).then(|| seconds_ago(30));
        container.made_with = container.made_with.filter(|_| !unreadable);
        container
    })
}

fn histories() -> impl Strategy<Value = History> {
    let good = option::of(select(vec!["good:1".to_owned(), "exits:1".to_owned()]));
    (vec(1..2000i64, 0..3), good, any::<bool>()).prop_map(|(mut attempts, good_image, seen_ready)| {
        attempts.sort_unstable_by(|a, b| b.cmp(a));
        let attempts = attempts.into_iter().map(seconds_ago).collect();
        History { generation: 1, attempts, good_image, seen_ready, ..History::default() }
    })
}
