//! Thirty kinds of messages that are not what the pipeline `spotify` asks for, each with its code.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use host::embedded::Broker;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::{PATIENCE, producer};
use crate::support::{Verdict, host, measured};

/// What becomes of a kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// A dead letter with this code.
    Letter(&'static str),
    /// Left out, as the rule for it says.
    Filtered,
    /// A row: the rule for it says that it is good.
    Row,
}

use Fate::{Filtered, Letter, Row};

const GOOD: &str = r#"{"name":"A","song":"S","timestamp":1772467200000}"#;

/// A good message in which something is replaced.
fn with(from: &str, to: &str) -> Option<Vec<u8>> {
    assert!(GOOD.contains(from), "{from}");
    Some(GOOD.replacen(from, to, 1).into_bytes())
}

/// A good message with one more member.
fn plus(member: &str) -> Option<Vec<u8>> {
    with("}", &format!(",{member}}}"))
}

fn large(mebibytes: usize) -> Option<Vec<u8>> {
    plus(&format!(r#""x":"{}""#, "x".repeat(mebibytes << 20)))
}

/// Each kind: what it is, its value, and its fate.
#[rustfmt::skip]
fn kinds() -> Vec<(&'static str, Option<Vec<u8>>, Fate)> {
    let bytes = |text: &[u8]| Some(text.to_vec());
    let deep = |depth: usize| plus(&format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    let song = r#""S""#;
    vec![
        ("tombstone", None, Filtered),
        ("empty", bytes(b""), Letter("bad_json")),
        ("blank", bytes(b"  "), Letter("bad_json")),
        ("no JSON", bytes(b"not JSON"), Letter("bad_json")),
        ("cut off", bytes(&GOOD.as_bytes()[..20]), Letter("bad_json")),
        ("more behind it", bytes(format!("{GOOD} {GOOD}").as_bytes()), Letter("bad_json")),
        ("comma too many", with("}", ",}"), Letter("bad_json")),
        ("list", bytes(b"[]"), Letter("wrong_type")),
        ("number", bytes(b"7"), Letter("wrong_type")),
        ("null", bytes(b"null"), Letter("wrong_type")),
        ("field missing", with(r#""song""#, r#""gong""#), Letter("missing_field")),
        ("field null", with(song, "null"), Letter("missing_field")),
        ("number for text", with(song, "7"), Letter("wrong_type")),
        ("object for text", with(song, "{}"), Letter("wrong_type")),
        ("text for time", with("1772467200000", r#""soon""#), Letter("wrong_type")),
        ("fraction for time", with("1772467200000", "1.5"), Letter("wrong_type")),
        ("exponent for time", with("1772467200000", "1e12"), Letter("wrong_type")),
        ("beyond 64 bits", with("1772467200000", "9223372036854775808"), Letter("wrong_type")),
        ("1e400", plus(r#""x":1e400"#), Letter("bad_json")),
        ("NaN", plus(r#""x":NaN"#), Letter("bad_json")),
        ("no UTF-8", bytes(b"{\"name\":\"\xff\",\"song\":\"S\",\"timestamp\":1}"), Letter("bad_utf8")),
        ("lone surrogate", with(song, r#""\ud800""#), Letter("bad_json")),
        ("raw control character", with(song, "\"\n\""), Letter("bad_json")),
        ("10,000 levels", deep(10_000), Letter("bad_json")),
        ("schema registry", bytes(b"\0\0\0\0\x01{}"), Letter("registry_framing")),
        ("empty key", with(r#""A""#, r#""""#), Letter("bad_key")),
        ("escaped NUL", with(song, r#""a\u0000b""#), Row),
        ("member twice", with(song, r#""R","song":"S""#), Row),
        ("1 MiB", large(1), Row),
        ("5 MiB", large(5), Row),
        ("10 MiB", large(10), Row),
        (LATE, bytes(GOOD.as_bytes()), Letter("far_future")),
    ]
}

/// The kind whose message is good, and whose time is two hours ahead.
const LATE: &str = "far-future date";

/// The time of all others.
const TIME: i64 = 1_772_467_200_000;

fn far() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let far = now.unwrap() + Duration::from_secs(2 * 3_600);
    i64::try_from(far.as_millis()).unwrap()
}

/// Sends values with their times, each person renamed to the kind, so that it shows whose rows are
/// missing.
fn send(
    producer: &BaseProducer,
    partition: i32,
    kind: &str,
    values: impl Iterator<Item = (Option<Vec<u8>>, i64)>,
) {
    let own = |value: Vec<u8>| match String::from_utf8(value) {
        Ok(text) => {
            let named = format!(r#""name":"{kind}""#);
            text.replacen(r#""name":"A""#, &named, 1).into_bytes()
        }
        Err(no_text) => no_text.into_bytes(),
    };
    for (value, time) in values {
        let value = value.map(own);
        let record = BaseRecord::<[u8], [u8]>::to("test").partition(partition);
        let record = record.timestamp(time);
        let record = match &value {
            Some(value) => record.payload(value),
            None => record,
        };
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// The rows by person, and the codes of letters by partition.
type Found = (BTreeMap<String, i64>, BTreeMap<i64, String>);

fn found(folder: &std::path::Path) -> Found {
    let database = rusqlite::Connection::open(folder.join("out/spotify.db")).unwrap();
    let mut query = database
        .prepare("SELECT name, count(*) FROM records GROUP BY name")
        .unwrap();
    let rows = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let text = fs::read_to_string(folder.join("out/dead-letters.jsonl")).unwrap();
    let letters = text.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let code = line["code"].as_str().unwrap().to_owned();
        (line["partition"].as_i64().unwrap(), code)
    });
    (rows.map(Result::unwrap).collect(), letters.collect())
}

#[test]
fn each_kind_of_poison_has_its_code_and_spares_its_neighbours() {
    /// So many good messages stand on each side, where the broker within has room for them: it keeps
    /// no more than 5 MiB of a partition.
    const BESIDE: i64 = 3;
    let all = kinds();
    let broker = Broker::start("test", i32::try_from(all.len()).unwrap()).unwrap();
    let producer = producer(&broker.brokers(), &[]);
    let (mut rows, mut letters) = (BTreeMap::new(), BTreeMap::new());
    let mut filtered = 0;
    for (partition, (kind, value, fate)) in (0..).zip(&all) {
        let is_large = value.as_ref().is_some_and(|value| value.len() > 4 << 20);
        let beside = if is_large { 0 } else { BESIDE };
        let good = |at: i64| GOOD.replace("1772467200000", &at.to_string()).into_bytes();
        let values = (0..beside).map(|at| (Some(good(at)), TIME));
        let time = if *kind == LATE { far() } else { TIME };
        let values = values.chain([(value.clone(), time)]);
        let values = values.chain((beside..2 * beside).map(|at| (Some(good(at)), TIME)));
        send(&producer, partition, kind, values);
        let is_row = i64::from(*fate == Row);
        rows.insert((*kind).to_owned(), 2 * beside + is_row);
        match fate {
            Letter(code) => _ = letters.insert(i64::from(partition), (*code).to_owned()),
            Filtered => filtered += 1,
            Row => {}
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut host = host();
    host.current_dir(folder.path()).args([
        "run",
        "--plugin",
        "spotify",
        "--once",
        "--share",
        "--no-breaker",
    ]);
    let output = host
        .args(["--sink", "sqlite:out", "--brokers", &broker.brokers()])
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (found_rows, found_letters) = found(folder.path());
    assert_eq!(found_letters, letters);
    assert_eq!(found_rows, rows);
    assert!(said.contains(&format!("filtered {filtered} ")), "{said}");
    let told = format!(
        "{} kinds: {} codes as they must be, {filtered} left out by rule, {} good by rule",
        all.len(),
        letters.len(),
        all.len() - letters.len() - filtered
    );
    measured(21, "poison messages", all.len(), Verdict::default(), &told);
}
