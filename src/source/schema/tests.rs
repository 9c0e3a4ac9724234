//! What `mooring explain` prints.

use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check(kind: Kind, path: &str, expected: &Expect) {
    let path: Vec<&str> = path.split('.').filter(|name| !name.is_empty()).collect();
    expected.assert_eq(&explain(kind, &path).map_or_else(|unknown| unknown.to_string(), |explanation| explanation.to_string()));
}

#[test]
fn a_kind_is_explained() {
    check(
        Kind::Environment,
        "",
        &expect![[r#"
        Environment: a mapping, required

          A directory's `.env` cascade, the secrets that must be in it, and values computed from it.

        Fields (* required):
          apiVersion* Always `mooring.dev/v1alpha1`.
          kind      * The kind of object.
          metadata  * What the object is called.
          spec      * A directory's `.env` cascade, the secrets that must be in it, and values computed from it.
          status      What Mooring reports about the object.
    "#]],
    );
    check(
        Kind::Environment,
        "spec",
        &expect![[r#"
            Environment.spec: a mapping, required

              A directory's `.env` cascade, the secrets that must be in it, and values computed from it.

            Fields (* required):
              directory  The directory of the files, relative to the manifest's own file.
              files      The files of the cascade, lowest precedence first.
              secrets    Secrets that must exist, and where they are kept.
              computed   Values computed from the cascade, and where they are kept.
              mode       `observe`: what would be done to it is shown, and not done.
        "#]],
    );
}

#[test]
fn fields_are_explained_with_or_without_spec() {
    check(
        Kind::Container,
        "spec.pullPolicy",
        &expect![[r#"
        Container.spec.pullPolicy: one of never, ifMissing, always

          When to pull the image.

        Values:
          never      Never: the image has to be there.
          ifMissing  When the engine does not have it.
          always     Before every creation of the container.
    "#]],
    );
    check(
        Kind::Container,
        "pullPolicy",
        &expect![[r#"
        Container.spec.pullPolicy: one of never, ifMissing, always

          When to pull the image.

        Values:
          never      Never: the image has to be there.
          ifMissing  When the engine does not have it.
          always     Before every creation of the container.
    "#]],
    );
    check(
        Kind::Container,
        "stopGracePeriod",
        &expect![[r#"
        Container.spec.stopGracePeriod: a duration such as 500ms, 5s or 1m30s

          How long it may take to stop before it is killed. Default: the engine's ten seconds.
    "#]],
    );
    check(
        Kind::Container,
        "volumes",
        &expect![[r#"
        Container.spec.volumes: a list, each entry text

          Mounts in Compose's short form: `VOLUME:/path[:ro]` or `/host/path:/path[:ro]`; a path that starts with a dot is relative to the manifest's file. Named volumes are created when missing, never removed.
    "#]],
    );
    check(
        Kind::Container,
        "metadata.name",
        &expect![[r#"
        Container.metadata.name: 2 to 63 lower-case letters, digits, `_`, `.` and `-`, beginning with a letter or digit, required

          The object's name, unique among those of its kind.
    "#]],
    );
    check(
        Kind::Environment,
        "secrets.generate",
        &expect![[r#"
        Environment.spec.secrets.generate: a list, each entry a mapping, required

          The secrets that must exist. An existing value is never overwritten.

        Fields (* required):
          name  * The variable's name.
          format  How the value is written.
          length  Length in characters of the value as written (32 to 256; `uuid` has its own).
    "#]],
    );
}

#[test]
fn paths_lead_through_lists_and_mappings() {
    check(
        Kind::Container,
        "networks.ipv4Address",
        &expect![[r#"
        Container.spec.networks.ipv4Address: an IPv4 address

          A fixed IPv4 address; the network needs a subnet of its own.
    "#]],
    );
    check(
        Kind::Container,
        "ulimits",
        &expect![[r#"
        Container.spec.ulimits: a mapping from names, each to a whole number or a mapping

          Resource limits by name, as in `nofile`.

        Fields (* required):
          soft* The limit in force.
          hard* The most that the process may raise it to.
    "#]],
    );
    check(
        Kind::Container,
        "ulimits.nofile.soft",
        &expect![[r#"
        Container.spec.ulimits.nofile.soft: a whole number, required

          The limit in force.
    "#]],
    );
    check(
        Kind::Container,
        "healing.backoff",
        &expect![[r#"
        Container.spec.healing.backoff: a mapping

          The pause between one try and the next.

        Default: {"initial":"1s","factor":2.0,"cap":"5m","resetAfter":"10m"}

        Fields (* required):
          initial     The pause before the second try; the first is made at once.
          factor      How much longer each pause is than the one before.
          cap         The longest pause.
          resetAfter  A container that stayed up this long starts over with a clean slate.
    "#]],
    );
    check(
        Kind::Container,
        "probe.http.port",
        &expect![[r#"
        Container.spec.probe.http.port: a whole number from 1 to 65535, required

          The port inside the container.
    "#]],
    );
}

#[test]
fn a_field_that_does_not_exist_is_told_with_the_nearest() {
    check(Kind::Container, "imagee", &expect!["Container has no field `spec.imagee` (did you mean `image`?)"]);
    check(Kind::Container, "probe.https", &expect!["Container has no field `spec.probe.https` (did you mean `http`?)"]);
    check(Kind::Container, "image.tag", &expect!["Container has no field `spec.image.tag` (`spec.image` has no fields)"]);
    check(
        Kind::Environment,
        "replicas",
        &expect!["Environment has no field `spec.replicas` (the fields are directory, files, secrets, computed, mode)"],
    );
    assert_eq!(explain(Kind::Container, &["depends_on"]).unwrap_err().nearest.as_deref(), Some("dependsOn"));
}

#[test]
fn every_field_of_every_kind_is_described() {
    fn undescribed(path: &str, node: &Value, missing: &mut Vec<String>) {
        for (name, below) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = format!("{path}.{name}");
            if description(below).is_none_or(str::is_empty) {
                missing.push(path.clone());
            }
            undescribed(&path, below, missing);
        }
        for keyword in ["items", "additionalProperties"] {
            node.get(keyword).into_iter().for_each(|below| undescribed(path, below, missing));
        }
    }
    let mut missing = Vec::new();
    for kind in Kind::ALL {
        undescribed(kind.as_str(), &Schema::of(Some(kind)).document, &mut missing);
    }
    expect![""].assert_eq(&missing.join("\n"));
}
