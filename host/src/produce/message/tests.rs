use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use super::*;

const DESCRIPTION: &str = r#"
    people = 3
    me = "Ada"
    every = "10s"
    members = [
        { name = "who", value = "person" },
        { name = "what", value = "things.name" },
        { name = "stars", value = "1..5" },
        { name = "at", value = "now_ms" },
    ]
"#;

fn writer_of(description: &str, plan: &Plan) -> Writer {
    let cells = vec!["Él \"1\"".to_owned(), String::new(), "two\\".to_owned()];
    let description = toml::from_str(description).unwrap();
    Writer::new(&description, plan, &|_, _| Ok(cells.clone())).unwrap()
}

fn writer(plan: &Plan) -> Writer {
    writer_of(DESCRIPTION, plan)
}

fn texts(writer: &mut Writer, count: u64) -> Vec<serde_json::Value> {
    let mut text = |index| {
        let mut value: serde_json::Value =
            serde_json::from_slice(writer.good(index).value).unwrap();
        value["at"].take();
        value
    };
    (0..count).map(&mut text).collect()
}

#[test]
fn a_seed_gives_the_same_messages() {
    let plan = |seed| Plan {
        seed,
        ..Plan::default()
    };
    let (mut one, mut again, mut other) = (writer(&plan(1)), writer(&plan(1)), writer(&plan(2)));
    let first = texts(&mut one, 50);
    assert_eq!(first, texts(&mut again, 50));
    assert_ne!(first, texts(&mut other, 50));
    assert!(first.iter().any(|text| text["who"] == "Ada"));
    assert!(first.iter().any(|text| text["what"] == "Él \"1\""));
    assert!(first.iter().all(|text| text["what"] != ""));
}

#[test]
fn messages_look_as_python_writes_them() {
    let mut writer = writer(&Plan {
        people: Some(0),
        ..Plan::default()
    });
    let text = String::from_utf8(writer.good(0).value.to_vec()).unwrap();
    assert!(text.starts_with(r#"{"who": "Ada", "what": ""#), "{text}");
    assert!(text.is_ascii() && text.ends_with('}'), "{text}");
}

#[test]
fn nobody_does_two_things_at_once() {
    let mut writer = writer(&Plan::default());
    let mut seen = HashSet::new();
    for index in 0..1000 {
        let value: serde_json::Value = serde_json::from_slice(writer.good(index).value).unwrap();
        assert!(seen.insert((value["who"].to_string(), value["at"].to_string())));
    }
}

#[test]
fn bad_messages_are_bad_in_many_ways() {
    let mut writer = writer(&Plan::default());
    let mut seen = HashSet::new();
    for turn in 0..6 {
        let bad = writer.bad(turn, turn).value.to_vec();
        let found = serde_json::from_slice::<serde_json::Value>(&bad);
        let is_whole = found.is_ok_and(|value| value["at"].is_number());
        assert!(!is_whole, "{}", String::from_utf8_lossy(&bad));
        seen.insert(bad);
    }
    assert_eq!(seen.len(), 6);
}

#[test]
fn unknown_cells_are_called_after_their_member() {
    let mut writer = writer(&Plan {
        unknown_percent: 100.0,
        ..Plan::default()
    });
    let made = writer.good(0);
    assert!(made.is_unknown);
    let value: serde_json::Value = serde_json::from_slice(made.value).unwrap();
    let what = value["what"].as_str().unwrap();
    assert!(what.starts_with("Unknown What "), "{what}");
}

/// A time as a message has it, read again.
fn read(clock: &str, value: &serde_json::Value) -> Timestamp {
    let text = value.as_str().unwrap_or_default();
    let utc = |format| {
        let time = jiff::civil::DateTime::strptime(format, text).unwrap();
        time.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
    };
    match clock {
        "now_ms" => Timestamp::from_millisecond(value.as_i64().unwrap()).unwrap(),
        "now_iso" => text.parse().unwrap(),
        "now_iso_micros" => utc("%Y-%m-%dT%H:%M:%S%.f"),
        _ => utc("%Y-%m-%d %H:%M"),
    }
}

#[test]
fn times_are_written_as_they_are_called() {
    // A digit stands for any.
    for (clock, shape, unit_ms) in [
        ("now_ms", "0000000000000", 1),
        ("now_iso", "\"0000-00-00T00:00:00.000Z\"", 1),
        ("now_iso_micros", "\"0000-00-00T00:00:00.000000\"", 1),
        ("now_minute", "\"0000-00-00 00:00\"", 60_000),
    ] {
        let member = format!("members = [{{ name = \"at\", value = \"{clock}\" }}]");
        let text = format!("people = 0\nme = \"A\"\nevery = \"1s\"\n{member}");
        let mut writer = writer_of(&text, &Plan::default());
        let before = Timestamp::now().as_millisecond() / unit_ms;
        let value: serde_json::Value = serde_json::from_slice(writer.good(0).value).unwrap();
        let after = Timestamp::now().as_millisecond() / unit_ms;
        let found = value["at"].to_string();
        let found = found.replace(|letter: char| letter.is_ascii_digit(), "0");
        assert_eq!(found, shape, "{clock}");
        let time = read(clock, &value["at"]).as_millisecond() / unit_ms;
        assert!((before..=after).contains(&time), "{clock}: {value}");
    }
}

#[test]
fn people_take_turns_or_come_as_it_happens() {
    let turns = |count: u64| (0..count).map(|index| index % 4).collect::<Vec<_>>();
    let who = |order: &str, count| {
        let mut writer = writer_of(
            &format!("order = \"{order}\"{DESCRIPTION}"),
            &Plan::default(),
        );
        let names: HashMap<String, u64> = (0..)
            .zip(&writer.people)
            .map(|(at, person)| (person.name.clone(), at))
            .collect();
        let mut each = |index| {
            let made = writer.good(index);
            let value: serde_json::Value = serde_json::from_slice(made.value).unwrap();
            // What may become the key is the person that the message is about.
            assert_eq!(value["who"], made.person);
            assert_eq!(made.mine.is_some(), made.person == "Ada");
            names[made.person]
        };
        (0..count).map(&mut each).collect::<Vec<_>>()
    };
    assert_eq!(who("turns", 50), turns(50));
    let random = who("random", 400);
    assert_eq!(random, who("random", 400), "a seed draws the same people");
    assert_ne!(random, turns(400));
    for person in 0..4 {
        let share = random.iter().filter(|at| **at == person).count();
        assert!((60..140).contains(&share), "{person}: {share} of 400");
    }
}

#[test]
fn what_cannot_be_taken_from_a_list_is_told_with_its_name() {
    let refused = |cells: Result<Vec<String>, &'static str>| {
        let description = toml::from_str(DESCRIPTION).unwrap();
        let lists = |list: &str, column: &str| {
            assert_eq!((list, column), ("things", "name"));
            cells.clone().map_err(Into::into)
        };
        let refused = Writer::new(&description, &Plan::default(), &lists).err();
        refused.unwrap().to_string()
    };
    assert_eq!(refused(Err("torn")), "cells of `things`: torn");
    assert_eq!(
        refused(Ok(vec![String::new()])),
        "cells of `things`: column `name` has no cells"
    );
}

#[test]
fn no_message_is_longer_than_brokers_take() {
    // A member's cells are of so many bytes, with their quotes; braces, names and separators are the rest.
    let check = |members: usize, bytes: usize, expected: Option<&str>| {
        let members: Vec<_> = (0..members)
            .map(|number| format!("{{ name = \"m{number}\", value = \"things.name\" }}"))
            .collect();
        let members = members.join(", ");
        let text = format!("people = 1\nme = \"A\"\nevery = \"1s\"\nmembers = [{members}]");
        let (description, reads) = (toml::from_str(&text).unwrap(), Cell::new(0));
        let made = Writer::new(&description, &Plan::default(), &|_, _| {
            reads.set(reads.get() + 1);
            Ok(vec!["x".repeat(bytes - 2), "y".to_owned()])
        });
        assert_eq!(reads.get(), 1, "a column is read once");
        match (made, expected) {
            (Ok(mut writer), None) => {
                let long = (0..50).map(|index| writer.good(index).value.len()).max();
                assert!(long.unwrap() <= MESSAGE_BYTES_MAX);
            }
            (Err(error), Some(member)) => {
                let told = error.to_string();
                assert!(told.contains(&format!("`{member}` of `members`")), "{told}");
            }
            (made, _) => panic!("{:?} {expected:?}", made.err()),
        }
    };
    // `{"m0": ` and `}`.
    check(1, MESSAGE_BYTES_MAX - 8, None);
    check(1, MESSAGE_BYTES_MAX - 7, Some("m0"));
    check(3, 300_000, None);
    check(4, 300_000, Some("m3"));
    check(10_000, 1_000, Some("m990"));
}
