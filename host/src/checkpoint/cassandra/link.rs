//! The session behind the rows: it makes the tables where it may, and prepares its statements once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;
use tokio::sync::Mutex;

use super::{Config, Row, Work};
use crate::code::Code;
use crate::sink::{Error, cassandra};

/// The tables, but not their keyspace: it is replicated as the pipeline's own.
const TABLES: &str = include_str!("../../../../cql/sluice.cql");

const KEEP: &str = "INSERT INTO sluice.checkpoints (cluster_id, consumer_group, topic, partition, \
    topic_id, next_offset, w, generation, plugin, lookups, member) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";

const BEGIN: &str = "INSERT INTO sluice.generations (pipeline, consumer_group, generation, partition, \
    first_offset, plugin, lookups, taken_by, taken_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS";

const KEPT: &str = "SELECT partition, topic_id, next_offset, w, generation, member, \
    plugin, lookups, WRITETIME(next_offset) FROM sluice.checkpoints \
    WHERE cluster_id = ? AND consumer_group = ? AND topic = ?";

/// A session, as soon as there is one.
pub(super) struct Link {
    config: Config,
    session: Option<Session>,
    statements: Option<Statements>,
}

struct Statements {
    keep: PreparedStatement,
    begin: PreparedStatement,
    kept: PreparedStatement,
}

/// Makes the host's own tables, replicated as the pipeline's keyspace is.
///
/// # Errors
/// When Cassandra does not answer, or refuses.
pub fn apply(config: &cassandra::Config) -> Result<(), Error> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build();
    let runtime = runtime.map_err(|error| refused(config, error))?;
    runtime.block_on(Box::pin(async {
        let session = cassandra::connect(config).await?;
        make(&session, config).await
    }))
}

fn refused(config: &cassandra::Config, reason: impl Display) -> Error {
    Error::Refused {
        store: config.store(),
        reason: reason.to_string(),
    }
}

/// The statements that make the tables in a keyspace that is replicated in this way.
fn statements(replication: &str) -> Vec<String> {
    let keyspace = format!("CREATE KEYSPACE IF NOT EXISTS sluice WITH replication = {replication}");
    let code = TABLES.lines().filter(|line| !line.starts_with("--"));
    let code = code.collect::<Vec<_>>().join("\n");
    let tables = code
        .split(';')
        .map(str::trim)
        .filter(|text| !text.is_empty());
    [keyspace]
        .into_iter()
        .chain(tables.map(str::to_owned))
        .collect()
}

/// Held while tables are made: nodes do not settle well what changes the schema at the same time.
static MAKING: Mutex<()> = Mutex::const_new(());

async fn make(session: &Session, config: &cassandra::Config) -> Result<(), Error> {
    let _one_by_one = MAKING.lock().await;
    let replication = replication(session, config).await?;
    for statement in statements(&replication) {
        let made = session.query_unpaged(statement.as_str(), ()).await;
        made.map_err(|error| match cassandra::failed(config, &error) {
            Error::Refused { store, reason } => Error::Refused {
                store,
                reason: format!("{reason}; who may should run: {statement}"),
            },
            error @ (Error::Unavailable { .. } | Error::Schema(_)) => error,
        })?;
    }
    Ok(())
}

/// How the pipeline's keyspace is replicated, as CQL writes it.
async fn replication(session: &Session, config: &cassandra::Config) -> Result<String, Error> {
    let query = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let keyspace = config.keyspace.as_str();
    let answer = session.query_unpaged(query, (keyspace,)).await;
    let rows = answer.map_err(|error| cassandra::failed(config, &error))?;
    let rows = rows
        .into_rows_result()
        .map_err(|error| refused(config, error))?;
    let found = rows.maybe_first_row::<(BTreeMap<String, String>,)>();
    let found = found.map_err(|error| refused(config, error))?;
    let missing = || refused(config, format!("there is no keyspace `{keyspace}`"));
    let (options,) = found.ok_or_else(missing)?;
    let options = options
        .iter()
        .map(|(name, value)| format!("'{name}': '{value}'"));
    Ok(format!("{{{}}}", options.collect::<Vec<_>>().join(", ")))
}

impl Link {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            session: None,
            statements: None,
        }
    }

    /// Connects if need be. Why it could not is told with the first row that waits for it.
    pub(super) async fn connect(&mut self) {
        if let Err(error) = self.ready().await {
            tracing::debug!(%error, "sluice.checkpoints");
        }
    }

    async fn ready(&mut self) -> Result<(), Error> {
        let config = &self.config.cassandra;
        if self.session.is_none() {
            self.session = Some(cassandra::connect(config).await?);
        }
        let session = self.session.as_ref().expect("it was just made");
        if self.statements.is_some() {
            return Ok(());
        }
        if session.prepare(BEGIN).await.is_err() || session.prepare(KEPT).await.is_err() {
            make(session, config).await?;
        }
        let prepare = async |text| {
            let prepared = session.prepare(text).await;
            prepared.map_err(|error| cassandra::failed(config, &error.into()))
        };
        self.statements = Some(Statements {
            keep: prepare(KEEP).await?,
            begin: prepare(BEGIN).await?,
            kept: prepare(KEPT).await?,
        });
        Ok(())
    }

    /// Answers what was asked and writes what waits. What is done is taken out of the work, and counted.
    pub(super) async fn carry(&mut self, work: &mut Work, done: &AtomicU64) -> Result<(), Error> {
        let ready = self.ready().await;
        done.fetch_add(1, Ordering::Relaxed);
        for (cluster, answer) in work.asked.drain(..) {
            let kept = match &ready {
                Ok(()) => self.kept(&cluster).await,
                Err(error) => none_if(error, error.to_string()),
            };
            // Whoever asked may have given up.
            let _ = answer.send(kept);
        }
        ready?;
        while let Some(((cluster, _), row)) = work.rows.first_key_value() {
            self.keep(cluster, row).await?;
            work.rows.pop_first();
            done.fetch_add(1, Ordering::Relaxed);
        }
        while let Some((_, row)) = work.firsts.first_key_value() {
            self.begin(row).await?;
            work.firsts.pop_first();
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn parts(&self) -> (&Config, &Session, &Statements) {
        let ready = self.session.as_ref().zip(self.statements.as_ref());
        let (session, statements) = ready.expect("`ready` was asked before");
        (&self.config, session, statements)
    }

    async fn kept(&self, cluster: &str) -> Result<Vec<Row>, String> {
        type Columns = (
            i32,
            Option<String>,
            i64,
            Option<i64>,
            i32,
            String,
            String,
            String,
            i64,
        );
        let (config, session, statements) = self.parts();
        let key = (cluster, config.group.as_str(), config.topic.as_str());
        let answer = match session.execute_unpaged(&statements.kept, key).await {
            Ok(answer) => answer,
            Err(error) => {
                let error = cassandra::failed(&config.cassandra, &error);
                return none_if(&error, error.to_string());
            }
        };
        let rows = answer
            .into_rows_result()
            .map_err(|error| error.to_string())?;
        let rows = rows.rows::<Columns>().map_err(|error| error.to_string())?;
        rows.map(|row| {
            let (partition, topic, next, write_time, generation, member, plugin, lookups, written) =
                row.map_err(|error| error.to_string())?;
            let lookups = serde_json::from_str(&lookups).map_err(|error| error.to_string())?;
            Ok(Row {
                partition,
                topic,
                next,
                write_time,
                generation: u32::try_from(generation).unwrap_or(0),
                epoch: written - next,
                member,
                code: Arc::new(Code { plugin, lookups }),
            })
        })
        .collect()
    }

    async fn keep(&self, cluster: &str, row: &Row) -> Result<(), Error> {
        let (config, session, statements) = self.parts();
        let values = (
            cluster,
            config.group.as_str(),
            config.topic.as_str(),
            row.partition,
            row.topic.as_deref(),
            row.next,
            row.write_time,
            generation(row),
            row.code.plugin.as_str(),
            lookups(&row.code),
            row.member.as_str(),
            row.epoch.saturating_add(row.next),
        );
        let done = session.execute_unpaged(&statements.keep, values).await;
        done.map(drop)
            .map_err(|error| cassandra::failed(&config.cassandra, &error))
    }

    async fn begin(&self, row: &Row) -> Result<(), Error> {
        let (config, session, statements) = self.parts();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_millis());
        let values = (
            config.pipeline.as_str(),
            config.group.as_str(),
            generation(row),
            row.partition,
            row.next,
            row.code.plugin.as_str(),
            lookups(&row.code),
            row.member.as_str(),
            CqlTimestamp(i64::try_from(now).unwrap_or(i64::MAX)),
        );
        let done = session.execute_unpaged(&statements.begin, values).await;
        done.map(drop)
            .map_err(|error| cassandra::failed(&config.cassandra, &error))
    }
}

/// A host that may not have the tables has no rows in them. Where waiting may mend it, nobody knows.
fn none_if(error: &Error, reason: String) -> Result<Vec<Row>, String> {
    if error.is_transient() {
        Err(reason)
    } else {
        Ok(Vec::new())
    }
}

/// The lookups' digests by name, as JSON.
fn lookups(code: &Code) -> String {
    serde_json::to_string(&code.lookups).expect("texts are always JSON")
}

fn generation(row: &Row) -> i32 {
    i32::try_from(row.generation).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_replicated_as_the_pipelines_are() {
        let statements = statements("{'class': 'SimpleStrategy', 'replication_factor': '3'}");
        assert!(statements[0].ends_with("{'class': 'SimpleStrategy', 'replication_factor': '3'}"));
        let made: Vec<_> = statements
            .iter()
            .filter_map(|text| text.split(" (").next())
            .collect();
        assert!(made[1].ends_with("sluice.checkpoints"), "{made:?}");
        assert!(made[2].ends_with("sluice.generations"), "{made:?}");
        assert!(made[3].starts_with("ALTER TABLE"), "{made:?}");
        assert!(made[4].ends_with("sluice.plugins"), "{made:?}");
        assert!(made[5].ends_with("sluice.members"), "{made:?}");
        assert!(made[6].ends_with("sluice.orders"), "{made:?}");
        assert!(made[7].starts_with("ALTER TABLE"), "{made:?}");
        assert_eq!(made.len(), 8);
    }

    #[test]
    fn only_who_is_refused_has_no_rows() {
        let store = || "Cassandra".to_owned();
        let away = Error::Unavailable {
            store: store(),
            code: "read_timeout",
            reason: String::new(),
        };
        assert_eq!(none_if(&away, store()), Err(store()));
        let reason = "no permission".to_owned();
        let refused = Error::Refused {
            store: store(),
            reason,
        };
        assert_eq!(none_if(&refused, store()), Ok(Vec::new()));
    }
}
