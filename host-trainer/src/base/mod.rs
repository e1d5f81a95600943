//! Base distributions as the host knows them, one file each: what the type says, its mathematics, and how it is trained
//! and written.

mod ensemble;
mod mixture;
mod standard_normal;
mod student_t;

pub use ensemble::Ensemble;
pub use mixture::{Mixture, TrainedMixture};
pub use standard_normal::{StandardNormal, TrainedStandardNormal};
pub use student_t::{StudentT, TrainedStudentT, constant};

use std::fmt::Debug;

use flowlet::Fixed;
use flowlet::schema::Record;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::image::Image;
use crate::layers::Layer;
use crate::model::architecture::Elementary;
use crate::net::rows::Lanes;
use crate::train::{Batch, Real};

/// What a base's type says.
pub trait BaseKind: Debug + Send + Sync {
    /// The core's record.
    fn record(&self) -> &'static Record;
    /// Takes other elementary functions, if its density has any.
    fn compute_with(&mut self, _: Elementary) {}
    /// Whether its shapes fit a flow of so many features, as the compiler checks them for a type.
    fn fits(&self, features: usize) -> bool;
    /// Whether its coordinates are independent, so that each has a density.
    fn is_independent(&self) -> bool {
        false
    }
    /// How many flows it consists of, if it does, and the layers of each.
    fn flows(&self) -> Option<(usize, &Layer)> {
        None
    }
    /// The type in Rust; `None` for what a flow has unless it says otherwise.
    fn rust_type(&self) -> Option<String>;
    /// The mathematics on the values at the start of `bytes`, which moves behind them; `None` when they are too few.
    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn BaseView + 'a>>;
}

/// A base on the host, with the device's bits.
pub trait BaseView: Debug + Send + Sync {
    /// The log-density, in nats.
    fn log_prob(&self, z: &[f32]) -> f32;
    /// The same in double precision.
    fn log_prob_f64(&self, z: &[f64]) -> f64;
    /// The same in fixed point.
    fn log_prob_fixed(&self, z: &[Fixed]) -> Fixed;
    /// Adds each coordinate's log-density, and replaces it by its standard normal deviate, as
    /// [`flowlet::base::Independent`]; only where [`BaseKind::is_independent`] says so.
    fn terms(&self, _: &mut [f32], _: &mut [f32]) {
        unreachable!("{self:?} has no independent coordinates: see `is_independent`")
    }
    /// The same in fixed point.
    fn terms_fixed(&self, _: &mut [Fixed], _: &mut [Fixed]) {
        unreachable!("{self:?} has no independent coordinates: see `is_independent`")
    }
    /// One sample.
    fn sample(&self, rng: &mut dyn Rng) -> Vec<f32>;

    /// The log-densities of many points side by side, a coordinate in each lane, with the bits of [`Self::log_prob`].
    fn log_prob_rows(&self, z: &[Lanes<f32>]) -> Lanes<f32> {
        let mut point = vec![0.0; z.len()];
        std::array::from_fn(|row| {
            point.iter_mut().zip(z).for_each(|(value, lanes)| *value = lanes[row]);
            self.log_prob(&point)
        })
    }
}

macro_rules! bases {
    ($($(#[$docs:meta])* $name:ident),+ $(,)?) => {
        /// A base distribution.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum Base {
            $($(#[$docs])* $name($name)),+
        }

        impl Base {
            /// What its type says.
            pub fn kind(&self) -> &dyn BaseKind {
                match self {
                    $(Self::$name(kind) => kind),+
                }
            }

            /// Takes other elementary functions.
            pub fn compute_with(&mut self, elementary: Elementary) {
                match self {
                    $(Self::$name(kind) => kind.compute_with(elementary)),+
                }
            }
        }

        $(impl From<$name> for Base {
            fn from(kind: $name) -> Self {
                Self::$name(kind)
            }
        })+
    };
}

bases! {
    /// Independent standard normal coordinates.
    StandardNormal,
    /// Independent Student t coordinates.
    StudentT,
    /// Several normal distributions.
    Mixture,
    /// Several flows.
    Ensemble,
}

/// The arithmetic of a base that is trained with its flow; its parameters are a slice behind those of the layers.
pub trait TrainableBase<T: Real>: Debug + Send + Sync {
    /// How many numbers are the base's.
    fn parameters(&self) -> usize;

    /// Sets starting values.
    fn initialize(&self, parameters: &mut [T], rng: &mut rand_chacha::ChaCha8Rng);

    /// Adds the log-density of each row, in nats, to `log_prob`.
    fn log_prob(&self, parameters: &[T], batch: &Batch<T>, log_prob: &mut [T]);

    /// Turns the batch into the gradient of `weight` times its rows' log-densities, and adds the parameters' gradient.
    fn backward(&self, parameters: &[T], batch: &mut Batch<T>, weight: T, parameter_gradient: &mut [T]);
}

/// A base that is trained in f32, checked in f64, and written as the core reads it.
pub trait TrainedBase: TrainableBase<f32> + TrainableBase<f64> {
    /// What it is.
    fn base(&self) -> Base;

    /// Appends the image of its values.
    fn write(&self, parameters: &[f32], image: &mut Image);
}
