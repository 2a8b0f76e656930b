//! Files that are watched: what is offered is what somebody has written, whole.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use host::swap::What;
use host::swap::files::Watched;

use crate::support::{Verdict, measured};

/// How a file becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Written beside it, then renamed over it.
    Rename,
    /// It is a link, which leads elsewhere then.
    Flip,
    /// Emptied, and written piece by piece.
    Pieces,
    /// Written over, piece by piece, without a change of its length.
    Over,
    /// Deleted, and made anew after a while.
    Delete,
    /// Only its time changes.
    Touch,
    /// Replaced by another of the same contents.
    Copy,
}

const CHANGES: [Change; 7] = [
    Change::Rename,
    Change::Flip,
    Change::Pieces,
    Change::Over,
    Change::Delete,
    Change::Touch,
    Change::Copy,
];

/// A file that changes, and what looks at it.
struct Scene {
    folder: tempfile::TempDir,
    watched: Watched,
    /// Real writes are further apart than a clock is fine; these are not.
    clock: Duration,
    offered: Vec<Vec<u8>>,
}

impl Scene {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn look(&mut self) {
        match self.watched.look() {
            None => {}
            Some(What::Plugin { bytes, .. }) => self.offered.push(bytes),
            Some(other) => panic!("{other:?} is no plugin"),
        }
    }

    fn write(&mut self, name: &str, open: &OpenOptions, bytes: &[u8]) {
        let mut file = open.open(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
        self.touch(&file);
    }

    fn touch(&mut self, file: &File) {
        self.clock += Duration::from_millis(1);
        let time = SystemTime::UNIX_EPOCH + self.clock;
        file.set_modified(time).unwrap();
    }

    fn create(&mut self, name: &str, bytes: &[u8]) {
        let mut open = OpenOptions::new();
        self.write(name, open.write(true).create(true).truncate(true), bytes);
    }

    /// Changes the file; somebody looks at every moment in between.
    fn change(&mut self, change: Change, from: &[u8], to: &[u8]) {
        let mut append = OpenOptions::new();
        append.append(true);
        match change {
            Change::Rename | Change::Copy => {
                self.create("new", &to[..to.len() / 2]);
                self.look();
                self.create("new", to);
                self.look();
                fs::rename(self.path("new"), self.path("file")).unwrap();
            }
            Change::Flip => {
                let name = format!("version-{}", self.clock.as_millis());
                self.create(&name, to);
                symlink(self.path(&name), self.path("link")).unwrap();
                self.look();
                fs::rename(self.path("link"), self.path("file")).unwrap();
            }
            Change::Pieces => {
                self.create("file", b"");
                for piece in to.chunks(to.len() / 3) {
                    self.look();
                    self.write("file", &append, piece);
                }
            }
            Change::Over => {
                for end in [to.len() / 3, to.len() / 2, to.len()] {
                    let half = [&to[..end], &from[end..]].concat();
                    self.write("file", OpenOptions::new().write(true), &half);
                    self.look();
                }
            }
            Change::Delete => {
                fs::remove_file(self.path("file")).unwrap();
                self.look();
                self.look();
                self.create("file", to);
            }
            Change::Touch => {
                let file = File::open(self.path("file")).unwrap();
                self.touch(&file);
            }
        }
    }
}

/// Row 35.
#[test]
fn only_whole_files_are_offered_and_each_once() {
    const ROUNDS: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let contents = |round: usize| format!("{round:08}").repeat(1_000).into_bytes();
    let path = folder.path().join("file");
    fs::write(&path, contents(0)).unwrap();
    let mut scene = Scene {
        watched: Watched::new(None, &path, "not read yet"),
        folder,
        clock: Duration::from_secs(1_000_000_000),
        offered: vec![],
    };
    scene.look();
    scene.look();
    assert_eq!(scene.offered, [contents(0)]);
    let mut now = contents(0);
    let mut made = BTreeSet::new();
    for round in 1..=ROUNDS {
        let change = CHANGES[round % CHANGES.len()];
        let is_other = !matches!(change, Change::Touch | Change::Copy);
        let to = if is_other {
            contents(round)
        } else {
            now.clone()
        };
        scene.offered.clear();
        scene.change(change, &now, &to);
        for _ in 0..4 {
            scene.look();
        }
        let expected = if is_other { vec![to.clone()] } else { vec![] };
        assert!(scene.offered == expected, "round {round}, {change:?}");
        made.insert(format!("{change:?}"));
        now = to;
    }
    let measure = format!(
        "0 of {ROUNDS} half: {}",
        made.into_iter().collect::<Vec<_>>().join(", ")
    );
    measured(35, "file watch", ROUNDS, Verdict::default(), &measure);
}
