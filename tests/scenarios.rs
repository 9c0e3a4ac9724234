//! Behaviour over time, as transcripts: every file in `tests/scenarios` is a
//! story with commands and what they print, and a test of that name. Run with
//! `UPDATE_EXPECT=1` to write down what they print now, and read it.
//!
//! The operator is the real one, with its real record and real files; only the
//! engine is simulated, and time is held: `settle 10m` takes a second. Values that
//! nobody can foresee, such as secrets, have numbers: ‹1›. A line
//! that begins with `$` is a command, lines with `|` under it are its input, and
//! the others under it its output.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot be played is a failed test")]

mod support;

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use support::stage::Stage;

/// Declares a test for each scenario, named like its file.
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        /// The scenarios that are played.
        const PLAYED: &[&str] = &[$(stringify!($name)),+];

        $(
            #[test]
            fn $name() {
                goes_as_written(stringify!($name));
            }
        )+
    };
}

scenarios! {
    crash_loop,
    crash_loop_mended_by_manifest,
    death_in_a_remake,
    death_in_replacement_beside,
    death_in_replacement_exclusive,
    death_while_not_listening,
    dependency_down,
    directory_away,
    directory_away_with_secrets,
    directory_emptied,
    engine_away,
    engine_crashed,
    engine_shut_down,
    event_burst,
    events_doubled,
    events_lost,
    events_reordered,
    file_deleted,
    file_deleted_while_down,
    healed,
    killed_and_stopped,
    last_good_image,
    manifest_broken,
    name_taken,
    network_doubled,
    observe_only,
    paused,
    references,
    replacement_beside,
    replacement_exclusive,
    replacement_fails_beside,
    replacement_fails_exclusive,
    secret_changed,
    secret_changed_in_order,
    secret_known_to_a_container_only,
    secret_lost_while_engine_away,
    secrets,
    stopped_by_hand_and_released,
    stopped_by_hand_then_changed,
    stopped_by_hand_then_engine_away,
    two_files_with_one_name,
    unhealthy,
    unhealthy_at_the_start,
}

#[test]
fn every_scenario_is_played() {
    let mut written: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    written.sort();
    assert_eq!(PLAYED, written, "the list in this file is not that of tests/scenarios, in order");
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Plays a scenario on a stage of its own.
fn goes_as_written(name: &str) {
    let path = directory().join(name).with_extension("txt");
    let transcript = play(&fs::read_to_string(&path).unwrap());
    expect_test::expect_file![path].assert_eq(&transcript);
}

/// One command of a script, with what stands around it.
struct Act<'a> {
    /// Lines before it that tell the story.
    prose: Vec<&'a str>,
    command: Option<&'a str>,
    input: Vec<&'a str>,
}

fn play(script: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut stage = Stage::new();
        let mut transcript = String::new();
        for act in acts(script) {
            for line in act.prose {
                writeln!(transcript, "{line}").unwrap();
            }
            let Some(command) = act.command else { continue };
            writeln!(transcript, "$ {command}").unwrap();
            for line in &act.input {
                writeln!(transcript, "| {line}").unwrap();
            }
            let output = stage.perform(command, &act.input.join("\n")).await;
            for line in output.lines() {
                writeln!(transcript, "{line}").unwrap();
            }
        }
        stage.leave().await;
        transcript
    })
}

/// Splits a script into its acts. Output is dropped: it is made anew.
fn acts(script: &str) -> Vec<Act<'_>> {
    let mut acts = vec![Act { prose: Vec::new(), command: None, input: Vec::new() }];
    let mut in_prose = true;
    for line in script.lines() {
        let act = acts.last_mut().unwrap();
        if let Some(command) = line.strip_prefix("$ ") {
            if act.command.is_some() {
                acts.push(Act { prose: Vec::new(), command: Some(command), input: Vec::new() });
            } else {
                act.command = Some(command);
            }
            in_prose = false;
        } else if let Some(input) = line.strip_prefix("| ").or_else(|| (line == "|").then_some("")) {
            act.input.push(input);
        } else if line.is_empty() || line.starts_with('#') || in_prose {
            // A blank line ends the output; what follows up to the next command tells the story.
            if act.command.is_some() {
                acts.push(Act { prose: vec![line], command: None, input: Vec::new() });
            } else {
                act.prose.push(line);
            }
            in_prose = true;
        }
    }
    acts
}
