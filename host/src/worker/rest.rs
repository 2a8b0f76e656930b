//! When a worker takes nothing although there is something: somebody has paused the work, orders are on
//! their way, or its breaker is open.

use super::{Breaker, Error, Opened, SERVE_MAX, Worker};

impl Worker {
    /// Whether this turn takes no batch, because somebody has paused the work, or a version is to be
    /// taken back. The worker stays in the group, and commits what is written.
    pub(super) fn rests(&mut self) -> Result<bool, Error> {
        let reason = match self.control.expects_orders() {
            true => Some("a version is being taken back".to_owned()),
            false => self.control.paused(),
        };
        let Some(reason) = reason else {
            self.stalls.goes_on(&self.reports, "pause");
            return Ok(false);
        };
        self.stalls.waits(&self.reports, "pause", &reason);
        if self.entered()? {
            self.commit()?;
        }
        self.pause(SERVE_MAX)?;
        Ok(true)
    }

    /// Takes nothing more until somebody lets the work go on, or another version runs; but stays in
    /// the group: another member would do the same again.
    pub(super) fn hold(&mut self, opened: Opened) -> Result<(), Error> {
        if self.config.is_fatal_when_held {
            return Err(Error::Breaker(opened));
        }
        self.stalls.waits(&self.reports, "breaker", &opened);
        let resumes = self.control.resumes();
        while self.control.resumes() == resumes && !self.obey()? {
            if self.control.is_stopping() {
                return Ok(());
            }
            self.commit()?;
            self.pause(SERVE_MAX)?;
        }
        self.stalls.goes_on(&self.reports, "breaker");
        self.breaker = Some(Breaker::default());
        // What was taken with the last letter, and not written, is read again.
        let positions = self.positions.clone();
        Ok(self.rooms.source.rewind(&positions)?)
    }
}
