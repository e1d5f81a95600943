//! Reversal: the order of the features, turned around.

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::reverse::RECORD;
use flowlet::schema::Record;
use serde::{Deserialize, Serialize};

use super::{Computed, Kind, Mathematics, View};
use crate::model::architecture::Elementary;

/// `Reverse`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reverse {}

impl Kind for Reverse {
    fn record(&self) -> &'static Record {
        &RECORD
    }

    fn rust_type(&self) -> String {
        "Reverse".to_owned()
    }

    fn fits(&self, _: usize, _: usize) -> bool {
        true
    }

    fn is_triangular(&self) -> bool {
        true
    }

    fn view<'a>(&self, _: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        Some(Box::new(Computed(Turning, Elementary::Libm)))
    }
}

#[derive(Debug)]
struct Turning;

impl Mathematics for Turning {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        x.reverse();
        T::ZERO
    }

    fn inverse_slopes<T: Real, E: Functions<T>>(&self, x: &mut [T], log_slopes: &mut [T], _: &[T]) {
        x.reverse();
        log_slopes.reverse();
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        z.reverse();
        T::ZERO
    }
}
