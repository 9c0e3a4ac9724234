//! Whole passes over real files: read, plan, perform, until nothing is left to do.

mod faults;
mod world;

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
};

use expect_test::expect;

use self::world::{SECRETS, World, line, mode};
use super::*;
use crate::plan::environment::Recall;

/// Everything that an editor can leave in a file: Windows line endings, `export`, quotes, comments behind values,
/// a variable twice, no line end at the end.
const EDITED: &str = "# made by hand\r\nexport NAME='Shop No. 1'   # shown to customers\r\n\r\nTWICE=1\r\nTWICE = \"2\"\r\nPASSWORD=\"p 1\"\r\nLAST=x";

#[test]
fn secrets_are_made_once_and_then_left_alone() {
    let world = World::new(".env", "NAME=shop\n");
    expect![[r#"
        write TOKEN newly made, PASSWORD newly made to .env.secrets, because TOKEN, PASSWORD are in no file
        ---
        keep a copy of .env.secrets, because its content is new and good
        write URL to .env.computed, because the cascade gives other values
        ---
    "#]]
    .assert_eq(&world.converge());
    let made = world.text(SECRETS);
    assert_eq!(line(&made, "TOKEN").len(), 64);
    assert_eq!(line(&made, "PASSWORD").len(), 40);
    assert_eq!(mode(&world.path(SECRETS)), 0o600);
    assert_eq!(world.text(".env"), "NAME=shop\n");
    expect![""].assert_eq(&world.converge());
    assert_eq!(world.text(SECRETS), made);
}

#[test]
fn every_other_byte_of_the_file_stays() {
    let world = World::new(SECRETS, EDITED);
    world.converge();
    let token = line(&world.text(SECRETS), "TOKEN");
    assert_eq!(world.text(SECRETS), format!("{EDITED}\r\nTOKEN={token}\r\n"));
}

#[test]
fn an_empty_value_is_filled_in_where_it_stands() {
    let world = World::new(SECRETS, "A=1\nexport TOKEN=''  # for the web\nPASSWORD=p1\n");
    world.converge();
    let text = world.text(SECRETS);
    let token = line(&text, "export TOKEN");
    assert_eq!(text, format!("A=1\nexport TOKEN={token}\nPASSWORD=p1\n"));
    assert!(token.ends_with("  # for the web"), "{token}");
}

#[test]
fn a_deleted_line_comes_back_the_same() {
    let world = World::settled();
    let before = world.text(SECRETS);
    world.write(SECRETS, &before.replace("TOKEN=t1\n", ""));
    expect![[r#"
        write TOKEN from the last good copy to .env.secrets, because TOKEN is in no file
        ---
        keep a copy of .env.secrets, because its content is new and good
        ---
    "#]]
    .assert_eq(&world.converge());
    assert_eq!(world.text(SECRETS), "# secrets of the shop\nPASSWORD=p1\nOTHER=o1\nTOKEN=t1\n");
}

#[test]
fn a_deleted_file_comes_back_identical() {
    let world = World::settled();
    let before = fs::read(world.path(SECRETS)).unwrap();
    fs::remove_file(world.path(SECRETS)).unwrap();
    expect![[r#"
        put .env.secrets back from the last good copy, because the file is gone
        ---
    "#]]
    .assert_eq(&world.converge());
    assert_eq!(fs::read(world.path(SECRETS)).unwrap(), before);
    assert_eq!(mode(&world.path(SECRETS)), 0o600);
}

#[test]
fn a_deleted_file_comes_back_with_the_value_that_runs() {
    let mut world = World::settled();
    world.run("web", &[("TOKEN", "t2"), ("PATH", "/bin")]);
    fs::remove_file(world.path(SECRETS)).unwrap();
    world.converge();
    assert_eq!(world.text(SECRETS), "# secrets of the shop\nTOKEN=t2\nPASSWORD=p1\nOTHER=o1\n");
}

#[test]
fn a_lost_value_comes_back_from_a_container_whatever_is_in_it() {
    let value = "it's $5 \\ \"quoted\" # and\nmore=";
    let mut world = World::new(SECRETS, "PASSWORD=p1\n");
    world.run("web", &[("TOKEN", value)]);
    world.converge();
    let read = world.read();
    assert_eq!(read.values.known().unwrap()["TOKEN"].expose(), value);
}

#[test]
fn a_lost_value_comes_back_from_the_computed_file() {
    let mut world = World::settled();
    world.template("TOKEN", "${TOKEN}");
    world.converge();
    fs::remove_dir_all(&world.state).unwrap();
    world.write(SECRETS, "PASSWORD=p1\n");
    world.converge();
    assert_eq!(world.text(SECRETS), "PASSWORD=p1\nTOKEN=t1\n");
}

#[test]
fn nothing_is_made_while_the_engine_cannot_be_asked() {
    let mut world = World::new(SECRETS, "PASSWORD=p1\n");
    world.running = Recall::Unknown { reason: "no answer".to_owned() };
    expect![[r#"
        set the mode of .env.secrets to 0600, because its mode 0644 lets others in
        wait: the engine cannot be reached: no answer
        ---
        wait: the engine cannot be reached: no answer
    "#]]
    .assert_eq(&world.converge());
    assert_eq!(world.text(SECRETS), "PASSWORD=p1\n");
}

#[test]
fn the_copy_is_for_the_owner_only() {
    let world = World::settled();
    let directory = world.state.join("environments/shop");
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join(SECRETS)), 0o600);
    assert_eq!(fs::read(directory.join(SECRETS)).unwrap(), fs::read(world.path(SECRETS)).unwrap());
}

#[test]
fn the_computed_file_is_written_once_for_the_same_values() {
    let world = World::settled();
    expect![[r#"
        # Generated by Mooring from Environment/shop. Edits are overwritten.
        URL=db://p1
    "#]]
    .assert_eq(&world.text(".env.computed"));
    let inode = fs::metadata(world.path(".env.computed")).unwrap().ino();
    assert_eq!(world.perform_computed().unwrap(), Effect::AlreadySo);
    assert_eq!(fs::metadata(world.path(".env.computed")).unwrap().ino(), inode);
}

#[test]
fn an_edited_computed_file_is_written_again() {
    let world = World::settled();
    let before = world.text(".env.computed");
    world.write(".env.computed", &before.replace("p1", "p2"));
    world.converge();
    assert_eq!(world.text(".env.computed"), before);
    assert_eq!(mode(&world.path(".env.computed")), 0o600);
}

#[test]
fn a_computed_file_of_somebody_else_is_left_alone() {
    let world = World::settled();
    world.write(".env.computed", "# Generated by nself build - DO NOT EDIT\nURL=x\n");
    expect![[r#"
        wait: .env.computed cannot be used: Mooring did not write it; remove it, or name another file
    "#]]
    .assert_eq(&world.converge());
    assert!(matches!(world.perform_computed(), Err(Error::NotOurs { .. })));
    assert_eq!(line(&world.text(".env.computed"), "URL"), "x");
}

#[test]
fn open_files_are_closed_without_being_replaced() {
    let world = World::settled();
    for file in [SECRETS, ".env.computed", ".env"] {
        fs::set_permissions(world.path(file), Permissions::from_mode(0o644)).unwrap();
    }
    let inode = fs::metadata(world.path(SECRETS)).unwrap().ino();
    expect![[r#"
        set the mode of .env.secrets to 0600, because its mode 0644 lets others in
        set the mode of .env.computed to 0600, because its mode 0644 lets others in
        ---
    "#]]
    .assert_eq(&world.converge());
    assert_eq!([SECRETS, ".env.computed", ".env"].map(|file| mode(&world.path(file))), [0o600, 0o600, 0o644]);
    assert_eq!(fs::metadata(world.path(SECRETS)).unwrap().ino(), inode);
}

#[test]
fn a_file_behind_a_link_is_replaced_where_it_is() {
    let world = World::new("shared/secrets", "PASSWORD=p1\n");
    symlink("shared/secrets", world.path(SECRETS)).unwrap();
    world.converge();
    assert!(fs::symlink_metadata(world.path(SECRETS)).unwrap().is_symlink());
    assert!(world.text("shared/secrets").starts_with("PASSWORD=p1\nTOKEN="));
    assert_eq!(mode(&world.path("shared/secrets")), 0o600);
}

#[test]
fn a_link_out_of_the_directory_is_refused() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    let world = World::new(".env", "NAME=shop\n");
    symlink(outside.path(), world.path(SECRETS)).unwrap();
    expect![[r#"
        wait: .env.secrets cannot be used: it is a link out of its directory
    "#]]
    .assert_eq(&world.converge());
    assert!(matches!(world.write_generated(None, &["TOKEN"]), Err(Error::Refused { .. })));
    assert_eq!(fs::read(outside.path()).unwrap(), b"");
}

#[test]
fn the_owner_of_a_file_stays_its_owner() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can give files away; everybody else keeps their own by doing nothing.
        return;
    }
    let world = World::new(SECRETS, "PASSWORD=p1\n");
    std::os::unix::fs::chown(world.path(SECRETS), Some(1234), Some(2345)).unwrap();
    std::os::unix::fs::chown(world.path("."), Some(3456), Some(4567)).unwrap();
    world.converge();
    let owner = |file| fs::metadata(world.path(file)).map(|metadata| (metadata.uid(), metadata.gid())).unwrap();
    assert_eq!(owner(SECRETS), (1234, 2345));
    assert_eq!(owner(".env.computed"), (3456, 4567), "a new file belongs to whoever has the directory");
}

#[test]
fn an_existing_value_is_not_written_over_even_if_that_is_planned() {
    let world = World::settled();
    let before = world.text(SECRETS);
    let digest = world.digest(SECRETS);
    assert_eq!(world.write_generated(Some(digest.clone()), &["TOKEN", "PASSWORD"]).unwrap(), Effect::AlreadySo);
    assert_eq!(world.write_generated(Some(digest), &["TOKEN", "NEW"]).unwrap(), Effect::Done);
    let new = line(&world.text(SECRETS), "NEW");
    assert_eq!(world.text(SECRETS), format!("{before}NEW={new}\n"));
}

#[test]
fn a_value_that_has_turned_up_in_another_file_is_enough() {
    let world = World::new(SECRETS, "PASSWORD=p1\n");
    let plan = world.plan();
    world.write(".env.local", "TOKEN=t1\n");
    assert_eq!(world.perform(&plan.steps[0].action).unwrap(), Effect::AlreadySo);
    assert_eq!(world.text(SECRETS), "PASSWORD=p1\n");
}

#[test]
fn neither_a_placeholder_nor_an_empty_value_is_stored() {
    for value in ["changeme", "${TOKEN}", "<token>", ""] {
        let mut world = World::new(SECRETS, "PASSWORD=p1\n");
        world.run("web", &[("TOKEN", "t1")]);
        let plan = world.plan();
        // The container has been replaced since.
        world.run("web", &[("TOKEN", value)]);
        let error = world.perform(&plan.steps[0].action).unwrap_err();
        assert_eq!(error.to_string(), "there is no value for TOKEN from container web");
        assert_eq!(world.text(SECRETS), "PASSWORD=p1\n");
    }
}

#[test]
fn a_container_that_is_gone_has_no_value() {
    let mut world = World::new(SECRETS, "PASSWORD=p1\n");
    world.run("web", &[("TOKEN", "t1")]);
    let plan = world.plan();
    world.running = Recall::Known(Vec::new());
    assert!(matches!(world.perform(&plan.steps[0].action), Err(Error::NoValue { .. })));
}

#[test]
fn a_step_that_finds_its_work_done_is_a_success() {
    let world = World::settled();
    let missing = world.text(SECRETS).replace("TOKEN=t1\n", "");
    world.write(SECRETS, &missing);
    let plan = world.plan();
    assert_eq!(world.perform(&plan.steps[0].action).unwrap(), Effect::Done);
    assert_eq!(world.perform(&plan.steps[0].action).unwrap(), Effect::AlreadySo);
    fs::remove_file(world.path(SECRETS)).unwrap();
    let plan = world.plan();
    assert_eq!(world.perform(&plan.steps[0].action).unwrap(), Effect::Done);
    assert_eq!(world.perform(&plan.steps[0].action).unwrap(), Effect::AlreadySo);
}

#[test]
fn no_secret_is_in_what_is_printed() {
    let mut world = World::settled();
    world.run("web", &[("TOKEN", "an-old-value-that-runs")]);
    world.write(SECRETS, "PASSWORD=p1\n");
    let plan = world.plan();
    let printed = format!("{plan}{plan:?}{:?}{}", world.read(), serde_json::to_string(&plan).unwrap());
    assert!(!printed.contains("an-old-value-that-runs"), "{printed}");
}
