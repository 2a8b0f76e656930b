//! Connecting, the live tables, and what the driver's errors mean to us.

use std::error::Error as StdError;
use std::num::NonZeroUsize;
use std::sync::Arc;

use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::{
    ConnectionSetupRequestError, ConnectionSetupRequestErrorKind, DbError, ExecutionError,
    NewSessionError, PrepareError, RequestAttemptError,
};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::Consistency as DriverConsistency;
use secrecy::ExposeSecret as _;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::{Config, Consistency, Tls};
use crate::access;
use crate::sink::Error;
use crate::sink::schema::{Column, Order, Table};

pub(super) fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Connects.
///
/// # Errors
/// When no node answers, or none lets us in.
pub async fn connect(config: &Config) -> Result<Session, Error> {
    if let Some(tls) = &config.tls {
        // What an earlier attempt was told is not why this one fails.
        tls.told.take();
    }
    let mut balancing = DefaultPolicy::builder();
    if let Some(datacenter) = &config.local_datacenter {
        balancing = balancing.prefer_datacenter(datacenter.clone());
    }
    let profile = ExecutionProfile::builder()
        .request_timeout(Some(config.request_timeout))
        // All trying again is the worker's: it keeps its place in the group meanwhile.
        .retry_policy(Arc::new(FallthroughRetryPolicy))
        .speculative_execution_policy(None)
        .load_balancing_policy(balancing.build());
    let mut builder = SessionBuilder::new()
        .known_nodes(&config.contact_points)
        .pool_size(PoolSize::PerHost(NonZeroUsize::MIN))
        .default_execution_profile_handle(profile.build().into_handle())
        // Routing needs the keyspace's replicas; columns are read from the tables' own tables.
        .keyspaces_to_fetch([&config.keyspace])
        .fetch_full_schema_metadata(false);
    if let Some((name, password)) = &config.login {
        builder = builder.user(name, password.expose_secret());
    }
    if let Some(Tls { context, .. }) = &config.tls {
        builder = builder.tls_context(Some(context.clone()));
    }
    let connecting = Box::pin(builder.build());
    match timeout(config.connect_timeout, connecting).await {
        Ok(connected) => connected.map_err(|error| not_connected(config, &error)),
        Err(_) => Err(Error::Unavailable {
            store: config.store(),
            code: "connect_timeout",
            reason: format!("no answer within {} s", config.connect_timeout.as_secs()),
        }),
    }
}

fn not_connected(config: &Config, error: &NewSessionError) -> Error {
    let told = config.tls.as_ref().and_then(|tls| tls.told.take());
    let text = told.unwrap_or_else(|| access::with_causes(error));
    let (store, reason) = (config.store(), access::explain(&text));
    if is_login_refused(error) || access::is_final(&text) {
        Error::Refused { store, reason }
    } else {
        Error::Unavailable {
            store,
            code: "no_connection",
            reason,
        }
    }
}

/// Whether the server wants another name or password: waiting does not mend that.
fn is_login_refused(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(setup) = error.downcast_ref::<ConnectionSetupRequestError>() {
            use ConnectionSetupRequestErrorKind as Kind;
            return matches!(
                &setup.error,
                Kind::MissingAuthentication
                    | Kind::DbError(DbError::AuthenticationError | DbError::Unauthorized, _)
            );
        }
        cause = error.source();
    }
    false
}

/// What a failed request means where no row is to blame.
pub fn failed(config: &Config, error: &ExecutionError) -> Error {
    Failure::of(config, error).into_error(config)
}

/// What a failed request means.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server does not take what was sent: a row, or the statement as the schema is now.
    Invalid(String),
    /// Nothing that concerns a single row.
    Store(Error),
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the driver's errors may become more: what is not known here may pass by itself"
)]
impl Failure {
    pub(super) fn of(config: &Config, error: &ExecutionError) -> Self {
        let store = config.store();
        let away = |code| {
            Self::Store(Error::Unavailable {
                store: store.clone(),
                code,
                reason: error.to_string(),
            })
        };
        match error {
            ExecutionError::LastAttemptError(attempt) => Self::of_attempt(config, attempt),
            ExecutionError::PrepareError(PrepareError::AllAttemptsFailed { first_attempt }) => {
                Self::of_attempt(config, first_attempt)
            }
            ExecutionError::BadQuery(error) => Self::Invalid(error.to_string()),
            ExecutionError::RequestTimeout(_) => away("client_timeout"),
            _ => away("no_connection"),
        }
    }

    fn of_attempt(config: &Config, error: &RequestAttemptError) -> Self {
        let store = config.store();
        let away = |code| {
            Self::Store(Error::Unavailable {
                store: store.clone(),
                code,
                reason: error.to_string(),
            })
        };
        let (error_kind, reason) = match error {
            RequestAttemptError::DbError(kind, reason) => (kind, reason),
            RequestAttemptError::SerializationError(error) => {
                return Self::Invalid(error.to_string());
            }
            RequestAttemptError::CqlRequestSerialization(error) => {
                return Self::Invalid(error.to_string());
            }
            _ => return away("broken_connection"),
        };
        match error_kind {
            DbError::Invalid | DbError::SyntaxError | DbError::ConfigError => {
                Self::Invalid(reason.clone())
            }
            DbError::Unauthorized | DbError::AuthenticationError | DbError::ProtocolError => {
                Self::Store(Error::Refused {
                    store,
                    reason: reason.clone(),
                })
            }
            DbError::Overloaded => away("overloaded"),
            DbError::IsBootstrapping => away("bootstrapping"),
            DbError::Unavailable { .. } => away("unavailable"),
            DbError::WriteTimeout { .. } => away("write_timeout"),
            DbError::WriteFailure { .. } => away("write_failure"),
            DbError::ReadTimeout { .. } => away("read_timeout"),
            DbError::RateLimitReached { .. } => away("rate_limited"),
            _ => away("server_error"),
        }
    }

    /// The error it is where no row is to blame.
    pub(super) fn into_error(self, config: &Config) -> Error {
        match self {
            Self::Invalid(reason) => Error::Refused {
                store: config.store(),
                reason,
            },
            Self::Store(error) => error,
        }
    }
}

/// The live tables of the keyspace, and whether each row has one replica only.
pub(super) async fn live(session: &Session, config: &Config) -> Result<(Vec<Table>, bool), Error> {
    let keyspace = &config.keyspace;
    let query = |what: &str, from: &str| {
        format!("SELECT {what} FROM system_schema.{from} WHERE keyspace_name = '{keyspace}'")
    };
    let columns = query(
        "table_name, column_name, kind, position, type, clustering_order",
        "columns",
    );
    let columns = rows::<(String, String, String, i32, String, String)>(session, config, columns);
    let replication = query(
        "replication['class'], replication['replication_factor']",
        "keyspaces",
    );
    let replication = rows::<(Option<String>, Option<String>)>(session, config, replication);
    let (mut columns, replication) = tokio::try_join!(columns, replication)?;
    columns.sort_by(|a, b| (&a.0, a.3, &a.1).cmp(&(&b.0, b.3, &b.1)));
    let mut tables: Vec<Table> = Vec::new();
    for (table, name, kind, _, type_name, order) in columns {
        if tables.last().is_none_or(|last| last.name != table) {
            let (columns, partition, clustering) = (Vec::new(), Vec::new(), Vec::new());
            tables.push(Table {
                name: table,
                columns,
                partition,
                clustering,
            });
        }
        let table = tables.last_mut().expect("one was just added");
        match kind.as_str() {
            "partition_key" => table.partition.push(name.clone()),
            "clustering" if order == "desc" => {
                table.clustering.push((name.clone(), Order::Descending))
            }
            "clustering" => table.clustering.push((name.clone(), Order::Ascending)),
            _ => {}
        }
        table.columns.push(Column {
            name,
            kind: type_name,
            is_static: kind == "static",
        });
    }
    let is_single = replication.iter().any(|(class, factor)| {
        class
            .as_deref()
            .is_some_and(|class| class.ends_with("SimpleStrategy"))
            && factor.as_deref() == Some("1")
    });
    Ok((tables, is_single))
}

pub(super) async fn rows<R>(
    session: &Session,
    config: &Config,
    query: String,
) -> Result<Vec<R>, Error>
where
    R: for<'frame, 'metadata> scylla::deserialize::row::DeserializeRow<'frame, 'metadata>,
{
    let unreadable = |error: &dyn std::fmt::Display| Error::Refused {
        store: config.store(),
        reason: format!("what `{query}` answers cannot be read: {error}"),
    };
    let asked = session.query_unpaged(query.as_str(), ()).await;
    let answer = asked.map_err(|error| Failure::of(config, &error).into_error(config))?;
    let answer = answer
        .into_rows_result()
        .map_err(|error| unreadable(&error))?;
    let rows = answer.rows::<R>().map_err(|error| unreadable(&error))?;
    rows.collect::<Result<_, _>>()
        .map_err(|error| unreadable(&error))
}

pub(super) fn driver_consistency(consistency: Consistency) -> DriverConsistency {
    match consistency {
        Consistency::One => DriverConsistency::One,
        Consistency::Two => DriverConsistency::Two,
        Consistency::Three => DriverConsistency::Three,
        Consistency::Quorum => DriverConsistency::Quorum,
        Consistency::All => DriverConsistency::All,
        Consistency::LocalOne => DriverConsistency::LocalOne,
        Consistency::LocalQuorum => DriverConsistency::LocalQuorum,
        Consistency::EachQuorum => DriverConsistency::EachQuorum,
    }
}
