//! `host dlq`: what was refused goes through a mended pipeline, once.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use expect_test::expect;
use host::sink::Letters as _;
use host::sink::dead_letter;
use host::source::letters::{File, Store};

use crate::dead_letters::{batch, origin};
use crate::support::host;

/// What a store has, as text.
pub(crate) fn kept(store: &mut dyn Store) -> String {
    let mut text = String::new();
    while let Some(entry) = store.next().unwrap() {
        let letter = entry.letter.expect("all are letters");
        let bytes = |part: &Option<Vec<u8>>| {
            let text = part.as_deref().map(|part| part.escape_ascii().to_string());
            text.unwrap_or_else(|| "-".to_owned())
        };
        text += &format!(
            "{}/{}/{} at {} of {:?}: {} {} {}: {}; {} {} {}; {}={} [{}]\n",
            letter.topic,
            letter.partition,
            letter.offset,
            letter.timestamp,
            letter.write_time,
            letter.stage,
            letter.code,
            entry.is_settled,
            letter.reason,
            letter.plugin,
            letter.version,
            letter.digest,
            bytes(&letter.key),
            bytes(&letter.value),
            letter.headers.escape_ascii(),
        );
    }
    text
}

#[test]
fn letters_in_a_file_are_the_messages_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = dead_letter::File::open(folder.path(), origin()).unwrap();
    let batch = batch();
    file.start(&batch, &batch.rejected);
    file.poll(Duration::ZERO).unwrap().unwrap();
    let mut letters = File::read(folder.path()).unwrap();
    expect![[r#"
        plays/3/5 at 1772467200000 of Some(1772467200000000): transform unknown_song false: song 0 is not known; spotify 0.1.0 ab12; ada=not JSON []
        plays/3/6 at 1772467200000 of Some(1772467200000000): transform unknown_song false: song 1 is not known; spotify 0.1.0 ab12; -=- [\x00\x02\x00\x00\x00\x01a\x00\x00\x00\x02hi\x00\x00\x00\x0esluice.attempt\x00\x00\x00\x012]
    "#]].assert_eq(&kept(&mut letters));
    assert!(File::change(folder.path(), Default::default()).is_err());
    drop(file);
    let _alone = File::change(folder.path(), Default::default()).unwrap();
    assert!(dead_letter::File::open(folder.path(), origin()).is_err_and(|e| e.is_transient()));
}

const HEADER: &str = "name,artists,duration_ms,album_name,album_release_date,danceability,energy,key,\
    loudness,mode,speechiness,acousticness,instrumentalness,liveness,valence,tempo";
const DETAILS: &str = "A,1,B,2020-01-01,0.5,0.5,1,-5,1,0.1,0.1,0.1,0.1,0.1,100";

/// The second is refused until its song is known; the third has its key, and is newer.
const MESSAGES: &str = r#"{"id": 1, "name": "Ada", "song": "One", "time": "2026-03-02 16:01"}
{"id": 2, "name": "Ada", "song": "Two", "time": "2026-03-02 16:02"}
{"id": 3, "name": "Ada", "song": "One", "time": "2026-03-02 16:02"}
not JSON
{"id": 4, "name": "Bo", "song": "Two", "time": "2026-03-02 16:03"}
"#;

/// Runs a line in a folder; what it prints.
fn run(folder: &Path, line: &str) -> (Output, String) {
    let mut host = host();
    host.current_dir(folder).args(line.split(' '));
    host.env("SLUICE_REJECTIONS__UNKNOWN_SONG", "dead-letter");
    let output = host.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, said)
}

/// As [`run`], of what must succeed.
#[track_caller]
fn said(folder: &Path, line: &str) -> String {
    let (output, said) = run(folder, line);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {complaint}");
    said
}

fn table(folder: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(folder.join("out/spotify.db")).unwrap();
    let query = "SELECT id, name, song, time FROM listening_history ORDER BY time";
    let mut query = database.prepare(query).unwrap();
    let rows = query.query_map([], |row| {
        let (id, name, song): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("{id} {name} {song} {}", row.get::<_, String>(3)?))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// A folder with the letters of messages, two of which are refused for a song that is not known.
fn refused() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("plays.jsonl", MESSAGES);
    write("few.csv", &format!("{HEADER}\nOne,{DETAILS}\n"));
    write(
        "all.csv",
        &format!("{HEADER}\nOne,{DETAILS}\nTwo,{DETAILS}\n"),
    );
    let line =
        "--plugin listening-history --source plays.jsonl --sink sqlite:out --lookup songs=few.csv";
    let first = said(folder.path(), line);
    assert!(
        first.contains("in 5 = written 2 + filtered 0 + dead letters 3"),
        "{first}"
    );
    folder
}

const WRITTEN: [&str; 2] = ["1 Ada One 2026-03-02 16:01", "3 Ada One 2026-03-02 16:02"];
const DLQ: &str = "listening-history --sink sqlite:out";

#[test]
fn letters_are_listed_and_shown() {
    let folder = refused();
    let time = said(folder.path(), &format!("dlq ls {DLQ} --json"));
    let time: serde_json::Value = serde_json::from_str(&time).unwrap();
    assert_eq!(
        time["codes"],
        serde_json::json!({"bad_json": 1, "unknown_song": 2})
    );
    let time = jiff::Timestamp::from_millisecond(time["shown"][0]["timestamp"].as_i64().unwrap());
    let time = time.unwrap().to_string();
    let listed = said(folder.path(), &format!("dlq ls {DLQ} --limit 2"));
    // A time that ends in zeros is shorter, and its column narrower.
    let listed = listed.replace(&format!("time{:1$}", "", time.len() - 4), "time");
    expect![[r#"
        out: 3 dead letters: bad_json 1, unknown_song 2
        message          code          stage      time  key  reason
        plays.jsonl/0/1  unknown_song  transform  TIME  -    no song is called `Two`
        plays.jsonl/0/3  bad_json      decode     TIME  -    an unknown word at byte 0
        1 more; --limit shows them
    "#]]
    .assert_eq(&listed.replace(&time, "TIME"));
    let none = said(folder.path(), &format!("dlq ls {DLQ} --code trap"));
    expect![[r#"
        out: 0 dead letters
        3 others: not of this pipeline, or not asked for
    "#]]
    .assert_eq(&none);
    let shown = said(folder.path(), &format!("dlq show {DLQ} plays.jsonl/0/3"));
    assert_eq!(shown, said(folder.path(), &format!("dlq show {DLQ} 0/3")));
    for line in [
        "message     plays.jsonl/0/3\n",
        "code        bad_json\n",
        "value       not JSON\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let (missing, _) = run(folder.path(), &format!("dlq show {DLQ} 0/0"));
    assert_eq!(missing.status.code(), Some(1));
    let empty = tempfile::tempdir().unwrap();
    fs::create_dir(empty.path().join("out")).unwrap();
    let nothing = said(empty.path(), &format!("dlq ls {DLQ}"));
    assert_eq!(nothing, "out: 0 dead letters\n");
}

#[test]
fn what_is_mended_is_written_once_and_what_is_not_stays() {
    let folder = refused();
    let folder = folder.path();
    assert_eq!(table(folder), WRITTEN);
    let file = folder.join("out/dead-letters.jsonl");
    let before = fs::read_to_string(&file).unwrap();

    // Nothing is mended yet: all are refused again, and are the letters they were.
    let same = said(folder, &format!("dlq redrive {DLQ} --lookup songs=few.csv"));
    assert!(
        same.contains("in 3 = written 0 + filtered 0 + dead letters 3 + pending 0"),
        "{same}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), before);

    // Only those that are asked for, through the plugin that is given.
    let module = sluice_bundled::pipeline("listening-history")
        .unwrap()
        .module;
    fs::write(folder.join("fixed.wasm"), module).unwrap();
    let mended = "--lookup songs=all.csv --plugin fixed.wasm";
    let other = said(
        folder,
        &format!("dlq redrive {DLQ} {mended} --code bad_json"),
    );
    assert!(
        other.contains("in 1 = written 0 + filtered 0 + dead letters 1"),
        "{other}"
    );
    assert_eq!(table(folder), WRITTEN);

    // The late write of the second message undoes nothing of the third.
    let done = said(folder, &format!("dlq redrive {DLQ} {mended}"));
    assert!(
        done.contains("in 3 = written 2 + filtered 0 + dead letters 1 + pending 0"),
        "{done}"
    );
    let all = [&WRITTEN[..], &["4 Bo Two 2026-03-02 16:03"]].concat();
    assert_eq!(table(folder), all);
    let left = before
        .lines()
        .find(|line| line.contains("bad_json"))
        .unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{left}\n"));

    let again = said(folder, &format!("dlq redrive {DLQ} {mended}"));
    assert!(
        again.contains("in 1 = written 0 + filtered 0 + dead letters 1"),
        "{again}"
    );
    assert_eq!(table(folder), all);
    let files: Vec<_> = fs::read_dir(folder.join("out"))
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert!(files.iter().all(|name| name != "redrive"), "{files:?}");
}

#[test]
fn letters_are_dropped_when_that_is_meant() {
    let folder = refused();
    let folder = folder.path();
    let (asked, _) = run(folder, &format!("dlq drop {DLQ}"));
    assert_eq!(asked.status.code(), Some(1));
    let said_no = String::from_utf8_lossy(&asked.stderr);
    assert!(said_no.contains("nothing was changed"), "{said_no}");
    for (flags, left) in [
        ("--code trap", 3),
        ("--before 2020-01-01", 3),
        ("--code bad_json --before 2100-01-01", 2),
        ("", 0),
    ] {
        let line = format!("dlq drop {DLQ} --yes {flags}");
        said(folder, line.trim());
        let file = fs::read_to_string(folder.join("out/dead-letters.jsonl")).unwrap();
        assert_eq!(file.lines().count(), left, "{flags}");
    }
}
