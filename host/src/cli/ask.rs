//! How a verb asks a running host.

use crate::admin::client::{Client, Error};
use crate::config;

/// Which host is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct Whom {
    /// The host that runs for this consumer group [default: the only one that runs]
    #[arg(long)]
    group: Option<String>,
    /// The host at this admin address; its token in SLUICE_ADMIN_TOKEN, if it runs on another machine
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
}

impl Whom {
    /// Finds it.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub(super) fn find(&self) -> Result<Client, Error> {
        let directory = config::runtime_directory();
        let which = (self.admin.as_deref(), self.group.as_deref());
        Client::find(directory.as_deref(), which, config::admin_token())
    }
}
