//! A shift, "NICE: Non-linear Independent Components Estimation" (Dinh, Krueger, Bengio 2015), equation 7.

use super::{TrainMap, Turned};
use crate::train::Real;

/// z = x - t, log |dz/dx| = 0; the parameter is the shift t.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Additive;

impl<T: Real> TrainMap<T> for Additive {
    fn outputs(&self) -> usize {
        1
    }

    fn kept(&self) -> usize {
        0
    }

    fn inverse(&self, parameters: &[T], x: &mut [T], _: &mut [T], _: &mut [T]) {
        x.iter_mut().zip(parameters).for_each(|(x, shift)| *x -= *shift);
    }

    fn backward(&self, _: &[T], gradient: &mut [T], _: &[T], parameter_gradient: &mut [T]) {
        parameter_gradient.iter_mut().zip(gradient).for_each(|(shift, gradient)| *shift = -*gradient);
    }
}

/// z = x + t.
impl<T: Real> TrainMap<T> for Turned<Additive> {
    fn outputs(&self) -> usize {
        1
    }

    fn kept(&self) -> usize {
        0
    }

    fn inverse(&self, parameters: &[T], x: &mut [T], _: &mut [T], _: &mut [T]) {
        x.iter_mut().zip(parameters).for_each(|(x, shift)| *x += *shift);
    }

    fn backward(&self, _: &[T], gradient: &mut [T], _: &[T], parameter_gradient: &mut [T]) {
        parameter_gradient.copy_from_slice(gradient);
    }
}
