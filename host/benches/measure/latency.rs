//! Event sent to row acknowledged, in one process with the pipeline: both ends read one clock.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use host::cli::run::{Args, assemble};
use host::message::Span;
use host::pipeline;
use host::worker::{Control, Report};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use crate::load;

/// How long messages are sent for.
const TIME: Duration = Duration::from_secs(15);
/// Those of the first seconds are left out: caches are cold.
const WARM_UP: Duration = Duration::from_secs(3);

#[derive(Parser)]
struct Wrapped {
    #[command(flatten)]
    args: Args,
}

/// When the message at a partition and offset was sent.
type Sent = Arc<Mutex<HashMap<(i32, i64), Instant>>>;

struct Stamps(Sent);
impl ClientContext for Stamps {}
impl ProducerContext for Stamps {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Self::DeliveryOpaque) {
        let message = result.as_ref().expect("the broker takes the message");
        let mut stamps = self.0.lock().expect("nobody panics with it");
        stamps.insert((message.partition(), message.offset()), *sent);
    }
}

/// Sends so many messages a second and prints how long each took to become a row.
pub(crate) fn measure(rate: u32) {
    load::schema();
    let topic = format!("sluice_bench_latency_{}", uuid::Uuid::new_v4().simple());
    let (kafka, cassandra) = (load::kafka(), load::cassandra());
    let args = Wrapped::parse_from([
        "host",
        "--plugin",
        "spotify.wasm",
        "--keyspace",
        load::KEYSPACE,
        "--start",
        "earliest",
        "--topic",
        &topic,
        "--group",
        &topic,
        "--brokers",
        &kafka,
        "--cassandra",
        &cassandra,
        "--admin",
        "off",
    ]);
    load::empty_topic(&topic);
    let stop = Arc::new(AtomicBool::new(false));
    let assembled = assemble::assemble(&args.args, &stop).expect("the pipeline is right");
    let control = Arc::new(Control::new(stop, assembled.ends));
    let sent = Sent::default();
    let (ready, begin) = std::sync::mpsc::channel();
    let producer = {
        let (sent, control) = (sent.clone(), control.clone());
        std::thread::spawn(move || {
            begin.recv().expect("the workers get ready");
            send(rate, &topic, sent);
            // What was sent last is given time to arrive; the pipeline then drains by itself.
            std::thread::sleep(Duration::from_secs(1));
            control.stop();
        })
    };
    let mut done: Vec<(Span, Instant)> = Vec::new();
    let mut waiting = assembled.plan.workers;
    pipeline::run(assembled.plan, &control, &mut |report| match report {
        Some(Report::Ready) => {
            waiting -= 1;
            if waiting == 0 {
                ready.send(()).expect("the producer waits");
            }
        }
        Some(Report::Done(batch)) => {
            let now = Instant::now();
            done.extend(batch.spans.iter().map(|&span| (span, now)));
        }
        Some(_) | None => {}
    })
    .expect("the pipeline runs");
    producer.join().expect("the producer ends well");
    print(rate, &sent.lock().expect("nobody panics with it"), &done);
}

fn send(rate: u32, topic: &str, sent: Sent) {
    let mut config = ClientConfig::new();
    // A request a message at a high rate would measure the broker's and the producer's CPU.
    let linger = if rate < 10_000 { "0" } else { "5" };
    config
        .set("bootstrap.servers", load::kafka())
        .set("linger.ms", linger)
        .set("acks", "1");
    let producer: BaseProducer<Stamps> = config
        .create_with_context(Stamps(sent))
        .expect("the settings are right");
    let began = Instant::now();
    for number in 0.. {
        let due = Duration::from_secs(1) * number / rate;
        if due >= TIME {
            break;
        }
        while let Some(early) = due.checked_sub(began.elapsed()) {
            producer.poll(Duration::ZERO);
            std::thread::sleep(early.min(Duration::from_millis(1)));
        }
        let value = format!(
            r#"{{"name": "Listener {}", "song": "Paper Boats", "timestamp": {}}}"#,
            number % 1_000,
            1_700_000_000_000_u64 + u64::from(number),
        );
        let partition = i32::try_from(number % 8).expect("below 8");
        let record = BaseRecord::<(), str, _>::with_opaque_to(topic, Box::new(Instant::now()));
        let record = record.payload(&value).partition(partition);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("the queue has room");
    }
    producer
        .flush(Duration::from_secs(10))
        .expect("the broker takes all");
}

fn print(rate: u32, sent: &HashMap<(i32, i64), Instant>, done: &[(Span, Instant)]) {
    let begin = sent.values().min().expect("something was sent").to_owned() + WARM_UP;
    let mut latencies = Vec::new();
    for (span, at) in done {
        for offset in span.start..span.end {
            // The few messages that made the topic have no stamp.
            if let Some(&stamp) = sent.get(&(span.partition, offset))
                && stamp >= begin
            {
                latencies.push((*at - stamp).as_secs_f64() * 1e3);
            }
        }
    }
    latencies.sort_by(f64::total_cmp);
    let at = |per_mille: usize| latencies[(latencies.len() - 1) * per_mille / 1_000];
    println!(
        "latency at {rate}/s: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms ({} messages)",
        at(500),
        at(990),
        at(999),
        latencies.len()
    );
}
