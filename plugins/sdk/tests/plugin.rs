//! What a plugin does with a batch, and what becomes of its messages: one table of both.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sluice_plugin::CqlType::*;
use sluice_plugin::testing::{Rig, logged};
use sluice_plugin::{
    Batch, Code, Column, Description, Field, Lookup, Match, Outcome, Packed, Plugin, Target, Wants,
    log, no_config,
};

const NAME: Field = Field::new("name", Text);
const STARS: Field = Field::optional("review.stars", Int);
const FACTS: &[Column] = &[("year", Smallint), ("title", Text)];
const FILMS: Lookup = Lookup::new("films", ("name", Text), FACTS);
const REVIEW: &[Column] = &[("name", Text), ("stars", Int)];
const REVIEWS: Target = Target::upsert("reviews", &[REVIEW, FACTS]);
const GONE: Target = Target::delete("reviews", &[&[("name", Text)]]);
const SCALARS: Target = Target::upsert(
    "scalars",
    &[
        &[("a", Text), ("b", Blob), ("c", Boolean), ("d", Tinyint)],
        &[("e", Smallint), ("f", Int), ("g", Bigint), ("h", Float)],
        &[("i", Double), ("j", Timestamp), ("k", Date), ("l", Uuid)],
        &[("m", Ascii), ("n", Timeuuid)],
    ],
);
const BAD_STARS: Code = Code::new("bad_stars");
const UNRATED: Code = Code::new("unrated");

/// A plugin that does what the case does whose name is its configuration.
struct Cases(fn(&Batch<'_>, &mut Outcome));

impl Plugin for Cases {
    fn init(config: &str) -> Result<(Self, Description), String> {
        let case = CASES.iter().find(|case| case.0 == config);
        let (_, transform, _) = case.ok_or("there is no such case")?;
        let description = Description {
            fields: &[NAME, STARS],
            lookups: &[FILMS],
            targets: &[REVIEWS, SCALARS, GONE],
            codes: &[BAD_STARS, UNRATED],
            wants: &[Wants::KEYS, Wants::POSITIONS],
            ..Description::new("cases", "1.2.3")
        };
        Ok((Self(*transform), description))
    }

    fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
        (self.0)(batch, out);
    }
}

/// Two messages, the second one without stars.
const MESSAGES: [&[&str]; 2] = [&["Alien", "9"], &["Brazil \u{e9}", "null"]];

type Case = (
    &'static str,
    fn(&Batch<'_>, &mut Outcome),
    Result<&'static str, &'static str>,
);

/// What the plugin does, and its outcomes or what it dies of.
const CASES: &[Case] = &[
    (
        "joined",
        |batch, out| {
            let (names, stars) = (batch.field(NAME), batch.field(STARS));
            let films = batch.find(FILMS, &names);
            for message in batch {
                out.row(REVIEWS, message)
                    .cell(names.at(message))
                    .cell(stars.at(message))
                    .cells(films.at(message));
            }
        },
        Ok("0 reviews: name=\"Alien\" stars=9 year=1979 title=null\n\
            1 reviews: name=\"Brazil é\" stars=null year=null title=null\n"),
    ),
    (
        "keys of its own making",
        |batch, out| {
            let mut keys = Packed::default();
            batch.into_iter().for_each(|_| keys.push(Some(b"Alien")));
            let films = batch.find(FILMS, keys);
            for message in batch {
                let film: Match<'_> = films.at(message);
                assert!(film.is_known() && film.cell(1).is_null());
                let year = film.cell(0).smallint();
                out.row(GONE, message).text(&year.to_string());
            }
        },
        Ok("0 reviews: name=\"1979\"\n1 reviews: name=\"1979\"\n"),
    ),
    (
        "every type",
        |batch, out| {
            for message in batch {
                out.row(SCALARS, message)
                    .text("é")
                    .blob(&[0, 255])
                    .boolean(true)
                    .tinyint(-1)
                    .smallint(i16::MIN)
                    .int(i32::MAX)
                    .bigint(-2)
                    .float(0.5)
                    .double(-2.5)
                    .timestamp(-1)
                    .date(-1)
                    .uuid([17; 16])
                    .unset()
                    .null();
            }
        },
        Ok(
            "0 scalars: a=\"é\" b=00ff c=true d=-1 e=-32768 f=2147483647 g=-2 h=0.5 \
             i=-2.5 j=-1 k=-1 l=11111111111111111111111111111111 m=unset n=null\n\
             1 scalars: a=\"é\" b=00ff c=true d=-1 e=-32768 f=2147483647 g=-2 h=0.5 \
             i=-2.5 j=-1 k=-1 l=11111111111111111111111111111111 m=unset n=null\n",
        ),
    ),
    (
        "an error a message",
        |batch, out| {
            let stars = batch.field(STARS);
            out.each(batch, |message, out| {
                out.row(GONE, message).text("taken back");
                if stars.at(message).is_null() {
                    return Err(UNRATED.filtered());
                }
                let stars = stars.at(message).int();
                Err(BAD_STARS.rejected(format!("{stars} of 5 stars")))
            });
        },
        Ok("0 rejected bad_stars: 9 of 5 stars\n1 filtered unrated\n"),
    ),
    (
        "several rows a message",
        |batch, out| {
            let names = batch.field(NAME);
            out.each(batch, |message, out| {
                for _ in 0..2 {
                    out.row(GONE, message).cell(names.at(message));
                }
                if names.at(message).text() == "Alien" {
                    return Ok(());
                }
                Err(BAD_STARS.rejected("both are taken back"))
            });
        },
        Ok("0 reviews: name=\"Alien\"\n0 reviews: name=\"Alien\"\n\
            1 rejected bad_stars: both are taken back\n"),
    ),
    (
        "an undeclared field",
        |batch, _| drop(batch.field(Field::new("year", Int))),
        Err("`year` is not in the plugin's description"),
    ),
    (
        "an undeclared target",
        |batch, out| {
            for message in batch {
                out.row(Target::delete("films", &[]), message);
            }
        },
        Err("`films` is not in the plugin's description"),
    ),
    (
        "an undeclared code",
        |batch, out| {
            for message in batch {
                out.filter(message, Code::new("dull"));
            }
        },
        Err("`dull` is not in the plugin's description"),
    ),
    (
        "null read as a number",
        |batch, _| {
            let stars = batch.field(STARS);
            assert!(
                batch
                    .into_iter()
                    .any(|message| stars.at(message).int() == 0)
            );
        },
        Err("a cell that is read is not null"),
    ),
    (
        "text read as a number",
        |batch, _| {
            let names = batch.field(NAME);
            assert!(
                batch
                    .into_iter()
                    .any(|message| names.at(message).int() == 0)
            );
        },
        Err("a cell is read as the type it was declared with"),
    ),
    (
        "a cell of another type",
        |batch, out| {
            for message in batch {
                out.row(GONE, message).int(1);
            }
        },
        Err("cell 0 of `reviews` is [CqlType::Int], but declared as"),
    ),
    (
        "a cell too few",
        |batch, out| {
            for message in batch {
                out.row(REVIEWS, message).null();
            }
        },
        Err("cells of a row of `reviews`"),
    ),
    (
        "a cell too many",
        |batch, out| {
            for message in batch {
                out.row(GONE, message).null().null();
            }
        },
        Err("cells of a row of `reviews`"),
    ),
    ("no outcome", |_, _| {}, Err("outcomes of message 0: []")),
    (
        "two outcomes",
        |batch, out| {
            for message in batch {
                out.filter(message, UNRATED);
                out.reject(message, BAD_STARS, "too");
            }
        },
        Err("outcomes of message 0"),
    ),
    (
        "what depends on the batch",
        |batch, out| {
            for message in batch {
                out.reject(message, BAD_STARS, batch.len().to_string());
            }
        },
        Err("outcomes together, and of each message alone"),
    ),
];

#[test]
fn every_case_has_its_outcome() {
    for (name, _, expected) in CASES {
        let mut rig = Rig::<Cases>::new(name).unwrap();
        rig.know(FILMS, "Alien", &["1979", "null"]);
        let outcome = catch_unwind(AssertUnwindSafe(|| rig.run(&MESSAGES)));
        match (outcome, expected) {
            (Ok(lines), Ok(expected)) => assert_eq!(lines, *expected, "{name}"),
            (Err(panic), Err(expected)) => {
                let said = panic.downcast::<String>().map(|said| *said);
                let said = said.unwrap_or_else(|it| it.downcast_ref::<&str>().unwrap().to_string());
                assert!(said.contains(expected), "{name}: {said}");
            }
            (outcome, _) => panic!("{name}: {outcome:?}, not {expected:?}"),
        }
    }
}

#[test]
fn ids_are_those_that_every_language_makes() {
    struct Ids;
    const IDS: Target = Target::upsert("ids", &[&[("id", Uuid)]]);
    impl Plugin for Ids {
        fn init(_: &str) -> Result<(Self, Description), String> {
            let description = Description {
                targets: &[IDS],
                wants: &[Wants::POSITIONS],
                ..Description::new("ids", "1")
            };
            Ok((Self, description))
        }
        fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
            for message in batch {
                for row in 0..2 {
                    out.row(IDS, message).uuid(batch.id(message, row));
                }
            }
        }
    }
    // By Python: uuid5(uuid5(NAMESPACE_URL, "sluice:position"), f"{topic}/{partition}/{offset}/{row}")
    for (topic, partition, offset, expected) in [
        (
            "test",
            0,
            0,
            [
                0x99506b42_a2265120_b4ec947f_1c34f97a,
                0xb5c11d61_681e5a40_bdd7e3e0_ce4ae18d,
            ],
        ),
        (
            "movies_ratings",
            7,
            i64::MAX,
            [
                0x0ec0c61e_ba7f52a5_ad02a9c8_d31d3cd0,
                0xc2eacceb_e6175eb4_9a0622be_a7e3f9c7,
            ],
        ),
        (
            "samples",
            i32::MAX,
            41,
            [
                0x7020b7d0_938253df_b840fe1f_d6e9fd0e,
                0xf5fadde2_4bfc5b2e_b6a4198e_bcea7ddc,
            ],
        ),
    ] {
        let rig = Rig::<Ids>::new("{}").unwrap();
        let mut messages = rig.messages(&[&[]]);
        messages.topic = topic.into();
        (messages.partitions, messages.offsets) = (vec![partition], vec![offset]);
        let rows = rig.transform(&messages).rows.remove(0).rows.bytes;
        // Each row is its count of cells, the cell's length, and the cell.
        let ids: Vec<u128> = (rows.chunks(22))
            .map(|row| u128::from_be_bytes(row[6..].try_into().unwrap()))
            .collect();
        assert_eq!(ids, expected, "{topic}/{partition}/{offset}");
    }
    // The rig makes the same for messages together and alone: the offset of a message is its index.
    let rig = Rig::<Ids>::new("{}").unwrap();
    let lines = rig.run(&[&[], &[]]);
    let ids: std::collections::HashSet<_> = (lines.lines())
        .map(|line| line.split("id=").nth(1))
        .collect();
    assert_eq!(ids.len(), 4, "{lines}");
}

#[test]
fn what_is_wanted_is_seen() {
    fn transform(batch: &Batch<'_>, _: &mut Outcome) {
        let (keys, headers) = (batch.keys(), batch.headers());
        for message in batch {
            let (key, time) = (keys.at(message).bytes(), batch.timestamp(message));
            let position = batch.position(message);
            log::info(&format!("{} {key:?} {time:?} {position:?}", batch.topic()));
            let headers = ["a", "b", "x"].map(|name| headers.at(message).header(name).bytes());
            log::info(&format!("{headers:?}"));
        }
    }
    struct Wanting;
    impl Plugin for Wanting {
        fn init(config: &str) -> Result<(Self, Description), String> {
            no_config(config)?;
            Ok((Self, Description::new("wanting", "1")))
        }
        fn transform(&mut self, batch: &Batch<'_>, out: &mut Outcome) {
            transform(batch, out);
        }
    }
    let rig = Rig::<Wanting>::new("{}").unwrap();
    let mut messages = rig.messages(&[&[], &[]]);
    messages.keys.push(Some(b"k"));
    messages.keys.push(None);
    // How many, then each name and value after its length, of which -1 is null; the first of a name counts.
    let headers = b"\0\x03\0\0\0\x01a\0\0\0\x01x\0\0\0\x01b\xff\xff\xff\xff\0\0\0\x01a\0\0\0\x01y";
    messages.headers.push(Some(headers));
    messages.headers.push(Some(b"\0\0"));
    messages.timestamps = vec![7, -1];
    logged();
    rig.transform(&messages);
    let lines: Vec<_> = logged().into_iter().map(|(_, line)| line).collect();
    assert_eq!(
        lines,
        [
            "test Some([107]) Some(7) (0, 0)",
            "[Some([120]), None, None]",
            "test None None (0, 1)",
            "[None, None, None]"
        ]
    );
    assert!(logged().is_empty());
}

#[test]
fn configurations_are_refused_with_a_reason() {
    assert_eq!(
        Rig::<Cases>::new("dance").err().unwrap(),
        "there is no such case"
    );
    for (config, is_empty) in [
        ("{}", true),
        (" { }\n", true),
        ("", true),
        ("{\"a\": 1}", false),
    ] {
        assert_eq!(no_config(config).is_ok(), is_empty, "{config}");
    }
}
