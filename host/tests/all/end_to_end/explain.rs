//! What is told of one message: its rows, and what made them.

use std::fs;

use host::archive::{Archive, Part};
use serde_json::{Value, json};

use super::world::{World, play};
use crate::support::{cassandra, wait_until};

impl World {
    fn told(&self, message: &str, flags: &[&str]) -> String {
        let mut host = self.host(
            &["explain", message, "--plugin", "spotify.wasm"],
            &cassandra(),
        );
        let output = host.args(flags).output().unwrap();
        let said = [&output.stdout[..], &output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    }

    fn explain(&self, message: &str) -> Value {
        let told = self.told(message, &["--json"]);
        serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}"))
    }

    /// Waits until the reference data of now is kept.
    fn keeps_songs(&self) {
        let bytes = fs::read(self.folder().join("songs.csv")).unwrap();
        let name = "songs.csv".to_owned();
        let digest = Part { name, bytes }.digest();
        let archive = self.archive();
        wait_until("the lookup is kept", || {
            archive.fetch(&digest).unwrap().is_some()
        });
    }
}

/// Generation, danceability that is made, danceability in the table, and how the two compare.
fn row(told: &Value) -> Value {
    let row = &told["rows"][0];
    let made = &row["made"]["danceability"];
    let stands = &row["in_table"]["danceability"];
    json!([told["generation"], made, stands, row["stands"]])
}

#[test]
fn a_message_is_explained_by_the_version_that_read_it() {
    let world = World::new("explained");
    world.send((0..80).map(play).chain(["not JSON".to_owned()]));
    world.run_once(&[]);
    world.keeps_songs();

    let told = world.explain("2/9");
    assert_eq!(told["topic"], *world.name);
    assert_eq!(
        (&told["committed"], &told["outcome"]),
        (&json!(true), &json!("written"))
    );
    assert_eq!(told["rows"][0]["made"]["name"], "person 24");
    assert_eq!(row(&told), json!([0, 0.25, 0.25, "same"]));
    let text = world.told(&format!("{}/2/9", world.name), &[]);
    for words in [
        "stands in the table as it was made",
        "0, from offset 0 on",
        "person 24",
    ] {
        assert!(text.contains(words), "{words:?} is not said:\n{text}");
    }

    // The dead letter of a bad one, and one that is not there.
    let told = world.explain("0/10");
    assert_eq!(
        (&told["outcome"], &told["reason_code"]),
        (&json!("rejected"), &json!("bad_json"))
    );
    let text = world.told("0/10", &[]);
    assert!(text.contains(&format!("`{}.dlq`", world.name)), "{text}");
    let text = world.told("0/11", &[]);
    assert!(text.contains("holds 0 to 11"), "{text}");
    assert!(
        world.told("8/0", &[]).contains("does not know who"),
        "{text}"
    );

    // Other reference data: the old messages are still those of the old one.
    world.correct_songs("0.75");
    world.send((80..160).map(play));
    world.run_once(&[]);
    world.keeps_songs();
    assert_eq!(row(&world.explain("2/9")), json!([0, 0.25, 0.25, "same"]));
    assert_eq!(row(&world.explain("2/19")), json!([1, 0.75, 0.75, "same"]));

    // Not read yet.
    world.send((160..176).map(play));
    let told = world.explain("2/20");
    assert_eq!(
        (row(&told), &told["committed"]),
        (json!([1, 0.75, null, "gone"]), &json!(false))
    );
    world.run_once(&[]);

    // Read again by what corrects them.
    let (code, said) = world.replay(&["--from-beginning", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    world.run_once(&[]);
    assert_eq!(row(&world.explain("2/9")), json!([2, 0.75, 0.75, "same"]));
    world.overwrite("person 24");
    assert_eq!(row(&world.explain("2/9")), json!([2, 0.75, 0.5, "other"]));
}
