//! The stores that rows go into and queries are asked of, each with tables of a test's own: SQLite,
//! and with the servers Cassandra too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use host::message::Batch;
use host::query::Store;
use host::row::{Rows, Transformed, push_cell};
use host::sink::schema::Schema;
use host::sink::{Error, Refused, Sink, sqlite};

#[cfg(feature = "servers")]
use crate::cassandra::Keyspace;

/// How long one write may take on a machine that is busy with other tests.
const WRITE_MAX: Duration = Duration::from_secs(60);

/// A store with a schema's tables, dropped with it.
pub(crate) struct Tables {
    pub(crate) store: Store,
    pub(crate) keyspace: String,
    _directory: Option<tempfile::TempDir>,
    #[cfg(feature = "servers")]
    _keyspace: Option<Keyspace>,
}

/// The tables of a schema in each store, filled.
pub(crate) fn filled(schema: &str, fill: impl Fn(&mut dyn Sink)) -> Vec<Tables> {
    vec![
        in_sqlite(schema, &fill),
        #[cfg(feature = "servers")]
        in_cassandra(schema, &fill),
    ]
}

fn in_sqlite(schema: &str, fill: impl Fn(&mut dyn Sink)) -> Tables {
    let directory = tempfile::tempdir().unwrap();
    let config = sqlite::Config {
        directory: directory.path().into(),
        keyspace: Schema::parse(schema).unwrap().keyspace,
        schema: schema.into(),
    };
    fill(&mut sqlite::Sqlite::open(&config).unwrap());
    Tables {
        store: Store::Sqlite(sqlite::Reader::open(&config).unwrap()),
        keyspace: config.keyspace,
        _directory: Some(directory),
        #[cfg(feature = "servers")]
        _keyspace: None,
    }
}

#[cfg(feature = "servers")]
fn in_cassandra(schema: &str, fill: impl Fn(&mut dyn Sink)) -> Tables {
    let keyspace = Keyspace::of("stores", schema);
    fill(&mut keyspace.sink());
    Tables {
        store: Store::Cassandra(host::sink::cassandra::Reader::open(&keyspace.config).unwrap()),
        keyspace: keyspace.config.keyspace.clone(),
        _directory: None,
        _keyspace: Some(keyspace),
    }
}

/// A row: its write time and its cells.
pub(crate) type Row = (i64, Vec<Option<Vec<u8>>>);

pub(crate) fn transformed(target: usize, given: &[Row]) -> Arc<Transformed> {
    let mut rows = Rows {
        target,
        ..Rows::default()
    };
    for (source, (write_time, cells)) in given.iter().enumerate() {
        rows.bytes
            .extend_from_slice(&u16::try_from(cells.len()).unwrap().to_be_bytes());
        cells
            .iter()
            .for_each(|cell| push_cell(&mut rows.bytes, cell.as_deref()));
        rows.ends.push(u32::try_from(rows.bytes.len()).unwrap());
        rows.write_times.push(*write_time);
        rows.sources.push(u32::try_from(source).unwrap());
    }
    let batch = Batch::new("t".into());
    Arc::new(Transformed {
        batch,
        rows: vec![rows],
        written: 0,
        rejected: vec![],
        filtered: vec![],
    })
}

pub(crate) fn write(sink: &mut dyn Sink, batch: &Arc<Transformed>) -> Result<Vec<Refused>, Error> {
    sink.start(batch);
    let until = Instant::now() + WRITE_MAX;
    loop {
        match sink.poll(Duration::from_millis(100)) {
            Some(written) => return written,
            None => assert!(
                Instant::now() < until,
                "a write takes longer than {WRITE_MAX:?}"
            ),
        }
    }
}
