//! The metrics: their names, once for all, and what they count.
//!
//! [`ALL`] is what `docs/operating.md` lists, which a test holds together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::sink::Requests;
use crate::worker::Done;

/// A metric as it is named and explained.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// As it is scraped; a histogram's without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What its label values tell apart, with commas between; empty = it has none.
    pub labels: &'static str,
    /// What it says, in one sentence without its full stop.
    pub about: &'static str,
}

const fn name(name: &'static str, labels: &'static str, about: &'static str) -> Name {
    Name {
        name,
        labels,
        about,
    }
}

#[rustfmt::skip]
const BUILD: Name = name("sluice_build_info", "version", "The host that runs it: always 1");
#[rustfmt::skip]
const PLUGIN: Name = name("sluice_plugin_info", "name, version, digest, generation", "The plugin that runs: always 1");
#[rustfmt::skip]
const LOOKUP: Name = name("sluice_lookup_rows", "lookup", "Rows of reference data");
#[rustfmt::skip]
const CONSUMED: Name = name("sluice_messages_consumed_total", "topic, partition", "Messages taken from the source");
#[rustfmt::skip]
const WRITTEN: Name = name("sluice_messages_written_total", "", "Messages whose rows are all acknowledged");
#[rustfmt::skip]
const FILTERED: Name = name("sluice_messages_filtered_total", "code", "Messages left out on purpose");
#[rustfmt::skip]
const LETTERS: Name = name("sluice_messages_dead_lettered_total", "stage, code", "Messages kept as dead letters");
#[rustfmt::skip]
const PENDING: Name = name("sluice_messages_pending", "", "Messages taken and not durable yet");
#[rustfmt::skip]
const GAP: Name = name("sluice_conservation_gap", "", "Messages of durable batches without an outcome, or with two: always 0");
#[rustfmt::skip]
const ROWS: Name = name("sluice_rows_written_total", "table", "Rows acknowledged");
#[rustfmt::skip]
const BATCHES: Name = name("sluice_batches_total", "outcome", "Durable batches: `written`, or `with_dead_letters` among their messages");
#[rustfmt::skip]
const PHASES: Name = name("sluice_batch_duration_seconds", "phase", "Time a batch spent in `fetch`, `transform`, `write` and `checkpoint`");
#[rustfmt::skip]
const CALLS: Name = name("sluice_plugin_call_duration_seconds", "", "Time of a call of the plugin; more than one a batch only in a search for messages it fails on");
#[rustfmt::skip]
const TRAPS: Name = name("sluice_plugin_traps_total", "kind", "Calls of the plugin that failed, those of the search for the messages to blame included");
#[rustfmt::skip]
const MEMORY: Name = name("sluice_plugin_memory_bytes", "worker", "Memory of the plugin's instance");
#[rustfmt::skip]
const SWAPS: Name = name("sluice_plugin_swaps_total", "outcome", "Versions that were offered: `refused`, `traded`, `kept` after their probation, `rolled_back`");
#[rustfmt::skip]
const VERSIONS: Name = name("sluice_group_versions", "", "Versions that the group's commits name: 2 while its members are swapped one by one");
#[rustfmt::skip]
const LAG: Name = name("sluice_consumer_lag_messages", "topic, partition", "Offsets from the committed one to the end of the log, as the last fetch told it");
#[rustfmt::skip]
const COMMITTED: Name = name("sluice_committed_offset", "topic, partition", "The offset to go on from, as the broker has acknowledged it");
#[rustfmt::skip]
const AGE: Name = name("sluice_checkpoint_age_seconds", "", "Time since a commit was last acknowledged; 0 while nothing waits for one");
#[rustfmt::skip]
const IN_FLIGHT: Name = name("sluice_sink_in_flight", "", "Requests to Cassandra under way");
#[rustfmt::skip]
const REQUESTS: Name = name("sluice_sink_requests_total", "outcome", "Requests to Cassandra that were `acknowledged`, or `failed`");
#[rustfmt::skip]
const RETRIES: Name = name("sluice_sink_retries_total", "code", "Failed attempts to write a batch, each tried again");
#[rustfmt::skip]
const WAITING: Name = name("sluice_waiting_workers", "room", "Workers held up by their `source`, `sink` or `breaker`, or by a `pause`");
#[rustfmt::skip]
const HELD_UP: Name = name("sluice_backpressure_seconds_total", "room", "Time that workers were held up by their `source`, `sink` or `breaker`, or by a `pause`, added up");
#[rustfmt::skip]
const READY: Name = name("sluice_ready", "", "1 if `/readyz` says so, otherwise 0");

/// All metrics there are, in the order in which they are told.
pub const ALL: [Name; 26] = [
    BUILD, PLUGIN, LOOKUP, CONSUMED, WRITTEN, FILTERED, LETTERS, PENDING, GAP, ROWS, BATCHES,
    PHASES, CALLS, TRAPS, MEMORY, SWAPS, VERSIONS, LAG, COMMITTED, AGE, IN_FLIGHT, REQUESTS,
    RETRIES, WAITING, HELD_UP, READY,
];

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where batches' times are cut, in seconds.
const SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// What `Done::phases` are called.
const PHASE_NAMES: [&str; 4] = ["fetch", "transform", "write", "checkpoint"];

type Labels = Vec<(&'static str, String)>;

/// What a pipeline has done so far, in numbers.
pub(super) struct Metrics {
    registry: Registry,
    topic: String,
    consumed: Family<Labels, Counter>,
    written: Counter,
    filtered: Family<Labels, Counter>,
    letters: Family<Labels, Counter>,
    pub(super) pending: Gauge,
    gap: Gauge,
    rows: Family<Labels, Counter>,
    batches: Family<Labels, Counter>,
    phases: Family<Labels, Histogram>,
    lag: Family<Labels, Gauge>,
    committed: Family<Labels, Gauge>,
    pub(super) age: Gauge<f64, AtomicU64>,
    /// Only where something counts them.
    requests: Option<(Arc<Requests>, Gauge, Family<Labels, Counter>)>,
    retries: Family<Labels, Counter>,
    waiting: Family<Labels, Gauge>,
    held_up: Family<Labels, Counter<f64, AtomicU64>>,
    calls: Histogram,
    traps: Family<Labels, Counter>,
    memory: Family<Labels, Gauge>,
    plugin: Family<Labels, Gauge>,
    swaps: Family<Labels, Counter>,
    versions: Gauge,
    pub(super) ready: Gauge,
}

/// Makes a metric and lists it under its name.
fn listed<M: Metric + Clone>(registry: &mut Registry, name: Name, metric: M) -> M {
    // The library puts the ending of counters back.
    let plain = name.name.strip_suffix("_total").unwrap_or(name.name);
    registry.register(plain, name.about, metric.clone());
    metric
}

impl Metrics {
    /// All at 0. `plugin` is its name, version and digest; `lookups` have so many rows; `requests`
    /// counts what a store is sent, if anything does.
    pub(super) fn new(
        topic: &str,
        plugin: [&str; 3],
        lookups: &[(String, usize)],
        requests: Option<Arc<Requests>>,
    ) -> Self {
        let mut registry = Registry::default();
        let to = &mut registry;
        let build: Family<Labels, Gauge> = listed(to, BUILD, Family::default());
        let labels = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        build.get_or_create(&labels).set(1);
        let info: Family<Labels, Gauge> = listed(to, PLUGIN, Family::default());
        let rows: Family<Labels, Gauge> = listed(to, LOOKUP, Family::default());
        for (lookup, count) in lookups {
            let rows = rows.get_or_create(&vec![("lookup", lookup.clone())]);
            rows.set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        let histograms = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> _);
        let metrics = Self {
            topic: topic.to_owned(),
            consumed: listed(to, CONSUMED, Family::default()),
            written: listed(to, WRITTEN, Counter::default()),
            filtered: listed(to, FILTERED, Family::default()),
            letters: listed(to, LETTERS, Family::default()),
            pending: listed(to, PENDING, Gauge::default()),
            gap: listed(to, GAP, Gauge::default()),
            rows: listed(to, ROWS, Family::default()),
            batches: listed(to, BATCHES, Family::default()),
            phases: listed(to, PHASES, histograms),
            calls: listed(to, CALLS, Histogram::new(SECONDS)),
            traps: listed(to, TRAPS, Family::default()),
            memory: listed(to, MEMORY, Family::default()),
            plugin: info,
            swaps: listed(to, SWAPS, Family::default()),
            versions: listed(to, VERSIONS, Gauge::default()),
            lag: listed(to, LAG, Family::default()),
            committed: listed(to, COMMITTED, Family::default()),
            age: listed(to, AGE, Gauge::default()),
            requests: requests.map(|count| {
                let in_flight = listed(to, IN_FLIGHT, Gauge::default());
                (count, in_flight, listed(to, REQUESTS, Family::default()))
            }),
            retries: listed(to, RETRIES, Family::default()),
            waiting: listed(to, WAITING, Family::default()),
            held_up: listed(to, HELD_UP, Family::default()),
            ready: listed(to, READY, Gauge::default()),
            registry,
        };
        metrics.runs(plugin, 0);
        metrics
    }

    /// All of them, as `/metrics` tells them.
    pub(super) fn text(&self) -> String {
        if let Some((requests, in_flight, ended)) = &self.requests {
            in_flight.set(i64::try_from(requests.in_flight()).unwrap_or(i64::MAX));
            for (outcome, count) in requests.ended() {
                let ended = ended.get_or_create(&vec![("outcome", outcome.to_owned())]);
                ended.inner().store(count, Ordering::Relaxed);
            }
        }
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("a text can be written to");
        out
    }

    fn partition(&self, partition: i32) -> Labels {
        vec![
            ("topic", self.topic.clone()),
            ("partition", partition.to_string()),
        ]
    }

    pub(super) fn taken(&self, partition: i32, messages: usize) {
        let consumed = self.consumed.get_or_create(&self.partition(partition));
        consumed.inc_by(messages as u64);
    }

    pub(super) fn done(&self, done: &Done) {
        self.written.inc_by(done.written as u64);
        let is_whole = done.letters.is_empty();
        let outcome = if is_whole {
            "written"
        } else {
            "with_dead_letters"
        };
        let labels = vec![("outcome", outcome.to_owned())];
        self.batches.get_or_create(&labels).inc();
        self.gap.inc_by(done.conservation_gap());
        let count = |family: &Family<Labels, Counter>, labels: Labels, count: usize| {
            family.get_or_create(&labels).inc_by(count as u64);
        };
        for (table, rows) in &done.rows {
            count(&self.rows, vec![("table", table.to_string())], *rows);
        }
        for (code, messages) in &done.filtered {
            count(&self.filtered, vec![("code", code.to_string())], *messages);
        }
        for ((stage, code), messages) in &done.letters {
            let labels = vec![("stage", (*stage).to_owned()), ("code", code.to_string())];
            count(&self.letters, labels, *messages);
        }
        for (kind, calls) in &done.calls.failed {
            count(&self.traps, vec![("kind", (*kind).to_owned())], *calls);
        }
        for time in &done.calls.took {
            self.calls.observe(time.as_secs_f64());
        }
        for (phase, time) in PHASE_NAMES.into_iter().zip(done.phases) {
            let labels = vec![("phase", phase.to_owned())];
            let phase = self.phases.get_or_create(&labels);
            phase.observe(time.as_secs_f64());
        }
    }

    /// What runs from now on: the plugin's name, version and digest.
    pub(super) fn runs(&self, plugin: [&str; 3], generation: u32) {
        let [name, version, digest] = plugin.map(str::to_owned);
        let generation = ("generation", generation.to_string());
        let labels = [("name", name), ("version", version), ("digest", digest)];
        self.plugin.clear();
        let labels = labels.into_iter().chain([generation]).collect();
        self.plugin.get_or_create(&labels).set(1);
    }

    pub(super) fn swapped(&self, outcome: &str) {
        let labels = vec![("outcome", outcome.to_owned())];
        self.swaps.get_or_create(&labels).inc();
    }

    /// How many versions the group's commits name.
    pub(super) fn versions(&self, versions: usize) {
        let versions = i64::try_from(versions).unwrap_or(i64::MAX);
        self.versions.set(versions);
    }

    pub(super) fn retried(&self, code: &str) {
        let labels = vec![("code", code.to_owned())];
        self.retries.get_or_create(&labels).inc();
    }

    pub(super) fn waiting(&self, room: &str, workers: usize) {
        let waiting = self.waiting.get_or_create(&vec![("room", room.to_owned())]);
        waiting.set(i64::try_from(workers).unwrap_or(i64::MAX));
    }

    pub(super) fn memory(&self, worker: usize, bytes: usize) {
        let labels = vec![("worker", worker.to_string())];
        let memory = self.memory.get_or_create(&labels);
        memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn held_up(&self, room: &str, time: Duration) {
        let held_up = self.held_up.get_or_create(&vec![("room", room.to_owned())]);
        held_up.inc_by(time.as_secs_f64());
    }

    pub(super) fn standing(&self, partition: i32, committed: Option<i64>, end: Option<i64>) {
        let labels = self.partition(partition);
        if let Some(committed) = committed {
            self.committed.get_or_create(&labels).set(committed);
        }
        if let Some((committed, end)) = committed.zip(end) {
            let lag = self.lag.get_or_create(&labels);
            lag.set((end - committed).max(0));
        }
    }

    pub(super) fn released(&self, partition: i32) {
        let labels = self.partition(partition);
        self.committed.remove(&labels);
        self.lag.remove(&labels);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;

    /// The table in the documents is made from the names.
    #[test]
    fn the_documents_name_every_metric() {
        const BEGIN: &str = "| metric | labels | meaning |\n| --- | --- | --- |\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, table) = text.split_once(BEGIN).expect("the table is there");
        let is_row = |line: &&str| line.starts_with('|');
        let rows: usize = table
            .split_inclusive('\n')
            .take_while(is_row)
            .map(str::len)
            .sum();
        let row = |name: &Name| {
            let Name {
                name,
                labels,
                about,
            } = name;
            format!("| `{name}` | {labels} | {about}. |\n")
        };
        let made: String = ALL.iter().map(row).collect();
        let expected = format!("{before}{BEGIN}{made}{}", &table[rows..]);
        expect_file![path].assert_eq(&expected);
    }
}
