//! librdkafka's settings: those that our promises rest on, those that were measured, and the user's.

use rdkafka::config::ClientConfig;
use secrecy::ExposeSecret as _;

use super::Config;
use crate::source::Error;

/// What nobody else may set, and why the promises would break.
const OWNED: [(&str, &str); 9] = [
    ("bootstrap.servers", "--brokers says it"),
    ("group.id", "--group says it"),
    ("enable.auto.commit", "offsets are committed after the rows"),
    (
        "enable.auto.offset.store",
        "offsets are committed after the rows",
    ),
    ("auto.offset.reset", "a gap is never skipped in silence"),
    (
        "partition.assignment.strategy",
        "all members must agree, and it is cooperative-sticky",
    ),
    ("group.protocol", "members join by the classic protocol"),
    (
        "isolation.level",
        "rows of aborted transactions would be written",
    ),
    (
        "enable.partition.eof",
        "in a batch, an end counts as a message",
    ),
];

/// librdkafka's other name for `bootstrap.servers`.
const BROKERS_ALIAS: &str = "metadata.broker.list";

/// Settings of a client that asks but does not join.
pub(super) fn client(config: &Config) -> Result<ClientConfig, Error> {
    over(ClientConfig::new(), config)
}

/// The user's settings, and what every client of ours has, over those of one kind of client.
fn over(mut settings: ClientConfig, config: &Config) -> Result<ClientConfig, Error> {
    settings
        .set("client.id", "sluice")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        .set("isolation.level", "read_committed")
        // `max.poll.interval.ms` is held against it also where nobody joins.
        .set("session.timeout.ms", "10000");
    for (name, value) in &config.properties {
        let owned = OWNED.iter().find(|(owned, _)| owned == name);
        if let Some((_, why)) = owned {
            let reason = format!("`{name}` is not yours to set: {why}");
            return Err(Error::Settings(reason.into()));
        }
        if name == BROKERS_ALIAS {
            let reason = format!("`{name}` is not yours to set: --brokers says it");
            return Err(Error::Settings(reason.into()));
        }
        settings.set(name, value.expose_secret());
    }
    settings.set("bootstrap.servers", &config.brokers);
    Ok(settings)
}

/// Settings of a member of the group.
pub(super) fn member(config: &Config) -> Result<ClientConfig, Error> {
    let mut settings = ClientConfig::new();
    settings
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "50")
        // A full queue is looked at again so soon, not after a second.
        .set("fetch.queue.backoff.ms", "10")
        // For each partition, because each has its queue: a third of the memory at the same speed.
        .set("queued.max.messages.kbytes", "1024")
        // A fetch is unpacked whole, and what it unpacks to takes several times its messages' bytes:
        // so much a partition, compressed, keeps a backlog of small messages below 100 MiB.
        .set("fetch.message.max.bytes", "262144")
        .set("heartbeat.interval.ms", "2000")
        // A topic made after us is found so soon, and so are its new partitions.
        .set("topic.metadata.refresh.interval.ms", "5000")
        .set("statistics.interval.ms", "5000");
    let mut settings = over(settings, config)?;
    settings
        .set("group.id", &config.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.partition.eof", "false");
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;

    use super::*;

    fn config(name: &str, value: &str) -> Config {
        Config {
            brokers: "localhost:1".to_owned(),
            properties: [(name.to_owned(), value.into())].into(),
            ..Config::default()
        }
    }

    /// A copy of the settings lost them: rdkafka's map of them hides passwords.
    #[test]
    fn a_member_has_its_password() {
        let settings = member(&config("sasl.password", "hunter2")).unwrap();
        let native = settings.create_native_config().unwrap();
        assert_eq!(native.get("sasl.password").unwrap(), "hunter2");
    }

    /// Who only asks was held to the session of a member, and librdkafka's is longer.
    #[test]
    fn a_short_poll_interval_is_taken_by_every_client() {
        let config = config("max.poll.interval.ms", "10000");
        for settings in [member(&config), client(&config)] {
            let client: Result<BaseConsumer, _> = settings.unwrap().set("group.id", "g").create();
            assert_eq!(client.map(drop), Ok(()));
        }
    }

    #[test]
    fn properties_override_what_was_measured_and_nothing_promised() {
        let settings = member(&config("fetch.wait.max.ms", "7")).unwrap();
        assert_eq!(settings.get("fetch.wait.max.ms"), Some("7"));
        assert_eq!(settings.get("auto.offset.reset"), Some("error"));
        let owned = OWNED.iter().map(|(name, _)| *name);
        for name in owned.chain([BROKERS_ALIAS]) {
            let error = member(&config(name, "x")).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
