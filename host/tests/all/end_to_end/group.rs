//! Several hosts in one group, that swap by one order.

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use host::archive::{Archive as _, Outcome, Part};

use super::child::Child;
use super::readiness::free_address;
use super::restart::marked;
use super::world::{self, World, play};
use crate::admin::get;
use crate::contract::candidates::candidate;
use crate::support::{cassandra, host, wait_until};

/// A probation that a test's messages last for.
const SHORT: [(&str, &str); 2] = [
    ("SLUICE_BATCH__MESSAGES_MAX", "50"),
    ("SLUICE_SWAP__PROBATION", "3"),
];

/// A host of the group, and its admin address.
struct Host {
    child: Child,
    address: String,
}

impl Host {
    fn start(world: &World, plugin: &Part) -> Self {
        fs::write(world.folder().join(&plugin.name), &plugin.bytes).unwrap();
        let address = free_address();
        let mut host = world.host(&["--plugin", &plugin.name], &cassandra());
        host.args(["--progress", "json", "--workers", "1", "--admin", &address]);
        host.env("XDG_RUNTIME_DIR", world.folder()).envs(SHORT);
        let child = Child::start(host.stdin(Stdio::null()));
        wait_until("the admin address", || TcpStream::connect(&address).is_ok());
        Self { child, address }
    }

    /// Asks it, as a person would.
    fn ask(&self, world: &World, what: &[&str]) -> Command {
        let mut host = host();
        host.current_dir(world.folder()).args(what);
        host.args(["--yes", "--admin", &self.address]);
        host.env("XDG_RUNTIME_DIR", world.folder());
        host.stdin(Stdio::null()).stdout(Stdio::piped());
        host
    }

    fn is_ready(&self) -> bool {
        get(&self.address, "/readyz").0 == 200
    }

    /// The digest of the plugin that it runs.
    fn digest(&self) -> String {
        let digest = &self.current()["digest"];
        digest.as_str().unwrap_or_default().to_owned()
    }

    /// The digest of a lookup's file.
    fn lookup(&self, name: &str) -> String {
        let digest = &self.current()["lookups"][name];
        digest.as_str().unwrap_or_default().to_owned()
    }

    /// What it runs.
    fn current(&self) -> serde_json::Value {
        let (_, status) = get(&self.address, "/api/v1/plugins");
        let mut status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["current"].take()
    }
}

/// Two hosts that know of each other.
struct Group {
    world: World,
    hosts: [Host; 2],
    sent: usize,
}

impl Group {
    fn start(name: &str, plugin: &Part) -> Self {
        Self::start_in(World::new(name), plugin, 0)
    }

    fn start_in(world: World, plugin: &Part, sent: usize) -> Self {
        let hosts = [(); 2].map(|()| Host::start(&world, plugin));
        wait_until("the group", || hosts.iter().all(Host::is_ready));
        wait_until("both hosts", || {
            let of = format!("pipeline = 'spotify' AND consumer_group = '{}'", world.name);
            let query = format!("SELECT member FROM sluice.members WHERE {of}");
            world.ask::<(String,)>(&query).len() == 2
        });
        Self { world, hosts, sent }
    }

    /// Asks the first host, for all of them.
    fn order(&self, what: &[&str]) -> std::process::Child {
        let what = [what, &["--whole-group"]].concat();
        self.hosts[0].ask(&self.world, &what).spawn().unwrap()
    }

    /// Orders what both shall keep: meanwhile messages come, so that it stands its probation.
    fn both_keep(&mut self, what: &[&str], mut look: impl FnMut(&[Host; 2])) {
        let mut child = self.order(what);
        wait_until("the order", || {
            // No more than the hosts keep up with.
            if self.world.committed() == self.sent as i64 {
                self.world.send((self.sent..self.sent + 200).map(play));
                self.sent += 200;
            }
            look(&self.hosts);
            child.try_wait().unwrap().is_some()
        });
        let (code, told) = said(child);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("runs it: 2"), "{told}");
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let history = self.world.archive().history(9).unwrap();
        history.iter().map(|trade| trade.outcome).collect()
    }

    /// Nothing is lost by any of it.
    fn end(self) -> (World, usize) {
        let sent = self.sent;
        wait_until("the rows", || self.world.committed() == sent as i64);
        assert_eq!(self.world.rows(), world::expected(0..sent));
        for mut host in self.hosts {
            assert_eq!(host.child.stop(), Some(0));
        }
        (self.world, sent)
    }
}

fn said(child: std::process::Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

/// One host of the group after the other swaps, and none after the first that does not keep it.
#[test]
fn a_whole_group_swaps_until_one_host_does_not_keep_it() {
    let (old, new, late) = (marked("old"), marked("new"), marked("late"));
    let mut group = Group::start("ordered", &old);
    // No other test keeps it.
    let words = format!("version=2.0.0 layout={}", group.world.name);
    let bad = Part {
        name: "bad.wasm".to_owned(),
        bytes: candidate(&words),
    };
    for part in [&new, &late, &bad] {
        fs::write(group.world.folder().join(&part.name), &part.bytes).unwrap();
    }
    let run = |hosts: &[Host; 2], part: &Part| {
        hosts.each_ref().map(|host| host.digest() == part.digest())
    };
    let mut is_one_by_one = false;
    group.both_keep(&["swap", "new.wasm"], |hosts| {
        let [one, other] = run(hosts, &new);
        is_one_by_one |= one != other;
    });
    assert!(is_one_by_one);
    assert_eq!(run(&group.hosts, &new), [true, true]);
    assert_eq!(group.outcomes(), [Outcome::Kept; 2]);

    // What the first refuses is kept for nobody, and what it takes back nobody else tries.
    let (code, told) = said(group.order(&["swap", "bad.wasm"]));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("refused, "), "{told}");
    let kept = group.world.archive().fetch(&bad.digest());
    assert!(kept.unwrap().is_none());
    let child = group.order(&["swap", "late.wasm"]);
    wait_until("the first", || run(&group.hosts, &late) != [false, false]);
    let first = &group.hosts[usize::from(run(&group.hosts, &late)[1])];
    let back = first.ask(&group.world, &["rollback"]).status();
    assert!(back.unwrap().success());
    let (code, told) = said(child);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("  rolled back: ") && told.contains("stopped: "),
        "{told}"
    );
    assert_eq!(run(&group.hosts, &new), [true, true]);
    group.end();
}

/// Reference data is ordered as plugins are, and the way back is an order, too.
#[test]
fn a_whole_group_swaps_a_lookup_and_goes_back() {
    let mut group = Group::start("corrected", &marked("old"));
    // The same songs in another file.
    let songs = fs::read_to_string(group.world.folder().join("songs.csv")).unwrap();
    let again = Part {
        name: "again.csv".to_owned(),
        bytes: (songs + "\n").into_bytes(),
    };
    fs::write(group.world.folder().join(&again.name), &again.bytes).unwrap();
    for (what, expected) in [
        (&["swap", "--lookup", "songs=again.csv"][..], true),
        (&["rollback"], false),
    ] {
        group.both_keep(what, |_| {});
        for host in &group.hosts {
            assert_eq!(host.lookup("songs") == again.digest(), expected, "{what:?}");
        }
    }
    assert_eq!(group.outcomes(), [Outcome::Kept; 4]);
    group.end();
}

/// What a start has brought goes back whole: no host runs the plugin of before with the songs of now.
#[test]
fn a_whole_group_goes_back_from_what_a_start_has_brought() {
    let (old, new) = (marked("former"), marked("latter"));
    let mut group = Group::start("brought", &old);
    group.sent = 80;
    group.world.send((0..80).map(play));
    let songs = group.hosts[0].lookup("songs");
    wait_until("what runs is kept", || {
        let archive = group.world.archive();
        let is_kept = |digest: &str| archive.fetch(digest).unwrap().is_some();
        is_kept(&old.digest()) && is_kept(&songs)
    });
    let (world, sent) = group.end();
    // The same songs in another file.
    let file = world.folder().join("songs.csv");
    let again = fs::read_to_string(&file).unwrap() + "\n";
    fs::write(&file, again).unwrap();

    let mut group = Group::start_in(world, &new, sent);
    assert_ne!(group.hosts[0].lookup("songs"), songs);
    let is_back = |host: &Host| {
        let current = host.current();
        [
            current["digest"] == old.digest(),
            current["lookups"]["songs"] == songs,
        ]
    };
    group.both_keep(&["rollback"], |hosts| {
        for [plugin, lookup] in hosts.each_ref().map(is_back) {
            assert_eq!(plugin, lookup, "half of it is back");
        }
    });
    assert_eq!(group.hosts.each_ref().map(is_back), [[true; 2]; 2]);
    group.end();
}
