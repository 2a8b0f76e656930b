//! A file as a topic: a line is a message's value.
