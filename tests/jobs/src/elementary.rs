//! Elementary functions alone.

use core::hint::black_box;

use flowlet::{Elementary, Fast, Fixed, Libm, Micromath, Real};

use crate::Job;
#[cfg(not(target_os = "none"))]
use crate::evaluation::Numbers;

/// A function of a value, and nothing of it besides.
macro_rules! functions {
    ($($name:literal: $scalar:ty, $function:expr;)*) => {
        &[$(
            &[
                Job {
                    name: "besides",
                    features: 1,
                    image: 0,
                    values: 1,
                    evaluate: |_, point, results| call::<$scalar>(point, results, |x| x),
                    #[cfg(not(target_os = "none"))]
                    schema: &<Numbers<0> as flowlet::Layer>::SCHEMA,
                },
                Job {
                    name: $name,
                    features: 1,
                    image: 0,
                    values: 1,
                    evaluate: |_, point, results| call::<$scalar>(point, results, $function),
                    #[cfg(not(target_os = "none"))]
                    schema: &<Numbers<0> as flowlet::Layer>::SCHEMA,
                },
            ],
        )*]
    };
}

/// Elementary functions by their set and the scalar; the first job of a list is what the second one costs besides.
pub const ELEMENTARY: &[&[Job]] = functions! {
    "exp, Libm": f32, <Libm as Elementary<f32>>::exp;
    "exp, Fast": f32, <Fast as Elementary<f32>>::exp;
    "exp, Micromath": f32, <Micromath as Elementary<f32>>::exp;
    "exp, Fixed": Fixed, <Libm as Elementary<Fixed>>::exp;
    "ln, Libm": f32, <Libm as Elementary<f32>>::ln;
    "ln, Fast": f32, <Fast as Elementary<f32>>::ln;
    "ln, Fixed": Fixed, <Libm as Elementary<Fixed>>::ln;
    "tanh, Libm": f32, <Libm as Elementary<f32>>::tanh;
    "tanh, Fast": f32, <Fast as Elementary<f32>>::tanh;
    "tanh, Fixed": Fixed, <Libm as Elementary<Fixed>>::tanh;
    "softplus, Libm": f32, <Libm as Elementary<f32>>::softplus;
    "softplus, Fast": f32, <Fast as Elementary<f32>>::softplus;
    "softplus, Fixed": Fixed, <Libm as Elementary<Fixed>>::softplus;
    "division, f32": f32, |x| 1.5 / x;
    "division, Fixed": Fixed, |x| Fixed::from_bits(98_304) / x;
    "product, f32": f32, |x| x * 1.25;
    "product, Fixed": Fixed, |x| x * Fixed::from_bits(81_920);
    "sum, f32": f32, |x| x + 1.25;
    "sum, Fixed": Fixed, |x| x + Fixed::from_bits(81_920);
};

/// The function at a positive value like those that it meets in flows.
fn call<T: Real>(point: &[f32], results: &mut [f32], function: impl FnOnce(T) -> T) -> Option<usize> {
    let x = T::from_f32(f32::from_bits(point.first()?.to_bits() & 0x7FFF_FFFF));
    let result = black_box(function(black_box(x)));
    *results.first_mut()? = result.to_f32();
    Some(1)
}
