//! Kernels alone, by their size.

use crate::Job;
#[cfg(not(target_os = "none"))]
use crate::evaluation::Numbers;
use crate::evaluation::{Rectified, rectified, unrectified};

macro_rules! rectified {
    ($($name:literal: $in:literal to $out:literal;)*) => {
        &[$(
            &[
                Job {
                    name: "besides",
                    features: 4 * $in,
                    image: 0,
                    values: 4 * $in,
                    evaluate: unrectified::<$in, $out>,
                    #[cfg(not(target_os = "none"))]
                    schema: &<Numbers<0> as flowlet::Layer>::SCHEMA,
                },
                Job {
                    name: $name,
                    features: 4 * $in,
                    image: size_of::<Rectified<$in, $out>>(),
                    values: 4 * $in,
                    evaluate: rectified::<$in, $out>,
                    #[cfg(not(target_os = "none"))]
                    schema: &<Rectified<$in, $out> as flowlet::Layer>::SCHEMA,
                },
            ],
        )*]
    };
}

/// Quantized layers with ReLU, a list for each size; the first job of a list is what the second one costs besides.
pub const KERNELS: &[&[Job]] = rectified! {
    "dense int8 8x8": 2 to 2;
    "dense int8 16x16": 4 to 4;
    "dense int8 32x32": 8 to 8;
    "dense int8 64x64": 16 to 16;
    "dense int8 3x20": 1 to 5;
    "dense int8 20x6": 5 to 2;
};
