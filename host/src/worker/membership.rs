//! What the group gives and takes while a worker is at work.

use super::{Error, Report, Worker};
use crate::source::{self, Change};

impl Worker {
    /// Keeps the membership. What the group takes from us now is fenced off the batch in flight.
    pub(super) fn serve(&mut self) -> Result<(), Error> {
        match self.rooms.source.serve() {
            Ok(()) => self.source_goes_on(),
            Err(error) if error.is_transient() => {
                self.stalls.waits(&self.reports, "source", &error);
            }
            Err(error) => self.lose(error)?,
        }
        for change in self.rooms.source.changes() {
            if let Change::Released { partition } = change {
                self.released.insert(partition);
            }
            self.note(change);
        }
        self.reports
            .stand(&*self.rooms.source, &self.rooms.fitted.plugin);
        Ok(())
    }

    pub(super) fn source_goes_on(&mut self) {
        if !self.rooms.source.is_held_up() {
            self.stalls.goes_on(&self.reports, "source");
        }
    }

    /// A partition that cannot go on is told of, and the others go on; work that should come to an
    /// end would wait for it in vain.
    pub(super) fn lose(&mut self, error: source::Error) -> Result<(), Error> {
        let Some(partition) = error
            .partition()
            .filter(|_| !self.config.is_fatal_when_held)
        else {
            return Err(error.into());
        };
        tracing::error!(%error, "a partition is stopped");
        let reason = error.to_string();
        self.reports.send(Report::Stopped { partition, reason });
        Ok(())
    }

    pub(super) fn note(&mut self, change: Change) {
        match change {
            Change::Assigned {
                partition,
                start,
                generation,
                write_time,
            } => {
                tracing::debug!(partition, start, generation, "partition assigned");
                self.clock.resume(partition, generation, write_time);
                self.control.met(self.clock.generation());
                self.positions.insert(partition, start);
                if let Some(trial) = &mut self.trial {
                    trial.since.insert(partition, start);
                }
            }
            Change::Released { partition } => {
                tracing::debug!(partition, "partition released");
                self.clock.forget(partition);
                self.positions.remove(&partition);
                self.reports.send(Report::Released { partition });
            }
        }
    }
}
