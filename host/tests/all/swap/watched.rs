//! A version on probation is watched: workers rest as soon as something speaks against it, and the history
//! says that somebody is there.

use host::archive::{Archive as _, End, Outcome};
use host::swap::{Consent, Event, What};
use host::worker::Report;

use super::PATIENCE;
use super::steward::{Watched, endless, told};
use crate::support::wait_until;

fn rests(report: Report) -> Option<()> {
    matches!(report, Report::Waits { room: "pause", .. }).then_some(())
}

/// While the store is asked for what the way back takes, the version that goes makes no more rows.
#[test]
fn workers_rest_until_the_way_back_is_prepared() {
    let mut watched = Watched::start(endless());
    watched.world.send(100, 0, "");
    watched.world.drain();
    watched.trade("add=1 layout=b/");
    let store = watched.world.store.clone();
    let away = store.lock().unwrap();
    let back = watched.offer(What::Before, Consent::Given);
    watched.world.reported(rests);
    watched.world.send(100, 0, "");
    drop(away);
    let event = told(&back, "rolled_back");
    let Event::RolledBack { messages, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!(messages, 0);
    watched.world.drain();
    watched.world.stop();
}

/// The steward may have to wait for a store before it looks: the batch that a version does worse in is its
/// last all the same.
#[test]
fn workers_rest_as_soon_as_a_version_does_worse() {
    let mut watched = Watched::start(endless());
    watched.world.send(100, 0, "");
    watched.world.drain();
    let (loads, shows) = (watched.loads.clone(), watched.shows.clone());
    let gate = loads.lock().unwrap();
    let bad = watched.offer_plugin("add=1 fault=reject", Consent::Given);
    told(&bad, "load");
    let busy = shows.lock().unwrap();
    drop(gate);
    let is_traded = |report| matches!(report, Report::Traded { .. }).then_some(());
    watched.world.reported(is_traded);
    watched.world.send(100, 0, "");
    watched.world.reported(rests);
    watched.world.send(100, 0, "");
    drop(busy);
    let event = told(&bad, "rolled_back");
    let Event::RolledBack { messages, .. } = event else {
        panic!("{event:?}");
    };
    assert!((1..=100).contains(&messages), "{messages}");
    watched.world.drain();
    watched.world.stop();
}

/// Somebody has agreed to another version, and it is being kept: what the one on probation does until the trade
/// counts, and is undone.
#[test]
fn a_bad_version_is_thrown_out_while_another_is_kept() {
    let mut watched = Watched::start(endless());
    watched.world.send(100, 0, "");
    watched.world.drain();
    let bad = watched.trade("add=1 fault=reject");
    let next = watched.offer_plugin("add=2", Consent::Asked);
    told(&next, "proposed");
    let keeps = watched.keeps.clone();
    let gate = keeps.lock().unwrap();
    next.agree();
    told(&next, "keep");
    watched.world.send(100, 0, "");
    watched.world.reported(rests);
    drop(gate);
    told(&bad, "rolled_back");
    let event = next.next(PATIENCE).unwrap().unwrap();
    let Event::Refused { code, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!(code, "outdated");
    watched.world.drain();
    assert_eq!(
        watched.outcomes(),
        [Outcome::Kept, Outcome::Abandoned, Outcome::RolledBack]
    );
    watched.world.stop();
}

/// A member that starts cannot know who is there, and takes the probation for one that nobody watches.
#[test]
fn a_probation_that_another_member_took_for_over_is_told_to_run() {
    let watched = Watched::start(endless());
    watched.trade("add=1");
    let end = End {
        outcome: Outcome::Unwatched,
        reason: "nobody watches it".to_owned(),
        pause_us: 0,
    };
    watched.archive.finish(1, &end).unwrap();
    wait_until("the one who watches it", || {
        watched.outcomes() == [Outcome::Running]
    });
    watched.world.stop();
}
