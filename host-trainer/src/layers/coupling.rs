//! Coupling: the first features pass and condition the others ("NICE", Dinh, Krueger, Bengio 2014; "Density estimation
//! using Real NVP", Dinh, Sohl-Dickstein, Bengio 2017).

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::coupling::{self, CouplingView};
use flowlet::schema::Record;
use nalgebra::DMatrix;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::conditioned::Conditioned;
use super::view::each_row;
use super::{Computed, Kind, Layer, Mathematics, Rows, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::{Elementary, NumberFormat, forever};
use crate::net::rows::{Lanes, ROWS, RowsNet};
use crate::net::{Hidden, Net, NetType, NetView, RangeMethod, Ranges};
use crate::train::{self, Batch, Tape};
use crate::univariate::{Map, MapValues, MapView, TrainMap, stride};

/// `Coupling<A, B, N, U, E>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coupling {
    /// A.
    pub kept: usize,
    /// B.
    pub transformed: usize,
    /// What the net's outputs do to a feature.
    pub map: Map,
    /// The conditioner.
    pub net: NetType,
    /// Elementary functions.
    pub elementary: Elementary,
}

impl Kind for Coupling {
    fn record(&self) -> &'static Record {
        let (map, net) = (self.map.record(), self.net.record());
        let parameters = coupling::parameters(self.kept, self.transformed, map, net, self.elementary.name());
        let fields = forever(coupling::fields(map, net));
        forever(coupling::record(self.kept, self.map.outputs(), map, net, forever(parameters), fields))
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
    }

    fn rust_type(&self) -> String {
        let (kept, transformed, net, suffix) =
            (self.kept, self.transformed, self.net.rust_type(), self.elementary.suffix());
        match self.map.rust_type().as_str() {
            "Affine" => format!("AffineCoupling<{kept}, {transformed}, {net}{suffix}>"),
            map => format!("Coupling<{kept}, {transformed}, {net}, {map}{suffix}>"),
        }
    }

    fn fits(&self, features: usize, context: usize) -> bool {
        self.kept.checked_add(self.transformed) == Some(features)
            && self.map.fits()
            && self.net.fits(self.kept + context, self.transformed * self.map.stride())
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let map = self.map.view(bytes)?;
        let rows = RowsNet::new(self.net, bytes);
        let conditioner = self.net.view(bytes)?;
        let view = CouplingView { kept: self.kept, outputs: self.map.outputs(), map, conditioner };
        Some(Box::new(Computed(Host { view, rows }, self.elementary)))
    }

    fn family(&self) -> Option<(&'static str, Option<NumberFormat>)> {
        let family = match self.map {
            Map::Additive {} => "nice",
            Map::Spline { .. } => "spline",
            Map::Sigmoidal { .. } => "sigmoidal",
            Map::Affine { .. } | Map::Turned { .. } => "realnvp",
        };
        Some((family, Some(self.net.format())))
    }

    fn parameters(&self) -> usize {
        self.net.parameters(self.kept, self.transformed * self.map.outputs())
    }
}

/// The core's view, and how many readings at once are transformed.
#[derive(Debug)]
struct Host<'a> {
    view: CouplingView<MapView, NetView<'a>>,
    rows: Option<RowsNet>,
}

impl Mathematics for Host<'_> {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], context: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        self.view.inverse::<T, E>(x, context)
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], context: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        self.view.forward::<T, E>(z, context)
    }

    fn inverse_rows<E: Functions<f32>>(&self, x: &mut [Lanes<f32>], context: &[Lanes<f32>]) -> Lanes<f32> {
        let Self { view: CouplingView { kept, outputs, map, .. }, rows: Some(net) } = self else {
            return each_row(x, context, |x, context| self.view.inverse::<f32, E>(x, context));
        };
        let (kept, transformed) = x.split_at_mut(*kept);
        let all = net.evaluate(kept.iter().chain(context));
        let mut log_dets = [0.0; ROWS];
        for (x, parameters) in transformed.iter_mut().zip(all.chunks(stride(*outputs))) {
            map.inverse_rows::<E>(&parameters[..*outputs], x, &mut log_dets);
        }
        log_dets
    }
}

/// A coupling in a flow that is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedCoupling {
    kept: usize,
    transformed: usize,
    conditioned: Conditioned,
}

impl TrainedCoupling {
    /// Transforms `transformed` features by `map`, conditioned on `kept` others and on `context` values through a net
    /// with this hidden part.
    pub fn new(kept: usize, transformed: usize, context: usize, map: impl Into<MapValues>, hidden: Hidden) -> Self {
        let map = map.into();
        let outputs = transformed * stride(TrainMap::<f32>::outputs(&map));
        let net = Net::dense(kept, context, outputs, hidden);
        Self { kept, transformed, conditioned: Conditioned { map, net } }
    }
}

impl<T: train::Real> Trainable<T> for TrainedCoupling {
    fn parameters(&self) -> usize {
        self.conditioned.net.parameters()
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        self.conditioned.initialize(parameters, rng);
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        self.conditioned.net.mark_weights(marks);
    }

    fn fake_quantize(&self, parameters: &mut [T]) {
        self.conditioned.net.fake_quantize(parameters);
    }

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, context: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        let rows = batch.rows();
        let (conditioning, transformed) = batch.values_mut().split_at_mut(self.kept * rows);
        let mut input = tape.copy_of(conditioning);
        input.extend_from_slice(context);
        self.conditioned.inverse(parameters, input, transformed, log_det, tape);
    }

    fn backward(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut Batch<T>,
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    ) {
        let rows = gradient.rows();
        let (conditioning, transformed) = gradient.values_mut().split_at_mut(self.kept * rows);
        let by_input = self.conditioned.backward(parameters, tape, transformed, log_det_gradient, parameter_gradient);
        for (gradient, by_input) in conditioning.iter_mut().zip(&by_input) {
            *gradient += *by_input;
        }
        tape.recycle(by_input);
    }
}

impl Trained for TrainedCoupling {
    fn layer(&self, format: NumberFormat) -> Layer {
        Coupling {
            kept: self.kept,
            transformed: self.transformed,
            map: self.conditioned.map.map(),
            net: self.conditioned.net.net_type(format),
            elementary: Elementary::Libm,
        }
        .into()
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        self.conditioned.write(parameters, image);
    }

    fn write_int8(
        &self,
        parameters: &[f32],
        rows: &Rows,
        method: RangeMethod,
        image: &mut Image,
    ) -> Option<Vec<Ranges>> {
        let Rows { values, context } = rows;
        let inputs = DMatrix::from_fn(values.nrows(), self.kept + context.ncols(), |row, column| {
            if column < self.kept { values[(row, column)] } else { context[(row, column - self.kept)] }
        });
        Some(self.conditioned.write_int8(parameters, &inputs, method, image))
    }
}
