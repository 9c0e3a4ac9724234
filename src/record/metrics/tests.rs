use std::collections::BTreeSet;

use expect_test::expect;

use super::*;

/// Metrics with labels show only once they have been used.
fn used() -> Arc<Metrics> {
    let metrics = Arc::new(Metrics::new());
    metrics.step(Kind::Container, "StartContainer", &Outcome::Done);
    metrics.pass(Kind::Container).conclude(PassOutcome::Acted);
    metrics.correction(Kind::Container, Duration::from_millis(480));
    metrics.engine_call("list");
    metrics.crash_loop(Kind::Container);
    metrics.alert("ops", "sent");
    metrics.objects(&BTreeMap::from([((Kind::Container, ConditionType::Ready), 2)]));
    metrics.audit_head(&Head { id: 532, hash: "c0ffee".repeat(11) });
    metrics
}

#[test]
fn these_are_the_metrics_and_each_has_a_help() {
    let families = used().registry.gather();
    assert!(families.iter().all(|family| !family.help().is_empty()));
    let names: BTreeSet<_> = families.iter().map(|family| format!("{}\n", family.name())).collect();
    expect![[r#"
        mooring_alerts_firing
        mooring_alerts_total
        mooring_audit_head
        mooring_audit_unshipped_rows
        mooring_build_info
        mooring_correction_seconds
        mooring_crash_loops_total
        mooring_engine_calls_total
        mooring_engine_reconnects_total
        mooring_events_dropped_total
        mooring_first_effect_seconds
        mooring_journal_writable
        mooring_journal_write_seconds
        mooring_last_observation_timestamp_seconds
        mooring_manifests_refused
        mooring_model_pull_bytes
        mooring_model_pulls
        mooring_objects
        mooring_pass_duration_seconds
        mooring_passes_total
        mooring_process_cpu_seconds_total
        mooring_process_max_fds
        mooring_process_open_fds
        mooring_process_resident_memory_bytes
        mooring_process_start_time_seconds
        mooring_process_threads
        mooring_process_virtual_memory_bytes
        mooring_queue_depth
        mooring_steps_total
    "#]]
    .assert_eq(&names.into_iter().collect::<String>());
}

#[test]
fn names_and_labels_are_rendered_as_prometheus_reads_them() {
    let text = used().render();
    for line in [
        r#"mooring_steps_total{kind="Container",operation="StartContainer",outcome="done"} 1"#,
        r#"mooring_passes_total{kind="Container",outcome="acted"} 1"#,
        r#"mooring_passes_total{kind="Environment",outcome="abandoned"} 0"#,
        r#"mooring_correction_seconds_bucket{kind="Container",le="0.5"} 1"#,
        r#"mooring_objects{condition="Ready",kind="Container"} 2"#,
        "mooring_journal_writable 1",
        "# TYPE mooring_first_effect_seconds histogram",
    ] {
        assert!(text.lines().any(|rendered| rendered == line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_time_is_rendered_in_seconds_since_1970() {
    let metrics = Metrics::new();
    metrics.observed("1970-01-01T00:01:00.5Z".parse().unwrap());
    assert!(metrics.render().contains("\nmooring_last_observation_timestamp_seconds 60.5\n"));
}

/// The names that begin like ours, and what stands in braces behind them.
fn asked_for(text: &str) -> BTreeSet<(String, String)> {
    let word = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let mentions = text.match_indices("mooring_").map(|(at, _)| &text[at..]);
    mentions
        .map(|mention| {
            let (name, rest) = mention.split_at(word(mention));
            let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(matchers, _)| matchers);
            (name.to_owned(), matchers.to_owned())
        })
        .collect()
}

#[test]
fn rules_and_board_ask_only_for_what_there_is() {
    let there = used().render();
    let board = include_str!("../../../manifests/grafana.json");
    let rules = include_str!("../../../manifests/prometheus-rules.yaml");
    let asked: BTreeSet<_> = asked_for(board).into_iter().chain(asked_for(rules)).collect();
    assert!(asked.len() > 15, "{asked:?}");
    for (name, matchers) in asked {
        let lines: Vec<_> = there
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")))
            .collect();
        assert!(!lines.is_empty(), "there is no metric {name}");
        for label in matchers.split(',').filter_map(|matcher| Some(matcher.split_once('=')?.0.trim_end_matches('!'))) {
            // Prometheus adds where a value comes from.
            let is_known = label == "instance" || lines.iter().any(|line| line.contains(&format!("{label}=\"")));
            assert!(is_known, "{name} has no label {label}");
        }
    }
}

#[test]
fn the_board_is_one_that_grafana_can_read() {
    let board: serde_json::Value = serde_json::from_str(include_str!("../../../manifests/grafana.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    assert!(panels.iter().all(|panel| panel["targets"].as_array().is_some_and(|targets| !targets.is_empty())));
}
