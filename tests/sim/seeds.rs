//! Runs that once failed, each with its story. They keep their faults written
//! out: another generator would make another schedule of the same seed.

use std::time::Duration;

use super::{
    edge,
    schedule::{
        Fault::{self, Crash, Engine, EngineDies, Exit, Kill, Restart, SetClock, ShutDown, Squat, Stop},
        Trouble,
    },
    world::Breadth,
};

/// A run that once failed.
pub struct Known {
    /// What is known of it.
    pub story: &'static str,
    /// The seed that the stack and the engine's pace follow from.
    pub seed: u64,
    /// What could be in a stack when it was found.
    pub breadth: Breadth,
    /// What goes wrong, by milliseconds from the start.
    pub faults: fn() -> Vec<(u64, Fault)>,
}

impl Known {
    /// What goes wrong.
    pub fn schedule(&self) -> Vec<(Duration, Fault)> {
        (self.faults)().into_iter().map(|(at, fault)| (Duration::from_millis(at), fault)).collect()
    }
}

fn api() -> String {
    "api".to_owned()
}

fn db() -> String {
    "db".to_owned()
}

/// Every one, oldest first.
pub const KNOWN: &[Known] = &[
    Known {
        story: "Between the making of a container and its start, a person removed it and ran one of his own under its name. \
                The start went to the name, and so to the person's container. What is known by name only has to be ours now.",
        seed: 567,
        breadth: Breadth::Narrow,
        faults: || {
            vec![(464, Engine(Trouble::Dawdles, Duration::from_millis(982))), (1_353, Squat(db(), Duration::from_millis(3_375)))]
        },
    },
    Known {
        story: "Three acts a minute were permitted, two had been made, and two objects that waited for the third were looked \
                at at the same moment: both acted. An act counts from the moment at which it is decided on.",
        seed: 256,
        breadth: Breadth::Narrow,
        faults: || {
            vec![
                (399, Fault::Away(Duration::from_millis(12_878))),
                (667, ShutDown(Duration::from_millis(2_454))),
                (7_360, ShutDown(Duration::from_millis(1_374))),
                (15_834, Kill("redis".to_owned())),
                (15_900, Kill(api())),
            ]
        },
    },
    Known {
        story: "The clock was set back by two hours while Mooring was down. The last try was in the future then, the pause after \
                it was counted from there, and a database that had died stayed down for two hours, `backing off`.",
        seed: 1150,
        breadth: Breadth::Narrow,
        faults: || {
            vec![
                (2_319, Stop(db())),
                (3_154, SetClock(-7_200)),
                (3_181, EngineDies(Duration::from_millis(22_173))),
                (10_393, Crash(Duration::from_millis(2_319))),
                (16_356, Exit(db(), 139)),
            ]
        },
    },
    Known {
        story: "A container was restarted for being sick, and the engine's word of its stop came after that of its start. When it \
                failed a second later, it passed for stopped by hand. What is told late explains nothing that comes after.",
        seed: 609,
        breadth: Breadth::Narrow,
        faults: || {
            vec![
                (26_723, Engine(Trouble::SwapsEvents, Duration::from_millis(3_065))),
                (27_479, Fault::Unhealthy(db())),
                (28_626, Exit(db(), 1)),
            ]
        },
    },
    Known {
        story: "A manifest was away for four seconds, and with it went the memory of what had been done to its container. The \
                budget of the host had room again, and one act more was made than it permits. What was done to an object counts \
                on the host although the object is gone.",
        seed: 4774,
        breadth: Breadth::Narrow,
        faults: || {
            vec![
                (21_321, Stop(api())),
                (29_903, Kill("redis".to_owned())),
                (54_553, Fault::Vanish("redis".to_owned(), Duration::from_millis(4_336))),
                (71_970, Kill("cache".to_owned())),
                (73_837, Fault::Unhealthy(api())),
            ]
        },
    },
    Known {
        story: "nginx refused a change for a mistake in the user's own site, and then the clock was set back by two hours. Of what \
                is remembered of nginx nothing went with the clock, so the refusal was told, and nothing tried again, for two hours \
                after the mistake was gone.",
        seed: 1249,
        breadth: Breadth::Edge,
        faults: || {
            vec![
                (10_323, Fault::Edge(edge::Fault::BreakOwn(Duration::from_millis(9_088)))),
                (10_666, Fault::Remove(db())),
                (13_000, SetClock(-7_200)),
            ]
        },
    },
    Known {
        story: "Mooring died in the middle of starting a container, and nobody remembered that try: whoever came after made as many \
                as are permitted, and so there was one more. A step that was cut short is a try.",
        seed: 1_001_204,
        breadth: Breadth::All,
        faults: || {
            vec![
                (869, Fault::Garble(api(), Duration::from_millis(21_108))),
                (7_454, Engine(Trouble::LosesEvents, Duration::from_millis(3_164))),
                (8_394, Stop("web".to_owned())),
                (10_095, Crash(Duration::from_millis(134))),
                (10_588, ShutDown(Duration::from_millis(279))),
            ]
        },
    },
    Known {
        story: "The engine said that a network was there already when it was asked to make it, and it was not. The container was made, \
                named it, and could not be started for want of it, for ever: what it named passed for what it was on.",
        seed: 1_001_867,
        breadth: Breadth::All,
        faults: || vec![(32, Engine(Trouble::Refuses(304), Duration::from_millis(16_548)))],
    },
    Known {
        story: "A container was connected three times in a third of a second, as lists were old, of which two times it was connected \
                already. That was taken for a fight with somebody, and it was left off its network the next time. What was \
                already so has nobody to fight with.",
        seed: 1_000_333,
        breadth: Breadth::All,
        faults: || {
            vec![
                (7_064, Engine(Trouble::ListsOfYesterday, Duration::from_millis(16_205))),
                (12_758, Fault::Disconnect(api())),
                (19_174, Fault::Disconnect(api())),
            ]
        },
    },
    Known {
        story: "A generated file was deleted while Mooring was down, and the engine died and gave other addresses. nginx could not start \
                without the file, and it was not written before nginx ran, as with these addresses nobody had proven it. What nginx \
                has loaded may be put back with other addresses in it.",
        seed: 3_000_009,
        breadth: Breadth::All,
        faults: || {
            vec![
                (1_139, Fault::Edge(edge::Fault::Deaf(Duration::from_millis(2_114)))),
                (9_885, Crash(Duration::from_millis(5_655))),
                (13_201, Fault::Edge(edge::Fault::DropSite(0))),
                (14_732, EngineDies(Duration::from_millis(3_864))),
                (19_168, Fault::Upgrade(db(), 3)),
            ]
        },
    },
    Known {
        story: "A version that never comes up was replaced by the one before it, the engine put off the stop that this takes, and Mooring \
                died. Whoever came after heard of a stop that it had not asked for, took it for one by hand, and left the container \
                down. What the log has of the stops of whoever was here before is expected now.",
        seed: 2_001_092,
        breadth: Breadth::All,
        faults: || {
            vec![
                (214, Engine(Trouble::PutsOff, Duration::from_millis(22_198))),
                (268, Fault::Upgrade(db(), 3)),
                (611, Fault::Cut),
                (659, Fault::LoseSecret(1)),
                (1_022, Crash(Duration::from_micros(202_500))),
                (1_744, Fault::Cut),
                (2_826, Crash(Duration::from_micros(4_797_250))),
            ]
        },
    },
    Known {
        story: "Kept as a proof of the harness: an engine that refuses, dies, and comes back while Mooring is started anew.",
        seed: 7,
        breadth: Breadth::Narrow,
        faults: || {
            vec![
                (500, Engine(Trouble::Refuses(500), Duration::from_secs(3))),
                (2_000, Restart(Duration::from_millis(500))),
                (4_000, EngineDies(Duration::from_secs(2))),
                (5_000, Crash(Duration::from_millis(300))),
            ]
        },
    },
];
