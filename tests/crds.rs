//! `crds/` is what the types say.
//!
//! After a change of the types, `UPDATE_CRDS=1 cargo test --test crds` writes the files anew.
#![expect(clippy::expect_used, reason = "a test that cannot read its files has failed")]

use std::{env, fs, path::Path};

use mooring::{manifest::Kind, source::schema::crd_yaml};

#[test]
fn the_definitions_are_those_of_the_types() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    for kind in Kind::ALL {
        let path = directory.join(format!("{}.yaml", kind.plural()));
        let fresh = crd_yaml(kind);
        if env::var_os("UPDATE_CRDS").is_some() {
            fs::write(&path, &fresh).expect("crds/ can be written");
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == fresh, "{} is stale: run UPDATE_CRDS=1 cargo test --test crds", path.display());
    }
}

#[test]
fn no_key_of_ours_gets_into_the_definitions() {
    for kind in Kind::ALL {
        assert!(!crd_yaml(kind).contains("x-mooring"), "an API server would refuse it");
    }
}
