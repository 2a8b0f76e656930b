//! The way through the plugin, for as much of a batch as may go there.

use super::{Error, Worker};
use crate::failpoint;
use crate::message::Batch;
use crate::row::Transformed;

impl Worker {
    /// Transforms a batch up to the message that would open the breaker: nothing has come of the rest
    /// yet, and whoever goes on reads it again. Only what the sink refuses is known too late for that.
    pub(super) fn transform(&mut self, batch: Batch) -> Result<Transformed, Error> {
        let mut transformed = self.apply(batch)?;
        if !transformed.rejected.is_empty()
            && let Some(mut ahead) = self.breaker.clone()
            && let Some(opened) = ahead.count(transformed.batch.len(), &transformed.rejected)
        {
            transformed.batch.truncate(opened.messages);
            transformed = self.apply(transformed.batch)?;
        }
        assert_eq!(
            transformed.conservation_gap(),
            0,
            "every message has exactly one outcome"
        );
        Ok(transformed)
    }

    /// Calls the plugin, unless it is known that the process would not survive that.
    fn apply(&mut self, batch: Batch) -> Result<Transformed, Error> {
        if let Some(rejected) = self.suspects.verdict(&batch) {
            return Ok(Transformed::rejected(batch, rejected));
        }
        self.suspects.enter(&batch);
        let messages = batch.messages();
        failpoint::reach_each(
            "apply",
            messages.map(|message| (message.partition, message.offset)),
        );
        let transformed = self.rooms.fitted.plugin.apply(batch);
        self.suspects.leave();
        Ok(transformed?)
    }
}
