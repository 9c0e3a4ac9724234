//! The words that the grammar knows, and how misspelt ones are mended.

use std::{collections::HashSet, sync::LazyLock};

use super::{topics, vocabulary::Vocabulary, words::Word};

/// Words that say that a name follows or went before, and not which.
const GENERIC: &[&str] = &[
    "container",
    "containers",
    "service",
    "services",
    "server",
    "servers",
    "instance",
    "app",
    "docker",
    "compose",
    "process",
    "plugin",
    "engine",
    "cache",
    "proxy",
    "database",
    "db",
    "backend",
];

/// Words that are never mistaken for a misspelt one.
const COMMON: &str = "a about above act acting action actions actor add admin after again ago ahead alarm alert alerts alive all \
    alone along already alright also am amount an and any anyone anybody anything apart are aren around as ask asking asap assign \
    at audit audited auto available average average away back bad banned base be because become becomes been before began begin \
    being below best better between big bit boot booted both bounce bounced bouncing break bring broke broken busy but by call \
    called can cancel case cause caused causes certain change changed changes changing check checks choose clean clear close cold \
    column columns come comes coming complain configure confirm connect connected connection connections consume consuming contain \
    containing contains cool correct could count cpu crash crashed crashes crashing create created current currently customer \
    customers cycle daily data date day days deal debug deleted delete did diff differs disk do does doing domain domains done down \
    drift drive drop due during each earlier early edit either else email empty end ended ends enough entries entry env \
    environment error errors even event events ever every everybody everyone everything exactly except execute exit exited explain \
    export fact fail failed failing fails failure failures far fast few file files fill find fine fire first fix fixed folder for \
    forever forget found free freeze fresh friday from full future gb get gets getting give given go goes going gone good got great \
    grep had halt hand hands happen happened happening happens hard has have having he health healthy hear held hello help her here \
    hey hi high him his history hold holding holds hole host hot hour hours how however i if image images immediately important in \
    info inside instead into is issue issues it its just keep key keys kick kill killed kind know known large last late later \
    latest launch least leave left less let life like limit line lines list listed little live load lock locked log logged logging \
    login logins logs long longer look looks lost lot lots low made mail main make makes making man many master maybe mb me mean means \
    mem memory message messages metric metrics middle midnight might mind minute minutes mode model models moment monday money month \
    months more morning most move much must my name named names near need needs network never new newest next nice night no nobody \
    none noon nope normal not nothing notice now nowhere number numbers of off often ok okay old older oldest on once one ones only \
    open operation operations or order orders other our ours out outcome over overview own page part pass password past path pause \
    pay people per percent perhaps plan planned plans please point port ports possible print problem problems proceed process pull \
    pulled purge put quick quickly ran rather read ready real really reason reboot rebooted recent recently record records \
    recover recovered release released remove removed repair report request requests reset resource resources restart restarted \
    restarting restarts result resume right route routes row rows run running runs safe said same saturday save say says schema score \
    search second seconds secret secrets see seem seems seen send sent set setting settings shall she short should show shows shut \
    shutdown sick side sign signed signup signups silent since site sites situation size slow slowly small so some somebody someone \
    something space speed spent spin stack start started starting starts stat state stats status stay still stop stopped stopping stops \
    store stuff such sunday sure swap switch system systems table tables tail take taken talk tear teardown tell terminate test text \
    than thank thanks that the their them then there these they thing things think this those though thread three through thursday \
    time times tired to today together told tomorrow tonight too took top total touch tried trouble true try tuesday turn two type \
    under unfreeze unhealthy unhold unpause unset until unusual up update updated uptime urls url us usage use used user users uses \
    using utc value values variable variables vars version very view wait waiting waits want wanted wants warm warn warning warnings \
    was we wednesday week weekend weeks well went were what when where whether which while who whole whom whose why will with within \
    without won word words work worked working works would write wrong yeah year years yep yes yesterday yet you your yours zero \
    signing attempt attempts session sessions account accounts payment payments invoice invoices product products item items \
    half twice couple dozen five four six seven eight nine ten twelve twenty thirty fifty hundred ram http https com clay clan band \
    bans path math myth mall male mile milk salt meal redo reads dish desk risk \
    oh sorry guys dear yo bot mate cheers kindly nevermind nope nah scrap abort affirmative agreed aye yup y";

/// What is often typed for something else, and too short or too far away to be mended by likeness.
const TYPOS: &[(&str, &str)] = &[
    ("teh", "the"),
    ("hte", "the"),
    ("pls", "please"),
    ("plz", "please"),
    ("plss", "please"),
    ("u", "you"),
    ("r", "are"),
    ("ur", "your"),
    ("thx", "thanks"),
    ("ty", "thanks"),
    ("nvm", "nevermind"),
    ("cuz", "because"),
    ("bc", "because"),
    ("mins", "minutes"),
    ("min", "minutes"),
    ("secs", "seconds"),
    ("sec", "seconds"),
    ("hrs", "hours"),
    ("hr", "hours"),
    ("msgs", "messages"),
    ("evry", "every"),
    ("adn", "and"),
    ("wat", "what"),
    ("wich", "which"),
    ("lgos", "logs"),
    ("lgs", "logs"),
    ("losg", "logs"),
    ("hlep", "help"),
    ("shwo", "show"),
    ("whta", "what"),
    ("re-start", "restart"),
    ("tear-down", "teardown"),
    ("shut-down", "shutdown"),
    ("un-hold", "unhold"),
    ("variabel", "variable"),
];

/// Words that are worth mending. Of the words that act only long ones: `shop logs` must not become `stop logs`.
const MENDED: &[&str] = &[
    "restart",
    "reboot",
    "bounce",
    "release",
    "teardown",
    "shutdown",
    "status",
    "health",
    "healthy",
    "metrics",
    "memory",
    "audit",
    "events",
    "services",
    "service",
    "containers",
    "container",
    "running",
    "secrets",
    "routes",
    "please",
    "could",
    "would",
    "today",
    "yesterday",
    "tomorrow",
    "everything",
    "minutes",
    "hours",
    "variable",
    "unhealthy",
    "wrong",
    "happened",
    "show",
    "what",
    "help",
];

static KNOWN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let phrases = topics::ALL.iter().flat_map(|phrases| phrases.iter()).chain(GENERIC).chain(MENDED);
    phrases.copied().chain([COMMON]).flat_map(str::split_whitespace).collect()
});

/// Whether it is a word of the language as we know it.
pub(super) fn is_known(low: &str) -> bool {
    KNOWN.contains(low)
}

/// Whether it is one, or is taken for one that is misspelt.
pub(super) fn is_a_word(low: &str) -> bool {
    is_known(low) || mended(low).is_some()
}

/// Whether it only says that there is a name.
pub(super) fn is_generic(low: &str) -> bool {
    GENERIC.contains(&low)
}

/// How many slips a word of so many letters may have.
pub(super) fn slips(letters: usize) -> usize {
    match letters {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    }
}

/// Mends what is misspelt, and leaves alone what is a name of something.
pub(super) fn mend(words: &mut [Word], vocabulary: &Vocabulary) {
    for word in words.iter_mut().filter(|word| !word.quoted && !is_known(&word.low) && !vocabulary.knows(&word.low)) {
        if let Some(mended) = mended(&word.low) {
            word.low = mended.to_owned();
        }
    }
}

fn mended(low: &str) -> Option<&'static str> {
    if let Some((_, meant)) = TYPOS.iter().find(|(typed, _)| *typed == low) {
        return Some(meant);
    }
    let letters = low.chars().count();
    // A short word is near to too many others, unless nothing but the order of its letters is wrong.
    if !(4..=14).contains(&letters) || !low.chars().all(char::is_alphabetic) {
        return None;
    }
    let near = |meant: &&&str| match letters {
        4 => sorted(low) == sorted(meant) && strsim::damerau_levenshtein(low, meant) == 1,
        _ => meant.len() > 4 && strsim::damerau_levenshtein(low, meant) <= slips(letters),
    };
    MENDED.iter().filter(near).min_by_key(|meant| strsim::damerau_levenshtein(low, meant)).copied()
}

fn sorted(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}

/// A number, in figures or in a word.
pub(super) fn number(low: &str) -> Option<u32> {
    let number = match low {
        "a" | "an" | "one" | "single" => 1,
        "two" | "couple" => 2,
        "three" => 3,
        "four" => 4,
        "five" => 5,
        "six" => 6,
        "seven" => 7,
        "eight" => 8,
        "nine" => 9,
        "ten" => 10,
        "twelve" | "dozen" => 12,
        "twenty" => 20,
        "thirty" => 30,
        "fifty" => 50,
        "hundred" => 100,
        digits => digits.parse().ok()?,
    };
    Some(number)
}
