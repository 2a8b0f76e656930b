//! Sample messages, from the producer to a source.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use host::produce::{self, Plan};

use super::*;

fn description() -> produce::Description {
    let text = r#"
        people = 3
        me = "Ada"
        every = "1ms"
        bursts = 5
        compression = "gzip"
        members = [
            { name = "name", value = "person" },
            { name = "title", value = "titles.name" },
            { name = "at", value = "now_ms" },
        ]
    "#;
    toml::from_str(text).unwrap()
}

pub(super) fn sample(plan: &Plan) -> produce::Report {
    let titles = |_: &str, _: &str| Ok(vec!["One".to_owned(), "Two".to_owned()]);
    let stop = AtomicBool::new(false);
    let mut told = 0;
    let report = produce::run(&description(), plan, &titles, &stop, &mut |sent| {
        told = sent
    });
    let report = report.unwrap();
    assert_eq!(told, report.sent);
    report
}

#[test]
fn samples_arrive_as_planned() {
    let broker = Broker::start(TOPIC, 4).unwrap();
    let config = config(&broker.brokers(), TOPIC, "group");
    let plan = Plan {
        brokers: broker.brokers(),
        topic: TOPIC.to_owned(),
        ..Plan::default()
    };
    let keyed = Plan {
        keyed: true,
        ..plan.clone()
    };
    let fast = Plan {
        rate: Some(0.0),
        count: Some(5000),
        bad: 12,
        unknown_percent: 10.0,
        ..plan.clone()
    };
    assert_eq!(sample(&plan).sent, 20);
    assert_eq!(sample(&keyed).sent, 20);
    let report = sample(&fast);
    assert_eq!((report.sent, report.bad), (5000, 12));
    assert!((300..700).contains(&report.unknown), "{}", report.unknown);

    let mut member = Member::join(&config);
    let (mut keys, mut bad) = (BTreeMap::<Vec<u8>, BTreeSet<i32>>::new(), 0);
    let deadline = Instant::now() + PATIENCE;
    while member.read.len() < 5040 {
        assert!(Instant::now() < deadline, "{:?}", member.errors);
        for message in member.turn(Limits::default()).messages() {
            let value = message.value.unwrap();
            let value = serde_json::from_slice::<serde_json::Value>(value);
            bad += usize::from(!value.is_ok_and(|value| value["at"].is_number()));
            if let Some(key) = message.key {
                keys.entry(key.to_vec())
                    .or_default()
                    .insert(message.partition);
            }
        }
    }
    assert_eq!(bad, 12);
    assert_eq!(keys.len(), 4);
    assert!(keys.values().all(|partitions| partitions.len() == 1));
}
