//! Continuous flows, "Neural ordinary differential equations" (Chen, Rubanova, Bettencourt, Duvenaud 2018).

use flowlet::Real;
use flowlet::conditioner::float::FloatView;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::continuous::{self, ContinuousView, MOST_FEATURES};
use flowlet::schema::Record;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Computed, Kind, Layer, Mathematics, Trainable, Trained, View};
use crate::image::Image;
use crate::model::Body;
use crate::model::architecture::{Elementary, NumberFormat, forever};
use crate::net::{Hidden, Net, NetType, NetView};
use crate::train::{self, Batch, Tape};

/// `Continuous<D, STEPS, N, E>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continuous {
    /// D.
    pub features: usize,
    /// STEPS.
    pub steps: usize,
    /// How a step is computed.
    pub solver: Solver,
    /// The velocity.
    pub net: NetType,
    /// Elementary functions.
    pub elementary: Elementary,
}

/// How a step is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Solver {
    /// The classical Runge-Kutta method, of order 4.
    Rk4,
}

impl Continuous {
    /// Inputs of the net in quads; none of a net that can be no velocity.
    fn inputs(&self) -> usize {
        if let NetType::Float { inputs, .. } = self.net { inputs } else { 0 }
    }
}

impl Kind for Continuous {
    fn record(&self) -> &'static Record {
        let net = self.net.record();
        let parameters = continuous::parameters(self.features, self.steps, net, self.elementary.name());
        let (parameters, fields) = (forever(parameters), forever(continuous::fields(net)));
        forever(continuous::record(self.features, self.steps, self.inputs(), net, parameters, fields))
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
    }

    fn rust_type(&self) -> String {
        format!("Continuous<{}, {}, {}{}>", self.features, self.steps, self.net.rust_type(), self.elementary.suffix())
    }

    fn fits(&self, features: usize, context: usize) -> bool {
        self.features == features
            && features <= MOST_FEATURES
            && (1..=continuous::MOST_STEPS).contains(&self.steps)
            && self.net.fits(features + 1 + context, features)
            && matches!(self.net, NetType::Float { .. })
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let NetView::Float(conditioner) = self.net.view(bytes)? else { return None };
        Some(Box::new(Computed(ContinuousView { steps: self.steps, conditioner }, self.elementary)))
    }

    fn family(&self) -> Option<(&'static str, Option<NumberFormat>)> {
        Some(("continuous", Some(NumberFormat::Float)))
    }

    fn parameters(&self) -> usize {
        // The context is not known here, so its inputs are counted with their padding.
        self.net.parameters(4 * self.inputs(), self.features)
    }
}

impl Mathematics for ContinuousView<FloatView<'_>> {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], context: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        ContinuousView::inverse::<T, E>(self, x, context)
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], context: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        ContinuousView::forward::<T, E>(self, z, context)
    }
}

/// A velocity that is fitted by flow matching (`train/matching.rs`), not by likelihood: its densities are computed,
/// and never differentiated.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedContinuous {
    features: usize,
    steps: usize,
    net: Net,
}

impl TrainedContinuous {
    /// A flow of `features` features given `context` values, in so many steps along a net's velocity.
    pub fn new(features: usize, context: usize, steps: usize, hidden: Hidden) -> Self {
        Self { features, steps, net: Net::dense(features + 1, context, features, hidden) }
    }
}

impl<T: train::Real> Trainable<T> for TrainedContinuous {
    fn parameters(&self) -> usize {
        self.net.parameters()
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        self.net.initialize(parameters, rng);
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        self.net.mark_weights(marks);
    }

    /// Row by row, by the core's mathematics in double precision on the parameters as f32.
    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, context: &[T], log_det: &mut [T], _: &mut Tape<T>) {
        let parameters: Vec<f32> = parameters.iter().map(|value| value.wide() as f32).collect();
        let mut image = Image::default();
        self.write(&parameters, &mut image);
        let body = Body::new(&image.0);
        let view = Trained::layer(self, NumberFormat::Float).view(&mut body.as_bytes()).expect("it writes what it is");
        let rows = batch.rows();
        for (row, log_det) in log_det.iter_mut().enumerate() {
            let of_row = |values: &[T]| values.iter().skip(row).step_by(rows).map(|value| value.wide()).collect();
            let (mut x, context): (Vec<f64>, Vec<f64>) = (of_row(batch.values()), of_row(context));
            *log_det += T::of(view.inverse_f64(&mut x, &context));
            for (place, value) in batch.values_mut().iter_mut().skip(row).step_by(rows).zip(x) {
                *place = T::of(value);
            }
        }
    }

    /// # Panics
    /// Always: there is no likelihood to ascend.
    fn backward(&self, _: &[T], _: &mut Tape<T>, _: &mut Batch<T>, _: &[T], _: &mut [T]) {
        unreachable!("a velocity is fitted by flow matching")
    }
}

impl Trained for TrainedContinuous {
    fn layer(&self, _: NumberFormat) -> Layer {
        Continuous {
            features: self.features,
            steps: self.steps,
            solver: Solver::Rk4,
            net: self.net.net_type(NumberFormat::Float),
            elementary: Elementary::Libm,
        }
        .into()
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        self.net.write_float(parameters, image);
    }

    fn velocity(&self) -> Option<&Net> {
        Some(&self.net)
    }
}
