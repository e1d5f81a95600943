//! What batched layers without nets do to one feature of many rows.

use crate::train::Real;

/// `to += factor * from`.
pub(super) fn add_scaled<T: Real>(to: &mut [T], factor: T, from: &[T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * *from;
    }
}

/// The sum of products, in eight sums side by side that a vector register holds.
pub(super) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    let mut sums = [T::zero(); 8];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += *a * *b;
        }
    }
    let rest: T = a_rest.iter().zip(b_rest).map(|(a, b)| *a * *b).sum();
    sums.into_iter().sum::<T>() + rest
}

/// ln(1 + e^x), without an overflow.
pub(super) fn softplus<T: Real>(x: T) -> T {
    x.max(T::zero()) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + e^-x), the slope of [`softplus`].
pub(super) fn sigmoid<T: Real>(x: T) -> T {
    let small = (-x.abs()).exp();
    let large = T::one() / (T::one() + small);
    if x > T::zero() { large } else { small * large }
}
