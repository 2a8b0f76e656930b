//! What is known of a running pipeline, and the admin address that tells it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;

use super::SinkKind;
use crate::admin::{Admin, Desk, Notice};
use crate::config::{self, AdminSection};
use crate::sink::Requests;
use crate::telemetry::{About, Board, Run};
use crate::version::Version;

/// The board of a pipeline before its first report. Requests are counted for Cassandra only.
pub(super) fn board(
    run: Run,
    version: &Version,
    (sink, requests): (&SinkKind, &Arc<Requests>),
    stop: &Arc<AtomicBool>,
) -> Arc<Board> {
    let plugin = version.origin();
    let lookups = version.lookups.iter();
    let lookups = lookups.map(|(name, lookup)| (name.clone(), lookup.len()));
    Arc::new(Board::new(About {
        run,
        plugin: [&plugin.name, &plugin.version, &plugin.digest],
        lookups: &lookups.collect::<Vec<_>>(),
        requests: (*sink == SinkKind::Cassandra).then(|| requests.clone()),
        stop: stop.clone(),
    }))
}

/// The admin address, as long as the pipeline runs.
pub struct Watched {
    /// Where it listens.
    pub address: SocketAddr,
    /// What can be changed there.
    pub desk: Arc<Desk>,
    /// Where that is told to other programs, if the environment has a place for it.
    _notice: Option<Notice>,
}

/// Answers at the admin address from now on; `None`, if that is off.
pub(super) fn open(section: &AdminSection, board: &Arc<Board>) -> anyhow::Result<Option<Watched>> {
    if section.address == "off" {
        return Ok(None);
    }
    let admin = Admin::open(&section.address, &section.hosts);
    let admin = admin.map_err(|error| config::Error::Setting(error.to_string()))?;
    let address = admin.address();
    tracing::info!(asked_for = section.address, "admin at http://{address}");
    let _notice = config::runtime_directory().and_then(|directory| {
        let posted = admin.post(&directory, board.run());
        let told = |error: &io::Error| {
            tracing::warn!(directory = %directory.display(), %error, "the admin address is not told there");
        };
        posted.inspect_err(told).ok()
    });
    let desk = Arc::<Desk>::default();
    admin
        .serve(board.clone(), desk.clone())
        .context("the admin address")?;
    Ok(Some(Watched {
        address,
        desk,
        _notice,
    }))
}
