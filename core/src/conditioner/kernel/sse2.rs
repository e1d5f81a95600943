//! For x86-64 hosts, which score what devices score: SSE2, which all with an operating system have. A block's weights are widened to 16 bits
//! and multiplied with the activations by PMADDWD, which adds neighbours: two sums of two products for each row.

use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_cvtsi64_si128, _mm_cvtsi128_si32, _mm_madd_epi16, _mm_set_epi64x, _mm_setzero_si128,
    _mm_shuffle_epi32, _mm_shufflelo_epi16, _mm_srai_epi16, _mm_unpackhi_epi8, _mm_unpackhi_epi64, _mm_unpacklo_epi8,
    _mm_unpacklo_epi64,
};

use crate::conditioner::hidden::{Four, Quad};
use crate::conditioner::int8::Block;

/// Adds the products of four rows to their sums. Takes `input.len()` blocks of weights.
#[allow(unsafe_code, reason = "the compiler asks for it although the target has the instructions")]
#[inline(always)]
pub(in crate::conditioner) fn add(sums: &mut Four<i32>, weights: &[Block], input: &[Quad<i16>]) {
    const {
        assert!(cfg!(target_feature = "sse2"));
    }
    // SAFETY: needs SSE2, which is in the target.
    let products = unsafe { products(weights, input) };
    for (sum, products) in sums.iter_mut().zip(products) {
        *sum = sum.wrapping_add(products);
    }
}

/// The products of four rows.
#[inline]
#[target_feature(enable = "sse2")]
fn products(weights: &[Block], input: &[Quad<i16>]) -> Four<i32> {
    // Rows 0 and 1, rows 2 and 3.
    let (mut low, mut high) = (_mm_setzero_si128(), _mm_setzero_si128());
    for (Block(rows), Quad(units)) in weights.iter().zip(input) {
        let [rows01, rows23]: [i64; 2] = zerocopy::transmute!(*rows);
        let rows = _mm_set_epi64x(rows23, rows01);
        // In the order of a row's weights, [0, 2, 1, 3], for two rows.
        let units = _mm_shufflelo_epi16::<0b11_01_10_00>(_mm_cvtsi64_si128(zerocopy::transmute!(*units)));
        let units = _mm_unpacklo_epi64(units, units);
        // Into the upper halves of 16 bits, and down with the sign.
        low = _mm_add_epi32(low, _mm_madd_epi16(_mm_srai_epi16::<8>(_mm_unpacklo_epi8(rows, rows)), units));
        high = _mm_add_epi32(high, _mm_madd_epi16(_mm_srai_epi16::<8>(_mm_unpackhi_epi8(rows, rows)), units));
    }
    let (low, high) = (halves(low), halves(high));
    [first(low), first(_mm_unpackhi_epi64(low, low)), first(high), first(_mm_unpackhi_epi64(high, high))]
}

/// Neighbours added.
#[inline]
#[target_feature(enable = "sse2")]
fn halves(pairs: __m128i) -> __m128i {
    _mm_add_epi32(pairs, _mm_shuffle_epi32::<0b10_11_00_01>(pairs))
}

#[inline]
#[target_feature(enable = "sse2")]
fn first(sums: __m128i) -> i32 {
    _mm_cvtsi128_si32(sums)
}
