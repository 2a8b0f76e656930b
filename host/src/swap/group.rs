//! What the members of the group run, as its commits tell: while each is swapped by itself, two versions
//! stand side by side. And the history that all of them write.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::status::{HISTORY_MAX, Status};
use crate::archive::Archive;
use crate::code::Code;
use crate::worker::Control;

/// How often the commits are asked.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether the process ends.
const TICK: Duration = Duration::from_millis(100);

/// What some partitions of the group's topic are read by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The version.
    pub code: Code,
    /// The greatest generation that it writes in.
    pub generation: u32,
    /// The partitions.
    pub partitions: Vec<i32>,
}

/// Asks what the group runs; nothing, if it cannot be known now. Waits for the brokers.
pub type Ask = dyn Fn() -> Option<Vec<Share>> + Send + Sync;

/// Keeps the status up to date, in a thread of its own: who does not answer holds nothing up.
pub(super) fn watch(
    ask: Box<Ask>,
    archive: Option<Arc<dyn Archive>>,
    control: Arc<Control>,
    status: Arc<Mutex<Status>>,
) -> std::io::Result<()> {
    let life = move || {
        while !control.is_stopping() {
            if let Some(shares) = ask() {
                note(shares, archive.as_deref(), &status);
            }
            for _ in 0..ASK_EVERY.as_millis() / TICK.as_millis() {
                if control.is_stopping() {
                    return;
                }
                thread::sleep(TICK);
            }
        }
    };
    thread::Builder::new()
        .name("group".into())
        .spawn(life)
        .map(drop)
}

/// Notes what the group runs, and reads the history again if another member may have written to it.
fn note(shares: Vec<Share>, archive: Option<&dyn Archive>, status: &Mutex<Status>) {
    let lock = || status.lock().unwrap_or_else(PoisonError::into_inner);
    let is_behind = lock().note_group(shares);
    let Some(archive) = archive.filter(|_| is_behind) else {
        return;
    };
    let history = archive.history(HISTORY_MAX);
    lock().note_history(history);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::directory::Directory;
    use crate::archive::{End, Outcome, Trade};

    /// Whatever another member does is told at the next look, and where nothing goes on nothing is read.
    #[test]
    fn what_other_members_do_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Directory::new(folder.path().to_owned(), "plays", "group");
        let (own, others) = (open(), open());
        let status = Mutex::<Status>::default();
        let shares = |generation| {
            vec![Share {
                code: Code::default(),
                generation,
                partitions: vec![0],
            }]
        };
        let look = |generation| {
            note(shares(generation), Some(&own), &status);
            status.lock().unwrap().outcomes()
        };
        let end = |generation, outcome| {
            let reason = String::new();
            let end = End {
                outcome,
                reason,
                pause_us: 0,
            };
            others.finish(generation, &end).unwrap();
        };
        assert_eq!(look(0), []);
        assert_eq!(others.take(1, &Trade::default()).unwrap(), 1);
        assert_eq!(look(0), [], "no commit tells of it yet");
        assert_eq!(look(1), [Outcome::Running]);
        end(1, Outcome::Kept);
        assert_eq!(look(1), [Outcome::Kept]);
        end(1, Outcome::Unwatched);
        assert_eq!(
            look(1),
            [Outcome::Kept],
            "nothing tells that it is read again"
        );
        assert_eq!(look(2), [Outcome::Unwatched]);
    }
}
