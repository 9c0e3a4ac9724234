//! The nginx in front of the stack: what is declared of it, what goes wrong
//! with it, and how it has to stand in the end.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use mooring::{
    manifest::status::{ConditionStatus, ConditionType, Status},
    plan::container::State,
};

use super::{
    dice::Dice,
    nginx::{Answer, INSIDE, Nginx},
    oracle::service_of,
    run::Stage,
    support::simulated::outside::Thing,
    verdict::{Deeds, Verdict, told},
    world::{NETWORK, Service, World, head},
};

/// The container that nginx runs in, and what it is made from.
pub const EDGE: &str = "edge";
pub const IMAGE: &str = "nginx";
/// A site of the user's own, which Mooring never touches.
const OWN: &str = "sites/own.conf";
const OWN_TEXT: &str = "# Ours.\nserver {\n    listen 80;\n    server_name own.test;\n    return 204;\n}\n";
/// A word is missing its last letter.
const BROKEN: &str = "# Ours.\nserver {\n    listen 80;\n    server_nam own.test;\n    return 204;\n}\n";

/// What is declared of the nginx in front.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Host, path, the service that it leads to, and the port there.
    pub routes: Vec<(&'static str, &'static str, String, u16)>,
    /// What becomes of a site that somebody has edited.
    pub on_hand_edit: &'static str,
}

/// What goes wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// `docker kill`.
    Killed,
    /// `docker rm -f`.
    Removed,
    /// Somebody writes a line into a site that Mooring has made.
    EditSite(usize),
    /// Somebody deletes one.
    DropSite(usize),
    /// Somebody makes a mistake in a site of his own, for a while.
    BreakOwn(Duration),
    /// Its process cannot be told anything, for a while.
    Deaf(Duration),
    /// A route leads to another service.
    Route(usize, String),
    /// A backend dies, and somebody else's container is where it was, for a while.
    Replaced(String, Duration),
}

impl Fault {
    /// How long it goes on by itself.
    pub fn lasts(&self) -> Duration {
        match self {
            Self::BreakOwn(span) | Self::Deaf(span) | Self::Replaced(_, span) => *span,
            _ => Duration::ZERO,
        }
    }
}

impl Edge {
    /// In front of these services.
    pub fn new(dice: &mut Dice, backends: &[String]) -> Self {
        let on_hand_edit = if dice.percent(80) { "restore" } else { "keep" };
        let places = [("shop.test", "/", 80), ("shop.test", "/api/", 8080), ("other.test", "/", 80)];
        let mut routes: Vec<_> =
            places.into_iter().map(|(host, path, port)| (host, path, dice.pick(backends).clone(), port)).collect();
        routes.truncate(1 + dice.below(3));
        Self { routes, on_hand_edit }
    }

    /// The container that it runs in.
    pub fn service() -> Service {
        Service::of(IMAGE)
    }

    /// Its files of the desired state.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut text = format!(
            "{}spec:\n  container: {EDGE}\n  directory: sites\n  mounts: {{sites: {INSIDE}}}\n  upstreams: address\n  \
             onHandEdit: {}\n  routes:\n",
            head("Proxy", EDGE),
            self.on_hand_edit
        );
        for (host, path, service, port) in &self.routes {
            writeln!(text, "  - {{host: {host}, path: {path}, to: {{container: {service}, port: {port}}}}}").unwrap();
        }
        [("proxy.yaml".to_owned(), text), (OWN.to_owned(), OWN_TEXT.to_owned())].into()
    }
}

/// What goes wrong with it in the run of a seed.
pub fn faults(dice: &mut Dice, world: &World, span: u64) -> Vec<(Duration, Fault)> {
    if world.edge.is_none() {
        return Vec::new();
    }
    let backends = world.own();
    let fault = |dice: &mut Dice| {
        let (number, lasts) = (dice.below(3), dice.millis(200, 15_000));
        match dice.below(14) {
            0 => Fault::Killed,
            1 => Fault::Removed,
            2 | 3 => Fault::EditSite(number),
            4 | 5 => Fault::DropSite(number),
            6 | 7 => Fault::BreakOwn(lasts),
            8 | 9 => Fault::Deaf(lasts),
            10 | 11 => Fault::Route(number, dice.pick(&backends).clone()),
            _ => Fault::Replaced(dice.pick(&backends).clone(), lasts),
        }
    };
    (0..dice.below(5)).map(|_| (dice.millis(0, span), fault(dice))).collect()
}

impl Stage {
    /// Something goes wrong with the nginx in front.
    pub fn begin_at_edge(&mut self, fault: &Fault) {
        match fault {
            Fault::Killed if self.runs(EDGE) => self.engine.kill(EDGE),
            Fault::Removed if !self.is_away && self.engine.has(EDGE) => {
                self.deeds.removed.insert(EDGE.to_owned());
                self.engine.remove(EDGE);
            }
            Fault::EditSite(number) => {
                let Some((path, text)) = self.site(*number) else { return };
                let edited = format!("{text}# by hand\n");
                self.nginx.by_people(&edited);
                self.deeds.sites_undone += 1;
                fs::write(path, edited).unwrap();
                self.tell();
            }
            Fault::DropSite(number) => {
                let Some((path, _)) = self.site(*number) else { return };
                self.deeds.sites_undone += 1;
                fs::remove_file(path).unwrap();
                self.tell();
            }
            Fault::BreakOwn(_) => self.write(OWN, BROKEN),
            Fault::Deaf(_) => self.nginx.set_deaf(true),
            Fault::Route(number, service) => {
                let Some(edge) = &mut self.world.edge else { return };
                let number = number % edge.routes.len();
                edge.routes[number].2.clone_from(service);
                let text = edge.files()["proxy.yaml"].clone();
                self.oracle.declared(&self.world, "");
                self.write("proxy.yaml", &text);
            }
            Fault::Replaced(service, _) if self.runs(service) => {
                self.engine.exit(service, 1);
                self.engine.foreign_on(NETWORK, &newcomer(service));
            }
            _ => {}
        }
    }

    /// It does not go wrong any more.
    pub fn end_at_edge(&mut self, fault: &Fault) {
        match fault {
            Fault::BreakOwn(_) => self.write(OWN, OWN_TEXT),
            Fault::Deaf(_) => self.nginx.set_deaf(false),
            Fault::Replaced(service, _) if self.engine.has(&newcomer(service)) => self.engine.remove(&newcomer(service)),
            _ => {}
        }
    }

    /// Whoever has edited a site that is to stay as people want it takes that back.
    pub fn mend_at_edge(&mut self) {
        self.nginx.set_deaf(false);
        let Some(edge) = &self.world.edge else { return };
        if edge.on_hand_edit == "keep" {
            for number in 0..self.sites().len() {
                if let Some((path, text)) = self.site(number)
                    && text.ends_with("# by hand\n")
                {
                    fs::write(path, text.replace("# by hand\n", "")).unwrap();
                }
            }
        }
    }

    /// Whether a container of this name runs, and people can reach the engine.
    pub fn runs(&self, name: &str) -> bool {
        let is_up = |thing: &Thing| thing.listed.name == name && thing.listed.state == State::Running;
        !self.is_away && self.engine.everything().iter().any(is_up)
    }

    /// The sites that Mooring has made, in their order.
    fn sites(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("sites")).into_iter().flatten().filter_map(Result::ok);
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf") && !path.ends_with(OWN));
        paths.sort();
        paths
    }

    fn site(&self, number: usize) -> Option<(PathBuf, String)> {
        let path = self.sites().into_iter().nth(number)?;
        let text = fs::read_to_string(&path).ok()?;
        Some((path, text))
    }
}

fn newcomer(service: &str) -> String {
    format!("newcomer-{service}")
}

/// How the nginx in front stands.
pub struct Case<'a> {
    /// What there is.
    pub things: &'a [Thing],
    /// What people did.
    pub deeds: &'a Deeds,
    /// The nginx itself.
    pub nginx: &'a Nginx,
    /// Where the desired state is.
    pub desired: &'a Path,
    /// What Mooring says.
    pub status: Option<&'a Status>,
}

impl Case<'_> {
    /// Whether each route leads to where its backend is; `others` is how the containers stand.
    pub fn verdict(&self, edge: &Edge, others: &BTreeMap<String, Verdict>) -> Verdict {
        // Who is not there serves nobody, and that is told of the container. Who is called ready serves all the same.
        if others.get(EDGE) != Some(&Verdict::Well) && !self.is_ready() {
            let is_said = self.is_true("WaitingForDependency") || self.is_true("NoContainer");
            let wrong = || Verdict::Wrong(format!("its container is not well, and Mooring says {}", told(self.status)));
            return if is_said { Verdict::Explained("WaitingForDependency".to_owned()) } else { wrong() };
        }
        if !self.thing(EDGE).is_some_and(|thing| thing.listed.state == State::Running) {
            return Verdict::Wrong(format!("its container does not run, and Mooring says {}", told(self.status)));
        }
        let wrong = edge.routes.iter().find_map(|route| self.misled(route)).or_else(|| self.own_is_touched());
        let all_up = edge.routes.iter().all(|(.., service, _)| others.get(service) == Some(&Verdict::Well));
        let may_fight = self.deeds.sites_undone >= 3 && self.is_true("Fight");
        match wrong {
            // Who undoes something again and again is let be.
            Some(_) if may_fight => Verdict::Explained("Fight".to_owned()),
            Some(wrong) => Verdict::Wrong(format!("{wrong}, and Mooring says {}", told(self.status))),
            None if all_up && !may_fight && !self.is_true("AsDeclared") => {
                Verdict::Wrong(format!("it is as declared, and Mooring says {}", told(self.status)))
            }
            None => Verdict::Well,
        }
    }

    fn is_ready(&self) -> bool {
        let ready = self.status.and_then(|status| status.condition(ConditionType::Ready));
        ready.is_some_and(|ready| ready.status == ConditionStatus::True)
    }

    fn is_true(&self, reason: &str) -> bool {
        let given = self.status.into_iter().flat_map(|status| &status.conditions);
        given.into_iter().any(|condition| condition.reason == reason && condition.status == ConditionStatus::True)
    }

    fn thing(&self, name: &str) -> Option<&Thing> {
        self.things.iter().find(|thing| thing.listed.name == name)
    }

    fn misled(&self, (host, path, service, port): &(&str, &str, String, u16)) -> Option<String> {
        let answer = self.nginx.answer(&self.thing(EDGE)?.listed.id, host, path);
        // While one replaces the other, the one that has the name may have been stopped by hand.
        let named = self.things.iter().filter(|thing| thing.listed.name == *service);
        let others = self.things.iter().filter(|thing| service_of(thing).as_ref() == Some(service));
        let running = named.chain(others).find(|thing| thing.listed.state == State::Running);
        let address = running.and_then(|thing| thing.listed.networks.get(NETWORK).cloned().flatten());
        let wanted = match address {
            Some(address) => Answer::From(vec![format!("{address}:{port}")]),
            None => Answer::Status(503),
        };
        (answer != wanted).then(|| format!("{host}{path} gets {answer:?} and not {wanted:?} from {service}"))
    }

    fn own_is_touched(&self) -> Option<String> {
        let text = fs::read_to_string(self.desired.join(OWN)).unwrap_or_default();
        let answer = self.nginx.answer(&self.thing(EDGE)?.listed.id, "own.test", "/");
        let is_as_it_was = text == OWN_TEXT && answer == Answer::Status(204);
        (!is_as_it_was).then(|| format!("the user's own site is {text:?} and gets {answer:?}"))
    }
}
