//! Standardization: `z = (x - mean) * inverse_scale`.

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::standardize::{self, StandardizeView};
use flowlet::schema::Record;
use serde::{Deserialize, Serialize};

use super::view::{scalar, slice};
use super::{Computed, Kind, Mathematics, View};
use crate::image::Image;
use crate::model::architecture::{Elementary, forever};
use crate::net::rows::{Lanes, ROWS, each};
use crate::train::vectorize;

/// `Standardize<D>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standardize {
    /// D.
    pub features: usize,
}

impl Standardize {
    /// Appends the image of these values.
    pub fn write(mean: &[f32], inverse_scale: &[f32], image: &mut Image) {
        image.f32s(mean);
        image.f32s(inverse_scale);
        image.f32(inverse_scale.iter().map(|scale| f64::from(*scale).ln()).sum::<f64>() as f32);
    }
}

impl Kind for Standardize {
    fn record(&self) -> &'static Record {
        let (parameters, fields) = (standardize::parameters(self.features), standardize::fields(self.features));
        forever(standardize::record(forever(parameters), forever(fields)))
    }

    fn rust_type(&self) -> String {
        format!("Standardize<{}>", self.features)
    }

    fn fits(&self, features: usize, _: usize) -> bool {
        self.features == features
    }

    fn is_triangular(&self) -> bool {
        true
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let view = StandardizeView {
            mean: slice(bytes, self.features)?,
            inverse_scale: slice(bytes, self.features)?,
            log_det: scalar(bytes)?,
        };
        Some(Box::new(Computed(view, Elementary::Libm)))
    }
}

impl Mathematics for StandardizeView<'_> {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        StandardizeView::inverse(self, x)
    }

    fn inverse_rows<E: Functions<f32>>(&self, x: &mut [Lanes<f32>], _: &[Lanes<f32>]) -> Lanes<f32> {
        vectorize(
            #[inline(always)]
            || {
                for ((x, mean), inverse_scale) in x.iter_mut().zip(self.mean).zip(self.inverse_scale) {
                    *x = each(x, |x| x.standardized(*mean, *inverse_scale));
                }
            },
        );
        [self.log_det; ROWS]
    }

    fn inverse_slopes<T: Real, E: Functions<T>>(&self, x: &mut [T], log_slopes: &mut [T], _: &[T]) {
        StandardizeView::inverse_slopes(self, x, log_slopes);
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        StandardizeView::forward(self, z)
    }
}
