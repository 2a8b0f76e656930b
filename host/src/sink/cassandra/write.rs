//! The writing of a batch: units in flight, what is acknowledged, what is refused.

use std::sync::Arc;

use scylla::client::session::Session;
use tokio::task::JoinSet;

use super::plan::{Plan, Unit};
use super::session::{self, Failure};
use super::statement::{Statement, Values};
use super::window::{End, UNIT_WEIGHT, Window};
use super::{Config, Consistency};
use crate::failpoint;
use crate::row::{Key, Target, Transformed};
use crate::sink::{Error, Refused, schema};

/// The codes of a store that has more than it can do.
const OVERWHELMED: [&str; 4] = [
    "overloaded",
    "write_timeout",
    "client_timeout",
    "rate_limited",
];

/// Up to how many nodes rows of several partitions travel together: they meet on few replicas.
const LONE_TOGETHER_NODES_MAX: usize = 3;

/// What writes into one session.
pub(super) struct Writer {
    config: Arc<Config>,
    session: Option<Arc<Session>>,
    targets: Vec<Target>,
    prepared: Option<Prepared>,
    window: Window,
    current: Option<Current>,
}

struct Prepared {
    keys: Vec<Key>,
    statements: Vec<Arc<Statement>>,
}

/// The batch in work, kept after an error so that only what is missing is written again.
struct Current {
    batch: Arc<Transformed>,
    plan: Arc<Plan>,
    is_done: Vec<bool>,
    refused: Vec<Refused>,
}

impl Writer {
    pub(super) fn new(config: Config) -> Self {
        Self {
            window: Window::new(config.requests_in_flight_max),
            config: Arc::new(config),
            session: None,
            targets: Vec::new(),
            prepared: None,
            current: None,
        }
    }

    pub(super) async fn prepare(&mut self, targets: Vec<Target>) -> Result<Vec<Key>, Error> {
        self.targets = targets;
        self.prepared = None;
        let prepared = self.prepared().await?;
        Ok(prepared.keys.clone())
    }

    /// Connects if need be, compares the live tables and prepares the statements.
    async fn prepared(&mut self) -> Result<&Prepared, Error> {
        let session = match &self.session {
            Some(session) => session.clone(),
            None => Arc::new(session::connect(&self.config).await?),
        };
        self.session = Some(session.clone());
        let (tables, is_single) = session::live(&session, &self.config).await?;
        let keys = schema::keys(&self.targets, &tables).map_err(|difference| {
            let keyspace = &self.config.keyspace;
            let pipeline = self.config.pipeline.as_deref().unwrap_or("PIPELINE");
            Error::Schema(format!(
                "the tables of keyspace `{keyspace}` in {} are not those that the plugin writes:\n\
                 {difference}`host schema apply {pipeline}` makes what is missing; what is of another \
                 type must be dropped first",
                self.config.store(),
            ))
        })?;
        let by_replicas = if is_single {
            Consistency::LocalOne
        } else {
            Consistency::LocalQuorum
        };
        let consistency = self.config.consistency.unwrap_or(by_replicas);
        let mut statements = Vec::new();
        for target in &self.targets {
            let statement = Statement::prepare(
                &session,
                &self.config,
                target,
                session::driver_consistency(consistency),
            );
            statements.push(Arc::new(statement.await?));
        }
        Ok(self.prepared.insert(Prepared { keys, statements }))
    }

    /// Writes what is not acknowledged yet of a batch; answers with the rows that are refused.
    pub(super) async fn write(&mut self, batch: &Arc<Transformed>) -> Result<Vec<Refused>, Error> {
        if self.prepared.is_none() {
            self.prepared().await?;
        }
        let mut current = match self.current.take() {
            Some(current) if Arc::ptr_eq(&current.batch, batch) => current,
            Some(_) | None => self.planned(batch),
        };
        let written = self.write_units(&mut current).await;
        let refused = match written {
            Ok(()) if current.refused.is_empty() => return Ok(Vec::new()),
            Ok(()) => std::mem::take(&mut current.refused),
            Err(error) => {
                self.current = Some(current);
                return Err(error);
            }
        };
        // A row is to blame only if the tables are what they should be.
        self.prepared = None;
        let rechecked = self.prepared().await.map(|_| ());
        if rechecked.is_err() {
            let is_refused = |unit: &Unit| {
                let rows = &batch.rows[unit.rows];
                let mut sources = current
                    .plan
                    .rows(unit)
                    .iter()
                    .map(|&row| rows.sources[row as usize]);
                sources.any(|source| refused.iter().any(|row| row.message == source as usize))
            };
            for (index, unit) in current.plan.units.iter().enumerate() {
                current.is_done[index] &= !is_refused(unit);
            }
            self.current = Some(current);
        }
        rechecked.map(|()| refused)
    }

    fn planned(&self, batch: &Arc<Transformed>) -> Current {
        let prepared = self
            .prepared
            .as_ref()
            .expect("a batch is written after preparing");
        let session = self.session.as_ref().expect("preparing connects");
        let nodes = session.get_cluster_state().get_nodes_info().len();
        let plan = Plan::of(batch, &prepared.keys, nodes <= LONE_TOGETHER_NODES_MAX);
        Current {
            batch: batch.clone(),
            is_done: vec![false; plan.units.len()],
            plan: Arc::new(plan),
            refused: Vec::new(),
        }
    }

    /// Writes the units that are not done, each once, as many at a time as the window takes. When more
    /// fail than are taken none is started; those in flight are waited for, so that none is left behind.
    async fn write_units(&mut self, current: &mut Current) -> Result<(), Error> {
        let prepared = self
            .prepared
            .as_ref()
            .expect("a batch is written after preparing");
        let session = self.session.as_ref().expect("preparing connects");
        let units = current
            .is_done
            .iter()
            .enumerate()
            .filter(|(_, is_done)| !**is_done);
        let mut pending = units
            .map(|(index, _)| index)
            .collect::<Vec<_>>()
            .into_iter()
            .peekable();
        let (mut taken, mut failures, mut failed) = (0, 0, None);
        let mut attempts = JoinSet::new();
        loop {
            while failures <= taken
                && is_passing(&failed)
                && let Some(&index) = pending.peek()
                && let weight = weight(&current.plan.units[index])
                && self.window.has_room(weight)
            {
                pending.next();
                self.window.start(weight);
                let rows = current.plan.units[index].rows;
                let attempt = Attempt {
                    config: self.config.clone(),
                    session: session.clone(),
                    statement: prepared.statements[current.batch.rows[rows].target].clone(),
                    batch: current.batch.clone(),
                    plan: current.plan.clone(),
                    index,
                };
                attempts.spawn(async move { (attempt.index, attempt.write().await) });
            }
            let Some(ended) = attempts.join_next().await else {
                break;
            };
            let (index, outcome) = ended.expect("no attempt is aborted, and none panics");
            let weight = weight(&current.plan.units[index]);
            self.window.end(weight, end(&outcome));
            match outcome {
                Ok(refused) => {
                    failpoint::reach("writing");
                    current.is_done[index] = true;
                    current.refused.extend(refused);
                    taken += 1;
                }
                Err(error) => {
                    failures += 1;
                    if is_passing(&failed) {
                        failed = Some(error);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn weight(unit: &Unit) -> usize {
    if unit.order.len() == 1 {
        1
    } else {
        UNIT_WEIGHT
    }
}

/// Whether waiting may mend what failed, if something did.
fn is_passing(failed: &Option<Error>) -> bool {
    failed.as_ref().is_none_or(Error::is_transient)
}

fn end(outcome: &Result<Vec<Refused>, Error>) -> End {
    match outcome {
        Ok(_) => End::Taken,
        Err(Error::Unavailable { code, .. }) if OVERWHELMED.contains(code) => End::Overwhelmed,
        Err(_) => End::Failed,
    }
}

/// One unit on its way.
struct Attempt {
    config: Arc<Config>,
    session: Arc<Session>,
    statement: Arc<Statement>,
    batch: Arc<Transformed>,
    plan: Arc<Plan>,
    index: usize,
}

impl Attempt {
    /// Writes the unit. If the server does not take it, its rows are tried one by one, so that only
    /// those to blame are refused.
    async fn write(&self) -> Result<Vec<Refused>, Error> {
        let unit = &self.plan.units[self.index];
        let (rows, order) = (&self.batch.rows[unit.rows], self.plan.rows(unit));
        let bound = order
            .iter()
            .map(|&row| self.statement.bound(rows, row as usize));
        let rows: Vec<_> = bound.collect();
        let reason = match self.send(&rows).await {
            Ok(()) => return Ok(Vec::new()),
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Invalid(reason)) => reason,
        };
        if let [row] = &rows[..] {
            return Ok(vec![Refused {
                message: row.message,
                reason,
            }]);
        }
        let mut refused = Vec::new();
        for row in &rows {
            match self.send(std::slice::from_ref(row)).await {
                Ok(()) => {}
                Err(Failure::Invalid(reason)) => refused.push(Refused {
                    message: row.message,
                    reason,
                }),
                Err(Failure::Store(error)) => return Err(error),
            }
        }
        Ok(refused)
    }

    async fn send(&self, rows: &[Values<'_>]) -> Result<(), Failure> {
        if failpoint::has_bug("bug-skip-one") {
            return Ok(());
        }
        // It is waited for in any case, so that it is counted down, too.
        self.config.requests.begin();
        let sent = self.statement.send(&self.session, rows).await;
        self.config.requests.end(sent.is_ok());
        sent.map_err(|error| Failure::of(&self.config, &error))
    }
}
