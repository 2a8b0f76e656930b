//! Which version a restart runs, after a swap and without one.

use std::fs;

use host::archive::cassandra::Cassandra;
use host::archive::{Archive, End, Outcome, Part, Trade};
use host::code::Code;
use host::sink::cassandra::Config;

use super::world::{World, play};
use crate::support::{cassandra, wait_until};

/// The carried plugin with a section that no one reads: another digest, the same rows.
fn marked(mark: &str) -> Part {
    let mut bytes = sluice_bundled::pipeline("spotify").unwrap().module.to_vec();
    let length = u8::try_from(mark.len()).unwrap();
    bytes.extend([0, length + 1, length]);
    bytes.extend(mark.bytes());
    let name = format!("{mark}.wasm");
    Part { name, bytes }
}

impl World {
    pub(super) fn archive(&self) -> Cassandra {
        let mut config = Config::new(self.name.clone());
        config.contact_points = vec![cassandra()];
        Cassandra::new(config, "spotify".to_owned(), self.name.clone())
    }

    /// Runs a plugin of a file to the end: what was said, and the danceability of the newest rows.
    fn run_plugin(&self, part: &Part, plays: std::ops::Range<usize>) -> (String, Vec<Option<f32>>) {
        fs::write(self.folder().join(&part.name), &part.bytes).unwrap();
        let newest = plays.clone();
        self.send(plays.map(play));
        let what = ["--plugin", &part.name, "--once", "--workers", "1"];
        let output = self.host(&what, &cassandra()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let rows = self.rows().into_iter();
        let mut rows: Vec<_> = rows.map(|((_, time), (_, dance))| (time, dance)).collect();
        rows.sort_by_key(|(time, _)| *time);
        let known = rows.into_iter().filter(|(_, dance)| dance.is_some());
        let newest = known.rev().take(newest.len() / 2).map(|(_, dance)| dance);
        (said, newest.collect())
    }

    fn code(&self, plugin: &Part) -> Code {
        let songs = fs::read(self.folder().join("songs.csv")).unwrap();
        let songs = Part {
            name: "songs.csv".to_owned(),
            bytes: songs,
        };
        Code {
            plugin: plugin.digest(),
            lookups: [("songs".to_owned(), songs.digest())].into(),
        }
    }
}

const TRADED: &str = "was traded away by a swap";

#[test]
fn a_restart_goes_on_with_what_a_swap_has_put_in_place() {
    let world = World::new("restarted");
    let (old, new) = (marked("old"), marked("new"));
    world.run_plugin(&old, 0..80);
    let replaced = world.code(&old);

    // Other files are a new deployment, as long as nobody has swapped.
    world.correct_songs("0.75");
    let (said, dances) = world.run_plugin(&new, 80..160);
    assert!(!said.contains(TRADED), "{said}");
    assert_eq!(dances, [Some(0.75); 40]);
    let code = world.code(&new);
    world.correct_songs("0.25");
    let (said, dances) = world.run_plugin(&old, 160..240);
    assert!(!said.contains(TRADED), "{said}");
    assert_eq!(dances, [Some(0.25); 40]);
    world.correct_songs("0.75");
    world.run_plugin(&new, 240..320);
    let begun = world.begun();

    // The same as a swap: then the old files are old ones, whichever of them.
    let archive = world.archive();
    wait_until("what ran is kept", || {
        let digests = [&code.plugin, &code.lookups["songs"]];
        digests
            .iter()
            .all(|digest| archive.fetch(digest).unwrap().is_some())
    });
    let trade = Trade {
        code,
        replaced,
        ..Trade::default()
    };
    let generation = archive.take(9, &trade).unwrap();
    world.correct_songs("0.25");
    for (plugin, plays) in [(&old, 320..400), (&new, 400..480)] {
        let (said, dances) = world.run_plugin(plugin, plays);
        assert!(
            said.contains(TRADED) && said.contains("swap --lookup songs=FILE"),
            "{said}"
        );
        let is_plugin_old = plugin == &old;
        assert_eq!(said.contains("swap FILE"), is_plugin_old, "{said}");
        assert_eq!(dances, [Some(0.75); 40]);
    }
    // It is no new generation of anything.
    assert_eq!(world.begun(), begun);

    // What was traded and rolled back is not.
    let end = End {
        outcome: Outcome::RolledBack,
        reason: String::new(),
        pause_us: 0,
    };
    archive.finish(generation, &end).unwrap();
    let (said, dances) = world.run_plugin(&old, 480..560);
    assert!(!said.contains(TRADED), "{said}");
    assert_eq!(dances, [Some(0.25); 40]);
}
