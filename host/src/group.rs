//! The hosts of one group, that know of each other and follow an order to swap, one after the other.
//!
//! They do so by rows of `sluice.members` and `sluice.orders`, with a session of their own, so nothing is in a
//! message's way. A host that cannot reach them goes on working.

mod before;
mod life;
mod order;
mod rows;
mod turn;
mod wanted;

use std::sync::Arc;
use std::thread;

use crate::sink::cassandra;
use crate::swap::Steward;
use crate::worker::Control;
use life::Life;
pub use order::Orders;

/// Which host of which group.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the pipeline's tables are.
    pub cassandra: cassandra::Config,
    /// The pipeline's name.
    pub pipeline: String,
    /// The consumer group.
    pub group: String,
    /// This host, by a name that no other has.
    pub member: String,
}

/// Makes this host one of its group: its steward does what is ordered.
///
/// # Errors
/// When the system gives no thread.
pub fn join(orders: Orders, steward: Steward, control: Arc<Control>) -> std::io::Result<()> {
    let life = move || Life::new(orders, steward, control).live();
    thread::Builder::new().name("member".into()).spawn(life)?;
    Ok(())
}
