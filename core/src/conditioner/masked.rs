//! Masked nets.

use super::Masks;
use crate::real::Real;
use crate::schema::Record;

/// A net whose outputs for a feature depend on the context and on the features before it.
pub trait Autoregress<T: Real> {
    /// For feature i = 0, 1, .. calls `step` with i and the outputs of i, as many as the net's stride.
    fn walk(&self, context: &[T], step: impl FnMut(usize, &[T]) -> T);
}

impl<T: Real, N: Autoregress<T>> Autoregress<T> for &N {
    #[inline(always)]
    fn walk(&self, context: &[T], step: impl FnMut(usize, &[T]) -> T) {
        N::walk(self, context, step);
    }
}

/// What the compiler knows of a masked net.
pub trait MaskedConditioner {
    /// Shapes, stored fields and cost.
    const RECORD: Record;
    /// Features, D.
    const FEATURES: usize;
    /// Values of context, C.
    const CONTEXT: usize;
    /// Outputs of each feature.
    const STRIDE: usize;
    /// Who sees whom.
    const MASKS: Masks;
}
