//! The steward at its work: what it remembers, what it watches meanwhile, and when it lets go.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host::archive::directory::Directory;
use host::archive::{Archive as _, Outcome, Part, Trade};
use host::code::Code;
use host::lookup::{Declared, Lookup, Options};
use host::plugin::{self, Plugin};
use host::swap::{Asked, Consent, Event, Means, Offer, Policy, Ran, Refusal, Steward, What};
use host::version::Version;
use tempfile::TempDir;

use super::gated::Gated;
use super::{PATIENCE, World};
use crate::contract::candidates::candidate;
use crate::support::wait_until;

/// What runs first.
const FIRST: &str = "version=1.0.0";
/// The file of the lookup `titles`.
const TITLES: &str = "titles.csv";
/// More batches than any test has.
const MANY: u32 = 1_000_000;

/// A running pipeline with its steward.
pub(super) struct Watched {
    pub(super) world: World,
    pub(super) archive: Arc<Directory>,
    folder: TempDir,
    /// While it is locked, no candidate is loaded.
    pub(super) loads: Arc<Mutex<()>>,
    /// While it is locked, no version is kept.
    pub(super) keeps: Arc<Mutex<()>>,
    /// While it is locked, nothing is shown of what runs, and the steward waits.
    pub(super) shows: Arc<Mutex<()>>,
}

fn part(words: &str) -> Part {
    Part {
        name: "candidate.wasm".to_owned(),
        bytes: candidate(words),
    }
}

fn read_lookup(declared: &Declared, name: &str, bytes: &[u8]) -> Result<Lookup, Refusal> {
    let read = Lookup::read(name, bytes, declared, &Options::default());
    read.map_err(|error| Refusal::from(&error))
}

impl Watched {
    pub(super) fn start(policy: Policy) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), policy, None)
    }

    fn start_in(folder: TempDir, policy: Policy, replaced: Option<Code>) -> Self {
        let archive = Arc::new(Directory::new(folder.path().join("kept"), "facts", "group"));
        let [loads, keeps, shows] = [(); 3].map(|()| Arc::<Mutex<()>>::default());
        let (gate, titles) = (loads.clone(), folder.path().join(TITLES));
        let load = move |name: &str, bytes: &[u8], running: &dyn Fn(&str) -> Option<Part>| {
            drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
            let plugin = Plugin::load(name, bytes, &plugin::Config::default())?;
            let mut parts = vec![Part {
                name: name.to_owned(),
                bytes: bytes.to_vec(),
            }];
            let mut lookups = vec![];
            for declared in &plugin.description().lookups {
                let part = running(&declared.name).unwrap_or_else(|| Part {
                    name: TITLES.to_owned(),
                    bytes: fs::read(&titles).unwrap(),
                });
                let lookup = read_lookup(declared, &part.name, &part.bytes)?;
                lookups.push((declared.name.clone(), Arc::new(lookup)));
                parts.push(part);
            }
            Ok((Version { plugin, lookups }, parts))
        };
        let (kept, showing) = (Gated::new(&archive, &keeps), shows.clone());
        let means = |plan: Arc<host::pipeline::Plan>| Means {
            first: Ran {
                version: plan.version.clone(),
                keys: vec![],
                parts: vec![part(FIRST)],
                generation: 0,
            },
            plan,
            replaced,
            committed: Some(0),
            archive: Some(Arc::new(kept)),
            policy,
            recent: Arc::default(),
            load: Box::new(load),
            read_lookup: Box::new(read_lookup),
            of_code: Box::new(|_| Ok(None)),
            beside: Box::new(|_| None),
            schema: None,
            group: Some(Box::new(|| Some(vec![]))),
            count: Box::new(|_| {}),
            runs: Box::new(move |_| drop(showing.lock().unwrap())),
        };
        let world = World::start_with(super::version(FIRST), |plan| Some(means(plan)));
        Self {
            world,
            archive,
            folder,
            loads,
            keeps,
            shows,
        }
    }

    fn steward(&self) -> &Steward {
        self.world.steward.as_ref().unwrap()
    }

    pub(super) fn offer(&self, what: What, consent: Consent) -> Asked {
        self.steward().offer(Offer {
            what,
            who: "ada".to_owned(),
            consent,
            is_dry_run: false,
        })
    }

    pub(super) fn offer_plugin(&self, words: &str, consent: Consent) -> Asked {
        let Part { name, bytes } = part(words);
        self.offer(What::Plugin { name, bytes }, consent)
    }

    /// Has a version traded in, that is on probation then.
    pub(super) fn trade(&self, words: &str) -> Asked {
        let asked = self.offer_plugin(words, Consent::Given);
        told(&asked, "traded");
        asked
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        let history = self.archive.history(9).unwrap();
        history.iter().map(|entry| entry.outcome).collect()
    }
}

/// Waits for an event of this name, or a step.
pub(super) fn told(asked: &Asked, wanted: &str) -> Event {
    loop {
        let event = asked.next(PATIENCE);
        let event = event.unwrap_or_else(|_| panic!("it is over without `{wanted}`"));
        let event = event.unwrap_or_else(|| panic!("waited in vain for `{wanted}`"));
        let json = serde_json::to_value(&event).unwrap();
        if json["event"] == wanted || json["step"] == wanted {
            return event;
        }
        assert_ne!(json["event"], "refused", "{event:?}, not `{wanted}`");
    }
}

/// A probation that ends by nothing but the version's own doing.
pub(super) fn endless() -> Policy {
    Policy {
        probation: MANY,
        ..Policy::default()
    }
}

/// What a restart, or another member, needs of a version is kept, the lookup that it added too.
#[test]
fn a_lookup_that_a_version_adds_is_kept_with_it() {
    let watched = Watched::start(endless());
    let titles = watched.folder.path().join(TITLES);
    let first = "key,value\na,b\n";
    fs::write(&titles, first).unwrap();
    watched.trade("lookup=titles");
    let code = watched.steward().code();
    fs::write(&titles, "key,value\na,c\n").unwrap();
    for digest in [&code.plugin, &code.lookups["titles"]] {
        let kept = watched.archive.fetch(digest).unwrap();
        assert_eq!(kept.map(|part| part.digest()).as_ref(), Some(digest));
    }
    // Another plugin gets what runs, not what the file has become.
    watched.trade("lookup=titles add=1");
    assert_eq!(watched.steward().code().lookups, code.lookups);
    // And what it does not declare any more is not kept for it.
    watched.trade("add=2");
    assert!(watched.steward().code().lookups.is_empty());
    watched.world.stop();
}

/// A version that does worse is thrown out, whatever the steward has in hand meanwhile.
#[test]
fn a_bad_version_is_thrown_out_while_another_is_proved() {
    let mut watched = Watched::start(endless());
    let bad = watched.trade("add=1 fault=reject");
    let loads = watched.loads.clone();
    let gate = loads.lock().unwrap();
    let next = watched.offer_plugin("add=2", Consent::Given);
    told(&next, "load");
    watched.world.send(100, 0, "");
    told(&bad, "rolled_back");
    watched.world.drain();
    // What it was to be compared with is gone: it is proved once more, and gets in.
    drop(gate);
    told(&next, "again");
    told(&next, "traded");
    watched.world.send(100, 2, "");
    watched.world.drain();
    assert_eq!(
        watched.outcomes(),
        [Outcome::Running, Outcome::Kept, Outcome::RolledBack]
    );
    watched.world.stop();
}

/// So it is while a person looks at what another one would change.
#[test]
fn nobody_agrees_to_what_is_outdated() {
    let mut watched = Watched::start(endless());
    let bad = watched.trade("add=1 fault=reject");
    let next = watched.offer_plugin("add=2", Consent::Asked);
    told(&next, "proposed");
    watched.world.send(100, 0, "");
    told(&bad, "rolled_back");
    let event = next.next(PATIENCE).unwrap().unwrap();
    let Event::Refused { code, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!(code, "outdated");
    watched.world.drain();
    watched.world.stop();
}

/// Who asks for the version before is told which one it is, and what becomes of the rows; if that changes
/// while he looks at it, he is asked again.
#[test]
fn who_goes_back_is_told_where_to() {
    let mut watched = Watched::start(Policy {
        probation: 1,
        ..endless()
    });
    watched.world.send(100, 0, "");
    watched.world.drain();
    let first = watched.steward().code();
    let asked = watched.trade("add=1 version=2.0.0");
    let would_go_back = |back: &Asked| {
        let event = told(back, "would_go_back");
        let Event::WouldGoBack(former) = event else {
            panic!("{event:?}");
        };
        former
    };
    let back = watched.offer(What::Before, Consent::Asked);
    let former = would_go_back(&back);
    assert_eq!(
        (
            &*former.new.version,
            &former.new.digest,
            &*former.old.version
        ),
        ("1.0.0", &first.plugin, "2.0.0")
    );
    let [began, ended] = former.ran_ms;
    assert!(
        former.is_undone && began.is_none() && ended.is_some(),
        "{former:?}"
    );
    watched.world.send(100, 1, "");
    told(&asked, "kept");
    back.agree();
    let event = back.next(PATIENCE).unwrap().unwrap();
    let Event::Refused { code, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!(code, "outdated");

    let back = watched.offer(What::Before, Consent::Asked);
    assert!(!would_go_back(&back).is_undone);
    drop(back);
    assert_eq!(watched.steward().status()["current"]["version"], "2.0.0");
    let back = watched.offer(What::Before, Consent::Asked);
    would_go_back(&back);
    back.agree();
    told(&back, "traded");
    assert_eq!(watched.steward().code(), first);
    watched.world.send(100, 0, "");
    watched.world.drain();
    watched.world.stop();
}

/// What does not get in, however late that is found, ends nothing.
#[test]
fn a_refused_offer_ends_no_probation() {
    let mut watched = Watched::start(endless());
    watched.world.send(100, 0, "");
    watched.world.drain();
    watched.trade("add=1");
    let kept = watched.folder.path().join("kept");
    let away = watched.folder.path().join("away");
    fs::rename(&kept, &away).unwrap();
    fs::write(&kept, "").unwrap();
    let next = watched.offer_plugin("add=2", Consent::Given);
    told(&next, "keep");
    let event = next.next(PATIENCE).unwrap().unwrap();
    let Event::Refused { code, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!(code, "not_kept");
    fs::remove_file(&kept).unwrap();
    fs::rename(&away, &kept).unwrap();
    // What is not on probation any more is traded, and stays where it was.
    told(&watched.offer(What::Before, Consent::Given), "rolled_back");
    watched.world.stop();
}

#[test]
fn a_probation_ends_although_no_message_comes() {
    let watched = Watched::start(Policy {
        probation: MANY,
        probation_time: Duration::from_millis(100),
        ..Policy::default()
    });
    let asked = watched.trade("add=1");
    told(&asked, "kept");
    let history = watched.archive.history(1).unwrap();
    assert_eq!(history[0].outcome, Outcome::Kept);
    assert!(
        history[0].reason.contains("probation_time"),
        "{}",
        history[0].reason
    );
    watched.world.stop();
}

/// A process that ended in a probation told nobody; the one after it does.
#[test]
fn a_probation_that_a_process_left_open_is_not_told_to_run() {
    let watched = Watched::start(endless());
    watched.trade("add=1");
    assert_eq!(watched.outcomes(), [Outcome::Running]);
    watched.world.stop();
    let watched = Watched::start_in(watched.folder, endless(), None);
    let is_told = || watched.outcomes() == [Outcome::Unwatched];
    wait_until("the end of what was left", is_told);
    watched.world.stop();
}

/// A version that came by a start is in the history as that, once, and can be gone back from.
#[test]
fn what_a_start_has_brought_is_told_as_such() {
    let replaced = Code {
        plugin: "0".repeat(64),
        ..Code::default()
    };
    let mut folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let watched = Watched::start_in(folder, endless(), Some(replaced.clone()));
        wait_until("the history", || watched.outcomes() == [Outcome::Deployed]);
        wait_until("it is told", || {
            watched.steward().status()["history"][0]["by"] == "start"
        });
        let entry = watched.archive.history(9).unwrap().remove(0);
        assert_eq!(
            (entry.code, entry.replaced),
            (watched.steward().code(), replaced.clone())
        );
        watched.world.stop();
        folder = watched.folder;
    }
}

/// Other files were given to a start that no commit tells of, and those of before to the next: nothing was
/// deployed that a rollback would go back from.
#[test]
fn what_a_start_has_brought_in_vain_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Directory::new(folder.path().join("kept"), "facts", "group");
    let start = Trade {
        code: Code {
            plugin: "0".repeat(64),
            ..Code::default()
        },
        replaced: super::version(FIRST).code(),
        by: "start".to_owned(),
        is_deployment: true,
        ..Trade::default()
    };
    assert_eq!(archive.take(1, &start).unwrap(), 1);
    let watched = Watched::start_in(folder, endless(), None);
    wait_until("its end", || watched.outcomes() == [Outcome::Abandoned]);
    watched.world.stop();
}
