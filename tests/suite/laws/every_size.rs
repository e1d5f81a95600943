//! The laws of a bijector, over layers with a net on the numbers of features that the other test leaves out: a test of its own, so that
//! both compile at once.

use flowlet_tests::models::layers_of_other_sizes as cases;

#[path = "laws.rs"]
mod laws;

/// Layers of every kind are among the cases.
const ALL_KINDS: bool = false;
