//! The laws of a bijector, over every layer of the registry.

use flowlet_tests::models::layers as cases;

mod laws;

/// Layers of every kind are among the cases.
const ALL_KINDS: bool = true;
