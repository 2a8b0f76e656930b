//! Brokers that change places and answer with errors, and messages packed in every way.

use host::embedded::Broker;
use rdkafka::ClientConfig;
use rdkafka::bindings as rd;
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::{Expected, Running, World, committed, conserved, fine, producer, send};

const BROKERS: i32 = 3;
const PARTITIONS: i32 = 4;

/// Brokers within this process that tell which requests they were sent.
struct Cluster {
    player: BaseProducer,
}

impl Cluster {
    fn start() -> Self {
        let mut config = ClientConfig::new();
        config.set("test.mock.num.brokers", BROKERS.to_string());
        let cluster = Self {
            player: config.create().unwrap(),
        };
        cluster
            .mock()
            .create_topic("faults", PARTITIONS, BROKERS)
            .unwrap();
        // SAFETY: the client is alive, and so is the cluster that it plays.
        unsafe {
            rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster.native(), 0);
            rd::rd_kafka_mock_start_request_tracking(cluster.native());
        }
        cluster
    }

    fn mock(&self) -> MockCluster<'_, DefaultProducerContext> {
        self.player.client().mock_cluster().unwrap()
    }

    fn native(&self) -> *mut rd::rd_kafka_mock_cluster_t {
        // SAFETY: the client is alive.
        unsafe { rd::rd_kafka_handle_mock_cluster(self.player.client().native_ptr()) }
    }

    /// Has the next requests of a kind fail.
    fn fail(&self, kind: RDKafkaApiKey, error: RDKafkaRespErr, count: usize) {
        // SAFETY: the cluster is alive.
        unsafe { rd::rd_kafka_mock_clear_requests(self.native()) };
        self.mock().request_errors(kind, &vec![error; count]);
    }

    /// How many requests of a kind have come since some were told to fail.
    fn requests(&self, kind: RDKafkaApiKey) -> usize {
        let kind: i16 = kind.into();
        let mut count = 0;
        // SAFETY: the cluster is alive; it gives a list of its own of so many requests, which is
        // read while it is ours and then given back.
        unsafe {
            let all = rd::rd_kafka_mock_get_requests(self.native(), &raw mut count);
            let each = (0..count).map(|index| rd::rd_kafka_mock_request_api_key(*all.add(index)));
            let found = each.filter(|found| *found == kind).count();
            rd::rd_kafka_mock_request_destroy_array(all, count);
            found
        }
    }
}

/// Runs a host while brokers fail it, round by round, until all messages are written: nothing is
/// left out. `inject` does the harm of a round, and answers when it was met.
fn check(
    (row, fault, injected, measured): (u8, &str, usize, &str),
    rounds: usize,
    inject: impl Fn(&Cluster, usize) -> Met,
) {
    /// To each partition, each round.
    const MESSAGES: usize = 20;
    let cluster = Cluster::start();
    let brokers = cluster.mock().bootstrap_servers();
    let producer = producer(&brokers, &[("retry.backoff.ms", "10")]);
    let world = World::new();
    let host = world.host(&["--brokers", &brokers, "--workers", "1"]);
    let mut host = Running::start(host, world.folder.path());
    for round in 0..rounds {
        let met = inject(&cluster, round);
        for partition in 0..PARTITIONS {
            let numbers = round * MESSAGES..(round + 1) * MESSAGES;
            let messages = numbers.map(|number| fine(partition, number));
            send(&producer, partition, messages);
        }
        let all = MESSAGES * (round + 1) * PARTITIONS as usize;
        host.wait_until("the rows of this round", || {
            world.written() == all as i64 && met(&cluster)
        });
    }
    let end = (rounds * MESSAGES) as i64;
    host.wait_until("all is committed", || {
        committed(&brokers)
            .iter()
            .all(|(_, offset)| *offset == Some(end))
    });
    assert_eq!(host.stop(), Some(0), "{}", host.said());
    // What it had written it has committed: another one has nothing to do.
    let again = world.host(&["--brokers", &brokers, "--once", "--share"]);
    conserved(&{ again }.output().unwrap(), 0, 0);
    let mut expected = Expected::default();
    (0..PARTITIONS).for_each(|partition| expected.note_fine(partition, rounds * MESSAGES));
    world.hold(&expected, row, fault, injected, measured);
}

/// Whether what was injected has taken effect.
type Met = Box<dyn Fn(&Cluster) -> bool>;

#[test]
fn leaders_and_the_coordinator_move() {
    const ROUNDS: usize = 10;
    let inject = |cluster: &Cluster, round: usize| -> Met {
        let at = |shift: usize| i32::try_from((round + shift) % 3).unwrap() + 1;
        let mock = cluster.mock();
        for shift in [0, 2] {
            let partition = i32::try_from((round + shift) % 4).unwrap();
            mock.partition_leader("faults", partition, Some(at(shift)))
                .unwrap();
        }
        if round.is_multiple_of(2) {
            let group = MockCoordinator::Group("sluice-faults".to_owned());
            mock.coordinator(group, at(0)).unwrap();
        }
        Box::new(|_| true)
    };
    let fault = "leader moves 20 times, coordinator 5 times";
    check((6, fault, 25, "read on without a gap"), ROUNDS, inject);
}

#[test]
fn requests_fail() {
    use RDKafkaApiKey::{Fetch, Heartbeat, JoinGroup, OffsetCommit};
    use RDKafkaRespErr as E;
    let failures = [
        (Fetch, E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 40),
        (
            OffsetCommit,
            E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            3,
        ),
        (Fetch, E::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, 40),
        (Heartbeat, E::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, 2),
        (Fetch, E::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, 40),
        (OffsetCommit, E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, 3),
        (Heartbeat, E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR, 10),
        (
            JoinGroup,
            E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            4,
        ),
        (Fetch, E::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, 40),
        (
            Heartbeat,
            E::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            16,
        ),
        (Heartbeat, E::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, 1),
        (Heartbeat, E::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, 1),
    ];
    let inject = |cluster: &Cluster, round: usize| -> Met {
        let (kind, error, count) = failures[round];
        cluster.fail(kind, error, count);
        if kind == JoinGroup {
            let again = [E::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS];
            cluster.mock().request_errors(Heartbeat, &again);
        }
        Box::new(move |cluster| cluster.requests(kind) >= count)
    };
    let injected = failures.iter().map(|(_, _, count)| count).sum();
    let fault = "errors on Fetch, OffsetCommit, JoinGroup, Heartbeat";
    check(
        (7, fault, injected, "asked again, each was met"),
        failures.len(),
        inject,
    );
}

#[test]
fn codecs_mix_in_one_topic() {
    const EACH: usize = 100;
    let broker = Broker::start("faults", 1).unwrap();
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (index, codec) in codecs.into_iter().enumerate() {
        let settings = [("compression.codec", codec), ("linger.ms", "50")];
        let numbers = index * EACH..(index + 1) * EACH;
        send(
            &producer(&broker.brokers(), &settings),
            0,
            numbers.map(|number| fine(0, number)),
        );
    }
    let world = World::new();
    let output = world
        .host(&["--brokers", &broker.brokers(), "--once", "--share"])
        .output()
        .unwrap();
    conserved(&output, codecs.len() * EACH, 0);
    let mut expected = Expected::default();
    expected.note_fine(0, codecs.len() * EACH);
    let read = format!("{} of {} read", codecs.len(), codecs.len());
    world.hold(
        &expected,
        18,
        "codecs none, gzip, snappy, lz4, zstd mixed",
        5,
        &read,
    );
}
