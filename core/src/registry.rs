//! The registry of layer families: one line each, from which tests, golden vectors and the emulated devices all take
//! their models. A family that is not here is not tested, so every layer has its line.

use crate::conditioner::{Activation, Body, MaskedShape};
use crate::univariate::{Univariate, stride};

/// Quads that hold so many values: for the widths of nets.
#[must_use]
pub const fn quads(values: usize) -> usize {
    values.div_ceil(4)
}

/// Quads of outputs of a net that computes a map's parameters for so many features.
#[must_use]
pub const fn outputs<U: Univariate>(features: usize) -> usize {
    quads(features * stride(U::OUTPUTS))
}

/// The shape of a masked net that computes a map's parameters; which body it has changes no number that follows from it.
#[must_use]
pub const fn masked<U: Univariate>(features: usize, context: usize, hidden: usize, deep: usize) -> MaskedShape {
    MaskedShape {
        features,
        context,
        // With a context the first feature has something to see.
        lowest: if context == 0 && features > 1 { 1 } else { 0 },
        stride: stride(U::OUTPUTS),
        hidden,
        deep,
        body: Body::Plain,
        activation: Activation::Relu,
    }
}

/// Hands the list of layer families to another macro.
///
/// ```
/// macro_rules! names {
///     ($features:literal, $context:literal; $($name:ident: $directions:ident $layer:ty;)*) => { [$(stringify!($name)),*] };
/// }
/// let with_nets = flowlet::registry!(names, Int8, d = 5, a = 2, b = 3, c = 0);
/// assert!(with_nets.contains(&"AffineCoupling"));
/// assert!(flowlet::registry!(names, None, d = 5, a = 2, b = 3, c = 0).contains(&"Permute"));
/// ```
///
/// The second argument chooses the families and the number format of their nets: `Float` or `Int8` is every family with
/// a net in this format, `None` every family without a net, `Base` every base. `d` features, of which a coupling keeps
/// `a` and transforms `b`, and `c` context values are literals. Families without a net take any context, and ignore it.
///
/// The callback gets `d, c; Name: directions Type; ..`, where `directions` is `both`, `inverse` (only data -> base) or
/// `forward` (only base -> data). Types are single layers; [`Chain`](crate::Chain) and arrays compose them.
#[macro_export]
macro_rules! registry {
    ($callback:ident, Float, d = $d:literal, a = $a:literal, b = $b:literal, c = $c:literal) => {
        $crate::registry! { @list $callback Float, $d, $a, $b, $c, Float }
    };
    ($callback:ident, Int8, d = $d:literal, a = $a:literal, b = $b:literal, c = $c:literal) => {
        $crate::registry! { @list $callback Int8, $d, $a, $b, $c, Int8 }
    };
    // The format is that of no family that is left.
    ($callback:ident, $kind:ident, d = $d:literal, a = $a:literal, b = $b:literal, c = $c:literal) => {
        $crate::registry! { @list $callback $kind, $d, $a, $b, $c, Float }
    };
    (@list $callback:ident $kind:ident, $d:literal, $a:literal, $b:literal, $c:literal, $net:ident) => {
        $crate::registry! { @choose $kind $callback, $d, $c;
            // With a net in either format.
            {
                AffineCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Affine, 1 $crate::Plain);
                AdditiveCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Additive, 1 $crate::Plain);
                ExpCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Affine<$crate::scale::Exp>, 1 $crate::Plain);
                SoftplusCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Affine<$crate::scale::Softplus>, 1 $crate::Plain);
                SigmoidCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Affine<$crate::scale::Sigmoid>, 1 $crate::Plain);
                InverseSigmoidCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Affine<$crate::scale::InverseSigmoid>, 1 $crate::Plain);
                SplineCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Spline<4>, 1 $crate::Plain);
                FlooredSplineCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Spline<4, $crate::spline::Floored>, 1 $crate::Plain);
                SigmoidalCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Sigmoidal<3>, 1 $crate::Plain);
                ResidualCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Affine, 2 $crate::Residual<$crate::Elu>);
                GatedCoupling: both $crate::registry!(@coupling $net, $a, $b, $c, $crate::Affine, 2 $crate::Gated<$crate::Tanh>);
                MaskedAutoregressive: both $crate::registry!(@autoregressive $net, $d, $c, $crate::Affine, 1 $crate::Plain);
                AdditiveAutoregressive: both $crate::registry!(@autoregressive $net, $d, $c, $crate::Additive, 1 $crate::Plain);
                SplineAutoregressive: both $crate::registry!(@autoregressive $net, $d, $c, $crate::Spline<4>, 1 $crate::Plain);
                SigmoidalAutoregressive: both $crate::registry!(@autoregressive $net, $d, $c, $crate::Sigmoidal<3>, 1 $crate::Plain);
                ResidualAutoregressive: both $crate::registry!(@autoregressive $net, $d, $c, $crate::Affine, 2 $crate::Residual);
                InverseAutoregressive: both $crate::Turned<$crate::registry!(@autoregressive $net, $d, $c, $crate::Affine, 1 $crate::Plain)>;
            }
            // With a net in f32 only.
            {
                Continuous: both $crate::Continuous<$d, 3, $crate::Float<{ $crate::registry::quads($d + 1 + $c) }, 2, 1, { $crate::registry::quads($d) }, $crate::Plain<$crate::Tanh>>>;
            }
            // Without a net.
            {
                Standardize: both $crate::Standardize<$d>;
                Permute: both $crate::Permute<$d>;
                Reverse: both $crate::Reverse;
                Cube: both $crate::Cube;
                Log: both $crate::Elementwise<$d, $crate::Log>;
                InverseSoftplus: both $crate::Elementwise<$d, $crate::InverseSoftplus>;
                Logit: both $crate::Elementwise<$d, $crate::Logit>;
                Atanh: both $crate::Elementwise<$d, $crate::Atanh>;
                Power: both $crate::Elementwise<$d, $crate::Power>;
                LuLinear: both $crate::LuLinear<$d>;
                Householder: both $crate::Householder<$d, 2>;
                Pointwise: both $crate::Pointwise<1, $d, $crate::LuLinear<1>>;
                Planar: forward $crate::Planar<$d>;
                TurnedPlanar: inverse $crate::Turned<$crate::Planar<$d>>;
                Radial: forward $crate::Radial<$d>;
                Sylvester: forward $crate::Sylvester<$d, { $d / 2 + 1 }>;
            }
            // Bases.
            {
                StandardNormal: both $crate::StandardNormal<$d>;
                StudentT: both $crate::StudentT<$d>;
                Mixture: both $crate::Mixture<$d, 3>;
                Ensemble: both $crate::Ensemble<$d, 3, $crate::Chain<$crate::Permute<$d>, $crate::registry!(@coupling Int8, $a, $b, 0, $crate::Affine, 1 $crate::Plain)>>;
            }
        }
    };
    // Nets have eight units in every hidden layer; their depth and their body come last.
    (@coupling $net:ident, $a:literal, $b:literal, $c:literal, $map:ty, $deep:literal $style:ty) => {
        $crate::Coupling<
            $a,
            $b,
            $crate::$net<
                { $crate::registry::quads($a + $c) },
                2,
                $deep,
                { $crate::registry::outputs::<$map>($b) },
                $style,
            >,
            $map,
        >
    };
    (@autoregressive Float, $d:literal, $c:literal, $map:ty, $deep:literal $style:ty) => {
        $crate::MaskedAutoregressive<$d, $crate::registry!(@masked MaskedFloat, $d, $c, $map, 2, $deep, $style), $map>
    };
    (@autoregressive Int8, $d:literal, $c:literal, $map:ty, $deep:literal $style:ty) => {
        $crate::MaskedAutoregressive<$d, $crate::registry!(@masked MaskedInt8, $d, $c, $map, 2, $deep, $style), $map>
    };
    (@masked $net:ident, $d:literal, $c:literal, $map:ty, $hidden:literal, $deep:literal, $style:ty) => {
        $crate::$net<
            $d,
            $c,
            { $crate::registry::masked::<$map>($d, $c, $hidden, $deep).lowest },
            { $crate::registry::masked::<$map>($d, $c, $hidden, $deep).stride },
            { $crate::registry::masked::<$map>($d, $c, $hidden, $deep).inputs() },
            $hidden,
            $deep,
            { $crate::registry::masked::<$map>($d, $c, $hidden, $deep).outputs() },
            { $crate::registry::masked::<$map>($d, $c, $hidden, $deep).first_blocks() },
            { $crate::registry::masked::<$map>($d, $c, $hidden, $deep).inner_blocks() },
            { $crate::registry::masked::<$map>($d, $c, $hidden, $deep).last_blocks() },
            $style,
        >
    };
    (@choose Float $callback:ident, $d:literal, $c:literal; { $($any:tt)* } { $($float:tt)* } $without:tt $base:tt) => {
        $callback! { $d, $c; $($any)* $($float)* }
    };
    (@choose Int8 $callback:ident, $d:literal, $c:literal; { $($any:tt)* } $float:tt $without:tt $base:tt) => {
        $callback! { $d, $c; $($any)* }
    };
    (@choose None $callback:ident, $d:literal, $c:literal; $any:tt $float:tt { $($without:tt)* } $base:tt) => {
        $callback! { $d, $c; $($without)* }
    };
    (@choose Base $callback:ident, $d:literal, $c:literal; $any:tt $float:tt $without:tt { $($base:tt)* }) => {
        $callback! { $d, $c; $($base)* }
    };
}
