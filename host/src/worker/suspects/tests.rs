//! Notes of the dead, as they are left in a directory.

use std::path::Path;

use super::*;

fn batch(messages: &[(i32, i64)]) -> Batch {
    let mut batch = Batch::new("plays".into());
    for &(partition, offset) in messages {
        batch.push(&Message {
            partition,
            offset,
            timestamp: 1,
            key: None,
            value: Some(b"x"),
            headers: b"",
        });
    }
    batch
}

/// Dies with a batch in the plugin: nothing is dropped, and the lock is gone.
fn die(directory: &Path, messages: &[(i32, i64)]) {
    let mut suspects = Suspects::open(Some(directory));
    suspects.enter(&batch(messages));
    let note = suspects.own.take().unwrap();
    let path = note.path.clone();
    let text = fs::read(&path).unwrap();
    drop(note);
    DirBuilder::new().recursive(true).create(directory).unwrap();
    fs::write(path, text).unwrap();
}

fn notes(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

#[test]
fn what_was_in_the_plugin_at_three_deaths_is_suspect() {
    let check = |deaths: &[&[(i32, i64)]], position: (i32, i64), expected: bool| {
        let place = tempfile::tempdir().unwrap();
        deaths
            .iter()
            .for_each(|messages| die(place.path(), messages));
        let suspects = Suspects::open(Some(place.path()));
        let is_suspect = suspects.are_at(&[(7, 4), position].into());
        assert_eq!(is_suspect, expected, "{deaths:?} {position:?}");
    };
    let long = &[(0, 10), (0, 11), (0, 19), (1, 10)][..];
    let short = &[(0, 10), (0, 11)][..];
    check(&[long, long], (0, 10), false);
    check(&[long, long, long], (0, 10), true);
    check(&[long, long, long], (0, 15), true);
    check(&[long, long, long], (1, 10), true);
    check(&[long, long, long], (0, 9), false);
    check(&[long, long, long], (0, 20), false);
    check(&[long, long, long], (2, 10), false);
    // What only some of them met is not.
    check(&[long, short, long], (0, 11), true);
    check(&[long, short, long], (0, 12), false);
    check(&[long, short, long, long], (0, 12), true);
}

#[test]
fn only_a_message_that_stood_alone_is_condemned() {
    let check = |deaths: &[&[(i32, i64)]], messages: &[(i32, i64)], expected: bool| {
        let place = tempfile::tempdir().unwrap();
        deaths
            .iter()
            .for_each(|messages| die(place.path(), messages));
        let verdict = Suspects::open(Some(place.path())).verdict(&batch(messages));
        let code = verdict.map(|rejected| rejected.code.to_string());
        let expected = expected.then(|| "host_crash".to_owned());
        assert_eq!(code, expected, "{deaths:?} {messages:?}");
    };
    let (two, alone) = (&[(0, 10), (0, 11)][..], &[(0, 10)][..]);
    check(&[alone; 3], alone, true);
    check(&[alone; 2], alone, false);
    check(&[alone; 3], &[(0, 11)], false);
    check(&[alone; 3], &[(1, 10)], false);
    check(&[alone; 3], two, false);
    // In company it may have been another one.
    check(&[two; 9], alone, false);
    check(&[two, two, two, alone, alone], alone, false);
    check(&[two, two, two, alone, alone, alone], alone, true);
}

#[test]
fn the_living_and_the_damaged_say_nothing() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("in-plugin");
    let mut living: Vec<_> = (0..4).map(|_| Suspects::open(Some(&directory))).collect();
    living
        .iter_mut()
        .for_each(|one| one.enter(&batch(&[(0, 1)])));
    let damaged = [
        "",
        "busy 0:1..2",
        "busy 0:1-2\n",
        "busy 0:1..2 x\n",
        "\0\0\n",
        "idle 0:1..2\n",
    ];
    for (index, text) in damaged.iter().enumerate() {
        fs::write(directory.join(format!("damaged {index}")), text).unwrap();
    }
    assert_eq!(
        Suspects::open(Some(&directory)).dead,
        Vec::<Vec<Span>>::new()
    );
    // A shorter note over a longer one, and none at all once the batch is out.
    die(&directory, &[(0, 1), (0, 2), (10, 1)]);
    let mut next = Suspects::open(Some(&directory));
    next.enter(&batch(&[(0, 1), (1, 1)]));
    next.enter(&batch(&[(0, 3)]));
    let read = |path: &Path| parse(&fs::read_to_string(path).unwrap());
    let path = next.own.as_ref().unwrap().path.clone();
    assert_eq!(read(&path), Some(vec![alone(&batch(&[(0, 3)]).message(0))]));
    next.leave();
    assert_eq!(read(&path), None);
    assert_eq!(next.dead.len(), 1);
    // Whoever ends well leaves nothing.
    let before = notes(&directory);
    drop((next, living));
    assert_eq!(notes(&directory), before - 5);
    let clean = place.path().join("clean");
    drop(Suspects::open(Some(&clean)));
    assert!(!clean.exists());
}

#[test]
fn notes_are_forgotten_in_time() {
    let place = tempfile::tempdir().unwrap();
    let old = SystemTime::now() - AGE_MAX - Duration::from_secs(60);
    for number in 0..NOTES_MAX + 20 {
        let path = place.path().join(format!("dead {number}"));
        fs::write(&path, "busy 0:1..2\n").unwrap();
        if number < 5 {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(old)
                .unwrap();
        }
    }
    assert_eq!(Suspects::open(Some(place.path())).dead.len(), NOTES_MAX);
    assert_eq!(notes(place.path()), NOTES_MAX);
    fs::write(place.path().join("idle"), IDLE).unwrap();
    Suspects::open(Some(place.path()));
    assert_eq!(notes(place.path()), NOTES_MAX);
    // Where nothing can be noted, nothing is suspected.
    let file = place.path().join("a file");
    fs::write(&file, "").unwrap();
    assert!(!Suspects::open(Some(&file)).are_at(&[(0, 1)].into()));
}
