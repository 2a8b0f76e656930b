//! The flags that stand over `pipeline.toml`, for every verb that works on a pipeline.

use std::path::PathBuf;
use std::time::Duration;

use super::name_and_file;
use crate::config::Flag;

/// Flags over the pipeline's configuration.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Settings {
    /// Brokers to begin with [default: localhost:29092]
    #[arg(long, value_name = "HOST:PORT,..")]
    pub brokers: Option<String>,
    /// The topic to read [default: the pipeline's]
    #[arg(long)]
    pub topic: Option<String>,
    /// The consumer group [default: sluice-<pipeline>]
    #[arg(long)]
    pub group: Option<String>,
    /// Reference data
    #[arg(long, value_name = "NAME=FILE.csv", value_parser = name_and_file)]
    pub lookup: Vec<(String, PathBuf)>,
    /// Cassandra nodes to begin with [default: localhost:9042]
    #[arg(long, value_name = "HOST:PORT,..", value_delimiter = ',')]
    pub cassandra: Vec<String>,
    /// The keyspace of the pipeline's tables [default: the pipeline's]
    #[arg(long)]
    pub keyspace: Option<String>,
    /// The time from one batch to the next, as 30s [default: batches close as soon as they can]
    #[arg(long, value_parser = humantime::parse_duration)]
    pub interval: Option<Duration>,
}

impl Settings {
    /// What they stand over.
    pub fn flags(&self) -> Vec<Flag> {
        let interval = self
            .interval
            .map(|interval| humantime::format_duration(interval).to_string());
        let texts: [(&'static str, &[&str], &Option<String>); 5] = [
            ("--brokers", &["kafka", "brokers"], &self.brokers),
            ("--topic", &["topic"], &self.topic),
            ("--group", &["kafka", "group"], &self.group),
            ("--keyspace", &["cassandra", "keyspace"], &self.keyspace),
            ("--interval", &["batch", "interval"], &interval),
        ];
        let texts = texts.into_iter().filter_map(|(name, path, text)| {
            let text = text.clone()?;
            Some(Flag::new(name, path, text))
        });
        let lookups = self.lookup.iter().map(|(name, file)| {
            let file = file.to_string_lossy().into_owned();
            Flag::new("--lookup", &["lookups", name, "path"], file)
        });
        let nodes = Some(self.cassandra.clone()).filter(|nodes| !nodes.is_empty());
        let nodes =
            nodes.map(|nodes| Flag::new("--cassandra", &["cassandra", "contact_points"], nodes));
        texts.chain(lookups).chain(nodes).collect()
    }
}
