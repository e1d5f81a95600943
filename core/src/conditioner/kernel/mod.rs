//! The quantized products, for the kind of core that the crate is built for: one file for each. All give the same
//! integers: sums wrap around, and what a row's sum becomes is defined by [`Requantization`](super::int8::Requantization).

#[cfg(flowlet_assembly)]
mod assembly;
#[cfg(flowlet_kernel = "dsp")]
mod dsp;
#[cfg(flowlet_kernel = "portable")]
mod portable;
#[cfg(flowlet_kernel = "sse2")]
mod sse2;
#[cfg(flowlet_kernel = "thumb1")]
mod thumb1;

#[cfg(flowlet_assembly)]
pub(super) use assembly::{add, relu};
#[cfg(flowlet_kernel = "portable")]
pub(super) use portable::add;
#[cfg(flowlet_kernel = "sse2")]
pub(super) use sse2::add;
