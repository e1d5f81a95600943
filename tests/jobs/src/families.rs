//! Every family of the registry, twice in a row behind permutations, on five features with two context values.

use flowlet::schema::Schema;
use flowlet::{Chain, Flow, Forward, Inverse, Layer, Permute, Real, StandardNormal, registry};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::{Job, evaluation};

/// The flow that a layer is tried in: two of them behind permutations.
type Twice<L, const D: usize> = [Chain<Permute<D>, Once<L>>; 2];

/// A layer whose code is there once: with all families inlined wherever they are called, flash would not hold them.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct Once<L>(L);

impl<L: Layer> Layer for Once<L> {
    const SCHEMA: Schema = L::SCHEMA;
}

impl<L: Inverse<D, C, T>, const D: usize, const C: usize, T: Real> Inverse<D, C, T> for Once<L> {
    #[inline(never)]
    fn inverse(&self, x: &mut [T; D], context: &[T; C]) -> T {
        self.0.inverse(x, context)
    }
}

impl<L: Forward<D, C, T>, const D: usize, const C: usize, T: Real> Forward<D, C, T> for Once<L> {
    #[inline(never)]
    fn forward(&self, z: &mut [T; D], context: &[T; C]) -> T {
        self.0.forward(z, context)
    }
}

macro_rules! job {
    ($name:expr, $d:literal, $c:literal, $type:ty, $evaluate:expr, $schema:expr) => {
        Job {
            name: $name,
            features: $d,
            image: size_of::<$type>(),
            values: $d + $c,
            evaluate: $evaluate,
            #[cfg(not(target_os = "none"))]
            schema: $schema,
        }
    };
}

macro_rules! inverse {
    ($d:literal, $c:literal; $($name:ident: $directions:ident $layer:ty;)*) => { &[$(inverse!(@$directions $name $d, $c, $layer)),*] };
    (@forward $name:ident $d:literal, $c:literal, $layer:ty) => { forward!(@forward $name $d, $c, $layer) };
    (@$any:ident $name:ident $d:literal, $c:literal, $layer:ty) => {
        job!(
            concat!(stringify!($name), ", inverse"),
            $d,
            $c,
            Flow<$d, Twice<$layer, $d>, StandardNormal<$d>, $c>,
            evaluation::density::<Twice<$layer, $d>, $d, $c>,
            &<Twice<$layer, $d> as Layer>::SCHEMA
        )
    };
}

macro_rules! forward {
    ($d:literal, $c:literal; $($name:ident: $directions:ident $layer:ty;)*) => { &[$(forward!(@$directions $name $d, $c, $layer)),*] };
    (@inverse $name:ident $d:literal, $c:literal, $layer:ty) => { inverse!(@inverse $name $d, $c, $layer) };
    (@$any:ident $name:ident $d:literal, $c:literal, $layer:ty) => {
        job!(
            concat!(stringify!($name), ", forward"),
            $d,
            $c,
            Twice<$layer, $d>,
            evaluation::forward::<Twice<$layer, $d>, $d, $c>,
            &<Twice<$layer, $d> as Layer>::SCHEMA
        )
    };
}

macro_rules! fixed {
    ($d:literal, $c:literal; $($name:ident: $directions:ident $layer:ty;)*) => { &[$(fixed!(@$directions $name $d, $c, $layer)),*] };
    (@forward $name:ident $d:literal, $c:literal, $layer:ty) => {
        job!(
            concat!(stringify!($name), ", forward in fixed point"),
            $d,
            $c,
            Twice<$layer, $d>,
            evaluation::forward_fixed::<Twice<$layer, $d>, $d, $c>,
            &<Twice<$layer, $d> as Layer>::SCHEMA
        )
    };
    (@$any:ident $name:ident $d:literal, $c:literal, $layer:ty) => {
        job!(
            concat!(stringify!($name), ", inverse in fixed point"),
            $d,
            $c,
            Flow<$d, Twice<$layer, $d>, StandardNormal<$d>, $c>,
            evaluation::density_fixed::<Twice<$layer, $d>, $d, $c>,
            &<Twice<$layer, $d> as Layer>::SCHEMA
        )
    };
}

macro_rules! bases {
    ($d:literal, $c:literal; $($name:ident: $directions:ident $base:ty;)*) => {
        &[$(
            job!(concat!(stringify!($name), ", density"), $d, $c, $base, evaluation::base_density::<$base, $d>, {
                &const { Schema::Layer(&<$base as flowlet::base::BaseRecord>::RECORD) }
            }),
            job!(concat!(stringify!($name), ", sample"), $d, $c, $base, evaluation::base_sample::<$base, $d>, {
                &const { Schema::Layer(&<$base as flowlet::base::BaseRecord>::RECORD) }
            })
        ),*]
    };
}

/// Without a net, and bases. A family with one direction only is in both lists with that one.
pub const FAMILIES: &[&[Job]] = &[
    registry!(inverse, None, d = 5, a = 2, b = 3, c = 2),
    registry!(forward, None, d = 5, a = 2, b = 3, c = 2),
    registry!(bases, Base, d = 5, a = 2, b = 3, c = 2),
];

/// With a net in f32. Programs of their own for both formats, or the flash of the micro:bit would not hold them.
pub const FLOATS: &[&[Job]] =
    &[registry!(inverse, Float, d = 5, a = 2, b = 3, c = 2), registry!(forward, Float, d = 5, a = 2, b = 3, c = 2)];

/// With a net in int8.
pub const QUANTIZED: &[&[Job]] =
    &[registry!(inverse, Int8, d = 5, a = 2, b = 3, c = 2), registry!(forward, Int8, d = 5, a = 2, b = 3, c = 2)];

/// In fixed point: those without a net, and those with a net in int8.
pub const FIXED: &[&[Job]] =
    &[registry!(fixed, None, d = 5, a = 2, b = 3, c = 2), registry!(fixed, Int8, d = 5, a = 2, b = 3, c = 2)];
