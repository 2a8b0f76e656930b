use super::*;

/// Letters in memory; what is read and settled is counted.
struct Shelf {
    entries: Vec<Entry>,
    read: usize,
    settled: Rc<RefCell<usize>>,
}

impl Store for Shelf {
    fn next(&mut self) -> Result<Option<Entry>, Error> {
        let entry = self.entries.get(self.read).cloned();
        self.read += usize::from(entry.is_some());
        Ok(entry)
    }

    fn settle(&mut self) -> Result<(), Error> {
        *self.settled.borrow_mut() = self.read;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// A letter of `topic/partition/offset`, with how many bytes its value has.
fn entry(topic: &str, partition: i32, offset: i64, size: usize) -> Entry {
    let letter = Letter {
        topic: topic.to_owned(),
        partition,
        offset,
        value: Some(vec![b'v'; size]),
        write_time: Some(offset + 100),
        code: "bad_json".to_owned(),
        plugin: "plays".to_owned(),
        ..Letter::default()
    };
    Entry {
        partition: 0,
        offset: 0,
        letter: Some(letter),
        is_settled: false,
    }
}

fn wanted() -> Wanted {
    Wanted {
        plugin: "plays".to_owned(),
        is_whole: true,
        ..Wanted::default()
    }
}

/// The batches that come of letters, as `topic/partition/offset`, and how many were settled before
/// each and at the end.
fn batches(entries: Vec<Entry>, limits: Limits) -> (Vec<Vec<String>>, Vec<usize>) {
    let settled = Rc::new(RefCell::new(0));
    let shelf = Shelf {
        entries,
        read: 0,
        settled: settled.clone(),
    };
    let (mut letters, settler) = open(Box::new(shelf), wanted());
    let (mut batches, mut counts) = (Vec::new(), Vec::new());
    loop {
        let mut batch = Batch::new("letters".into());
        let taken = letters.take(&mut batch, limits, Duration::ZERO).unwrap();
        if taken == Taken::End {
            break;
        }
        // What is taken next may not join it, or keeps the order.
        letters.take(&mut batch, limits, Duration::ZERO).unwrap();
        settler.settle().unwrap();
        counts.push(*settled.borrow());
        batch.stamp(|_, _| panic!("each has its write time"));
        let place = |(index, message): (usize, Message<'_>)| {
            assert_eq!(batch.write_time(index), Some(message.offset + 100));
            format!("{}/{}/{}", batch.topic(), message.partition, message.offset)
        };
        batches.push(batch.messages().enumerate().map(place).collect());
        settler.record();
        settler.settle().unwrap();
    }
    settler.finish().unwrap();
    counts.push(*settled.borrow());
    (batches, counts)
}

#[test]
fn letters_are_the_messages_they_were() {
    let of = |place: &[(&str, i32, i64)]| {
        let each = place.iter();
        each.map(|&(topic, partition, offset)| entry(topic, partition, offset, 1))
            .collect::<Vec<_>>()
    };
    let whole = Limits::default();
    assert_eq!(batches(vec![], whole), (vec![], vec![0]));
    // In their old order, each once, and those of another topic in a batch of their own.
    let given = of(&[
        ("b", 0, 7),
        ("a", 1, 5),
        ("a", 0, 9),
        ("a", 1, 2),
        ("a", 1, 5),
    ]);
    let (found, settled) = batches(given.clone(), whole);
    assert_eq!(found, [vec!["a/0/9", "a/1/2", "a/1/5"], vec!["b/0/7"]]);
    // Half a window is not settled.
    assert_eq!(settled, [0, 0, 5]);
    let two = Limits {
        messages_max: 2,
        ..whole
    };
    let (found, _) = batches(given, two);
    assert_eq!(
        found,
        [vec!["a/0/9", "a/1/2"], vec!["a/1/5"], vec!["b/0/7"]]
    );
}

#[test]
fn a_window_is_durable_before_the_next() {
    let large = WINDOW_BYTES_MAX / 2;
    let given = vec![
        entry("a", 0, 9, large),
        entry("a", 0, 8, large),
        entry("a", 0, 3, 1),
    ];
    let limits = Limits {
        bytes_max: usize::MAX,
        ..Limits::default()
    };
    let (found, settled) = batches(given, limits);
    assert_eq!(found, [vec!["a/0/8", "a/0/9"], vec!["a/0/3"]]);
    assert_eq!(settled, [0, 2, 3]);
}

#[test]
fn of_letters_kept_twice_the_last_stays() {
    let mut again = entry("a", 0, 1, 1);
    if let Some(letter) = &mut again.letter {
        letter.reason = "the last".to_owned();
    }
    let shelf = Shelf {
        entries: vec![entry("a", 0, 1, 1), again],
        read: 0,
        settled: Rc::default(),
    };
    let (letters, _) = open(Box::new(shelf), wanted());
    let mut state = letters.state.borrow_mut();
    assert!(state.fill().unwrap());
    let reasons: Vec<&str> = state.window.iter().map(|letter| &*letter.reason).collect();
    assert_eq!(reasons, ["the last"]);
}

#[test]
fn only_what_is_wanted_is_taken() {
    let changed = |change: &dyn Fn(&mut Entry, &mut Letter)| {
        let mut entry = entry("a", 0, 1, 1);
        let mut letter = entry.letter.take().unwrap();
        change(&mut entry, &mut letter);
        entry.letter = Some(letter);
        entry
    };
    let code = Wanted {
        code: Some("bad_json".to_owned()),
        before: Some(5),
        ..wanted()
    };
    let any = Wanted {
        is_whole: false,
        ..wanted()
    };
    type Change = dyn Fn(&mut Entry, &mut Letter);
    let cases: [(&Wanted, bool, &Change); 7] = [
        (&code, true, &|_, _| {}),
        (&code, false, &|_, letter| letter.code = "trap".to_owned()),
        (&code, false, &|_, letter| letter.timestamp = 5),
        (&any, false, &|_, letter| letter.plugin = "other".to_owned()),
        (&any, false, &|entry, _| entry.is_settled = true),
        (&any, true, &|_, letter| {
            letter.left_out = Some("9".to_owned())
        }),
        (&wanted(), false, &|_, letter| {
            letter.left_out = Some("9".to_owned())
        }),
    ];
    for (number, (wanted, expected, change)) in cases.into_iter().enumerate() {
        assert_eq!(
            wanted.of(&changed(change)).is_some(),
            expected,
            "case {number}"
        );
    }
    let stranger = Entry {
        letter: None,
        ..entry("a", 0, 1, 1)
    };
    assert!(any.of(&stranger).is_none());
}
