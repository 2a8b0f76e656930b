//! Against the real Kafka and the real Cassandra.

use std::process::Stdio;

use expect_test::expect;
use host::sink::cassandra::{Config, Reader};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::findings;
use crate::support::{cassandra, host, kafka, unique};

/// A topic and a keyspace of a test's own; the keyspace is dropped with it.
struct World {
    topic: String,
    keyspace: String,
    reader: Reader,
}

impl World {
    fn new(test: &str) -> Self {
        let name = unique(test);
        let mut config = Config::new(name.clone());
        config.contact_points = vec![cassandra()];
        Self {
            topic: name.clone(),
            keyspace: name,
            reader: Reader::open(&config).unwrap(),
        }
    }

    /// Runs the host; `HERE` stands for the servers, `THERE` for this topic and keyspace.
    fn run(&self, line: &str) -> (Option<i32>, String) {
        let (kafka, cassandra) = (kafka(), cassandra());
        let (topic, keyspace) = (&self.topic, &self.keyspace);
        let line = line
            .replace("KAFKA", &format!("--brokers {kafka} --topic {topic}"))
            .replace(
                "TABLES",
                &format!("--cassandra {cassandra} --keyspace {keyspace}"),
            )
            .replace("GROUP", &format!("--group {topic}"));
        let mut host = host();
        host.args(line.split(' ')).stdin(Stdio::null());
        if line.contains("NOWHERE") {
            host.env("SLUICE_CASSANDRA__LOCAL_DATACENTER", "nowhere");
        }
        let output = host.output().unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
        (output.status.code(), said.concat())
    }

    #[track_caller]
    fn done(&self, line: &str) {
        let (code, said) = self.run(line);
        assert_eq!(code, Some(0), "{line}: {said}");
    }

    /// Checks, and holds the exit code and the words to what is expected.
    #[track_caller]
    /// What the check says; asked again where a busy server took longer than a check waits.
    fn check(&self, flags: &str, code: i32, says: &[&str]) -> String {
        let line = format!("check spotify KAFKA GROUP TABLES{flags}");
        let is_late = |said: &str| LATE.iter().any(|words| said.contains(words));
        let mut attempts = (0..ATTEMPTS_MAX).map(|_| self.run(&line));
        let answered = attempts.find(|(_, said)| !is_late(said));
        let (found, said) = answered.expect("the servers answer in time at last");
        assert_eq!(found, Some(code), "{said}");
        for words in says {
            assert!(said.contains(words), "lacks {words}:\n{said}");
        }
        said
    }

    fn execute(&self, statement: &str) {
        let statement = statement.replace("KEYSPACE", &self.keyspace);
        self.reader.execute(&statement).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let keyspace = &self.keyspace;
        self.reader
            .execute(&format!("DROP KEYSPACE IF EXISTS {keyspace}"))
            .ok();
    }
}

/// What is said of what came too late.
const LATE: [&str; 4] = [
    "it took longer than",
    "no answer within",
    "does not answer",
    "Communication failure",
];
/// How often a busy machine is asked.
const ATTEMPTS_MAX: usize = 10;

/// From nothing to a pipeline that runs, by what the check says.
#[test]
fn a_check_leads_to_a_pipeline_that_runs() {
    let world = World::new("check");
    let missing = [
        "✗ topic",
        "there is none",
        "✗ keyspace",
        "– table `records`",
    ];
    let said = world.check("", 1, &missing);
    let way_out = format!(
        "schema apply spotify --cassandra {} --keyspace {}`",
        cassandra(),
        world.keyspace
    );
    assert!(said.contains(&way_out), "{said}");
    world.done("schema apply spotify TABLES");
    world.done("produce spotify --count 1000 --rate 0 KAFKA");
    let said = world.check("", 0, &["it has never committed"]);
    let [size, cluster, version, datacenter] = [
        ("spotify 0.1.0, ", " "),
        (", cluster ", "\n"),
        (": version ", ","),
        (", data centre ", "\n"),
    ]
    .map(|(before, after)| {
        let rest = said.split(before).nth(1).unwrap_or_default();
        rest.split(after).next().unwrap_or_default()
    });
    let said = said
        .replace(&format!("{size} bytes"), "SIZE bytes")
        .replace(cluster, "CLUSTER")
        .replace(version, "VERSION")
        .replace(datacenter, "DATACENTER")
        .replace(&world.topic, "OWN")
        .replace(&kafka(), "KAFKA")
        .replace(&cassandra(), "CASSANDRA");
    expect![[r#"
        ✓ configuration spotify/pipeline.toml (carried): pipeline `spotify`, topic `OWN`, keyspace `OWN`
        ✓ plugin spotify 0.1.0, SIZE bytes, imports sluice:plugin/lookup@0.1.0, sluice:plugin/log@0.1.0
        ✓ lookup `songs` the carried sample of `songs`: 198 rows, 1 more left out: an earlier one has their key
        ✓ schema spotify/schema.cql (carried): it has what the plugin writes
        ✓ queries spotify/queries.cql (carried): 6 queries
        ✓ broker KAFKA: 1 broker, cluster CLUSTER
        ✓ topic `OWN` 8 partitions, at most 1,000 messages
        ✓ group `OWN` it has never committed: it begins where --start says
        ✓ dead letters topic `OWN.dlq`, to be made with the first of them
        ✓ Cassandra CASSANDRA: version VERSION, data centre DATACENTER
        ✓ keyspace `OWN` it is there
        ✓ table `records` 18 columns, as the plugin writes them"#]].assert_eq(&squeezed(findings(&said)));
    world.done("--plugin spotify KAFKA GROUP TABLES --once");
    world.check("", 0, &["at most 0 messages behind"]);
    world.check(
        " --workers 9",
        0,
        &["! topic", "8 partitions", "9 workers are more"],
    );
    gap(&world);
}

/// The report with one blank between a line's parts: names of a run's own have lengths of their own.
fn squeezed(said: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    said.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// What the group has not read yet is dropped from the log.
fn gap(world: &World) {
    world.done("produce spotify --count 1000 --rate 0 KAFKA");
    let mut config = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", kafka()).create().unwrap();
    let mut ends = TopicPartitionList::new();
    ends.add_partition_offset(&world.topic, 0, Offset::End)
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let options = AdminOptions::new();
    runtime
        .block_on(admin.delete_records(&ends, &options))
        .unwrap();
    world.check(
        "",
        1,
        &[
            "✗ group",
            "partition 0: it goes on at ",
            "a new --group with --start",
        ],
    );
}

#[test]
fn every_carried_pipeline_passes_once_its_tables_are_there() {
    for carried in sluice_bundled::PIPELINES {
        let (name, world) = (carried.name, World::new("check_all"));
        world.done(&format!("schema apply {name} TABLES"));
        world.done(&format!("produce {name} --count 10 --rate 0 KAFKA"));
        let (code, said) = world.run(&format!("check {name} KAFKA GROUP TABLES"));
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains(['!', '\u{2013}']), "{said}");
    }
}

#[test]
fn tables_are_compared_with_what_is_written() {
    let world = World::new("check_tables");
    world.done("schema apply spotify TABLES");
    world.done("produce spotify --count 10 --rate 0 KAFKA");
    let apply = "`* schema apply spotify ".trim_start_matches("`*");
    world.check(" --sink none", 0, &["✓ topic"]);
    world.execute("ALTER TABLE KEYSPACE.records DROP tempo");
    world.check(
        "",
        1,
        &[
            "✗ table `records`",
            "records.tempo: is missing; it should be float",
            apply,
        ],
    );
    world.execute("DROP TABLE KEYSPACE.records");
    world.check(
        "",
        1,
        &[
            "✗ table `records`",
            "records: there is no such table",
            apply,
        ],
    );
    let schema = sluice_bundled::pipeline("spotify").unwrap().schema;
    let table = &schema[schema.find("CREATE TABLE").unwrap()..];
    let table = table.replace("spotify.records", "KEYSPACE.records");
    world.execute(&table.replace("tempo float", "tempo text"));
    world.check(
        "",
        1,
        &[
            "✗ table `records`",
            "records.tempo: is text; it should be float",
            "dropped first",
        ],
    );
    world.execute("DROP TABLE KEYSPACE.records");
    let newest_first = " WITH CLUSTERING ORDER BY (timestamp DESC)";
    world.execute(&format!(
        "{}{newest_first}",
        table.trim_end().trim_end_matches(';')
    ));
    world.check(
        "",
        0,
        &[
            "! table `records`",
            "the primary key is another one, or its order is",
            "schema diff spotify",
        ],
    );
}

#[test]
fn a_data_centre_must_be_there() {
    let world = World::new("check_datacenter");
    let (code, said) = world.run("check spotify KAFKA TABLES --group NOWHERE");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("no node is in data centre `nowhere`; there is "),
        "{said}"
    );
}
