//! A running host's reference data is swapped, and comes back.

use std::fs;
use std::ops::Range;

use super::SMALL_BATCH;
use super::child::Child;
use super::world::{Table, World, expected, play};
use crate::admin::pause::ask_host;
use crate::support::wait_until;

/// How many messages are sent at a time.
const PART: usize = 2_000;

/// The table of all plays before an end, of which these had other reference data.
fn corrected(end: usize, other: Range<usize>) -> Table {
    let mut table = expected(0..end);
    for (key, (_, danceability)) in expected(other) {
        let row = table.get_mut(&key).expect("it is one of them");
        row.1 = danceability.map(|_| 0.75);
    }
    table
}

/// Sends a part and waits for the table.
fn check(world: &World, child: &Child, part: usize, other: Range<usize>) {
    let seen = child.messages();
    world.send((part * PART..(part + 1) * PART).map(play));
    wait_until("a part", || child.messages() >= seen + PART);
    let wanted = corrected((part + 1) * PART, other);
    wait_until("the table", || world.rows() == wanted);
}

#[test]
fn a_lookup_is_swapped_and_comes_back() {
    let world = World::new("swapped");
    let folder = world.folder();
    let run = folder.join("run");
    let start = |probation: &str| {
        let mut variables = SMALL_BATCH.to_vec();
        variables.push(("XDG_RUNTIME_DIR", run.to_str().unwrap()));
        variables.push(("SLUICE_SWAP__PROBATION", probation));
        // One worker: what is on its way to another in a rebalance is not what this is about.
        world.start_with(&["--admin", "127.0.0.1:0", "--workers", "1"], &variables)
    };
    let other = folder.join("corrected.csv");
    fs::copy(folder.join("songs.csv"), folder.join("first.csv")).unwrap();
    world.correct_songs("0.75");
    fs::rename(folder.join("songs.csv"), &other).unwrap();
    fs::rename(folder.join("first.csv"), folder.join("songs.csv")).unwrap();
    let lookup = format!("songs={}", other.display());
    let ask = |arguments: &[&str], words: &str| {
        let (code, said) = ask_host(folder, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    };
    let swap = ["swap", "--yes", "--wait", "0s", "--lookup", &lookup];

    // As long as it is on probation, what it has done is undone.
    let mut child = start("1000000");
    check(&world, &child, 0, 0..0);
    ask(&swap, "50 % of the rows differ");
    check(&world, &child, 1, PART..2 * PART);
    ask(&["status"], "running");
    ask(&["rollback", "--yes"], "rolled back: ada ");
    wait_until("the table as it was", || {
        world.rows() == expected(0..2 * PART)
    });
    ask(&["status"], "rolled back");
    assert_eq!(child.stop(), Some(0), "{}", child.said());

    // After that what it has done stays, and the version before is traded in again.
    let mut child = start("1");
    check(&world, &child, 2, 0..0);
    ask(&swap, "traded: ");
    check(&world, &child, 3, 3 * PART..4 * PART);
    wait_until("it has stood its probation", || {
        ask_host(folder, &["status"]).1.contains("kept")
    });
    ask(&["rollback", "--yes", "--wait", "0s"], "traded: ");
    check(&world, &child, 4, 3 * PART..4 * PART);
    assert_eq!(child.stop(), Some(0), "{}", child.said());
}
