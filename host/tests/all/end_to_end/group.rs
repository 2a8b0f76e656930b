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
        let (_, status) = get(&self.address, "/api/v1/plugins");
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["current"]["digest"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// One host of the group after the other swaps, and none after the first that does not keep it.
#[test]
fn a_whole_group_swaps_until_one_host_does_not_keep_it() {
    let world = World::new("ordered");
    let (old, new, late) = (marked("old"), marked("new"), marked("late"));
    let bad = Part {
        name: "bad.wasm".to_owned(),
        bytes: candidate("version=2.0.0"),
    };
    for part in [&new, &late, &bad] {
        fs::write(world.folder().join(&part.name), &part.bytes).unwrap();
    }
    let hosts = [(); 2].map(|()| Host::start(&world, &old));
    let run = |part: &Part| hosts.each_ref().map(|host| host.digest() == part.digest());
    wait_until("the group", || hosts.iter().all(Host::is_ready));
    wait_until("both hosts", || {
        let of = format!("pipeline = 'spotify' AND consumer_group = '{}'", world.name);
        let query = format!("SELECT member FROM sluice.members WHERE {of}");
        world.ask::<(String,)>(&query).len() == 2
    });

    // While messages come, it stands its probation in both.
    let order = |file: &str| {
        let what = ["swap", file, "--whole-group"];
        hosts[0].ask(&world, &what).spawn().unwrap()
    };
    let said = |child: std::process::Child| {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said)
    };
    let (mut sent, mut versions) = (0, Vec::new());
    let mut child = order("new.wasm");
    wait_until("the order", || {
        // No more than the hosts keep up with.
        if world.committed() == sent as i64 {
            world.send((sent..sent + 800).map(play));
            sent += 800;
        }
        versions.push(run(&new));
        child.try_wait().unwrap().is_some()
    });
    let (code, told) = said(child);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("runs it: 2"), "{told}");
    assert!(versions.iter().any(|[one, other]| one != other));
    assert_eq!(run(&new), [true, true]);
    let history = world.archive().history(9).unwrap();
    let outcomes: Vec<_> = history.iter().map(|trade| trade.outcome).collect();
    assert_eq!(outcomes, [Outcome::Kept; 2]);

    // What the first refuses, and what it takes back, nobody else tries.
    let (code, told) = said(order("bad.wasm"));
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("  refused: ") && told.contains("stopped: "),
        "{told}"
    );
    let child = order("late.wasm");
    wait_until("the first", || run(&late) != [false, false]);
    let first = &hosts[usize::from(run(&late)[1])];
    assert!(first.ask(&world, &["rollback"]).status().unwrap().success());
    let (code, told) = said(child);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("  rolled back: ") && told.contains("stopped: "),
        "{told}"
    );
    assert_eq!(run(&new), [true, true]);

    wait_until("the rows", || world.committed() == sent as i64);
    assert_eq!(world.rows(), world::expected(0..sent));
    for mut host in hosts {
        assert_eq!(host.child.stop(), Some(0));
    }
}
