//! What is remembered of versions, in every store that does.

use std::collections::BTreeMap;
use std::fs;

use host::archive::directory::Directory;
use host::archive::{Archive, End, Outcome, Part, Trade};
use host::code::Code;

fn code(plugin: &str) -> Code {
    Code {
        plugin: plugin.to_owned(),
        lookups: BTreeMap::from([("songs".to_owned(), format!("songs of {plugin}"))]),
    }
}

fn trade(replaced: &str, plugin: &str) -> Trade {
    Trade {
        code: code(plugin),
        replaced: code(replaced),
        by: "Ada at her desk".to_owned(),
        diff: "3 of 5 rows change".to_owned(),
        is_deployment: false,
    }
}

/// `salt` makes the parts of this test its own.
fn check(archive: &dyn Archive, stranger: &dyn Archive, salt: &str) {
    // Nothing, one row that is full, and one with a little more.
    for (name, length) in [("a.wat", 0), ("b.wasm", 1 << 20), ("c.csv", (2 << 20) + 1)] {
        let mut bytes: Vec<u8> = salt
            .bytes()
            .chain(name.bytes())
            .cycle()
            .take(length)
            .collect();
        bytes.extend(salt.bytes().take(length.min(1)));
        let (name, part) = (
            name.to_owned(),
            Part {
                name: name.to_owned(),
                bytes,
            },
        );
        let digest = part.digest();
        if length > 0 {
            assert_eq!(archive.fetch(&digest).unwrap(), None, "{name}");
        }
        for _ in 0..2 {
            archive.keep(&part).unwrap();
            assert_eq!(
                archive.fetch(&digest).unwrap(),
                Some(part.clone()),
                "{name}"
            );
        }
        // Of whatever group.
        assert_eq!(stranger.fetch(&digest).unwrap(), Some(part), "{name}");
    }
    check_trades(archive, stranger);
}

fn check_trades(archive: &dyn Archive, stranger: &dyn Archive) {
    assert_eq!(archive.history(9).unwrap(), []);
    assert_eq!(archive.take(3, &trade("a", "b")).unwrap(), 3);
    assert_eq!(archive.take(2, &trade("b", "c")).unwrap(), 2);
    assert_eq!(archive.take(2, &trade("c", "d")).unwrap(), 4);
    assert_eq!(stranger.history(9).unwrap(), []);
    let end = |outcome, reason: &str, pause_us| End {
        outcome,
        reason: reason.to_owned(),
        pause_us,
    };
    archive.finish(4, &end(Outcome::Kept, "", 812)).unwrap();
    archive
        .finish(4, &end(Outcome::RolledBack, "it traps", 0))
        .unwrap();
    assert!(archive.finish(9, &end(Outcome::Kept, "", 0)).is_err());

    // Who has seen it to its end told it before somebody takes it for one that nobody saw.
    let unseen = end(Outcome::Unwatched, "nobody watched it", 0);
    let is_open = archive.finish_if(4, Outcome::Running, &unseen);
    assert!(!is_open.unwrap());

    let history = archive.history(2).unwrap();
    let numbers: Vec<u32> = history.iter().map(|entry| entry.generation).collect();
    assert_eq!(numbers, [4, 3]);
    let (last, before) = (&history[0], &history[1]);
    assert_eq!((&last.code, &last.replaced), (&code("d"), &code("c")));
    assert_eq!(
        (&*last.by, &*last.diff),
        ("Ada at her desk", "3 of 5 rows change")
    );
    assert_eq!(
        (last.outcome, &*last.reason),
        (Outcome::RolledBack, "it traps")
    );
    assert_eq!((last.pause_us, before.pause_us), (Some(812), None));
    assert_eq!(before.outcome, Outcome::Running);
    assert!(before.taken_ms > 1_700_000_000_000 && last.taken_ms >= before.taken_ms);

    let is_open = archive.finish_if(3, Outcome::Running, &unseen);
    assert!(is_open.unwrap());
    assert_eq!(archive.history(2).unwrap()[1].outcome, Outcome::Unwatched);

    let start = Trade {
        is_deployment: true,
        ..trade("c", "e")
    };
    assert_eq!(archive.take(4, &start).unwrap(), 5);
    assert_eq!(archive.history(1).unwrap()[0].outcome, Outcome::Deployed);
}

#[test]
fn a_directory_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("versions");
    let of = |group: &str| Directory::new(directory.clone(), "spotify", group);
    check(&of("a group/of mine"), &of("another"), "in a directory");

    // What is not what was kept is never run.
    let part = Part {
        name: "x.wasm".to_owned(),
        bytes: b"whole".to_vec(),
    };
    let archive = of("another");
    archive.keep(&part).unwrap();
    let file = directory.join(format!("{}.x.wasm", part.digest()));
    fs::write(&file, b"half").unwrap();
    let error = archive.fetch(&part.digest()).unwrap_err().to_string();
    assert!(error.contains("have the digest"), "{error}");
    fs::remove_file(&file).unwrap();
    archive.keep(&part).unwrap();
    assert_eq!(archive.fetch(&part.digest()).unwrap(), Some(part));
}

#[cfg(feature = "servers")]
mod servers {
    use host::archive::cassandra::Cassandra;
    use host::row::CqlType;
    use host::sink::Parameter;
    use host::sink::cassandra::Reader;

    use super::*;
    use crate::cassandra::Keyspace;

    const SCHEMA: &str = "
CREATE KEYSPACE t WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};
CREATE TABLE t.plays (name text PRIMARY KEY);
";

    #[test]
    fn cassandra_remembers() {
        let keyspace = Keyspace::of("archive", SCHEMA);
        let name = &keyspace.config.keyspace;
        let of = |group: &str| Cassandra::new(keyspace.config.clone(), name.clone(), group.into());
        check(&of("a group"), &of("another"), name);

        // A component whose keeping was cut off is not there, and is kept whole the next time.
        let part = Part {
            name: "x.wasm".to_owned(),
            bytes: name.repeat(100_000).into_bytes(),
        };
        let archive = of("a group");
        archive.keep(&part).unwrap();
        let reader = Reader::open(&keyspace.config).unwrap();
        let digest = part.digest();
        let parameter = Parameter {
            kind: CqlType::Text,
            cell: digest.clone().into_bytes(),
        };
        let without = |what: &str| {
            let statement = format!("DELETE {what} WHERE digest = ?");
            reader
                .run(&statement, std::slice::from_ref(&parameter))
                .unwrap();
        };
        without("size FROM sluice.plugins");
        assert_eq!(archive.fetch(&digest).unwrap(), None);
        archive.keep(&part).unwrap();
        assert_eq!(archive.fetch(&digest).unwrap(), Some(part.clone()));
        // Nor is it there without its middle.
        let chunk = format!("DELETE FROM sluice.plugins WHERE digest = '{digest}' AND chunk = 1");
        reader.execute(&chunk).unwrap();
        let error = archive.fetch(&digest).unwrap_err().to_string();
        assert!(error.contains("have the digest"), "{error}");
        without("FROM sluice.plugins");
        archive.keep(&part).unwrap();
        assert_eq!(archive.fetch(&digest).unwrap(), Some(part));
    }
}
