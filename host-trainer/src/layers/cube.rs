//! The cube, element by element: x = z³.

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::cube;
use flowlet::schema::Record;
use serde::{Deserialize, Serialize};

use super::{Computed, Kind, Mathematics, View};
use crate::model::architecture::{Elementary, forever};

/// `Cube<E>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cube {
    /// Elementary functions.
    pub elementary: Elementary,
}

impl Kind for Cube {
    fn record(&self) -> &'static Record {
        forever(cube::record(forever(cube::parameters(self.elementary.name()))))
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
    }

    fn rust_type(&self) -> String {
        format!("Cube<{}>", self.elementary.name())
    }

    fn fits(&self, _: usize, _: usize) -> bool {
        true
    }

    fn is_triangular(&self) -> bool {
        true
    }

    fn view<'a>(&self, _: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        Some(Box::new(Computed(Cubing, self.elementary)))
    }

    fn family(&self) -> Option<(&'static str, Option<crate::model::architecture::NumberFormat>)> {
        Some(("element-wise", None))
    }
}

#[derive(Debug)]
struct Cubing;

impl Mathematics for Cubing {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        cube::inverse::<T, E>(x)
    }

    fn inverse_slopes<T: Real, E: Functions<T>>(&self, x: &mut [T], log_slopes: &mut [T], _: &[T]) {
        cube::inverse_slopes::<T, E>(x, log_slopes);
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        cube::forward::<T, E>(z)
    }
}
