//! What goes wrong when: a list that follows from a seed, and can be printed.

use std::{fmt, time::Duration};

use super::{dice::Dice, disk, edge, model, world::World};

/// Everything that goes wrong in one run, in its order.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// When, counted from the start, and what.
    pub faults: Vec<(Duration, Fault)>,
}

/// What goes wrong with what the engine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It takes requests and does not answer: what was asked is done, or not.
    Hangs,
    /// It answers most requests with this status: what was asked is done, or not.
    Refuses(u16),
    /// Its answers break off in the middle.
    Garbles,
    /// It takes its time.
    Dawdles,
    /// Its lists are some seconds old.
    ListsOfYesterday,
    /// Its events do not arrive.
    LosesEvents,
    /// They arrive twice.
    DoublesEvents,
    /// They overtake each other.
    SwapsEvents,
    /// They arrive seconds later.
    DelaysEvents,
    /// It says that it has not done what it does seconds later, when nobody waits for it any more.
    PutsOff,
}

/// Something that goes wrong, for so long where it has an end.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The engine is not well.
    Engine(Trouble, Duration),
    /// The stream of events ends.
    Cut,
    /// Nobody reaches the engine; its containers run on.
    Away(Duration),
    /// The engine is asked to end, and is started again.
    ShutDown(Duration),
    /// The engine dies, and is started again.
    EngineDies(Duration),
    /// `docker kill`.
    Kill(String),
    /// The main process ends with this code.
    Exit(String, i64),
    /// `docker stop`.
    Stop(String),
    /// `docker start`.
    Start(String),
    /// `docker rm -f`.
    Remove(String),
    /// `docker rename`.
    Rename(String),
    /// `docker network disconnect`.
    Disconnect(String),
    /// `docker pause`, and `docker unpause` after a while.
    Pause(String, Duration),
    /// Its health check says unhealthy.
    Unhealthy(String),
    /// What it is made from always ends soon after its start.
    Spoilt(String, Duration),
    /// A person runs a container of this name, after having removed ours.
    Squat(String, Duration),
    /// Its manifest wants another value of a variable.
    Edit(String, u32),
    /// Its manifest wants another image.
    Upgrade(String, u32),
    /// Its manifest is half written, for a while.
    Garble(String, Duration),
    /// Its manifest is not there, for a while.
    Vanish(String, Duration),
    /// A variable of the user's has another value.
    Setting(u32),
    /// The line of a secret is gone.
    LoseSecret(usize),
    /// The file of secrets is gone.
    LoseSecrets,
    /// The file of the user's variables is half written, for a while.
    GarbleSettings(Duration),
    /// A directory stands where the file of secrets belongs, for a while: it can be neither read nor written.
    BlockSecrets(Duration),
    /// The desired-state directory is not mounted, for a while.
    Unmount(Duration),
    /// Somebody sets the clock, by so many seconds.
    SetClock(i64),
    /// Mooring is killed, and started again after a while.
    Crash(Duration),
    /// Mooring is asked to end, and started again after a while.
    Restart(Duration),
    /// Something is wrong with the nginx in front.
    Edge(edge::Fault),
    /// Something is wrong with the model or its server.
    Model(model::Fault),
    /// Its process does nothing any more, and no check of the engine's sees that; until the next start.
    Deaf(String),
    /// A disk is full, or can only be read.
    Disk(disk::Trouble, Duration),
}

impl Fault {
    /// How long it goes on by itself.
    pub fn lasts(&self) -> Duration {
        match self {
            Self::Engine(_, span)
            | Self::Away(span)
            | Self::ShutDown(span)
            | Self::EngineDies(span)
            | Self::Pause(_, span)
            | Self::Spoilt(_, span)
            | Self::Squat(_, span)
            | Self::Garble(_, span)
            | Self::Vanish(_, span)
            | Self::GarbleSettings(span)
            | Self::BlockSecrets(span)
            | Self::Unmount(span)
            | Self::Crash(span)
            | Self::Restart(span)
            | Self::Disk(_, span) => *span,
            Self::Edge(fault) => fault.lasts(),
            Self::Model(fault) => fault.lasts(),
            _ => Duration::ZERO,
        }
    }

    /// What it is called, whomever it meets.
    pub fn kind(&self) -> String {
        let word = |fault: &dyn fmt::Debug| {
            let all = format!("{fault:?}");
            all.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
        };
        match self {
            Self::Engine(trouble, _) => format!("Engine({})", word(trouble)),
            Self::Edge(fault) => format!("Edge({})", word(fault)),
            Self::Disk(trouble, _) => format!("Disk({})", word(trouble)),
            Self::Model(model::Fault::Server(trouble, _)) => format!("Model({})", word(trouble)),
            Self::Model(fault) => format!("Model({})", word(fault)),
            other => word(other),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (at, fault)) in self.faults.iter().enumerate() {
            writeln!(f, "  {number:>2}  {:>8.3} s  {fault}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

/// How long what has an end may go on.
const SHORTEST: u64 = 200;
const LONGEST: u64 = 25_000;

impl Schedule {
    /// What goes wrong in the run of this seed.
    pub fn new(seed: u64, world: &World) -> Self {
        let mut dice = Dice::new(seed, "schedule");
        let count = 1 + dice.below(14);
        // Much at once, or a little now and then.
        let span = *dice.pick(&[3_000, 20_000, 90_000]);
        let mut faults: Vec<_> = (0..count).map(|_| (dice.millis(0, span), fault(&mut dice, world))).collect();
        // With dice of their own, and behind the others: what was there before them stays as it was.
        if disk::are_possible() {
            faults.extend(disks(&mut Dice::new(seed, "disks"), span));
        }
        faults.extend(putting_off(&mut Dice::new(seed, "putting off"), world, span));
        faults.extend(at_edge(&mut Dice::new(seed, "edge's faults"), world, span));
        faults.extend(at_model(&mut Dice::new(seed, "model's faults"), world, span));
        faults.extend(deafness(&mut Dice::new(seed, "deafness"), world, span));
        faults.sort_by_key(|(at, _)| *at);
        Self { faults }
    }

    /// Something of everything, one after the other.
    pub fn of_everything(world: &World) -> Self {
        let mut dice = Dice::new(0, "everything");
        let mut faults: Vec<_> = (0..300).map(|number| (Duration::from_millis(number * 200), fault(&mut dice, world))).collect();
        faults.extend((0..10).flat_map(|_| at_edge(&mut dice, world, 60_000)));
        faults.extend((0..4).flat_map(|_| at_model(&mut dice, world, 60_000)));
        faults.extend((0..4).flat_map(|_| deafness(&mut dice, world, 60_000)));
        faults.extend((0..4).flat_map(|_| putting_off(&mut dice, world, 60_000)));
        faults.sort_by_key(|(at, _)| *at);
        Self { faults }
    }

    /// Whether it needs disks of its own.
    pub fn has_disks(&self) -> bool {
        self.faults.iter().any(|(_, fault)| matches!(fault, Fault::Disk(..)))
    }

    /// The same without those of these numbers.
    pub fn without(&self, numbers: &[usize]) -> Self {
        let kept = self.faults.iter().enumerate().filter(|(number, _)| !numbers.contains(number));
        Self { faults: kept.map(|(_, fault)| fault.clone()).collect() }
    }
}

fn fault(dice: &mut Dice, world: &World) -> Fault {
    let service = dice.pick(&world.names()).clone();
    let own = dice.pick(&world.own()).clone();
    // Mostly short: long ones only show the end.
    let longest = *dice.pick(&[1_000, 5_000, LONGEST]);
    let span = dice.millis(SHORTEST, longest);
    let number = u32::try_from(dice.below(4)).unwrap();
    match dice.below(100) {
        0..=17 => Fault::Engine(trouble(dice), span),
        18..=20 => Fault::Cut,
        21..=23 => Fault::Away(span),
        24..=25 => Fault::ShutDown(span),
        26..=27 => Fault::EngineDies(span),
        28..=33 => Fault::Kill(service),
        34..=37 => Fault::Exit(service, *dice.pick(&[0, 1, 139])),
        38..=41 => Fault::Stop(service),
        42..=43 => Fault::Start(service),
        44..=47 => Fault::Remove(service),
        48..=49 => Fault::Rename(own),
        50..=52 => Fault::Disconnect(service),
        53..=54 => Fault::Pause(service, span),
        55..=57 => Fault::Unhealthy(service),
        58..=60 => Fault::Spoilt(own, span * 4),
        61..=62 => Fault::Squat(own, span),
        63..=66 => Fault::Edit(own, number),
        67..=70 => Fault::Upgrade(own, number),
        71..=72 => Fault::Garble(own, span),
        73..=74 => Fault::Vanish(own, span),
        75..=77 => Fault::Setting(number),
        78..=80 => Fault::LoseSecret(dice.below(2)),
        81..=82 => Fault::LoseSecrets,
        83..=84 => Fault::GarbleSettings(span),
        85 => Fault::BlockSecrets(span),
        86..=87 => Fault::Unmount(span),
        88..=89 => Fault::SetClock(*dice.pick(&[-7200, -40, -5, 5, 40, 7200])),
        90..=96 => Fault::Crash(span / 4),
        _ => Fault::Restart(span / 4),
    }
}

/// What is done when nobody waits for it any more, in one run of five, and something that gives it to do.
fn putting_off(dice: &mut Dice, world: &World, span: u64) -> Vec<(Duration, Fault)> {
    let count = if dice.percent(20) { 1 + dice.below(3) } else { 0 };
    let faults = |dice: &mut Dice| {
        let (at, lasts, number) = (dice.millis(0, span), dice.millis(SHORTEST, LONGEST), u32::try_from(dice.below(4)).unwrap());
        let occasion = match dice.below(3) {
            0 => Fault::Edit(dice.pick(&world.own()).clone(), number),
            1 => Fault::Unhealthy(dice.pick(&world.names()).clone()),
            _ => Fault::Crash(dice.millis(SHORTEST, LONGEST) / 4),
        };
        let then = at + dice.millis(0, 5_000);
        [(at, Fault::Engine(Trouble::PutsOff, lasts)), (then, occasion)]
    };
    (0..count).flat_map(|_| faults(dice)).collect()
}

fn at_edge(dice: &mut Dice, world: &World, span: u64) -> Vec<(Duration, Fault)> {
    edge::faults(dice, world, span).into_iter().map(|(at, fault)| (at, Fault::Edge(fault))).collect()
}

fn at_model(dice: &mut Dice, world: &World, span: u64) -> Vec<(Duration, Fault)> {
    model::faults(dice, world, span).into_iter().map(|(at, fault)| (at, Fault::Model(fault))).collect()
}

fn deafness(dice: &mut Dice, world: &World, span: u64) -> Vec<(Duration, Fault)> {
    let probed = world.probed();
    let count = if probed.is_empty() { 0 } else { 1 + dice.below(3) };
    (0..count).map(|_| (dice.millis(0, span), Fault::Deaf(dice.pick(&probed).clone()))).collect()
}

/// What goes wrong with disks, in one run of six.
fn disks(dice: &mut Dice, span: u64) -> Vec<(Duration, Fault)> {
    let count = if dice.percent(16) { 1 + dice.below(3) } else { 0 };
    let trouble = |dice: &mut Dice| {
        *dice.pick(&[
            disk::Trouble::StateFull,
            disk::Trouble::StateDrained,
            disk::Trouble::StateSealed,
            disk::Trouble::DesiredFull,
            disk::Trouble::DesiredSealed,
        ])
    };
    let fault = |dice: &mut Dice| (dice.millis(0, span), Fault::Disk(trouble(dice), dice.millis(SHORTEST, 2 * LONGEST)));
    (0..count).map(|_| fault(dice)).collect()
}

fn trouble(dice: &mut Dice) -> Trouble {
    *dice.pick(&[
        Trouble::Hangs,
        Trouble::Refuses(500),
        Trouble::Refuses(503),
        Trouble::Refuses(409),
        Trouble::Refuses(304),
        Trouble::Garbles,
        Trouble::Dawdles,
        Trouble::ListsOfYesterday,
        Trouble::LosesEvents,
        Trouble::DoublesEvents,
        Trouble::SwapsEvents,
        Trouble::DelaysEvents,
    ])
}
