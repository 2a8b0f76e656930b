//! Which version a restart runs, after a swap and without one.

use std::fs;
use std::net::TcpStream;
use std::process::Stdio;

use host::archive::cassandra::Cassandra;
use host::archive::{Archive, End, Outcome, Part, Trade};
use host::code::Code;
use host::sink::cassandra::Config;
use serde_json::json;

use super::child::Child;
use super::readiness::free_address;
use super::world::{self, TIME_MS, World, play};
use crate::admin::pause::ask_host;
use crate::admin::{Scrape, get};
use crate::support::{cassandra, wait_until};

/// The carried plugin with a section that no one reads: another digest, the same rows.
pub(super) fn marked(mark: &str) -> Part {
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

    /// Has a plugin work on 80 plays, and a trade of its songs cut off in the middle: half of the partitions
    /// are the new version's.
    fn cut_off(&self, plugin: &Part) {
        self.run_plugin(plugin, 0..80);
        let replaced = self.code(plugin);
        self.correct_songs("0.75");
        let songs = fs::read(self.folder().join("songs.csv")).unwrap();
        let (name, code) = ("songs.csv".to_owned(), self.code(plugin));
        let songs = Part { name, bytes: songs };
        let archive = self.archive();
        archive.keep(&songs).unwrap();
        let trade = Trade {
            code: code.clone(),
            replaced: replaced.clone(),
            ..Trade::default()
        };
        assert_eq!(archive.take(1, &trade).unwrap(), 1);
        for (partitions, generation, code) in [(0..4, 1, &code), (4..8, 0, &replaced)] {
            let metadata = json!({
                "format": 1,
                "generation": generation,
                "plugin": code.plugin,
                "lookups": code.lookups,
            });
            self.commit(partitions, 10, &metadata.to_string());
        }
        self.correct_songs("0.25");
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

pub(super) const TRADED: &str = "was traded away by a swap";

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

/// By a crash between the trades of two workers: the rows that the old one wrote and did not commit may
/// have other keys, so that nobody would write over them.
#[test]
fn what_a_trade_was_cut_off_from_is_ended_by_the_version_that_began_it() {
    let world = World::new("cut_off");
    let plugin = marked("old");
    world.cut_off(&plugin);
    // 5 messages of each partition are in the log since.
    let (said, _) = world.run_plugin(&plugin, 80..120);
    assert!(
        said.contains("another version has ended what it began"),
        "{said}"
    );

    // Even messages are of even partitions.
    let made: Vec<_> = world.rows().into_iter().collect();
    let of = |play: i64, partition: i64| play >= 80 && play % 8 == partition;
    for partition in [0, 2, 4, 6] {
        let dances = made.iter().filter_map(|((_, time), (_, dance))| {
            of((time - TIME_MS) % 1_000, partition).then_some((*dance)?)
        });
        let expected = if partition < 4 { 0.75 } else { 0.25 };
        assert_eq!(dances.collect::<Vec<_>>(), [expected; 5], "{partition}");
    }
    // From here on all is the new one's, in the generation after what the old one ended.
    let (said, dances) = world.run_plugin(&plugin, 120..200);
    assert!(
        !said.contains("another version has ended what it began"),
        "{said}"
    );
    assert_eq!(dances, [Some(0.75); 40]);
    let begun = world.begun();
    let first = (0..8).map(|partition| (0, partition, 0));
    // Nobody had written down where the first half began.
    let second = (0..4).map(|partition| (1, partition, 10));
    let third = (0..8).map(|partition| (2, partition, 15));
    assert!(
        first.chain(second).chain(third).eq(begun.clone()),
        "{begun:?}"
    );
}

/// Who pauses a host pauses what another version reads in it, too.
#[test]
fn what_another_version_ends_is_paused_with_the_rest() {
    const PLAYS: usize = 4_000;
    let world = World::new("paused_tail");
    let (plugin, address) = (marked("old"), free_address());
    world.cut_off(&plugin);
    world.send((80..PLAYS).map(play));
    let mut host = world.host(&["--plugin", &plugin.name], &cassandra());
    host.args(["--progress", "json", "--workers", "1", "--admin", &address]);
    host.env("XDG_RUNTIME_DIR", world.folder().join("run"));
    // A message a batch, so that the tail is long.
    host.env("SLUICE_BATCH__MESSAGES_MAX", "1");
    let mut child = Child::start(host.stdin(Stdio::null()));
    wait_until("the admin address", || TcpStream::connect(&address).is_ok());
    let scrape = || Scrape::parse(&get(&address, "/metrics").1);
    let written = || scrape().sum("sluice_messages_written_total");
    // Of the own version's partitions there is as much.
    let half = (PLAYS - 80) as f64 / 2.0;
    wait_until("the tail and some more", || written() > 0.0);
    let (code, said) = ask_host(world.folder(), &["pause"]);
    assert_eq!(code, Some(0), "{said}");
    let paused = |least: f64| {
        wait_until("some time to pass", || {
            let waited = r#"sluice_backpressure_seconds_total{room="pause"}"#;
            scrape().value(waited).is_some_and(|waited| waited > least)
        });
    };
    paused(0.5);
    let before = written();
    assert!(before < half, "the tail may be over: {before}");
    paused(1.5);
    assert_eq!(written(), before);
    let (code, said) = ask_host(world.folder(), &["resume"]);
    assert_eq!(code, Some(0), "{said}");
    wait_until("all of it", || world.committed() == PLAYS as i64);
    assert_eq!(child.stop(), Some(0));
    assert!(
        child
            .said()
            .contains("another version has ended what it began"),
        "{}",
        child.said()
    );
    assert_eq!(world.rows().len(), world::expected(0..PLAYS).len());
}
