//! The checks of a `Container`.

use std::net::IpAddr;

use serde_json::Value;

use super::{super::draft::below, Draft, each, entries, has, keys, misplaced, missing, readable, text, wrong};
use crate::manifest::short::{Device, ExtraHost, Gpus, Mount, PortBinding, Restart, Tmpfs, split_words};

/// Labels that start with this are how Mooring knows its containers.
const RESERVED_LABELS: &str = "dev.mooring.";

pub(super) fn report(draft: &mut Draft<'_>) {
    super::host::window(draft, "/spec/window");
    each::<PortBinding>(draft, "/spec/ports");
    each::<Mount>(draft, "/spec/volumes");
    each::<Tmpfs>(draft, "/spec/tmpfs");
    each::<Device>(draft, "/spec/devices");
    each::<ExtraHost>(draft, "/spec/extraHosts");
    name_servers(draft);
    if let Some(gpus) = draft.value("/spec/gpus").and_then(text) {
        readable(draft, "/spec/gpus", gpus.parse::<Gpus>());
    }
    restart(draft);
    commands(draft);
    management(draft);
    network(draft);
    probe(draft);
    labels(draft);
    variables(draft);
    dependencies(draft);
}

fn name_servers(draft: &mut Draft<'_>) {
    for (pointer, address) in entries(draft, "/spec/dns") {
        readable(draft, &pointer, address.parse::<IpAddr>().map_err(|_| format!("`{address}` is not an IP address")));
    }
}

fn restart(draft: &mut Draft<'_>) {
    if let Some(policy) = draft.value("/spec/restart").and_then(text) {
        readable(draft, "/spec/restart", policy.parse::<Restart>());
    }
}

fn commands(draft: &mut Draft<'_>) {
    for pointer in ["/spec/entrypoint", "/spec/command"] {
        if let Some(Err(refusal)) = draft.value(pointer).and_then(Value::as_str).map(split_words) {
            wrong(draft, pointer, &refusal, None);
        }
    }
}

/// Whose container it is decides what the manifest has to say.
fn management(draft: &mut Draft<'_>) {
    let is_healed = draft.value("/spec/management").and_then(Value::as_str) == Some("heal");
    if is_healed {
        if !has(draft, "/spec/selector") {
            missing(draft, "/spec/selector", "with `management: heal` it says which containers are meant");
        } else if !has(draft, "/spec/selector/name") && keys(draft, "/spec/selector/labels").is_empty() {
            wrong(draft, "/spec/selector", "expected a `name` or `labels`; without either it would mean every container", None);
        }
        return;
    }
    if !has(draft, "/spec/image") {
        missing(draft, "/spec/image", "the image, as `docker run` takes it; only `management: heal` needs none");
    } else if draft.value("/spec/image").and_then(Value::as_str).is_some_and(|image| image.trim().is_empty()) {
        wrong(draft, "/spec/image", "expected the name of an image, found nothing", None);
    }
    if has(draft, "/spec/selector") {
        misplaced(draft, "/spec/selector", "is for containers that someone else makes", Some("it needs `management: heal`"));
    }
}

fn network(draft: &mut Draft<'_>) {
    let joins = draft.value("/spec/networks").and_then(Value::as_array).is_some_and(|networks| !networks.is_empty());
    if joins && has(draft, "/spec/networkMode") {
        misplaced(draft, "/spec/networkMode", "and `spec.networks` exclude each other", Some("remove one of the two"));
    }
}

fn probe(draft: &mut Draft<'_>) {
    if draft.value("/spec/probe").is_none_or(|probe| !probe.is_object()) {
        return;
    }
    let given: Vec<String> =
        ["http", "tcp", "exec"].into_iter().map(|way| format!("/spec/probe/{way}")).filter(|way| has(draft, way)).collect();
    match given.as_slice() {
        [] => wrong(draft, "/spec/probe", "expected one of `http`, `tcp` and `exec`", None),
        [_] => {}
        [_, others @ ..] => {
            for other in others {
                misplaced(draft, other, "is one check too many", Some("exactly one of `http`, `tcp` and `exec` is given"));
            }
        }
    }
}

fn labels(draft: &mut Draft<'_>) {
    for label in keys(draft, "/spec/labels") {
        if label.starts_with(RESERVED_LABELS) {
            misplaced(draft, &below("/spec/labels", label), "is reserved: by such labels Mooring knows its containers", None);
        }
    }
}

/// A container may have variables that no shell could name, as in `discovery.type`; the engine only needs the `=`.
fn variables(draft: &mut Draft<'_>) {
    let is_valid = |name: &str| !name.is_empty() && !name.contains(['=', '\0']) && !name.contains(char::is_whitespace);
    for name in keys(draft, "/spec/environment") {
        if !is_valid(name) {
            let message = "is not the name of a variable: it has a `=` or a space in it, or is empty";
            misplaced(draft, &below("/spec/environment", name), message, Some("write `NAME: value`"));
        }
    }
    let sources = draft.value("/spec/envFrom").and_then(Value::as_array).map_or(0, Vec::len);
    for source in 0..sources {
        let lists = ["keys", "optionalKeys"].map(|list| entries(draft, &format!("/spec/envFrom/{source}/{list}")));
        for (pointer, name) in lists.into_iter().flatten() {
            if !is_valid(&name) {
                wrong(draft, &pointer, "expected the name of a variable", None);
            }
        }
    }
}

fn dependencies(draft: &mut Draft<'_>) {
    let own = draft.value("/metadata/name").and_then(Value::as_str);
    let dependencies = draft.value("/spec/dependsOn").and_then(Value::as_array).map_or(0, Vec::len);
    for dependency in 0..dependencies {
        let pointer = format!("/spec/dependsOn/{dependency}/container");
        if own.is_some() && draft.value(&pointer).and_then(Value::as_str) == own {
            wrong(draft, &pointer, "a container cannot depend on itself", None);
        }
    }
}
