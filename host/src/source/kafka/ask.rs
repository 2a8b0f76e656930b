//! Questions about a topic and its group, asked without joining.

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::start::{self, Topic};
use super::{Config, failure, settings};
use crate::source::Error;

/// The topic's partitions, each with its first offset and the one after its last stable message.
///
/// # Errors
/// When the brokers do not answer, or there is no such topic.
pub fn partitions(config: &Config) -> Result<Vec<(i32, i64, i64)>, Error> {
    let client = ask(&settings::client(config)?)?;
    let topic = Topic {
        client: &client,
        brokers: &config.brokers,
        topic: &config.topic,
    };
    let partitions = topic.partitions()?.into_iter();
    partitions
        .map(|partition| {
            let (low, end) = topic.ends(partition)?;
            Ok((partition, low, end))
        })
        .collect()
}

/// What the group has committed for each partition, whoever owns it; `None` = nothing.
///
/// # Errors
/// As [`partitions`].
pub fn committed(config: &Config) -> Result<Vec<(i32, Option<i64>)>, Error> {
    let mut settings = settings::client(config)?;
    settings.set("group.id", &config.group);
    let client = ask(&settings)?;
    let topic = Topic {
        client: &client,
        brokers: &config.brokers,
        topic: &config.topic,
    };
    let commits = topic.commits(&topic.partitions()?)?.into_iter();
    Ok(commits
        .map(|(partition, offset, _)| (partition, offset))
        .collect())
}

/// How many members the group has now.
///
/// # Errors
/// When the brokers do not answer.
pub fn members(config: &Config) -> Result<usize, Error> {
    let client = ask(&settings::client(config)?)?;
    let groups = client
        .fetch_group_list(Some(&config.group), start::ASK_WAIT_MAX)
        .map_err(|error| failure::of(error, &config.brokers, &config.topic))?;
    Ok(groups
        .groups()
        .iter()
        .map(|group| group.members().len())
        .sum())
}

fn ask(settings: &ClientConfig) -> Result<BaseConsumer, Error> {
    settings
        .create()
        .map_err(|error| Error::Settings(error.into()))
}
