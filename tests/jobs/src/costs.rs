//! Layers of one shape on 2 to 32 features, with nets of two hidden layers of 32 units.

use flowlet::registry::quads;
use flowlet::{Affine, AffineCoupling, Float, Int8, MaskedAutoregressive, Turned, registry};

use crate::Job;
use crate::evaluation::{Numbers, dense, forward, inverse, naive, nothing, sum};

macro_rules! job {
    ($name:expr, $d:literal, $type:ty, $evaluate:expr) => {
        Job {
            name: $name,
            features: $d,
            image: size_of::<$type>(),
            values: $d,
            evaluate: $evaluate,
            #[cfg(not(target_os = "none"))]
            schema: &<$type as flowlet::Layer>::SCHEMA,
        }
    };
}

macro_rules! layer {
    ($name:literal, $d:literal, $layer:ty) => {
        [
            job!(concat!($name, ": density"), $d, $layer, inverse::<$layer, $d, 0>),
            job!(concat!($name, ": sampling"), $d, $layer, forward::<$layer, $d, 0>),
        ]
    };
}

/// Masked autoregressive layers with a net in this format.
macro_rules! masked {
    ($net:ident, $d:literal) => {
        MaskedAutoregressive<$d, registry!(@masked $net, $d, 0, Affine, 8, 1, flowlet::Plain)>
    };
}

macro_rules! on {
    ($($d:literal = $half:literal + $other:literal),*) => {
        &[$(
            &[
                job!("nothing", $d, Numbers<0>, nothing),
                job!("log-determinant: sum", $d, Numbers<$d>, sum::<$d>),
                job!("log-determinant: dense, by LU", $d, Numbers<{ $d * $d }>, dense::<$d, { $d * $d }>),
            ],
            &layer!("coupling, f32", $d, AffineCoupling<$half, $other, Float<{ quads($half) }, 8, 1, { quads(2 * $other) }>>),
            &layer!("coupling, int8", $d, AffineCoupling<$half, $other, Int8<{ quads($half) }, 8, 1, { quads(2 * $other) }>>),
            &layer!("masked autoregressive, f32", $d, masked!(MaskedFloat, $d)),
            &layer!("masked autoregressive, int8", $d, masked!(MaskedInt8, $d)),
            &[
                job!("masked autoregressive, f32: sampling in D passes", $d, masked!(MaskedFloat, $d), naive::<masked!(MaskedFloat, $d), $d>),
                job!("masked autoregressive, int8: sampling in D passes", $d, masked!(MaskedInt8, $d), naive::<masked!(MaskedInt8, $d), $d>),
            ],
            &layer!("inverse autoregressive, f32", $d, Turned<masked!(MaskedFloat, $d)>),
            &layer!("inverse autoregressive, int8", $d, Turned<masked!(MaskedInt8, $d)>),
        )*]
    };
}

/// By number of features, then by kind. The first of each number is what a call costs besides.
pub const COSTS: &[&[Job]] = on!(2 = 1 + 1, 4 = 2 + 2, 8 = 4 + 4, 16 = 8 + 8, 32 = 16 + 16);
