//! The broker, the topic, the group and the place of dead letters.

use std::time::Instant;

use super::reach::reached;
use super::report::Finding;
use super::{Question, counted};
use crate::access::with_causes;
use crate::sink::dead_letter;
use crate::source::Error;
use crate::source::kafka::{Asker, Config};
use crate::telemetry::grouped;

/// Where brokers listen when nobody says.
const PORT: u16 = 9092;

/// What to look at when the broker answers, but not to this.
const MAY_WE: &str = "the broker answers, but not to this: may this user read it?";

pub(super) const BROKER: &str = "broker";
pub(super) const LETTERS: &str = "dead letters";

/// What is asked of Kafka.
pub(super) struct Kafka {
    pub(super) config: Config,
    /// The topic of dead letters, if they go to one.
    pub(super) letters: Option<dead_letter::Topic>,
    /// How many workers there shall be, if it was said.
    pub(super) workers: Option<usize>,
    pub(super) question: Question,
}

impl Kafka {
    /// What is looked at once the broker answers.
    pub(super) fn subjects(&self) -> Vec<String> {
        let letters = self.letters.iter().map(|_| LETTERS.to_owned());
        let own = [self.topic(), self.group()];
        own.into_iter().chain(letters).collect()
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let addresses: Vec<String> = self.config.brokers.split(',').map(str::to_owned).collect();
        let way_out = "start it, or say where it is: --brokers HOST:PORT, or `brokers` in [kafka]";
        let reached = reached(BROKER, &addresses, PORT, way_out, &mut found);
        let Some(asker) = reached.and_then(|at| self.of_broker(&at, &mut found)) else {
            let reason = "the broker does not answer";
            let subjects = self.subjects().into_iter();
            found.extend(subjects.map(|subject| Finding::not_asked(subject, reason)));
            return found;
        };
        self.of_topic(&asker, &mut found);
        found.extend(
            self.letters
                .as_ref()
                .map(|letters| self.of_letters(letters)),
        );
        found
    }

    /// Whom to ask, if the broker answers.
    fn of_broker(&self, at: &str, found: &mut Vec<Finding>) -> Option<Asker<'_>> {
        let asker = match Asker::new(&self.config, self.question.until) {
            Ok(asker) => asker,
            Err(error) => {
                let way_out = "mend `properties` in [kafka]";
                found.push(Finding::failed(BROKER, with_causes(&error), way_out));
                return None;
            }
        };
        match asker.cluster() {
            Ok(cluster) => {
                let brokers = counted(cluster.brokers, "broker", "brokers");
                let id = cluster
                    .id
                    .map_or(String::new(), |id| format!(", cluster {id}"));
                found.push(Finding::passed(BROKER, format!("{at}: {brokers}{id}")));
                Some(asker)
            }
            Err(error) => {
                // One that refuses says itself what mends it.
                let way_out = match matches!(error, Error::Refused { .. }) {
                    true => "",
                    false => {
                        "it takes connections, but does not answer as Kafka: is the port Kafka's, and does \
                         it want TLS or a login?"
                    }
                };
                found.push(Finding::failed(BROKER, with_causes(&error), way_out));
                None
            }
        }
    }

    fn topic(&self) -> String {
        format!("topic `{}`", self.config.topic)
    }

    fn group(&self) -> String {
        format!("group `{}`", self.config.group)
    }

    fn of_topic(&self, asker: &Asker<'_>, found: &mut Vec<Finding>) {
        let partitions = match asker.partitions() {
            Ok(partitions) => partitions,
            Err(error) => {
                let (mut result, mut way_out) = (with_causes(&error), MAY_WE.to_owned());
                if let Error::NoTopic { .. } = error {
                    result = "there is none".to_owned();
                    way_out = format!(
                        "the host waits for it: a producer makes it, as {} does",
                        self.question.produce()
                    );
                }
                found.push(Finding::failed(self.topic(), result, &way_out));
                found.push(Finding::not_asked(self.group(), "the topic cannot be read"));
                return;
            }
        };
        let messages: i64 = partitions.iter().map(|(_, low, end)| end - low).sum();
        let result = format!(
            "{}, at most {} messages",
            counted(partitions.len(), "partition", "partitions"),
            in_thousands(messages)
        );
        found.push(match self.workers {
            Some(workers) if workers > partitions.len() => {
                let way_out =
                    format!("{workers} workers are more than can have one: the others wait");
                Finding::warning(self.topic(), result, &way_out)
            }
            Some(_) | None => Finding::passed(self.topic(), result),
        });
        found.push(self.of_group(asker, &partitions));
    }

    /// Compares what the group has committed with what the log has.
    fn of_group(&self, asker: &Asker<'_>, partitions: &[(i32, i64, i64)]) -> Finding {
        let committed = match asker.committed() {
            Ok(committed) => committed,
            Err(error) => return Finding::failed(self.group(), with_causes(&error), MAY_WE),
        };
        let offset = |partition: i32| {
            let found = committed.iter().find(|(other, _)| *other == partition);
            found.and_then(|(_, offset)| *offset)
        };
        if committed.iter().all(|(_, offset)| offset.is_none()) {
            return Finding::passed(
                self.group(),
                "it has never committed: it begins where --start says",
            );
        }
        let mut gaps = Vec::new();
        let mut behind = 0;
        for &(partition, low, end) in partitions {
            // A partition without a commit is a new one, and is read whole.
            let next = offset(partition).unwrap_or(0);
            if next > end || (next < low && offset(partition).is_some()) {
                gaps.push(format!(
                    "partition {partition}: it goes on at {next}, the log has {low} to {end}"
                ));
            }
            behind += (end - next.max(low)).max(0);
        }
        if gaps.is_empty() {
            let result = format!(
                "at most {} messages behind the end of the log",
                in_thousands(behind)
            );
            return Finding::passed(self.group(), result);
        }
        let way_out = "the log lost what was not read yet, or the topic was made anew: a new --group with --start \
                       says where to begin";
        Finding::failed(self.group(), gaps.join("\n"), way_out)
    }

    fn of_letters(&self, letters: &dead_letter::Topic) -> Finding {
        let rest = self
            .question
            .until
            .saturating_duration_since(Instant::now());
        let name = letters.name();
        match letters.is_there(rest / 2) {
            Ok(true) => Finding::passed(LETTERS, format!("topic `{name}`")),
            Ok(false) => Finding::passed(
                LETTERS,
                format!("topic `{name}`, to be made with the first of them"),
            ),
            Err(error) => {
                let way_out =
                    "make the topic with unlimited retention, and let the host write to it";
                Finding::failed(LETTERS, with_causes(&error), way_out)
            }
        }
    }
}

fn in_thousands(number: i64) -> String {
    grouped(u64::try_from(number).unwrap_or(0))
}
