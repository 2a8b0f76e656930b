//! SIGHUP and `--watch`: what has become of the files that a pipeline is made of is offered to it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::swap::files::Watched;
use crate::swap::{Consent, Event, Offer, Steward, What};
use crate::worker::Control;

/// From one look at the files to the next.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What has to be known to look at files again.
pub(super) struct Reload {
    /// The files, with what was read of them.
    pub(super) files: Vec<Watched>,
    /// Whether they are looked at without being told to.
    pub(super) is_watching: bool,
    /// Tells when to stop.
    pub(super) control: Arc<Control>,
    /// Takes what is offered.
    pub(super) steward: Steward,
}

impl Reload {
    /// Looks at the files from now on, in a thread of its own, until the pipeline stops.
    ///
    /// # Errors
    /// If the system gives no thread, or does not tell of SIGHUP.
    pub(super) fn begin(self) -> io::Result<()> {
        let told = Arc::<AtomicBool>::default();
        signal_hook::flag::register(signal_hook::consts::SIGHUP, told.clone())?;
        let thread = thread::Builder::new().name("reload".into());
        thread.spawn(move || self.live(&told))?;
        Ok(())
    }

    fn live(mut self, told: &AtomicBool) {
        while !self.control.is_stopping() {
            if told.swap(false, Ordering::Relaxed) {
                self.read_again();
            }
            if self.is_watching {
                for at in 0..self.files.len() {
                    if let Some(what) = self.files[at].look() {
                        self.offer(what, "--watch");
                    }
                }
            }
            thread::park_timeout(LOOK_EVERY);
        }
    }

    fn read_again(&mut self) {
        let mut is_any = false;
        for at in 0..self.files.len() {
            match self.files[at].read_again() {
                Ok(None) => {}
                Ok(Some(what)) => {
                    is_any = true;
                    if self.offer(what, "SIGHUP") {
                        // Who asks again may have mended what spoke against it.
                        self.files[at].forget();
                    }
                }
                Err(error) => {
                    let path = self.files[at].path().display();
                    tracing::warn!(%path, %error, "a file is not read again");
                }
            }
        }
        if !is_any {
            tracing::info!("SIGHUP: no file has become another");
        }
    }

    /// Offers it, and waits until it is traded or refused, which the steward logs. Whether it is refused.
    fn offer(&self, what: What, who: &str) -> bool {
        let asked = self.steward.offer(Offer {
            what,
            who: who.to_owned(),
            consent: Consent::Policy,
            is_dry_run: false,
        });
        while let Ok(event) = asked.next(LOOK_EVERY) {
            if let Some(Event::Refused { .. }) = event {
                return true;
            }
            if matches!(event, Some(Event::Traded(_))) || self.control.is_stopping() {
                break;
            }
        }
        false
    }
}
