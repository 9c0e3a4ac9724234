//! Behaviour over time, as transcripts: every file in `tests/scenarios` is a
//! story with commands and what they print. Run with `UPDATE_EXPECT=1` to write
//! down what they print now.
//!
//! The operator is the real one, with its real record and real files; only the
//! engine is simulated, and time is held: `settle 10m` takes a second. A line
//! that begins with `$` is a command, lines with `|` under it are its input, and
//! the others under it its output.

#![expect(clippy::unwrap_used, reason = "a scenario that cannot be played is a failed test")]

mod support;

use std::{fmt::Write, fs, path::Path};

use support::stage::Stage;

/// Plays every scenario, each on a stage of its own.
#[test]
fn every_scenario_goes_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut scenarios: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    scenarios.sort();
    assert!(!scenarios.is_empty());
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    for path in scenarios.iter().filter(|path| path.to_string_lossy().contains(&wanted)) {
        let script = fs::read_to_string(path).unwrap();
        let transcript = play(&script);
        expect_test::expect_file![path].assert_eq(&transcript);
    }
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
        let mut stage = Stage::new().await;
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
