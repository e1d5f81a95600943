//! Layers of one shape on 2 to 32 features, with nets of two hidden layers of 32 units.

use flowlet::registry::quads;
use flowlet::{AffineCoupling, Float, Int8};

use crate::Job;
use crate::evaluation::{Numbers, dense, forward, inverse, nothing, sum};

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
        )*]
    };
}

/// By number of features, then by kind. The first of each number is what a call costs besides.
pub const COSTS: &[&[Job]] = on!(2 = 1 + 1, 4 = 2 + 2, 8 = 4 + 4, 16 = 8 + 8, 32 = 16 + 16);
