//! Real directories and a real clock: the kernel is what is tested. Only the rules of time are told at a clock that is held.

use std::{fs, pin::Pin};

use futures::StreamExt as _;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

const SETTLE: Duration = Duration::from_millis(50);
const CAP: Duration = Duration::from_millis(250);

type Triggers = Pin<Box<dyn Stream<Item = ()> + Send>>;

/// A watch that has told of its beginning.
async fn watching(directories: Vec<PathBuf>) -> Triggers {
    let mut triggers: Triggers = Box::pin(watch(&Hearing::Kernel, directories, SETTLE, CAP));
    assert!(fires(&mut triggers).await, "a watch fires once at the start");
    triggers
}

async fn fires(triggers: &mut Triggers) -> bool {
    timeout(Duration::from_secs(30), triggers.next()).await.is_ok()
}

async fn is_quiet(triggers: &mut Triggers) -> bool {
    timeout(SETTLE * 4, triggers.next()).await.is_err()
}

#[tokio::test]
async fn changes_fire_and_reading_does_not() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("a.yaml");
    let mut triggers = watching(vec![directory.path().to_owned()]).await;
    fs::write(&file, "a").unwrap();
    assert!(fires(&mut triggers).await);
    while !is_quiet(&mut triggers).await {} // On a busy machine a write may be heard of in two goes.
    fs::read(&file).unwrap();
    fs::read_dir(directory.path()).unwrap().for_each(drop);
    assert!(is_quiet(&mut triggers).await, "reading is no change");
    fs::rename(&file, directory.path().join("b.yaml")).unwrap();
    assert!(fires(&mut triggers).await);
    fs::remove_file(directory.path().join("b.yaml")).unwrap();
    assert!(fires(&mut triggers).await);
}

#[tokio::test]
async fn a_new_directory_below_is_watched_too() {
    let directory = TempDir::new().unwrap();
    let mut triggers = watching(vec![directory.path().to_owned()]).await;
    fs::create_dir(directory.path().join("apps")).unwrap();
    assert!(fires(&mut triggers).await);
    fs::write(directory.path().join("apps/a.yaml"), "a").unwrap();
    assert!(fires(&mut triggers).await);
}

#[tokio::test]
async fn a_flat_watch_does_not_look_below() {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("below")).unwrap();
    let mut triggers: Triggers = Box::pin(watch_flat(&Hearing::Kernel, vec![directory.path().to_owned()], SETTLE, CAP));
    assert!(fires(&mut triggers).await);
    fs::write(directory.path().join("below/x"), "a").unwrap();
    assert!(is_quiet(&mut triggers).await);
    fs::write(directory.path().join(".env"), "a").unwrap();
    assert!(fires(&mut triggers).await);
}

#[tokio::test(start_paused = true)]
async fn a_burst_fires_once_and_an_endless_one_all_the_same() {
    let directory = TempDir::new().unwrap();
    let teller = Arc::new(tokio::sync::watch::channel(()).0);
    let hearing = Hearing::Told(Arc::clone(&teller));
    let mut triggers: Triggers = Box::pin(watch(&hearing, vec![directory.path().to_owned()], SETTLE, CAP));
    triggers.next().await;
    let saves = |times: usize| {
        let teller = Arc::clone(&teller);
        async move {
            for _ in 0..times {
                teller.send_replace(());
                tokio::time::sleep(SETTLE / 5).await;
            }
        }
    };

    let start = Instant::now();
    let writer = tokio::spawn(saves(10));
    triggers.next().await;
    assert_eq!(start.elapsed(), SETTLE / 5 * 9 + SETTLE, "after the last of them");
    assert!(is_quiet(&mut triggers).await, "a burst is one reason");
    writer.await.unwrap();

    let start = Instant::now();
    let writer = tokio::spawn(saves(1_000));
    triggers.next().await;
    assert_eq!(start.elapsed(), CAP, "it waited as long as it may, but not for ever");
    writer.abort();
}

#[tokio::test]
async fn what_is_written_over_and_over_fires() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("a.yaml");
    let mut triggers = watching(vec![directory.path().to_owned()]).await;
    let writer = tokio::spawn(async move {
        loop {
            fs::write(&file, "again").unwrap();
            tokio::time::sleep(SETTLE / 5).await;
        }
    });
    assert!(fires(&mut triggers).await && fires(&mut triggers).await);
    writer.abort();
}

#[tokio::test]
async fn a_directory_that_goes_and_comes_back_is_watched_again() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("desired");
    fs::create_dir(&directory).unwrap();
    let mut triggers = watching(vec![directory.clone()]).await;
    fs::remove_dir(&directory).unwrap();
    assert!(fires(&mut triggers).await, "that it has gone is a change");
    fs::create_dir(&directory).unwrap();
    assert!(fires(&mut triggers).await, "that it is back is one, too");
    fs::write(directory.join("a.yaml"), "a").unwrap();
    assert!(fires(&mut triggers).await);
    // Another directory under the same name, as after a mount.
    fs::rename(&directory, parent.path().join("old")).unwrap();
    fs::create_dir(&directory).unwrap();
    assert!(fires(&mut triggers).await);
    fs::write(directory.join("b.yaml"), "b").unwrap();
    assert!(fires(&mut triggers).await);
}

#[tokio::test]
async fn a_directory_that_does_not_exist_yet_is_waited_for() {
    let parent = TempDir::new().unwrap();
    let (one, other) = (parent.path().join("one"), parent.path().join("other"));
    fs::create_dir(&one).unwrap();
    let mut triggers = watching(vec![one.clone(), other.clone()]).await;
    fs::write(one.join(".env"), "A=1").unwrap();
    assert!(fires(&mut triggers).await, "the one that exists is watched meanwhile");
    fs::create_dir(&other).unwrap();
    assert!(fires(&mut triggers).await);
    fs::write(other.join(".env"), "A=1").unwrap();
    assert!(fires(&mut triggers).await);
}

#[tokio::test(start_paused = true)]
async fn where_there_is_nothing_to_watch_nobody_is_woken_up() {
    let mut triggers = watching(Vec::new()).await;
    let mut polls = 0;
    let counted = std::future::poll_fn(|context| {
        polls += 1;
        triggers.poll_next_unpin(context)
    });
    assert!(timeout(Duration::from_hours(1), counted).await.is_err(), "and nothing is told");
    assert!(polls <= 2, "{polls} times in an hour");
}
