//! Every limit and check of the plugin boundary, reached.
