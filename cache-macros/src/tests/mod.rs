//! Expansions, read as a user would.
