//! What stands in the table after a group has read again.

use super::world::{self, Table, World, play};

/// How many messages a test sends: 125 into each of 8 partitions.
const MESSAGES: usize = 1_000;

/// The table that plays make when the reference data is corrected.
fn corrected(plays: std::ops::Range<usize>) -> Table {
    let rows = world::expected(plays).into_iter();
    rows.map(|(key, (song, danceability))| (key, (song, danceability.map(|_| 0.75))))
        .collect()
}

#[test]
fn a_replay_with_other_reference_data_corrects_the_rows() {
    let world = World::new("replayed");
    world.send((0..MESSAGES).map(play));
    world.run_once(&[]);
    assert_eq!(world.rows(), world::expected(0..MESSAGES));
    let first = world.write_times();
    world.correct_songs("0.75");

    // Without anybody to ask nothing is done.
    let (code, said) = world.replay(&["--from-beginning"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--yes"), "{said}");
    assert_eq!(world.committed(), 1_000);

    let (code, said) = world.replay(&["--from-beginning", "--rate", "300", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    for words in [
        "at most 1,000 messages are read again, in about 4s at 300 a second",
        "as generation 1",
        "\n        7             125               0             125             125\n",
    ] {
        assert!(said.contains(words), "{words:?} is not said:\n{said}");
    }
    assert_eq!(world.committed(), 0);
    let output = world.run_once(&[]);
    assert!(output.contains("in 1,000 = written 1,000"), "{output}");
    assert_eq!(world.rows(), corrected(0..MESSAGES));
    let second = world.write_times();
    assert!(first.iter().all(|(key, time)| second[key] > *time));

    // A part of it once more: the same rows, and only those are later.
    let part = ["--from-offset", "0=100,3=120", "--to", "0=110", "--yes"];
    let (code, said) = world.replay(&part);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("as generation 2"), "{said}");
    assert!(said.contains("lose where they have the same key"), "{said}");
    let output = world.run_once(&[]);
    assert!(output.contains("in 15 = written 15"), "{output}");
    assert_eq!(world.committed(), 1_000);
    assert_eq!(world.rows(), corrected(0..MESSAGES));
    let third = world.write_times();
    assert!(second.iter().all(|(key, time)| third[key] >= *time));
    let later = second.iter().filter(|(key, time)| third[*key] > **time);
    assert_eq!(later.count(), 10 + 5);

    // What comes afterwards is read once, and a word too far changes nothing.
    world.send((MESSAGES..MESSAGES + 80).map(play));
    let (code, said) = world.replay(&["--from-offset", "2=130", "--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("130 is ahead of the group"), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    let output = world.run_once(&[]);
    assert!(output.contains("in 80 = written 80"), "{output}");
    assert_eq!(world.rows(), corrected(0..MESSAGES + 80));
}
