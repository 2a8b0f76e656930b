//! Reading tables and running statements, for verbs and checks. Nothing here is in a message's way.
