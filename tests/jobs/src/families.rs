//! Every family of the registry, twice in a row behind permutations, on five features with two context values.

use flowlet::{Chain, Flow, Permute, StandardNormal, registry};

use crate::{Job, evaluation};

/// The flow that a layer is tried in: every output has been through it, and its parameters twice.
type Twice<L, const D: usize> = [Chain<Permute<D>, L>; 2];

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
            &<Twice<$layer, $d> as flowlet::Layer>::SCHEMA
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
            &<Twice<$layer, $d> as flowlet::Layer>::SCHEMA
        )
    };
}

macro_rules! bases {
    ($d:literal, $c:literal; $($name:ident: $directions:ident $base:ty;)*) => {
        &[$(
            job!(concat!(stringify!($name), ", density"), $d, $c, $base, evaluation::base_density::<$base, $d>, {
                &const { flowlet::schema::Schema::Layer(&<$base as flowlet::base::BaseRecord>::RECORD) }
            }),
            job!(concat!(stringify!($name), ", sample"), $d, $c, $base, evaluation::base_sample::<$base, $d>, {
                &const { flowlet::schema::Schema::Layer(&<$base as flowlet::base::BaseRecord>::RECORD) }
            })
        ),*]
    };
}

/// A family with one direction only is in both lists with that one.
pub const FAMILIES: &[&[Job]] = &[
    registry!(inverse, None, d = 5, a = 2, b = 3, c = 2),
    registry!(forward, None, d = 5, a = 2, b = 3, c = 2),
    registry!(inverse, Float, d = 5, a = 2, b = 3, c = 2),
    registry!(forward, Float, d = 5, a = 2, b = 3, c = 2),
    registry!(inverse, Int8, d = 5, a = 2, b = 3, c = 2),
    registry!(forward, Int8, d = 5, a = 2, b = 3, c = 2),
    registry!(bases, Base, d = 5, a = 2, b = 3, c = 2),
];
