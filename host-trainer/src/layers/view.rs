//! The mathematics of a layer whose shapes are known at run time: the core's own views, behind one interface.

use std::fmt::Debug;

use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::standardize_context::standardize;
use flowlet::{Fast, Fixed, Micromath, Real};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::branchless::Branchless;
use crate::model::architecture::{Elementary, with_functions};
use crate::net::rows::{Lanes, ROWS, each};

/// A layer on the host. Its results have the device's bits, since every operation on a number is the core's.
///
/// A direction that the layer does not have must not be asked for: [`super::Layer::directions`] says which it has.
pub trait View: Debug + Send + Sync {
    /// Data -> base, in place; returns the log-determinant.
    fn inverse(&self, x: &mut [f32], context: &[f32]) -> f32;
    /// Base -> data, in place; returns the log-determinant.
    fn forward(&self, z: &mut [f32], context: &[f32]) -> f32;
    /// Data -> base in double precision, on the same stored values.
    fn inverse_f64(&self, x: &mut [f64], context: &[f64]) -> f64;
    /// Base -> data in double precision.
    fn forward_f64(&self, z: &mut [f64], context: &[f64]) -> f64;
    /// Data -> base in fixed point.
    fn inverse_fixed(&self, x: &mut [Fixed], context: &[Fixed]) -> Fixed;
    /// Base -> data in fixed point.
    fn forward_fixed(&self, z: &mut [Fixed], context: &[Fixed]) -> Fixed;

    /// Data -> base with the log-slope of each feature's map added to the one that goes along with the feature. Only
    /// for layers that are triangular: [`super::Layer::is_triangular`] says so.
    fn inverse_slopes(&self, _: &mut [f32], _: &mut [f32], _: &[f32]) {
        unreachable!("{self:?} is not triangular: see `is_triangular`")
    }
    /// The same in fixed point.
    fn inverse_slopes_fixed(&self, _: &mut [Fixed], _: &mut [Fixed], _: &[Fixed]) {
        unreachable!("{self:?} is not triangular: see `is_triangular`")
    }

    /// Data -> base of many readings side by side, a value of each feature and of the context in each lane, with the bits of
    /// [`Self::inverse`]; returns the log-determinants.
    fn inverse_rows(&self, x: &mut [Lanes<f32>], context: &[Lanes<f32>]) -> Lanes<f32> {
        each_row(x, context, |x, context| self.inverse(x, context))
    }
}

/// One reading after the other.
pub(super) fn each_row(
    x: &mut [Lanes<f32>],
    context: &[Lanes<f32>],
    inverse: impl Fn(&mut [f32], &[f32]) -> f32,
) -> Lanes<f32> {
    let (mut reading, mut side) = (vec![0.0; x.len()], vec![0.0; context.len()]);
    let mut log_dets = [0.0; ROWS];
    for (row, log_det) in log_dets.iter_mut().enumerate() {
        reading.iter_mut().zip(&*x).for_each(|(value, lanes)| *value = lanes[row]);
        side.iter_mut().zip(context).for_each(|(value, lanes)| *value = lanes[row]);
        *log_det = inverse(&mut reading, &side);
        x.iter_mut().zip(&reading).for_each(|(lanes, value)| lanes[row] = *value);
    }
    log_dets
}

/// What a layer's file writes: the core's mathematics in any scalar.
pub trait Mathematics: Debug + Send + Sync {
    /// Data -> base, in place; returns the log-determinant.
    ///
    /// # Panics
    /// If the layer has no such direction.
    fn inverse<T: Real, E: Functions<T>>(&self, _: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        unreachable!("{self:?} has no direction data -> base: see its `directions`")
    }

    /// Data -> base of many readings: [`View::inverse_rows`].
    fn inverse_rows<E: Functions<f32>>(&self, x: &mut [Lanes<f32>], context: &[Lanes<f32>]) -> Lanes<f32> {
        each_row(x, context, |x, context| self.inverse::<f32, E>(x, context))
    }

    /// Data -> base with the features' log-slopes: [`View::inverse_slopes`].
    ///
    /// # Panics
    /// If the layer is not triangular.
    fn inverse_slopes<T: Real, E: Functions<T>>(&self, _: &mut [T], _: &mut [T], _: &[T])
    where
        Libm: Functions<T>,
    {
        unreachable!("{self:?} is not triangular: see `is_triangular`")
    }

    /// Base -> data, in place; returns the log-determinant.
    ///
    /// # Panics
    /// If the layer has no such direction.
    fn forward<T: Real, E: Functions<T>>(&self, _: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        unreachable!("{self:?} has no direction base -> data: see its `directions`")
    }
}

/// Mathematics with the elementary functions that the type names; double precision always takes the accurate ones, and in
/// fixed point there is one set.
#[derive(Debug)]
pub struct Computed<M>(pub M, pub Elementary);

impl<M: Mathematics> View for Computed<M> {
    fn inverse(&self, x: &mut [f32], context: &[f32]) -> f32 {
        with_functions!(self.1, E => self.0.inverse::<f32, E>(x, context))
    }

    fn forward(&self, z: &mut [f32], context: &[f32]) -> f32 {
        with_functions!(self.1, E => self.0.forward::<f32, E>(z, context))
    }

    fn inverse_f64(&self, x: &mut [f64], context: &[f64]) -> f64 {
        self.0.inverse::<f64, Libm>(x, context)
    }

    fn forward_f64(&self, z: &mut [f64], context: &[f64]) -> f64 {
        self.0.forward::<f64, Libm>(z, context)
    }

    fn inverse_fixed(&self, x: &mut [Fixed], context: &[Fixed]) -> Fixed {
        self.0.inverse::<Fixed, Libm>(x, context)
    }

    fn forward_fixed(&self, z: &mut [Fixed], context: &[Fixed]) -> Fixed {
        self.0.forward::<Fixed, Libm>(z, context)
    }

    fn inverse_slopes(&self, x: &mut [f32], log_slopes: &mut [f32], context: &[f32]) {
        with_functions!(self.1, E => self.0.inverse_slopes::<f32, E>(x, log_slopes, context));
    }

    fn inverse_slopes_fixed(&self, x: &mut [Fixed], log_slopes: &mut [Fixed], context: &[Fixed]) {
        self.0.inverse_slopes::<Fixed, Libm>(x, log_slopes, context);
    }

    fn inverse_rows(&self, x: &mut [Lanes<f32>], context: &[Lanes<f32>]) -> Lanes<f32> {
        match self.1 {
            Elementary::Libm => self.0.inverse_rows::<Branchless>(x, context),
            Elementary::Fast => self.0.inverse_rows::<Fast>(x, context),
            Elementary::Micromath => self.0.inverse_rows::<Micromath>(x, context),
        }
    }
}

// Compositions, with log-determinants summed as the core's types sum them.

#[derive(Debug)]
pub(super) struct Chain<'a>(pub Box<dyn View + 'a>, pub Box<dyn View + 'a>);

#[derive(Debug)]
pub(super) struct Repeat<'a>(pub Vec<Box<dyn View + 'a>>);

#[derive(Debug)]
pub(super) struct Turned<'a>(pub Box<dyn View + 'a>);

macro_rules! chain {
    ($name:ident, $first:tt, $second:tt, $scalar:ty) => {
        fn $name(&self, x: &mut [$scalar], context: &[$scalar]) -> $scalar {
            let first = self.$first.$name(x, context);
            first + self.$second.$name(x, context)
        }
    };
}

macro_rules! chain_slopes {
    ($name:ident, $scalar:ty) => {
        fn $name(&self, x: &mut [$scalar], log_slopes: &mut [$scalar], context: &[$scalar]) {
            self.0.$name(x, log_slopes, context);
            self.1.$name(x, log_slopes, context);
        }
    };
}

impl View for Chain<'_> {
    chain!(inverse, 0, 1, f32);
    chain!(forward, 1, 0, f32);
    chain!(inverse_f64, 0, 1, f64);
    chain!(forward_f64, 1, 0, f64);
    chain!(inverse_fixed, 0, 1, Fixed);
    chain!(forward_fixed, 1, 0, Fixed);
    chain_slopes!(inverse_slopes, f32);
    chain_slopes!(inverse_slopes_fixed, Fixed);

    fn inverse_rows(&self, x: &mut [Lanes<f32>], context: &[Lanes<f32>]) -> Lanes<f32> {
        let mut log_dets = self.0.inverse_rows(x, context);
        add(&mut log_dets, &self.1.inverse_rows(x, context));
        log_dets
    }
}

/// Adds up log-determinants.
fn add(log_dets: &mut Lanes<f32>, others: &Lanes<f32>) {
    log_dets.iter_mut().zip(others).for_each(|(log_det, other)| *log_det += other);
}

macro_rules! repeat {
    ($name:ident, $scalar:ty $(, $reverse:ident)?) => {
        fn $name(&self, x: &mut [$scalar], context: &[$scalar]) -> $scalar {
            self.0.iter()$(.$reverse())?.fold(<$scalar>::ZERO, |log_det, layer| log_det + layer.$name(x, context))
        }
    };
}

macro_rules! repeat_slopes {
    ($name:ident, $scalar:ty) => {
        fn $name(&self, x: &mut [$scalar], log_slopes: &mut [$scalar], context: &[$scalar]) {
            self.0.iter().for_each(|layer| layer.$name(x, log_slopes, context));
        }
    };
}

impl View for Repeat<'_> {
    repeat!(inverse, f32);
    repeat!(forward, f32, rev);
    repeat!(inverse_f64, f64);
    repeat!(forward_f64, f64, rev);
    repeat!(inverse_fixed, Fixed);
    repeat!(forward_fixed, Fixed, rev);
    repeat_slopes!(inverse_slopes, f32);
    repeat_slopes!(inverse_slopes_fixed, Fixed);

    fn inverse_rows(&self, x: &mut [Lanes<f32>], context: &[Lanes<f32>]) -> Lanes<f32> {
        let mut log_dets = [0.0; ROWS];
        for layer in &self.0 {
            add(&mut log_dets, &layer.inverse_rows(x, context));
        }
        log_dets
    }
}

impl View for Turned<'_> {
    fn inverse(&self, x: &mut [f32], context: &[f32]) -> f32 {
        self.0.forward(x, context)
    }

    fn forward(&self, z: &mut [f32], context: &[f32]) -> f32 {
        self.0.inverse(z, context)
    }

    fn inverse_f64(&self, x: &mut [f64], context: &[f64]) -> f64 {
        self.0.forward_f64(x, context)
    }

    fn forward_f64(&self, z: &mut [f64], context: &[f64]) -> f64 {
        self.0.inverse_f64(z, context)
    }

    fn inverse_fixed(&self, x: &mut [Fixed], context: &[Fixed]) -> Fixed {
        self.0.forward_fixed(x, context)
    }

    fn forward_fixed(&self, z: &mut [Fixed], context: &[Fixed]) -> Fixed {
        self.0.inverse_fixed(z, context)
    }
}

#[derive(Debug)]
pub(super) struct StandardizeContext<'a> {
    pub mean: &'a [f32],
    pub inverse_scale: &'a [f32],
    pub layers: Box<dyn View + 'a>,
}

macro_rules! with_context {
    ($name:ident, $scalar:ty) => {
        fn $name(&self, x: &mut [$scalar], context: &[$scalar]) -> $scalar {
            let mut context = context.to_vec();
            standardize(self.mean, self.inverse_scale, &mut context);
            self.layers.$name(x, &context)
        }
    };
}

macro_rules! slopes_with_context {
    ($name:ident, $scalar:ty) => {
        fn $name(&self, x: &mut [$scalar], log_slopes: &mut [$scalar], context: &[$scalar]) {
            let mut context = context.to_vec();
            standardize(self.mean, self.inverse_scale, &mut context);
            self.layers.$name(x, log_slopes, &context);
        }
    };
}

impl View for StandardizeContext<'_> {
    with_context!(inverse, f32);
    with_context!(forward, f32);
    with_context!(inverse_f64, f64);
    with_context!(forward_f64, f64);
    with_context!(inverse_fixed, Fixed);
    with_context!(forward_fixed, Fixed);
    slopes_with_context!(inverse_slopes, f32);
    slopes_with_context!(inverse_slopes_fixed, Fixed);

    fn inverse_rows(&self, x: &mut [Lanes<f32>], context: &[Lanes<f32>]) -> Lanes<f32> {
        let mut context = context.to_vec();
        for ((values, mean), inverse_scale) in context.iter_mut().zip(self.mean).zip(self.inverse_scale) {
            *values = each(values, |value| value.standardized(*mean, *inverse_scale));
        }
        self.layers.inverse_rows(x, &context)
    }
}

/// `count` values at the start of `bytes`, which moves behind them.
pub fn slice<'a, T: FromBytes + Immutable + KnownLayout>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [T]> {
    let (slice, rest) = <[T]>::ref_from_prefix_with_elems(bytes, count).ok()?;
    *bytes = rest;
    Some(slice)
}

/// The value at the start of `bytes`, which moves behind it.
pub fn scalar<T: FromBytes>(bytes: &mut &[u8]) -> Option<T> {
    let (value, rest) = T::read_from_prefix(bytes).ok()?;
    *bytes = rest;
    Some(value)
}
