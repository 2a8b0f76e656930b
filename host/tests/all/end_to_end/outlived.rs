//! A swap and the processes after it.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use super::child::Child;
use super::restart::{TRADED, marked};
use super::world::{self, World, play};
use crate::support::{cassandra, host, wait_until};

impl World {
    fn run_told(&self) -> Child {
        let directory = self.folder().join("run");
        let directory = directory.to_str().unwrap();
        self.start_with(
            &["--admin", "127.0.0.1:0"],
            &[("XDG_RUNTIME_DIR", directory)],
        )
    }

    fn ask_host(&self, arguments: &[&str]) -> String {
        let mut asking = host();
        asking.args(arguments).current_dir(self.folder());
        let output = asking
            .env("XDG_RUNTIME_DIR", self.folder().join("run"))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// What the host tells of its versions; nothing, as long as it does not.
    fn versions(&self) -> Value {
        let told = self.ask_host(&["status", "--json"]);
        let told: Value = serde_json::from_str(&told).unwrap_or_default();
        told["versions"].clone()
    }

    /// Sends more plays, and waits until they are rows, and that this is what runs.
    fn goes_on(&self, plays: std::ops::Range<usize>, digest: &str, generation: u64) {
        let end = plays.end;
        self.send(plays.map(play));
        wait_until("the rows", || self.rows() == world::expected(0..end));
        wait_until("the version", || {
            let current = &self.versions()["current"];
            current["digest"] == digest && current["generation"] == generation
        });
    }
}

#[test]
fn a_swap_outlives_its_process_and_can_be_taken_back_by_the_next() {
    let world = World::new("outlived");
    let carried = sluice_bundled::pipeline("spotify").unwrap().module;
    let old = host::archive::Part {
        name: String::new(),
        bytes: carried.to_vec(),
    };
    let (old, new) = (old.digest(), marked("outliving"));
    fs::write(world.folder().join("new.wasm"), &new.bytes).unwrap();
    let new = new.digest();

    let mut first = world.run_told();
    world.goes_on(0..80, &old, 0);
    let said = world.ask_host(&["swap", "new.wasm", "--yes", "--json", "--wait", "0s"]);
    assert!(said.contains(r#""event":"traded""#), "{said}");
    world.goes_on(80..160, &new, 1);
    first.kill();

    // Its own file is an old one now.
    let mut second = world.run_told();
    world.goes_on(160..240, &new, 1);
    let versions = world.versions();
    let last = &versions["history"][0];
    assert_eq!(
        (&last["generation"], &last["code"]["plugin"]),
        (&1.into(), &new.clone().into())
    );
    wait_until("what the group runs", || {
        let group = &world.versions()["group"];
        let is_whole = group[0]["partitions"]
            .as_array()
            .is_some_and(|all| all.len() == 8);
        is_whole && group[0]["code"]["plugin"] == new && group[1].is_null()
    });
    let said = world.ask_host(&["rollback", "--yes", "--json", "--wait", "0s"]);
    assert!(said.contains(r#""event":"traded""#), "{said}");
    world.goes_on(240..320, &old, 2);
    assert_eq!(second.stop(), Some(0));
    for told in [TRADED, "this host does not watch it: unless another host"] {
        assert!(second.said().contains(told), "{}", second.said());
    }

    // And is not an old one any more.
    let mut third = world.run_told();
    world.goes_on(320..400, &old, 2);
    assert_eq!(third.stop(), Some(0));
    assert!(!third.said().contains(TRADED), "{}", third.said());

    // A file that no trade knows is a deployment, and there is a way back from that, too.
    let last = marked("deployed");
    fs::write(world.folder().join(&last.name), &last.bytes).unwrap();
    let mut fourth = world.host(&["--plugin", &last.name], &cassandra());
    fourth.args(["--admin", "127.0.0.1:0", "--progress", "json"]);
    fourth.env("XDG_RUNTIME_DIR", world.folder().join("run"));
    let mut fourth = Child::start(fourth.stdin(Stdio::null()));
    world.goes_on(400..480, &last.digest(), 3);
    let told = &world.versions()["history"][0];
    assert_eq!(
        (
            &told["outcome"],
            &told["generation"],
            &told["replaced"]["plugin"]
        ),
        (&"deployed".into(), &3.into(), &old.clone().into())
    );
    let said = world.ask_host(&["rollback", "--yes", "--json", "--wait", "0s"]);
    assert!(said.contains(r#""event":"traded""#), "{said}");
    world.goes_on(480..560, &old, 4);
    assert_eq!(fourth.stop(), Some(0));
}
