//! Sources and checkpoints against brokers.
