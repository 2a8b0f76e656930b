//! The rows by which hosts know of each other, and of what all of them are to do.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Config;
use super::order::{Order, Outcome, State, Taken};
use super::wanted::Wanted;
use crate::archive::cassandra::{is_applied, open, text, timestamp};
use crate::archive::now_ms;
use crate::sink::cassandra::Reader;
use crate::sink::value::Value;
use crate::sink::{Error, Parameter};
use crate::swap::Consent;

/// What tells that the tables are as this version knows them.
const COLUMNS: [&str; 2] = [
    "SELECT seen FROM sluice.members LIMIT 1",
    "SELECT lookups FROM sluice.orders LIMIT 1",
];

/// A host that has not told for 30 s is gone.
const HERE: &str = "INSERT INTO sluice.members (pipeline, consumer_group, member, seen) \
    VALUES (?, ?, ?, ?) USING TTL 30";

const MEMBERS: &str = "SELECT member FROM sluice.members WHERE pipeline = ? AND consumer_group = ?";

const LEAVE: &str =
    "DELETE FROM sluice.members WHERE pipeline = ? AND consumer_group = ? AND member = ?";

// An order is a day's; a turn that nobody keeps passes after 30 s.
const GIVE: &str = "UPDATE sluice.orders USING TTL 86400 SET id = ?, lookup = ?, digest = ?, \
    lookups = ?, ordered_by = ?, consent = ?, state = ? WHERE pipeline = ? AND consumer_group = ? IF id != ?";

const ORDER: &str = "SELECT id, lookup, digest, ordered_by, consent, state, turn, member, of_order, \
    outcome, reason, lookups FROM sluice.orders WHERE pipeline = ? AND consumer_group = ?";

const TAKE: &str = "UPDATE sluice.orders USING TTL 30 SET turn = ? \
    WHERE pipeline = ? AND consumer_group = ? IF id = ? AND state = 'open' AND turn = null";

const STAY: &str = "UPDATE sluice.orders USING TTL 30 SET turn = ? \
    WHERE pipeline = ? AND consumer_group = ? IF turn = ?";

const PASS: &str = "UPDATE sluice.orders SET turn = null \
    WHERE pipeline = ? AND consumer_group = ? IF turn = ?";

const END: &str = "UPDATE sluice.orders USING TTL 86400 SET state = ? \
    WHERE pipeline = ? AND consumer_group = ? IF id = ? AND state = 'open'";

const NOTE: &str = "INSERT INTO sluice.orders (pipeline, consumer_group, member, of_order, outcome, \
    reason) VALUES (?, ?, ?, ?, ?, ?) USING TTL 86400";

/// Who decides, in `sluice.orders`.
const GIVEN: &str = "given";
const POLICY: &str = "policy";

/// A session, for as long as it lasts.
pub(super) struct Rows {
    reader: Reader,
    group: [Parameter; 2],
}

impl Rows {
    pub(super) fn open(config: &Config) -> Result<Self, Error> {
        Ok(Self {
            reader: open(&config.cassandra, &COLUMNS)?,
            group: [text(&config.pipeline), text(&config.group)],
        })
    }

    pub(super) fn rest(&self, time: Duration) {
        self.reader.rest(time);
    }

    /// Tells that a host is there.
    pub(super) fn tell(&self, own: &str) -> Result<(), Error> {
        let values = [text(own), timestamp(now_ms())];
        self.reader.run(HERE, &self.with(&values))
    }

    /// Tells that a host is there no longer.
    pub(super) fn leave(&self, member: &str) -> Result<(), Error> {
        self.reader.run(LEAVE, &self.with(&[text(member)]))
    }

    /// The hosts that are there.
    pub(super) fn members(&self) -> Result<Vec<String>, Error> {
        let answer = self.reader.select(MEMBERS, &self.group)?;
        let name = |row: &Vec<Value>| match &row[..] {
            [Value::Text(name)] => Some(name.clone()),
            _ => None,
        };
        Ok(answer.rows.iter().filter_map(name).collect())
    }

    /// Gives an order. One that is under way is given up for it, once the host whose turn it is has ended that.
    pub(super) fn give(&self, order: &Order) -> Result<(), Error> {
        let consent = match order.consent {
            Consent::Policy => POLICY,
            Consent::Asked | Consent::Given => GIVEN,
        };
        let wanted = &order.wanted;
        let lookup = wanted.lookup.as_deref().unwrap_or_default();
        let lookups = serde_json::to_string(&wanted.lookups);
        let values = [
            &order.id,
            lookup,
            &wanted.digest,
            &lookups.expect("texts are always JSON"),
            &order.by,
            consent,
            order.state.name(),
        ];
        self.change(GIVE, &values, &[&order.id]).map(drop)
    }

    /// The last order, if there is one.
    pub(super) fn order(&self) -> Result<Option<Order>, Error> {
        let answer = self.reader.select(ORDER, &self.group)?;
        Ok(order(&answer.rows))
    }

    /// Takes the turn, if nobody has it; whether it is ours now.
    pub(super) fn take(&self, id: &str, own: &str) -> Result<bool, Error> {
        self.change(TAKE, &[own], &[id])
    }

    /// Keeps the turn.
    pub(super) fn stay(&self, own: &str) -> Result<(), Error> {
        self.change(STAY, &[own], &[own]).map(drop)
    }

    /// Passes the turn on.
    pub(super) fn pass(&self, own: &str) -> Result<(), Error> {
        self.change(PASS, &[], &[own]).map(drop)
    }

    /// Ends an order that is open.
    pub(super) fn end(&self, id: &str, state: State) -> Result<(), Error> {
        self.change(END, &[state.name()], &[id]).map(drop)
    }

    /// Notes how far a host is with its turn.
    pub(super) fn note(
        &self,
        id: &str,
        own: &str,
        (outcome, reason): (Outcome, &str),
    ) -> Result<(), Error> {
        let values = [own, id, outcome.name(), reason].map(text);
        self.reader.run(NOTE, &self.with(&values))
    }

    /// Runs a conditional statement: what it sets, whose it is, and its conditions. Whether it held.
    fn change(&self, statement: &str, set: &[&str], conditions: &[&str]) -> Result<bool, Error> {
        let texts = |texts: &[&str]| texts.iter().map(|one| text(one)).collect::<Vec<_>>();
        let parameters = [texts(set), self.group.to_vec(), texts(conditions)].concat();
        Ok(is_applied(&self.reader.select(statement, &parameters)?))
    }

    fn with(&self, more: &[Parameter]) -> Vec<Parameter> {
        [&self.group, more].concat()
    }
}

/// The rows of [`ORDER`]: the order stands in each, also where there is none of a host.
fn order(rows: &[Vec<Value>]) -> Option<Order> {
    let text = |row: &Vec<Value>, at: usize| match row.get(at) {
        Some(Value::Text(text)) if !text.is_empty() => Some(text.clone()),
        Some(_) | None => None,
    };
    let first = rows.first()?;
    let id = text(first, 0)?;
    let taken = rows.iter().filter_map(|row| {
        (text(row, 8)? == id).then_some(Taken {
            member: text(row, 7)?,
            outcome: Outcome::of(&text(row, 9)?)?,
            reason: text(row, 10).unwrap_or_default(),
        })
    });
    Some(Order {
        taken: taken.collect(),
        wanted: Wanted {
            lookup: text(first, 1),
            digest: text(first, 2)?,
            lookups: match text(first, 11) {
                Some(lookups) => serde_json::from_str(&lookups).ok()?,
                // Of a host that knew of parts only.
                None => BTreeMap::new(),
            },
        },
        by: text(first, 3).unwrap_or_default(),
        consent: match text(first, 4)?.as_str() {
            GIVEN => Consent::Given,
            // Whatever else a host of another version may write.
            _ => Consent::Policy,
        },
        state: State::of(&text(first, 5)?)?,
        turn: text(first, 6),
        id,
    })
}
