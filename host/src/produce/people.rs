//! Who messages are about.

use std::collections::HashSet;

use fake::Fake;
use fake::faker::name::en::Name;
use fake::rand::rngs::StdRng;
use jiff::{SignedDuration, Timestamp};

use super::message::json;

/// After so many names in vain a number makes the next one new.
const NAMES_TRIED_MAX: usize = 16;

pub(super) struct Person {
    pub(super) name: String,
    /// The name as a JSON string.
    pub(super) json: String,
    /// The time of the last message about this person.
    last: Timestamp,
}

impl Person {
    /// The time of the next message: now, or the next millisecond, because nobody does two things in
    /// one. So rows by person and time stay apart.
    pub(super) fn next_time(&mut self, now: Timestamp) -> Timestamp {
        if now.as_millisecond() > self.last.as_millisecond() {
            self.last = now;
        } else {
            self.last += SignedDuration::from_millis(1);
        }
        self.last
    }
}

/// So many names made up, all different, and `me` last.
pub(super) fn make(count: usize, me: &str, rng: &mut StdRng) -> Vec<Person> {
    let mut taken = HashSet::from([me.to_owned()]);
    let mut names = Vec::with_capacity(count + 1);
    for number in 0..count {
        let made = (0..NAMES_TRIED_MAX).find_map(|_| {
            let name: String = Name().fake_with_rng(rng);
            taken.insert(name.clone()).then_some(name)
        });
        names.push(made.unwrap_or_else(|| {
            let first: String = Name().fake_with_rng(rng);
            let name = format!("{first} {number}");
            taken.insert(name.clone());
            name
        }));
    }
    names.push(me.to_owned());
    let person = |name: String| Person {
        json: json(&name),
        name,
        last: Timestamp::UNIX_EPOCH,
    };
    names.into_iter().map(person).collect()
}

#[cfg(test)]
mod tests {
    use fake::rand::SeedableRng;

    use super::*;

    #[test]
    fn many_names_are_all_different() {
        let people = make(20_000, "Ada", &mut StdRng::seed_from_u64(7));
        let names: HashSet<&str> = people.iter().map(|person| person.name.as_str()).collect();
        assert_eq!(names.len(), 20_001);
        assert_eq!(people[20_000].name, "Ada");
    }

    #[test]
    fn nobody_does_two_things_in_one_millisecond() {
        let mut ada = make(0, "Ada", &mut StdRng::seed_from_u64(7)).remove(0);
        // In microseconds: the clock, and the time of what is done then.
        for (now, expected) in [
            (5_000_700, 5_000_700),
            (5_000_900, 5_001_700),
            (5_001_800, 5_002_700),
            (5_003_000, 5_003_000),
            (4_000_000, 5_004_000),
        ] {
            let now = Timestamp::from_microsecond(now).unwrap();
            assert_eq!(ada.next_time(now).as_microsecond(), expected);
        }
    }
}
