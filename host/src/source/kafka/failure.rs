//! librdkafka's errors as this room's, and which of them mend themselves.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::access;
use crate::source::Error;

/// An answer to something that was asked.
pub(super) fn of(error: KafkaError, brokers: &str, topic: &str) -> Error {
    let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition,
        ) => Error::NoTopic {
            topic: topic.to_owned(),
            brokers: brokers.to_owned(),
        },
        Some(RDKafkaErrorCode::InconsistentGroupProtocol) => {
            Error::Settings("the group has members of another program; take another --group".into())
        }
        _ if is_fatal => Error::Settings(Box::new(error)),
        _ => Error::Broker {
            brokers: brokers.to_owned(),
            source: Box::new(error),
        },
    }
}

/// What an event of a consumer means, if it is worth a word: librdkafka tells of each lost connection
/// and connects again, and tells once more when there is none left. `told` is why nobody lets us in.
pub(super) fn news(
    error: KafkaError,
    told: Option<String>,
    is_finite: bool,
    (brokers, topic): (&str, &str),
) -> Option<Error> {
    match (told, error.rdkafka_error_code()) {
        // Work that should come to an end would wait in vain; other work waits until it is mended.
        (Some(reason), _) if is_finite => Some(Error::Refused {
            brokers: brokers.to_owned(),
            reason,
        }),
        (Some(reason), _) => Some(Error::Broker {
            brokers: brokers.to_owned(),
            source: access::explain(&reason).into(),
        }),
        (
            None,
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve,
            ),
        ) => {
            tracing::debug!(%error, "kafka");
            None
        }
        (None, _) => Some(of(error, brokers, topic)),
    }
}

/// What was reported last, so that it is reported once.
#[derive(Default)]
pub(super) struct Trouble(Option<Kind>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Broker,
    Refused,
    NoTopic,
    Kept,
}

impl Trouble {
    /// The error again, if it is not what is known already.
    pub(super) fn report(&mut self, error: Error) -> Result<(), Error> {
        let kind = match &error {
            Error::Broker { .. } => Kind::Broker,
            Error::Refused { .. } => Kind::Refused,
            Error::NoTopic { .. } => Kind::NoTopic,
            Error::Kept(_) => Kind::Kept,
            Error::Gap { .. }
            | Error::MadeAnew { .. }
            | Error::Corrupt { .. }
            | Error::Metadata { .. }
            | Error::Rewind(_)
            | Error::File { .. }
            | Error::Settings(_) => return Err(error),
        };
        // Whom no broker lets in, to him they all seem down.
        if kind == Kind::Broker && self.0 == Some(Kind::Refused) {
            return Ok(());
        }
        if self.0.replace(kind) == Some(kind) {
            return Ok(());
        }
        Err(error)
    }

    pub(super) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// It is over.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_reported_once() {
        let error = |code| of(KafkaError::MessageConsumption(code), "b", "t");
        let (down, missing) = (
            RDKafkaErrorCode::AllBrokersDown,
            RDKafkaErrorCode::UnknownTopicOrPartition,
        );
        let mut trouble = Trouble::default();
        assert!(trouble.report(error(down)).is_err());
        assert!(
            trouble
                .report(error(RDKafkaErrorCode::OperationTimedOut))
                .is_ok()
        );
        assert!(trouble.report(error(missing)).is_err());
        trouble.clear();
        assert!(trouble.report(error(missing)).is_err());
    }
}
