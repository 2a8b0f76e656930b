//! Stores of dead letters: a topic, a file, or none.
