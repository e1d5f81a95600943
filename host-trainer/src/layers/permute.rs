//! Permutation: `y[i] = x[order[i]]`, log |det J| = 0.

use std::cell::RefCell;

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::permute::{self, gather, scatter};
use flowlet::schema::Record;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::view::slice;
use super::{Computed, Kind, Layer, Mathematics, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::NumberFormat;
use crate::model::architecture::{Elementary, forever};
use crate::net::rows::{Lanes, ROWS};
use crate::train::{self, Batch, Tape};

/// `Permute<D>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permute {
    /// D.
    pub features: usize,
}

impl Kind for Permute {
    fn record(&self) -> &'static Record {
        let (parameters, fields) = (permute::parameters(self.features), permute::fields(self.features));
        forever(permute::record(self.features, forever(parameters), forever(fields)))
    }

    fn rust_type(&self) -> String {
        format!("Permute<{}>", self.features)
    }

    fn fits(&self, features: usize, _: usize) -> bool {
        self.features == features
    }

    fn is_triangular(&self) -> bool {
        true
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        Some(Box::new(Computed(Order(slice(bytes, self.features)?), Elementary::Libm)))
    }
}

#[derive(Debug)]
struct Order<'a>(&'a [u32]);

thread_local! {
    /// Readings before they are moved, in memory that is kept from one block of a table to the next.
    static FROM: RefCell<Vec<Lanes<f32>>> = const { RefCell::new(Vec::new()) };
}

impl Mathematics for Order<'_> {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        let from = x.to_vec();
        gather(self.0, &from, x);
        T::ZERO
    }

    fn inverse_rows<E: Functions<f32>>(&self, x: &mut [Lanes<f32>], _: &[Lanes<f32>]) -> Lanes<f32> {
        FROM.with_borrow_mut(|from| {
            from.clear();
            from.extend_from_slice(x);
            gather(self.0, from, x);
        });
        [0.0; ROWS]
    }

    fn inverse_slopes<T: Real, E: Functions<T>>(&self, x: &mut [T], log_slopes: &mut [T], _: &[T]) {
        for values in [x, log_slopes] {
            let from = values.to_vec();
            gather(self.0, &from, values);
        }
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        let from = z.to_vec();
        scatter(self.0, &from, z);
        T::ZERO
    }
}

/// A permutation in a flow that is trained. It has nothing to train.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedPermute {
    order: Vec<usize>,
}

impl TrainedPermute {
    /// `order` holds every index below its length once.
    pub fn new(order: Vec<usize>) -> Self {
        Self { order }
    }
}

impl<T: train::Real> Trainable<T> for TrainedPermute {
    fn parameters(&self) -> usize {
        0
    }

    fn initialize(&self, _: &mut [T], _: &mut ChaCha8Rng) {}

    fn mark_decayed(&self, _: &mut [bool]) {}

    fn inverse(&self, _: &[T], batch: &mut Batch<T>, _: &[T], _: &mut [T], tape: &mut Tape<T>) {
        let mut moved = tape.buffer(batch.values().len());
        for (to, from) in moved.chunks_exact_mut(batch.rows()).zip(&self.order) {
            to.copy_from_slice(batch.feature(*from));
        }
        tape.recycle(batch.replace(moved));
    }

    fn backward(&self, _: &[T], tape: &mut Tape<T>, gradient: &mut Batch<T>, _: &[T], _: &mut [T]) {
        let moved = tape.copy_of(gradient.values());
        for (from, to) in moved.chunks_exact(gradient.rows()).zip(&self.order) {
            gradient.feature_mut(*to).copy_from_slice(from);
        }
        tape.recycle(moved);
    }
}

impl Trained for TrainedPermute {
    fn layer(&self, _: NumberFormat) -> Layer {
        Permute { features: self.order.len() }.into()
    }

    fn write(&self, _: &[f32], image: &mut Image) {
        self.order.iter().for_each(|source| image.u32(*source as u32));
    }
}
