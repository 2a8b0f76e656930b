//! What a board knows after reports.

use std::time::Duration;

use super::*;
use crate::message::Span;
use crate::plugin::Calls;

/// Two under way, after three that were acknowledged and one that was not.
fn requests() -> Arc<Requests> {
    let requests = Requests::default();
    (0..6).for_each(|_| requests.begin());
    for is_acknowledged in [true, false, true, true] {
        requests.end(is_acknowledged);
    }
    Arc::new(requests)
}

fn board(workers: usize) -> Board {
    let board = Board::new(About {
        run: Run::new("group", "plays".into()),
        plugin: ["p", "1.2.3", "abc"],
        lookups: &[("songs".to_owned(), 7)],
        requests: Some(requests()),
        stop: Arc::default(),
    });
    board.expect(workers);
    board
}

fn waits(worker: usize, room: &'static str, reason: &str) -> Report {
    Report::Waits {
        worker,
        room,
        reason: reason.to_owned(),
    }
}

/// A batch of ten: six written as eight rows, three left out, one refused.
fn done(end: i64) -> Report {
    Report::Done(Done {
        generation: 0,
        spans: vec![Span {
            partition: 3,
            start: end - 10,
            end,
        }],
        messages: 10,
        written: 6,
        rows: [("plays".into(), 8)].into(),
        filtered: [("unknown".into(), 3)].into(),
        letters: [(("decode", "bad_json".into()), 1)].into(),
        calls: Calls {
            took: vec![Duration::from_millis(2); 4],
            failed: [("deadline", 3)].into(),
        },
        began: Instant::now(),
        phases: [1, 2, 3, 4].map(Duration::from_millis),
    })
}

fn standing(committed: i64, end: i64) -> Report {
    Report::Standing {
        worker: 0,
        partitions: vec![crate::source::Standing {
            partition: 3,
            committed: Some(committed),
            end: Some(end),
        }],
        memory: 4096,
    }
}

#[test]
fn ready_is_who_neither_starts_nor_waits_nor_stops() {
    let board = board(2);
    let check = |report: Option<Report>, reasons: &[&str]| {
        report.iter().for_each(|report| board.observe(report));
        assert_eq!(board.reasons(), reasons, "{report:?}");
        let ready = format!("sluice_ready {}\n", i32::from(reasons.is_empty()));
        assert!(board.metrics().contains(&ready), "{reasons:?}");
    };
    let goes_on = |worker, room| Some(Report::GoesOn { worker, room });
    let starting = "starting: 1 of 2 workers are ready";
    check(None, &["starting: 0 of 2 workers are ready"]);
    check(Some(Report::Ready), &[starting]);
    let down = waits(1, "sink", "S: down");
    check(Some(down), &["sink: S: down (1 of 2 workers)", starting]);
    check(goes_on(1, "sink"), &[starting]);
    check(Some(Report::Ready), &[]);
    let down = waits(0, "source", "K: down");
    check(Some(down), &["source: K: down (1 of 2 workers)"]);
    let down = waits(1, "source", "K: down");
    check(Some(down), &["source: K: down (2 of 2 workers)"]);
    check(goes_on(0, "source"), &["source: K: down (1 of 2 workers)"]);
    check(goes_on(1, "source"), &[]);
    let stopped = Report::Stopped {
        partition: 3,
        reason: "partition 3: a gap".to_owned(),
    };
    check(Some(stopped), &["source: partition 3: a gap"]);
    check(Some(Report::Released { partition: 3 }), &[]);
    board.stop.store(true, Ordering::Relaxed);
    check(None, &["stopping: what is in flight is finished first"]);
}

#[test]
fn one_worker_is_not_counted() {
    let board = board(1);
    board.observe(&waits(0, "sink", "S: down"));
    assert_eq!(board.reasons()[0], "sink: S: down");
}

#[test]
fn every_report_has_its_metric() {
    let board = board(1);
    let says = |line: &str| {
        let text = board.metrics();
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    };
    says(r#"sluice_plugin_info{name="p",version="1.2.3",digest="abc",generation="0"} 1"#);
    says(r#"sluice_lookup_rows{lookup="songs"} 7"#);
    let messages = [(3, 10), (4, 2)].into();
    board.observe(&Report::Taken { messages });
    says(r#"sluice_messages_consumed_total{topic="plays",partition="3"} 10"#);
    says(r#"sluice_messages_consumed_total{topic="plays",partition="4"} 2"#);
    says("sluice_messages_pending 12");
    says("sluice_sink_in_flight 2");
    says(r#"sluice_sink_requests_total{outcome="acknowledged"} 3"#);
    says(r#"sluice_sink_requests_total{outcome="failed"} 1"#);
    board.observe(&done(20));
    says("sluice_messages_pending 2");
    says("sluice_messages_written_total 6");
    says(r#"sluice_rows_written_total{table="plays"} 8"#);
    says(r#"sluice_messages_filtered_total{code="unknown"} 3"#);
    says(r#"sluice_messages_dead_lettered_total{stage="decode",code="bad_json"} 1"#);
    says("sluice_conservation_gap 0");
    says(r#"sluice_batches_total{outcome="with_dead_letters"} 1"#);
    says("sluice_plugin_call_duration_seconds_sum 0.008");
    says("sluice_plugin_call_duration_seconds_count 4");
    says(r#"sluice_plugin_traps_total{kind="deadline"} 3"#);
    says(r#"sluice_batch_duration_seconds_sum{phase="checkpoint"} 0.004"#);
    board.observe(&Report::Retries { code: "overloaded" });
    says(r#"sluice_sink_retries_total{code="overloaded"} 1"#);
    board.observe(&waits(0, "sink", "S: down"));
    says(r#"sluice_waiting_workers{room="sink"} 1"#);
    let (worker, room) = (0, "sink");
    board.observe(&Report::GoesOn { worker, room });
    says(r#"sluice_waiting_workers{room="sink"} 0"#);
    board.observe(&standing(15, 32));
    says(r#"sluice_committed_offset{topic="plays",partition="3"} 15"#);
    says(r#"sluice_consumer_lag_messages{topic="plays",partition="3"} 17"#);
    says(r#"sluice_plugin_memory_bytes{worker="0"} 4096"#);
    board.observe(&Report::Released { partition: 3 });
    assert!(!board.metrics().contains("sluice_committed_offset"));
}

/// The time of a wait is counted while it lasts, for each worker, and stops with it.
#[test]
fn what_holds_workers_up_is_added_up() {
    let board = board(2);
    let held_up = || {
        let text = board.metrics();
        let name = r#"sluice_backpressure_seconds_total{room="sink"} "#;
        let told = text.lines().find_map(|line| line.strip_prefix(name));
        told.map_or(0.0, |seconds| seconds.parse::<f64>().unwrap())
    };
    assert_eq!(held_up(), 0.0);
    let began = Instant::now();
    board.observe(&waits(0, "sink", "S: down"));
    board.observe(&waits(1, "sink", "S: down"));
    let first = held_up();
    board.observe(&waits(1, "sink", "S: busy"));
    let second = held_up();
    assert!(0.0 < first && first < second, "{first} {second}");
    for worker in 0..2 {
        let room = "sink";
        board.observe(&Report::GoesOn { worker, room });
    }
    let all = held_up();
    assert!(all <= 2.0 * began.elapsed().as_secs_f64(), "{all}");
    assert_eq!(held_up(), all);
}

/// The gap is counted, not claimed.
#[test]
fn a_message_without_outcome_would_be_seen() {
    let board = board(1);
    let Report::Done(mut batch) = done(10) else {
        unreachable!("it makes no other");
    };
    batch.messages += 2;
    let messages = [(3, 12)].into();
    board.observe(&Report::Taken { messages });
    board.observe(&Report::Done(batch));
    assert!(board.metrics().contains("sluice_conservation_gap 2\n"));
}

#[test]
fn a_checkpoint_ages_while_something_waits_for_it() {
    let board = board(1);
    let is_aging = || {
        !board
            .metrics()
            .contains("sluice_checkpoint_age_seconds 0.0\n")
    };
    let messages = [(3, 20)].into();
    board.observe(&Report::Taken { messages });
    // Of a file nothing is ever committed.
    board.observe(&done(10));
    assert!(!is_aging());
    board.observe(&standing(10, 10));
    assert!(!is_aging());
    board.observe(&done(20));
    assert!(is_aging());
    board.observe(&standing(20, 20));
    assert!(!is_aging());
}

#[test]
fn progress_is_the_last_batch() {
    let board = board(1);
    assert_eq!(board.progress(), Value::Null);
    let messages = [(3, 20)].into();
    board.observe(&Report::Taken { messages });
    board.observe(&done(10));
    board.observe(&done(20));
    let told = board.progress();
    let said = |place: &str| told.pointer(place).cloned().unwrap_or_default();
    assert_eq!(said("/id"), "group");
    assert_eq!(said("/name"), "plays");
    assert_eq!(said("/batchId"), 1);
    assert_eq!(said("/numInputRows"), 10);
    assert_eq!(said("/inputRowsPerSecond"), 1_000);
    assert_eq!(said("/durationMs/triggerExecution"), 10.0);
    assert_eq!(said("/sources/0/startOffset/plays/3"), 10);
    assert_eq!(said("/sources/0/endOffset/plays/3"), 20);
    assert_eq!(said("/sink/numOutputRows"), 8);
    assert_eq!(said("/runId"), board.run().run.as_str());
}
