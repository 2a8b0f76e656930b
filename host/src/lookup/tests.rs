use super::*;

fn declared(columns: &[(&str, CqlType)]) -> Declared {
    let mut columns = columns.iter().map(|(name, kind)| Column {
        name: (*name).to_owned(),
        kind: *kind,
    });
    Declared {
        name: "songs".to_owned(),
        key: columns.next().unwrap(),
        columns: columns.collect(),
    }
}

const SONGS: &[(&str, CqlType)] = &[
    ("name", CqlType::Text),
    ("key", CqlType::Tinyint),
    ("artist", CqlType::Text),
];

fn read(csv: &str) -> Result<Lookup, Error> {
    Lookup::read(
        "songs.csv",
        csv.as_bytes(),
        &declared(SONGS),
        &Options::default(),
    )
}

/// What a search for one name finds, as the two cells.
fn find(lookup: &Lookup, name: &str) -> Option<Vec<Option<Vec<u8>>>> {
    let (mut cells, mut lengths) = (vec![], vec![]);
    let length = i32::try_from(name.len()).unwrap();
    lookup.find(name.as_bytes(), &[length], &mut cells, &mut lengths);
    (lengths != [-1]).then(|| {
        let cells = crate::row::Cells::new(&cells);
        cells
            .map(|cell| match cell {
                crate::row::Cell::Value(cell) => Some(cell.to_vec()),
                crate::row::Cell::Null | crate::row::Cell::Unset => None,
            })
            .collect()
    })
}

#[test]
fn files_of_every_form() {
    let some = |bytes: &[u8]| Some(bytes.to_vec());
    let check = |csv: &str, name: &str, want: Option<[Option<Vec<u8>>; 2]>| {
        let lookup = read(csv).unwrap_or_else(|error| panic!("{csv:?}: {error}"));
        assert_eq!(find(&lookup, name), want.map(Vec::from), "{csv:?} {name:?}");
    };
    check(
        "name,key,artist\nA,1,X\n",
        "A",
        Some([some(&[1]), some(b"X")]),
    );
    check(
        "\u{feff}name,key,artist\r\nA,1,X\r\n",
        "A",
        Some([some(&[1]), some(b"X")]),
    );
    check(
        "artist,more,key,name\nX,?,-1,A",
        "A",
        Some([some(&[255]), some(b"X")]),
    );
    check("name,key,artist\nA,,\n", "A", Some([None, None]));
    check("name,key,artist\nA,\"\",X\r", "A", Some([None, some(b"X")]));
    check(
        "name,key,artist\n\"a \"\"b\"\", c\",1,\"two\r\nlines\"\n",
        "a \"b\", c",
        Some([some(&[1]), some(b"two\r\nlines")]),
    );
    check(
        "name,key,artist\n\nA,1,X\n\n\n",
        "A",
        Some([some(&[1]), some(b"X")]),
    );
    check(
        "name,key,artist\nA,1,X\nA,2,Y\n",
        "A",
        Some([some(&[1]), some(b"X")]),
    );
    check("name,key,artist\n,1,X\n", "", None);
    check("name,key,artist\n A,1,X\n", "A", None);
    check("name,key,artist\nA,1,X\n", "a", None);
    check(
        "name,key,artist\nÄ 歌,1,X",
        "Ä 歌",
        Some([some(&[1]), some(b"X")]),
    );
    check("name,key,artist", "A", None);
}

#[test]
fn broken_files_are_refused_with_their_line() {
    let check = |csv: &[u8], want: &str| {
        let read = Lookup::read("songs.csv", csv, &declared(SONGS), &Options::default());
        assert_eq!(
            read.map(|_| ()).map_err(|error| error.to_string()),
            Err(want.to_owned())
        );
    };
    check(
        b"name,key,artist\nA,1\n",
        "songs.csv, line 2: there are 2 cells, not 3",
    );
    check(
        b"name,key,artist\n\"A\n\n\",1,X,\n",
        "songs.csv, line 2: there are 4 cells, not 3",
    );
    check(
        b"name,key,artist\nA,1,X\n\"B,1,X\nC,1,X\n",
        "songs.csv, line 3: a quote is opened here and never closed",
    );
    check(
        b"name,key,artist\n\"A\"B,1,X\n",
        "songs.csv, line 2: there is text after a closing quote",
    );
    check(
        b"name,key,artist\nA\"B\",1,X\n",
        "songs.csv, line 2: there is a quote in a cell that does not begin with one",
    );
    check(
        b"name,key,artist\nA\xff,1,X\n",
        "songs.csv, line 2: byte 2 of the line is not UTF-8",
    );
    check(
        b"name,key,artist\n\"\n\",1,X\nA,300,X\n",
        "songs.csv, line 4, column `key`: \"300\" is not of type tinyint",
    );
    check(
        b"names,key,artist\n",
        "songs.csv has no column `name`: did you mean `names`?",
    );
    check(b"", "songs.csv has no column `name`");
    check(
        b"name,key,artist,key\n",
        "songs.csv, line 1: the header has column `key` twice",
    );
}

#[test]
fn a_file_without_header_has_the_declared_order() {
    let options = Options { header: false };
    let read = |csv: &[u8]| Lookup::read("f", csv, &declared(SONGS), &options);
    let lookup = read(b"A,1,X\nB,2,Y\n").unwrap();
    assert_eq!(
        find(&lookup, "B"),
        Some(vec![Some(vec![2]), Some(b"Y".to_vec())])
    );
    assert!(read(b"A,1\n").is_err());
}

#[test]
fn many_keys_are_all_found_at_once() {
    let keys = 5_000;
    let mut csv = "name,key,artist\n".to_owned();
    (0..keys).for_each(|key| csv += &format!("song {key},{},artist {key}\n", key % 100));
    csv += "song 7,1,again\nsong 7,1,again\n";
    let lookup = read(&csv).unwrap();
    assert_eq!((lookup.len(), lookup.duplicates()), (keys, 2));
    let (mut bytes, mut lengths, mut cells, mut found) = (vec![], vec![], vec![], vec![]);
    for key in 0..keys + 100 {
        let name = format!("song {key}");
        bytes.extend(name.as_bytes());
        lengths.push(i32::try_from(name.len()).unwrap());
        if key % 3 == 0 {
            lengths.push(-1);
        }
    }
    lookup.find(&bytes, &lengths, &mut cells, &mut found);
    assert_eq!(found.len(), lengths.len());
    assert_eq!(found.iter().filter(|length| **length >= 0).count(), keys);
    let sum: i32 = found.iter().filter(|length| **length >= 0).sum();
    assert_eq!(usize::try_from(sum).unwrap(), cells.len());
    assert_eq!(
        column("f", csv.as_bytes(), "artist", &Options::default()).unwrap()[7],
        "artist 7"
    );
}

#[test]
fn columns_without_a_header_are_called_by_number() {
    let options = Options { header: false };
    let csv = b"One,1\n\"Two, or \"\"2\"\"\",\nThree,3\n";
    let cells = |name| column("f.csv", csv, name, &options);
    assert_eq!(cells("1").unwrap(), ["One", "Two, or \"2\"", "Three"]);
    assert_eq!(cells("2").unwrap(), ["1", "3"]);
    for name in ["0", "3", "title", "-1", ""] {
        let refused = cells(name).unwrap_err().to_string();
        let expected =
            format!("f.csv has no column `{name}`: without a header its columns are called 1 to 2");
        assert_eq!(refused, expected);
    }
}

#[test]
fn the_digest_is_that_of_the_bytes() {
    let want = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hex_digest(b""), want);
}

#[test]
fn a_lookup_may_answer_with_nothing_but_whether_it_knows() {
    let title = Declared {
        columns: vec![],
        ..declared(SONGS)
    };
    for (csv, header) in [
        ("A\n\"B, \"\"2\"\"\"\nA\n\nname\n", false),
        (
            "name,artist\nA,X\n\"B, \"\"2\"\"\",Y\nA,Z\n,Q\nname,N\n",
            true,
        ),
    ] {
        let lookup = Lookup::read("f", csv.as_bytes(), &title, &Options { header }).unwrap();
        assert_eq!((lookup.len(), lookup.duplicates()), (3, 1), "{csv}");
        for (key, is_known) in [
            ("A", true),
            ("B, \"2\"", true),
            ("name", true),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(
                find(&lookup, key),
                is_known.then(Vec::new),
                "{key} in {csv}"
            );
        }
    }
    // A comma that is not quoted would be half a title.
    let torn = Lookup::read("f", b"A\nB, 2\n", &title, &Options { header: false });
    assert!(torn.unwrap_err().to_string().contains("line 2"));
}
