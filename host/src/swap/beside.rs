//! The proof in a thread of its own: whatever it takes, what runs is looked at meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::life::{Life, stopping};
use super::prove::Proven;
use super::{Event, Pending, Refusal};

impl Life {
    /// Proves what is offered; once more, if what it is compared with is taken back meanwhile.
    pub(super) fn prove(&mut self, pending: &Pending) -> Result<Proven, Refusal> {
        loop {
            let compared = self.current.generation;
            let proven = self.prove_beside(pending);
            if self.control.is_stopping() {
                return Err(stopping());
            }
            if self.current.generation == compared {
                return proven;
            }
            pending.tell(Event::Step {
                step: "again",
                detail: "what it is compared with was taken back: another one runs".to_owned(),
            });
        }
    }

    fn prove_beside(&mut self, pending: &Pending) -> Result<Proven, Refusal> {
        let (means, current) = (self.means.clone(), self.current.clone());
        let (what, events) = (&pending.offer.what, &pending.answers.events);
        let is_withdrawn = AtomicBool::new(false);
        thread::scope(|scope| {
            let proof = || {
                means.prove(
                    &current,
                    what,
                    &|| is_withdrawn.load(Ordering::Relaxed),
                    // Who does not listen need not hear it, and holds nobody up.
                    &mut |step, detail| _ = events.try_send(Event::Step { step, detail }),
                )
            };
            let thread = thread::Builder::new().name("proof".into());
            let no_thread = |error: std::io::Error| Refusal::new("no_thread", error.to_string());
            let proof = thread.spawn_scoped(scope, proof).map_err(no_thread)?;
            while !proof.is_finished() {
                let is_wanted = self.hear() && !self.control.is_stopping() && !pending.is_gone();
                if !is_wanted || self.current.generation != current.generation {
                    is_withdrawn.store(true, Ordering::Relaxed);
                    break;
                }
            }
            proof
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}
